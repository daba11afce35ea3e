"""Who may do what, and the only door through which a page changes anything: rows in the site's journal.

What a page hides is courtesy; these functions decide.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from dashboards.accounts import NOBODY, User
from twin.errors import AccessError
from twin.journal import Journal, Record
from twin.words import AlarmState, Authority, Point

MAY: Final = {
    # role -> actions. The facility manager's server has operators, the government's has inspectors.
    "operator": frozenset({"read", "command", "acknowledge"}),
    "inspector": frozenset({"audit", "verify"}),
}
OVERRIDE_MINUTES_MAX = 24 * 60  # a longer wish is a schedule, not an override
REASON_LENGTH_MAX = 200


@dataclass(frozen=True)
class Visit:
    """The user of the current request and how to ask whether the session still lives."""

    user: User = NOBODY
    still_there: Callable[[], bool] = lambda: False


_STRANGER = Visit()
CURRENT: ContextVar[Visit] = ContextVar("current_visit", default=_STRANGER)  # bound by the gate; HTTP, sockets and threads see it


def must(user: User, action: str) -> None:
    """AccessError unless the user's role allows the action."""
    if action not in MAY.get(user.role, frozenset()):
        raise AccessError(
            f"{user.name or 'nobody'}: expected a role that may {action}, got {user.role or 'no role'}; ask the administrator"
        )


def give_back(journal: Journal, user: User, why: str, at: datetime) -> None:
    """Ask for the whole building back: automatic control ends and every command is relinquished."""
    must(user, "command")
    journal.append([Record("mode", at, {"mode": "off", "by": user.name, "why": _reason(why)})])


def resume(journal: Journal, user: User, why: str, at: datetime) -> None:
    """Let the building be controlled automatically again."""
    must(user, "command")
    journal.append([Record("mode", at, {"mode": "automatic", "by": user.name, "why": _reason(why)})])


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person typed into the override form; a value of None lets the point go."""

    point: str
    value: float | None
    why: str
    minutes: float


def ask(journal: Journal, user: User, point: Point | None, wish: Wish, at: datetime) -> str:
    """Write a person's wish into the journal; the arbiter rules on it in its next cycle. Returns the wish's id."""
    must(user, "command")
    if point is None or not point.writable or point.limits is None:
        raise AccessError("wish_point")
    if wish.value is not None and not point.limits.low <= wish.value <= point.limits.high:
        raise AccessError("wish_value")
    if not 0 < wish.minutes <= OVERRIDE_MINUTES_MAX:
        raise AccessError("wish_minutes")
    body = {
        "id": uuid4().hex, "point": point.id, "value": wish.value, "by": user.name, "why": _reason(wish.why),
        "until": (at + timedelta(minutes=wish.minutes)).isoformat(), "authority": int(Authority.OPERATOR),
    }  # fmt: skip
    journal.append([Record("request", at, body)])
    return str(body["id"])


def acknowledge(journal: Journal, user: User, alarm: str, note: str, at: datetime) -> None:
    """Say that a person has seen an alarm."""
    must(user, "acknowledge")
    known = next((r.body for r in journal.latest(["alarm"], 1000) if r.body.get("id") == alarm), None)
    if known is None or known.get("state") != AlarmState.RAISED:
        raise AccessError("alarm_gone")
    journal.append([Record("alarm", at, {**known, "state": AlarmState.ACKNOWLEDGED.value, "by": user.name, "note": _reason(note)})])


def note_sign_in(journal: Journal, user: str, role: str, why: str, at: datetime) -> None:
    """Keep in the journal who came, or who was refused."""
    journal.append([Record("sign_in", at, {"user": user[:60], "role": role, "ok": bool(role), "why": why})])


def _reason(why: str) -> str:
    reason = " ".join((why or "").split())[:REASON_LENGTH_MAX]
    if not reason:
        raise AccessError("reason_missing")
    return reason
