"""Shapes from bodies: floor polygons of all rooms, and boxes around the few elements whose point alone does not tell their room."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ifcopenshell.geom
import numpy as np
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from bim.inventory import Ref, Xyz
from bim.opening import Model

_DOWNWARD = -0.7  # a floor triangle's unit normal has z below this; slopes up to 45 degrees are tolerated
_SIMPLIFY_M = 0.01
_TRIANGLE_M2_MIN = 1e-6
Box = tuple[Xyz, Xyz]


@dataclass(frozen=True)
class RoomShape:
    """A room's floor and its vertical extent, in metres."""

    floor: BaseGeometry
    z_min: float
    z_max: float


def room_shapes(models: Sequence[Model]) -> dict[Ref, RoomShape]:
    """The shape of every space that has a body with a floor."""
    found = {}
    for number, model in enumerate(models):
        spaces = model.file.by_type("IfcSpace")
        for entity, vertices, faces in _meshes(model.file, spaces):
            floor = _floor(vertices, faces)
            if floor is not None:
                found[number, entity] = RoomShape(floor, float(vertices[:, 2].min()), float(vertices[:, 2].max()))
    return found


def footprints(models: Sequence[Model], refs: Iterable[Ref]) -> dict[Ref, Box]:
    """The box around each element's body: (low corner, high corner). Meshing is what costs, so ask for few."""
    wanted = sorted(refs)
    found = {}
    for number, model in enumerate(models):
        items = [model.file.by_id(entity) for file, entity in wanted if file == number]
        with_body = [item for item in items if getattr(item, "Representation", None) is not None]
        for entity, vertices, _ in _meshes(model.file, with_body):
            low, high = vertices.min(axis=0), vertices.max(axis=0)
            found[number, entity] = ((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2])))
    return found


def rings(shape: BaseGeometry) -> list[dict[str, list[Any]]]:
    """A shape as plan.json has it: outer rings with holes, to the millimetre."""
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    return [
        {"outer": _corners(part.exterior), "holes": [_corners(hole) for hole in part.interiors]}
        for part in parts
        if isinstance(part, Polygon) and not part.is_empty
    ]


def _meshes(file: Any, items: Sequence[Any]) -> Iterator[tuple[int, Any, Any]]:
    """(entity number, vertices, triangles) in metres and world coordinates; items without a body are absent."""
    if not items:
        return
    settings = ifcopenshell.geom.settings()
    settings.set("use-world-coords", True)
    settings.set("weld-vertices", True)
    iterator = ifcopenshell.geom.iterator(settings, file, 1, include=items)
    more = iterator.initialize()
    while more:
        shape = iterator.get()
        vertices = np.array(shape.geometry.verts).reshape(-1, 3)
        yield int(shape.id), vertices, np.array(shape.geometry.faces).reshape(-1, 3)
        more = iterator.next()


def _floor(vertices: Any, faces: Any) -> BaseGeometry | None:
    """Union of the downward triangles, or None when the body has no floor."""
    triangles = vertices[faces]
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    lengths = np.linalg.norm(normals, axis=1) + 1e-12
    down = triangles[normals[:, 2] / lengths < _DOWNWARD]
    pieces = [p for p in (Polygon(t[:, :2]) for t in down) if p.area > _TRIANGLE_M2_MIN]
    if not pieces:
        return None
    floor = unary_union(pieces).simplify(_SIMPLIFY_M)
    return None if floor.is_empty else floor.normalize()


def _corners(ring: Any) -> list[list[float]]:
    return [[round(x, 3), round(y, 3)] for x, y in ring.coords]
