"""Running contracts over sealed entries: the recorder while it seals, the verifier to get the same state again.

A contract's source (with `verdict.py`) has one hash, which members install; the AST check refuses what could differ between two runs.
"""

import ast
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger import cbor
from ledger.contracts import metering, overload
from ledger.contracts.verdict import Fact, State, Verdict
from ledger.errors import VerificationError

CONTRACTS: Mapping[str, tuple[Callable[[dict[str, Any]], State], Callable[[State, Fact], Verdict]]] = {
    "metering": (metering.begin, metering.apply),
    "overload": (overload.begin, overload.apply),
}
VERSION = 1
SOURCE_BYTES_MAX = 64 * 1024  # a policy is read by people before they sign it
_IMPORTS = ("typing", "ledger.contracts.verdict", "dataclasses")
_FORBIDDEN = (ast.Div, ast.Set, ast.SetComp, ast.Lambda, ast.Global, ast.Nonlocal, ast.While, ast.Await, ast.Yield, ast.YieldFrom)
_FORBIDDEN_NAMES = frozenset(
    (
        "open",
        "eval",
        "exec",
        "compile",
        "float",
        "complex",
        "hash",
        "id",
        "input",
        "print",
        "globals",
        "locals",
        "vars",
        "getattr",
        "setattr",
    )
    + ("delattr", "set", "frozenset", "__import__")
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


@dataclass(frozen=True, slots=True)
class Ran:
    """What one contract said to one entry."""

    contract: str
    events: tuple[dict[str, Any], ...]
    refused: tuple[str, ...]


class Replay:
    """Contracts with their parameters and states; feed it sealed entries in the order of the log."""

    def __init__(self, parameters: Mapping[str, dict[str, Any]]) -> None:
        unknown = sorted(set(parameters) - set(CONTRACTS))
        if unknown:
            raise VerificationError(f"contract {unknown[0]!r} is not known here; known are {', '.join(CONTRACTS)}", step=10)
        self.states: dict[str, State] = {name: CONTRACTS[name][0](dict(parameters[name])) for name in sorted(parameters)}

    def feed(self, fact: Fact) -> list[Ran]:
        """Apply every contract to one entry; only those that had something to say are returned."""
        ran = []
        for name in self.states:
            verdict = CONTRACTS[name][1](self.states[name], fact)
            self.states[name] = verdict.state
            if verdict.events or verdict.refused:
                ran.append(Ran(name, verdict.events, verdict.refused))
        return ran

    def roots(self) -> dict[str, bytes]:
        """The hash of each contract's state: whoever replays the same entries gets the same."""
        return {name: hashlib.sha256(cbor.encode(state)).digest() for name, state in self.states.items()}
