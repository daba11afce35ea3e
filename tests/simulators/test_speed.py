"""The speed table measures what it prints and says whether each target holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.speed.figures import Figure

ROOT = Path(__file__).parents[2]


def table(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "twin", "speed", "--json", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize(("only", "rows"), [("demo office", 4), ("help", 1), ("usual size", 1), ("shapes", 1)])
def test_every_row_has_a_measured_value_its_unit_and_its_target(only: str, rows: int) -> None:
    found = json.loads(table("--only", only).stdout)["rows"]

    assert len(found) == rows
    assert all(set(row) == {"name", "value", "unit", "target", "holds", "peers"} for row in found)
    assert all(row["value"] > 0 and row["unit"] and row["holds"] == (row["value"] <= row["target"]) for row in found)


def test_a_lying_device_is_believed_in_nothing_and_mutated_frames_break_nothing() -> None:
    found = {row["name"]: row for row in json.loads(table("--only", "mutated", "--mutated", "1000").stdout)["rows"]}

    never = [name for name in found if "believed" in name or "crashes" in name]
    assert len(never) == 3
    assert [found[name]["value"] for name in never] == [0, 0, 0]


def test_a_title_that_no_measurement_has_is_said_with_those_there_are() -> None:
    done = table("--only", "warp drive")

    assert done.returncode != 0
    assert "own shapes" in done.stderr


def test_a_figure_may_be_better_when_larger() -> None:
    assert not Figure("share", 0.9, "", 0.95, more_is_better=True).holds
    assert Figure("share", 0.96, "", 0.95, more_is_better=True).holds
    assert Figure("time", 0.9, "s", 0.95).holds
