"""Duct pressure follows the air that is asked for: a fan that throttles against its own pressure wastes most of its power."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controls.strategies.watch import Watch
from twin.words import Image, Request

FIXED_CURVE = (0.0013, 0.1470, 0.9506, -0.0998)
RESET_CURVE = (0.040759894, 0.08804497, -0.07292612, 0.943739823)
"""Fan power by share of flow: at fixed pressure (ASHRAE 90.1 appendix G) and with good reset (DOE reference medium office)."""


@dataclass
class StaticPressure:
    """Pressure setpoint by the share of the largest flow seen; `design_pa` is each setpoint's own value, from its limits.

    The largest flow is learnt: too small a one gives more pressure than needed, never less. Stale flow: no request, the own setpoint rules.
    """

    watch: Watch
    design_pa: Mapping[str, float]
    name: str = "static_pressure"

    def propose(self, image: Image, now: datetime) -> list[Request]:
        seen = self.watch.look(image, now)
        requests = []
        for handler in seen.air_handlers:
            point, flow = handler.air_handler.pressure_setpoint, handler.flow_m3_s
            if point is not None and point in self.design_pa and flow is not None and flow > 0:
                share = flow / handler.flow_max_m3_s
                pressure = self.design_pa[point] * pressure_share(share, self.watch.tuning.pressure_share_min)
                why = f"{100 * share:.0f} % of the largest air flow is asked for"
                requests.append(
                    self.watch.request(seen, point, pressure, (self.name, why), {handler.air_handler.flow: flow, "flow_share": share})
                )
        return requests


def pressure_share(flow_share: float, least: float) -> float:
    """Share of the design pressure at which a fan uses what a well reset one uses at this share of flow."""
    x = min(1.0, max(0.05, flow_share))  # below it the curves are not known
    return min(1.0, max(least, _curve(RESET_CURVE, x) / _curve(FIXED_CURVE, x)))


def _curve(coefficients: Sequence[float], x: float) -> float:
    return sum(c * x**n for n, c in enumerate(coefficients))
