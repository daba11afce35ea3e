"""The contracts as the log and the verifier run them, and the check that a contract's source cannot differ between two runs.

A contract's source (with `verdict.py`) has one hash, which the founding or a `policy.install` entry names.
"""

import ast
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ledger import cbor
from ledger.contracts import authority, metering, overload
from ledger.contracts.verdict import Fact, State, Verdict
from ledger.errors import VerificationError
from ledger.replay import Contract, Event, View
from ledger.replay import Verdict as Ruling

Steps = tuple[Callable[[dict[str, Any]], State], Callable[[State, Fact], Verdict]]
POLICIES: Mapping[str, Steps] = {
    "authority": (authority.begin, authority.apply),
    "metering": (metering.begin, metering.apply),
    "overload": (overload.begin, overload.apply),
}
VERSION = 1
SOURCE_BYTES_MAX = 64 * 1024  # a policy is read by people before they sign it
ENTRY_KINDS = {"raised": "alarm.raised", "escalated": "alarm.escalated", "cleared": "alarm.cleared", "gap": "alarm.raised"} | dict.fromkeys(
    ("stuck", "refused", "ungranted"), "alarm.raised"
)
"""What a contract's event is sealed as."""
_IMPORTS = ("typing", "ledger.contracts.verdict", "dataclasses")
_FORBIDDEN = (ast.Div, ast.Set, ast.SetComp, ast.Lambda, ast.Global, ast.Nonlocal, ast.While, ast.Await, ast.Yield, ast.YieldFrom)
_FORBIDDEN_NAMES = frozenset(
    "open eval exec compile float complex hash id input print globals locals vars getattr setattr delattr set frozenset __import__".split()  # noqa: SIM905 (one line, as people read it)
)


def source_of(name: str) -> bytes:
    """The text that a contract's hash covers: the shared words, then the contract."""
    folder = Path(__file__).parent
    return b"\n".join((folder / f"{part}.py").read_bytes() for part in ("verdict", name))


def source_hash(name: str) -> bytes:
    """What members sign when they install the contract."""
    return hashlib.sha256(source_of(name)).digest()


def check_source(source: bytes) -> None:
    """Refuse forbidden syntax; a guard against slips (against malice stands the quorum that read the source)."""
    if len(source) > SOURCE_BYTES_MAX:
        raise VerificationError(f"a contract has at most {SOURCE_BYTES_MAX} bytes, got {len(source)}", step=10)
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, _FORBIDDEN):
            raise VerificationError(f"line {line}: {type(node).__name__} may not stand in a contract", step=10)
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            raise VerificationError(f"line {line}: contracts count in whole numbers, got {node.value}", step=10)
        if isinstance(node, ast.Name) and node.id in _FORBIDDEN_NAMES:
            raise VerificationError(f"line {line}: {node.id} may not stand in a contract", step=10)
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module not in _IMPORTS):
            raise VerificationError(f"line {line}: a contract imports only {', '.join(_IMPORTS)}", step=10)


def contract(name: str) -> Contract:
    """The contract of this name as the log follows it and the verifier replays it."""
    begin, apply = POLICIES[name]

    def ruled(state: State, view: View) -> Ruling:
        verdict = apply(state, fact_of(view))
        return Ruling(verdict.state, _events(name, view, verdict))

    return Contract(name, source_hash(name), lambda parameters: begin(dict(parameters)), ruled, state_root)


def contracts() -> dict[str, Contract]:
    """Every contract this version knows, by name."""
    return {name: contract(name) for name in POLICIES}


def policy(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The contract as a founding or `policy.install` names it: name, source hash, version and parameters. Its source is checked first."""
    check_source(source_of(name))
    return {"name": name, "source": source_hash(name), "version": VERSION, "parameters": dict(parameters)}


def fact_of(view: View) -> Fact:
    """A sealed entry as contracts see it."""
    return Fact(view.entry.kind, view.entry.source, view.entry.time_ms, view.body.fields)


def state_root(state: State) -> bytes:
    """The hash of a contract's state: whoever replays the same entries gets the same."""
    return hashlib.sha256(cbor.encode(state)).digest()


def _events(name: str, view: View, verdict: Verdict) -> Sequence[Event]:
    refused = [
        {"event": "refused", "id": f"{name}.refused", "why": why, "cited": view.number, "time_ms": view.entry.time_ms}
        for why in verdict.refused
    ]
    told = [{**event, "cited": view.number} for event in verdict.events]
    return [Event(ENTRY_KINDS[event["event"]], event) for event in [*told, *refused]]
