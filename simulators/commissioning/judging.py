"""The verdict of a commissioning: every point's trials, every device's alarm, and all findings, each fault named once."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from simulators.commissioning import moving, sensing
from simulators.commissioning.evidence import Evidence, Finding
from simulators.commissioning.programme import FAIL_SAFE, LOSSES, OVERRIDE

PASSED, FAILED, UNTRIED = "passed", "failed", "not tried"
RULES = ("read", "command", "fail_safe", "override")
NEAR = 0.01  # of a point's range: two values are one


@dataclass(frozen=True)
class PointTrial:
    """How one point did; by rule passed, failed or not tried, and in words what failed."""

    point: str
    verdicts: dict[str, str]
    words: str = ""

    @property
    def failed(self) -> bool:
        return FAILED in self.verdicts.values()


@dataclass(frozen=True)
class Verdict:
    """All trials and findings."""

    points: tuple[PointTrial, ...]
    alarms: dict[str, str]  # connection -> passed, failed or not tried
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not self.findings and not any(p.failed for p in self.points) and FAILED not in self.alarms.values()

    def counted(self) -> dict[str, dict[str, int]]:
        """How many points passed each rule."""
        return {rule: dict(sorted(Counter(p.verdicts[rule] for p in self.points if rule in p.verdicts).items())) for rule in RULES}


def judge(e: Evidence) -> Verdict:
    """Trials point by point, and findings in the order in which one explains the next."""
    return Verdict(tuple(_trial(e, point) for point in sorted(e.connection_of)), dict(_alarms(e)), tuple(_findings(e)))


def _findings(e: Evidence) -> Iterator[Finding]:
    silent = list(sensing.silent_devices(e))
    yield from silent
    dumb = {point for point, connection in e.connection_of.items() if connection in {f.place for f in silent}}
    broken = list(sensing.broken_sensors(e))
    yield from broken
    known = dumb | {f.place for f in broken}
    swapped = list(sensing.swapped_sensors(e, known))
    yield from swapped
    known |= {place for f in swapped for place in (f.place, f.other)}
    exchanged = {a: b for f in swapped for a, b in ((f.place, f.other), (f.other, f.place))}
    drifting = list(sensing.drifting_sensors(e, dumb | {f.place for f in broken}, exchanged))
    yield from drifting
    yield from sensing.offset_co2(e)
    still = list(moving.still_boxes(e, known))
    yield from still
    yield from moving.weak_fans(e, {f.place for f in still})
    unmoved = {f.place for f in still}
    unclear = (
        known | {f.place for f in drifting} | {z.temperature for z in e.layout.zones if z.key in unmoved and z.temperature is not None}
    )
    yield from moving.warm_boxes(e, unclear)
    yield from moving.leaking_coils(e)
    yield from moving.stuck_economisers(e)
    yield from moving.burning_lamps(e)
    meters = list(moving.wrong_meters(e))
    yield from meters
    if not meters:  # a meter that cannot be believed tells nothing of fans
        yield from moving.clogged_filters(e)
    yield from moving.wrong_schedules(e)
    yield from moving.held_by_hand(e)


def _trial(e: Evidence, point: str) -> PointTrial:
    rows, steps = e.recording, next((at for at, _ in e.programme.named(LOSSES)), len(e.recording.rows))
    good = [n for n in range(steps) if point in rows.rows[n] and point not in rows.bad[n]]
    verdicts, words = {"read": PASSED if len(good) >= 0.98 * steps else FAILED}, []
    if verdicts["read"] == FAILED:
        words.append(f"good in {len(good)} of {steps} steps")
    known = e.book[point]
    if point in e.protected:
        words.append("protected: only read")
    elif known.writable and known.limits is not None:
        for rule, ask in (("command", _commanded), ("fail_safe", _falls_back), ("override", _overridden)):
            verdicts[rule], why = ask(e, point)
            words += [f"{rule}: {why}"] if why else []
    return PointTrial(point, verdicts, "; ".join(words))


def _commanded(e: Evidence, point: str) -> tuple[str, str]:
    """Whether the point held what was asked, in at least one window; what the guard bent counts as asked."""
    tried = [(at, w) for at, w in e.programme.starts() if point in w.asked and w.name != OVERRIDE]
    if not tried:
        return UNTRIED, "no window of the programme asks for it"
    hits = sum(_same(e, point, e.recording.at(at + w.steps, point), w.asked[point]) for at, w in tried)
    return (PASSED, "") if hits else (FAILED, f"never held what was asked in {len(tried)} windows")


def _falls_back(e: Evidence, point: str) -> tuple[str, str]:
    at, window = e.programme.named(FAIL_SAFE)[0]
    end = at + window.steps
    seen, own = e.recording.at(end, point), _own_now(e, point, end)
    if not math.isfinite(seen):
        return FAILED, "nothing was read"
    same = seen < 0 or any(_same(e, point, seen, value) for value in own)  # below 0 a lighting gateway follows its own schedule
    return (PASSED, "") if same else (FAILED, f"{seen:g} is left, its own schedule says {own[0]:g}")


def _own_now(e: Evidence, point: str, step: int) -> list[float]:
    return [own[step][point] for own in (e.own, *e.early.values()) if point in own[step]]


def _overridden(e: Evidence, point: str) -> tuple[str, str]:
    at, window = e.programme.named(OVERRIDE)[0]
    if point not in window.by_operator:
        return UNTRIED, ""
    seen, wanted = e.recording.at(at + window.steps, point), window.by_operator[point]
    return (PASSED, "") if _same(e, point, seen, wanted) else (FAILED, f"an operator asked {wanted:g}, the point held {seen:g}")


def _same(e: Evidence, point: str, seen: float, wanted: float) -> bool:
    limits = e.book[point].limits
    assert limits is not None
    return math.isfinite(seen) and abs(seen - wanted) <= max(NEAR * (limits.high - limits.low), 1e-4)


def _alarms(e: Evidence) -> Iterator[tuple[str, str]]:
    """Whether every device that was taken off the wire was missed, and found again."""
    for at, window in e.programme.named(LOSSES):
        begin = e.recording.times[at]
        for connection in window.lost:
            told = {state for when, _, source, state in e.alarms if source == connection and when >= begin}
            yield connection, PASSED if {"raised", "cleared"} <= told else FAILED
