"""Faults as values: read from a file, drawn from a seed, and what a faulty building shows and does."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from simulators.design import AirHandlerDesign, Building, ZoneDesign
from simulators.faults import Fault, draw_faults, kinds, places, read_faults
from simulators.faulty import DEAD, FaultyPlant
from simulators.plant import Period
from simulators.rc import RcPlant
from simulators.rc_building import layout_from_building
from simulators.weather import synthetic_weather
from twin.errors import SiteError

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
ZONES = tuple(ZoneDesign(name, 0, SQUARE, 0.0, 3.0, "AHU-1", daylit=True) for name in ("North", "South", "West"))
LAYOUT = layout_from_building(Building("small", (0.0,), ZONES, (AirHandlerDesign("AHU-1", 0),)))
CONNECTIONS = ("ahu_1", "floor_1", "lights_1")
NOON = 72  # steps


@pytest.fixture(scope="module")
def noon():
    """Readings at noon and what was metered by then, of a building with these faults and of a sound one, on the same Monday."""

    def run(*faults, **held):
        plant = RcPlant(LAYOUT, synthetic_weather(), Period(date(2025, 7, 14), 1, ZoneInfo("Asia/Shanghai")), seed=1)
        faulty = FaultyPlant(plant, faults, LAYOUT)
        step = faulty.reset()
        for _ in range(NOON):
            step = faulty.step(faulty.own_schedule(step.at) | held)
        return dict(step.readings)

    return run


@pytest.fixture(scope="module")
def sound(noon):
    return noon()


@pytest.mark.parametrize(
    ("fault", "point", "shows"),
    [
        (Fault("sensor_drift", "north.zn_t", 3.0), "north.zn_t", lambda t: t + 3.0),
        (Fault("co2_offset", "north.zn_co2", -250.0), "north.zn_co2", lambda ppm: ppm - 250.0),
        (Fault("wrong_unit", "north.zn_t"), "north.zn_t", lambda t: t * 1.8 + 32),
        (Fault("sensor_dead", "north.zn_t"), "north.zn_t", lambda t: DEAD),
        (Fault("meter_scale", "em_hvac.energy", 10.0), "em_hvac.energy", lambda wh: wh * 10),
    ],
)
def test_a_sensor_lies_and_the_building_does_not_care(noon, sound, fault, point, shows):
    seen = noon(fault)

    assert seen[point] == pytest.approx(shows(sound[point]))
    assert {p: v for p, v in seen.items() if p != point} == {p: v for p, v in sound.items() if p != point}


def test_swapped_sensors_show_each_others_rooms(noon, sound):
    seen = noon(Fault("swapped_zones", "north.zn_t", other="south.zn_t"))

    assert (seen["north.zn_t"], seen["south.zn_t"]) == (sound["south.zn_t"], sound["north.zn_t"])


def test_a_stuck_damper_brings_its_share_whatever_is_asked(noon):
    flows = [noon(Fault("damper_stuck", "north", 50.0), **{"north.min_flow": percent})["north.sa_f"] for percent in (10.0, 100.0)]

    assert flows[0] == flows[1] > 0


@pytest.mark.parametrize("kind", ["reheat_leak", "filter_clogged", "cooling_leak"])
def test_what_leaks_or_clogs_costs_energy(noon, sound, kind):
    place = "north" if kind == "reheat_leak" else "ahu_1"

    assert noon(Fault(kind, place, 50.0))["em_hvac.energy"] > 1.02 * sound["em_hvac.energy"]


def test_a_weak_fan_brings_less_air_and_a_stuck_economiser_its_own_share(noon, sound):
    assert noon(Fault("fan_degraded", "ahu_1", 40.0))["ahu_1.sa_f"] < 0.95 * sound["ahu_1.sa_f"]
    seen = noon(Fault("economiser_stuck", "ahu_1", 75.0))
    assert seen["ahu_1.oa_f"] == pytest.approx(0.75 * seen["ahu_1.sa_f"])


def test_lamps_that_burn_show_it(noon):
    assert noon(Fault("lights_stuck_on", "north.light_level"), **{"north.light_level": 10.0})["north.light_level_now"] == 100.0


def test_a_clock_that_is_off_moves_the_devices_schedule(noon):
    plant = RcPlant(LAYOUT, synthetic_weather(), Period(date(2025, 7, 14), 1, ZoneInfo("Asia/Shanghai")), seed=1)
    faulty = FaultyPlant(plant, [Fault("clock_off", "site", 1.0)], LAYOUT)
    four = faulty.reset().at.replace(hour=4, minute=30)

    assert (faulty.own_schedule(four)["ahu_1.fan_run"], plant.own_schedule(four)["ahu_1.fan_run"]) == (1.0, 0.0)


def test_every_kind_can_be_drawn_and_the_seed_decides():
    drawn = [draw_faults([kind], LAYOUT, CONNECTIONS, seed=4)[0] for kind in kinds()]

    assert len(drawn) == 20
    assert all(fault.place in places(fault.kind, LAYOUT, CONNECTIONS) for fault in drawn)
    assert drawn == [draw_faults([kind], LAYOUT, CONNECTIONS, seed=4)[0] for kind in kinds()]
    sizes = {draw_faults(["sensor_drift"], LAYOUT, CONNECTIONS, seed=n)[0].size for n in range(9)}
    assert min(sizes) < 0 < max(sizes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[fault]]\nkind = "rust"\nplace = "north"', "no kind 'rust'; known kinds: sensor_drift"),
        ('[[fault]]\nkind = "damper_stuck"\nplace = "attic"', "damper_stuck cannot sit at 'attic'; expected one of north, south, west"),
        ('[[fault]]\nkind = "damper_stuck"\nplace = "north"\nsize = "half"', "size must be a number"),
        ('[[fault]]\nkind = "swapped_zones"\nplace = "north.zn_t"', "needs `other`"),
        ('[[fault]]\nkind = "damper_stuck"\nwhere = "north"', "unknown key 'where'"),
        ("fault = 1 2", "not readable as TOML"),
        ("", "no [[fault]] in it"),
    ],
)
def test_a_file_of_faults_that_cannot_be_is_refused_in_words(tmp_path, text, said):
    path = tmp_path / "faults.toml"
    path.write_text(text)

    with pytest.raises(SiteError) as caught:
        read_faults(path, LAYOUT, CONNECTIONS)
    assert said in str(caught.value)
