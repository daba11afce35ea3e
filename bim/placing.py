"""Which room an element is in: the model's own word first, then its insertion point, with the evidence kept."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from shapely import STRtree
from shapely.geometry import Point

from bim.inventory import Ref, Xyz
from bim.rooms import RoomShape

BELOW_M, ABOVE_M = 0.3, 0.6  # raised floor below, ceiling void above
NEAR_M = 0.3  # further away than this is another room or outside
TIE_M = 0.1  # a second room this much further away makes the nearest a coin toss: a device drawn on a wall line
LOW_CONFIDENCE = 0.6


@dataclass(frozen=True, slots=True)
class Placement:
    """The room found, the rung of the ladder that found it, and how sure that is."""

    room: Ref | None
    evidence: str  # containment, point, nearest, tie, none
    confidence: float


NOWHERE = Placement(None, "none", 0.0)


class RoomFinder:
    """Rooms of all files, searched by point."""

    def __init__(self, shapes: Mapping[Ref, RoomShape]) -> None:
        self._refs = sorted(shapes)
        self._shapes = [shapes[ref] for ref in self._refs]
        self._tree = STRtree([shape.floor for shape in self._shapes])

    def place(self, container: Ref | None, position: Xyz | None, rooms: Container[Ref]) -> Placement:
        """`rooms` are the spaces of the twin; containment in one of them needs no geometry."""
        if container is not None and container in rooms:
            return Placement(container, "containment", 1.0)
        return self._by_point(position) if position is not None else NOWHERE

    def _by_point(self, position: Xyz) -> Placement:
        x, y, z = position
        point = Point(x, y)
        near = []
        for i in self._tree.query(point.buffer(NEAR_M + TIE_M)):
            shape = self._shapes[int(i)]
            if shape.z_min - BELOW_M <= z <= shape.z_max + ABOVE_M:
                gap = max(shape.z_min - z, z - shape.z_max, 0.0)
                near.append((float(shape.floor.distance(point)), gap, float(shape.floor.area), self._refs[int(i)], shape))
        near.sort(key=lambda n: n[:4])
        if not near or near[0][0] > NEAR_M:
            return NOWHERE
        distance, gap, _, room, _ = near[0]
        level = [n for n in near if n[1] == gap]
        rivals = [n for n in level[1:] if n[0] - distance < TIE_M and n[0] > 0]
        if distance > 0:
            return Placement(room, "tie" if rivals else "nearest", 0.3 if rivals else 0.5)
        if any(n[4].floor.boundary.distance(point) < 1e-6 for n in near[:1]):
            return Placement(room, "tie", 0.3)
        return Placement(room, "point", 0.9)
