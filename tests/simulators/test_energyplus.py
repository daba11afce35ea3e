"""The EnergyPlus plant: its traps, its levers, and what control can be worth on it."""

import json
import tempfile
import threading
from datetime import date, datetime, timedelta

import pytest

from simulators.design import design_points
from simulators.energyplus.building import read_building
from simulators.energyplus.editing import design_people, edit
from simulators.energyplus.own import read_own
from simulators.people import simulate_people
from simulators.plant import Period
from simulators.schedules import OPERATIONS, operating
from simulators.score import comfort_failures, saved_percent
from simulators.weather import read_epw
from twin.errors import SiteError, StateError
from twin.words import slug

DAY = 144


@pytest.fixture
def edited(energyplus, monday, tmp_path):
    """The medium office in Miami, edited, with its building and weather; `write` gives the file to run."""
    model = energyplus.load_model(energyplus.shipped("models", "medium_office"), tmp_path)
    building = read_building(model, "medium_office")
    weather = energyplus.shipped("weather", "usa_fl_miami")
    people = design_people(model, building)
    edit(model, building, read_own(model, building, "bau"), monday, read_epw(weather), "bau")

    def write():
        path = tmp_path / "edited.epJSON"
        path.write_text(json.dumps(model))
        return path, weather, tmp_path

    return model, building, people, write


def held_all_day(plant, change):
    """Step a plant through its day under its own schedule with some values changed; returns the steps after the first."""
    step, steps = plant.reset(), []
    while (step := plant.step(plant.own_schedule(step.at) | change)) is not None:
        steps.append(step)
    return steps


def energyplus_threads():
    return [t for t in threading.enumerate() if t.name == "energyplus"]


def test_a_day_has_all_its_steps_and_ends(usual_day):
    plant, steps = usual_day
    first = steps[0]

    assert [s.at - first.at for s in steps] == [timedelta(minutes=10 * n) for n in range(DAY + 1)]
    assert first.at.isoformat() == "2025-07-14T00:00:00+08:00"
    assert first.readings["em_main.energy"] == 0
    assert len(plant.score().power_kw) == DAY
    assert plant.meters()["em_main.energy"] == pytest.approx(plant.score().energy_kwh["electricity"] * 1000, abs=1)
    assert steps[-1].readings["em_main.energy"] == plant.meters()["em_main.energy"]
    assert steps[60].readings["em_main.power"] == pytest.approx(plant.score().power_kw[59] * 1000)


def test_every_point_of_the_design_can_be_read_or_held(usual_day):
    plant, (first, *_) = usual_day
    points = [p for p in design_points(plant.building) if p.tag != "record"]

    assert set(first.readings) == {p.id for p in points if p.row["writable"] == "no"}
    assert set(plant.own_schedule(first.at)) == {p.id for p in points if p.row["writable"] == "yes"}


def test_the_same_run_twice_gives_the_same_digits(miami, usual_day):
    again = miami()
    steps = held_all_day(again, {})

    assert steps == usual_day[1][1:]
    assert again.score() == usual_day[0].score()


def test_business_as_usual_through_held_values_equals_the_engine_on_its_own_schedules(usual_day, edited, energyplus, monday):
    through, _ = usual_day
    model, building, people, write = edited
    let_the_model_run_by_itself(model, building)
    counts = simulate_people(people, monday.start, 1, 1)
    used, handles, lamps = [], {}, {}

    def begin(x):
        if x.ready and not handles:
            handles.update({slug(z.name): x.actuator("People", "Number of People", z.source["people"]) for z in building.zones})
            for lights in (z.source["lights"] for z in building.zones):
                lamps[x.actuator("Lights", "Electricity Rate", lights)] = x.internal("Lighting Power Design Level", lights)
            handles["meter"] = x.meter("Electricity:Facility")
            x.require_all()
        if x.ready and x.in_run_period:
            for zone, count in counts.at(x.step_of_day).items():
                x.set(handles[zone], float(count))
            for lamp, watts in lamps.items():  # lamps and people have no schedule in the model that could be equal
                x.set(lamp, watts * operating("bau", monday.begin + timedelta(minutes=10 * x.step_of_day)).light_percent / 100)

    def end(x):
        if handles and x.in_run_period and not x.warming_up:
            used.append(x.read_meter(handles["meter"]) / 3.6e6)

    energyplus.run(*write(), begin, end)

    assert len(used) == DAY
    assert sum(used) == pytest.approx(through.score().energy_kwh["electricity"], rel=1e-9)


def let_the_model_run_by_itself(model, building):
    """Put hourly schedules of business as usual in the place of every lever; sizing days see what they saw before."""

    def hourly(sized_with, value):
        sizing = ["For: SummerDesignDay WinterDesignDay", "Until: 24:00", sized_with, "For: AllOtherDays"]
        hours = [x for h in range(24) for x in (f"Until: {h + 1:02d}:00", value(operating("bau", datetime(2025, 7, 14, h))))]  # noqa: DTZ001
        return {"data": [{"field": x} for x in ("Through: 12/31", *sizing, *hours)]}

    compact = model.setdefault("Schedule:Compact", {})
    for handler in building.air_handlers:
        compact[f"{slug(handler.name)}.fan_run"] = hourly(1.0, lambda o: float(o.fan_on))
        compact[f"{slug(handler.name)}.oa_share"] = hourly(1.0, lambda o: float(o.outdoor_air_on))
    for zone in building.zones:
        compact[f"{slug(zone.name)}.htg_sp"] = hourly(21.0, lambda o: o.heating_c)
        compact[f"{slug(zone.name)}.clg_sp"] = hourly(24.0, lambda o: o.cooling_c)
    for name in [n for n in compact if n in model["Schedule:Constant"]]:
        del model["Schedule:Constant"][name]


def test_a_handle_that_does_not_exist_refuses_the_run(edited, energyplus):
    def begin(x):
        if x.ready:
            x.variable("Zone Mean Air Temperature", "no such zone")
            x.require_all()

    with pytest.raises(SiteError, match="no variable Zone Mean Air Temperature / no such zone"):
        energyplus.run(*edited[-1](), begin, lambda x: None)


@pytest.mark.parametrize("broken", ["begin", "end"])
def test_an_error_inside_the_engine_comes_out(edited, energyplus, broken):
    def fail(x):
        raise ZeroDivisionError(broken)

    calls = {"begin": lambda x: None, "end": lambda x: None} | {broken: fail}
    with pytest.raises(ZeroDivisionError, match=broken):
        energyplus.run(*edited[-1](), calls["begin"], calls["end"])


def test_a_model_that_the_engine_refuses_is_explained_in_its_own_words(edited, energyplus):
    model, _, _, write = edited
    next(iter(model["Zone"].values()))["multiplier"] = -5

    with pytest.raises(SiteError, match="EnergyPlus ended with code"):
        energyplus.run(*write(), lambda x: None, lambda x: None)


def test_a_value_missing_from_the_held_ones_reaches_the_caller(miami):
    plant = miami()
    held = plant.own_schedule(plant.reset().at)
    del held["core_mid.htg_sp"]

    with pytest.raises(KeyError, match=r"core_mid\.htg_sp"):
        plant.step(held)
    plant.close()
    assert energyplus_threads() == []


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder of this test alone: other runs on the machine come and go in the common one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: sorted(tmp_path.glob("wattproof-energyplus-*"))


def test_an_early_close_leaves_no_thread_and_no_folder(miami, temporary):
    plant = miami()
    plant.step(plant.own_schedule(plant.reset().at))
    assert (len(energyplus_threads()), len(temporary())) == (1, 1)
    plant.close()
    plant.close()  # a second time does no harm

    assert energyplus_threads() == []
    assert temporary() == []


def test_a_plant_that_never_started_closes_and_knows_no_schedule(miami, monday):
    plant = miami()

    with pytest.raises(StateError, match="call reset first"):
        plant.own_schedule(monday.begin)
    with pytest.raises(StateError, match="reset the plant"):
        plant.step({})
    plant.close()


def test_a_plant_that_has_ended_stays_ended(usual_day):
    plant, steps = usual_day

    assert plant.step(plant.own_schedule(steps[-1].at)) is None
    with pytest.raises(StateError, match="started already"):
        plant.reset()


def test_a_model_with_nothing_to_control_is_refused_and_leaves_no_folder(energyplus, monday, temporary, tmp_path):
    from simulators.energyplus.plant import EnergyPlusPlant

    bare = tmp_path / "bare.epJSON"
    bare.write_text(json.dumps({"Version": {"Version 1": {"version_identifier": "25.2"}}, "Zone": {"Shed": {}}}))
    with pytest.raises(SiteError, match="nothing to control"):
        EnergyPlusPlant(bare, energyplus.shipped("weather", "usa_fl_miami"), monday, seed=1)

    assert temporary() == []


def test_a_period_stays_in_its_year():
    zone = datetime.now().astimezone().tzinfo
    for start, days in ((date(2025, 12, 31), 2), (date(2025, 7, 14), 0), (date(2024, 7, 14), 1)):
        with pytest.raises(ValueError, match="one year"):
            Period(start, days, zone)


def test_all_controllers_share_one_sized_plant_and_its_people(miami, usual_day):
    usual, code = usual_day[0], miami(variant="code")
    code.reset()

    assert usual.sizing == code.sizing
    assert {type(value) for value in code.design().values()} == {float}  # what the demo compares run by run
    assert sum(usual.sizing.people.values()) == pytest.approx(268, abs=1)
    assert usual.counters == pytest.approx({f"{z}.zn_occ": n for z, n in usual.sizing.people.items()}, rel=1e-6)


def test_equipment_is_sized_for_the_weather_it_runs_in(miami, usual_day):
    cold = miami(weather="usa_il_chicago")
    cold.reset()

    assert cold.sizing.fan_m3_s != usual_day[0].sizing.fan_m3_s


def test_a_box_may_go_below_the_minimum_it_was_sized_with(miami, usual_day):
    plant = miami()
    zones = [slug(z.name) for z in plant.building.zones]
    steps = held_all_day(plant, {f"{z}.min_flow": 5.0 for z in zones})
    own, own_steps = usual_day

    least, own_least = (min(s.readings["perimeter_bot_zn_4.sa_f"] for s in run[48:100]) for run in (steps, own_steps))
    assert least < 0.8 * own_least
    assert plant.score().energy_kwh["whole"] < own.score().energy_kwh["whole"]


def test_outdoor_air_follows_its_setpoint_on_both_sides_of_the_design_minimum(miami):
    plant = miami()
    step = plant.reset()
    flows = {}
    while step is not None:
        held, hour = plant.own_schedule(step.at), step.at.hour
        asked = {9: 0.6, 10: 1.6}.get(hour, held["ahu_2.oa_f_sp"])
        following = plant.step(held | {"ahu_2.oa_f_sp": asked})
        if step.at.hour in (8, 9, 10, 11) and step.at.minute == 30:
            flows[hour] = following.readings["ahu_2.oa_f"]
        step = following

    design = plant.sizing.minimum_outdoor_air_m3_s["ahu_2"]
    assert flows == pytest.approx({8: design, 9: 0.6, 10: 1.6, 11: design}, rel=0.005)


def test_a_fan_cannot_be_throttled_below_what_the_duct_needs(miami, usual_day):
    plant = miami()
    held_all_day(plant, {f"ahu_{n}.sa_p_sp": 200.0 for n in (1, 2, 3)})
    own = usual_day[0].score().end_uses_kwh["fans"]

    assert 0.5 * own < plant.score().end_uses_kwh["fans"] < 0.8 * own


def test_each_air_handler_has_its_own_fan(miami):
    plant = miami()
    zones = [slug(z.name) for z in plant.building.zones if z.air_handler == "AHU-2"]
    off = {"ahu_2.fan_run": 0.0} | {f"{z}.clg_sp": 32.0 for z in zones} | {f"{z}.htg_sp": 12.0 for z in zones}
    noon = held_all_day(plant, off)[71].readings

    assert noon["ahu_2.sa_f"] == 0
    assert noon["ahu_1.sa_f"] > 1
    assert noon["core_mid.zn_t"] > noon["core_bottom.zn_t"] + 1


def test_a_light_level_below_nought_leaves_the_lamps_to_their_own_schedule(miami):
    plant = miami()
    noon = held_all_day(plant, {"core_mid.light_level": -0.1, "core_top.light_level": 40.0})[71].readings

    assert (noon["core_mid.light_level_now"], noon["core_top.light_level_now"]) == (95.0, 40.0)


def test_rules_save_a_fifth_against_code_at_kept_comfort(miami, usual_day, drive, oracle_for):
    code, rules = miami(variant="code"), miami()
    for plant, rule in ((code, None), (rules, oracle_for)):
        assert drive(plant, rule) == DAY
    scores = [p.score() for p in (usual_day[0], code, rules)]

    assert [round(s.energy_kwh["whole"]) for s in scores[:2]] == [2994, 2767]
    assert 20 < saved_percent(scores[2], scores[1]) < saved_percent(scores[2], scores[0]) < 33
    assert comfort_failures(scores[2].comfort, scores[0].comfort) == []
    assert scores[0].person_hours == scores[2].person_hours


def test_the_operations_are_those_of_the_tables():
    monday = datetime(2025, 7, 14, 6, 30)  # noqa: DTZ001
    sunday = monday + timedelta(days=6)

    assert [operating(v, monday).fan_on for v in OPERATIONS] == [True, True]
    assert [operating(v, monday).outdoor_air_on for v in OPERATIONS] == [True, False]
    assert [operating(v, monday).light_percent for v in OPERATIONS] == [5, 10]
    assert [operating(v, sunday).fan_on for v in OPERATIONS] == [False, False]
    assert operating("bau", sunday).cooling_c == 26.7
