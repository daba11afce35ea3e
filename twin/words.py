"""The words everybody uses: points, readings, requests, commands and outcomes, as small values that check themselves.

Source of the words: the glossary in ARCHITECTURE.md. The same words stand in code, commands, pages, documents and the ledger.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Quality(StrEnum):
    """How far a reading may be trusted."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    STALE = "stale"
    BAD = "bad"


class Reason(StrEnum):
    """Why a reading is not good."""

    NONE = ""
    FAULT = "fault"
    OUT_OF_SERVICE = "out_of_service"
    OVERRIDDEN = "overridden"
    IMPLAUSIBLE = "implausible"


class Authority(IntEnum):
    """The order in which wishes rule; the smaller number wins."""

    EQUIPMENT = 1  # life safety and equipment
    LIMITS = 2  # the point's own envelope
    OPERATOR = 3  # a person's override
    AIR = 4
    COMFORT = 5
    STRATEGY = 6


class Result(StrEnum):
    """What became of a command on the wire."""

    APPLIED = "applied"
    MASKED = "masked"  # a higher priority rules: normal, not a failure
    NOT_EFFECTIVE = "not_effective"  # acknowledged, but the device holds another value
    REJECTED = "rejected"
    UNVERIFIED = "unverified"  # no answer; what the device holds is not known
    CONFLICT = "conflict"  # our slot holds a value that we never wrote


RATES = ("fast", "normal", "slow")  # how often a point is read; the seconds of each stand in site.toml
HOLD_MAX_S = 86_400.0  # a point that may not move for more than a day is not for us to move


@dataclass(frozen=True, slots=True)
class Limits:
    """The envelope of a writable point, in the point's unit; `step` is the largest change of one command (inf: none).

    `interval_s` is the least time between two changes; a point that is on (above 0.5) stays so for `on_min_s`, off for `off_min_s`.
    """

    low: float
    high: float
    step: float
    fallback: float
    interval_s: float = 0.0
    on_min_s: float = 0.0
    off_min_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("interval_s", "on_min_s", "off_min_s"):
            if not 0 <= getattr(self, name) <= HOLD_MAX_S:
                raise ValueError(f"{name} must be 0 to {HOLD_MAX_S:g} seconds, got {getattr(self, name):g}")
        if not all(math.isfinite(x) for x in (self.low, self.high, self.fallback)):
            raise ValueError(f"limits must be finite numbers, got {self.low}, {self.high}, {self.fallback}")
        if self.low > self.high:
            raise ValueError(f"limit low {self.low:g} is above high {self.high:g}; swap them")
        if not self.step > 0:
            raise ValueError(f"step must be above 0, got {self.step:g}; leave it empty for no limit")
        if not self.low <= self.fallback <= self.high:
            raise ValueError(f"fallback {self.fallback:g} lies outside {self.low:g} to {self.high:g}; choose one inside")


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a point lives: protocol, connection (named in site.toml) and address in it; value = raw * scale + offset."""

    point: str
    address: str  # the whole text, for example bacnet:ahu_1/analog-input,3 (see twin.addresses)
    scale: float = 1.0
    offset: float = 0.0
    accepted: bool = True  # False: matched by a scan alone; such a point is read and never written

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale) or self.scale == 0 or not math.isfinite(self.offset):
            raise ValueError(f"{self.point}: scale must be a finite number other than 0, got {self.scale:g}")


@dataclass(frozen=True, slots=True)
class Point:
    """A thing to read or move. `brick` is a Brick class name, `unit` a QUDT unit name, `owner` the equipment or room it belongs to."""

    id: str
    brick: str
    unit: str
    owner: str
    label: str = ""
    writable: bool = False
    limits: Limits | None = None
    binding: Binding | None = None
    retired: bool = False  # no model holds it any more; kept for its history, neither read nor written
    rate: str = ""  # one of RATES, as points.csv says; empty: as points of its class are read

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_.]+", self.id):
            raise ValueError(f"point id {self.id!r} must be lower-case letters, digits, '_' and '.'")
        if self.writable and self.binding is not None and not self.binding.accepted:
            raise ValueError(
                f"{self.id}: its address {self.binding.address} comes from a scan that nobody accepted; "
                "accept it (`wattproof review`) and import again, or give the address in points.csv"
            )
        if self.writable and self.limits is None:
            raise ValueError(f"{self.id}: a writable point needs limits (low, high, fallback) in points.csv")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one point at one time, with its quality; `value` is None when nothing usable came."""

    point: str
    at: datetime
    value: float | None
    quality: Quality = Quality.GOOD
    reason: Reason = Reason.NONE

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"{self.point}: a reading needs an aware time")
        if self.quality is Quality.GOOD and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(f"{self.point}: a good reading needs a finite value, got {self.value}")


@dataclass(frozen=True)
class Image:
    """All readings, frozen for one cycle."""

    at: datetime
    readings: Mapping[str, Reading]

    def value(self, point: str | None, otherwise: float | None = None) -> float | None:
        """The point's value if it is good or uncertain, else `otherwise`: who asks must say what then. An implausible one is none."""
        reading = self.readings.get(point or "")
        if reading is None or reading.quality in (Quality.STALE, Quality.BAD) or reading.reason is Reason.IMPLAUSIBLE:
            return otherwise
        return otherwise if reading.value is None else reading.value

    def known(self, point: str | None, otherwise: float) -> float:
        """Like `value`, for callers whose `otherwise` is a number."""
        value = self.value(point)
        return otherwise if value is None else value

    def age_s(self, point: str) -> float:
        """Seconds since the point's last reading; infinite if there is none."""
        reading = self.readings.get(point)
        return math.inf if reading is None else (self.at - reading.at).total_seconds()


@dataclass(frozen=True, slots=True)
class Request:
    """A wish: set `point` to `value` (None: let it go) until `until`, by a strategy or person, for a reason."""

    point: str
    value: float | None
    by: str
    why: str
    until: datetime
    authority: Authority = Authority.STRATEGY
    inputs: Mapping[str, float] = field(default_factory=dict)  # what the wish rests on, for the explanation

    def __post_init__(self) -> None:
        if not self.by or not self.why:
            raise ValueError(f"{self.point}: a request needs who asks and why")
        if self.until.tzinfo is None:
            raise ValueError(f"{self.point}: a request needs an aware expiry")


@dataclass(frozen=True, slots=True)
class Command:
    """A ruled request. Only the arbiter makes one; `value` None relinquishes the point."""

    id: str
    point: str
    value: float | None
    priority: int
    by: str
    why: str
    at: datetime
    until: datetime
    authority: Authority
    before: float | None = None

    def __post_init__(self) -> None:
        if not 10 <= self.priority <= 14:
            raise ValueError(f"{self.point}: priority must be 10 to 14, got {self.priority}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.point}: a command needs a finite value, got {self.value}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the device holds after a command: value read back, our slot and the priority that rules, as far as the device tells."""

    command: str
    point: str
    result: Result
    at: datetime
    read_back: float | None = None
    slot: float | None = None
    ruling_priority: int | None = None
    detail: str = ""

    def body(self) -> dict[str, str | float | None]:
        """The journal's `outcome` row."""
        held = {"read_back": self.read_back, "slot": self.slot, "ruling_priority": self.ruling_priority}
        return {"command": self.command, "point": self.point, "result": self.result.value, **held, "detail": self.detail}


class AlarmState(StrEnum):
    """Where an alarm stands in its life."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person must see; `priority` 1 (worst) to 255."""

    id: str
    kind: str
    source: str
    message: str
    at: datetime
    state: AlarmState = AlarmState.RAISED
    priority: int = 100

    def body(self) -> dict[str, str | int]:
        """The journal's `alarm` row."""
        about = {"id": self.id, "kind": self.kind, "source": self.source, "message": self.message}
        return {**about, "state": self.state.value, "priority": self.priority}


@dataclass(frozen=True, slots=True)
class Device:
    """A device's identity on the bus: which connection, what it says of itself."""

    connection: str
    protocol: str
    instance: int
    name: str = ""
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    database_revision: int = -1  # a BACnet device counts it up when its objects change; -1: not said


def slug(text: str) -> str:
    """A point or node id from a name: lower case, letters and digits kept, '.' kept, all else one '_'."""
    cleaned = re.sub(r"[^a-z0-9.]+", "_", text.lower()).strip("_.")
    return cleaned or "unnamed"
