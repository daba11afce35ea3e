"""An importer's story: import, decide, change the model, import again; what people decided and bound outlives the next export."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bim.commands import import_
from bim.review_commands import review
from bim.writing import ModelWriter, PointMark, Spot
from twin.check import check_site
from twin.graph import Graph
from twin.journal import Journal
from twin.points import read_points
from twin.scans import Scan, ScannedDevice, ScannedObject, write_scan
from twin.site import find_site, load_site

Run = Callable[..., Any]


def three_rooms(vav_2_in: int, light: bool, co2: bool) -> bytes:
    """Three rooms; VAV-2's box stands in room `vav_2_in`; the light and the CO2 sensor may be missing; nothing of VAV-2 says an address."""
    writer = ModelWriter("House", "IFC4")
    storey = writer.storey("Level 1", 0.0)
    rooms = [writer.room(f"R{n + 1}", storey, [(5.0 * n, 0), (5.0 * n + 5, 0), (5.0 * n + 5, 6), (5.0 * n, 6)], 3.0) for n in range(3)]
    ahu = writer.element("IfcUnitaryEquipment", "AHU-1", "AIRHANDLER", Spot(storey, 1.0, 7.5, 0.5))
    for n, room in ((1, 1), (2, vav_2_in)):
        x = 5.0 * (room - 1) + 2.5
        box = writer.element("IfcAirTerminalBox", f"VAV-{n}", "VARIABLEFLOWPRESSUREDEPENDANT", Spot(rooms[room - 1], x, 2.0, 3.2))
        spot = Spot(storey, 5.0, 1.0, 1.5) if n == 1 else Spot(rooms[1], 6.0, 1.0, 1.5)  # the first hangs on the wall between two rooms
        sensor = writer.element("IfcSensor", f"VAV-{n}.ZN-T", "TEMPERATURESENSOR", spot)
        actuator = writer.element(
            "IfcActuator", f"VAV-{n}.DMP", "ELECTRICACTUATOR", Spot(rooms[n - 1], 5.0 * n - 4, 2, 3.2), "Damper_Position_Command"
        )
        writer.control(box, [sensor, actuator])
        writer.connect(ahu, box)
        if n == 1:
            writer.mark(sensor, PointMark("bacnet:ddc_1/analog-input,1", "DEG_C"))
    if light:
        fixture = writer.element("IfcLightFixture", "LT-1", "DIRECTIONSOURCE", Spot(rooms[0], 2.0, 3.0, 2.9))
        writer.mark(fixture, PointMark("modbus:lights/1/holding/0:int16", "PERCENT", 0.1, writable=True))
    if co2:
        writer.element("IfcSensor", "VAV-1.ZN-CO2", "CO2SENSOR", Spot(rooms[0], 2.0, 1.0, 1.5))
    return writer.content()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real site's folder with the first model, and in its state what a scan of its controller found."""
    monkeypatch.setenv("WATTPROOF_STATE", str(tmp_path / "state"))
    folder = tmp_path / "house"
    (folder / "models").mkdir(parents=True)
    text = (find_site("corner_clinic") / "site.toml").read_text().replace('"corner_clinic"', '"house"').replace('["surgery_1"]', "[]")
    (folder / "site.toml").write_text(re.sub(r"\[connections\..*", "", text, flags=re.DOTALL) + CONNECTIONS)
    shutil.copy(find_site("corner_clinic") / "tariff.csv", folder)
    (folder / "models" / "house.ifc").write_bytes(three_rooms(vav_2_in=2, light=True, co2=False))
    (folder / "points.csv").write_text("point,writable,low,high,fallback\nlt_1.level,yes,0,100,80\n")
    things = (
        ScannedObject("bacnet:ddc_1/analog-value,2", "VAV2 ROOM TEMP", "", "degrees-celsius"),
        ScannedObject("bacnet:ddc_1/analog-output,2", "VAV2 DAMPER CMD", "", "percent", commandable=True),
        ScannedObject("bacnet:ddc_1/analog-input,9", "VAV2 SUPPLY AIR FLOW", "", "liters-per-second"),
        ScannedObject("bacnet:ddc_1/analog-value,7", "XYZZY", "", ""),
    )
    state = tmp_path / "state" / "sites" / "house"
    state.mkdir(parents=True)
    write_scan(
        state / "scan.json",
        Scan("2026-03-02T08:00:00+00:00", (ScannedDevice("bacnet", "10.0.0.5:47808", 1001, "ddc_1", True, objects=things),)),
    )
    return folder


CONNECTIONS = """
[connections.ddc_1]
protocol = "bacnet"
host = "10.0.0.5"
device = 1001
[connections.lights]
protocol = "modbus"
host = "10.0.0.6"
"""


@pytest.fixture
def run() -> Run:
    def call(command: Callable[..., None], *words: str) -> Any:
        app = typer.Typer()
        app.command()(command)
        result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


def test_decisions_and_bindings_outlive_the_next_export_and_every_difference_is_named(run: Run, site: Path, tmp_path: Path) -> None:
    first = run(import_, str(site))
    waiting = {item["id"]: item for item in run(review, str(site), "--list")["waiting"]}

    assert (first["points"], first["bound"], first["review"]) == (5, 3, 3)  # bound: the model's two, and one by the scan alone
    assert sorted(waiting) == ["bacnet:ddc_1/analog-input,9", "bacnet:ddc_1/analog-output,2", "vav_1.zn_t"]
    assert waiting["bacnet:ddc_1/analog-output,2"]["why"][0] == "takes commands: a person must accept it"

    signed = ("--by", "M. Chen", "--why", "walked through the building")
    for thing in ("bacnet:ddc_1/analog-output,2", "bacnet:ddc_1/analog-input,9", "vav_1.zn_t"):
        run(review, str(site), "--accept", thing, *signed)
    with (site / "review.toml").open("a") as file:
        file.write("\n# a note of ours that no import may touch\n")
    words = (site / "review.toml").read_bytes()
    second = run(import_, str(site))

    assert (second["points"], second["bound"], second["review"], second["added"]) == (6, 5, 0, 1)
    before = bindings(site)
    assert before == {
        "vav_1.zn_t": ("bacnet:ddc_1/analog-input,1", 1.0),
        "vav_2.zn_t": ("bacnet:ddc_1/analog-value,2", 1.0),
        "vav_2.dmp": ("bacnet:ddc_1/analog-output,2", 1.0),
        "vav_2.supply_air_flow_sensor": ("bacnet:ddc_1/analog-input,9", 1.0),
        "lt_1.level": ("modbus:lights/1/holding/0:int16", 0.1),
    }

    (site / "models" / "house.ifc").write_bytes(three_rooms(vav_2_in=3, light=False, co2=True))
    third = run(import_, str(site))
    report = json.loads((site / "report.json").read_text())
    differences = {kind: [row["id"] for row in rows] for kind, rows in report["changes"].items()}

    assert differences == {"added": ["vav_1.zn_co2"], "removed": ["lt_1"], "moved": ["vav_2"], "changed": [], "retired": ["lt_1.level"]}
    moved = report["changes"]["moved"][0]
    assert (moved["before"], moved["after"]) == (
        {"place": "r2", "position_m": [7.5, 2.0, 3.2]},
        {"place": "r3", "position_m": [12.5, 2.0, 3.2]},
    )
    assert (site / "review.toml").read_bytes() == words
    assert report["review"] == []
    assert bindings(site) == {point: place for point, place in before.items() if point != "lt_1.level"}
    assert (third["retired"], third["bound"]) == (1, 4)
    assert any("lt_1.level is retired" in warning for warning in report["warnings"])


def test_a_retired_point_is_told_by_check_neither_read_nor_written_and_comes_back_with_its_element(run: Run, site: Path) -> None:
    run(import_, str(site))
    model = site / "models" / "house.ifc"
    whole = model.read_bytes()
    model.write_bytes(three_rooms(vav_2_in=2, light=False, co2=False))
    run(import_, str(site))
    run(import_, str(site))  # it stays retired, whatever the number of imports

    book = read_points(site / "points.csv", Graph.read(site / "twin.ttl").points())
    assert (book["lt_1.level"].retired, book["lt_1.level"].binding, book["lt_1.level"].writable) == (True, None, False)
    assert next(f.message for f in check_site(site) if "retired" in f.message).startswith("line 2: lt_1.level is retired")

    model.write_bytes(whole)
    back = run(import_, str(site))

    assert (back["added"], back["retired"]) == (2, 0)
    assert read_points(site / "points.csv", Graph.read(site / "twin.ttl").points())["lt_1.level"].writable


def test_what_only_a_scan_says_is_read_and_never_written(run: Run, site: Path) -> None:
    run(import_, str(site))
    (site / "points.csv").write_text("point,writable,low,high,fallback\nvav_2.zn_t,yes,0,100,80\n")

    findings = [f.message for f in check_site(site)]

    assert any("comes from a scan that nobody accepted" in message for message in findings)


def test_decisions_are_rows_of_the_journal_and_can_be_taken_back(run: Run, site: Path, tmp_path: Path) -> None:
    run(import_, str(site))
    signed = ("--by", "M. Chen", "--why", "saw it")
    run(review, str(site), "--accept", "bacnet:ddc_1/analog-output,2", *signed)
    run(import_, str(site))
    run(review, str(site), "--withdraw", "bacnet:ddc_1/analog-output,2", *signed)
    again = run(import_, str(site))

    rows = [(row.kind, row.body.get("decision")) for row in Journal(tmp_path / "state" / "sites" / "house" / "journal.db").after(0)]
    accepted = {"point": "vav_2.dmp", "writable": True}
    assert rows == [("import", None), ("review", accepted), ("import", None), ("review", None), ("import", None)]
    assert again["bound"] == 3
    assert load_site(site).name == "house"


def bindings(site: Path) -> dict[str, tuple[str, float]]:
    points = Graph.read(site / "twin.ttl").points()
    return {p.id: (p.binding.address, p.binding.scale) for p in points if p.binding}
