"""Where the zones of an EnergyPlus model are: footprint, elevation, height and windows, from their surfaces."""

from collections.abc import Sequence
from typing import Any

from shapely import MultiPoint, Polygon, union_all
from shapely.geometry.polygon import orient

from twin.errors import SiteError

Model = dict[str, Any]
Corners = tuple[tuple[float, float], ...]
Vertex = tuple[float, float, float]

SURFACES = ("BuildingSurface:Detailed", "Floor:Detailed", "Wall:Detailed", "RoofCeiling:Detailed")
WINDOWS = ("FenestrationSurface:Detailed", "Window")


def footprint(model: Model, zone: str) -> tuple[Corners, float, float]:
    """Polygon (counter-clockwise from above), elevation and height of a zone in m, in the building's coordinates."""
    every = [s for kind in SURFACES for s in model.get(kind, {}).values()]
    surfaces = [s for s in every if s["zone_name"].lower() == zone.lower() and s.get("vertices")]
    if not surfaces:
        raise SiteError(f"zone {zone}: no surfaces with vertices found; simple geometry objects are not read, give the zone detailed ones")
    dx, dy, dz = _origin(model, zone)
    floors = [vertices(s) for s in surfaces if s.get("surface_type", "") == "Floor"]
    floors = floors or [_lowest([v for s in surfaces for v in vertices(s)])]
    bottom = min(z for floor in floors for _, _, z in floor)
    top = max(z for s in surfaces for _, _, z in vertices(s))
    corners = tuple((x, y) for x, y, _ in reversed(floors[0])) if len(floors) == 1 else _joined(floors)
    return tuple((x + dx, y + dy) for x, y in corners), bottom + dz, top - bottom


def has_window(model: Model, zone: str) -> bool:
    """Whether a window is in one of the zone's surfaces."""
    mine = {n.lower() for kind in SURFACES for n, s in model.get(kind, {}).items() if s["zone_name"].lower() == zone.lower()}
    return any(
        w["building_surface_name"].lower() in mine and w.get("surface_type", "Window") != "Door"
        for kind in WINDOWS
        for w in model.get(kind, {}).values()
    )


def vertices(surface: Model) -> list[Vertex]:
    """The corners of a surface."""
    return [
        (float(v["vertex_x_coordinate"]), float(v["vertex_y_coordinate"]), float(v["vertex_z_coordinate"])) for v in surface["vertices"]
    ]


def _origin(model: Model, zone: str) -> Vertex:
    """Vertices are relative to the zone's origin unless the model says world coordinates."""
    rules: Model = next(iter(model.get("GlobalGeometryRules", {}).values()), {})
    if str(rules.get("coordinate_system", "Relative")).lower().startswith("world"):
        return 0.0, 0.0, 0.0
    x, y, z = (float(model["Zone"][zone].get(f"{a}_origin", 0.0)) for a in "xyz")
    return x, y, z


def _lowest(corners: Sequence[Vertex]) -> list[Vertex]:
    """A zone without a floor: the hull of all corners, laid at the lowest; clockwise from above, as a floor is."""
    bottom = min(z for _, _, z in corners)
    hull = MultiPoint([(x, y) for x, y, _ in corners]).convex_hull
    return [(x, y, bottom) for x, y in reversed(_ring(hull))]


def _joined(floors: Sequence[Sequence[Vertex]]) -> Corners:
    """One outline of several floors; of parts that do not touch, the largest."""
    shape = union_all([Polygon([(x, y) for x, y, _ in floor]).buffer(0) for floor in floors])
    parts = list(getattr(shape, "geoms", [shape]))
    return _ring(max(parts, key=lambda p: p.area))


def _ring(shape: Any) -> Corners:
    return tuple((float(x), float(y)) for x, y in orient(shape).exterior.coords[:-1])
