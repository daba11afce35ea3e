"""The command `import`: one JSON object on standard output, or a few lines for a person."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bim.commands import import_
from twin.errors import SiteError
from twin.journal import Journal
from twin.site import find_site


@pytest.fixture
def run() -> Callable[..., str]:
    app = typer.Typer()
    app.command("import")(import_)

    def call(*words: str) -> str:
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATTPROOF_STATE", str(tmp_path / "state"))
    folder = tmp_path / "corner_clinic"
    shutil.copytree(find_site("corner_clinic"), folder)
    return folder


def test_a_site_is_imported_into_its_own_folder(run: Callable[..., str], clinic: Path) -> None:
    before = (clinic / "twin.ttl").read_bytes()
    (clinic / "twin.ttl").unlink()

    counts = json.loads(run(str(clinic), "--json"))

    assert counts["points"] == counts["bound"] == 69
    assert counts["schemas"] == ["IFC4"]
    assert (clinic / "twin.ttl").read_bytes() == before


def test_an_import_is_written_into_the_sites_journal(run: Callable[..., str], clinic: Path, tmp_path: Path) -> None:
    (clinic / "review.toml").write_text("# nothing yet\n")

    run(str(clinic))

    (row,) = Journal(tmp_path / "state" / "sites" / "corner_clinic" / "journal.db").after(0)
    assert (row.kind, row.body["counts"]["points"], row.body["models"][0]["file"]) == ("import", 69, "models/corner_clinic.ifc")
    assert row.body["review"] == hashlib.sha256(b"# nothing yet\n").hexdigest()


def test_files_go_where_out_says(run: Callable[..., str], model_file: Callable[..., Path], tmp_path: Path) -> None:
    told = run(str(model_file("a.ifc")), str(model_file("b.ifc", schema="IFC4X3")), "--out", str(tmp_path / "My House"))

    assert sorted(p.name for p in (tmp_path / "My House").iterdir()) == [
        "plan.json", "report.html", "report.json", "review.proposals.toml", "review.toml", "twin.ttl",
    ]  # fmt: skip
    assert told.startswith("my_house: a.ifc, b.ifc\n")
    assert "for review" in told


def test_somebody_else_s_brick_model_is_adopted_and_what_breaks_the_rules_is_named(run: Callable[..., str], tmp_path: Path) -> None:
    model = tmp_path / "theirs.ttl"
    model.write_text(
        "@prefix brick: <https://brickschema.org/schema/Brick#> . @prefix b: <urn:theirs#> . "
        "b:ahu a brick:AHU ; brick:hasPoint b:t . b:t a brick:Supply_Air_Temperature_Sensor . b:lost a brick:CO2_Level_Sensor ."
    )

    told = json.loads(run(str(model), "--out", str(tmp_path / "theirs"), "--json"))

    assert (told["points"], told["equipment"], told["violations"]) == (2, 1, len(told["findings"]))
    assert [text.split(",")[0] for text in told["findings"] if "isPointOf" in text] == ["lost"]
    assert (tmp_path / "theirs" / "twin.ttl").is_file()


def test_unclear_words_are_answered_with_what_to_give(model_file: Callable[..., Path]) -> None:
    with pytest.raises(SiteError, match="--out DIR"):
        import_([str(model_file())])
    with pytest.raises(SiteError, match="give one site"):
        import_(["a", "b"])
    with pytest.raises(SiteError, match=r"no folder with a site\.toml"):
        import_(["no_such_site"])
