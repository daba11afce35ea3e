"""Floors of rooms that have no usable body: from the footprint curve, the space boundaries or the bounding box."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ifcopenshell.util.unit
import numpy as np
from shapely import snap
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import polygonize, unary_union

from bim.placements import Placements, is_entity

_HEIGHT_M = 2.5  # of a room of which only a flat outline is known
_LEVEL_M = 0.05  # boundary corners this close in height lie in one plane
_SNAP_M = 0.05


@dataclass(frozen=True)
class Outline:
    """A room's floor and vertical extent, in metres."""

    floor: BaseGeometry
    z_min: float
    z_max: float


def outlines(file: Any, spaces: Sequence[Any]) -> dict[int, Outline]:
    """Entity number -> outline, for those spaces of which anything flat is known."""
    if not spaces:
        return {}
    scale = float(ifcopenshell.util.unit.calculate_unit_scale(file))
    placements = Placements(scale)
    boundaries = _boundaries(file, {space.id() for space in spaces})
    found = {}
    for space in spaces:
        matrix = placements.matrix(space)
        if matrix is None:
            matrix = np.eye(4)
        reading = _Reading(scale, matrix)
        try:
            outline = reading.footprint(space) or reading.bounded(boundaries.get(space.id(), [])) or reading.box(space)
        except (AttributeError, TypeError, ValueError, IndexError):  # an outline that is not what the schema says
            outline = None
        if outline is not None:
            found[space.id()] = outline
    return found


def _boundaries(file: Any, wanted: set[int]) -> dict[int, list[Any]]:
    """Space -> surfaces of its boundaries; first-level ones and second-level ones alike."""
    found: dict[int, list[Any]] = defaultdict(list)
    for relation in sorted(file.by_type("IfcRelSpaceBoundary"), key=lambda r: r.id()):
        space, geometry = relation.RelatingSpace, relation.ConnectionGeometry
        if is_entity(space) and space.id() in wanted and is_entity(geometry) and geometry.is_a("IfcConnectionSurfaceGeometry"):
            found[space.id()].append(geometry.SurfaceOnRelatingElement)
    return found


class _Reading:
    """The flat geometry of one space, in world coordinates and metres."""

    def __init__(self, scale: float, matrix: Any) -> None:
        self._scale, self._matrix = scale, matrix

    def footprint(self, space: Any) -> Outline | None:
        """Closed curves of a FootPrint (or other plan) representation."""
        rings = []
        for item in _items(space, ("FootPrint", "Footprint", "Plan", "Axis")):
            rings += [self._world(points) for points in _curves(item) if len(points) >= 3]
        polygons = [Polygon(ring[:, :2]) for ring in rings]
        if not polygons:
            return None
        z = float(rings[0][:, 2].min())
        return Outline(unary_union([p.buffer(0) for p in polygons]), z, z + _HEIGHT_M)

    def bounded(self, surfaces: Sequence[Any]) -> Outline | None:
        """The lowest level surface; where no boundary lies level, the area that the upright ones enclose."""
        level: list[Any] = []
        upright: list[Any] = []
        for surface in surfaces:
            points = self._world(_surface_points(surface))
            if len(points) >= 3:
                (level if np.ptp(points[:, 2]) < _LEVEL_M else upright).append(points)
        everything = [*level, *upright]
        if not everything:
            return None
        z_min = min(float(p[:, 2].min()) for p in everything)
        z_max = max(float(p[:, 2].max()) for p in everything)
        floors = [Polygon(p[:, :2]).buffer(0) for p in level if float(p[:, 2].min()) < z_min + _LEVEL_M]
        floor = unary_union(floors) if floors else _enclosed(upright)
        return Outline(floor, z_min, z_max if z_max > z_min + _LEVEL_M else z_min + _HEIGHT_M) if floor.area > 0 else None

    def box(self, space: Any) -> Outline | None:
        """The IfcBoundingBox of a Box representation."""
        for item in _items(space, ("Box",)):
            if item.is_a("IfcBoundingBox"):
                x, y, z = item.Corner.Coordinates
                dx, dy, dz = item.XDim, item.YDim, item.ZDim
                low = self._world(np.array([(x, y, z), (x + dx, y, z), (x + dx, y + dy, z), (x, y + dy, z)]))
                bottom = float(low[:, 2].min())
                return Outline(Polygon(low[:, :2]), bottom, bottom + float(dz) * self._scale)
        return None

    def _world(self, points: Any) -> Any:
        points = np.asarray(points, dtype=float).reshape(-1, np.shape(points)[-1] if np.size(points) else 3)
        if points.shape[1] == 2:
            points = np.column_stack([points, np.zeros(len(points))])
        return points * self._scale @ self._matrix[:3, :3].T + self._matrix[:3, 3]


def _items(space: Any, names: tuple[str, ...]) -> Iterator[Any]:
    shape = space.Representation
    for representation in shape.Representations if is_entity(shape) else ():
        if representation.RepresentationIdentifier in names:
            yield from representation.Items


def _curves(item: Any) -> Iterator[list[tuple[float, ...]]]:
    """The corners of every closed curve in a representation item; arcs by their three points."""
    if item.is_a("IfcPolyline"):
        yield [tuple(point.Coordinates) for point in item.Points]
    elif item.is_a("IfcIndexedPolyCurve"):
        points = [tuple(p) for p in item.Points.CoordList]
        segments = item.Segments
        order = [i for segment in segments for i in segment.wrappedValue] if segments else range(1, len(points) + 1)
        yield [points[i - 1] for i in order]
    elif item.is_a("IfcGeometricSet"):
        for element in item.Elements:
            yield from _curves(element)
    elif item.is_a("IfcAnnotationFillArea"):
        yield from _curves(item.OuterBoundary)


def _surface_points(surface: Any) -> Any:
    """Corners of a boundary's surface, relative to the space."""
    if surface.is_a("IfcCurveBoundedPlane"):
        flat = next(_curves(surface.OuterBoundary), [])
        return _in_plane(surface.BasisSurface.Position, flat)
    if surface.is_a("IfcSurfaceOfLinearExtrusion"):
        line = next(_curves(surface.SweptCurve.Curve), [])
        base = _in_plane(surface.Position, line)
        along = np.array(surface.ExtrudedDirection.DirectionRatios, dtype=float) * float(surface.Depth)
        if len(base) and surface.Position is not None:
            along = _turn(surface.Position) @ along
        return np.vstack([base, (base + along)[::-1]]) if len(base) else base
    return np.empty((0, 3))


def _in_plane(position: Any, points: Sequence[Sequence[float]]) -> Any:
    if not points:
        return np.empty((0, 3))
    flat = np.array([(*p, 0.0)[:3] for p in points], dtype=float)
    if position is None:
        return flat
    return flat @ _turn(position).T + np.array(position.Location.Coordinates, dtype=float)


def _turn(position: Any) -> Any:
    z = np.array(position.Axis.DirectionRatios if position.Axis is not None else (0, 0, 1), dtype=float)
    x = np.array(position.RefDirection.DirectionRatios if position.RefDirection is not None else (1, 0, 0), dtype=float)
    z /= np.linalg.norm(z)
    x -= z * (x @ z)
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z])


def _enclosed(upright: Sequence[Any]) -> BaseGeometry:
    """The area inside upright surfaces: their traces on the floor, joined where they nearly meet."""
    lines = []
    for points in upright:
        low = points[points[:, 2] < points[:, 2].min() + _LEVEL_M][:, :2]
        if len(low) >= 2:
            lines.append(LineString([low[0], low[int(np.argmax(np.linalg.norm(low - low[0], axis=1)))]]))
    if not lines:
        return Polygon()
    together = unary_union(lines)
    found = list(polygonize(unary_union(snap(together, together, _SNAP_M))))
    return unary_union(found) if found else together.convex_hull
