"""A commissioning under way: the programme's wishes go through guard, arbiter and wire like any other; what the controller sees is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from simulators.commissioning.programme import Programme, Window
from twin.journal import Journal, Record
from twin.words import Image, Quality, Request

BY, OPERATOR = "commissioning", "commissioning operator"
HOLDS = timedelta(minutes=15)


@dataclass
class Recording:
    """What the controller saw, step by step; values as they came, good or not."""

    times: list[datetime] = field(default_factory=list)
    rows: list[Mapping[str, float]] = field(default_factory=list)
    bad: list[frozenset[str]] = field(default_factory=list)  # points without a good reading

    def series(self, point: str | None) -> np.ndarray:
        """A point's values, NaN where nothing came. What was asked at step n shows at n + 1."""
        return np.array([row.get(point or "", np.nan) for row in self.rows])

    def at(self, step: int, point: str | None) -> float:
        """One value, NaN where there is none."""
        return self.rows[step].get(point or "", np.nan) if 0 <= step < len(self.rows) else np.nan


class Trial:
    """The strategy of a commissioning: it knows the programme and nothing else of the building."""

    name = BY

    def __init__(self, programme: Programme, journal: Journal, say: Callable[[str], None]) -> None:
        self.programme, self.recording = programme, Recording()
        self._journal, self._say = journal, say
        self._plan: Sequence[Window] = [window for window in programme.windows for _ in range(window.steps)]
        self._overriding: set[str] = set()

    def propose(self, image: Image, now: datetime) -> list[Request]:
        """Keep what is seen, and wish for what the programme asks now."""
        self._keep(image)
        n = len(self.recording.rows) - 1
        if n >= len(self._plan):
            return []
        if n == 0 or self._plan[n].name != self._plan[n - 1].name:
            self._say(f"step {n} of {len(self._plan)}: {self._plan[n].name}")
        coming = self._plan[n + 1].by_operator if n + 1 < len(self._plan) else {}
        self._override({**self._plan[n].by_operator, **coming}, now)
        return [Request(p, v, BY, self._plan[n].name, now + HOLDS) for p, v in self._plan[n].asked.items()]

    def _keep(self, image: Image) -> None:
        self.recording.times.append(image.at)
        readings = image.readings.values()
        self.recording.rows.append({r.point: r.value for r in readings if r.value is not None})
        self.recording.bad.append(frozenset(r.point for r in readings if r.quality is not Quality.GOOD))

    def _override(self, wanted: Mapping[str, float], now: datetime) -> None:
        """A person's wishes, as the control room writes them: the cycle follows them at its next step."""
        new = {p: v for p, v in wanted.items() if p not in self._overriding}
        gone = self._overriding - set(wanted)
        until = (now + timedelta(hours=2)).isoformat()
        bodies = [{"point": p, "value": v, "by": OPERATOR, "why": "override is tried", "until": until} for p, v in new.items()]
        bodies += [{"point": p, "value": None, "by": OPERATOR, "why": "override is taken back", "until": until} for p in sorted(gone)]
        if bodies:
            self._journal.append([Record("request", now, body) for body in bodies])
        self._overriding = set(wanted)
