"""The rc plant: it conserves energy, behaves like a building, and comes from the twin alone."""

from datetime import date, timedelta

import numpy as np
import pytest

from simulators.baselines import run_baseline, score_as_json
from simulators.design import AirHandlerDesign, Building, ZoneDesign, design_points
from simulators.plant import Period
from simulators.rc import RcPlant
from simulators.rc_building import (
    Held,
    Outdoors,
    RcBuilding,
    RcParameters,
    layout_from_building,
    layout_from_graph,
    relative_humidity,
    saturation_ratio,
)
from simulators.score import saved_percent
from simulators.weather import synthetic_weather
from twin.errors import SiteError, StateError

WEATHER = synthetic_weather()


def building(*, gas=True):
    square = ((0.0, 0.0), (12.0, 0.0), (12.0, 12.0), (0.0, 12.0))
    zones = tuple(
        ZoneDesign(name, storey, square, 3.0 * storey, 3.0, f"AHU-{storey + 1}", daylit)
        for name, storey, daylit in (("South", 0, True), ("Core", 0, False), ("Loft", 1, True))
    )
    return Building("small", (0.0, 3.0), zones, (AirHandlerDesign("AHU-1", 0), AirHandlerDesign("AHU-2", 1)), has_gas=gas)


LAYOUT = layout_from_building(building())


@pytest.fixture
def plant(monday):
    return lambda **changes: RcPlant(changes.pop("layout", LAYOUT), WEATHER, changes.pop("period", monday), **({"seed": 1} | changes))


def run(plant, change=lambda held, step: held):
    step = plant.reset()
    steps = [step]
    while (step := plant.step(change(plant.own_schedule(step.at), step))) is not None:
        steps.append(step)
    return steps


@pytest.mark.parametrize("variant", ["bau", "code"])
def test_no_heat_appears_or_vanishes(plant, variant):
    it = plant(variant=variant)
    it.reset()
    before = it.building.stored_j(it._state)
    step = it.own_schedule(it._at(0))
    for n in range(144):
        it.step(it.own_schedule(it._at(n)))
    assert step

    flows = it.building.balance_j
    assert it.building.stored_j(it._state) - before == pytest.approx(flows["gains"] + flows["air"] - flows["losses"], rel=1e-9)
    assert flows["gains"] > 1e8


def test_left_alone_a_building_comes_to_the_temperature_outdoors():
    zones, off = np.ones(3), np.zeros(2)
    alone = RcBuilding(LAYOUT, RcParameters())
    state = alone.start(30.0, 0.008)
    held = Held(12 * zones, 40 * zones, 0 * zones, 0 * zones, 0 * zones, 0.0, off > 0, off, off, off + 1, False, off > 0)
    for _ in range(60 * 24 * 40):
        alone.step(state, held, Outdoors(18.0, 0.008, 0.0), 60)

    assert state.air_c == pytest.approx(18 * zones, abs=0.5)
    assert state.co2_ppm == pytest.approx(420 * zones, abs=1)


def test_a_day_has_all_its_steps_and_every_point(plant):
    it = plant()
    steps = run(it)
    points = [p for p in design_points(building()) if p.tag != "record"]

    assert [s.at - steps[0].at for s in steps] == [timedelta(minutes=10 * n) for n in range(145)]
    assert set(steps[0].readings) == {p.id for p in points if p.row["writable"] == "no"}
    assert set(it.own_schedule(steps[0].at)) == {p.id for p in points if p.row["writable"] == "yes"}
    assert steps[-1].readings["em_main.energy"] == it.meters()["em_main.energy"]
    assert steps[-1].readings["em_main.energy"] == pytest.approx(it.score().energy_kwh["electricity"] * 1000, abs=1)
    assert it.step(it.own_schedule(steps[-1].at)) is None


def test_rooms_are_kept_in_their_band_and_the_air_is_good(plant):
    noon = run(plant())[72].readings

    for zone in ("south", "core", "loft"):
        assert 21 < noon[f"{zone}.zn_t"] < 25
        assert 420 < noon[f"{zone}.zn_co2"] < 1000
        assert 30 < noon[f"{zone}.zn_rh"] < 70
    assert noon["ahu_1.sa_t"] == pytest.approx(12.8)
    assert noon["ahu_1.oa_f"] == pytest.approx(288 / 18.6 * 0.0125, rel=0.01)


def test_the_same_seed_gives_the_same_digits(plant):
    assert run_baseline(plant()) == run_baseline(plant())
    assert run_baseline(plant()) != run_baseline(plant(seed=2))


@pytest.mark.parametrize(
    ("tag", "value", "month"),
    [(".clg_sp", 26.0, 7), (".light_level", 30.0, 7), (".oa_f_sp", 0.05, 7), (".sa_p_sp", 200.0, 7), (".min_flow", 5.0, 1)],
)
def test_every_lever_saves_energy(plant, monday, tag, value, month):
    def changed(held, step):
        return held | ({p: value for p in held if p.endswith(tag)} if 8 <= step.at.hour < 18 else {})

    period = Period(date(2025, month, 13 if month == 1 else 14), 1, monday.zone)
    it, own = plant(period=period), plant(period=period)
    run(it, changed)

    assert saved_percent(it.score(), run_baseline(own)[1]) > 0.3


def test_without_outdoor_air_co2_rises(plant):
    it = plant()
    noon = run(it, lambda held, step: held | {p: 0.0 for p in held if p.endswith("oa_f_sp")})[72].readings

    assert noon["core.zn_co2"] > 1100
    assert it.score().comfort["co2_over_1000_percent"] > 50


def test_a_stopped_air_handler_cycles_when_a_zone_gets_too_warm(plant):
    def stopped(held, step):
        return held | {p: 0.0 for p in held if p.endswith("fan_run")} | {p: 24.0 for p in held if p.endswith("clg_sp")}

    steps = run(plant(), stopped)
    flows = [s.readings["ahu_1.sa_f"] for s in steps[48:120]]

    assert min(flows) == 0 < max(flows)
    assert max(s.readings["ahu_1.oa_f"] for s in steps[48:120]) == 0
    assert max(s.readings["south.zn_t"] for s in steps[48:120]) < 26


def test_a_building_without_gas_heats_by_electricity(plant):
    layout = layout_from_building(building(gas=False))
    it = plant(layout=layout)
    run(it)

    assert it.score().energy_kwh["gas"] == 0
    assert "gm_main.energy" not in it.meters()


def test_code_uses_less_than_business_as_usual(plant):
    assert 2 < saved_percent(run_baseline(plant(variant="code"))[1], run_baseline(plant())[1]) < 20


def test_a_plant_is_started_once_and_before_its_steps(plant):
    it = plant()
    with pytest.raises(StateError, match="reset"):
        it.step({})
    it.reset()
    with pytest.raises(StateError, match="already"):
        it.reset()


def test_a_score_goes_into_one_json_object(plant):
    row = score_as_json(run_baseline(plant())[1])

    assert set(row["energy_kwh"]) == {"whole", "hvac_light", "electricity", "gas"}
    assert len(row["power_kw"]) == 144
    assert max(row["power_kw"]) == pytest.approx(row["peak_kw"], abs=0.001)


def test_parameters_must_be_numbers_above_nought():
    with pytest.raises(ValueError, match="cooling_cop must be a number above 0, got -3"):
        RcParameters(cooling_cop=-3)


def test_humidity_of_saturated_air_is_a_hundred_percent():
    assert saturation_ratio(20.0) == pytest.approx(0.0147, abs=2e-4)
    assert relative_humidity(saturation_ratio(20.0), np.asarray(20.0)) == pytest.approx(100)
    assert relative_humidity(saturation_ratio(12.8) * 0.95, np.asarray(24.0)) == pytest.approx(47, abs=2)


class Twin:
    """A twin of the small building, answering the named queries that the plant asks."""

    def __init__(self, terminals=True):
        self.points = design_points(building())
        self.terminals = terminals

    def ask(self, query_name, **bindings):
        of_class = [p for p in self.points if p.row["brick"] == bindings.get("brick_class")]
        rows = {
            "zones": [{"zone": z.key, "area_m2": str(z.area_m2), "level": z.level} for z in LAYOUT.zones],
            "terminals": [{"terminal": "x", "zone": z.key, "air_handler": z.air_handler} for z in LAYOUT.zones if self.terminals],
            "meters": [{"meter": "m", "point": p.id} for p in self.points if p.place.endswith("meter")],
            "zone_points": [{"zone": p.id.split(".")[0], "point": p.id} for p in of_class if p.place in ("zone", "lights")],
            "points_of": [{"owner": p.id.split(".")[0], "point": p.id} for p in of_class if p.place == "air_handler"],
        }
        return rows[query_name]


def test_the_plant_comes_from_the_twin_alone():
    assert layout_from_graph(Twin()) == LAYOUT


def test_a_twin_without_boxes_has_nothing_to_simulate():
    with pytest.raises(SiteError, match="no terminal unit"):
        layout_from_graph(Twin(terminals=False))


def test_a_week_goes_through_a_weekend(plant, monday):
    it = plant(period=Period(monday.start, 7, monday.zone))
    steps = run(it)

    assert len(steps) == 7 * 144 + 1
    monday_flow, sunday_flow = (sum(s.readings["ahu_1.sa_f"] for s in steps[d * 144 : d * 144 + 144]) for d in (0, 6))
    assert sunday_flow < 0.5 * monday_flow  # the night cycle only
    assert it.score().fan_starts == 2 * 6
