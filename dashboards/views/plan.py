"""The floor plan: which colour, mark and words each room shows on each layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.building import LAYERS, Building, Layer, Room
from dashboards.follow import Facts, Value
from twin.site import Comfort

CO2_STEPS: Final = (500, 600, 700, 800, 900, 1000)  # ppm; the last is replaced by the site's own limit
LIGHT_STEPS: Final = (5, 20, 35, 50, 65, 80)  # percent of full output
PEOPLE_STEPS: Final = (0.5, 2, 5, 10, 20, 40)


@dataclass(frozen=True, slots=True)
class Cell:
    """One room on one layer. `mark` is a word key when the room is outside its limits while somebody is there."""

    text: str
    band: int  # -1: nothing known
    quality: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class RoomState:
    """One room on every layer."""

    room: str
    people: int | None
    cells: Mapping[str, Cell]


def plan(building: Building, facts: Facts) -> tuple[RoomState, ...]:
    """The state of every drawn room."""
    return tuple(_room(building, facts, room) for room in building.rooms)


def steps(layer: str, comfort: Comfort) -> tuple[float, ...]:
    """The limits between the bands of a layer, which look.css colours as `band-<layer>-<n>`.

    The site's comfort band lies in the middle of temperature, its CO2 limit on top.
    """
    low, high = comfort.low_c, comfort.high_c
    quarter = (high - low) / 4
    return {
        "temperature": (low - 2, low, low + quarter, low + 2 * quarter, high - quarter, high, high + 2),
        "co2": (*CO2_STEPS[:-1], comfort.co2_ppm_max),
        "light": LIGHT_STEPS,
        "people": PEOPLE_STEPS,
    }[layer]


def _room(building: Building, facts: Facts, room: Room) -> RoomState:
    people = _value(building, facts, "people", room)
    present = people is not None and (people.value or 0) >= 0.5
    cells = {layer.key: _cell(layer, _value(building, facts, layer.key, room), building.site.comfort, present=present) for layer in LAYERS}
    return RoomState(room.id, None if people is None or people.value is None else round(people.value), cells)


def _value(building: Building, facts: Facts, layer: str, room: Room) -> Value | None:
    return facts.latest.get(building.shown.get(layer, {}).get(room.id, ""))


def _cell(layer: Layer, value: Value | None, comfort: Comfort, *, present: bool) -> Cell:
    if value is None or value.value is None:
        return Cell("–", -1, value.quality if value else "none")
    limits = steps(layer.key, comfort)
    band = sum(value.value >= limit for limit in limits)
    return Cell(
        f"{value.value:.{layer.decimals}f} {layer.unit}".strip(),
        band,
        value.quality,
        _mark(layer.key, value.value, comfort, present=present),
    )


def _mark(layer: str, value: float, comfort: Comfort, *, present: bool) -> str:
    if layer == "temperature" and present:
        return "too_warm" if value > comfort.high_c else "too_cold" if value < comfort.low_c else ""
    return "high_co2" if layer == "co2" and value > comfort.co2_ppm_max else ""
