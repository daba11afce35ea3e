"""Every model that ships is read by reference; what is found in each is a fact of the model, counted by hand-made tools once and kept."""

import json
from collections import Counter
from datetime import UTC, date

import numpy as np
import pytest

from simulators.baselines import run_baseline
from simulators.design import design_points
from simulators.energyplus.building import read_building
from simulators.energyplus.calendar import dates, year_of
from simulators.energyplus.own import read_own
from simulators.plant import STEPS_PER_DAY, Period
from simulators.schedules import operating
from twin.errors import SiteError

FOUND = {
    # file in the wheel -> zones by what brings them air, air handlers, points
    "RefBldgFullServiceRestaurantNew2004_Chicago": ({"outlet": 2}, 2, 37),
    "RefBldgHospitalNew2004_Chicago": ({"box": 55}, 4, 625),
    "RefBldgLargeHotelNew2004_Chicago": ({"box": 13, "unit": 9}, 3, 246),
    "RefBldgLargeOfficeNew2004_Chicago": ({"box": 16}, 4, 218),
    "RefBldgMediumOfficeNew2004_Chicago": ({"box": 15}, 3, 198),
    "RefBldgMidriseApartmentNew2004_Chicago": ({"outlet": 24, "unit": 3}, 24, 438),
    "RefBldgOutPatientNew2004_Chicago": ({"box": 86, "nothing": 30}, 2, 957),
    "RefBldgPrimarySchoolNew2004_Chicago": ({"box": 22, "outlet": 3}, 7, 334),
    "RefBldgQuickServiceRestaurantNew2004_Chicago": ({"outlet": 2}, 2, 37),
    "RefBldgSecondarySchoolNew2004_Chicago": ({"box": 41, "outlet": 5}, 9, 574),
    "RefBldgSmallHotelNew2004_Chicago": ({"outlet": 12, "unit": 51}, 12, 630),
    "RefBldgSmallOfficeNew2004_Chicago": ({"outlet": 5}, 5, 90),
    "RefBldgStand-aloneRetailNew2004_Chicago": ({"outlet": 4, "unit": 1}, 4, 81),
    "RefBldgStripMallNew2004_Chicago": ({"outlet": 10}, 10, 176),
    "RefBldgSuperMarketNew2004_Chicago": ({"outlet": 6}, 6, 101),
    "RefBldgWarehouseNew2004_Chicago": ({"outlet": 2, "unit": 1}, 2, 45),
    "ASHRAE901_ApartmentHighRise_STD2019_Denver": ({"outlet": 80, "nothing": 10}, 80, 1396),
    "ASHRAE901_ApartmentMidRise_STD2019_Denver": ({"outlet": 24, "nothing": 3}, 24, 423),
    "ASHRAE901_Hospital_STD2019_Denver": ({"box": 54, "outlet": 1}, 8, 661),
    "ASHRAE901_HotelLarge_STD2019_Denver": ({"box": 13, "unit": 9}, 2, 237),
    "ASHRAE901_HotelSmall_STD2019_Denver": ({"unit": 48, "outlet": 6, "nothing": 13}, 4, 545),
    "ASHRAE901_OfficeLarge_STD2019_Denver": ({"box": 15, "outlet": 5}, 8, 274),
    "ASHRAE901_OfficeMedium_STD2019_Denver": ({"box": 15}, 3, 198),
    "ASHRAE901_OfficeSmall_STD2019_Denver": ({"outlet": 5}, 5, 90),
    "ASHRAE901_OutPatientHealthCare_STD2019_Denver": ({"box": 118}, 2, 1188),
    "ASHRAE901_RestaurantFastFood_STD2019_Denver": ({"outlet": 2}, 2, 39),
    "ASHRAE901_RestaurantSitDown_STD2019_Denver": ({"outlet": 2}, 2, 39),
    "ASHRAE901_RetailStandalone_STD2019_Denver": ({"outlet": 4, "unit": 1}, 4, 82),
    "ASHRAE901_RetailStripmall_STD2019_Denver": ({"outlet": 10}, 10, 176),
    "ASHRAE901_SchoolPrimary_STD2019_Denver": ({"box": 22, "outlet": 3}, 7, 336),
    "ASHRAE901_SchoolSecondary_STD2019_Denver": ({"box": 41, "outlet": 5}, 9, 576),
    "ASHRAE901_Warehouse_STD2019_Denver": ({"outlet": 2, "unit": 1}, 2, 46),
}
QUICK = ("RefBldgLargeHotelNew2004_Chicago", "RefBldgSmallOfficeNew2004_Chicago", "ASHRAE901_OfficeLarge_STD2019_Denver")
SLOW = tuple(name for name in FOUND if name not in QUICK)


@pytest.fixture
def model(energyplus, tmp_path):
    """Loads a model of the wheel by its file's name."""
    return lambda name: energyplus.load_model(energyplus.find_file("models", name), tmp_path)


def found_in(model, name):
    building = read_building(model(name), name)
    return dict(Counter(z.terminal for z in building.zones)), len(building.air_handlers), len(design_points(building))


@pytest.mark.parametrize("name", QUICK)
def test_zones_terminals_and_loops_are_found_by_reference(model, name):
    assert found_in(model, name) == FOUND[name]


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
def test_so_are_those_of_every_other_model(model, name):
    assert found_in(model, name) == FOUND[name]


@pytest.mark.long
@pytest.mark.parametrize("name", FOUND)
def test_every_model_runs_a_day_as_usual(energyplus, name):
    from simulators.energyplus.plant import EnergyPlusPlant

    day = Period(date(2025, 7, 14), 1, UTC)
    plant = EnergyPlusPlant(energyplus.find_file("models", name), energyplus.shipped("weather", "usa_il_chicago"), day, seed=1)
    _, score, _ = run_baseline(plant)

    assert score.energy_kwh["whole"] > score.energy_kwh["hvac_light"] > 0
    assert len(score.power_kw) == STEPS_PER_DAY


def test_what_cannot_be_controlled_is_named(model):
    left = read_building(model("RefBldgLargeHotelNew2004_Chicago"), "hotel").left_alone

    assert any(note.startswith("ZoneHVAC:FourPipeFanCoil: its fan and coils keep their own control") for note in left)
    assert any(note.startswith("PlantLoop: ") for note in left)


def test_a_zone_that_stands_for_many_has_all_their_people(model):
    building = read_building(model("RefBldgLargeOfficeNew2004_Chicago"), "office")

    assert sorted({zone.multiplier for zone in building.zones}) == [1, 10]


def test_the_office_follows_its_own_schedules_which_are_the_published_tables(model):
    office = model("medium_office")
    building = read_building(office, "office")
    for variant in ("bau", "code"):
        own = read_own(office, building, variant)
        zone, handler = next(iter(own.zones.values())), next(iter(own.air_handlers.values()))
        start = Period(date(2025, 1, 1), 365, UTC).begin
        table = [operating(variant, start.replace(month=d.month, day=d.day, hour=h)) for d in dates()[:14] for h in range(24)]
        hourly = slice(0, 14 * STEPS_PER_DAY, 6)

        assert [t.fan_on for t in table] == list(handler.fan_on[hourly])
        assert [t.heating_c for t in table] == pytest.approx(zone.heating_c[hourly])
        assert [t.cooling_c for t in table] == pytest.approx(zone.cooling_c[hourly])
        assert [t.light_percent for t in table] == pytest.approx(100 * next(iter(zone.lights.values()))[hourly])
        assert [t.outdoor_air_on for t in table] == list((handler.outdoor_air * handler.fan_on)[hourly] > 0)
        assert zone.office
        assert zone.minimum_flow_percent == 30


def test_a_compact_schedule_knows_seasons_weekdays_and_the_rest():
    fields = [
        "Through: 3/31",
        "For: Weekdays SummerDesignDay",
        "Until: 08:00",
        0.1,
        "Until: 24:00",
        0.9,
        "For: AllOtherDays",
        "Until: 24:00",
        0.2,
    ]
    fields += ["Through: 12/31", "For: AllDays", "Until: 24:00", 0.5]
    values = year_of({"Schedule:Compact": {"S": {"data": [{"field": f} for f in fields]}}}, "s", 0.0).reshape(365, STEPS_PER_DAY)

    monday, sunday, april = values[5], values[4], values[90]
    assert (monday[47], monday[48], monday[143]) == (0.1, 0.9, 0.9)
    assert set(sunday) == {0.2}
    assert set(april) == {0.5}


def test_a_schedule_from_a_file_is_refused_by_name():
    with pytest.raises(SiteError, match="schedule 'x' is Schedule:File"):
        year_of({"Schedule:File": {"X": {}}}, "x", 0.0)


def test_no_schedule_means_always():
    assert np.all(year_of({}, "", 1.0) == 1.0)


def test_a_model_of_another_version_is_refused(energyplus, tmp_path):
    old = tmp_path / "old.epJSON"
    old.write_text(json.dumps({"Version": {"Version 1": {"version_identifier": "9.4"}}}))
    with pytest.raises(SiteError, match=r"version 9\.4, expected 25\.2"):
        energyplus.load_model(old, tmp_path)


def test_lamps_obey_also_where_the_model_had_programs_of_its_own(energyplus):
    from simulators.energyplus.plant import EnergyPlusPlant

    model, weather = energyplus.find_file("models", "ASHRAE901_OfficeSmall_STD2019_Denver"), energyplus.shipped("weather", "usa_il_chicago")
    plant = EnergyPlusPlant(model, weather, Period(date(2025, 7, 14), 1, UTC), seed=1)
    try:
        step = plant.reset()
        while step is not None:
            own = plant.own_schedule(step.at)
            step = plant.step({p: 0.0 if p.endswith(".light_level") else v for p, v in own.items()})
        used = plant.score().end_uses_kwh
    finally:
        plant.close()

    assert used["light"] == 0
    assert used["cooling"] > 0
