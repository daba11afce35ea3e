"""Judge what the controller holds by the guard's own hard limits, without asking the guard: a violation is one unsafe value in one step."""

import math
from collections.abc import Mapping

from twin.points import PointBook

HARD = {
    # Brick class -> what may never be left, whatever anybody wants
    "Heating_Zone_Air_Temperature_Setpoint": (16.0, 30.0),
    "Cooling_Zone_Air_Temperature_Setpoint": (16.0, 30.0),
    "Supply_Air_Temperature_Setpoint": (12.0, 18.0),
}
HEATING, COOLING = "Heating_Zone_Air_Temperature_Setpoint", "Cooling_Zone_Air_Temperature_Setpoint"
SAME = 1e-4  # relative: what a float32 on the way may change


def unsafe(held: Mapping[str, float], own: Mapping[str, float], book: PointBook) -> list[str]:
    """Points whose held value is ours (not the building's own) and outside its limits, the hard limits, or at odds with its partner."""
    ours = {p: v for p, v in held.items() if p in book and v >= 0 and not math.isclose(v, own.get(p, math.nan), rel_tol=SAME, abs_tol=SAME)}
    wrong = [p for p, v in ours.items() if not _inside(book, p, v)]
    pairs: dict[str, dict[str, str]] = {}
    for point in ours:
        if book[point].brick in (HEATING, COOLING):
            pairs.setdefault(book[point].owner, {})[book[point].brick] = point
    both = [pair for pair in pairs.values() if len(pair) == 2]
    return wrong + [pair[HEATING] for pair in both if ours[pair[HEATING]] >= ours[pair[COOLING]]]


def _inside(book: PointBook, point: str, value: float) -> bool:
    limits = book[point].limits
    low, high = HARD.get(book[point].brick, (-math.inf, math.inf))
    if limits is not None:
        low, high = max(low, limits.low), min(high, limits.high)
    slack = SAME * max(1.0, abs(value))
    return low - slack <= value <= high + slack
