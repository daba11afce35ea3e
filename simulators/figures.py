"""One row of the speed table: what was measured, the target it is held against, and peers measured beside it."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, the target it is held against, and peers measured beside it."""

    name: str
    value: float
    unit: str
    target: float
    peers: dict[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The row as `--json` prints it; every figure here is better when smaller."""
        return {**asdict(self), "value": round(self.value, 4), "holds": self.value <= self.target}
