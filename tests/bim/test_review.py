"""Decisions of people: applied at every import, said in the twin, and refused when they say nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bim.importing import import_models
from bim.review import read_decisions
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
        ("[[[", "not readable as TOML"),
    ],
)
def test_a_decision_that_says_nothing_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "review.toml").write_text(text)

    with pytest.raises(SiteError, match=words):
        read_decisions(tmp_path / "review.toml")
