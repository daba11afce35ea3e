"""The demo's report: savings by the formula, what fell short by name, runs compared only when sized alike."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from simulators.reporting import COMFORT, Reference, carbon, energy, outcomes, shortfalls, sized_apart

KWH = {
    "bau": {"whole": 1000.0, "hvac_light": 600.0},
    "code": {"whole": 900.0, "hvac_light": 500.0},
    "controlled": {"whole": 720.0, "hvac_light": 300.0},
}
GOOD = dict.fromkeys(COMFORT, 0.0)


def reference(design):
    return Reference("bau", "rc", datetime(2025, 7, 14, tzinfo=UTC), 600, (1.0,), KWH["bau"], GOOD, design)


def test_savings_are_shares_of_each_baseline():
    assert energy(KWH, "whole") == {
        "bau_kwh": 1000.0,
        "code_kwh": 900.0,
        "controlled_kwh": 720.0,
        "saved_vs_bau_percent": 28.0,
        "saved_vs_code_percent": 20.0,
    }


def test_what_falls_short_is_named():
    poor = {**KWH, "controlled": {"whole": 800.0, "hvac_light": 400.0}}
    comfort = {"bau": GOOD, "code": GOOD, "controlled": {**GOOD, "co2_over_1000_percent": 3.0}}

    failed = shortfalls(poor, comfort)

    assert len(failed) == 2
    assert failed[0] == "saved 11.1 % of the whole building against code, wanted 15 %"
    assert failed[1].startswith("co2_over_1000_percent 3.00 is above 0.50")
    assert shortfalls(KWH, {"bau": GOOD, "code": GOOD, "controlled": GOOD}) == []


def test_runs_that_are_not_sized_alike_are_named():
    design = {"fan_m3_s.ahu_1": 7.0, "people.core": 52.0}

    assert sized_apart({"bau": reference(design)}, design) == []
    assert sized_apart({"bau": reference({**design, "fan_m3_s.ahu_1": 7.1})}, design) == [
        "fan_m3_s.ahu_1 is not sized alike in the controlled run and bau"
    ]
    assert sized_apart({"bau": reference({})}, design) != []


def test_claims_add_up_in_whole_numbers():
    claim = {"to_ms": 1, "factor": "average/CN-GD/2023/MEE+NBS", "region": "CN-GD", "provisional": True}
    rows = [{**claim, "scope1_wh": 10, "scope2_wh": 100, "scope1_g": 2, "scope2_location_g": 44} for _ in range(3)]

    added = carbon(rows)

    assert (added["energy_wh"], added["scope1_g"], added["scope2_location_g"], added["year"]) == (330, 6, 132, 2023)
    assert carbon([])["energy_wh"] == 0


@pytest.mark.parametrize("counted", [Counter(), Counter(applied=3, masked=1)])
def test_every_outcome_is_counted_even_when_none_came(counted):
    assert set(outcomes(counted)) == {"applied", "masked", "not_effective", "rejected", "unverified", "conflict"}
    assert sum(outcomes(counted).values()) == sum(counted.values())
