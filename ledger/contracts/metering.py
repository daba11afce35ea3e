"""Metering: registers only rise. What fell is refused and starts a new count; silence and stand-still are told.

Energy is the difference of a cumulative register; a fall is a rollover only where the meter's modulus says so.
"""

from typing import Any

from ledger.contracts.verdict import Fact, State, Verdict, registers, site_of

GAP_MS = 7_200_000  # to two hours the register's own difference is enough; longer silence is told
STUCK_MS = 86_400_000  # a whole day without a watt-hour is told once


def begin(parameters: dict[str, Any]) -> State:
    """Parameters: `sites`: site -> meters (point -> modulus in Wh, 0 for a register that never rolls over)."""
    return {site: {"modulus": dict(sorted(meters.items())), "meters": {}} for site, meters in sorted(parameters["sites"].items())}


def apply(state: State, fact: Fact) -> Verdict:
    """Take in one sealed entry; events are gaps and registers that stand still."""
    site = site_of(fact)
    if fact.kind != "reading.batch" or site not in state:
        return Verdict(state)
    events: list[dict[str, Any]] = []
    refused: list[str] = []
    modulus, meters = state[site]["modulus"], dict(state[site]["meters"])
    for point, time_ms, wh in registers(fact):
        if point in modulus:
            meters[point], event, why = _taken(meters.get(point), point, time_ms, wh, modulus[point])
            events += [{**event, "id": f"{event['event']}.{point}.{site}", "site": site}] if event else []
            refused += [f"{site}: {why}"] if why else []
    return Verdict({**state, site: {"modulus": modulus, "meters": meters}}, tuple(events), tuple(refused))


def _taken(
    meter: dict[str, int] | None, point: str, time_ms: int, wh: int, modulus: int
) -> tuple[dict[str, int], dict[str, Any] | None, str]:
    if meter is None:
        return {"time_ms": time_ms, "wh": wh, "total_wh": 0, "moved_ms": time_ms, "falls": 0, "gap_ms": 0, "stuck": 0}, None, ""
    since_ms, rise = time_ms - meter["time_ms"], wh - meter["wh"]
    if since_ms < 0:
        return meter, None, ""  # told already, by the gateway or by the meter's own record
    if since_ms == 0:
        return meter, None, f"{point}: {wh} Wh and {meter['wh']} Wh for one time" if rise else ""
    if rise < 0 and modulus and rise + modulus <= modulus // 2:
        rise += modulus
    if rise < 0:
        fallen = {**meter, "time_ms": time_ms, "wh": wh, "moved_ms": time_ms, "falls": meter["falls"] + 1, "stuck": 0}
        return fallen, None, f"{point}: register fell from {meter['wh']} to {wh} Wh; the difference does not count"
    moved_ms = time_ms if rise else meter["moved_ms"]
    stuck = 1 if time_ms - moved_ms >= STUCK_MS else 0
    gap = since_ms if since_ms > GAP_MS else 0
    after = {**meter, "time_ms": time_ms, "wh": wh, "total_wh": meter["total_wh"] + rise}
    after |= {"moved_ms": moved_ms, "gap_ms": meter["gap_ms"] + gap, "stuck": stuck}
    if gap:
        return after, {"event": "gap", "point": point, "gap_ms": gap, "time_ms": time_ms}, ""
    if stuck and not meter["stuck"]:
        return after, {"event": "stuck", "point": point, "since_ms": moved_ms, "time_ms": time_ms}, ""
    return after, None, ""
