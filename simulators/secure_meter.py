"""A meter with a key of its own: once an hour it signs its register as a complete ledger entry and shows it to whoever reads."""

from datetime import datetime

from ledger.source import Source
from ledger.statements import register
from twin.clock import wall_now


class SecureMeter:
    """Called with each reading; gives a new signed record at each full hour, else None."""

    def __init__(self, source: Source, energy_point: str) -> None:
        self._source = source
        self._point = energy_point
        self._hour: datetime | None = None

    def __call__(self, at: datetime, energy_wh: float) -> bytes | None:
        hour = at.replace(minute=0, second=0, microsecond=0)
        if at != hour or hour == self._hour:
            return None
        self._hour = hour
        return self._source.record("reading.batch", register(self._point, at, round(energy_wh)), at, wall_now())
