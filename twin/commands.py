"""Commands of the shared ground: check, doctor and test."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from twin.errors import MissingError
from twin.site import find_site, product_root

DEBIAN_PACKAGES = ("chromium", "fonts-noto-cjk", "tshark", "mbpoll", "gcc", "libmodbus-dev", "nodejs", "npm")
INSTALL = "on Debian as root: wattproof doctor --install"


def check(
    site: Annotated[str, typer.Argument(help="a site's name below sites/, or its folder")],
    brick: Annotated[bool, typer.Option("--brick", help="all of Brick's own rules too; seconds for 1,000 points")] = False,
    rights: Annotated[bool, typer.Option("--rights", help="every point that may be written: between what, and by whose grant")] = False,
    state: Annotated[str | None, typer.Option("--state", help="where state, and with it the grant, lives")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Run every consistency check of a site and print all findings at once; and who may write what, under which interlocks."""
    from twin.check import check_brick, check_site
    from twin.entitlement import entitlement, spoken

    folder = find_site(site)
    findings = check_site(folder) + (check_brick(folder) if brick else [])
    held = entitlement(folder, state)
    if as_json:
        body = {"site": site, "findings": [asdict(f) for f in findings], "rights": held.rights, "interlocks": held.interlocks}
        print(json.dumps(body, ensure_ascii=False))
    else:
        for line in spoken(held, every=rights):
            print(line)
        for finding in findings:
            print(f"{finding.where}: {finding.message}")
        print(f"{site}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    raise typer.Exit(1 if findings else 0)


@dataclass(frozen=True, slots=True)
class Need:
    """Something the product can use: whether it is here, what for, and how to get it."""

    name: str
    present: bool
    what_for: str
    how: str


def doctor(
    install: Annotated[bool, typer.Option("--install", help="bring what is missing, where this user may")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Say what this machine has and lacks."""
    if install:
        _install_missing()
    found = needs()
    if as_json:
        print(json.dumps({"needs": [asdict(n) for n in found]}, ensure_ascii=False))
        return
    for need in found:
        print(f"{'here   ' if need.present else 'MISSING'}  {need.name}: {need.what_for}" + ("" if need.present else f"; {need.how}"))


def needs() -> list[Need]:
    """What the product can use beyond its locked packages."""
    fonts = _output(["fc-list", ":lang=zh", "family"])
    return [
        Need("Python 3.11", sys.version_info >= (3, 11), "everything", "install Python 3.11 or newer"),
        Need(
            "EnergyPlus",
            importlib.util.find_spec("pyenergyplus") is not None,
            "the judge of savings (Linux x86-64 only)",
            "without it the rc plant is used, and says so",
        ),
        Need("Chromium", shutil.which("chromium") is not None, "the browser tests", INSTALL),
        Need("a Chinese font", bool(fonts.strip()), "Chinese pages and pictures", INSTALL),
        Need("tshark", shutil.which("tshark") is not None, "dissecting what we send on the field bus", INSTALL),
        Need("mbpoll", shutil.which("mbpoll") is not None, "tests with another Modbus client", INSTALL),
        Need("libmodbus with gcc", _libmodbus_builds(), "tests with another Modbus server", INSTALL),
        Need("node with npm", bool(shutil.which("node") and shutil.which("npm")), "tests with node-bacnet, another BACnet stack", INSTALL),
    ]


def _libmodbus_builds() -> bool:
    return shutil.which("gcc") is not None and Path("/usr/include/modbus/modbus.h").exists()


def may_install() -> bool:
    """Whether this user may bring packages here: root on a Debian."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()


def _install_missing() -> None:
    if all(need.present for need in needs()):
        return
    if not may_install():
        raise MissingError(
            "doctor --install brings Debian packages and needs root on a Debian; install what `wattproof doctor` names by hand"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "--no-install-recommends", *DEBIAN_PACKAGES]):
        done = subprocess.run(words, stdout=sys.stderr, env=environment, check=False)  # noqa: S603 (fixed words, no shell)
        if done.returncode:
            raise MissingError(f"{' '.join(words)} ended with {done.returncode}; see its output above")


def _output(words: list[str]) -> str:
    if shutil.which(words[0]) is None:
        return ""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout  # noqa: S603 (fixed words, no shell)


def run_tests(
    pytest_words: Annotated[list[str] | None, typer.Argument(help="words for pytest; with any, only pytest runs")] = None,
) -> None:
    """Run every check and test: format, rules, types, imports, then pytest, whose summary closes the output."""
    root, python = product_root(), sys.executable
    if not pytest_words and may_install() and not all(n.present for n in needs()):
        _install_missing()
    for need in needs():
        if not need.present:
            print(f"SKIPPING what needs {need.name}: {need.how}", flush=True)
    stages = [
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "mypy"],
        [str(Path(python).with_name("lint-imports"))],
    ]
    failed = [stage for stage in ([] if pytest_words else stages) if not _passes(stage, root)]
    for stage in failed:
        print(f"FAILED: {' '.join(Path(w).name for w in stage)}", flush=True)
    tests_pass = _passes([python, "-m", "pytest", "-q", "-rs", "--durations=10", *(pytest_words or [])], root)
    raise typer.Exit(0 if tests_pass and not failed else 1)


def _passes(words: list[str], root: Path) -> bool:
    print("$", " ".join([Path(words[0]).name, *words[1:]]), flush=True)
    return subprocess.run(words, cwd=root, check=False).returncode == 0  # noqa: S603 (fixed words, no shell)
