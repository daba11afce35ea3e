"""Figures of recovery: a real gateway in a process of its own is killed and started again, a device leaves and returns, and leases end."""

import asyncio
import contextlib
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ledger.site_commands import grant, sign
from simulators.speed.figures import Figure
from simulators.wire.devices import FieldDevices
from twin.clock import monotonic_s, wall_now
from twin.errors import StateError
from twin.graph import Graph, Text, Triple
from twin.history import History
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.site import Connection, product_root
from twin.words import Authority, Binding, Limits, Point, Quality

DEVICES, OUTPUTS, SENSORS = 25, 20, 10  # 500 points to command
OWN, OURS = 20.0, 61.0  # what the devices' own schedule holds, and what people ask for
AWAY_S = 30.0  # how long a device is off: long enough to be put aside
ENDING = 10  # leases that end one after the other
APART_S = 0.37  # ... so that they meet every phase of the gateway's own rhythm
SOON_S = 20.0  # from the wish to the first of these ends
LOOK_S = 0.1
NEARLY = 0.01
PATIENCE_S = 90.0  # a gateway on a busy machine takes seconds to start; one that takes longer is stuck
TOML = """name = "load"
title = "Load"
place = "Wuhan"
jurisdiction = "CN-42"
timezone = "Asia/Shanghai"
area_m2 = 1000.0
use = "office"
grid_region = "CN-HB"
[group]
name = "g"
owner = "o"
government = "x"
"""


async def recovery_figures(folder: Path) -> list[Figure]:
    """All of them; a minute and a half."""
    book = _book()
    devices = FieldDevices(book, {name: Connection("bacnet", device=1000 + n) for n, name in enumerate(_names())})
    connections = await devices.start()
    try:
        await devices.schedule({p.id: OWN for p in book.writable})
        await devices.publish({p.id: 21.0 for p in book.bound if not p.writable}, wall_now())
        scene = _Scene(_site(folder, book, connections), folder / "state", book, devices)
        return [*await _killed(scene), *await _left_alone(scene)]
    finally:
        await devices.stop()


async def _killed(scene: "_Scene") -> list[Figure]:
    """500 people's overrides; the gateway is killed, and what it held is in nobody's hand until it is started again."""
    outputs = [p.id for p in scene.book.writable]
    async with scene.gateway() as gateway:
        scene.ask(outputs, OURS, wall_now() + timedelta(hours=1))
        await _until(lambda: scene.all_hold(outputs, OURS), "500 points commanded")
        gateway.kill()
        gateway.wait()
    scene.ask(outputs, None, wall_now() + timedelta(hours=1))  # nobody wants them any more: nothing is put back after the release
    assert await scene.all_hold(outputs, OURS), "a killed gateway cannot have let go"
    begun = monotonic_s()
    async with scene.gateway():
        await _until(lambda: scene.all_hold(outputs, OWN), "500 points released")
        seconds = monotonic_s() - begun
    return [Figure(f"gateway killed and started again: {len(outputs)} held points are the building's own after", seconds, "s", 5.0)]


async def _left_alone(scene: "_Scene") -> list[Figure]:
    """A gateway at the usual rates; a device is off for half a minute, and meanwhile leases of others end."""
    async with scene.gateway():
        await _until(lambda: scene.all_good(_names()[0], None), "first readings")
        late, back = await asyncio.gather(_leases_end(scene), _device_returns(scene, _names()[-1]))
    return [
        Figure(f"lease ended to relinquished on the wire, worst of {ENDING}", max(late), "s", 1.0),
        Figure(f"device back after {AWAY_S:.0f} s: all its values good after", back, "s", 5.0),
    ]


async def _leases_end(scene: "_Scene") -> list[float]:
    """Seconds from the end of each lease to its point on its own schedule."""
    points = [p.id for p in scene.book.writable][:ENDING]
    ends = {p: wall_now() + timedelta(seconds=SOON_S + n * APART_S) for n, p in enumerate(points)}
    for point, end in ends.items():
        scene.ask([point], OURS, end)
    await _until(lambda: scene.all_hold(points, OURS), "leases granted")
    late: dict[str, float] = {}

    async def all_ended() -> bool:
        held = await scene.devices.held()
        late.update({p: (wall_now() - ends[p]).total_seconds() for p in points if p not in late and abs(held[p] - OWN) < NEARLY})
        return len(late) == len(points)

    await _until(all_ended, "leases ended")
    return list(late.values())


async def _device_returns(scene: "_Scene", device: str) -> float:
    await scene.devices.kill(device)
    await asyncio.sleep(AWAY_S)
    await scene.devices.revive(device)
    begun, back = monotonic_s(), wall_now()
    await _until(lambda: scene.all_good(device, back), f"{device} read again")
    return monotonic_s() - begun


@dataclass(frozen=True)
class _Scene:
    """A commissioned site in a folder, and its devices in this process."""

    site: Path
    state: Path
    book: PointBook
    devices: FieldDevices

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[subprocess.Popen[bytes]]:
        """`wattproof run` in a process of its own; ended when the block is left, if it still lives then."""
        command = [sys.executable, "-m", "twin", "run", str(self.site), "--state", str(self.state)]
        with (self.state.parent / "gateway.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=product_root(), stdout=log, stderr=log)  # noqa: S603 (our own command)
        try:
            yield process
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)

    def ask(self, points: Iterable[str], value: float | None, until: datetime) -> None:
        """A person's wish for each point, through the journal as the pages do it."""
        now, journal = wall_now(), Journal(self.state / "sites" / "load" / "journal.db")
        about = {"value": value, "by": "ann", "why": "a measurement", "until": until.isoformat(), "authority": int(Authority.OPERATOR)}
        try:
            journal.append(Record("request", now, {"id": f"{p}.{now.timestamp()}", "point": p, **about}) for p in points)
        finally:
            journal.close()

    async def all_hold(self, points: Iterable[str], value: float) -> bool:
        """Whether the devices hold this value at all of these points."""
        held = await self.devices.held()
        return all(abs(held[point] - value) < NEARLY for point in points)

    async def all_good(self, device: str, since: datetime | None) -> bool:
        """Whether the gateway has good readings of all points of a device, read after `since`."""
        history = History(self.state / "sites" / "load" / "history.db")
        try:
            latest = history.latest()
        finally:
            history.close()
        readings = [latest.get(p.id) for p in self.book.by_connection()[device]]
        return all(r is not None and r.quality is Quality.GOOD and (since is None or r.at >= since) for r in readings)


async def _until(true: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
    deadline = monotonic_s() + PATIENCE_S
    while not await true():
        if monotonic_s() > deadline:
            raise StateError(f"a recovery was measured, and this never came: {what}; see the site's journal and try on a quieter machine")
        await asyncio.sleep(LOOK_S)


def _names() -> list[str]:
    return [f"d{n:02d}" for n in range(DEVICES)]


def _book() -> PointBook:
    points = []
    for name in _names():
        points += [_point(f"{name}.out_{n}", f"bacnet:{name}/analog-output,{n}", Limits(0, 100, 100, OWN)) for n in range(OUTPUTS)]
        points += [_point(f"{name}.in_{n}", f"bacnet:{name}/analog-input,{n}", None) for n in range(SENSORS)]
    return PointBook(points)


def _point(name: str, address: str, limits: Limits | None) -> Point:
    brick = "Zone_Air_Temperature_Sensor" if limits is None else "Damper_Position_Command"
    unit = "DEG_C" if limits is None else "PERCENT"
    return Point(name, brick, unit, name.split(".")[0], writable=limits is not None, limits=limits, binding=Binding(name, address))


def _site(folder: Path, book: PointBook, connections: Mapping[str, Connection]) -> Path:
    """The site's folder as an integrator would leave it, signed by an engineer and granted."""
    site, state = folder / "site", folder / "state"
    site.mkdir()
    state.mkdir()
    tables = [
        f'[connections.{n}]\nprotocol = "bacnet"\nhost = "{c.host}"\nport = {c.port}\ndevice = {c.device}\n' for n, c in connections.items()
    ]
    (site / "site.toml").write_text(TOML + "".join(tables), encoding="utf-8")
    rows = ["point,address,writable,low,high,step,fallback"]
    for p in book.values():
        assert p.binding
        rows.append(f'{p.id},"{p.binding.address}",' + (f"yes,{p.limits.low},{p.limits.high},,{OWN}" if p.limits else "no,,,,"))
    (site / "points.csv").write_text("\n".join(rows), encoding="utf-8")
    Graph.from_triples("load", _triples(book)).write(site / "twin.ttl", [])
    with contextlib.redirect_stdout(io.StringIO()):
        sign(str(site), folder / "engineer.pem", "chen", new_key=True, days=1)
        grant(str(site), str(state))
    return site


def _triples(book: PointBook) -> list[Triple]:
    triples: list[Triple] = []
    for name in _names():
        triples += [(f"site:{name}", "rdf:type", "brick:VAV"), (f"site:{name}", "rdfs:label", Text(name))]
    for p in book.values():
        triples += [(f"site:{p.id}", "rdf:type", f"brick:{p.brick}"), (f"site:{p.id}", "rdfs:label", Text(p.id))]
        triples.append((f"site:{p.id}", "brick:isPointOf", f"site:{p.owner}"))
    return triples
