"""The inspector's page: the groups this government belongs to, their entries decoded, and the numbered verification."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboards.views.ledger import Glance, glance


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group in the list."""

    name: str
    owner: str
    government: str
    root: str
    cosigned_by: str
    cosigned_at: datetime | None
    by_kind: tuple[tuple[str, int], ...]
    glance: Glance


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry in the list."""

    number: int
    kind: str
    source: str
    vouched_by: str
    key_name: str
    at: datetime | None
    wall: datetime | None
    simulated: bool
    summary: str
    hash: str


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An overload alarm as it stands in the ledger."""

    number: int
    at: datetime | None
    state: str
    source: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One numbered step of the verification."""

    number: str
    what: str
    result: str  # ok, failed or na
    detail: str


def group_row(name: str, overview: Any) -> GroupRow:
    """The group's line in the list."""
    kinds = overview.by_kind or {}
    pairs = kinds.items() if isinstance(kinds, Mapping) else kinds
    return GroupRow(
        name, str(overview.owner), str(overview.government), text_of(overview.root), names_of(overview.cosigned_by), overview.cosigned_at,
        tuple(sorted(((str(k), int(n)) for k, n in pairs), key=lambda pair: -pair[1])), glance(overview),
    )  # fmt: skip


def entry_rows(entries: Sequence[Any]) -> tuple[EntryRow, ...]:
    """Entries as they came from the explorer, newest first."""
    rows = [
        EntryRow(
            e.number, e.kind, e.source, str(e.vouched_by), str(e.key_name), e.at, e.wall, bool(e.simulated), str(e.summary), text_of(e.hash)
        )
        for e in entries
    ]
    return tuple(sorted(rows, key=lambda row: -row.number))


def overload_lines(entries: Sequence[Any]) -> tuple[AlarmLine, ...]:
    """Alarms about overload, newest first: what contracts said and what sites said."""
    found = [e for e in entries if "overload" in f"{e.summary} {e.body}".lower()]
    return tuple(
        AlarmLine(e.number, e.at, e.kind.rpartition(".")[2], e.source, str(e.summary)) for e in sorted(found, key=lambda e: -e.number)
    )


def check_steps(steps: Sequence[Any]) -> tuple[CheckStep, ...]:
    """The verification's steps; `ok` is True, False or None (not applicable)."""
    results = {True: "ok", False: "failed", None: "na"}
    return tuple(CheckStep(str(s.number), str(s.what), results[s.ok], str(s.detail)) for s in steps)


def body_lines(body: Any) -> tuple[tuple[str, str], ...]:
    """A decoded body as name and text, for the detail of one entry."""
    if not isinstance(body, Mapping):
        return () if body is None else (("", str(body)),)
    return tuple((str(k), v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=text_of)) for k, v in body.items())


def text_of(value: Any) -> str:
    """Bytes as hex, anything else as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def names_of(value: Any) -> str:
    """One name, several names or none."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple, set, frozenset)) else str(value or "")
