"""Findings about devices and sensors: silent, dead, stuck, in the wrong unit, swapped, drifting."""

from collections.abc import Iterator, Mapping

import numpy as np

from controls.strategies.layout import AirHandler, Zone
from simulators.commissioning.evidence import Evidence, Finding
from simulators.commissioning.programme import FLOW_CODE, FLUSH, PUSH_CODE

PLAUSIBLE_C = (-10.0, 55.0)  # of a room
FROZEN = 1e-6
HOT_C = 48.0  # no room is so warm for days: somebody reads Fahrenheit
SWAP_MARGIN = 0.25  # another zone's code must fit so much better than the own
DRIFT_K, EXPLAINED, REST_K = 1.8, 0.85, 0.4
CO2_PPM = 130.0


def silent_devices(e: Evidence) -> Iterator[Finding]:
    """Connections of which no point was ever good."""
    by_connection: dict[str, list[str]] = {}
    for point, connection in e.connection_of.items():
        by_connection.setdefault(connection, []).append(point)
    for connection, points in sorted(by_connection.items()):
        if not any(np.isfinite(e.recording.series(point)).any() for point in points):
            yield Finding("device_silent", connection, f"none of its {len(points)} points was ever read")


def broken_sensors(e: Evidence) -> Iterator[Finding]:
    """Room temperatures that are no temperatures, or never change."""
    for zone in e.layout.zones:
        values = e.recording.series(zone.temperature)
        values = values[np.isfinite(values)]
        if zone.temperature is None or not len(values):
            continue
        middle = float(np.median(values))
        frozen = float(values.std()) < FROZEN
        if frozen and not PLAUSIBLE_C[0] <= middle <= PLAUSIBLE_C[1]:
            yield Finding("sensor_dead", zone.temperature, f"shows {middle:g} for ever, the end of its range")
        elif frozen:
            yield Finding("sensor_stuck", zone.temperature, f"shows {middle:g} for ever, whatever the box does")
        elif middle > HOT_C and PLAUSIBLE_C[0] <= (middle - 32) / 1.8 <= PLAUSIBLE_C[1]:
            yield Finding("wrong_unit", zone.temperature, f"shows {middle:.1f}: as Fahrenheit that is {(middle - 32) / 1.8:.1f} degrees")


def swapped_sensors(e: Evidence, known: set[str]) -> Iterator[Finding]:
    """Zones whose temperature answers to another zone's code, and the other way round."""
    zones = [z for z in e.layout.zones if z.temperature and z.temperature not in known]
    changes = {z.key: e.code_changes(PUSH_CODE, z.temperature) for z in zones}
    usable = [z for z in zones if np.isfinite(changes[z.key]).all()]
    if len(usable) < 2:
        return
    common = np.median([changes[z.key] for z in usable], axis=0)
    sign = -1.0 if e.programme.cooling else 1.0
    fit = {(a.key, b.key): _fit(sign * (changes[a.key] - common), e.code(b)) for a in usable for b in usable}
    seen: set[str] = set()
    for a in usable:
        best = max((b for b in usable if b != a), key=lambda b: fit[a.key, b.key] + fit[b.key, a.key])
        better = fit[a.key, best.key] - fit[a.key, a.key], fit[best.key, a.key] - fit[best.key, best.key]
        if min(better) > SWAP_MARGIN and a.key not in seen and best.key not in seen:
            seen |= {a.key, best.key}
            assert a.temperature is not None
            assert best.temperature is not None
            words = f"answers when {best.key} is asked, and {best.temperature} when {a.key} is"
            yield Finding("swapped_zones", a.temperature, words, best.temperature)


def _fit(change: np.ndarray, code: np.ndarray) -> float:
    spread = float(change.std() * code.std())
    return 0.0 if spread < FROZEN else float(((change - change.mean()) * (code - code.mean())).mean()) / spread


def drifting_sensors(e: Evidence, broken: set[str], swapped: Mapping[str, str]) -> Iterator[Finding]:
    """Return air is the mix of the rooms' air by their flows: a room that shifts the balance by its own share has a sensor that is off.

    Swapped sensors are read the right way round; with a broken one the balance of its air handler tells nothing.
    """
    for handler in e.layout.air_handlers:
        zones = [z for z in e.zones_of(handler) if z.temperature and z.flow]
        if zones and not broken & {z.temperature for z in zones}:
            yield from _drifting(e, handler, zones, swapped)


def _drifting(e: Evidence, handler: AirHandler, zones: list[Zone], swapped: Mapping[str, str]) -> Iterator[Finding]:
    back = e.code_values(FLOW_CODE, handler.return_temperature)
    flow = np.array([e.code_values(FLOW_CODE, z.flow) for z in zones])
    seen = np.array([e.code_values(FLOW_CODE, swapped.get(z.temperature or "", z.temperature)) for z in zones])
    if not len(back) or not all(np.isfinite(values).all() for values in (back, flow, seen)):
        return
    total = flow.sum(axis=0)
    if not (total > 0).all():
        return
    share = flow / total
    error = (share * seen).sum(axis=0) - back
    about, shift = share - share.mean(axis=1)[:, None], error - error.mean()
    offset = (about @ shift) / np.maximum((about**2).sum(axis=1), FROZEN)
    left = ((shift - offset[:, None] * about) ** 2).sum(axis=1)
    best = int(np.argmin(left))
    explained = 1 - left[best] / max(float((shift**2).sum()), FROZEN)
    rest = float(error.mean() - offset[best] * share[best].mean())  # what no sensor explains: return air that is warmed on its way
    if abs(offset[best]) >= DRIFT_K and explained >= EXPLAINED and abs(rest) <= REST_K:
        point = zones[best].temperature
        assert point is not None
        yield Finding("sensor_drift", point, f"reads {offset[best]:+.1f} K beside what the return air of {handler.key} says")


def offset_co2(e: Evidence) -> Iterator[Finding]:
    """After hours of outdoor air without people all rooms show outdoors, and so the same."""
    end = e.ends(FLUSH)[0]
    values = {z.co2: e.recording.at(end, z.co2) for z in e.layout.zones if z.co2}
    known = [v for v in values.values() if np.isfinite(v)]
    if len(known) < 3:
        return
    middle = float(np.median(known))
    for point, value in values.items():
        if np.isfinite(value) and abs(value - middle) > CO2_PPM:
            assert point is not None
            yield Finding("co2_offset", point, f"shows {value:.0f} ppm in flushed rooms that show {middle:.0f}")
