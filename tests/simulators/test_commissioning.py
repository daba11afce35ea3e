"""Commissioning: a sound building passes, planted faults are found and named, and what is written says so."""

import json
import tomllib
from itertools import combinations

import pytest

from bim.writing import ModelWriter
from simulators.commissioning.programme import make_programme, zone_codes
from simulators.commissioning.reporting import page, toml, write_report
from simulators.commissioning.running import Wanted, commission_site, sunday
from simulators.faults import Fault
from simulators.ifc_site import make_ifc_site
from simulators.opening import plant_layout
from twin.cli import main
from twin.clock import wall_now
from twin.errors import SiteError
from twin.graph import Graph
from twin.points import read_points
from twin.site import load_site


@pytest.fixture(scope="module")
def site(tmp_path_factory, energyplus):
    """Six rooms on two storeys, made into a site in Miami; nothing of it was looked at while the rules were written."""
    folder = tmp_path_factory.mktemp("made")
    writer = ModelWriter("school")
    for n, name in enumerate(("Ground", "Upper")):
        storey = writer.storey(name, 3.5 * n)
        for i, width in enumerate((6.0, 9.0, 7.0)):
            x = (0.0, 6.2, 15.4)[i]
            writer.room(f"{name} room {i + 1}", storey, [(x, 0), (x + width, 0), (x + width, 7), (x, 7)], 3.0)
    model = folder / "school.ifc"
    writer.write(model)
    made = make_ifc_site([model], energyplus.shipped("weather", "usa_fl_miami"), folder / "school", lambda _: None)
    return load_site(made.folder)


@pytest.fixture(scope="module")
def tried(site):
    """A commissioning with these faults planted."""
    return lambda *faults: commission_site(site, Wanted(faults), lambda _: None)


@pytest.fixture(scope="module")
def sound(tried):
    return tried()


def found(done):
    return {(f.kind, f.place) for f in done.verdict.findings}


def test_a_sound_building_passes_every_trial(sound):
    assert found(sound) == set()
    assert [p for p in sound.verdict.points if p.failed] == []
    assert set(sound.verdict.alarms.values()) == {"passed"}
    assert set(sound.verdict.alarms) == set(sound.site.connections)
    assert sound.verdict.counted()["command"] == {"passed": 32}
    assert sound.verdict.passed


@pytest.mark.parametrize(
    "faults",
    [
        [
            Fault("sensor_drift", "zone_ground_room_2.zn_t", -2.5), Fault("sensor_stuck", "zone_upper_room_1.zn_t"),
            Fault("lights_stuck_on", "zone_upper_room_3.light_level"), Fault("meter_swapped", "em_hvac.energy", other="em_light.energy"),
            Fault("economiser_stuck", "ahu_upper", 80.0), Fault("reheat_leak", "zone_ground_room_1", 30.0),
        ],
        pytest.param([
            Fault("swapped_zones", "zone_ground_room_1.zn_t", other="zone_ground_room_3.zn_t"), Fault("clock_off", "site", 1.0),
            Fault("co2_offset", "zone_upper_room_1.zn_co2", 250.0), Fault("damper_stuck", "zone_upper_room_2", 60.0),
            Fault("device_silent", "lights_1"), Fault("simultaneous", "zone_upper_room_3"), Fault("filter_clogged", "ahu_ground", 80.0),
        ], marks=pytest.mark.long),
        pytest.param([
            Fault("wrong_unit", "zone_upper_room_3.zn_t"), Fault("sensor_dead", "zone_ground_room_3.zn_t"),
            Fault("setpoint_overridden", "zone_upper_room_1.clg_sp"), Fault("fan_degraded", "ahu_upper", 35.0),
            Fault("meter_scale", "em_light.energy", 10.0), Fault("schedule_ignored", "ahu_ground"),
            Fault("cooling_leak", "ahu_ground", 40.0),
        ], marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_planted_faults_are_found_and_named_and_nothing_else_is(tried, faults):
    done = tried(*faults)

    assert found(done) == {(f.kind, f.place) for f in faults}
    assert not done.verdict.passed


def test_what_is_written_can_be_read_and_holds_the_rules(sound):
    book = read_points(sound.site.points_file, Graph.read(sound.site.twin_file).points())
    paths = write_report(sound, book, wall_now())

    said = tomllib.loads(paths["toml"].read_text())
    assert said["rules"] == {"read": "done", "command": "done", "fail_safe": "done", "override": "done", "alarm": "done"}
    assert said["passed"] is True
    assert json.loads(paths["json"].read_text())["points"] == sound.points
    assert "<script" not in paths["html"].read_text()


def test_a_hostile_name_stays_text_in_the_page_and_in_the_file(sound):
    from dataclasses import replace

    from simulators.commissioning.evidence import Finding

    verdict = replace(sound.verdict, findings=(Finding("damper_stuck", '<b>"room"', "x"),))
    done = replace(sound, verdict=verdict)
    book = read_points(sound.site.points_file, Graph.read(sound.site.twin_file).points())

    assert "<b>" not in page(done, wall_now())
    assert tomllib.loads(toml(done, book, wall_now()))["finding"][0]["place"] == '<b>"room"'


def test_codes_of_zones_differ_in_two_places_and_are_as_often_on_as_off():
    codes = zone_codes([f"zone_{n}" for n in range(95)])

    assert all(sum(code) == 0 for code in codes.values())
    assert min(sum(a != b for a, b in zip(one, other, strict=True)) for one, other in combinations(codes.values(), 2)) >= 4


def test_trials_are_on_a_sunday_and_leave_a_working_day_after_it(monday):
    assert sunday(monday.start).weekday() == 6
    assert sunday(monday.start.replace(month=12, day=31)).isoformat() == "2025-12-28"


def test_the_programme_asks_nothing_of_points_that_it_may_not_write(site):
    from controls.strategies.layout import read_layout

    graph = Graph.read(site.twin_file)
    book = read_points(site.points_file, graph.points())
    layout = read_layout(graph)
    fan = layout.air_handlers[0].fan

    programme = make_programme(layout.without(frozenset({fan})), book, list(site.connections), cooling=True)
    assert all(fan not in window.asked for window in programme.windows)
    assert programme.steps % 144 == 0
    assert {w for window in programme.windows for w in window.lost} == set(site.connections)


def test_a_real_site_is_not_tried_and_the_error_says_why(site, tmp_path, capsys):
    real = tmp_path / "real"
    real.mkdir()
    for name in ("site.toml", "twin.ttl", "points.csv"):
        (real / name).write_bytes((site.folder / name).read_bytes())
    with pytest.raises(SiteError, match="is a real site"):
        commission_site(load_site(real), Wanted(), lambda _: None)


def test_a_kind_that_nobody_knows_is_refused_before_anything_starts(site, capsys):
    with pytest.raises(SystemExit) as done:
        main(["commission", str(site.folder), "--draw", "rust"])

    assert done.value.code == 1
    assert "no kind 'rust'; known kinds: sensor_drift" in capsys.readouterr().err


def test_every_zone_of_the_layout_has_its_code(site):
    graph = Graph.read(site.twin_file)

    assert len(plant_layout(site, graph).zones) == 6
