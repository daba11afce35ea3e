"""What a commissioning has to judge by: the programme, the recording, the sound building's own word, and what the journal says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from controls.strategies.layout import AirHandler, Layout, Zone
from simulators.commissioning.programme import Programme
from simulators.commissioning.trial import Recording
from twin.points import PointBook


@dataclass(frozen=True)
class Finding:
    """Something wrong: a kind of fault, the point or equipment where it sits, and what was seen."""

    kind: str
    place: str
    seen: str
    other: str = ""  # the second place of a swap


@dataclass(frozen=True)
class Evidence:
    """Everything that the rules may look at. `design` are nameplate values; `own` the schedule that the devices should follow, by step."""

    layout: Layout
    book: PointBook
    programme: Programme
    recording: Recording
    own: Sequence[Mapping[str, float]]
    early: Mapping[int, Sequence[Mapping[str, float]]]  # the same, with the clock so many steps ahead
    design: Mapping[str, float]
    connection_of: Mapping[str, str]
    masked: Mapping[str, int]  # how often a point's command was masked by a stronger one at the device
    alarms: Sequence[tuple[datetime, str, str, str]]  # time, kind, source, state
    meters: Mapping[str, str] = field(default_factory=dict)  # role -> energy point
    feedback: Mapping[str, str] = field(default_factory=dict)  # lighting command -> what the lamps say
    protected: frozenset[str] = frozenset()  # points that nobody may write

    def mean(self, name: str, note: str, point: str | None) -> float:
        """A point's last value in the response to a window: it shows a step after the window's last."""
        found = [(at, w) for at, w in self.programme.named(name) if w.note == note]
        return self.recording.at(found[0][0] + found[0][1].steps, point) if found else np.nan

    def ends(self, name: str) -> list[int]:
        """The steps at which the responses to the windows of a name are complete."""
        return [at + window.steps for at, window in self.programme.named(name)]

    def code_values(self, name: str, point: str | None) -> np.ndarray:
        """A point's value at the end of every window of a code."""
        return np.array([self.recording.at(end, point) for end in self.ends(name)])

    def code_changes(self, name: str, point: str | None) -> np.ndarray:
        """How much it changed in every window of a code."""
        pairs = [(at, at + window.steps) for at, window in self.programme.named(name)]
        return np.array([self.recording.at(end, point) - self.recording.at(begin, point) for begin, end in pairs])

    def power(self, role: str, begin: int, end: int) -> float:
        """Mean W of a meter between two steps of ten minutes."""
        point = self.meters.get(role)
        return (self.recording.at(end, point) - self.recording.at(begin, point)) * 6 / (end - begin)

    def window(self, name: str, note: str = "") -> tuple[int, int]:
        """First step and end of a window."""
        at, window = next((at, w) for at, w in self.programme.named(name) if w.note == note)
        return at, at + window.steps

    def code(self, zone: Zone) -> np.ndarray:
        return np.array(self.programme.codes[zone.key])

    def zones_of(self, handler: AirHandler) -> list[Zone]:
        return [zone for zone in self.layout.zones if zone.air_handler == handler.key]
