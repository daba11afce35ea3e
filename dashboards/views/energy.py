"""Energy so far against the simulated baselines, at the same time of the same days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dashboards.follow import Facts

BASELINES = ("bau", "code")
SAMPLES_MAX = 2000  # a chart shows no more; the browser draws that in a blink


@dataclass(frozen=True, slots=True)
class Saving:
    """The controlled building against one simulated baseline, both over the same time.

    While a period runs only electricity is known of the baseline step by step; at its end the whole building is compared, gas too.
    """

    baseline: str
    scope: str  # electricity or whole
    baseline_kwh: float
    saved_kwh: float
    saved_percent: float


@dataclass(frozen=True, slots=True)
class Energy:
    """Power now and energy so far; None where nothing is known yet."""

    power_kw: float | None
    baseline_kw: Mapping[str, float]
    used_kwh: float | None
    savings: tuple[Saving, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of the power chart."""

    key: str  # controlled, bau or code
    at: tuple[datetime, ...]
    kw: tuple[float, ...]


def energy(facts: Facts) -> Energy:
    """Power and energy so far, from the site's score or its meters, beside each baseline at the same time."""
    power = facts.power[-1][1] if facts.power else None
    until = facts.power[-1][0] if facts.power else facts.read_at
    now = {name: _at(body, until) for name, body in facts.references.items() if until is not None}
    savings = [saving(facts, name, until) for name in BASELINES]
    return Energy(power, {k: v for k, v in now.items() if v is not None}, used_kwh(facts, "whole"), tuple(s for s in savings if s))


def used_kwh(facts: Facts, scope: str) -> float | None:
    """Energy so far: by the site's score, else the integral of its power meter (electricity only)."""
    scored = facts.score.get("energy_kwh", {}).get(scope)
    return float(scored) if scored is not None else _integral_kwh(facts.power)


def saving(facts: Facts, baseline: str, until: datetime | None) -> Saving | None:
    """Saved against one baseline so far, or over the whole period when it is over."""
    reference = facts.references.get(baseline)
    if reference is None or until is None:
        return None
    over = until >= _end(reference) and "whole" in facts.score.get("energy_kwh", {})
    scope = "whole" if over else "electricity"
    used, base = used_kwh(facts, scope), float(reference["energy_kwh"]["whole"]) if over else so_far_kwh(reference, until)
    if used is None or base <= 0:
        return None
    return Saving(baseline, scope, base, base - used, 100 * (base - used) / base)


def power_lines(facts: Facts) -> tuple[Line, ...]:
    """The controlled power so far and each baseline over the same days, to the end of the last day begun."""
    if not facts.power:
        return ()
    start, now = facts.power[0][0], facts.power[-1][0]
    end = start + timedelta(days=(now - start) // timedelta(days=1) + 1)
    known = {name: facts.references[name] for name in BASELINES if name in facts.references}
    baselines = [_line(name, [(at, kw) for at, kw in _samples(body) if start <= at <= end]) for name, body in known.items()]
    return (_line("controlled", list(facts.power)), *baselines)


def so_far_kwh(reference: Mapping[str, Any], until: datetime) -> float:
    """What the baseline had used by then."""
    step_s = float(reference["step_s"])
    elapsed_s = (until - datetime.fromisoformat(reference["start"])).total_seconds()
    steps = max(0, min(len(reference["power_kw"]), int(elapsed_s // step_s)))
    return float(sum(reference["power_kw"][:steps])) * step_s / 3600


def _end(reference: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(reference["start"]) + timedelta(seconds=float(reference["step_s"])) * len(reference["power_kw"])


def _samples(reference: Mapping[str, Any]) -> Iterable[tuple[datetime, float]]:
    """Each mean power at the end of its step, as the controlled building's readings are."""
    start, step = datetime.fromisoformat(reference["start"]), timedelta(seconds=float(reference["step_s"]))
    return ((start + (i + 1) * step, float(kw)) for i, kw in enumerate(reference["power_kw"]))


def _at(reference: Mapping[str, Any], until: datetime) -> float | None:
    index = int((until - datetime.fromisoformat(reference["start"])).total_seconds() // float(reference["step_s"])) - 1
    return float(reference["power_kw"][index]) if 0 <= index < len(reference["power_kw"]) else None


def _line(key: str, samples: Sequence[tuple[datetime, float]]) -> Line:
    every = -(-len(samples) // SAMPLES_MAX) or 1
    kept = samples[::every]
    return Line(key, tuple(at for at, _ in kept), tuple(round(kw, 2) for _, kw in kept))


def _integral_kwh(power: Sequence[tuple[datetime, float]]) -> float | None:
    """Energy of readings that each describe the step before them."""
    pairs = zip(list(power), list(power)[1:], strict=False)
    steps = [(later - earlier).total_seconds() * kw / 3600 for (earlier, _), (later, kw) in pairs]
    return sum(steps) + steps[0] if steps else None
