"""Devices of a simulated site kept on the wire with the building living behind them: for clients that are not ours."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from simulators.faulty import FaultyPlant
from simulators.plant import Plant, Step
from simulators.running import NAP_S
from simulators.wire.devices import FieldDevices
from twin.clock import monotonic_s
from twin.points import PointBook
from twin.site import Connection, Site

Show = Callable[[Mapping[str, Connection]], None]


@dataclass
class Kept:
    """What happened while the devices were up."""

    steps: int = 0
    writes: int = 0
    until: datetime | None = None
    stopped: bool = False  # by a person, before the period was over


class Keeper:
    """Moves the plant on at its pace; whatever clients write, the building obeys at its next step."""

    def __init__(self, site: Site, book: PointBook, plant: Plant) -> None:
        self._plant = plant
        self.devices = FieldDevices(book, site.connections)
        self.kept = Kept()

    async def keep(self, speed: float, stop: asyncio.Event, show: Show) -> Kept:
        """Until the period is over or `stop` is set; all sockets and the plant are closed then, whatever happens."""
        try:
            step: Step | None = await asyncio.to_thread(self._plant.reset)
            show(await self.devices.start())
            if isinstance(self._plant, FaultyPlant):
                await self._plant.break_devices(self.devices)
            while step is not None and not stop.is_set():
                begun_s = monotonic_s()
                await self._publish(step)
                await self._wait(begun_s + self._plant.step_s / speed, stop)
                step = await self._move(stop)
            self.kept.stopped = step is not None
        finally:
            await self.devices.stop()
            await asyncio.to_thread(self._plant.close)
        self.kept.writes = len(self.devices.log)
        return self.kept

    async def _publish(self, step: Step) -> None:
        self.kept.until = step.at
        await self.devices.schedule(self._plant.own_schedule(step.at))
        await self.devices.publish(step.readings, step.at)

    async def _move(self, stop: asyncio.Event) -> Step | None:
        step = await asyncio.to_thread(self._plant.step, await self.devices.held())
        self.kept.steps += 1
        return step

    async def _wait(self, until_s: float, stop: asyncio.Event) -> None:
        while (left_s := until_s - monotonic_s()) > 0 and not stop.is_set():
            await asyncio.sleep(min(NAP_S, left_s))
