"""The agenda: which device is to be read at which rate and when, and what came too late. Times in, decisions out; no clock in it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from twin.words import RATES

FAST, NORMAL, SLOW = RATES
LOOK_S = 0.25
LATE_IN_A_ROW = 3  # once is a busy moment; three times in a row the bus carries less than is asked of it


class Job(NamedTuple):
    """One device's points of one rate."""

    connection: str
    rate: str


@dataclass
class _Entry:
    every_s: float
    due_s: float
    running: bool = False
    late_in_a_row: int = 0


class Agenda:
    """Jobs by their deadlines. A job that ends after its next turn was due is late: turns are skipped, counted, and never made up."""

    def __init__(self, every_s: Mapping[Job, float], now_s: float) -> None:
        self._entries = {job: _Entry(every, now_s) for job, every in every_s.items()}
        self.overruns = 0

    def take(self, now_s: float) -> list[Job]:
        """What is due now and not under way, earliest deadline first; it counts as under way from here on."""
        due = [(e.due_s + e.every_s, job) for job, e in self._entries.items() if not e.running and e.due_s <= now_s]
        for _, job in due:
            self._entries[job].running = True
        return [job for _, job in sorted(due)]

    def hurry(self, connection: str, due_s: float) -> None:
        """All jobs of a connection are due then, where that is earlier: it has just returned, or has just not answered."""
        for job, entry in self._entries.items():
            if job.connection == connection and not entry.running:
                entry.due_s = min(entry.due_s, due_s)

    def wait_s(self, now_s: float) -> float:
        """How long until something is due; a quarter of a second at most, so that a device that returns is seen at once."""
        return max(0.0, min([LOOK_S, *(e.due_s - now_s for e in self._entries.values() if not e.running)]))

    def done(self, job: Job, now_s: float) -> str:
        """Set its next turn. "late" when it has become late for good, "on_time" when it is back, else ""."""
        entry = self._entries[job]
        entry.running = False
        turns = max(1, int((now_s - entry.due_s) // entry.every_s))
        entry.due_s += turns * entry.every_s
        missed = turns - 1
        self.overruns += missed
        was_late = entry.late_in_a_row >= LATE_IN_A_ROW
        entry.late_in_a_row = entry.late_in_a_row + 1 if missed else 0
        if missed:
            return "late" if entry.late_in_a_row == LATE_IN_A_ROW else ""
        return "on_time" if was_late else ""


def rate_of(brick: str) -> str:
    """The rate class of a point of this Brick class; normal, if rates.csv does not know the class."""
    return _rates().get(brick, NORMAL)


@cache
def _rates() -> Mapping[str, str]:
    with (Path(__file__).parent / "rates.csv").open(encoding="utf-8", newline="") as file:
        rates = {row["brick"]: row["rate"] for row in csv.DictReader(file)}
    assert {*rates.values()} <= {FAST, NORMAL, SLOW}, rates
    return rates
