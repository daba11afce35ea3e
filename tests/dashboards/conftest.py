"""A counterpart of a running site: a state folder with journal, history and plan, whose values move on each second,
and a controller that gives the building back when asked. No other room is needed to try the pages."""

import asyncio
import contextlib
import math
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboards.building import Building, read_building
from dashboards.desk import Desk
from dashboards.server import bind, make_server, web_server
from ledger import explorer
from ledger.seal_commands import make_recorder
from ledger.witness import Witness, WitnessServer
from simulators.founding import found, meter_records
from twin.addresses import parse_address
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal, Record
from twin.site import load_site, product_root
from twin.state import StateFolder
from twin.words import Point, Quality, Reading, Reason

STEP = timedelta(minutes=10)
START = datetime(2026, 7, 14, 16, 0, tzinfo=UTC)  # midnight in Shenzhen


@dataclass
class LiveSite:
    """A site that lives: `step` appends one cycle; `obey` plays the controller's answer to a changed mode or a wish."""

    building: Building
    state: StateFolder
    at: datetime = START
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    seen: int = 0
    commands: int = 0
    energy_wh: float = 1_000_000.0

    def __post_init__(self) -> None:
        folder = self.state.site(self.building.site.name)
        self.journal = Journal(folder / "journal.db")
        self.history = History(folder / "history.db")

    def open(self) -> None:
        """What stands in the journal before the first cycle."""
        body = {
            "models": [{"file": "models/services.ifc", "sha256": "0" * 64, "schema": "IFC4"}],
            "version": "0.1.0",
            "counts": {"rooms": 15},
        }
        records = [Record("import", self.at, body), Record("mode", self.at, {"mode": "automatic", "by": "demo", "why": "simulated period"})]
        records += [Record("reference", self.at, reference(name, factor)) for name, factor in (("bau", 1.32), ("code", 1.13))]
        records += [
            Record(
                "device",
                self.at,
                {"connection": c, "event": "found", "fingerprint": {"vendor": "wattproof", "model": "simulated " + c, "instance": n}},
            )
            for n, c in enumerate(("ahu_1", "floor_1", "lights_1", "main_meter", "meters"))
        ]
        self.journal.append(records)
        self.alarm("overload", "em_main", "Demand 212 kW is above 95 % of the contract", 40)
        self.alarm("device_lost", "lights_2", "No answer for three cycles", 90, "cleared")

    def step(self) -> None:
        """One cycle: readings of every device, some commands with outcomes, the score so far."""
        self.at += STEP
        values = {p.id: self.value(p) for p in self.building.points.values()}
        records = [
            Record("readings", self.at, {"connection": c, "at": self.at.isoformat(), "values": v}) for c, v in self.by_connection(values)
        ]
        if self.mode() == "automatic":
            records += self.some_commands()
        power = values["em_main.power"]
        self.energy_wh += (power or 0) * STEP.total_seconds() / 3600
        comfort = dict(zip(COMFORT, (6.9, 4.1, 0.8, 0.0, 3.2, 1.1), strict=True))
        used = (self.energy_wh - 1_000_000) / 1000
        split = {"whole": used, "hvac_light": used * 0.6, "electricity": used * 0.97, "gas": used * 0.03}
        records.append(Record("score", self.at, {"energy_kwh": split, "comfort": comfort, "power_kw": (power or 0) / 1000}))
        self.journal.append(records)
        self.history.add(Reading(p, self.at, v, *self.quality(p)) for p, v in values.items() if v is not None)

    def obey(self) -> None:
        """Play the controller: release when the mode goes off, pass a wish on as a command."""
        for row in self.journal.after(self.seen):
            self.seen = row.number
            if row.kind == "mode" and row.body["mode"] == "off":
                by, why = row.body["by"], row.body["why"]
                self.journal.append([Record("release", self.at, {"by": by, "why": why, "points": 61, "held_after": 0, "seconds": 0.42})])
            if row.kind == "request":
                b = row.body
                self.command(b["point"], b["value"], b["by"], b["why"])

    def command(self, point: str, value: float | None, by: str, why: str, result: str = "applied") -> None:
        self.journal.append(self.command_records(point, value, by, why, result))

    def alarm(self, kind: str, source: str, message: str, priority: int, state: str = "raised") -> None:
        body = {"id": f"{kind}-{source}", "kind": kind, "source": source, "message": message, "state": state, "priority": priority}
        self.journal.append([Record("alarm", self.at, body)])

    def mode(self) -> str:
        return self.journal.latest(["mode"])[0].body["mode"]

    def value(self, point: Point) -> float | None:
        hour = (self.at + timedelta(hours=8)).hour + self.at.minute / 60
        open_hours = 1.0 if 8 <= hour < 18 else 0.0
        warmer = 1.9 if "zn_3" in point.id and "top" in point.id else 0.0
        normal = {
            "zn_t": 24.2 + warmer + 0.8 * math.sin(hour / 24 * 6.28) + self.dice.gauss(0, 0.15),
            "zn_co2": 430 + 380 * open_hours + self.dice.gauss(0, 20),
            "zn_occ": round(open_hours * self.dice.uniform(3, 14)),
            "level_now": open_hours * self.dice.uniform(40, 80),
            "level": open_hours * 60,
            "light_level_now": open_hours * self.dice.uniform(40, 80),
            "light_level": open_hours * 60,
            "power": 1000 * (28 + 120 * open_hours * math.sin(max(0, hour - 6) / 14 * 3.14) ** 2 + self.dice.gauss(0, 2)),
            "energy": self.energy_wh,
            "record": None,
        }
        tag = point.id.rpartition(".")[2]
        return normal.get(tag, point.limits.fallback if point.limits else 20 + self.dice.gauss(0, 0.3))

    def quality(self, point: str) -> tuple[Quality, Reason]:
        lost = point.startswith("perimeter_mid_zn_2.zn")
        return (Quality.STALE, Reason.FAULT) if lost else (Quality.GOOD, Reason.NONE)

    def by_connection(self, values: dict[str, float | None]):
        groups: dict[str, dict[str, list]] = {}
        for point in self.building.points.bound:
            quality, reason = self.quality(point.id)
            if values[point.id] is None:
                quality, reason = Quality.BAD, Reason.FAULT
            groups.setdefault(parse_address(point.binding.address).connection, {})[point.id] = [
                values[point.id],
                quality.value,
                reason.value,
            ]
        return groups.items()

    def some_commands(self) -> list[Record]:
        name = self.dice.choice(sorted({room.zone for room in self.building.rooms}))
        choices = [
            (f"{name}.min_flow", 12.0, "ventilation", "3 people: 12 % keeps 8.3 l/s a person and CO2 below 800 ppm", "applied"),
            (f"{name}.light_level", 45.0, "daylight", "620 lx from outside, 500 lx wanted", "applied"),
            (f"{name}.clg_sp", 25.5, "setpoints", "PMV 0.2 at 25.5 °C with air at 0.15 m/s", "masked"),
            (
                "ahu_1.sa_p_sp",
                420.0,
                "pressure",
                "most open damper at 74 %: trim by 20 Pa",
                "rejected" if self.dice.random() < 0.1 else "applied",
            ),
        ]
        return self.command_records(*self.dice.choice(choices))

    def command_records(self, point: str, value: float | None, by: str, why: str, result: str) -> list[Record]:
        self.commands += 1
        until = (self.at + timedelta(minutes=15)).isoformat()
        command = {
            "id": f"c{self.commands}", "cycle": self.commands, "point": point, "value": value, "priority": 13, "by": by, "why": why,
            "until": until, "authority": 6, "before": 30.0, "inputs": {},
        }  # fmt: skip
        outcome = {
            "command": f"c{self.commands}", "point": point, "result": result, "read_back": value, "slot": value,
            "ruling_priority": 8 if result == "masked" else 13, "detail": "by priority 8" if result == "masked" else "",
        }  # fmt: skip
        return [Record("command", self.at, command), Record("outcome", self.at, outcome)]

    def close(self) -> None:
        self.journal.close()
        self.history.close()


COMFORT = ("ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent")


def reference(name: str, factor: float) -> dict:
    """A baseline run of two days in the journal's form."""
    power = []
    for i in range(288):
        hour = (i / 6) % 24
        busy = 1.0 if 7 <= hour < 19 else 0.0
        power.append(round(factor * (30 + 118 * busy * math.sin(max(0, hour - 6) / 14 * 3.14) ** 2), 2))
    energy = sum(power) / 6
    comfort = dict(zip(COMFORT, (7.4, 5.0, 1.1, 0.4, 4.0, 0.0), strict=True))
    return {
        "controller": name, "step_s": 600, "start": START.isoformat(), "power_kw": power,
        "energy_kwh": {"whole": energy, "hvac_light": energy * 0.6, "electricity": energy, "gas": 0.0}, "comfort": comfort,
    }  # fmt: skip


@pytest.fixture(scope="session")
def building() -> Building:
    """The demonstration site as it stands in the product."""
    site = load_site(product_root() / "sites" / "demo_office")
    return read_building(site, Graph.read(site.twin_file))


@pytest.fixture
def live_site(building: Building, tmp_path: Path):
    """A site with a morning behind it."""
    site = LiveSite(building, StateFolder(tmp_path / "state"))
    site.open()
    for _ in range(60):
        site.step()
    yield site
    site.close()


@pytest.fixture
def desk(building: Building, live_site: LiveSite):
    desk = Desk(building, live_site.state, explorer)
    yield desk
    desk.close()


@contextlib.contextmanager
def serving(pages):
    """The pages on a free port of this machine, in a thread of their own; yields the address."""
    listening = bind(0)
    server = web_server(pages)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended while starting"
        threading.Event().wait(0.02)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)
        pages.accounts.close()


@pytest.fixture
def owner_server(desk: Desk, tmp_path: Path):
    """The owner's server over the living site: its address and its pages."""
    pages = make_server("owner", tmp_path / "state", [desk])
    with serving(pages) as url:
        yield url, pages


class Sealing:
    """The ledger beside a living site: the government's witness, the owner's group, and a recorder that follows the journal."""

    def __init__(self, site: LiveSite) -> None:
        self.site, self.root = site, site.state.root
        self.witness = Witness(self.root / "witness", "Shenzhen Housing and Construction Bureau")
        self.server = WitnessServer(self.witness)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        described = site.building.site
        found(described, Graph.read(described.twin_file), site.building.points, site.state, self.server.url)
        self.records = meter_records(described, site.building.points, site.state)
        self._follow = make_recorder(described, site.state, self.server.url)
        self._follow.open()

    def seal(self) -> None:
        """Seal what the journal holds and have it cosigned."""
        while self._follow.step():
            pass
        self._follow.cosign()

    def close(self) -> None:
        self._follow.close()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)
        self.witness.close()


@pytest.fixture
def sealing(live_site: LiveSite):
    """The living site's group, all of the morning sealed and cosigned."""
    sealing = Sealing(live_site)
    sealing.seal()
    yield sealing
    sealing.close()


@contextlib.contextmanager
def moving(site: LiveSite, every_s: float = 1.0):
    """Let the site live in a thread: a step each second, and the controller's answers."""
    stop = threading.Event()

    def live() -> None:
        turns = 0
        while not stop.wait(0.2):
            site.obey()
            turns += 1
            if turns % round(every_s / 0.2) == 0:
                site.step()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


@pytest.fixture
def moving_site(live_site: LiveSite):
    with moving(live_site):
        yield live_site


@pytest.fixture
def serve_pages():
    """The context manager that puts made pages on a free port."""
    return serving
