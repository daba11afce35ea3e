"""The list of fault scenarios is kept true: each is staged by a test that names its number, or says what is missing."""

import csv
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3]
SCENARIOS = list(csv.DictReader((Path(__file__).parent / "scenarios.csv").read_text(encoding="utf-8").splitlines()))
pytestmark = pytest.mark.parametrize("engine", ["fast"], indirect=True)


def test_every_scenario_is_staged_or_says_what_is_missing():
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py") if path.name != "test_scenarios.py")
    named = set(re.findall(r"\bF\d\d\b", text))

    assert [s["number"] for s in SCENARIOS] == [f"F{n:02}" for n in range(1, 53)]
    assert [s["number"] for s in SCENARIOS if (s["number"] in named) == s["staged"].startswith("missing: ")] == []
    assert [s["number"] for s in SCENARIOS if not re.match(r"yes$|(partly|missing): \w", s["staged"])] == []
