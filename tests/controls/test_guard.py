"""The guard: whatever is asked, seen or remembered, no hard limit breaks; inside the limits a person's word counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controls.guard import DEAD_BAND_K, FAN_OFF_MIN_S, FAN_ON_MIN_S, SUPPLY_C, ZONE_C, GuardState, guard
from twin.errors import SiteError
from twin.points import PointBook
from twin.words import Authority, Image, Limits, Quality, Reading, Request

NOON = datetime(2025, 7, 14, 4, 0, tzinfo=UTC)  # 12:00 at the site
STEP = timedelta(minutes=10)


def wish(point: str, value: float | None, authority: Authority = Authority.STRATEGY, by: str = "test", **inputs: float) -> Request:
    return Request(point, value, by, "a test asks", NOON + timedelta(days=30), authority, inputs)


@pytest.fixture
def start(graph, site) -> GuardState:
    return GuardState.at_start(graph, site)


@pytest.fixture
def rule(book, start, image_of, quiet):
    """Rule on wishes at noon, with some readings changed; gives {point: value}."""

    def ruled(*wishes: Request, state: GuardState = start, now: datetime = NOON, **seen: float | None):
        values = quiet | {name.replace("__", "."): v for name, v in seen.items()}
        image = image_of(now, {p: v for p, v in values.items() if v is not None})
        return guard(wishes, book, image, state, now)

    return ruled


def values(guarded) -> dict[str, float | None]:
    return {r.point: r.value for r in guarded.requests}


def test_a_setpoint_that_would_freeze_or_cook_a_room_is_held_to_its_limit(rule) -> None:
    guarded = rule(wish("east_1.htg_sp", 5.0), wish("east_1.clg_sp", 40.0))

    assert values(guarded) == {"east_1.clg_sp": 30.0, "east_1.htg_sp": 16.0}
    assert "the guard held it to 30 instead of 40" in guarded.requests[0].why


def test_where_people_are_the_comfort_band_holds_and_elsewhere_the_night_may_be_wide(rule) -> None:
    night = [wish(f"{z}.{sp}", v) for z in ("east_1", "core_1") for sp, v in (("htg_sp", 16.0), ("clg_sp", 29.0))]

    assert values(rule(*night, east_1__zn_occ=3.0)) == {
        "core_1.clg_sp": 29.0, "core_1.htg_sp": 16.0, "east_1.clg_sp": 26.0, "east_1.htg_sp": 20.0,
    }  # fmt: skip


@pytest.fixture
def restful(book):
    """The book with one point that rests between two changes, and one with minimum times on and off."""

    def limits(point, **more):
        return replace(book[point], limits=replace(book[point].limits, **more))

    rests = {"east_1.min_flow": {"interval_s": 1800.0}, "east_1.light_level": {"on_min_s": 1200.0, "off_min_s": 2400.0}}
    return PointBook(limits(p.id, **rests[p.id]) if p.id in rests else p for p in book.values())


def test_a_point_rests_its_interval_whoever_asks_and_life_safety_does_not_wait(restful, start, image_of, quiet) -> None:
    """F52: alternating values."""
    point, state, ruled = "east_1.min_flow", start, []
    for minutes, value in ((0, 30.0), (10, 60.0), (20, 35.0), (30, 60.0), (40, 30.0)):
        now = NOON + timedelta(minutes=minutes)
        guarded = guard([wish(point, value, Authority.OPERATOR)], restful, image_of(now, quiet), state, now)
        state = guarded.state
        ruled.append(values(guarded)[point])
    now = NOON + timedelta(minutes=41)
    safety = guard([wish(point, 100.0, Authority.EQUIPMENT)], restful, image_of(now, quiet), state, now)

    assert ruled == [30.0, 30.0, 30.0, 60.0, 60.0]
    assert "held to 60" in guarded.refusals[0].refused_because
    assert values(safety) == {point: 100.0}


def test_a_point_keeps_its_own_minimum_times_on_and_off(restful, start, image_of, quiet) -> None:
    """F27, F52."""
    point, state, ruled = "east_1.light_level", start, []
    for minutes, value in ((0, 80.0), (10, 0.0), (15, 40.0), (20, 0.0), (40, 0.0), (50, 50.0), (80, 50.0)):
        now = NOON + timedelta(minutes=minutes)
        guarded = guard([wish(point, value, Authority.OPERATOR)], restful, image_of(now, quiet), state, now)
        state = guarded.state
        ruled.append(values(guarded)[point])

    assert ruled == [80.0, 80.0, 40.0, 40.0, 0.0, 0.0, 50.0]


def test_a_silent_counter_counts_as_people(rule) -> None:
    assert values(rule(wish("east_1.clg_sp", 29.0), east_1__zn_occ=None)) == {"east_1.clg_sp": 26.0}


def test_a_person_may_leave_the_comfort_band_but_not_the_hard_limits(rule) -> None:
    guarded = rule(wish("east_1.clg_sp", 31.0, Authority.OPERATOR, "ann"), wish("east_1.clg_sp", 24.0), east_1__zn_occ=3.0)

    assert values(guarded) == {"east_1.clg_sp": 30.0}
    assert [(r.by, r.refused_because) for r in guarded.refusals] == [
        ("test", "the wish of ann has more authority or came first"),
        ("ann", "31 is not safe now; held to 30"),
    ]


def test_bad_air_keeps_the_fan_running_and_the_dampers_open(rule, book) -> None:
    stuffy = {"core_1__zn_co2": 1200.0, "core_1__zn_occ": 8.0}
    wishes = (wish("ahu_1.fan_run", 0.0), wish("ahu_1.oa_f_sp", 0.1), wish("core_1.min_flow", 5.0), wish("east_1.min_flow", 5.0))

    assert values(rule(*wishes, **stuffy)) == {"ahu_1.fan_run": 1.0, "ahu_1.oa_f_sp": 2.0, "core_1.min_flow": 30.0, "east_1.min_flow": 5.0}


def test_outdoor_air_is_never_below_the_law_for_the_people_present(rule) -> None:
    guarded = rule(wish("ahu_1.fan_run", 1.0), wish("ahu_1.oa_f_sp", 0.0), core_1__zn_occ=10.0, east_1__zn_occ=2.0)

    assert values(guarded)["ahu_1.oa_f_sp"] == pytest.approx(12 * 8.33e-3)  # GB 50736: 30 m3/h and person


def test_supply_air_is_not_warmed_while_a_room_is_humid(rule) -> None:
    assert values(rule(wish("ahu_1.sa_t_sp", 16.0), core_1__zn_rh=40.0, east_1__zn_rh=40.0)) == {"ahu_1.sa_t_sp": 16.0}
    assert values(rule(wish("ahu_1.sa_t_sp", 16.0), core_1__zn_rh=40.0, east_1__zn_rh=70.0)) == {"ahu_1.sa_t_sp": 12.8}
    assert values(rule(wish("ahu_1.sa_t_sp", 16.0), core_1__zn_rh=40.0, east_1__zn_rh=None)) == {"ahu_1.sa_t_sp": 12.8}


def test_a_fan_keeps_its_minimum_times_even_against_a_person_but_not_against_life_safety(rule) -> None:
    running = rule(wish("ahu_1.fan_run", 0.0)).state
    running = rule(wish("ahu_1.fan_run", 1.0), state=running, now=NOON + 2 * STEP).state
    soon, later = NOON + 3 * STEP, NOON + 4 * STEP
    person, safety = (wish("ahu_1.fan_run", 0.0, a) for a in (Authority.OPERATOR, Authority.EQUIPMENT))

    assert values(rule(person, state=running, now=soon)) == {"ahu_1.fan_run": 1.0}
    assert values(rule(safety, state=running, now=soon)) == {"ahu_1.fan_run": 0.0}
    assert values(rule(person, state=running, now=later)) == {"ahu_1.fan_run": 0.0}


def test_a_strategy_cannot_start_a_fan_a_seventh_time_in_a_day_but_a_person_can(rule) -> None:
    state, now = rule(wish("ahu_1.fan_run", 0.0)).state, NOON
    for _ in range(6):
        for value in (1.0, 0.0):
            now += 2 * STEP
            state = rule(wish("ahu_1.fan_run", value), state=state, now=now).state
    now += 2 * STEP

    assert values(rule(wish("ahu_1.fan_run", 1.0), state=state, now=now)) == {"ahu_1.fan_run": 0.0}
    assert values(rule(wish("ahu_1.fan_run", 1.0, Authority.OPERATOR), state=state, now=now)) == {"ahu_1.fan_run": 1.0}
    assert values(rule(wish("ahu_1.fan_run", 1.0), state=state, now=now + timedelta(days=1))) == {"ahu_1.fan_run": 1.0}


def test_a_point_moves_one_step_a_cycle(book, start, image_of, quiet) -> None:
    slow = replace(book["ahu_1.sa_p_sp"], limits=Limits(200, 1200, 100, 1110))
    mine = type(book)([*(p for p in book.values() if p.id != slow.id), slow])
    state, seen = start, []
    for n in range(4):
        guarded = guard([wish(slow.id, 1100.0 if n == 0 else 600.0)], mine, image_of(NOON, quiet), state, NOON)
        seen.append(values(guarded)[slow.id])
        state = guarded.state

    assert seen == [1100.0, 1000.0, 900.0, 800.0]


def test_heating_gives_way_to_a_person_s_cooling(rule) -> None:
    guarded = rule(wish("east_1.clg_sp", 20.5, Authority.OPERATOR), wish("east_1.htg_sp", 21.0))

    assert values(guarded) == {"east_1.clg_sp": 20.5, "east_1.htg_sp": 19.5}


def test_a_wish_that_rests_on_old_data_is_dropped_so_that_the_device_s_own_schedule_rules(rule, book, start, image_of, quiet) -> None:
    old = image_of(NOON - timedelta(minutes=31), quiet)
    image = Image(NOON, old.readings)

    guarded = guard(
        [Request("east_1.min_flow", 10.0, "minimum_flow", "low CO2", NOON + STEP, inputs={"east_1.zn_co2": 450.0})],
        book,
        image,
        start,
        NOON,
    )

    assert guarded.requests == ()
    assert guarded.refusals[0].refused_because == "it rests on east_1.zn_co2, which is missing, bad or older than 30 minutes"


@pytest.mark.parametrize(
    ("request_", "because"),
    [
        (wish("nowhere.sp", 1.0), "no such point"),
        (wish("east_1.zn_t", 1.0), "not writable"),
        (wish("east_1.clg_sp", float("nan")), "not a number"),
        (replace(wish("east_1.clg_sp", 24.0), until=NOON), "ended at"),
    ],
)
def test_what_cannot_be_considered_is_refused_with_the_reason(rule, request_, because: str) -> None:
    guarded = rule(request_)

    assert guarded.requests == ()
    assert because in guarded.refusals[0].refused_because


def test_a_protected_room_and_the_air_handler_that_serves_it_are_only_read(rule, graph, site) -> None:
    state = GuardState.at_start(graph, replace(site, protected_zones=("zone_core_1",)))
    everything = [
        wish(p, 20.0, Authority.OPERATOR)
        for p in ("core_1.htg_sp", "core_1.light_level", "ahu_1.sa_t_sp", "east_1.htg_sp", "ahu_2.sa_t_sp")
    ]

    guarded = rule(*everything, state=state)

    assert sorted(values(guarded)) == ["ahu_2.sa_t_sp", "east_1.htg_sp"]
    assert {r.refused_because for r in guarded.refusals if r.point.startswith(("core_1", "ahu_1"))} == {
        "the point is protected: it is only read"
    }


def test_a_protected_zone_that_does_not_exist_stops_the_start(graph, site) -> None:
    with pytest.raises(SiteError, match="protected zone 'operating theatre' is not in the twin; its zones are zone_core_1"):
        GuardState.at_start(graph, replace(site, protected_zones=("operating theatre",)))


def test_letting_go_is_always_allowed(rule) -> None:
    assert values(rule(wish("ahu_1.fan_run", None), wish("east_1.clg_sp", None, Authority.OPERATOR))) == {
        "ahu_1.fan_run": None,
        "east_1.clg_sp": None,
    }


# -- properties: any wishes, any readings, any ages, any order ------------------------------------------------------------

COMMANDS = (
    *("ahu_1.fan_run", "ahu_1.sa_t_sp", "ahu_1.oa_f_sp", "ahu_1.sa_p_sp", "east_1.min_flow", "east_1.light_level"),
    *("east_1.htg_sp", "east_1.clg_sp", "core_1.clg_sp", "core_1.htg_sp"),
)
SENSORS = ("east_1.zn_t", "east_1.zn_rh", "east_1.zn_co2", "east_1.zn_occ", "core_1.zn_co2", "core_1.zn_occ", "core_1.zn_rh")
wild = st.one_of(st.floats(-1e4, 1e4), st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 0.5, 1.0, 16.0, 20.0, 26.0, 30.0]))
wishes = st.builds(
    lambda point, value, authority, age, rests: Request(
        point, value, f"by {authority.name}", "random", NOON + timedelta(minutes=age), authority, {rests: 0.0} if rests else {}
    ),
    st.sampled_from([*COMMANDS, "east_1.zn_t", "nowhere"]),
    st.one_of(st.none(), wild),
    st.sampled_from(list(Authority)),
    st.integers(-10, 2000),
    st.sampled_from(["", *SENSORS]),
)
readings = st.dictionaries(
    st.sampled_from(SENSORS), st.tuples(st.floats(-50, 3000), st.integers(0, 90), st.sampled_from(list(Quality))), max_size=len(SENSORS)
)
cycles = st.lists(st.tuples(st.lists(wishes, max_size=12), readings, st.integers(1, 60)), min_size=1, max_size=6)
many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def image_from(seen, now: datetime) -> Image:
    return Image(now, {p: Reading(p, now - timedelta(minutes=age), value, quality) for p, (value, age, quality) in seen.items()})


@many
@given(cycles)
def test_no_sequence_of_wishes_readings_and_ages_breaks_a_hard_limit(book, start, story) -> None:
    state, now, switched = start, NOON, {}
    for requests, seen, minutes in story:
        now += timedelta(minutes=minutes)
        guarded = guard(requests, book, image_from(seen, now), state, now)
        ruled = {r.point: r.value for r in guarded.requests if r.value is not None}

        assert len({r.point for r in guarded.requests}) == len(guarded.requests)
        for point, value in ruled.items():
            limits = book[point].limits
            assert limits.low <= value <= limits.high
            assert not point.endswith(("htg_sp", "clg_sp")) or ZONE_C[0] <= value <= ZONE_C[1]
            assert not point.endswith("sa_t_sp") or SUPPLY_C[0] <= value <= SUPPLY_C[1]
        for zone in ("east_1", "core_1"):
            if {f"{zone}.htg_sp", f"{zone}.clg_sp"} <= set(ruled):
                assert ruled[f"{zone}.htg_sp"] <= ruled[f"{zone}.clg_sp"] - DEAD_BAND_K
        fan = next((r for r in guarded.requests if r.point == "ahu_1.fan_run" and r.value is not None), None)
        if fan is not None:
            assert fan.value in (0.0, 1.0)
            on, since = switched.get("fan", (fan.value, now - timedelta(days=1)))
            if fan.value != on and fan.authority > Authority.EQUIPMENT:
                assert (now - since).total_seconds() >= (FAN_ON_MIN_S if on else FAN_OFF_MIN_S)
            if fan.value != on or "fan" not in switched:
                switched["fan"] = (fan.value, now)
        state = guarded.state


@many
@given(st.lists(wishes, max_size=12), readings)
def test_what_came_out_passes_again_unchanged(book, start, requests, seen) -> None:
    image = image_from(seen, NOON)
    once = guard(requests, book, image, start, NOON)

    again, next_cycle = (guard(once.requests, book, image, state, NOON) for state in (start, once.state))

    assert again.requests == once.requests == next_cycle.requests
    assert again.refusals == next_cycle.refusals == ()


@many
@given(
    st.lists(wishes.filter(lambda r: r.authority > Authority.OPERATOR), max_size=10),
    readings,
    st.dictionaries(st.sampled_from(COMMANDS), st.floats(0.0, 1.0), min_size=1),
)
def test_inside_the_limits_a_person_s_word_wins(book, start, requests, seen, shares) -> None:
    words = {p: round(low + share * (high - low), 3) for p, share in shares.items() for low, high in [_safe(p, book[p].limits)]}

    guarded = guard([*requests, *(wish(p, v, Authority.OPERATOR) for p, v in words.items())], book, image_from(seen, NOON), start, NOON)

    ruled = {r.point: r.value for r in guarded.requests}
    assert {p: ruled[p] for p in words} == words


def _safe(point: str, limits: Limits) -> tuple[float, float]:
    """Where nothing hard stands against a wish: heating and cooling far enough apart, fans on."""
    special = {"fan_run": (1.0, 1.0), "htg_sp": (16.0, 22.0), "clg_sp": (23.0, 30.0), "sa_t_sp": SUPPLY_C}
    return special.get(point.rsplit(".", 1)[1], (limits.low, limits.high))
