"""What the pages know of a building: its rooms as drawn, and which point shows what in which room. Read once, when the server starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from twin.errors import StateError
from twin.points import PointBook, read_points
from twin.site import Site
from twin.state import read_json

Polygon = Sequence[Sequence[float]]  # corners in m


class Asks(Protocol):
    """The twin's graph, as far as the pages need it."""

    def ask(self, query_name: str, **bindings: str) -> list[dict[str, str]]:
        """Rows of a named query."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """What the floor plan can be coloured by."""

    key: str
    brick: str
    unit: str
    decimals: int


LAYERS: Final = (
    Layer("temperature", "Zone_Air_Temperature_Sensor", "°C", 1),
    Layer("co2", "Zone_CO2_Level_Sensor", "ppm", 0),
    Layer("light", "Luminance_Sensor", "%", 0),
    Layer("people", "Occupancy_Count_Sensor", "", 0),
)


@dataclass(frozen=True, slots=True)
class Storey:
    """A floor, lowest first."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Room:
    """A room as drawn: outlines in m, y to the north."""

    id: str
    name: str
    storey: str
    area_m2: float
    zone: str
    outlines: tuple[Polygon, ...]


@dataclass(frozen=True)
class Building:
    """One site as the pages show it."""

    site: Site
    points: PointBook
    storeys: tuple[Storey, ...] = ()
    rooms: tuple[Room, ...] = ()
    shown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # layer -> room -> point
    place_of: Mapping[str, str] = field(default_factory=dict)  # point -> name of the room or equipment it belongs to
    power_point: str = ""  # W, the whole building's
    energy_point: str = ""  # Wh, electricity, cumulative
    gas_point: str = ""  # Wh, cumulative


def read_building(site: Site, graph: Any) -> Building:
    """Put plan.json, points.csv and the twin together; a missing plan gives pages without a floor plan."""
    points = read_points(site.points_file, graph.points())
    storeys, rooms = read_plan(site)
    shown = {layer.key: room_points(graph, rooms, layer.brick) for layer in LAYERS}
    return Building(site, points, storeys, rooms, shown, places(graph, points, rooms), **meter_points(graph))


def read_plan(site: Site) -> tuple[tuple[Storey, ...], tuple[Room, ...]]:
    """Floors and rooms of plan.json, lowest floor first."""
    try:
        plan = read_json(site.plan_file)
    except StateError:
        return (), ()
    storeys = tuple(Storey(s["id"], spoken(s["name"])) for s in sorted(plan["storeys"], key=lambda s: float(s.get("elevation_m", 0))))
    rooms = tuple(
        Room(
            r["id"],
            spoken(r["name"]),
            r["storey"],
            float(r.get("area_m2") or 0),
            r.get("zone", ""),
            tuple(p["outer"] for p in r["polygons"]),
        )
        for r in plan["rooms"]
    )
    return storeys, rooms


def room_points(graph: Asks, rooms: Sequence[Room], brick: str) -> dict[str, str]:
    """The point of this Brick class for each room, through the room's zone."""
    by_zone = {row["zone"]: row["point"] for row in graph.ask("zone_points", brick_class=brick)}
    zone_of = {row["room"]: row["zone"] for row in graph.ask("zones") if "room" in row}
    found = {room.id: by_zone.get(room.zone or zone_of.get(room.id, ""), "") for room in rooms}
    return {room: point for room, point in found.items() if point}


def places(graph: Asks, points: PointBook, rooms: Sequence[Room]) -> dict[str, str]:
    """Where a person looks for a point: the room of its terminal or luminaire, else the equipment's name."""
    names = {row["equipment"]: spoken(row["name"]) for row in graph.ask("equipment")}
    room_names = {room.id: room.name for room in rooms}
    zone_room = {row["zone"]: room_names.get(row.get("room", ""), spoken(row["name"])) for row in graph.ask("zones")}
    served = {row["terminal"]: zone_room.get(row["zone"], "") for row in graph.ask("terminals")}
    lit = {row["luminaire"]: room_names.get(row["room"], "") for row in graph.ask("lighting")}
    return {
        p.id: served.get(p.owner) or lit.get(p.owner) or names.get(p.owner) or room_names.get(p.owner) or p.owner for p in points.values()
    }


def meter_points(graph: Asks) -> dict[str, str]:
    """The whole building's power, electricity and gas, as far as the twin has meters for them."""
    wanted = {
        ("Building_Electrical_Meter", "Electric_Power_Sensor"): "power_point",
        ("Building_Electrical_Meter", "Electric_Energy_Sensor"): "energy_point",
        ("Building_Gas_Meter", "Natural_Gas_Usage_Sensor"): "gas_point",
    }
    found = {wanted.get((row["class"], row["point_class"])): row["point"] for row in graph.ask("meters")}
    return {name: point for name, point in found.items() if name}


def spoken(name: str) -> str:
    """A name of the model as a person would write it."""
    return name.replace("_", " ").strip() or name
