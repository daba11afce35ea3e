"""What contracts and claims look like to the log and the verifier: pure functions over sealed entries.

A contract sees what devices and members say, never registry entries and never what contracts said themselves.
Whoever replays it comes to the same state root, or someone lied.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger.cbor import Value
from ledger.entry import Body, Entry, Signed

CONTRACT_FIELD = "contract"
"""A body with this field is what the contract of that name said; contracts are not fed with it."""


@dataclass(frozen=True, slots=True)
class View:
    """A sealed entry as a contract or a claim's check sees it."""

    number: int
    entry: Entry
    body: Body

    @property
    def contract(self) -> str:
        """The contract this entry speaks for; empty when it speaks for its source."""
        return next((str(value) for name, value in self.body.fields if name == CONTRACT_FIELD), "")

    @property
    def is_input(self) -> bool:
        """Whether contracts are fed with it."""
        return (not self.entry.rule.open or self.entry.rule.fed) and not self.contract


@dataclass(frozen=True, slots=True)
class Event:
    """What a contract says: sealed by the gateway as an entry of this kind with these fields and the contract's name."""

    kind: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A contract's state after an entry, and what it says about it."""

    state: Any
    events: Sequence[Event] = ()


@dataclass(frozen=True)
class Contract:
    """A deterministic policy: whole numbers and text only; no clock, no randomness, no input or output."""

    name: str
    source_hash: bytes
    start: Callable[[Mapping[str, Value]], Any]
    apply: Callable[[Any, View], Verdict]
    root: Callable[[Any], bytes]


Claim = Callable[[View, Sequence[View]], str]
"""Recompute one claim from all sealed entries: returns a line for the report, raises VerificationError when it differs."""


@dataclass(frozen=True)
class Rules:
    """The contracts and claims a verifier can redo, by contract name and by entry kind."""

    contracts: Mapping[str, Contract] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)


class Contracts:
    """The contracts of one group at work: feed them checkpoint by checkpoint, ask for their roots after each."""

    def __init__(self, contracts: Sequence[Contract], policies: Mapping[str, Mapping[str, Value]]) -> None:
        self._contracts = sorted((c for c in contracts if c.name in policies), key=lambda contract: contract.name)
        self._from = {name: int(policy["from"]) for name, policy in policies.items()}
        self._states = {c.name: c.start(policies[c.name]["parameters"]) for c in self._contracts}

    def feed(self, views: Sequence[View]) -> list[tuple[str, Event]]:
        """What the contracts say about these entries, in order: (contract, event)."""
        said = []
        for view in views:
            for contract in self._contracts:
                if view.is_input and view.number >= self._from[contract.name]:
                    verdict = contract.apply(self._states[contract.name], view)
                    self._states[contract.name] = verdict.state
                    said += [(contract.name, event) for event in verdict.events]
        return said

    @property
    def states(self) -> dict[str, Any]:
        """Each contract's state now."""
        return dict(self._states)

    def stand(self, states: Mapping[str, Any]) -> None:
        """Go on from these states; whoever gives them has compared their roots with sealed ones."""
        self._states = {contract.name: states[contract.name] for contract in self._contracts}

    def roots(self) -> dict[str, bytes]:
        """The root of each contract's state now."""
        return {contract.name: contract.root(self._states[contract.name]) for contract in self._contracts}


@dataclass(frozen=True, slots=True)
class Followed:
    """What contracts add to a checkpoint: entries signed by the gateway, and the root of each contract's state."""

    items: Sequence[Signed]
    roots: Mapping[str, bytes]


Follow = Callable[[Sequence[View]], Followed]
"""Called inside the log's transaction with the entries it accepted, before the state leaf."""
