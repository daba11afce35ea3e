"""The list of fault scenarios is kept true: each names tests that are really collected, and that say which scenario they stage."""

import ast
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3]
SCENARIOS = list(csv.DictReader((Path(__file__).parent / "scenarios.csv").read_text(encoding="utf-8").splitlines()))
NAMED = {scenario["number"]: scenario["tests"].split() for scenario in SCENARIOS}
pytestmark = pytest.mark.parametrize("engine", ["fast"], indirect=True)


def test_every_scenario_of_the_list_stands_there_once_and_names_its_tests():
    assert list(NAMED) == [f"F{n:02}" for n in range(1, 53)]
    assert [number for number, tests in NAMED.items() if not tests] == []


def test_every_test_that_a_scenario_names_is_really_collected(request):
    here = {_plain(item.nodeid) for item in request.session.items}
    elsewhere = {test for tests in NAMED.values() for test in tests} - here  # where only a part of the tests runs

    assert sorted(elsewhere - _collected(sorted({test.partition("::")[0] for test in elsewhere}))) == []


def test_every_named_test_says_its_scenario_and_every_test_that_says_one_is_named():
    said = {(number, test) for test, numbers in _said_by_tests() for number in numbers}

    assert said == {(number, test) for number, tests in NAMED.items() for test in tests}


def _said_by_tests() -> list[tuple[str, set[str]]]:
    """Each test with the numbers that stand in its docstring."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                numbers = set(re.findall(r"\bF\d\d\b", ast.get_docstring(node) or ""))
                found.append((f"{path.relative_to(TESTS).as_posix()}::{node.name}", numbers))
    return found


def _collected(files: list[str]) -> set[str]:
    if not files:
        return set()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS.parent)}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {_plain(line) for line in done.stdout.splitlines() if "::" in line}


def _plain(node: str) -> str:
    """A test without its parameters, its file named from the tests' folder on."""
    return node.partition("[")[0].removeprefix("tests/")
