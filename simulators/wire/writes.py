"""Writes as the simulated devices saw them: the device's side of what the controller says it did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WriteSeen:
    """A write as the device saw it: value None lets go; Modbus has no priority; `at` is None before the first publish."""

    connection: str
    point: str
    value: float | None
    priority: int | None
    at: datetime | None
    wall: datetime


Note = Callable[[str, float | None, int | None], None]
"""A device tells of each write: point, value, priority."""
