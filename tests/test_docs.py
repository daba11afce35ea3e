"""The documents are tested: commands, settings, errors, words and examples stand in them, and the help text is the real one."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from ledger.report import STEPS
from twin import cli, errors, journal
from twin.graph import query_names
from twin.site import BacnetNetwork, Comfort, Connection, CycleSettings, GroupMembership, Site

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
GLOSSARY = (
    "Site Point Limits Binding Reading Image Request Command Outcome Quality "
    "Device Group Entry Checkpoint Witness Proof Bundle Contract Claim Alarm"
)
REQUIRED = "brickschema ifcopenshell bacpypes3 pymodbus simpy scikit-learn dash cryptography pytest"


def test_the_help_text_in_the_readme_is_the_real_one():
    assert cli.help_text() in README


@pytest.mark.parametrize("kind", [Site, BacnetNetwork, Comfort, Connection, CycleSettings, GroupMembership])
def test_every_setting_of_a_site_is_explained(kind):
    missing = [f.name for f in fields(kind) if f.name != "folder" and f"`{f.name}`" not in README]

    assert missing == []


def test_every_error_is_explained():
    names = [n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, errors.WattproofError)]

    assert [n for n in names if f"`{n}`" not in ARCHITECTURE] == []


def test_every_journal_kind_is_explained():
    assert [k for k in journal.KINDS if f"`{k}`" not in ARCHITECTURE] == []


def test_every_named_question_is_explained():
    assert [name for name in query_names() if f"| `{name}`" not in ARCHITECTURE] == []


def test_the_steps_of_verification_have_the_same_numbers_in_the_documents():
    assert [f"| {number} | {what} |" for number, what in STEPS.items() if f"| {number} | {what} |" not in ARCHITECTURE] == []


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_stands_in_the_changelog(command):
    assert re.search(rf"`(wattproof )?{command}\b", CHANGELOG)


@pytest.mark.parametrize("word", GLOSSARY.split())
def test_every_word_of_the_glossary_is_explained(word):
    assert re.search(rf"\*\*{word}\*\*", ARCHITECTURE)


@pytest.mark.parametrize("package", REQUIRED.split())
def test_every_required_package_has_its_job_named(package):
    assert re.search(rf"^\| `{package}` \|", ARCHITECTURE, re.MULTILINE)


def test_every_dependency_has_a_line():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]

    names = [re.match(r"[a-z0-9-]+", line).group() for line in listed]

    assert [name for name in names if f"`{name}`" not in ARCHITECTURE] == []


def test_the_readme_has_a_chinese_section():
    assert "## 中文" in README
    assert "./wattproof demo" in README.split("## 中文")[1]
