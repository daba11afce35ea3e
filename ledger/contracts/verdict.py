"""What a contract sees and what it answers; part of every contract's sealed source."""

from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]
"""Whole numbers, text, lists and maps only, so that it has one spelling in CBOR."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A sealed entry as contracts see it: who said what, when (site time in ms), with the fields of its body."""

    kind: str
    source: str
    time_ms: int
    fields: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state after an entry, what follows from it, and why the entry (or a part of it) does not count, if so."""

    state: State
    events: tuple[dict[str, Any], ...] = field(default=())
    refused: tuple[str, ...] = field(default=())


def site_of(fact: Fact) -> str:
    """The site whose device speaks: devices are named <site>:<device>."""
    return fact.source.split(":")[0]


def registers(fact: Fact) -> list[tuple[str, int, int]]:
    """The good readings of a batch as (point, time in ms, value), values scaled to whole units of their point."""
    found = []
    for point, value in fact.fields:
        if point.startswith("#") or type(value) is not list or len(value) != 5:
            continue
        time_ms, amount, exponent, quality, _ = value
        if quality == "good" and type(amount) is int:
            found.append((point, time_ms, amount * 10**exponent if exponent >= 0 else amount // 10**-exponent))
    return found
