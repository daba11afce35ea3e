"""Opening a site's plant from its plant.toml, and running it from the command line."""

import json
import sys
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from simulators.design import AirHandlerDesign, Building, ZoneDesign, design_points
from simulators.opening import open_plant, people_before, read_settings
from simulators.rc_building import layout_from_building
from twin.errors import SiteError
from twin.graph import Graph, Text
from twin.site import load_site

SITE = """
name = "small"
title = "Small office"
place = "Here"
jurisdiction = "CN"
timezone = "Asia/Shanghai"
area_m2 = 288
use = "office"
grid_region = "CN-GD"
[group]
name = "g"
owner = "o"
government = "gov"
"""
CORNERS = ((0.0, 0.0), (12.0, 0.0), (12.0, 12.0), (0.0, 12.0))
ZONES = tuple(ZoneDesign(name, 0, CORNERS, 0.0, 3.0, "AHU-1", daylit) for name, daylit in (("South", True), ("Core", False)))
BUILDING = Building("small", (0.0,), ZONES, (AirHandlerDesign("AHU-1", 0),))


def twin():
    """The building as Brick triples, as an import would make them."""
    triples = [("site:ahu_1", "rdf:type", "brick:Air_Handler_Unit"), ("site:l1", "rdf:type", "rec:Level")]
    for zone in layout_from_building(BUILDING).zones:
        room, box, lamps = f"site:{zone.key}_room", f"site:{zone.key}_box", f"site:{zone.key}_lamps"
        triples += [
            (f"site:{zone.key}", "rdf:type", "rec:HVACZone"), (f"site:{zone.key}", "rec:hasPart", room),
            (f"site:{zone.key}", "rdfs:label", Text(zone.key)),
            (room, "rdf:type", "rec:Room"), ("site:l1", "rec:hasPart", room), (room, "rdfs:label", Text(zone.key)),
            (box, "rdf:type", "brick:Variable_Air_Volume_Box"), ("site:ahu_1", "brick:feeds", box), (box, "brick:feeds", f"site:{zone.key}"),
            (lamps, "rdf:type", "brick:Luminaire"), (lamps, "brick:hasLocation", room),
        ]  # fmt: skip
    owners = {"zone": "{}_box", "lights": "{}_lamps", "air_handler": "{}"}
    for point in design_points(BUILDING):
        node = f"site:{point.id}"
        owner = owners.get(point.place, "{}").format(point.id.split(".")[0])
        triples += [(node, "rdf:type", f"brick:{point.row['brick']}"), (node, "brick:isPointOf", f"site:{owner}")]
    triples += [(f"site:{m}", "rdf:type", "brick:Meter") for m in ("em_main", "gm_main", "em_hvac", "em_light")]
    return Graph.from_triples("small", triples)


@pytest.fixture
def site(tmp_path):
    """Makes the small site with a plant.toml of the given text."""

    def make(plant='engine = "rc"\nweather = "weather.epw"\n'):
        (tmp_path / "site.toml").write_text(SITE)
        (tmp_path / "plant.toml").write_text(plant)
        return load_site(tmp_path)

    return make


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


def test_an_rc_plant_runs_a_site_from_its_twin(site, miami_weather):
    plant = open_plant(site('engine = "rc"\n' + miami_weather), twin(), days=1)
    step = plant.reset()

    assert plant.note == ""
    assert step.at.isoformat() == "2025-07-14T00:00:00+08:00"
    assert set(plant.own_schedule(step.at)) == {p.id for p in design_points(BUILDING) if p.row["writable"] == "yes"}
    assert set(step.readings) == {p.id for p in design_points(BUILDING) if p.row["writable"] == "no" and p.tag != "record"}


def test_a_file_that_is_not_the_one_written_down_is_refused(site, energyplus):
    text = 'model = "medium_office"\nmodel_sha256 = "00"\nweather = "usa_fl_miami"\n'
    with pytest.raises(SiteError, match="medium_office has SHA-256 .*, expected 00"):
        open_plant(site(text), twin())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('engine = "rc"\nweather = "usa_xx_nowhere"', "not among the weather"),
        ('engine = "rc"', "weather is missing"),
        ('engine = "rc"\nweather = "usa_fl_miami"\n[rc]\nmagic = 1.0', "magic"),
        ('engine = "rc"\nweather = "usa_fl_miami"\n[rc]\ncooling_cop = 0', "cooling_cop must be a number above 0"),
    ],
)
def test_what_cannot_be_opened_is_said(site, energyplus, text, says):
    with pytest.raises(SiteError, match=says):
        open_plant(site(text), twin())


def test_a_period_beyond_the_year_is_refused(site, miami_weather):
    with pytest.raises(SiteError, match="one year"):
        open_plant(site('engine = "rc"\n' + miami_weather), twin(), start="12-31", days=2)


def test_where_energyplus_is_absent_an_rc_plant_stands_in_and_says_so(site, monkeypatch):
    for module in [m for m in sys.modules if m.startswith("pyenergyplus")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyenergyplus", None)  # what Python puts there for a package that must not be found
    monkeypatch.setitem(sys.modules, "pyenergyplus.api", None)
    plant = open_plant(site('model = "medium_office"\nweather = "usa_fl_miami"\n'), twin())

    assert plant.engine == "rc"
    assert "rc stands in for energyplus" in plant.note
    assert "synthetic" in plant.note


def test_energyplus_opens_by_names_in_its_wheel(site, miami_weather):
    plant = open_plant(site('model = "medium_office"\n' + miami_weather), twin(), variant="code", days=2)
    plant.close()

    assert (plant.engine, plant.note) == ("energyplus", "")


def test_the_counters_remember_the_weeks_before(site, miami_weather):
    small = site('engine = "rc"\n' + miami_weather)
    plant = open_plant(small, twin(), seed=3)
    start, rows = people_before(small, twin(), plant, None, 28, 3)
    rows = list(rows)

    assert start.isoformat() == "2025-07-14T00:00:00+08:00"
    assert len(rows) == 28 * 144
    assert rows[0][0] == start - timedelta(days=28) + timedelta(minutes=10)
    assert rows[-1][0] == start
    assert set(rows[0][1]) == {"south.zn_occ", "core.zn_occ"}
    assert max(row["core.zn_occ"] for _, row in rows) > 3


def test_simulate_prints_one_object(site, miami_weather, tmp_path):
    import typer

    from simulators.simulate_commands import simulate

    site('engine = "rc"\n' + miami_weather)
    twin().write(tmp_path / "twin.ttl", [])
    app = typer.Typer()
    app.command()(simulate)
    result = CliRunner().invoke(app, [str(tmp_path), "--controller", "code", "--seed", "2", "--json"])
    row = json.loads(result.stdout)

    assert result.exit_code == 0
    assert {row[k] for k in ("site", "controller", "plant", "start")} == {"small", "code", "rc", "2025-07-14T00:00:00+08:00"}
    assert (row["step_s"], row["seed"], len(row["power_kw"])) == (600, 2, 144)
    assert set(row["comfort"]) == {
        "ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent",
    }  # fmt: skip

    text = CliRunner().invoke(app, [str(tmp_path)])
    assert text.stdout.startswith("small, bau, 1 day(s) from 2025-07-14")
    assert isinstance(CliRunner().invoke(app, [str(tmp_path), "--controller", "best"]).exception, SiteError)
