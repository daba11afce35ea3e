"""What an inspector is told: the numbered steps of verification, how each ended, and what to look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEPS: Mapping[int, str] = {
    1: "container: digest, version, limits, canonical bytes",
    2: "trust: group and keys are those the inspector holds",
    3: "checkpoint: signed by the log, adds to the one seen last",
    4: "witnesses: policy met, times plausible",
    5: "inclusion of each entry under the checkpoint",
    6: "membership, devices and policies replayed to the sealed state",
    7: "certificates, revocations and signatures",
    8: "order: no numbers missing, each entry names the one before",
    9: "bodies match what was signed",
    10: "contracts replayed to the sealed state and alarms",
    11: "claims recomputed",
    12: "outside anchors",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step's end: ok, failed, or (None) not applicable, and why."""

    number: int
    what: str
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at: the step, the entry at fault if there is one, and the bytes that show it."""

    step: int
    entry: int | None
    message: str
    evidence: bytes = b""


@dataclass(frozen=True, slots=True)
class Report:
    """What the inspector gets."""

    ok: bool
    steps: tuple[Step, ...]
    group: str
    size: int
    root: str
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `verify --json` prints."""
        return {
            "ok": self.ok,
            "steps": [{"number": s.number, "what": s.what, "ok": s.ok, "detail": s.detail} for s in self.steps],
            "group": self.group,
            "size": self.size,
            "root": self.root,
            "findings": [{"step": f.step, "entry": f.entry, "message": f.message, "evidence": f.evidence.hex()} for f in self.findings],
        }
