"""The benchmark: what it runs, what it marks, what it counts, and that its short way gives the same commands as the wire."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from simulators.benchmark import Case, cost_cents, emissions_g, in_development, plan_cases, rule_hash, run_case, summarise
from simulators.benchmark_page import write_files
from simulators.energyplus.site import make_site
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.running import RunningSite
from simulators.safety import unsafe
from simulators.score import Score
from twin.errors import SiteError
from twin.points import read_points
from twin.site import find_site, load_site
from twin.state import StateFolder

STEPS = 57  # until half past nine: started, occupied, and commands on every kind of point


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Runs a site's morning on the rc plant, in memory or over the wire, and gives every command with its time."""

    def run(name, direct):
        folder = tmp_path / ("direct" if direct else "wire")
        site, state = work_copy(find_site(name), folder / "work"), StateFolder(folder / "state")
        make_twin(site, state.site(site.name), datetime(2025, 1, 1, tzinfo=UTC))
        parts = replace(assemble(site, state.site(site.name), Period(engine="rc"), {}), direct=direct)
        step, done = parts.plant.step, []
        monkeypatch.setattr(parts.plant, "step", lambda held: None if len(done) >= STEPS else (done.append(1), step(held))[1])
        running = RunningSite(parts)
        asyncio.run(running.run(speed=None, stop=asyncio.Event()))
        rows = running.journal.latest(("command",), most=10_000)
        return [(row.at, row.body["point"], row.body["value"]) for row in reversed(rows)]

    return run


@pytest.fixture
def small(energyplus):
    """A case of one summer day in the small office."""
    office, chicago = energyplus.shipped("models", "small_office"), energyplus.shipped("weather", "usa_il_chicago")
    return Case(("small_office", "usa_il_chicago"), office, chicago, "07-14..07-14", "07-14", 1, "bau", 7)


def row(controller, seed, kwh, development=False):
    figures = dict.fromkeys(
        ("peak_kw", "ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent"), 1.0
    )
    about = {"model": "m", "weather": "w", "period": "p", "controller": controller, "seed": seed, "development": development}
    return {**about, **figures, "lux_deficit_percent": 0.0, "total_kwh": kwh, "hvac_light_kwh": kwh / 2}


@pytest.mark.parametrize("name", ["corner_clinic", pytest.param("demo_office", marks=pytest.mark.long)])
def test_the_same_commands_go_out_in_memory_and_over_the_wire(commands, name):
    in_memory, over_the_wire = commands(name, direct=True), commands(name, direct=False)

    assert len(in_memory) > 50
    assert in_memory == over_the_wire


def test_the_same_case_twice_gives_the_same_digits(small):
    first, second = run_case(small), run_case(small)

    assert {k: v for k, v in first.items() if k not in ("wall_s", "step_p95_s")} == {
        k: v for k, v in second.items() if k not in ("wall_s", "step_p95_s")
    }


def test_our_rules_run_a_packaged_building_from_its_twin_alone(small, tmp_path):
    made = make_site(small.model, small.weather, tmp_path / "little")
    ours, usual = run_case(replace(small, controller="rules", site=made.folder)), run_case(small)

    assert load_site(made.folder).grid_region == "US"
    assert made.air_handlers == made.zones == made.controllable_zones == 5
    assert ours["total_kwh"] < usual["total_kwh"]
    assert ours["guard_violations"] == 0
    assert ours["co2_over_1000_percent"] <= 0.5
    with pytest.raises(SiteError, match="exists already"):
        make_site(small.model, small.weather, tmp_path / "little")


def test_a_wrong_word_is_refused_before_anything_runs(energyplus):
    good = (["small_office"], ["usa_il_chicago"], ["winter"], ["bau"], [1])
    wrong = (
        (0, "tiny_office", "small_office"),
        (1, "nowhere.epw", "no such file"),
        (2, "07-20..07-14", "lies before"),
        (3, "best", "rules"),
    )
    for place, word, said in wrong:
        arguments = list(good)
        arguments[place] = [word]
        with pytest.raises(SiteError, match=said):
            plan_cases(*arguments)


def test_every_combination_is_planned_and_development_is_marked(energyplus):
    cases = plan_cases(["medium_office", "warehouse"], ["usa_il_chicago"], ["winter", "07-01..07-03"], ["bau", "rules"], [1, 9])

    assert len(cases) == 16
    assert {(c.names[0], c.seed) for c in cases if c.development} == {("medium_office", 1)}
    assert {c.days for c in cases} == {7, 3}


def test_the_rules_without_one_strategy_are_a_controller_of_their_own(energyplus):
    whole, less = plan_cases(["small_office"], ["usa_il_chicago"], ["winter"], ["rules", "rules-lighting"], [1])

    assert (whole.without, less.without, less.through_twin) == ((), ("lighting",), True)
    with pytest.raises(SiteError, match="rules-STRATEGY"):
        plan_cases(["small_office"], ["usa_il_chicago"], ["winter"], ["rules-magic"], [1])


def test_a_copy_under_another_name_is_still_development(energyplus, tmp_path):
    copy = tmp_path / "never_seen.idf"
    copy.write_bytes(energyplus.shipped("models", "medium_office").read_bytes())

    assert in_development(copy, energyplus.shipped("weather", "usa_fl_miami"), 1)
    copy.write_bytes(copy.read_bytes() + b"\n! another\n")
    assert in_development(copy.rename(tmp_path / "other.idf"), energyplus.shipped("weather", "usa_fl_miami"), 1) is False


def test_savings_are_paired_by_seed_and_development_is_no_score():
    rows = [row("bau", 1, 100.0), row("bau", 2, 200.0), row("rules", 1, 80.0), row("rules", 2, 100.0)]
    means = {m["controller"]: m for m in summarise(rows)}

    assert means["rules"]["whole_saved_vs_bau_percent"] == pytest.approx((20 + 50) / 2)
    assert means["rules"]["score"]
    assert not summarise([row("bau", 1, 100.0, development=True)])[0]["score"]


def test_a_flat_kilowatt_costs_what_the_tariff_says_and_emits_by_the_named_factor():
    score = Score({"whole": 24.0, "electricity": 24.0, "gas": 0.0}, {}, 0, 1.0, (1.0,) * 144)

    assert cost_cents(score) == pytest.approx(8 * 32 + 2 * 78 + 2 * 133 + 2 * 78 + 5 * 133 + 5 * 78)
    assert emissions_g(score) == 12734  # 24 kWh by the national average of 2023, 0.5306 kg/kWh


def test_rules_have_a_hash_of_their_own():
    assert len({rule_hash("bau"), rule_hash("rules")}) == 2


def test_the_files_hold_every_row(tmp_path):
    rows = [row("bau", 1, 100.0, development=True), row("rules", 1, 80.0)]
    write_files(rows, summarise(rows), tmp_path)

    assert len((tmp_path / "benchmark.csv").read_text().splitlines()) == 3
    page = (tmp_path / "benchmark.html").read_text()
    assert page.count("<tr class=") == 4
    assert "<svg" in page


def test_an_unsafe_value_of_ours_is_counted_and_the_buildings_own_is_not():
    site = load_site(find_site("demo_office"))
    from twin.graph import Graph

    book = read_points(site.points_file, Graph.read(site.twin_file).points())
    heating = next(p for p in book.bound if p.brick == "Heating_Zone_Air_Temperature_Setpoint")
    cooling = next(p.id for p in book.bound if p.brick == "Cooling_Zone_Air_Temperature_Setpoint" and p.owner == heating.owner)

    assert unsafe({heating.id: 15.6}, {heating.id: 15.6}, book) == []
    assert unsafe({heating.id: 15.6}, {heating.id: 21.0}, book) == [heating.id]
    assert unsafe({heating.id: 23.0, cooling: 22.0}, {heating.id: 21.0, cooling: 24.0}, book) == [heating.id]
