"""What the pages show of a ledger group, through the ledger's explorer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


class Explorer(Protocol):
    """The ledger's explorer, as far as the pages need it."""

    def overview(self, folder: Path) -> Any:
        """Size, checkpoint and cosignatures of a group."""
        ...

    def entries(self, folder: Path, keys: Path | None, kinds: Sequence[str] = (), newest: int = 200) -> list[Any]:
        """The newest entries, decoded with the member's keys."""
        ...

    def check(self, folder: Path, trust: Path) -> list[Any]:
        """The numbered verification of a bundle made on the spot."""
        ...


@dataclass(frozen=True, slots=True)
class Glance:
    """One line about a group: none, sealed (not all cosigned yet) or final."""

    state: str
    size: int = 0
    final_size: int = 0
    sealed_at: datetime | None = None
    delay_p95_s: float | None = None


def glance(overview: Any | None) -> Glance:
    """The state of the group in one word and three numbers."""
    if overview is None or not overview.size:
        return Glance("none")
    final = int(overview.final_size or 0)
    state = "final" if final >= overview.size else "sealed"
    return Glance(state, int(overview.size), final, overview.sealed_at, overview.seal_delay_p95_s)
