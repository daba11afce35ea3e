"""BAC0 as a client: reads a temperature and a damper, commands it at priority 12, lets go. Arguments: our port, the device's."""

import asyncio
import json
import sys

import BAC0


async def ask(own: int, port: int) -> None:
    BAC0.log_level("silence")
    async with BAC0.start(ip="127.0.0.1/32", port=own) as bacnet:
        damper = f"127.0.0.1:{port} analogOutput 2 presentValue"
        seen = [await bacnet.read(f"127.0.0.1:{port} analogInput 1 presentValue"), await bacnet.read(damper)]
        await bacnet._write(f"{damper} 55 - 12")
        seen.append(await bacnet.read(damper))
        await bacnet._write(f"{damper} null - 12")
        seen.append(await bacnet.read(damper))
        sys.stdout.write(json.dumps(seen) + "\n")


asyncio.run(ask(*map(int, sys.argv[1:])))
