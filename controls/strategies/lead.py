"""How early an air handler must start for its rooms to be ready, learnt from how long they needed on the mornings before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

KINDS = ("warm up", "cool down", "dry")
Needs = tuple[float, float, float]
"""Hours that the worst room is thought to need to warm up, to cool down and to dry."""
TRUST = 0.5  # of the newest morning against all before it
FACTOR_MIN, FACTOR_MAX = 0.3, 1.5  # one strange morning must not make rooms late or fans run all night
NOTICED_H = 0.4  # a need below two cycles of ten minutes tells nothing about the speed of rooms


@dataclass(frozen=True, slots=True)
class Morning:
    """A start that is being watched: when, which need ruled, and how many hours that was thought to take."""

    at: datetime
    kind: int
    thought_h: float


@dataclass
class LeadTimes:
    """A factor on the thought hours for each air handler and kind of need: 1 until a morning has taught better."""

    factors: dict[tuple[str, int], float] = field(default_factory=dict)
    _mornings: dict[str, Morning] = field(default_factory=dict)
    _was_on: dict[str, bool] = field(default_factory=dict)

    def hours(self, key: str, needs: Sequence[float]) -> float:
        """The lead that the greatest need asks for."""
        return max(need * self.factors.get((key, kind), 1.0) for kind, need in enumerate(needs))

    def observe(self, key: str, needs: Sequence[float], on: bool, now: datetime) -> None:
        """Follow a start until the need that ruled it is met, then compare the time it took with the time that was thought."""
        before, self._was_on[key] = self._was_on.get(key, on), on
        if not on:
            self._mornings.pop(key, None)
        elif not before:
            kind = max(range(len(KINDS)), key=lambda k: needs[k])
            if needs[kind] >= NOTICED_H:
                self._mornings[key] = Morning(now, kind, needs[kind])
        elif (morning := self._mornings.get(key)) is not None and needs[morning.kind] <= 0:
            took_h = (now - morning.at).total_seconds() / 3600
            measured = min(FACTOR_MAX, max(FACTOR_MIN, took_h / morning.thought_h))
            old = self.factors.get((key, morning.kind), 1.0)
            self.factors[key, morning.kind] = old + TRUST * (measured - old)
            del self._mornings[key]
