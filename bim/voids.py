"""Voids through floors: openings in slabs become holes of the rooms' polygons on the plan."""

from collections.abc import Mapping, Sequence

from shapely import STRtree
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from bim.moves import Move
from bim.opening import Model
from bim.placements import Ref, is_entity
from bim.rooms import Body, RoomShape, bodies

_LARGE_M2 = 0.5  # smaller ones are for pipes
_REACH_M = 0.3  # an opening this close to a room's floor goes through it
_LEFT = 0.5  # a room of which less would be left is the shaft or stair itself


def floor_voids(models: Sequence[Model], shapes: Mapping[Ref, RoomShape], moves: Mapping[int, Move]) -> dict[Ref, BaseGeometry]:
    """Room -> what of its floor is open. Rooms without a void are absent."""
    openings = [moves[ref[0]].body(body) if ref[0] in moves else body for ref, body in sorted(bodies(models, _in_slabs(models)).items())]
    large = [opening for opening in openings if opening.outline.area >= _LARGE_M2]
    if not large:
        return {}
    tree = STRtree([opening.outline for opening in large])
    found = {}
    for room, shape in shapes.items():
        through = [large[int(i)].outline for i in tree.query(shape.floor, predicate="intersects") if _at_floor(large[int(i)], shape)]
        void = unary_union(through).intersection(shape.floor) if through else None
        if void is not None and _LARGE_M2 <= void.area <= (1 - _LEFT) * shape.floor.area:
            found[room] = void
    return found


def _in_slabs(models: Sequence[Model]) -> list[Ref]:
    found = []
    for number, model in enumerate(models):
        for relation in model.file.by_type("IfcRelVoidsElement"):
            slab, opening = relation.RelatingBuildingElement, relation.RelatedOpeningElement
            if is_entity(slab) and is_entity(opening) and slab.is_a("IfcSlab"):
                found.append((number, opening.id()))
    return found


def _at_floor(opening: Body, shape: RoomShape) -> bool:
    return opening.z_min - _REACH_M <= shape.z_min <= opening.z_max + _REACH_M
