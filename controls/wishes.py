"""What people ask through the journal: the mode of the optimiser, and overrides with a reason and an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from twin.journal import Journal, Row
from twin.words import Authority, Request

KINDS = ("mode", "request")
MODES = ("automatic", "off")


@dataclass(frozen=True)
class News:
    """What changed since the last look."""

    mode_set_by: str  # empty: nobody set it
    let_go: Sequence[str]  # points whose override a person took back, or that has ended
    unreadable: Sequence[tuple[str, str, str]]  # point, by whom, what is wrong with the wish
    asked: bool = False  # somebody wrote a wish: it should not wait for the next cycle's turn


class Wishes:
    """Follows the journal: the newest mode rules, and for each point a person's newest request until its end."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen = 0
        self._overrides: dict[str, Request] = {}
        self.mode = "automatic"

    def follow(self, now: datetime) -> News:
        """Read what people wrote since the last look."""
        mode_set_by, let_go, unreadable, asked = "", [], [], False
        for row in self._journal.after(self._seen, KINDS):
            self._seen = row.number
            if row.kind == "mode":
                if row.body.get("mode") in MODES:  # the same mode said again still wants its answer
                    self.mode, mode_set_by = row.body["mode"], str(row.body.get("by") or "somebody")
                continue
            asked = True
            try:
                request = wish(row)
            except (KeyError, TypeError, ValueError) as error:
                unreadable.append((str(row.body.get("point", "")), str(row.body.get("by", "")), f"not readable: {error}"))
                continue
            before = self._overrides.pop(request.point, None)
            if request.value is not None:
                self._overrides[request.point] = request
            elif before is not None:
                let_go.append(request.point)
        ended = [point for point, request in self._overrides.items() if request.until <= now]
        for point in ended:
            del self._overrides[point]
        return News(mode_set_by, [*let_go, *ended], unreadable, asked)

    @property
    def overrides(self) -> list[Request]:
        """The wishes that hold now."""
        return list(self._overrides.values())


def wish(row: Row) -> Request:
    """A person's request from its journal row; nobody gets a stronger authority than an operator's by writing it down."""
    body = row.body
    value = body["value"]
    named = body.get("authority", Authority.OPERATOR)
    authority = Authority[named.upper()] if isinstance(named, str) else Authority(named)
    return Request(
        str(body["point"]), None if value is None else float(value), str(body["by"]), str(body["why"]),
        datetime.fromisoformat(body["until"]), max(authority, Authority.OPERATOR),
    )  # fmt: skip
