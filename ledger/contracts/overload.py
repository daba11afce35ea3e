"""Overload: rolling power of the main meter against the contracted demand and the transformer's rating.

Warns at 90 %, alarms at 100 %, critical from 105 % in two windows on end; a level is left 5 points below where it begins.
Power comes from the energy register: the mean over the longest span within 15 minutes, or over one reading step when that is longer.
"""

from typing import Any

from ledger.contracts.verdict import Fact, State, Verdict, registers, site_of

WINDOW_MS = 900_000  # demand is contracted and billed by quarter hours
GAP_MS = 7_200_000  # after two hours without readings a mean says nothing about the load now
LEVELS = (("warn", 900), ("alarm", 1000), ("critical", 1050))  # per mille of the limit
HYSTERESIS = 50  # per mille
CRITICAL_WINDOWS = 2
CLEAR = 0


def begin(parameters: dict[str, Any]) -> State:
    """Parameters: `sites`: site -> `energy` (point of the main register, Wh), `limits_w` (name -> W; a limit of 0 is not watched)."""
    return {site: _watch(terms["energy"], terms["limits_w"]) for site, terms in sorted(parameters["sites"].items())}


def _watch(energy: str, limits_w: dict[str, int]) -> State:
    limits = {name: limit for name, limit in sorted(limits_w.items()) if limit > 0}
    return {"energy": energy, "limits_w": limits, "samples": [], "levels": dict.fromkeys(limits, CLEAR), "over": dict.fromkeys(limits, 0)}


def apply(state: State, fact: Fact) -> Verdict:
    """Take in one sealed entry; events are alarms raised, escalated and cleared."""
    site = site_of(fact)
    if fact.kind != "reading.batch" or site not in state:
        return Verdict(state)
    watched, events, refused = state[site], [], []
    for point, time_ms, wh in registers(fact):
        samples = watched["samples"]
        # A time that was told already: the meter's own record of what the gateway read, or the other way round.
        if point != watched["energy"] or (samples and time_ms <= samples[-1][0]):
            continue
        if samples and wh < samples[-1][1]:
            refused.append(f"{site}: {point} fell from {samples[-1][1]} to {wh} Wh")
            samples = []
        watched = {**watched, "samples": _kept(samples, time_ms, wh)}
        power_w = _power_w(watched["samples"])
        if power_w >= 0:
            watched, new = _judged(site, watched, power_w, time_ms)
            events += new
    return Verdict({**state, site: watched}, tuple(events), tuple(refused))


def _kept(samples: list[list[int]], time_ms: int, wh: int) -> list[list[int]]:
    if samples and time_ms - samples[-1][0] > GAP_MS:
        samples = []
    within = [s for s in samples if time_ms - s[0] <= WINDOW_MS]
    return [*(within or samples[-1:]), [time_ms, wh]]


def _power_w(samples: list[list[int]]) -> int:
    """Mean power over the samples kept, or -1 when there is only one."""
    if len(samples) < 2:
        return -1
    (first_ms, first_wh), (last_ms, last_wh) = samples[0], samples[-1]
    return (last_wh - first_wh) * 3_600_000 // (last_ms - first_ms)


def _judged(site: str, state: State, power_w: int, time_ms: int) -> tuple[State, list[dict[str, Any]]]:
    levels, over, events = dict(state["levels"]), dict(state["over"]), []
    for name, limit_w in state["limits_w"].items():
        permille = power_w * 1000 // limit_w
        over[name] = min(over[name] + 1, CRITICAL_WINDOWS) if permille >= LEVELS[2][1] else 0
        before = levels[name]
        levels[name] = _level(before, permille, over[name])
        what = _event(before, levels[name])
        if what:
            level = LEVELS[max(before, levels[name]) - 1][0]
            events.append(
                {
                    "event": what, "id": f"overload.{name}.{site}", "site": site, "limit": name, "level": level,
                    "power_w": power_w, "limit_w": limit_w, "permille": permille, "time_ms": time_ms,
                }
            )  # fmt: skip
    return {**state, "levels": levels, "over": over}, events


def _level(before: int, permille: int, over: int) -> int:
    reached = CLEAR
    for number, (name, begins) in enumerate(LEVELS, 1):
        if permille >= begins and (name != "critical" or over >= CRITICAL_WINDOWS):
            reached = number
    held = CLEAR
    for number, (_, begins) in enumerate(LEVELS[:before], 1):
        if permille >= begins - HYSTERESIS:
            held = number
    return max(reached, held)


def _event(before: int, after: int) -> str:
    if before == CLEAR and after > CLEAR:
        return "raised"
    if after > before:
        return "escalated"
    return "cleared" if before > CLEAR and after == CLEAR else ""
