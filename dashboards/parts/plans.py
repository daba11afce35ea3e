"""The floor plan's frame: the page's script draws the rooms into it from outlines and live states."""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboards.building import LAYERS, Building
from dashboards.views.plan import steps


def plan_frame(building: Building, words: Mapping[str, str]) -> list[Any]:
    """Switches for layer and floor, the drawing, its legend and a list of the rooms for those who cannot see it."""
    if not building.rooms:
        return [html.P(words["plan_none"], className="quiet")]
    layers = [{"value": layer.key, "label": words[f"layer_{layer.key}"]} for layer in LAYERS]
    storeys = [{"value": s.id, "label": s.name} for s in building.storeys]
    return [
        dcc.Store(id="plan-outlines", data=outlines(building)),
        dcc.Store(id="plan-drawn"),
        html.Div(
            [
                dmc.SegmentedControl(id="plan-layer", data=layers, value=LAYERS[0].key, size="xs", **{"aria-label": words["layer"]}),
                dmc.SegmentedControl(
                    id="plan-storey", data=storeys, value=building.storeys[0].id, size="xs", **{"aria-label": words["floor"]}
                ),
            ],
            className="switches",
        ),
        html.Div(id="plan", className="plan", role="group", **{"aria-label": words["plan"]}),
        html.Div(id="plan-legend", className="legend"),
    ]


def outlines(building: Building) -> dict[str, Any]:
    """What the drawing needs once: outlines in m and the legend's limits."""
    return {
        "rooms": [
            {
                "id": r.id,
                "name": r.name,
                "storey": r.storey,
                "outlines": [[[round(x, 2), round(y, 2)] for x, y, *_ in o] for o in r.outlines],
            }
            for r in building.rooms
        ],
        "layers": {
            layer.key: {"steps": [round(s, 1) for s in steps(layer.key, building.site.comfort)], "unit": layer.unit} for layer in LAYERS
        },
    }
