"""What people on site do to a BACnet device, staged by the simulated one and seen by any client."""

import asyncio

import pytest

from controls.drivers import Driver
from controls.drivers.connect import make_drivers
from simulators.wire.devices import FieldDevices
from twin.clock import wall_now
from twin.errors import WireError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Limits, Point, Quality, Reason

SENSOR = Point("z.t", "Zone_Air_Temperature_Sensor", "DEG_C", "z", binding=Binding("z.t", "bacnet:b/analog-input,1"))
SETPOINT = Point(
    "z.sp", "Zone_Air_Temperature_Setpoint", "DEG_C", "z",
    writable=True, limits=Limits(10, 30, 30, 20), binding=Binding("z.sp", "bacnet:b/analog-value,1"),
)  # fmt: skip
METER = Point("m.e", "Electric_Energy_Sensor", "W-HR", "m", binding=Binding("m.e", "modbus:m/1/input/0:uint32"))


@pytest.fixture
def staged():
    """`staged(story)`: devices up, a driver to look at them; `await story(devices, driver)`."""

    def run(story) -> None:
        async def all_of_it() -> None:
            book = PointBook([SENSOR, SETPOINT, METER])
            devices = FieldDevices(book, {"b": Connection("bacnet", device=7), "m": Connection("modbus")}, disturbed=["b"])
            drivers = make_drivers(book, await devices.start())
            await devices.publish({"z.t": 21.0}, wall_now())
            try:
                await drivers["b"].open()
                await story(devices, drivers["b"])
            finally:
                await drivers["b"].close()
                await devices.stop()

        asyncio.run(all_of_it())

    return run


async def seen(driver: Driver, point: Point) -> tuple[float | None, Quality, Reason]:
    (sample,) = await driver.read([point])
    return sample.value, sample.quality, sample.reason


@pytest.mark.parametrize("point", [SENSOR, SETPOINT])
def test_an_object_out_of_service_is_uncertain_until_it_is_put_back(staged, point):
    async def story(devices, driver):
        good = await seen(driver, point)
        await devices.put_out_of_service(point.id)
        assert await seen(driver, point) == (good[0], Quality.UNCERTAIN, Reason.OUT_OF_SERVICE)
        await devices.put_out_of_service(point.id, out=False)
        assert await seen(driver, point) == good

    staged(story)


@pytest.mark.parametrize("point", [SENSOR, SETPOINT])
def test_an_object_with_a_fault_is_bad_until_it_is_mended(staged, point):
    async def story(devices, driver):
        good = await seen(driver, point)
        await devices.break_down(point.id)
        assert await seen(driver, point) == (None, Quality.BAD, Reason.FAULT)
        await devices.break_down(point.id, broken=False)
        assert await seen(driver, point) == good

    staged(story)


@pytest.mark.parametrize("priority", [1, 6, 8])
def test_somebody_else_holds_a_slot_above_ours_and_lets_it_go(staged, priority):
    async def story(devices, driver):
        await driver.write(SETPOINT, 16.0, 13)
        await devices.hold_slot("z.sp", 22.0, priority)
        (held,) = await driver.hold([SETPOINT], 13)
        assert (held.value, held.slot, held.ruling_priority) == (22.0, 16.0, priority)
        await devices.look()
        await devices.hold_slot("z.sp", None, priority)
        assert await devices.held() == {"z.sp": 16.0}
        assert [(w.value, w.priority) for w in devices.log if w.priority == priority] == [(22.0, priority), (None, priority)]

    staged(story)


def test_a_reprogrammed_device_counts_its_revision_and_calls_an_object_otherwise(staged):
    async def story(devices, driver):
        assert await driver.inventory([SENSOR]) == {"bacnet:b/analog-input,1": ["z.t", "62"]}
        before = await driver.revision()
        await devices.rename("z.t", "pump speed")
        devices.disturb("b", lie="reprogrammed")
        assert await driver.inventory([SENSOR]) == {"bacnet:b/analog-input,1": ["pump speed", "62"]}
        assert await driver.revision() == before + 1
        assert (await driver.identify()).database_revision == before + 1

    staged(story)


def test_a_device_without_room_takes_no_subscription(staged):
    async def story(devices, driver):
        devices.disturb("b", lie="cov_full")
        assert await driver.subscribe([SENSOR], 60, lambda sample: None) == []
        devices.disturb("b")
        assert await driver.subscribe([SENSOR], 60, lambda sample: None) == [SENSOR]

    staged(story)


def test_knobs_of_a_device_that_is_off_or_no_bacnet_device_say_so(staged):
    async def story(devices, driver):
        with pytest.raises(WireError, match=r"m\.e is no object of a BACnet device here"):
            await devices.put_out_of_service("m.e")
        await devices.kill("b")
        with pytest.raises(WireError, match="is off"):
            await devices.hold_slot("z.sp", 22.0, 8)

    staged(story)
