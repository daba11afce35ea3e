"""What the twin says there is: zones and air handlers with the points that strategies and the guard know how to use."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from twin.graph import Graph

ZONE_ROLES = {
    # role -> Brick class (subclasses count too)
    "temperature": "Zone_Air_Temperature_Sensor",
    "humidity": "Zone_Air_Humidity_Sensor",
    "co2": "Zone_CO2_Level_Sensor",
    "people": "Occupancy_Count_Sensor",
    "daylight": "Illuminance_Sensor",
    "flow": "Supply_Air_Flow_Sensor",
    "heating": "Heating_Zone_Air_Temperature_Setpoint",
    "cooling": "Cooling_Zone_Air_Temperature_Setpoint",
    "minimum_flow": "Min_Air_Flow_Setpoint_Limit",
}
AIR_HANDLER_ROLES = {
    "fan": "Start_Stop_Command",
    "supply_setpoint": "Supply_Air_Temperature_Setpoint",
    "outdoor_air_setpoint": "Outside_Air_Flow_Setpoint",
    "pressure_setpoint": "Supply_Air_Static_Pressure_Setpoint",
    "supply_temperature": "Supply_Air_Temperature_Sensor",
    "return_temperature": "Return_Air_Temperature_Sensor",
    "outdoor_temperature": "Outside_Air_Temperature_Sensor",
    "outdoor_humidity": "Outside_Air_Humidity_Sensor",
    "flow": "Supply_Air_Flow_Sensor",
    "outdoor_air_flow": "Outside_Air_Flow_Sensor",
}
ZONE_COMMANDS = ("heating", "cooling", "minimum_flow")
AIR_HANDLER_COMMANDS = ("fan", "supply_setpoint", "outdoor_air_setpoint", "pressure_setpoint")
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Zone:
    """A thermal zone: the point of each role, None where the twin has none, and the commands of its luminaires."""

    key: str
    area_m2: float
    air_handler: str | None
    temperature: str | None = None
    humidity: str | None = None
    co2: str | None = None
    people: str | None = None
    daylight: str | None = None
    flow: str | None = None
    heating: str | None = None
    cooling: str | None = None
    minimum_flow: str | None = None
    lights: tuple[str, ...] = ()


@dataclass(frozen=True)
class AirHandler:
    """An air handler, the zones it serves and the point of each role."""

    key: str
    zones: tuple[Zone, ...]
    fan: str | None = None
    supply_setpoint: str | None = None
    outdoor_air_setpoint: str | None = None
    pressure_setpoint: str | None = None
    supply_temperature: str | None = None
    return_temperature: str | None = None
    outdoor_temperature: str | None = None
    outdoor_humidity: str | None = None
    flow: str | None = None
    outdoor_air_flow: str | None = None


@dataclass(frozen=True)
class Layout:
    """All zones and air handlers of a twin, in order of key."""

    zones: tuple[Zone, ...]
    air_handlers: tuple[AirHandler, ...]

    @property
    def people_points(self) -> list[str]:
        """The counters of people, for the forecast."""
        return [z.people for z in self.zones if z.people]

    def without(self, points: frozenset[str]) -> "Layout":
        """The same zones and air handlers, but none of these points is there to be commanded."""

        def zone(z: Zone) -> Zone:
            lights = tuple(p for p in z.lights if p not in points)
            gone: dict[str, Any] = {role: None for role in ZONE_COMMANDS if getattr(z, role) in points}
            return replace(z, lights=lights, **gone)

        def handler(a: AirHandler) -> AirHandler:
            gone: dict[str, Any] = {role: None for role in AIR_HANDLER_COMMANDS if getattr(a, role) in points}
            return replace(a, zones=tuple(map(zone, a.zones)), **gone)

        return Layout(tuple(map(zone, self.zones)), tuple(map(handler, self.air_handlers)))


def read_layout(graph: Graph) -> Layout:
    """Ask the twin for everything that strategies and the guard can use."""
    roles = {role: _first(graph.ask("zone_points", brick_class=name), "zone") for role, name in ZONE_ROLES.items()}
    fed_by = {row["zone"]: row["air_handler"] for row in graph.ask("terminals")}
    lights: dict[str, list[str]] = {}
    for row in graph.ask("lighting"):
        if row.get("command"):
            lights.setdefault(row["zone"], []).append(row["command"])
    areas: dict[str, float] = {}
    for row in graph.ask("zones"):  # a zone of several rooms has a row for each
        areas[row["zone"]] = areas.get(row["zone"], 0.0) + float(row.get("area_m2", 0.0))
    zones = tuple(
        Zone(
            key, area, fed_by.get(key), **{role: found.get(key) for role, found in roles.items()}, lights=tuple(sorted(lights.get(key, [])))
        )
        for key, area in sorted(areas.items())
    )
    return Layout(zones, tuple(_air_handlers(graph, zones)))


def _air_handlers(graph: Graph, zones: tuple[Zone, ...]) -> Iterator[AirHandler]:
    roles = {role: _first(graph.ask("points_of", brick_class=name), "owner") for role, name in AIR_HANDLER_ROLES.items()}
    for row in sorted(graph.ask("air_handlers"), key=lambda r: r["air_handler"]):
        key = row["air_handler"]
        mine = tuple(z for z in zones if z.air_handler == key)
        yield AirHandler(key, mine, **{role: found.get(key) for role, found in roles.items()})


def _first(rows: Rows, of: str) -> dict[str, str]:
    """The point of each owner; of several the first by name, so that the choice never depends on the order of rows."""
    return {row[of]: row["point"] for row in sorted(rows, key=lambda r: r["point"], reverse=True)}
