"""Any sequence of wishes, overrides, foreign hands, refusing devices, lost sensors and crashes, over the whole cycle in memory.

After every write no hard limit and no interlock is broken by our doing; inside the limits a person's override wins.
"""

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controls.cycle import Cycle
from simulators.direct import DirectDevices
from twin.clock import SteppedClock
from twin.errors import WireError
from twin.graph import Graph, Text
from twin.history import History
from twin.interlocks import interlocks_of
from twin.journal import Journal, Record
from twin.points import PointBook
from twin.site import Connection, GroupMembership, Site
from twin.words import Binding, Limits, Point, Request

START = datetime(2026, 7, 1, 8, tzinfo=UTC)
STEP = timedelta(minutes=30)  # longer than a fan's minimum times: what is held back here is held back by an interlock
OURS, OPERATOR = 13, 8
HOT, COLD, FAN, HEATING, COOLING, SMOKE = "u.hot", "u.cold", "u.fan", "z.htg_sp", "z.clg_sp", "u.smoke"
FREE = {HEATING: (16.0, 22.0), COOLING: (23.0, 30.0)}  # far enough apart that neither stands in the other's way
LIMITS = {HOT: (0.0, 80.0), COLD: (0.0, 100.0), FAN: (0.0, 1.0), HEATING: (12.0, 24.0), COOLING: (20.0, 32.0)}
BRICK = {
    HOT: "Valve_Command",
    COLD: "Valve_Command",
    FAN: "Start_Stop_Command",
    HEATING: "Heating_Zone_Air_Temperature_Setpoint",
    COOLING: "Cooling_Zone_Air_Temperature_Setpoint",
}
OWNERS = {HOT: "hot_valve", COLD: "cold_valve", FAN: "u", HEATING: "box", COOLING: "box", SMOKE: "u"}
ROWS = f"name,rule\nsmoke,{SMOKE} > 0.5 forbids {COLD} > 20\n"
wild = st.one_of(st.floats(-50, 150), st.sampled_from([float("nan"), float("inf"), 0.0, 1.0, 5.0, 5.1, 50.0]))
names = st.sampled_from(sorted(LIMITS))


def book() -> PointBook:
    kinds = {FAN: "binary-output"}
    points = [
        Point(p, BRICK[p], "NUM", OWNERS[p], writable=True, limits=Limits(low, high, float("inf"), low),
              binding=Binding(p, f"bacnet:dev/{kinds.get(p, 'analog-output')},{n}"))
        for n, (p, (low, high)) in enumerate(LIMITS.items())
    ]  # fmt: skip
    return PointBook([*points, Point(SMOKE, "Status", "NUM", "u", binding=Binding(SMOKE, "bacnet:dev/binary-input,9"))])


def graph() -> Graph:
    kinds = {
        "u": "brick:AHU",
        "hot_valve": "brick:Hot_Water_Valve",
        "cold_valve": "brick:Chilled_Water_Valve",
        "box": "brick:VAV",
        "zone": "rec:HVACZone",
    }
    triples = [(f"site:{k}", "rdf:type", kind) for k, kind in kinds.items()] + [(f"site:{k}", "rdfs:label", Text(k)) for k in kinds]
    triples += [("site:u", "brick:hasPart", "site:hot_valve"), ("site:u", "brick:hasPart", "site:cold_valve")]
    triples += [("site:u", "brick:feeds", "site:box"), ("site:box", "brick:feeds", "site:zone")]
    for p, brick in [*BRICK.items(), (SMOKE, "Status")]:
        triples += [(f"site:{p}", "rdf:type", f"brick:{brick}"), (f"site:{p}", "brick:isPointOf", f"site:{OWNERS[p]}")]
    return Graph.from_triples("s", triples)


def inside(point: str, value: float) -> bool:
    """Whether an override lies where nothing but an interlock may stand against it; a fan has minimum times of its own."""
    low, high = FREE.get(point, LIMITS[point])
    return point != FAN and low <= value <= high


class Watched(DirectDevices):
    """Devices that look at themselves after every write, and can refuse to take any."""

    def __init__(self, points: PointBook) -> None:
        super().__init__(points, {"dev": Connection("bacnet", device=1)})
        self.refusing: set[str] = set()
        self.brought: list[str] = []  # interlocks that a write of ours broke
        self.locks = ()

    def order(self, point: str, raw: float | None, priority: int) -> None:
        if point in self.refusing and priority == OURS:
            raise WireError(f"{point}: write access denied")
        super().order(point, raw, priority)
        if priority == OURS and raw is not None:
            assert LIMITS[point][0] <= raw <= LIMITS[point][1]
            self.brought += [lock.name for lock in self.locks if self.broken_by(lock, point, raw)]

    def broken_by(self, lock, point: str, raw: float) -> bool:
        """Whether this write put its point into a condition while the other point stood against it."""
        first, second = lock.first, lock.second
        if point == first.point and first.holds(raw):
            return second.holds(self.shows(second.point)) == (lock.kind == "forbids")
        if point == second.point and lock.kind == "forbids":
            return second.holds(raw) and first.holds(self.shows(first.point))
        if point == second.point:  # our own coil still open while we take its fan away
            slot = self.slot(first.point)
            return not second.holds(raw) and slot is not None and first.holds(slot) and self.shows(first.point) == slot
        return False

    def shows(self, point: str) -> float:
        value = self.raw(point)
        return float("nan") if value is None else value

    def slot(self, point: str) -> float | None:
        return self.holding(point, OURS)[1]


class Story(RuleBasedStateMachine):
    """One building and everything that can happen to it."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "interlocks.csv").write_text(ROWS)
        facts = {"title": "S", "place": "P", "jurisdiction": "CN-42", "timezone": "Asia/Shanghai", "area_m2": 9.0, "use": "office"}
        (self.folder / "plant.toml").write_text("")
        self.site = Site(folder=self.folder, name="s", grid_region="CN-HB", group=GroupMembership("g", "o", "gov"), connections={}, **facts)
        self.book, self.graph, self.clock = book(), graph(), SteppedClock(START)
        self.devices = Watched(self.book)
        self.devices.locks = self.locks = interlocks_of(self.site, self.graph, self.book)
        assert self.locks[0].name == "smoke"
        assert len(self.locks) == 4
        self.journal, self.history = Journal(self.folder / "j.db"), History(self.folder / "h.db")
        self.loop = asyncio.new_event_loop()
        self.wants: dict[str, float] = {}
        self.overrides: dict[str, tuple[float, datetime]] = {}
        self.smoke: float | None = 0.0
        self.live()

    def live(self) -> None:
        self.cycle = Cycle(self.site, self.graph, self.book, self.journal, self.history, {}, self.clock, [self], direct=self.devices)
        self.run(self.cycle.open())

    name = "wishes"

    def propose(self, image, now) -> list[Request]:
        return [Request(p, v, self.name, "a test", now + timedelta(minutes=15)) for p, v in self.wants.items()]

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.devices.refusing.clear()
            self.run(self.cycle.close())
            assert {p: self.devices.slot(p) for p in LIMITS} == dict.fromkeys(LIMITS)
            self.journal.close()
            self.history.close()
            self.loop.close()
            shutil.rmtree(self.folder)

    @rule(point=names, value=wild)
    def a_strategy_wants(self, point: str, value: float) -> None:
        self.wants[point] = value

    @rule(point=names)
    def a_strategy_wants_no_more(self, point: str) -> None:
        self.wants.pop(point, None)

    @rule(point=names, value=wild, hours=st.floats(0.6, 4))
    def a_person_overrides(self, point: str, value: float, hours: float) -> None:
        if value == value and abs(value) < 1e9:
            self.ask(point, value, hours)

    @rule(point=st.sampled_from(sorted(FREE)), share=st.floats(0, 1), hours=st.floats(0.6, 4))
    def a_person_overrides_within_reason(self, point: str, share: float, hours: float) -> None:
        low, high = FREE[point]
        self.ask(point, round(low + share * (high - low), 2), hours)

    @rule(point=names)
    def a_person_takes_it_back(self, point: str) -> None:
        self.ask(point, None, 1)
        self.overrides.pop(point, None)

    def ask(self, point: str, value: float | None, hours: float) -> None:
        until = self.clock.now() + timedelta(hours=hours)
        body = {"id": "1", "point": point, "value": value, "by": "ann", "why": "w", "until": until.isoformat(), "authority": 3}
        self.journal.append([Record("request", self.clock.now(), body)])
        if value is not None:
            self.overrides[point] = (value, until)

    @rule(point=names, share=st.one_of(st.none(), st.floats(0, 1)))
    def an_operator_at_the_panel(self, point: str, share: float | None) -> None:
        low, high = LIMITS[point]
        self.devices.order(point, None if share is None else round(low + share * (high - low)), OPERATOR)

    @rule(point=names, share=st.floats(0, 1))
    def the_buildings_own_control_moves(self, point: str, share: float) -> None:
        low, high = LIMITS[point]
        self.run(self.devices.schedule({point: round(low + share * (high - low))}))

    @rule(value=st.sampled_from([0.0, 1.0]))
    def the_smoke_sensor_says(self, value: float) -> None:
        self.smoke = value
        self.run(self.devices.publish({SMOKE: value}, self.clock.now()))

    @rule(point=names)
    def a_device_refuses(self, point: str) -> None:
        self.devices.refusing.add(point)

    @precondition(lambda self: self.devices.refusing)
    @rule()
    def devices_obey_again(self) -> None:
        self.devices.refusing.clear()

    @rule()
    def the_controller_is_killed_and_starts_again(self) -> None:
        self.live()

    @rule(times=st.integers(1, 3))
    def time_goes_on(self, times: int) -> None:
        for _ in range(times):
            self.clock.advance(STEP)
            before = {p: self.devices.shows(p) for p in self.book}
            self.run(self.cycle._look_up())  # what `watch` does every second
            self.run(self.cycle.step())
            self.after_a_step(before)

    def after_a_step(self, before: dict[str, float]) -> None:
        shows, slot, refusing = self.devices.shows, self.devices.slot, self.devices.refusing
        for lock in self.locks:
            first, second = slot(lock.first.point), slot(lock.second.point)
            if first is not None and lock.first.holds(first) and lock.first.point not in refusing:
                assert lock.second.holds(shows(lock.second.point)) == (lock.kind != "forbids"), lock
            if lock.kind == "forbids" and second is not None and lock.second.holds(second) and lock.second.point not in refusing:
                assert not lock.first.holds(shows(lock.first.point)), lock
        for point, (value, until) in self.overrides.items():
            if until <= self.clock.now():
                assert point not in self.cycle.held or self.cycle.held[point].by != "ann" or point in refusing
            elif not refusing and inside(point, value) and not self.stands_against(point, value, before):
                assert slot(point) is not None
                assert abs(slot(point) - value) < 1e-4

    def stands_against(self, point: str, value: float, before: dict[str, float]) -> bool:
        """Whether an interlock stands against an override, by what the devices show before or after the step."""
        for lock in self.locks:
            for mine, other in ((lock.first, lock.second), (lock.second, lock.first)):
                if mine.point != point or not mine.holds(value) or (lock.kind != "forbids" and mine is lock.second):
                    continue
                if any(other.holds(shown) == (lock.kind == "forbids") for shown in (before[other.point], self.devices.shows(other.point))):
                    return True
        return False

    @invariant()
    def no_write_ever_broke_an_interlock(self) -> None:
        if hasattr(self, "devices"):
            assert self.devices.brought == []


Story.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_no_sequence_breaks_a_limit_or_an_interlock_and_a_persons_word_counts = Story.TestCase
