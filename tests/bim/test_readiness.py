"""Readiness: the IDS file is valid, a good model meets it, and each thing that is missing is named with an example."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ifctester import ids

from bim.importing import import_models
from bim.opening import open_model
from bim.readiness import IDS_FILE, Readiness, check

ROOT = Path(__file__).parents[2]


def of(path: Path) -> Readiness:
    return check([open_model(path)])


def test_the_ids_file_is_valid_by_the_schema_of_ids() -> None:
    rules = ids.open(str(IDS_FILE), validate=True).specifications

    assert len(rules) >= 15
    assert all(rule.name and rule.description and rule.instructions for rule in rules)
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in rule.instructions) for rule in rules)


@pytest.mark.parametrize("schema", ["IFC4", "IFC4X3"])
def test_an_authored_model_lacks_nothing(model_file: Callable[..., Path], schema: str) -> None:
    readiness = of(model_file(schema=schema))

    assert readiness.failed == ()
    assert {rule.name: rule.applicable for rule in readiness.rules}["Sensors and actuators have an address"] == 4


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (".AIRHANDLER.", ".NOTDEFINED.", "Equipment says its type"),
        (".SOURCE.", ".NOTDEFINED.", "Ports say their flow direction"),
        ("'BuildingControl_BACnet'", "'Something'", "Sensors and actuators have an address"),
        ("'NetFloorArea'", "'Other'", "Rooms have an area"),
        ("IFCSPATIALZONE(", "IFCEXTERNALSPATIALELEMENT(", "There are zones with names"),
        (".AIRCONDITIONING.);", ".NOTDEFINED.);", "Systems say their type"),
        ("'AHU-1',$,$", "$,$,$", "Equipment has a name"),
    ],
)
def test_what_is_missing_is_named(model_file: Callable[..., Path], old: str, new: str, rule: str) -> None:
    failed = of(model_file(change=lambda text: text.replace(old, new))).failed

    assert rule in [result.name for result in failed]


def test_two_objects_with_one_global_id_are_told(model_file: Callable[..., Path]) -> None:
    path = model_file()
    one, two = (e.GlobalId for e in open_model(path).file.by_type("IfcAirTerminalBox"))
    (failed,) = of(model_file(change=lambda text: text.replace(two, one))).failed

    assert (failed.name, failed.failed) == ("GlobalIds are unique", 2)
    assert "VAV-1" in failed.examples[0]


def test_the_report_of_an_import_says_how_ready_the_model_is(model_file: Callable[..., Path], tmp_path: Path) -> None:
    report = import_models([model_file()], tmp_path, "house").report

    assert report["readiness"]["failed"] == 0
    assert {"name", "applicable", "passed", "failed", "examples", "holds"} <= report["readiness"]["rules"][0].keys()


def test_a_relation_that_leads_to_nothing_is_told_and_the_other_rules_are_still_checked(
    model_file: Callable[..., Path], tmp_path: Path
) -> None:
    whole = of(model_file())
    path = model_file(change=lambda text: re.sub(r"(IFCRELDEFINESBYPROPERTIES\(.*),#\d+\);", r"\1,$);", text))
    damaged = of(path)

    stopped = [rule for rule in damaged.failed if "cannot be checked, it is damaged" in rule.examples[0]]
    assert stopped
    assert not any(rule.holds for rule in stopped)
    assert len(damaged.rules) == len(whole.rules) > len(stopped)
    assert import_models([path], tmp_path, "house").report["readiness"]["failed"] >= len(stopped)
