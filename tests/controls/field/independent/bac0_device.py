"""A BACnet device by BAC0, so by bacpypes3: a temperature and a damper with sixteen slots. Arguments: port, instance."""

import asyncio
import sys

import BAC0
from BAC0.core.devices.local.factory import analog_input, analog_output


async def be_a_device(port: int, instance: int) -> None:
    BAC0.log_level("silence")
    async with BAC0.start(ip="127.0.0.1/32", port=port, deviceId=instance, localObjName="BAC0 box") as bacnet:
        analog_input(name="zn_t", description="room temperature", presentValue=21.5, properties={"units": "degreesCelsius"})
        made = analog_output(name="dmp", description="damper", presentValue=10.0, relinquishDefault=10.0, properties={"units": "percent"})
        made.add_objects_to_application(bacnet)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us closes our input


asyncio.run(be_a_device(*map(int, sys.argv[1:])))
