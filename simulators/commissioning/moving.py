"""Findings about what moves: boxes, reheat, fans, coils, economisers, lamps, schedules, meters."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from controls.strategies.layout import AirHandler, Zone
from simulators.commissioning.evidence import Evidence, Finding
from simulators.commissioning.programme import DIM, FLOW_CODE, FULL_AIR, LAMPS, OUTDOOR, PRESSURE, REST, SUPPLY
from simulators.energyplus.editing import FAN_FIXED, needed_pressure_share

STILL = 0.08  # a flow that changes by less of itself does not move
WEAK = 0.87  # of the design flow
LEAK = 0.7  # what is left of a room's cooling by more air, as a share of its neighbours'
FIGHTS = 0.1  # of full flow, where 0.05 is asked and neither heating nor cooling: the box has a will of its own
LEAKS_K, APART = 1.0, 0.15
CLOGGED = 1.42  # of the fan's design power: fan heat that is cooled away explains a third
METER_FACTOR = 3.0
BURNS_PERCENT = 50.0
NEVER, MOSTLY = 0.05, 0.95


def still_boxes(e: Evidence, known: set[str]) -> Iterator[Finding]:
    """Boxes whose flow does not follow."""
    for zone in e.layout.zones:
        if zone.flow is None or zone.minimum_flow is None or zone.flow in known or _by_hand(e, zone):
            continue
        flows, on = e.code_values(FLOW_CODE, zone.flow), e.code(zone) > 0
        if not np.isfinite(flows).all() or not _blows(e, zone):
            continue
        most, least = float(flows[on].mean()), float(flows[~on].mean())
        if abs(most - least) <= STILL * max(most, least, 1e-9):
            yield Finding("damper_stuck", zone.key, f"{most:.3f} m3/s when all is asked, {least:.3f} when the least is")


def _by_hand(e: Evidence, zone: Zone) -> bool:
    """Whether somebody holds one of the zone's setpoints at the device: what its box does is not ours to judge then."""
    return any(point in e.masked for point in (zone.heating, zone.cooling, zone.minimum_flow))


def _blows(e: Evidence, zone: Zone) -> bool:
    """Whether the zone's air handler brings air at all."""
    handler = next((h for h in e.layout.air_handlers if h.key == zone.air_handler), None)
    flows = e.code_values(FLOW_CODE, handler.flow if handler else None)
    return bool(len(flows) and np.isfinite(flows).all() and (flows > 0).all())


def weak_fans(e: Evidence, still: set[str]) -> Iterator[Finding]:
    """Air handlers that do not bring their design flow with every box open."""
    end = e.ends(FULL_AIR)[0]
    for handler in e.layout.air_handlers:
        design = e.design.get(f"fan_m3_s.{handler.key}", np.nan)
        zones = e.zones_of(handler)
        moving = [z for z in zones if z.key not in still]
        area = sum(z.area_m2 for z in zones)
        share = sum(z.area_m2 for z in moving) / area if area else 0.0
        flow = sum(e.recording.at(end, z.flow) for z in moving)
        if moving and flow > 0 and np.isfinite(design) and np.isfinite(flow) and flow < WEAK * design * share:
            yield Finding("fan_degraded", handler.key, f"{flow:.2f} m3/s with every box open, {design * share:.2f} by design")


def warm_boxes(e: Evidence, known: set[str]) -> Iterator[Finding]:
    """More cold air must cool a room: where it does so much less than in the others, heat comes with it."""
    clear = [zone for zone in e.layout.zones if zone.temperature not in known and not _by_hand(e, zone)]
    found = {zone: r for zone in clear if (r := _cooled(e, zone)) is not None}
    if len(found) < 3:
        return
    usual = float(np.median(list(found.values())))
    if usual <= 0:
        return
    for zone, value in found.items():
        share = value / usual
        if share < LEAK:
            kind = "simultaneous" if _least_share(e, zone) > FIGHTS else "reheat_leak"
            yield Finding(kind, zone.key, f"more air at supply temperature cools it {share:.0%} as much as the rooms around, heating off")


def _least_share(e: Evidence, zone: Zone) -> float:
    """The flow while the least is asked, as a share of that while all is: a box that heats opens by itself."""
    flows, on = e.code_values(FLOW_CODE, zone.flow), e.code(zone) > 0
    return float(flows[~on].mean() / max(flows[on].mean(), 1e-9))


def _cooled(e: Evidence, zone: Zone) -> float | None:
    """How much more a room cools with all air than with the least, per air and degree that the air is colder."""
    handler = next((h for h in e.layout.air_handlers if h.key == zone.air_handler), None)
    if handler is None or zone.temperature is None or zone.flow is None:
        return None
    changes, on = e.code_changes(FLOW_CODE, zone.temperature), e.code(zone) > 0
    flow, room = e.code_values(FLOW_CODE, zone.flow), e.code_values(FLOW_CODE, zone.temperature)
    supply = e.code_values(FLOW_CODE, handler.supply_temperature)
    driving = (float(flow[on].mean()) - float(flow[~on].mean())) / max(zone.area_m2, 1.0) * float((room - supply).mean())
    effect = float(changes[~on].mean() - changes[on].mean())
    return effect / driving if np.isfinite(effect) and np.isfinite(driving) and driving > 1e-4 else None


def leaking_coils(e: Evidence) -> Iterator[Finding]:
    """Supply air colder than asked and than any air that came in: the cooling valve does not close."""
    _, end = e.window(SUPPLY, "warm")
    for handler in e.layout.air_handlers:
        seen, asked = e.recording.at(end, handler.supply_temperature), e.recording.at(end, handler.supply_setpoint)
        sources = [e.recording.at(end, handler.return_temperature), e.recording.at(end, handler.outdoor_temperature)]
        if np.isfinite([seen, asked, *sources]).all() and seen < min(asked, *sources) - LEAKS_K:
            yield Finding("cooling_leak", handler.key, f"{seen:.1f} degrees where {asked:.1f} are asked and {min(sources):.1f} come in")


def stuck_economisers(e: Evidence) -> Iterator[Finding]:
    """Outdoor air that is not what is asked, neither at none nor at half."""
    for handler in e.layout.air_handlers:
        apart = []
        for note in ("none", "half"):
            _, end = e.window(OUTDOOR, note)
            asked, seen, supply = (e.recording.at(end, p) for p in (handler.outdoor_air_setpoint, handler.outdoor_air_flow, handler.flow))
            apart.append((seen - min(asked, supply)) / supply if np.isfinite([asked, seen, supply]).all() and supply > 0 else 0.0)
        if max(map(abs, apart)) > APART:
            yield Finding(
                "economiser_stuck", handler.key, f"outdoor air is {apart[0]:+.0%} and {apart[1]:+.0%} of the supply beside what is asked"
            )


def clogged_filters(e: Evidence) -> Iterator[Finding]:
    """A fan saves its design share of power at its least pressure; one that saves much more every time uses much more."""
    for handler in e.layout.air_handlers:
        windows = [(at, at + w.steps) for at, w in e.programme.named(PRESSURE) if w.note == handler.key]
        turns = [_saved_w(e, handler, *window) for window in windows]
        if not turns or "hvac" not in e.meters or not np.isfinite(turns).all() or min(expected for _, expected in turns) <= 0:
            continue
        if min(saved / expected for saved, expected in turns) > CLOGGED:
            saved, expected = turns[0]
            yield Finding("filter_clogged", handler.key, f"its fan saves {saved:.0f} W at least pressure, {expected:.0f} W by design")


def _saved_w(e: Evidence, handler: AirHandler, begin: int, end: int) -> tuple[float, float]:
    """What the meter says was saved beside the times before and after, and what the design says."""
    around = (e.power("hvac", begin - 2, begin) + e.power("hvac", end, end + 2)) / 2
    return around - e.power("hvac", begin, end), _fan_saving_w(e, handler, begin, end)


def _fan_saving_w(e: Evidence, handler: AirHandler, usual: int, least: int) -> float:
    design_w, most = (e.design.get(f"{name}.{handler.key}", np.nan) for name in ("fan_w", "fan_m3_s"))
    point = handler.pressure_setpoint
    x = min(1.0, e.recording.at(least, handler.flow) / most)
    own = e.book[point].limits.fallback if point is not None and e.book[point].limits is not None else np.nan  # type: ignore[union-attr]
    shares = [max(min(1.0, e.recording.at(step, point) / own), needed_pressure_share(x)) for step in (usual, least)]
    return design_w * sum(c * x**n for n, c in enumerate(FAN_FIXED)) * (shares[0] - shares[1])


def burning_lamps(e: Evidence) -> Iterator[Finding]:
    """Lamps that stay bright when they are asked to be dim."""
    _, end = e.window(LAMPS, "dim")
    for point, feedback in sorted(e.feedback.items()):
        if point in e.protected:
            continue
        seen = e.recording.at(end, feedback)
        if np.isfinite(seen) and seen > BURNS_PERCENT:
            yield Finding("lights_stuck_on", point, f"{seen:.0f} % where {DIM:.0f} % is asked")


def wrong_meters(e: Evidence) -> Iterator[Finding]:
    """Lamps alone change: the building's meter and that of light must show the same. Fans alone: the same with that of air handling."""
    if "main" not in e.meters:
        return
    lamps = {role: _lamp_power(e, role, "bright") - _lamp_power(e, role, "dim") for role in e.meters}
    main = lamps["main"]
    if "light" in e.meters and "hvac" in e.meters and main > 0 and lamps["hvac"] > 0.5 * main and abs(lamps["light"]) < 0.5 * main:
        shown = f"{lamps['hvac']:.0f} W of {main:.0f} W"
        yield Finding("meter_swapped", e.meters["hvac"], f"shows the lamps ({shown}), {e.meters['light']} does not")
        return
    begin, full = e.window(FULL_AIR)
    air = {role: e.power(role, full - 1, full) - e.power(role, begin - 1, begin) for role in e.meters}
    for role, change in (("light", lamps), ("hvac", air)):
        if role in e.meters and change["main"] > 0 and change[role] / change["main"] > METER_FACTOR:
            yield Finding("meter_scale", e.meters[role], f"shows {change[role]:.0f} W where the building shows {change['main']:.0f} W")


def _lamp_power(e: Evidence, role: str, note: str) -> float:
    return float(np.mean([e.power(role, at, at + w.steps) for at, w in e.programme.named(LAMPS) if w.note == note]))


def wrong_schedules(e: Evidence) -> Iterator[Finding]:
    """While nobody commands, devices must hold what their schedule says; all of them early or late is a clock."""
    free = [n for at, w in e.programme.named(REST) for n in range(at + 1, min(at + w.steps, len(e.recording.rows)))]
    fans = {h.fan: h.key for h in e.layout.air_handlers if h.fan}
    if not fans or not free:
        return
    agrees = {lag: _agreement(e, own, list(fans), free) for lag, own in {0: e.own, **e.early}.items()}
    best = max(agrees, key=lambda lag: (agrees[lag], lag == 0))
    if best and agrees[best] > MOSTLY and agrees[0] < agrees[best]:
        yield Finding(
            "clock_off", "site", f"the devices follow their schedules {best / 6:+.0f} h ({agrees[0]:.1%} against {agrees[best]:.1%})"
        )
        return
    for point, key in fans.items():
        off = [n for n in free if e.own[n].get(point) == 0 and np.isfinite(e.recording.at(n, point))]
        running = sum(e.recording.at(n, point) > 0 for n in off)
        if off and running > 0.5 * len(off):
            yield Finding(
                "schedule_ignored", key, f"runs in {running} of {len(off)} steps in which its schedule is off and nobody commands it"
            )


def _agreement(e: Evidence, own: Sequence[Mapping[str, float]], points: list[str], steps: list[int]) -> float:
    pairs = [(own[n].get(p), e.recording.at(n, p)) for n in steps for p in points if np.isfinite(e.recording.at(n, p))]
    return sum(a == b for a, b in pairs) / max(1, len(pairs))


def held_by_hand(e: Evidence) -> Iterator[Finding]:
    """Points at which somebody holds a stronger value than ours."""
    for point, times in sorted(e.masked.items()):
        yield Finding("setpoint_overridden", point, f"{times} of our commands were masked by a stronger one at the device")
