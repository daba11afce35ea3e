"""Opening a site's plant from its plant.toml, and running it from the command line."""

import json
import shutil
import sys
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from simulators.author import corner_clinic
from simulators.opening import open_plant, people_before, read_settings
from simulators.rc_building import layout_from_building, layout_from_graph
from twin.errors import SiteError
from twin.graph import Graph
from twin.points import read_points
from twin.site import load_site, product_root


@pytest.fixture
def site(tmp_path):
    """Makes the demonstration clinic in a folder of its own, with a plant.toml of the given text."""
    original = product_root() / "sites" / "corner_clinic"

    def make(plant):
        for name in ("site.toml", "twin.ttl"):
            shutil.copy(original / name, tmp_path)
        (tmp_path / "plant.toml").write_text(plant)
        return load_site(tmp_path)

    return make


@pytest.fixture
def twin():
    return Graph.read(product_root() / "sites" / "corner_clinic" / "twin.ttl")


@pytest.fixture
def miami_weather(energyplus, sha256):
    path = energyplus.shipped("weather", "usa_fl_miami")
    return f'weather = "usa_fl_miami"\nweather_sha256 = "{sha256(path)}"\n'


def test_the_settings_say_what_they_do_not_know(site):
    for text, says in (
        ("engine = 'modelica'", "engine must be one of energyplus, rc"),
        ("engines = 'rc'", "unknown key 'engines'"),
        ("engine = 3", "engine must be a text, got 3"),
        ("rc = 'all'", "rc must be a table"),
        ("engine = ", "not readable as TOML"),
        ("start = '14.7.'", "MM-DD"),
        ("first_weekday = 'Sunday'", "07-14 of 2025 is a Monday"),
    ):
        with pytest.raises(SiteError, match=says):
            read_settings(site(text))


def test_an_rc_plant_runs_a_site_from_its_twin(site, twin, miami_weather):
    clinic = site('engine = "rc"\n' + miami_weather)
    plant = open_plant(clinic, twin, days=1)
    step = plant.reset()
    book = read_points(product_root() / "sites" / "corner_clinic" / "points.csv", twin.points())

    assert plant.note == ""
    assert step.at.isoformat() == "2025-07-14T00:00:00+08:00"
    assert set(plant.own_schedule(step.at)) == {p.id for p in book.values() if p.writable}
    assert set(step.readings) == {p.id for p in book.values() if not p.writable and not p.id.endswith(".record")}


def test_a_site_is_its_own_design_whether_read_from_the_twin_or_drawn(twin):
    def seen(layout):
        return sorted((z.key, round(z.area_m2, 3), z.air_handler, sorted(z.points.items())) for z in layout.zones)

    assert seen(layout_from_graph(twin)) == seen(layout_from_building(corner_clinic()))


def test_a_file_that_is_not_the_one_written_down_is_refused(site, twin, energyplus):
    text = 'model = "medium_office"\nmodel_sha256 = "00"\nweather = "usa_fl_miami"\n'
    with pytest.raises(SiteError, match=r"medium_office has SHA-256 .*, expected 00"):
        open_plant(site(text), twin)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('engine = "rc"\nweather = "usa_xx_nowhere"', "not among the weather"),
        ('engine = "rc"', "weather is missing"),
        ('engine = "rc"\nweather = "usa_fl_miami"\n[rc]\nmagic = 1.0', "magic"),
        ('engine = "rc"\nweather = "usa_fl_miami"\n[rc]\ncooling_cop = 0', "cooling_cop must be a number above 0"),
    ],
)
def test_what_cannot_be_opened_is_said(site, twin, energyplus, text, says):
    with pytest.raises(SiteError, match=says):
        open_plant(site(text), twin)


def test_a_period_beyond_the_year_is_refused(site, twin, miami_weather):
    with pytest.raises(SiteError, match="one year"):
        open_plant(site('engine = "rc"\n' + miami_weather), twin, start="12-31", days=2)


def test_where_energyplus_is_absent_an_rc_plant_stands_in_and_says_so(site, twin, monkeypatch):
    for module in [m for m in sys.modules if m.startswith("pyenergyplus")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyenergyplus", None)  # what Python puts there for a package that must not be found
    monkeypatch.setitem(sys.modules, "pyenergyplus.api", None)
    plant = open_plant(site('model = "medium_office"\nweather = "usa_fl_miami"\n'), twin)

    assert plant.engine == "rc"
    assert "rc stands in for energyplus" in plant.note
    assert "synthetic" in plant.note


def test_energyplus_opens_by_names_in_its_wheel(site, twin, miami_weather):
    plant = open_plant(site('model = "medium_office"\n' + miami_weather), twin, variant="code", days=2)
    plant.close()

    assert (plant.engine, plant.note) == ("energyplus", "")


def test_the_counters_remember_the_weeks_before(site, twin, miami_weather):
    small = site('engine = "rc"\n' + miami_weather)
    plant = open_plant(small, twin, seed=3)
    start, rows = people_before(small, twin, plant, None, 28, 3)
    rows = list(rows)

    assert start.isoformat() == "2025-07-14T00:00:00+08:00"
    assert len(rows) == 28 * 144
    assert rows[0][0] == start - timedelta(days=28) + timedelta(minutes=10)
    assert rows[-1][0] == start
    assert set(rows[0][1]) == {row["point"] for row in twin.ask("points_of", brick_class="Occupancy_Count_Sensor")}
    assert max(row["waiting.zn_occ"] for _, row in rows) > 2


def test_simulate_prints_one_object(site, twin, miami_weather, tmp_path):
    import typer

    from simulators.simulate_commands import simulate

    site('engine = "rc"\n' + miami_weather)
    app = typer.Typer()
    app.command()(simulate)
    result = CliRunner().invoke(app, [str(tmp_path), "--controller", "code", "--seed", "2", "--json"])
    row = json.loads(result.stdout)

    assert result.exit_code == 0
    assert {row[k] for k in ("site", "controller", "plant", "start")} == {"corner_clinic", "code", "rc", "2025-07-14T00:00:00+08:00"}
    assert (row["step_s"], row["seed"], len(row["power_kw"])) == (600, 2, 144)
    assert set(row["comfort"]) == {
        "ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent",
    }  # fmt: skip

    text = CliRunner().invoke(app, [str(tmp_path)])
    assert text.stdout.startswith("corner_clinic, bau, 1 day(s) from 2025-07-14")
    assert isinstance(CliRunner().invoke(app, [str(tmp_path), "--controller", "best"]).exception, SiteError)
