"""What the ledger's core may know: an inspector's engineer reads it in a day."""

import ast
import sys
from pathlib import Path

import pytest

LEDGER = Path(__file__).parents[2] / "ledger"
CORE = [
    "errors", "cbor", "tree", "entry", "keys", "certificates", "checkpoint", "envelope", "source", "founding", "tables", "succession",
    "registry", "group", "labour", "replay", "reader", "log", "bundle", "evidence", "trust", "report", "inspection",
    "steps_frame", "steps_entries", "steps_meaning", "verify",
]  # fmt: skip
WRITERS = {"log", "reader", "evidence", "source", "custody", "witness", "witness_client"}


def _imports(module: str) -> set[str]:
    tree = ast.parse((LEDGER / f"{module}.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_the_standard_library_and_cryptography_alone(module: str) -> None:
    for name in _imports(module):
        room, _, part = name.partition(".")
        assert room in sys.stdlib_module_names | {"cryptography"} or (room == "ledger" and part in CORE), name


def test_the_core_reads_no_clock() -> None:
    for module in CORE:
        assert "time" not in _imports(module)
        assert ".now(" not in (LEDGER / f"{module}.py").read_text(encoding="utf-8")


def test_only_the_log_knows_a_database() -> None:
    assert [module for module in CORE if "sqlite3" in _imports(module)] == ["reader", "log"]


def test_the_verifier_shares_nothing_with_whoever_wrote_the_log() -> None:
    reached, ahead = set(), ["verify"]
    while ahead:
        module = ahead.pop()
        reached.add(module)
        parts = {name.removeprefix("ledger.") for name in _imports(module) if name.startswith("ledger.")}
        ahead += sorted(parts - reached)

    assert not reached & WRITERS
