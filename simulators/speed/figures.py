"""A row of the speed table, and how times are taken."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin.clock import monotonic_s
from twin.errors import StateError
from twin.site import product_root

CHILD_TIMEOUT_S = 600  # the largest model takes a minute; a machine ten times slower is told so instead of waited for


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, the target it is held against, and peers measured beside it."""

    name: str
    value: float
    unit: str
    target: float
    peers: dict[str, float] = field(default_factory=dict)
    more_is_better: bool = False

    @property
    def holds(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.target if self.more_is_better else self.value <= self.target

    def row(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        peers = {name: round(value, 4) for name, value in self.peers.items()}
        return {
            "name": self.name, "value": round(self.value, 4), "unit": self.unit, "target": self.target, "holds": self.holds, "peers": peers,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measure:
    """Figures that are taken together, in a folder of their own."""

    title: str
    run: Callable[[Path], Iterable[Figure]]


def times_s(runs: int, work: Callable[[], object]) -> list[float]:
    """Wall-clock seconds of each run, sorted."""
    times = []
    for _ in range(runs):
        begun = monotonic_s()
        work()
        times.append(monotonic_s() - begun)
    return sorted(times)


def median_s(runs: int, work: Callable[[], object]) -> float:
    """The median of several runs, since machines are noisy."""
    return statistics.median(times_s(runs, work))


def p95(sorted_times: list[float]) -> float:
    """The 95th percentile."""
    return sorted_times[int(0.95 * len(sorted_times))]


_CHILD = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
from twin.clock import monotonic_s
{prepare}
begun = monotonic_s()
{work}
seconds = monotonic_s() - begun
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def in_child(prepare: str, work: str, *words: str) -> tuple[float, float]:
    """Seconds of `work` and peak memory (MB) of a process of its own; `words` are sys.argv[2:] there."""
    command = [sys.executable, "-c", _CHILD.format(prepare=prepare, work=work), str(product_root()), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=False)  # noqa: S603 (fixed words, no shell)
    if done.returncode:
        raise StateError(f"a speed measurement ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:] or ['no word']}")
    seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(megabytes)
