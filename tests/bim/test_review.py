"""Decisions of people: applied at every import, said in the twin, and refused when they say nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bim.importing import import_models
from bim.review import parse_decisions, read_decisions
from twin.errors import SiteError

BY = 'by = "M. Chen"\nwhy = "name plate"\n'


def test_a_decision_outlives_a_second_import(model_file: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    vague = model_file(change=lambda text: text.replace(".VARIABLEFLOWPRESSUREDEPENDANT.", ".NOTDEFINED."))
    first = import_models([vague], out, "house")
    box = next(row["global_id"] for row in first.graph.ask("ifc_links") if row["node"] == "vav_1")
    damper = next(row["global_id"] for row in first.graph.ask("ifc_links") if row["node"] == "fd_1")
    (out / "review.toml").write_text(f'["{box}"]\nbrick = "RVAV"\n{BY}["{damper}"]\npassive = true\n{BY}["gone"]\npassive = true\n{BY}')

    for _ in range(2):
        imported = import_models([vague], out, "house")

        classes = {row["equipment"]: row["class"] for row in imported.graph.ask("equipment")}
        assert (classes["vav_1"], classes["vav_2"]) == ("RVAV", "VAV")
        assert "fd_1" not in classes
        assert imported.counts["elements"]["passive"] == 1
        assert any("gone" in warning for warning in imported.report["warnings"])


def test_a_decision_never_lifts_a_protection(model_file: Callable[..., Path], tmp_path: Path) -> None:
    first = import_models([model_file()], tmp_path, "house")
    damper = next(row["global_id"] for row in first.graph.ask("ifc_links") if row["node"] == "fd_1")
    (tmp_path / "review.toml").write_text(f'["{damper}"]\nbrick = "Damper"\n{BY}')

    assert import_models([model_file()], tmp_path, "house").graph.ask("protected") == [{"equipment": "fd_1", "reason": "fire damper"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["g"]\nbrick = "VAV"\n', "who decided"),
        (f'["g"]\nbrick = "No_Such"\n{BY}', "not a class of Brick"),
        (f'["g"]\n{BY}', "either brick"),
        (f'["g"]\nclass = "VAV"\n{BY}', "expected a table"),
        (f'["g"]\npassive = "yes"\n{BY}', "passive must be true or false"),
        (f'["g"]\nroom = 3\n{BY}', "room must be a text"),
        (f'["g"]\nwritable = true\nroom = "r"\n{BY}', "belongs to an address"),
        (f'["g"]\naddress = "bacnet:x"\n{BY}', "expected bacnet:CONNECTION"),
        (f'["bacnet:x/analog-input,1"]\npoint = "p"\nignore = true\n{BY}', "give one of point"),
        (f'["bacnet:x/analog-input,1"]\nowner = "vav_1"\n{BY}', "needs its class"),
        (f'["bacnet:x/analog-input,1"]\nowner = "vav_1"\nbrick = "VAV"\n{BY}', "no class of a point"),
        (f'["bacnet:x/analogue,1"]\npoint = "p"\n{BY}', "object type"),
        ("[[[", "not readable as TOML"),
    ],
)
def test_a_decision_that_says_nothing_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "review.toml").write_text(text)

    with pytest.raises(SiteError, match=words):
        read_decisions(tmp_path / "review.toml")


def test_a_person_moves_a_box_into_its_room_and_says_what_it_serves(model_file: Callable[..., Path], tmp_path: Path) -> None:
    first = import_models([model_file()], tmp_path, "house")
    ids = {row["node"]: row["global_id"] for row in first.graph.ask("ifc_links")}
    (tmp_path / "review.toml").write_text(f'["{ids["vav_1"]}"]\nroom = "r2"\nserves = "Zone 2"\n{BY}["{ids["lt_1"]}"]\nroom = "R9"\n{BY}')

    imported = import_models([model_file()], tmp_path, "house")

    assert {row["equipment"]: row.get("room") for row in imported.graph.ask("equipment")}["vav_1"] == "r2"
    assert [row["zone"] for row in imported.graph.ask("terminals") if row["terminal"] == "vav_1"] == ["zone_2"]
    assert any("'R9'" in warning for warning in imported.report["warnings"])


def test_an_element_whose_global_id_is_not_its_own_is_decided_on_by_its_mark(model_file: Callable[..., Path], tmp_path: Path) -> None:
    def doubled(text: str) -> str:
        text = text.replace(".VARIABLEFLOWPRESSUREDEPENDANT.", ".NOTDEFINED.")
        one, two = re.findall(r"IFCAIRTERMINALBOX\('([^']{22})'", text)
        return text.replace(one, two)

    model = model_file(change=doubled)
    first = import_models([model], tmp_path, "house")
    marks = {row["node"]: row.get("mark", "") for row in first.graph.ask("things")}
    assert marks["vav_1"].startswith("vav_1~")
    (tmp_path / "review.toml").write_text(f'["{marks["vav_1"]}"]\nbrick = "RVAV"\n{BY}')

    imported = import_models([model], tmp_path, "house")

    classes = {row["equipment"]: row["class"] for row in imported.graph.ask("equipment")}
    assert (classes["vav_1"], classes["vav_2"]) == ("RVAV", "VAV")
    assert imported.report["changes"]["changed"] == [
        {"id": "vav_1", "name": "VAV-1", "class": "RVAV", "before": {"class": "VAV"}, "after": {"class": "RVAV"}}
    ]


def test_every_proposal_can_be_uncommented_as_it_stands(model_file: Callable[..., Path], tmp_path: Path) -> None:
    hostile = r'Evil \\"] = 1 \X2\000A007F\X0\# ['

    def change(text: str) -> str:
        text = text.replace("IFCCARTESIANPOINT((1.,1.,1.5))", "IFCCARTESIANPOINT((5.,1.,1.5))")  # on the wall line
        return text.replace("'VAV-1.ZN-T'", f"'{hostile}'")

    on_wall = model_file(contain="storey", change=change)
    (item,) = import_models([on_wall], tmp_path, "house").report["review"]
    assert "\n" in item["name"]
    lines = (tmp_path / "review.proposals.toml").read_text().splitlines()

    assert all(line.startswith("#") or not line for line in lines)
    tables = "\n".join(line.removeprefix("# ") for line in lines if re.match(r"# (\[|\w+ = )", line))
    decisions = parse_decisions(tables.replace('by = ""', 'by = "x"').replace('why = ""', 'why = "y"'), "proposals")
    assert [(header, d.room) for header, d in decisions.elements.items()] == [(item["header"], item["room"])]
