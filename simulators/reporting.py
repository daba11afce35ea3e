"""What a demo prints at its end: every figure taken from this run's scores, journals and ledgers."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger import explorer
from ledger.custody import export_trust, make_bundle
from ledger.errors import LedgerError
from ledger.rules import RULES
from ledger.verify import verify_bundle
from ledger.witness import Witness
from simulators.founding import Founded
from simulators.score import comfort_failures
from twin.errors import StateError
from twin.state import StateFolder

SAVING_WANTED_PERCENT = 15.0  # of the whole building against code
SIZING_TOLERANCE = 1e-6  # the engine sizes alike to the last digits where the design days are the same
RESULTS = ("applied", "masked", "not_effective", "rejected", "unverified", "conflict")
COMFORT = ("ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent")


@dataclass(frozen=True)
class Reference:
    """One baseline run as its process printed it."""

    controller: str
    plant: str
    start: datetime
    step_s: int
    power_kw: tuple[float, ...]
    energy_kwh: Mapping[str, float]
    comfort: Mapping[str, float]
    design: Mapping[str, float]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Reference":
        start, power = datetime.fromisoformat(row["start"]), tuple(row["power_kw"])
        return cls(row["controller"], row["plant"], start, row["step_s"], power, row["energy_kwh"], row["comfort"], row["design"])

    def journal_body(self) -> dict[str, Any]:
        """The journal's `reference` row."""
        return {
            "controller": self.controller,
            "plant": self.plant,
            "start": self.start.isoformat(),
            "step_s": self.step_s,
            "power_kw": list(self.power_kw),
            "energy_kwh": dict(self.energy_kwh),
            "comfort": dict(self.comfort),
        }


@dataclass(frozen=True)
class Evidence:
    """A group's evidence: the bundle and trust files, what the verifier said, and what the entries hold."""

    row: Mapping[str, Any]
    verified: bool
    failed_steps: tuple[str, ...]
    enrolled: int
    revoked: int
    control_actions: int
    claims: tuple[Mapping[str, Any], ...]
    seal_delay_p95_s: float


def gather_evidence(founded: Founded, state: StateFolder, out: Path) -> Evidence:
    """Take the bundle and the government's trust file out, verify the one against the other, and count what is sealed."""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    bundle, trust_file = out / f"{founded.name}.bundle", out / f"{founded.name}.trust.json"
    try:
        make_bundle(founded.folder, bundle)
        trust = Witness(state.witness()).trust(founded.name)
        export_trust(trust, trust_file)
        report = verify_bundle(bundle.read_bytes(), trust, rules=RULES)
        view = explorer.overview(founded.folder)
        claims = explorer.entries(founded.folder, founded.folder / "keys", kinds=("emission.period",), newest=100_000)
    except LedgerError as error:
        raise StateError(f"group {founded.name}: {error}") from None
    row = {
        "name": founded.name, "owner": founded.owner, "entries": view.size, "size": view.size, "root": view.root,
        "cosigned_by": list(view.cosigned_by), "bundle": str(bundle), "trust": str(trust_file),
    }  # fmt: skip
    kinds = view.by_kind
    return Evidence(
        row, report.ok, tuple(f"{s.number} {s.what}: {s.detail}" for s in report.steps if s.ok is False),
        kinds.get("device.enrol", 0), kinds.get("device.revoke", 0), kinds.get("control.action", 0),
        tuple(c.body for c in claims if c.body), view.seal_delay_p95_s or 0.0,
    )  # fmt: skip


def carbon(claims: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sealed hourly claims of a period added up: integers, as they stand in the ledger."""
    newest = max(claims, key=lambda claim: claim["to_ms"], default=None)
    if newest is None:
        return {"factor_id": None, "region": None, "year": None, "energy_wh": 0, "scope1_g": 0, "scope2_location_g": 0, "claims": 0}
    return {
        "factor_id": newest["factor"],
        "region": newest["region"],
        "year": int(newest["factor"].split("/")[2]),
        "provisional": newest["provisional"],
        "energy_wh": sum(c["scope1_wh"] + c["scope2_wh"] for c in claims),
        "scope1_g": sum(c["scope1_g"] for c in claims),
        "scope2_location_g": sum(c["scope2_location_g"] for c in claims),
        "claims": len(claims),
    }


def energy(scores: Mapping[str, Mapping[str, float]], kind: str) -> dict[str, float]:
    """One line of the energy table: the three runs and what the controlled one saved."""
    bau, code, controlled = (scores[name][kind] for name in ("bau", "code", "controlled"))
    return {
        "bau_kwh": round(bau, 1),
        "code_kwh": round(code, 1),
        "controlled_kwh": round(controlled, 1),
        "saved_vs_bau_percent": round(100 * (1 - controlled / bau), 2),
        "saved_vs_code_percent": round(100 * (1 - controlled / code), 2),
    }


def shortfalls(energy_kwh: Mapping[str, Mapping[str, float]], comfort: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What the controlled run did not reach; empty when it saved enough at comfort no worse."""
    saved = energy(energy_kwh, "whole")["saved_vs_code_percent"]
    failed = (
        []
        if saved >= SAVING_WANTED_PERCENT
        else [f"saved {saved:.1f} % of the whole building against code, wanted {SAVING_WANTED_PERCENT:g} %"]
    )
    return failed + comfort_failures(comfort["controlled"], comfort["bau"])


def sized_apart(references: Mapping[str, Reference], design: Mapping[str, float]) -> list[str]:
    """Equipment whose design value differs between a baseline and the controlled run: then their energy must not be compared."""
    apart = []
    for reference in references.values():
        names = {*design, *reference.design}
        differing = [n for n in names if not math.isclose(design.get(n, 0.0), reference.design.get(n, 0.0), rel_tol=SIZING_TOLERANCE)]
        apart += [f"{name} is not sized alike in the controlled run and {reference.controller}" for name in sorted(differing)]
    return apart


def comfort_row(comfort: Mapping[str, float]) -> dict[str, float]:
    """The comfort figures of one run."""
    return {name: round(comfort[name], 3) for name in COMFORT}


def outcomes(counted: Counter[str]) -> dict[str, int]:
    """Every outcome with its count, zeros too."""
    return {result: counted.get(result, 0) for result in RESULTS}
