"""Shapes from bodies: floor polygons of all rooms, and outlines of the few elements whose point alone does not tell their room."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from shapely import make_valid
from shapely.geometry import MultiPoint, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from bim.meshing import mesh
from bim.opening import Model
from bim.outlines import Outline, outlines
from bim.placements import Ref, Xyz

_DOWNWARD = -0.7  # a floor triangle's unit normal has z below this; slopes up to 45 degrees are tolerated
_SIMPLIFY_M = 0.01
_TRIANGLE_M2_MIN = 1e-6
_FLOOR_M2_MIN = 1e-3
_OFF_THE_EDGES = np.array([1.7e-5, 2.9e-5, 0.0])  # a line through the edge of two triangles would meet neither


@dataclass(frozen=True)
class RoomShape:
    """A room's floor and its vertical extent, in metres; its body as (vertices, triangles) where it has one."""

    floor: BaseGeometry
    z_min: float
    z_max: float
    body: tuple[Any, Any] | None = field(default=None, compare=False, repr=False)

    def holds(self, point: Xyz) -> bool:
        """Whether the point is inside the body: a line upwards from it leaves the body once more than it enters."""
        if self.body is None:
            return self.z_min <= point[2] <= self.z_max
        vertices, faces = self.body
        corners = vertices[faces] - (np.array(point) + _OFF_THE_EDGES)
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        u, v, w = _cross(b, c), _cross(c, a), _cross(a, b)
        total = u + v + w
        hit = ((u > 0) & (v > 0) & (w > 0)) | ((u < 0) & (v < 0) & (w < 0))
        hit &= np.abs(total) > 1e-12
        height = (u[hit] * a[hit, 2] + v[hit] * b[hit, 2] + w[hit] * c[hit, 2]) / total[hit]
        return bool(np.count_nonzero(height > 0) % 2)


@dataclass(frozen=True)
class Body:
    """An element's outline seen from above, and its vertical extent, in metres."""

    outline: BaseGeometry
    z_min: float
    z_max: float


@dataclass(frozen=True)
class Shapes:
    """The shapes of rooms, and how many bodies the geometry engine failed on."""

    rooms: Mapping[Ref, RoomShape]
    failed: int = 0
    outlined: int = 0  # rooms whose floor comes from boundaries or a footprint, for want of a body

    def notes(self) -> list[str]:
        """What a person should know of the shapes."""
        found = []
        if self.failed:
            found.append(f"{self.failed} room bodies made the geometry engine fail and were left out; simplify or redraw these rooms")
        if self.outlined:
            found.append(f"{self.outlined} rooms have no usable body; their floor comes from a footprint, boundaries or a bounding box")
        return found


def room_shapes(models: Sequence[Model]) -> Shapes:
    """The shape of every space: from its body, else from its footprint, its boundaries or its bounding box."""
    found: dict[Ref, RoomShape] = {}
    failed = outlined = 0
    for number, model in enumerate(models):
        spaces = sorted(model.file.by_type("IfcSpace"), key=lambda space: space.id())
        meshed = mesh(model.file, spaces)
        failed += len(meshed.failed)
        for entity, (vertices, faces) in meshed.meshes.items():
            floor = _floor(vertices, faces) if len(faces) else None
            if floor is not None:
                body = (vertices, faces)
                found[number, entity] = RoomShape(floor, float(vertices[:, 2].min()), float(vertices[:, 2].max()), body)
        bare = [space for space in spaces if (number, space.id()) not in found]
        for entity, outline in outlines(model.file, bare).items():
            if (shape := _flat(outline)) is not None:
                found[number, entity] = shape
                outlined += 1
    return Shapes(found, failed, outlined)


def bodies(models: Sequence[Model], refs: Iterable[Ref]) -> dict[Ref, Body]:
    """Outlines of elements' bodies. Meshing is what costs, so ask for few."""
    wanted = sorted(refs)
    found = {}
    for number, model in enumerate(models):
        items = [model.file.by_id(entity) for file, entity in wanted if file == number]
        for entity, (vertices, _) in mesh(model.file, items).meshes.items():
            if len(vertices):
                outline = MultiPoint(vertices[:, :2]).convex_hull
                found[number, entity] = Body(outline, float(vertices[:, 2].min()), float(vertices[:, 2].max()))
    return found


def rings(shape: BaseGeometry) -> list[dict[str, list[Any]]]:
    """A shape as plan.json has it: outer rings with holes, to the millimetre."""
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    return [
        {"outer": _corners(part.exterior), "holes": [_corners(hole) for hole in part.interiors]}
        for part in parts
        if isinstance(part, Polygon) and not part.is_empty
    ]


def areas_only(shape: BaseGeometry) -> BaseGeometry | None:
    """The polygons of a mended shape, without the lines and points that mending leaves; None when nothing is left."""
    parts = [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, Polygon | MultiPolygon) and part.area > _FLOOR_M2_MIN]
    return unary_union(parts).normalize() if parts else None


def _floor(vertices: Any, faces: Any) -> BaseGeometry | None:
    """Union of the downward triangles, or None when the body has no floor. Worked near zero: map coordinates are large."""
    shift = vertices[:, :2].min(axis=0).round()
    triangles = vertices[faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    lengths = np.linalg.norm(normals, axis=1) + 1e-12
    flat = triangles[normals[:, 2] / lengths < _DOWNWARD][:, :, :2] - shift
    pieces = [p for p in (Polygon(t) for t in flat) if p.area > _TRIANGLE_M2_MIN]
    if not pieces:
        return None
    floor = areas_only(make_valid(unary_union(pieces).simplify(_SIMPLIFY_M)))
    return None if floor is None else _moved(floor, float(shift[0]), float(shift[1]))


def _moved(shape: BaseGeometry, x: float, y: float) -> BaseGeometry:
    from shapely.affinity import translate

    return translate(shape, x, y).normalize() if x or y else shape


def _flat(outline: Outline) -> RoomShape | None:
    floor = areas_only(make_valid(outline.floor))
    return None if floor is None else RoomShape(floor, outline.z_min, outline.z_max)


def _cross(a: Any, b: Any) -> Any:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _corners(ring: Any) -> list[list[float]]:
    return [[round(x, 3), round(y, 3)] for x, y in ring.coords]
