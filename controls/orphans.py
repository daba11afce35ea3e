"""What an earlier life of the controller left in the building, from the journal alone."""

from datetime import datetime
from typing import Any

from controls.leases import Lease
from twin.journal import Journal, Row
from twin.words import Authority, Result

PAGE = 10_000  # rows read at once: a crashed year must not fill the memory


def orphans(journal: Journal) -> list[Lease]:
    """Points commanded since the building was last given back whole and not let go since: due for release."""
    since = _last_clean_release(journal)
    last: dict[str, Row] = {}
    written: dict[str, set[float]] = {}
    freed: set[str] = set()
    priors: dict[str, float] = {}
    for row in _rows(journal, since):
        if row.kind == "prior":
            priors[row.body["point"]] = row.body["value"]
        elif row.kind == "outcome":
            _note_freed(row.body, last, freed)
            _note_made_of(row.body, last, written, priors)
        else:
            last[row.body["point"]] = row
            freed.discard(row.body["point"])
            if row.body["value"] is not None:
                written.setdefault(row.body["point"], set()).add(row.body["value"])
    return [_lease(row, written.get(point, set()), priors.get(point)) for point, row in sorted(last.items()) if point not in freed]


def _last_clean_release(journal: Journal) -> int:
    clean = (row.number for row in journal.latest(("release",), most=1000) if not row.body.get("held_after"))
    return next(clean, 0)


def _rows(journal: Journal, since: int) -> Any:
    while rows := journal.after(since, ("command", "outcome", "prior"), PAGE):
        yield from rows
        since = rows[-1].number


def _note_freed(body: dict[str, Any], last: dict[str, Row], freed: set[str]) -> None:
    """A relinquish that worked frees the point; a conflict means that it is somebody else's."""
    row = last.get(body["point"])
    if row is None or row.body["id"] != body["command"]:
        return
    if (row.body["value"] is None and body["result"] == Result.APPLIED) or body["result"] == Result.CONFLICT:
        freed.add(body["point"])


def _note_made_of(body: dict[str, Any], last: dict[str, Row], written: dict[str, set[float]], priors: dict[str, float]) -> None:
    """A device that clamps holds what it made of our value: that is ours to take back too."""
    row = last.get(body["point"])
    made_of = body["read_back"] if body["point"] in priors else body["slot"]
    if row is not None and row.body["value"] is not None and body["result"] == Result.NOT_EFFECTIVE and made_of is not None:
        written.setdefault(body["point"], set()).add(made_of)


def _lease(row: Row, written: set[float], prior: float | None) -> Lease:
    body = row.body
    return Lease(
        body["point"], None, body["id"], body["by"], Authority(body["authority"]), datetime.fromisoformat(body["until"]),
        has_slots=prior is None, prior=prior, written=frozenset(written),
    )  # fmt: skip
