"""A small building whose wires can be made as bad as wanted, and whose sensors all show different, moving values."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from controls.cycle import CycleReport
from simulators.wire.faults import Faults, Honest
from simulators.wire.interposer import Interposer
from twin.site import CycleSettings
from twin.words import Point, Quality, Reading

STEP = timedelta(seconds=600)
ANSWER_S = 0.25
MODBUS = ("lights_", "meters", "main_meter")  # connections of the house
TIME_OUT_S = 3 * ANSWER_S  # of the most patient driver here


@dataclass
class Stage:
    """The house, the wires before its devices, and what its sensors showed at each step."""

    house: object
    steps: int = 0

    def __post_init__(self) -> None:
        self.shown: list[dict[str, float]] = [self.values()]

    @property
    def between(self) -> dict[str, Interposer]:
        return self.house.devices.between

    def disturb(self, connection: str, lie: Honest | str | None = None, **faults) -> Interposer:
        return self.house.devices.disturb(connection, Faults(**faults), lie)

    def values(self) -> dict[str, float]:
        """Every sensor its own value, moving a little from step to step as real ones do."""
        return {p: _shown(self.house.book[p], n, self.steps) for n, p in enumerate(self.house.readings())}

    async def publish(self) -> None:
        self.steps += 1
        self.shown.append(self.values())
        self.house.clock.advance(STEP)
        await self.house.devices.publish(self.shown[-1], self.house.clock.now())

    async def step(self, steps: int = 1) -> CycleReport:
        for _ in range(steps):
            await self.publish()
            report = await self.house.cycle.step()
        return report

    async def until(self, true: Callable[[], bool], seconds: float = 8) -> None:
        """Step after step, in real time, until it is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it never came true"
            await asyncio.sleep(0.05)
            await self.step()

    async def until_good(self, *connections: str) -> None:
        await self.until(lambda: all(self.qualities(c) == {"good"} for c in connections))

    def image(self, connection: str) -> dict[str, Reading]:
        latest = self.house.history.latest()
        return {p.id: latest[p.id] for p in self.house.book.by_connection()[connection] if p.id in latest}

    def sensors(self, connection: str) -> dict[str, Reading]:
        """The readings whose truth is known."""
        return {p: r for p, r in self.image(connection).items() if p in self.shown[0]}

    def qualities(self, connection: str) -> set[str]:
        return {r.quality.value for r in self.image(connection).values()}

    def untrue(self) -> list[str]:
        """Readings of this step that say something that the sensor never showed at their time."""
        start = self.house.clock.now() - STEP * self.steps
        wrong = []
        for connection in self.house.connections:
            for point, reading in self.sensors(connection).items():
                if reading.value is None or reading.quality is Quality.BAD:
                    continue
                truth = self.shown[round((reading.at - start) / STEP)][point]
                if abs(truth - reading.value) > 1e-3:
                    wrong.append(f"{point}: {reading.value} at {reading.at:%H:%M}, it showed {truth}")
        return wrong


def _shown(point: Point, n: int, step: int) -> float:
    if any(word in point.brick for word in ("Energy", "Gas", "Power")):
        return 10_000.0 * (n + 1) + step
    if "CO2" in point.brick:
        return 500.0 + n + step
    return 20.0 + n * 0.125 + step % 16 * 0.25  # exact in a float32


def pytest_collection_modifyitems(config, items) -> None:
    """How BACnet is spoken makes no difference to a bad Modbus wire: those stories are told once."""
    twice = [i for i in items if _told(i, "engine") == "reference" and _told(i, "connection").startswith(MODBUS)]
    config.hook.pytest_deselected(items=twice)
    items[:] = [i for i in items if i not in twice]


def _told(item, parameter: str) -> str:
    return str(item.callspec.params.get(parameter, "")) if hasattr(item, "callspec") else ""


@pytest.fixture(autouse=True, params=["fast", "reference"])
def engine(request) -> str:
    """Both BACnet engines are held to every scenario; a test without BACnet names one of them."""
    return request.param


@pytest.fixture(autouse=True)
def probe_soon(monkeypatch) -> None:
    """A lost device is asked again after half the usual wait: a test has no time."""
    monkeypatch.setattr("controls.cycle.PROBE_WAITS", 2)


@pytest.fixture
def answer_s(request) -> float:
    """How long an answer is waited for. Devices and controller share a loop: where no silence is staged, a busy machine gets time."""
    return getattr(request, "param", ANSWER_S)


@pytest.fixture
def settings(engine, answer_s) -> CycleSettings:
    """The devices stand on this machine: what takes a second on a trunk is waited for half of it."""
    return CycleSettings(600, 900, engine, answer_s=answer_s)


@pytest.fixture
def staged(house) -> Callable[..., AbstractAsyncContextManager[Stage]]:
    """`async with staged("floor_1") as s`: the house with an interposer before each named device."""

    @asynccontextmanager
    async def make(*disturbed: str, storeys: int = 1, zones: int = 2, **more) -> AsyncIterator[Stage]:
        async with house(storeys, zones, disturbed=disturbed, **more) as h:
            yield Stage(h)

    return make
