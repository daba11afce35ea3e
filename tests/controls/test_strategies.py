"""Strategies find their points through the twin, and do in each situation what a good operator would."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controls.forecast import OccupancyForecast
from controls.guard import GuardState, guard
from controls.strategies import find_strategies
from controls.strategies.layout import read_layout
from controls.strategies.static_pressure import pressure_share
from controls.strategies.watch import dew_point_c, legal_outdoor_air_m3_s
from simulators.design import Building
from twin.graph import Graph, Text
from twin.site import find_site, load_site
from twin.words import Image, Quality, Reading, Request

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2025, 7, 14, tzinfo=ZONE)
STEP = timedelta(minutes=10)


def at(hour: float, day: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


class House:
    """The small building with its strategies; `go` lets time pass under fixed readings and gives the last cycle's wishes."""

    def __init__(self, graph: Graph, site, forecast: OccupancyForecast, quiet: Mapping[str, float]) -> None:
        self.strategies = find_strategies(graph, site, forecast)
        self.now = at(0)
        self.seen: dict[str, float] = dict(quiet)
        self.silent: set[str] = set()
        self.fans: list[tuple[str, float]] = []  # each change of AHU-1's fan with its hour

    def go(self, until: datetime, **seen: float) -> dict[str, Request]:
        self.seen |= {name.replace("__", "."): v for name, v in seen.items()}
        wishes: dict[str, Request] = {}
        while self.now < until:
            self.now += STEP
            qualities = {p: Quality.BAD if p in self.silent else Quality.GOOD for p in self.seen}
            image = Image(self.now, {p: Reading(p, self.now, v, qualities[p]) for p, v in self.seen.items()})
            wishes = {r.point: r for s in self.strategies for r in s.propose(image, self.now)}
            fan = wishes.get("ahu_1.fan_run")
            if fan is not None and (not self.fans or self.fans[-1][1] != fan.value):
                self.fans.append((f"{self.now:%H:%M}", fan.value))
        return wishes


@pytest.fixture
def house(graph, site, office_hours, quiet) -> House:
    return House(graph, site, office_hours, quiet)


def values(wishes: Mapping[str, Request], *points: str) -> list[float | None]:
    return [wishes[p].value for p in points]


def test_every_lever_of_the_twin_is_found(house: House, book) -> None:
    wishes = house.go(at(10), east_1__zn_occ=4.0, ahu_1__sa_f=1.0, ahu_2__sa_f=1.0)

    assert [s.name for s in house.strategies] == [
        "start_stop", "setpoints", "minimum_flow", "supply_air", "ventilation", "static_pressure", "lighting",
    ]  # fmt: skip
    assert sorted(wishes) == sorted(p.id for p in book.writable)


def test_a_twin_without_lights_and_air_handlers_gets_no_strategies_for_them(site, office_hours) -> None:
    triples = [
        ("site:z", "rdf:type", "rec:HVACZone"), ("site:z", "rdfs:label", Text("Z")), ("site:r", "rdf:type", "rec:Room"),
        ("site:z", "rec:hasPart", "site:r"), ("site:h", "rdf:type", "brick:Heating_Zone_Air_Temperature_Setpoint"),
        ("site:c", "rdf:type", "brick:Cooling_Zone_Air_Temperature_Setpoint"), ("site:h", "brick:isPointOf", "site:r"),
        ("site:c", "brick:isPointOf", "site:r"),
    ]  # fmt: skip
    site.points_file.unlink()

    assert [s.name for s in find_strategies(Graph.from_triples("bare", triples), site, office_hours)] == ["setpoints"]


def test_nothing_is_wished_for_a_protected_room_and_its_air_handler(graph, site, office_hours, quiet) -> None:
    house = House(graph, replace(site, protected_zones=("zone_core_1",)), office_hours, quiet)

    wishes = house.go(at(10), east_1__zn_occ=4.0, core_1__zn_occ=4.0)

    assert not [p for p in wishes if p.startswith(("core_1.", "ahu_1."))]
    assert {"east_1.clg_sp", "ahu_2.fan_run"} <= set(wishes)


def test_the_demonstration_sites_have_all_strategies(office_hours) -> None:
    for name in ("demo_office", "corner_clinic"):
        site = load_site(find_site(name))
        assert len(find_strategies(Graph.read(site.twin_file), site, office_hours)) >= 3


def test_two_rooms_in_one_zone_count_with_both_areas(building: Building, graph: Graph) -> None:
    layout = read_layout(graph)

    assert (layout.zones[0].key, layout.zones[0].area_m2, layout.zones[0].air_handler) == ("zone_core_1", 200.0, "ahu_1")
    assert layout.people_points == ["core_1.zn_occ", "core_2.zn_occ", "east_1.zn_occ", "east_2.zn_occ"]


# -- start and stop --------------------------------------------------------------------------------------------------------


def test_a_day_has_one_start_before_people_come_and_one_stop_after_they_left(house: House) -> None:
    house.go(at(7), east_1__zn_t=27.7)  # 1.7 K too warm: 0.6 h are needed before 07:00
    house.go(at(8), east_1__zn_t=25.0)
    house.go(at(18.9), east_1__zn_occ=6.0, core_1__zn_occ=8.0)
    house.go(at(24), east_1__zn_occ=0.0, core_1__zn_occ=0.0)

    assert house.fans == [("00:10", 0.0), ("06:30", 1.0), ("19:20", 0.0)]


def test_damp_rooms_are_dried_before_people_come(house: House) -> None:
    house.go(at(8), core_1__zn_rh=65.0)  # at the limit: half of the two hours

    assert house.fans[1] == ("06:00", 1.0)


def test_a_morning_start_is_not_taken_back_when_the_rooms_are_ready_early(house: House) -> None:
    house.go(at(5.5), core_1__zn_rh=70.0)
    house.go(at(9), core_1__zn_rh=50.0)

    assert house.fans == [("00:10", 0.0), ("05:00", 1.0), ("09:00", 0.0)]


def test_late_people_keep_their_own_air_handler_running_and_no_other(house: House) -> None:
    house.go(at(18), east_1__zn_occ=5.0, east_2__zn_occ=5.0)
    wishes = house.go(at(22), east_2__zn_occ=0.0)

    assert values(wishes, "ahu_1.fan_run", "ahu_2.fan_run") == [1.0, 0.0]


def test_someone_who_comes_at_night_starts_the_fan_but_not_again_and_again(house: House) -> None:
    for hour in (1, 3):
        house.go(at(hour))
        house.go(at(hour + 0.5), east_1__zn_occ=1.0)
        house.go(at(hour + 1), east_1__zn_occ=0.0)
    house.go(at(5))
    third = house.go(at(5.5), east_1__zn_occ=1.0)

    assert [hour for hour, value in house.fans if value == 1.0] == ["01:10", "03:10"]
    assert third["ahu_1.fan_run"].why == "started 2 times today already: the night cycle serves who is still here"
    assert values(third, "east_1.htg_sp", "east_1.clg_sp") == [20.7, 25.3]


def test_the_working_day_starts_even_when_the_night_used_up_its_starts(house: House) -> None:
    for hour in (1, 3):
        house.go(at(hour))
        house.go(at(hour + 0.5), east_1__zn_occ=1.0)
        house.go(at(hour + 1), east_1__zn_occ=0.0)

    assert house.go(at(8))["ahu_1.fan_run"].value == 1.0


def test_a_holiday_nobody_told_us_of_ends_after_two_hours_of_waiting(house: House) -> None:
    house.go(at(14))

    assert house.fans == [("00:10", 0.0), ("07:00", 1.0), ("09:00", 0.0)]


def test_a_silent_counter_runs_the_fan_in_working_hours_and_leaves_it_to_its_own_schedule_at_night(house: House) -> None:
    house.silent = {"east_1.zn_occ"}

    assert "ahu_1.fan_run" not in house.go(at(3))
    assert house.go(at(10))["ahu_1.fan_run"].value == 1.0


def crowd(zone, most: float) -> OccupancyForecast:
    """A building whose people are there from 8 to 18 on every day, `most` of them; every counter has seen a quarter."""
    days = [(MONDAY - timedelta(days=n)).date() for n in range(1, 15)]
    points = ("core_1.zn_occ", "core_2.zn_occ", "east_1.zn_occ", "east_2.zn_occ")
    counted = {(day, slot): dict.fromkeys(points, most / 4 if 16 <= slot < 36 else 0.0) for day in days for slot in range(48)}
    return replace(OccupancyForecast.assumed(zone), counted=counted)


def test_a_few_who_stay_late_do_not_hold_a_big_air_handler_but_keep_the_comfort_limits(graph, site, quiet) -> None:
    house = House(graph, site, crowd(site.zone, 400.0), quiet)
    house.go(at(18), east_1__zn_occ=100.0, core_1__zn_occ=100.0)
    few = house.go(at(21), east_1__zn_occ=2.0, core_1__zn_occ=0.0)
    many = House(graph, site, crowd(site.zone, 400.0), quiet).go(at(21), east_1__zn_occ=20.0)

    assert few["ahu_1.fan_run"].value == 0.0
    assert "only 2 of up to 200" in few["ahu_1.fan_run"].why
    assert values(few, "east_1.htg_sp", "east_1.clg_sp") == [20.7, 25.3]
    assert many["ahu_1.fan_run"].value == 1.0


def test_cool_night_air_takes_the_heat_out_before_people_come_and_ends_when_the_rooms_are_cool(house: House) -> None:
    warm = {f"{room}_{n}__zn_t": 27.5 for room in ("core", "east") for n in (1, 2)}
    flushed = house.go(at(4.6), ahu_1__oa_t=14.0, ahu_1__oa_rh=60.0, ahu_1__sa_f=2.0, ahu_2__oa_t=21.0, ahu_2__oa_rh=60.0, **warm)
    house.go(at(5.9), **dict.fromkeys(warm, 22.0))

    assert values(flushed, "ahu_1.fan_run", "ahu_1.sa_t_sp", "ahu_1.oa_f_sp") == [1.0, 18.0, 2.0]
    assert flushed["east_1.clg_sp"].value < 25.0
    assert flushed["ahu_2.fan_run"].value == 0.0  # there the night is not cool enough
    assert house.fans[-1][1] == 0.0


# -- setpoints and minimum flow --------------------------------------------------------------------------------------------


def test_the_comfort_band_follows_the_running_mean_of_the_weather(graph, site, office_hours, quiet) -> None:
    bands = []
    for outdoor_c in (5.0, 14.0, 28.0):
        house = House(graph, site, office_hours, quiet)
        bands.append(
            values(house.go(at(10), ahu_1__oa_t=outdoor_c, ahu_2__oa_t=outdoor_c, east_1__zn_occ=2.0), "east_1.htg_sp", "east_1.clg_sp")
        )

    assert bands[0] < bands[1] < bands[2] or bands[0][1] < bands[1][1] < bands[2][1]
    assert all(20.0 <= heating < cooling <= 26.0 for heating, cooling in bands)


def test_a_humid_room_is_cooled_a_little_more_to_dry_it(house: House) -> None:
    dry, damp, wet = (
        values(house.go(at(9.5 + n), east_1__zn_occ=2.0, east_1__zn_rh=rh, ahu_1__oa_t=28.0), "east_1.clg_sp")[0]
        for n, rh in enumerate((50.0, 62.0, 70.0))
    )

    assert dry > damp > wet >= 23.5


def test_an_empty_room_goes_to_standby_after_half_an_hour_and_comes_back_with_its_people(house: House) -> None:
    house.go(at(11), east_1__zn_occ=2.0, core_1__zn_occ=5.0)
    comfort = house.seen and values(house.go(at(11.5)), "east_1.htg_sp", "east_1.clg_sp")
    coffee = values(house.go(at(11.8), east_1__zn_occ=0.0), "east_1.htg_sp", "east_1.clg_sp")
    empty = values(house.go(at(12.2)), "east_1.htg_sp", "east_1.clg_sp", "east_1.min_flow")
    back = values(house.go(at(12.4), east_1__zn_occ=1.0), "east_1.htg_sp", "east_1.clg_sp", "east_1.min_flow")

    assert coffee == comfort == back[:2]
    assert empty[0] < comfort[0] < comfort[1] < empty[1]
    assert (empty[2], back[2]) == (5.0, 10.0)


def test_a_room_that_awaits_its_first_people_is_not_in_standby(house: House) -> None:
    awaiting = values(house.go(at(7.5)), "east_1.clg_sp", "core_1.clg_sp")
    given_up = values(house.go(at(9.0), core_1__zn_occ=5.0), "east_1.clg_sp", "core_1.clg_sp")

    assert awaiting[0] == awaiting[1] == given_up[1] < given_up[0]


@pytest.mark.parametrize(("co2_ppm", "percent"), [(700.0, 10.0), (900.0, 30.0), (1000.0, 50.0), (1500.0, 50.0), (None, 30.0)])
def test_a_box_opens_as_co2_rises_and_a_dead_sensor_counts_as_much(house: House, co2_ppm: float | None, percent: float) -> None:
    house.silent = {"core_1.zn_co2"} if co2_ppm is None else set()

    assert values(house.go(at(10), core_1__zn_occ=5.0, core_1__zn_co2=co2_ppm or 0.0), "core_1.min_flow") == [percent]


def test_a_cold_room_gets_enough_air_to_carry_heat(house: House) -> None:
    assert values(house.go(at(10), core_1__zn_occ=5.0, core_1__zn_t=18.0), "core_1.min_flow") == [20.0]


# -- air -------------------------------------------------------------------------------------------------------------------


def test_outdoor_air_follows_the_people_and_never_falls_below_the_law(house: House) -> None:
    nobody = values(house.go(at(6)), "ahu_1.oa_f_sp")
    ten = values(house.go(at(10), core_1__zn_occ=10.0), "ahu_1.oa_f_sp")
    stuffy = values(house.go(at(11), core_1__zn_co2=1000.0), "ahu_1.oa_f_sp")

    assert nobody == [0.0]
    assert ten == [pytest.approx(10 * 8.33e-3, abs=1e-3)]
    assert stuffy[0] > 2 * ten[0]


@pytest.mark.parametrize(
    ("outdoor_c", "outdoor_rh", "free"),
    [(12.0, 60.0, True), (18.0, 50.0, True), (18.0, 90.0, False), (24.5, 30.0, False), (30.0, 80.0, False)],
)
def test_outdoor_air_cools_for_nothing_only_when_it_is_cool_and_dry(house: House, outdoor_c: float, outdoor_rh: float, free: bool) -> None:
    wishes = house.go(at(10), core_1__zn_occ=2.0, core_1__zn_t=25.0, ahu_1__oa_t=outdoor_c, ahu_1__oa_rh=outdoor_rh, ahu_1__sa_f=1.5)

    assert ("for nothing" in wishes["ahu_1.oa_f_sp"].why) is free
    assert wishes["ahu_1.oa_f_sp"].value <= 1.5


@pytest.mark.parametrize(("region", "m3_s"), [("CN-GD", 0.0833), ("US-FL", 0.085), ("DE", 0.07)])
def test_the_law_differs_by_country(region: str, m3_s: float) -> None:
    assert legal_outdoor_air_m3_s(region, [(10, 200), (0, 500)]) == pytest.approx(m3_s)


def test_duct_pressure_follows_the_flow_and_is_left_alone_without_a_flow_sensor(house: House) -> None:
    full = values(house.go(at(8), core_1__zn_occ=5.0, ahu_1__sa_f=2.0), "ahu_1.sa_p_sp")
    half = values(house.go(at(9), ahu_1__sa_f=1.0), "ahu_1.sa_p_sp")
    house.silent = {"ahu_1.sa_f"}

    assert full == [pytest.approx(1110, rel=0.04)]
    assert half[0] < 0.7 * full[0]
    assert "ahu_1.sa_p_sp" not in house.go(at(10))


def test_the_pressure_share_stays_between_its_least_and_one() -> None:
    shares = [pressure_share(x / 100, 0.2) for x in range(101)]

    assert min(shares) >= 0.2
    assert max(shares) <= 1.0
    assert shares[50] == pytest.approx(0.61, abs=0.02)


def test_supply_air_stays_cold_in_humid_weather_and_warms_slowly_in_dry(house: House) -> None:
    humid = values(house.go(at(9), core_1__zn_occ=5.0, core_1__zn_rh=60.0, core_1__zn_t=24.0), "ahu_1.sa_t_sp")
    dry = {f"{zone}_1__{tag}": v for zone in ("core", "east") for tag, v in (("zn_rh", 30.0), ("zn_t", 22.0))}
    warming = [values(house.go(at(9) + n * STEP, **dry), "ahu_1.sa_t_sp")[0] for n in (1, 2, 10)]
    a_warm_room = values(house.go(house.now + 6 * STEP, core_1__zn_t=25.2), "ahu_1.sa_t_sp")

    assert humid == [12.8]
    assert warming == [13.3, 13.8, 16.0]
    assert a_warm_room == [12.8]


def test_outdoor_air_alone_may_make_the_supply_air_while_the_fans_have_room(house: House) -> None:
    dry = {f"{zone}_1__{tag}": v for zone in ("core", "east") for tag, v in (("zn_rh", 35.0), ("zn_t", 25.3))}
    house.go(at(9), ahu_1__sa_f=2.0, ahu_1__oa_t=26.0, core_1__zn_occ=5.0, **dry)
    free = values(house.go(at(10), ahu_1__sa_f=0.5, ahu_1__oa_t=14.0, ahu_1__oa_rh=50.0), "ahu_1.sa_t_sp")
    full = values(house.go(at(11), ahu_1__sa_f=1.9), "ahu_1.sa_t_sp")

    assert free == [15.0]
    assert full == [12.8]


def test_dew_point_of_known_air() -> None:
    assert dew_point_c(25.0, 50.0) == pytest.approx(13.9, abs=0.1)
    assert dew_point_c(20.0, 100.0) == pytest.approx(20.0, abs=0.01)


# -- light -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lux", "level"), [(0.0, 82.7), (250.0, 45.5), (600.0, 10.0)])
def test_light_follows_people_and_daylight(house: House, lux: float, level: float) -> None:
    assert values(house.go(at(10), east_1__zn_occ=3.0, east_1__zn_lux=lux), "east_1.light_level") == [pytest.approx(level, abs=0.1)]


def test_an_empty_room_is_nearly_dark_and_a_silent_counter_leaves_the_lights_to_their_own_schedule(house: House) -> None:
    assert values(house.go(at(10)), "east_1.light_level") == [2.0]
    house.silent = {"east_1.zn_occ"}
    assert "east_1.light_level" not in house.go(at(11))


# -- together --------------------------------------------------------------------------------------------------------------


def test_every_wish_says_who_why_until_when_and_on_what_it_rests(house: House) -> None:
    wishes = house.go(at(10), east_1__zn_occ=4.0, ahu_1__sa_f=1.0)

    for wish in wishes.values():
        assert len(wish.why) > 10
        assert wish.until == house.now + timedelta(seconds=900)
    assert wishes["east_1.light_level"].inputs == {"east_1.zn_occ": 4.0, "east_1.zn_lux": 0.0}


def test_old_readings_are_as_good_as_none(house: House, site, graph, book) -> None:
    house.go(at(10), east_1__zn_occ=4.0)
    old = Image(house.now + timedelta(minutes=40), {p: Reading(p, house.now, v) for p, v in house.seen.items()})
    wishes = [r for s in house.strategies for r in s.propose(old, old.at)]

    guarded = guard(wishes, book, old, GuardState.at_start(graph, site), old.at)

    assert not [r for r in wishes if r.point.endswith(("light_level", "sa_p_sp"))]
    assert not [r for r in guarded.refusals if "rests on" in r.refused_because]


def test_the_guard_has_nothing_to_correct_on_an_ordinary_day(house: House, site, graph, book) -> None:
    state, changed = GuardState.at_start(graph, site), []
    for hour in range(1, 24):
        wishes = house.go(at(hour), east_1__zn_occ=4.0 if 8 <= hour < 18 else 0.0, ahu_1__sa_f=1.0 if 7 <= hour < 18 else 0.0)
        image = Image(house.now, {p: Reading(p, house.now, v) for p, v in house.seen.items()})
        guarded = guard(list(wishes.values()), book, image, state, house.now)
        state = guarded.state
        changed += [r.point for r in guarded.requests if r.value != wishes[r.point].value] + list(guarded.refusals)

    assert changed == []


def test_strategies_keep_apart_two_sites_with_their_own_memory(graph, site, office_hours, quiet) -> None:
    one, other = House(graph, site, office_hours, quiet), House(graph, replace(site, name="other"), office_hours, quiet)
    one.go(at(10), east_1__zn_occ=4.0)

    assert values(other.go(at(10)), "east_1.light_level") == [2.0]
