"""The tree itself is tested: names, clocks, commands, dead modules and what the wheel holds."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from twin import cli

ROOT = Path(__file__).parent.parent
ROOMS = ("twin", "bim", "controls", "ledger", "dashboards", "simulators")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
BANNED_NAMES = re.compile(r"(^|_)(utils?|helpers?|managers?)($|_)")


def dotted(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def runs_by_itself(path):
    return 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")


def imported_names():
    found = set()
    for path in MODULES:
        package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or package
                found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def test_every_module_is_imported_by_somebody_or_holds_commands():
    used = imported_names() | {target.partition(":")[0] for target, _ in cli.COMMANDS.values()}
    dead = [dotted(p) for p in MODULES if p.name != "__init__.py" and dotted(p) not in used and not runs_by_itself(p)]

    assert dead == []


def test_every_module_stands_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = [dotted(p) for p in MODULES if p.name != "__init__.py" and not re.search(rf"`{re.escape(dotted(p))}`", text)]

    assert missing == []


def test_no_module_is_called_by_what_it_is_not():
    assert [dotted(p) for p in MODULES if BANNED_NAMES.search(p.stem)] == []


def test_clocks_are_read_only_in_one_place():
    reading = re.compile(r"\b(time\.(time|monotonic|perf_counter)|datetime\.(now|utcnow|today)|date\.today)\(")
    guilty = [dotted(p) for p in MODULES if dotted(p) != "twin.clock" and reading.search(p.read_text(encoding="utf-8"))]

    assert guilty == []


def test_only_the_arbiter_makes_a_command():
    makers = [dotted(p) for p in MODULES if re.search(r"(?<![\w.\"'])Command\(", p.read_text(encoding="utf-8"))]

    assert makers == ["controls.arbiter", "twin.words"] or makers == ["controls.arbiter"]


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_file_or_function_outgrows_the_limits(path):
    text = path.read_text(encoding="utf-8")
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > 100
    ]

    assert text.count("\n") <= 800
    assert long == []


def test_the_repository_holds_no_address_of_a_registry_and_no_path_of_a_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    files = [ROOT / name for name in tracked if not name.endswith((".ifc", ".png", ".bundle", ".svg"))]
    if not files:
        pytest.skip("not a git checkout: nothing to look through")
    suspicious = re.compile(r"(index-url|find-links|/simple/|/opt/pypi|/root/|/home/\w+/)")
    guilty = [
        f"{f.name}: {hit.group()}"
        for f in files
        if f.is_file() and f.name != "test_tidy.py" and (hit := suspicious.search(f.read_text("utf-8")))
    ]

    assert guilty == []
    assert "uv.lock" not in tracked


def test_the_wheel_holds_exactly_the_six_packages(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {t for t in tops if not t.endswith(".dist-info")} == set(ROOMS)


def test_both_locks_hold_hashes_and_the_users_lock_is_within_the_testers():
    pins = {}
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        pins[name] = set(re.findall(r"^([\w.-]+==[\w.]+)", text, re.MULTILINE))
        assert text.count("--hash=sha256:") >= len(pins[name])
        assert "://" not in text

    assert pins["requirements.lock"] <= pins["requirements-dev.lock"]
