"""Deciding without editing a file: one thing, all that is like it, another class than proposed, and back again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bim.importing import import_models
from bim.review_commands import review
from bim.writing import ModelWriter, Spot
from twin.errors import SiteError
from twin.journal import Journal
from twin.site import find_site

SIGNED = ("--by", "M. Chen", "--why", "drawing E-3")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Five light switches that the model calls luminaires, one detector that it calls so too, and a thing without a meaning."""
    writer = ModelWriter("Switches", "IFC4")
    storey = writer.storey("Level 1", 0.0)
    room = writer.room("R1", storey, [(0, 0), (9, 0), (9, 6), (0, 6)], 3.0)
    for n in range(5):
        writer.element("IfcLightFixture", f"Light switch {n}", "NOTDEFINED", Spot(room, 1.0 + n, 1.0, 1.1))
    writer.element("IfcLightFixture", "Smoke detector 1", "NOTDEFINED", Spot(room, 1.0, 3.0, 2.9))
    writer.element("IfcBuildingElementProxy", "Xyzzy", "NOTDEFINED", Spot(room, 1.0, 4.0, 1.0))
    (tmp_path / "house.ifc").write_bytes(writer.content())
    return tmp_path / "house.ifc"


@pytest.fixture
def out(model: Path, tmp_path: Path) -> Path:
    """A folder that an import filled."""
    import_models([model], tmp_path / "out", "house")
    return tmp_path / "out"


@pytest.fixture
def desk() -> Callable[..., str]:
    def run(*words: str) -> str:
        app = typer.Typer()
        app.command()(review)
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def classes(model: Path, out: Path) -> dict[str, str]:
    rows = import_models([model], out, "house").graph.ask("equipment")
    return {row["equipment"]: row["class"] for row in rows}


def test_what_is_of_one_kind_is_shown_once_and_decided_in_one_go_each_under_its_own_global_id(
    desk: Callable[..., str], model: Path, out: Path
) -> None:
    before = desk(str(out))
    done: dict[str, Any] = json.loads(desk(str(out), "--accept", "light_switch_3", "--alike", *SIGNED, "--json"))
    after = desk(str(out))
    found = classes(model, out)

    assert "and 4 alike, decided with it by --alike: light_switch_1" in before
    assert "7 waiting, 0 decided" in before
    assert [row["decision"] for row in done["decided"]] == [{"brick": "Switch"}] * 5
    assert len({row["header"] for row in done["decided"]}) == 5
    assert "2 waiting, 5 decided" in after
    assert "decided  light_switch_0, light_switch_1, light_switch_2 and 2 more: brick Switch (by M. Chen: drawing E-3)" in after
    assert {found[f"light_switch_{n}"] for n in range(5)} == {"Switch"}


def test_decisions_of_one_kind_are_taken_back_together_and_leave_the_file_as_it_was(
    desk: Callable[..., str], model: Path, out: Path
) -> None:
    desk(str(out), "--reject", "xyzzy", *SIGNED)
    before = (out / "review.toml").read_text()
    desk(str(out), "--accept", "light_switch_3", "--alike", *SIGNED)
    import_models([model], out, "house")
    desk(str(out), "--withdraw", "light_switch_0", "--alike", "--by", "L. Wang", "--why", "an old drawing")

    assert (out / "review.toml").read_text() == before
    assert "decided  Xyzzy: passive True" in desk(str(out))


def test_another_class_than_the_proposed_one_is_said_at_once_and_a_wrong_one_decides_nothing(
    desk: Callable[..., str], model: Path, out: Path
) -> None:
    untouched = (out / "review.toml").read_bytes()
    with pytest.raises(SiteError, match="'Xyz' is not a class of Brick"):
        desk(str(out), "--accept", "smoke_detector_1", "--accept", "xyzzy=Xyz", *SIGNED)
    with pytest.raises(SiteError, match="say what it is with --accept xyzzy=CLASS"):
        desk(str(out), "--accept", "xyzzy", *SIGNED)

    assert (out / "review.toml").read_bytes() == untouched
    desk(str(out), "--accept", "xyzzy=Boiler", *SIGNED)
    assert classes(model, out)["xyzzy"] == "Boiler"


def test_each_decision_of_a_site_is_a_row_of_its_journal(
    desk: Callable[..., str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTPROOF_STATE", str(tmp_path / "state"))
    folder = tmp_path / "house"
    folder.mkdir()
    text = (find_site("corner_clinic") / "site.toml").read_text().replace('"corner_clinic"', '"house"').replace('["surgery_1"]', "[]")
    (folder / "site.toml").write_text(text)
    import_models([model], folder, "house")

    desk(str(folder), "--accept", "light_switch_0", "--alike", *SIGNED)

    rows = Journal(tmp_path / "state" / "sites" / "house" / "journal.db").after(0, ("review",))
    assert [(row.body["by"], row.body["decision"]) for row in rows] == [("M. Chen", {"brick": "Switch"})] * 5
