"""Verification of a bundle, offline, in numbered steps. Report, code and documents share the numbers.

It reads the formats (entry, tree, checkpoint, bundle, group) and shares nothing with whoever wrote the log.
Inside, verification raises; only here, at the edge, it becomes a report. Keys come from the inspector's trust file,
never from the bundle: without one the answer is "consistent with itself only", which is not ok.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from ledger.errors import FormatError, RefusedError, VerificationError
from ledger.inspection import Inspection, Inspector, NotApplicableError
from ledger.keys import EnvelopeKey
from ledger.labour import Labour
from ledger.replay import Rules
from ledger.report import STEPS, Finding, Report, Step
from ledger.steps_entries import check_bodies, check_membership, check_order, check_signatures
from ledger.steps_frame import check_checkpoint, check_container, check_inclusion, check_trust, check_witnesses
from ledger.steps_meaning import check_anchors, check_claims, check_contracts
from ledger.trust import Trust

EVIDENCE_BYTES_MAX = 65_536


def verify_bundle(
    data: bytes,
    trust: Trust | None,
    seen: bytes | None = None,
    *,
    now: datetime | None = None,
    rules: Rules | None = None,
    member: tuple[str, EnvelopeKey] | None = None,
    cores: int = 1,
) -> Report:
    """Check a bundle in the steps of STEPS; the report is ok only when no step failed.

    `cores`: how many processes may share a long bundle; with more than one the calling program's main module must be importable.
    """
    with Labour(cores) as labour:
        this = Inspection(data, Inspector(trust, seen, now, rules or Rules(), member), labour)
        steps = _steps(this)
    known = hasattr(this, "checkpoint")
    return Report(
        all(step.ok is not False for step in steps),
        tuple(steps),
        this.group.id.hex() if hasattr(this, "group") else "",
        this.checkpoint.size if known else 0,
        this.checkpoint.root.hex() if known else "",
        tuple(this.findings),
    )


def _steps(this: Inspection) -> list[Step]:
    steps: list[Step] = []
    stopped = ""
    for number, what in STEPS.items():
        step = _run(this, number, what, stopped)
        steps.append(step)
        if step.ok is False and not stopped:
            stopped = _stops(this, number)
    return steps


def _run(this: Inspection, number: int, what: str, stopped: str) -> Step:
    if stopped:
        return Step(number, what, None, stopped)
    try:
        return Step(number, what, True, _CHECKS[number](this))
    except NotApplicableError as reason:
        return Step(number, what, None, f"not applicable: {reason}")
    except (VerificationError, FormatError, RefusedError) as error:
        entry = getattr(error, "entry", None)
        evidence: bytes = getattr(error, "evidence", b"")
        this.findings.append(Finding(number, entry, str(error), evidence[:EVIDENCE_BYTES_MAX]))
        return Step(number, what, False, str(error))


def _stops(this: Inspection, number: int) -> str:
    """Why nothing after a failed step can be checked; empty when the rest still tells something."""
    if number == 1 and not hasattr(this, "leaves"):
        return "not checked: the container cannot be read"
    if number == 2 and (this.by.trust is not None or not hasattr(this, "group")):
        return "not checked: the keys in this bundle are not those the inspector holds"
    return ""


_CHECKS: Mapping[int, Callable[[Inspection], str]] = {
    1: check_container,
    2: check_trust,
    3: check_checkpoint,
    4: check_witnesses,
    5: check_inclusion,
    6: check_membership,
    7: check_signatures,
    8: check_order,
    9: check_bodies,
    10: check_contracts,
    11: check_claims,
    12: check_anchors,
}
