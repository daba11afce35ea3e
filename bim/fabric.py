"""What encloses each room, measured from bodies: windows, outer walls, roof and ground, and what it shares with its neighbours."""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shapely import STRtree
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from bim.inventory import Inventory
from bim.moves import Move
from bim.opening import Model
from bim.placements import Ref
from bim.rooms import Body, RoomShape, bodies

GLAZED = ("IfcWindow", "IfcCurtainWall")
_WALL_M = 0.6  # rooms this far apart share a wall
_TO_OUTSIDE_M = 0.8  # an outline of rooms lies this far inside the building's own
_SLAB_M = 2.5  # a room above begins at most this far over a ceiling: void, beams and slab
_BELOW_M = 0.3  # rooms of one storey may overlap so much in height
_LEAST_M, _LEAST_M2 = 0.3, 0.3  # a shared edge or floor that counts
_FRAME_SHARE = 0.85  # curtain walls: glass between their profiles


@dataclass
class Fabric:
    """A room's enclosure in m²; `shared` by neighbouring room: wall or floor between the two."""

    window_m2: float = 0.0
    facade_m2: float = 0.0  # outer wall with its windows
    roof_m2: float = 0.0
    ground_m2: float = 0.0
    shared: dict[Ref, float] = field(default_factory=dict)


def measure_fabric(
    models: Sequence[Model], inventory: Inventory, shapes: Mapping[Ref, RoomShape], moves: Mapping[int, Move]
) -> dict[Ref, Fabric]:
    """The enclosure of every room that has a shape, in the coordinates of `shapes`."""
    found = {ref: Fabric() for ref in shapes}
    for storey in _layers(shapes):
        _walls({ref: shapes[ref] for ref in storey}, found)
    _slabs(shapes, found)
    glazed = [ref for ref, element in inventory.elements.items() if element.ifc_class in GLAZED]
    for ref, body in sorted(bodies(models, glazed).items()):
        moved = moves[ref[0]].body(body) if ref[0] in moves else body
        share = _FRAME_SHARE if inventory.elements[ref].ifc_class == "IfcCurtainWall" else 1.0
        _window(moved, share, shapes, found)
    for fabric in found.values():
        fabric.window_m2 = min(fabric.window_m2, fabric.facade_m2)
    return found


def _layers(shapes: Mapping[Ref, RoomShape]) -> list[list[Ref]]:
    """Rooms that overlap in height by more than a step stand beside each other; a hall over two storeys stands in both."""
    levels: dict[float, list[Ref]] = defaultdict(list)
    for ref, shape in shapes.items():
        levels[round(shape.z_min * 2) / 2].append(ref)
    heights = sorted(levels)
    found = []
    for z in heights:
        beside = [r for r, s in shapes.items() if s.z_min <= z + _BELOW_M and s.z_max > z + 1.0]
        found.append(sorted({*levels[z], *beside}))
    return found


def _walls(rooms: Mapping[Ref, RoomShape], found: Mapping[Ref, Fabric]) -> None:
    """Shared walls, and the outer wall: what of a room's edge lies at the edge of the whole layer."""
    refs = list(rooms)
    floors = [rooms[ref].floor for ref in refs]
    tree = STRtree(floors)
    whole = unary_union([floor.buffer(_WALL_M / 2, join_style="mitre") for floor in floors])
    edge = whole.boundary
    for i, ref in enumerate(refs):
        for j in tree.query(floors[i], predicate="dwithin", distance=_WALL_M):
            if int(j) != i and refs[int(j)] not in found[ref].shared:
                _shared_wall(ref, refs[int(j)], rooms, found)
        outer = floors[i].boundary.intersection(edge.buffer(_TO_OUTSIDE_M / 2, cap_style="flat")).length
        found[ref].facade_m2 = max(found[ref].facade_m2, outer * _height(rooms[ref]))


def _shared_wall(one: Ref, other: Ref, rooms: Mapping[Ref, RoomShape], found: Mapping[Ref, Fabric]) -> None:
    a, b = rooms[one], rooms[other]
    reach = a.floor.distance(b.floor) + 0.05
    length = min(_edge_near(a.floor, b.floor, reach), _edge_near(b.floor, a.floor, reach))
    height = min(a.z_max, b.z_max) - max(a.z_min, b.z_min)
    if length >= _LEAST_M and height > 0:
        found[one].shared[other] = found[other].shared[one] = length * height


def _edge_near(floor: BaseGeometry, other: BaseGeometry, reach_m: float) -> float:
    return float(floor.boundary.intersection(other.buffer(reach_m, cap_style="flat", join_style="mitre")).length)


def _slabs(shapes: Mapping[Ref, RoomShape], found: Mapping[Ref, Fabric]) -> None:
    """Floors between rooms one above the other; what has nothing above is roof, what has nothing below is ground."""
    refs = list(shapes)
    tree = STRtree([shapes[ref].floor for ref in refs])
    for ref in refs:
        shape, above, below = shapes[ref], 0.0, 0.0
        for j in tree.query(shape.floor, predicate="intersects"):
            other = shapes[refs[int(j)]]
            area = float(shape.floor.intersection(other.floor).area)
            if refs[int(j)] == ref or area < _LEAST_M2:
                continue
            if -_BELOW_M <= other.z_min - shape.z_max <= _SLAB_M:
                above += area
                found[ref].shared[refs[int(j)]] = found[refs[int(j)]].shared[ref] = area
            elif -_BELOW_M <= shape.z_min - other.z_max <= _SLAB_M:
                below += area
        whole = float(shape.floor.area)
        found[ref].roof_m2, found[ref].ground_m2 = max(0.0, whole - above), max(0.0, whole - below)


def _window(body: Body, share: float, shapes: Mapping[Ref, RoomShape], found: Mapping[Ref, Fabric]) -> None:
    """A window's area goes to the rooms behind it, by the length of their edges along it; only rooms with an outer wall have windows."""
    around = body.outline.buffer(_WALL_M)
    middle = (body.z_min + body.z_max) / 2
    beside = {r: s for r, s in shapes.items() if s.z_min - _BELOW_M <= middle <= s.z_max + _BELOW_M}
    edges = {r: float(s.floor.boundary.intersection(around).length) for r, s in beside.items() if s.floor.intersects(around)}
    outside = {r: edge for r, edge in edges.items() if edge > 0 and found[r].facade_m2 > 0}
    area = _width(body.outline) * (body.z_max - body.z_min) * share
    for ref, edge in outside.items():
        found[ref].window_m2 += area * edge / sum(outside.values())


def _width(outline: BaseGeometry) -> float:
    """The longest side of what an upright thing covers, seen from above."""
    around = outline.minimum_rotated_rectangle
    corners = list(getattr(around, "exterior", around).coords)
    return max((math.dist(a, b) for a, b in itertools.pairwise(corners)), default=0.0)


def _height(shape: RoomShape) -> float:
    return shape.z_max - shape.z_min
