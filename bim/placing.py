"""Which room an element is in: the model's word, its insertion point, its body, where it faces, the nearest; the evidence is kept."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace

from shapely import STRtree
from shapely.geometry import Point

from bim.placements import Axes, Ref, Xyz
from bim.rooms import Body, RoomShape

BELOW_M = 0.3  # a raised floor's void, when nothing else is known
BELOW_OWN_M = 0.8  # the same below a room of the element's own storey
ABOVE_M = 0.6  # a ceiling's void, when nothing else is known
ABOVE_OWN_M = 1.6  # the same above a room of the element's own storey
NEAR_M = 0.3  # further away than this is another room or outside
WALL_M = 0.45  # two rooms this far apart share a wall, not a shaft
TIE_M = 0.1  # a second room this much further away makes the nearest a coin toss: a device drawn on a wall line
ON_LINE_M = 1e-3  # nearer than this to the room's outline is on it
HUGS_M = 0.05  # a point this near to the outline is checked against the body
MESH_REACH_M = 1.0  # no room this near: the element is outside anyway
TIE_SHARE = 0.8  # a second room covered this much of the first one's share
LOW_CONFIDENCE = 0.6
_CONTAINED, _POINT, _VOID, _OPEN_VOID, _BODY, _NEAREST, _TIE = 1.0, 0.9, 0.85, 0.7, 0.8, 0.5, 0.3
_FACING = {"z": 0.7, "y": 0.65, "x": 0.65}  # by the field's custom: a face's own z looks out of it, a family's y forward
_LEARNED = 0.8  # the same once this model's own devices have shown its custom
_LEARN_FROM, _LEARN_SHARE, _LEARN_WITHIN_M = 3, 0.8, 0.2
_PROBES_M = (0.05, 0.15, 0.25, 0.35, WALL_M)


@dataclass(frozen=True, slots=True)
class Placement:
    """The room found, the rung of the ladder that found it, and how sure that is."""

    room: Ref | None
    evidence: str  # containment, assembly, point, ceiling void, floor void, footprint, facing, nearest, tie, none
    confidence: float


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an element stands: insertion point, own storey and its height, turned axes, and whether such things stand on roofs."""

    position: Xyz
    storey: Ref | None = None
    elevation_m: float | None = None
    axes: Axes | None = None
    outdoor: bool = False  # roof-top units, cooling towers: never in a room's void


@dataclass(frozen=True, slots=True)
class _Near:
    """A room near a point: horizontal distance, vertical gap (above the ceiling positive, below the floor negative) and rank."""

    room: Ref
    shape: RoomShape
    distance: float
    gap: float
    other_storey: bool

    @property
    def rank(self) -> tuple[float, bool, bool, float, Ref]:
        return (self.distance, self.gap != 0, self.gap != 0 and self.other_storey, abs(self.gap), self.room)


NOWHERE = Placement(None, "none", 0.0)


class RoomFinder:
    """Rooms of all files, searched by point."""

    def __init__(self, shapes: Mapping[Ref, RoomShape], storey_of: Mapping[Ref, Ref] | None = None) -> None:
        self._refs = sorted(shapes)
        self._by_ref = shapes
        self._shapes = [shapes[ref] for ref in self._refs]
        self._tree = STRtree([shape.floor for shape in self._shapes])
        self._storey_of = storey_of or {}
        self._votes: dict[str, Counter[bool]] = defaultdict(Counter)

    def place(self, container: Ref | None, spot: Spot | None, rooms: Container[Ref]) -> Placement:
        """`rooms` are the spaces of the twin; containment in one of them needs no geometry."""
        if container is not None and container in rooms:
            return Placement(container, "containment", _CONTAINED)
        return self._by_point(spot) if spot is not None else NOWHERE

    def worth_meshing(self, placement: Placement, spot: Spot | None) -> bool:
        """Whether an element's body could say more than its point: no sure answer yet, or a point close to the outline."""
        if spot is None or placement.evidence == "containment" or spot.outdoor:
            return False
        if placement.evidence in ("point", "ceiling void", "floor void"):
            return placement.room is not None and self._to_outline(placement.room, spot.position) < HUGS_M
        return bool(self._near(spot, MESH_REACH_M))

    def by_body(self, spot: Spot, body: Body) -> Placement:
        """The room that the body's outline covers most; two that share it about equally are a tie."""
        (x0, y0, x1, y1), height = body.outline.bounds, (body.z_min + body.z_max) / 2
        middle = Spot(((x0 + x1) / 2, (y0 + y1) / 2, height), spot.storey, spot.elevation_m)
        near = self._near(middle, max(x1 - x0, y1 - y0) / 2 + NEAR_M)
        within = [n for n in near if n.gap == 0] or near
        outline = body.outline if body.outline.area > 0 else body.outline.buffer(ON_LINE_M)
        covered = sorted(((float(n.shape.floor.intersection(outline).area), n.room) for n in within), reverse=True)
        if not covered or covered[0][0] <= 0:
            return NOWHERE
        shared = len(covered) > 1 and covered[1][0] > TIE_SHARE * covered[0][0]
        return Placement(covered[0][1], "tie" if shared else "footprint", _TIE if shared else _BODY)

    def by_facing(self, spot: Spot) -> Placement:
        """A wall-hung item belongs to the room that it looks into; without turned axes it looks nowhere."""
        looks = [look for look in self._looks(spot) if look[1] != look[2]]
        for letter, before, behind in sorted(looks, key=lambda look: None in look):  # an axis with a room at both ends first
            votes = self._votes[letter]
            learned = sum(votes.values()) >= _LEARN_FROM and max(votes.values()) >= _LEARN_SHARE * sum(votes.values())
            room = before if votes[True] >= votes[False] or not learned else behind
            if room is not None:
                return Placement(room, "facing", _LEARNED if learned else _FACING[letter])
        return NOWHERE

    def learn(self, spot: Spot, placement: Placement) -> None:
        """This model's custom of turning devices, from one whose room is sure and that stands close to a wall."""
        if placement.room is None or placement.confidence < LOW_CONFIDENCE or placement.evidence == "facing":
            return
        shape = self._by_ref.get(placement.room)
        if shape is None or self._to_outline(placement.room, spot.position) > _LEARN_WITHIN_M:
            return
        outline = shape.floor.boundary
        on_wall = outline.interpolate(outline.project(Point(spot.position[:2])))
        for letter, before, behind in self._looks(replace(spot, position=(on_wall.x, on_wall.y, spot.position[2]))):
            if (before == placement.room) != (behind == placement.room):
                self._votes[letter][before == placement.room] += 1
                return

    def _looks(self, spot: Spot) -> Iterator[tuple[str, Ref | None, Ref | None]]:
        """For each level axis, z first: the first room before and behind the point, within a wall's thickness."""
        if spot.axes is None:
            return
        for letter, axis in zip("zyx", reversed(spot.axes), strict=True):
            if abs(axis[2]) < 0.3:
                yield letter, self._first_room(spot, axis, 1.0), self._first_room(spot, axis, -1.0)

    def _first_room(self, spot: Spot, axis: Xyz, sign: float) -> Ref | None:
        x, y, z = spot.position
        for reach in _PROBES_M:
            probe = (x + sign * reach * axis[0], y + sign * reach * axis[1], z)
            inside = [
                n for n in self._near(Spot(probe, spot.storey, spot.elevation_m), ON_LINE_M) if self._to_outline(n.room, probe) > ON_LINE_M
            ]
            if inside and inside[0].distance == 0:
                return inside[0].room
        return None

    def _to_outline(self, room: Ref, position: Xyz) -> float:
        shape = self._by_ref.get(room)
        return float(shape.floor.boundary.distance(Point(position[:2]))) if shape is not None else 0.0

    def _near(self, spot: Spot, reach_m: float) -> list[_Near]:
        """Rooms within reach whose height or voids the point is in, best first."""
        x, y, z = spot.position
        point = Point(x, y)
        near = []
        for i in self._tree.query(point.buffer(reach_m)):
            shape, room = self._shapes[int(i)], self._refs[int(i)]
            gap = max(z - shape.z_max, 0.0) - max(shape.z_min - z, 0.0)
            storey = self._storey_of.get(room)
            known = spot.storey is not None and storey is not None
            if gap and not self._in_void(gap, shape, spot, own=known and storey == spot.storey, other=known and storey != spot.storey):
                continue
            near.append(_Near(room, shape, float(shape.floor.distance(point)), gap, known and storey != spot.storey))
        return sorted(near, key=lambda n: n.rank)

    def _in_void(self, gap: float, shape: RoomShape, spot: Spot, own: bool, other: bool) -> bool:
        """Whether a point above the ceiling or below the floor may still belong to the room."""
        if spot.outdoor:
            return False
        if gap < 0:
            return -gap <= (BELOW_OWN_M if own else BELOW_M)
        stands_above = other and spot.elevation_m is not None and spot.elevation_m >= shape.z_max - TIE_M
        if stands_above and spot.elevation_m is not None and spot.position[2] >= spot.elevation_m - BELOW_M:
            return False  # it stands on a roof or a floor above
        return gap <= (ABOVE_OWN_M if own else ABOVE_M)

    def _by_point(self, spot: Spot) -> Placement:
        near = self._near(spot, WALL_M)
        if not near or near[0].distance > NEAR_M:
            return NOWHERE
        if near[0].distance > 0:
            rivals = [n for n in near[1:] if n.gap == near[0].gap and n.distance - near[0].distance < TIE_M]
            return Placement(near[0].room, "tie" if rivals else "nearest", _TIE if rivals else _NEAREST)
        inside = [n for n in near if n.distance == 0 and self._to_outline(n.room, spot.position) > ON_LINE_M]
        if not inside:
            return Placement(near[0].room, "tie", _TIE)
        best, sure = self._inside(spot, inside)
        if best.gap:
            return self._in_its_void(spot, best)
        return Placement(best.room, "point", sure)

    def _inside(self, spot: Spot, over: list[_Near]) -> tuple[_Near, float]:
        """Of rooms one above the other in the same place (a hall and its gallery): the one whose body holds the point."""
        level = [n for n in over if n.gap == 0]
        if len(level) < 2:
            return over[0], _POINT
        holding = [n for n in level if n.shape.holds(spot.position)] or level
        if len(holding) == 1:
            return holding[0], _POINT
        own = [n for n in holding if not n.other_storey] or holding
        nearest_floor = max(own, key=lambda n: (n.shape.z_min, -n.shape.z_max, n.room))
        return nearest_floor, _POINT if nearest_floor.shape.z_min > min(n.shape.z_min for n in holding) else _NEAREST

    def _in_its_void(self, spot: Spot, best: _Near) -> Placement:
        """Above a ceiling with rooms over it, or under a raised floor; above the topmost room it may as well be on the roof."""
        if best.gap < 0:
            return Placement(best.room, "floor void", _VOID)
        x, y, _ = spot.position
        covered = any(
            self._shapes[int(i)].z_min > best.shape.z_max - ON_LINE_M and self._shapes[int(i)].floor.distance(Point(x, y)) == 0
            for i in self._tree.query(Point(x, y))
        )
        sure = _VOID if covered else _OPEN_VOID if best.gap <= ABOVE_M else _NEAREST
        return Placement(best.room, "ceiling void", sure)
