"""What goes wrong between controller and device, as values with a seed: the same seed gives the same bad day."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields

_CHANCES = ("drop", "duplicate", "reorder", "mutate", "cut")
FLIPS_MAX = 4  # bytes changed in one mutated frame


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances are 0 to 1 for each frame, times in seconds. A value without arguments is a good wire."""

    seed: int = 0
    delay_s: float = 0.0  # each answer comes this much later
    drop: float = 0.0  # a frame is lost, in either direction
    duplicate: float = 0.0  # a frame comes twice
    reorder: float = 0.0  # an answer is overtaken by the next one
    mutate: float = 0.0  # up to four bytes of an answer are changed
    cut: float = 0.0  # TCP: half of an answer comes, then the connection is reset
    mute: bool = False  # requests arrive (TCP: connections are accepted), nothing ever comes back
    one_buffer: bool = False  # a request that comes while another is being answered is lost

    def __post_init__(self) -> None:
        wrong = [f.name for f in fields(self) if f.name in _CHANCES and not 0 <= getattr(self, f.name) <= 1]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: a chance must be 0 to 1")
        if not 0 <= self.delay_s < 3600:
            raise ValueError(f"delay_s must be 0 to 3600 seconds, got {self.delay_s:g}")


class Dice:
    """The chances of one wire, thrown in order from the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 (a bad wire, not a secret)

    def falls(self, chance: float) -> bool:
        """Whether something of this chance happens now."""
        return chance > 0 and self._random.random() < chance

    def mutated(self, frame: bytes) -> bytes:
        """The frame with one to four bytes changed."""
        changed = bytearray(frame)
        for _ in range(self._random.randint(1, FLIPS_MAX)):
            if changed:
                changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        return bytes(changed)


@dataclass(frozen=True, slots=True)
class Passed:
    """What becomes of a request: frames that go on to the device, and frames that come straight back to the client."""

    on: Sequence[bytes] = ()
    back: Sequence[bytes] = ()


class Honest:
    """Passes every frame as it is. A lie overrides `asked`, `answered` or both."""

    def asked(self, frame: bytes) -> Passed:
        """A request on its way to the device."""
        return Passed(on=(frame,))

    def answered(self, frame: bytes) -> Sequence[bytes]:
        """An answer on its way to the client."""
        return (frame,)
