"""Which room an element is in: the model's word first, then its insertion point, then its footprint; the evidence is kept."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from shapely import STRtree
from shapely.geometry import Point, box

from bim.inventory import Ref, Xyz
from bim.rooms import Box, RoomShape

BELOW_M, ABOVE_M = 0.3, 0.6  # raised floor below, ceiling void above
NEAR_M = 0.3  # further away than this is another room or outside
TIE_M = 0.1  # a second room this much further away makes the nearest a coin toss: a device drawn on a wall line
ON_LINE_M = 1e-6  # nearer than this to the room's outline is on it
MESH_REACH_M = 1.0  # no room this near: the element is outside anyway
TIE_SHARE = 0.8  # a second room covered this much of the first one's share
LOW_CONFIDENCE = 0.6


@dataclass(frozen=True, slots=True)
class Placement:
    """The room found, the rung of the ladder that found it, and how sure that is."""

    room: Ref | None
    evidence: str  # containment, point, footprint, nearest, tie, none
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

    def worth_meshing(self, placement: Placement, position: Xyz | None) -> bool:
        """Whether an element's body could say more than its point: no sure answer yet, and a room within reach."""
        if position is None or placement.evidence in ("containment", "point"):
            return False
        return any(distance <= MESH_REACH_M for distance, *_ in self._near(position, MESH_REACH_M))

    def by_footprint(self, around: Box) -> Placement:
        """The room that the box covers most; two that share it about equally are a tie."""
        (x0, y0, z0), (x1, y1, z1) = around
        foot, height = box(x0, y0, x1, y1), (z0 + z1) / 2
        middle = ((x0 + x1) / 2, (y0 + y1) / 2, height)
        near = self._near(middle, max(x1 - x0, y1 - y0) / 2 + NEAR_M)
        covered = sorted(((float(shape.floor.intersection(foot).area), room) for *_, room, shape in near), reverse=True)
        if not covered or covered[0][0] <= 0:
            return NOWHERE
        shared = len(covered) > 1 and covered[1][0] > TIE_SHARE * covered[0][0]
        return Placement(covered[0][1], "tie" if shared else "footprint", 0.3 if shared else 0.8)

    def _near(self, position: Xyz, reach_m: float) -> list[tuple[float, float, float, Ref, RoomShape]]:
        """Rooms at the point's height within reach: (distance, vertical gap, area, room, shape), nearest first."""
        x, y, z = position
        point = Point(x, y)
        near = []
        for i in self._tree.query(point.buffer(reach_m)):
            shape = self._shapes[int(i)]
            if shape.z_min - BELOW_M <= z <= shape.z_max + ABOVE_M:
                gap = max(shape.z_min - z, z - shape.z_max, 0.0)
                near.append((float(shape.floor.distance(point)), gap, float(shape.floor.area), self._refs[int(i)], shape))
        return sorted(near, key=lambda n: n[:4])

    def _by_point(self, position: Xyz) -> Placement:
        near = self._near(position, NEAR_M + TIE_M)
        if not near or near[0][0] > NEAR_M:
            return NOWHERE
        distance, gap, _, room, shape = near[0]
        if distance > 0:
            rivals = [n for n in near[1:] if n[1] == gap and n[0] - distance < TIE_M]
            return Placement(room, "tie" if rivals else "nearest", 0.3 if rivals else 0.5)
        if shape.floor.boundary.distance(Point(position[:2])) < ON_LINE_M:
            return Placement(room, "tie", 0.3)
        return Placement(room, "point", 0.9)
