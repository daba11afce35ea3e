"""The only place where a clock is read: site time (simulated or wall), wall time and monotonic time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Whatever can tell the site's time."""

    def now(self) -> datetime:
        """The site's time, aware."""
        ...


class WallClock:
    """Site time of a real building: the wall's."""

    def now(self) -> datetime:
        return wall_now()


class SteppedClock:
    """Site time of a simulated building: whoever drives the steps moves it, and only forward."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"a clock needs an aware start, got {start.isoformat()}; give it a time zone")
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move on by `step`; a clock never goes back."""
        if step < timedelta(0):
            raise ValueError(f"a clock never goes back, got a step of {step}")
        self._now += step


def wall_now() -> datetime:
    """Calendar time in UTC, for certificates, checkpoints and seal delay."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds that never jump, for time-outs and durations."""
    return time.monotonic()


def cpu_s() -> float:
    """Processor time that this process has used, all its threads, in seconds."""
    return time.process_time()


def thread_cpu_s() -> float:
    """Processor time that this thread alone has used, in seconds."""
    return time.thread_time()
