"""Key figures by hand on a few zone-steps."""

import pytest

from simulators.score import Tally, ZoneFacts, comfort_failures, lamp_lux, saved_percent

FINE = ZoneFacts(people=10, pmv=0.0, temperature_c=23.0, co2_ppm=600, rh_percent=50, lux=500)


def facts(**changes):
    return ZoneFacts(**{name: changes.get(name, getattr(FINE, name)) for name in FINE.__slots__})


def comfort(*zones, of=2):
    tally = Tally(600, of)
    for zone in zones:
        tally.add_zone(zone)
    return tally.score().comfort


def test_people_who_are_well_leave_only_the_five_percent_whom_nothing_pleases():
    expected = {"ppd_mean": 5.0} | dict.fromkeys(
        ("pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent"), 0.0
    )

    assert comfort(FINE) == pytest.approx(expected)


def test_an_empty_zone_counts_for_nothing():
    freezing = facts(people=0, temperature_c=5.0, co2_ppm=5000, pmv=-3)

    assert comfort(FINE, freezing) == comfort(FINE)


@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        ({"pmv": 0.71}, "pmv_over_07_percent", 75.0),
        ({"pmv": -0.71}, "pmv_over_07_percent", 75.0),
        ({"co2_ppm": 1001}, "co2_over_1000_percent", 75.0),
        ({"rh_percent": 65.1}, "rh_over_65_percent", 75.0),
        ({"lux": 300}, "lux_deficit_percent", 30.0),  # 200 of 500 lux, for three people of four
        ({"temperature_c": 28.0}, "kelvin_hours_per_zone", 2 / 6 / 2),  # 2 K for ten minutes, over two zones
        ({"temperature_c": 17.0}, "kelvin_hours_per_zone", 3 / 6 / 2),
    ],
)
def test_shares_are_of_person_hours_and_kelvin_hours_of_zones(change, name, expected):
    assert comfort(FINE, facts(people=30, **change))[name] == pytest.approx(expected)


def test_the_whole_building_is_all_facility_meters():
    tally = Tally(600, 1)
    for power_kw in (30, 60, 45):
        joules = power_kw * 1000 * 600
        tally.add_energy({"electricity": joules, "gas": joules / 2, "other": 0.0, "hvac": joules / 4, "light": joules / 8})
    score = tally.score()

    assert score.energy_kwh == pytest.approx({"electricity": 22.5, "gas": 11.25, "whole": 33.75, "hvac_light": 8.4375})
    assert (score.peak_kw, score.power_kw) == (60, (30, 60, 45))
    assert score.as_row()["power_kw"] == 45


def test_a_fan_starts_when_it_was_off_before():
    tally = Tally(600, 1)
    for running in ([False, True], [True, True], [True, False], [False, True], [True, True]):
        tally.add_fans(running)

    assert tally.score().fan_starts == 3


def test_lamps_are_spent_on_the_groups_that_hold_people():
    assert lamp_lux(95, 1.0, 500) == 500
    assert lamp_lux(47.5, 1.0, 500) == 250
    assert lamp_lux(95 * (1 - 0.75**4), 0.25, 500) == pytest.approx(500)  # a quarter of the people light two thirds of the groups
    assert lamp_lux(95, 0.0, 500) == 0


def test_comfort_may_be_no_worse_than_business_as_usual_or_good_enough():
    bau = comfort(facts(pmv=0.72))
    bad_air = facts(co2_ppm=1100)

    assert comfort_failures(comfort(FINE), bau) == []
    assert comfort_failures(bau, bau) == []
    assert [f.split()[0] for f in comfort_failures(comfort(facts(rh_percent=70)), bau)] == ["rh_over_65_percent"]
    assert [f.split()[0] for f in comfort_failures(comfort(bad_air), comfort(bad_air))] == ["co2_over_1000_percent"]


def test_saved_is_in_percent_of_the_reference():
    def used(kwh):
        tally = Tally(600, 1)
        tally.add_energy({"electricity": kwh * 3.6e6})
        return tally.score()

    assert saved_percent(used(75), used(100)) == pytest.approx(25)
