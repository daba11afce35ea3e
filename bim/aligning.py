"""Whether the files of one building share their coordinates, and if not, the move that brings them together; doubts are said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shapely import STRtree
from shapely.geometry import Point

from bim.inventory import Inventory, Place
from bim.moves import Frame, Move, fit
from bim.placements import Ref, Xyz
from bim.rooms import RoomShape

_LEVEL_M = 0.05
_BASE_POINT_M = 0.3  # a smaller difference of storeys is floor finish, not another base point
_FIT_M = 0.1  # what may be left between shared things after a move
_AROUND_M, _BELOW_M, _ABOVE_M = 0.3, 1.0, 2.0  # an element this near to a room speaks for the move
_SAMPLE = 400
_FEW = 4  # elements too few to judge by
_SHARED = 0.4  # this share of the elements in or near rooms: coordinates are shared
_CLEARLY = 0.1  # a guess must be this much better than no move
_EXPECTED = "expected the files of one building to share base point and true north; export them with the same shared coordinates"


@dataclass
class Aligned:
    """Moves by file number (files that need none are absent), files in doubt, and what a person should know."""

    moves: dict[int, Move] = field(default_factory=dict)
    doubtful: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def align(inventory: Inventory, shapes: Mapping[Ref, RoomShape], frames: Sequence[Frame], names: Sequence[str]) -> Aligned:
    """Compare every file with the one that has most rooms: shared things, georeferences, storeys, and where elements lie."""
    files = sorted({ref[0] for ref in (*inventory.places, *inventory.elements)})
    if len(files) < 2:
        return Aligned()
    rooms = {file: sum(ref[0] == file for ref in shapes) for file in files}
    main = max(files, key=lambda file: (rooms[file], -file))
    field_of_rooms = _Rooms([shape for ref, shape in shapes.items() if ref[0] == main])
    aligned = Aligned()
    for file in files:
        if file != main:
            _Comparison(inventory, shapes, frames, names, main, file, field_of_rooms).settle(aligned)
    return aligned


class _Rooms:
    """The rooms of the main file, to ask whether points lie in or close to one."""

    def __init__(self, shapes: Sequence[RoomShape]) -> None:
        self._shapes = list(shapes)
        self._tree = STRtree([shape.floor for shape in self._shapes])

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def share(self, points: Sequence[Xyz], move: Move) -> float:
        """The part of the points that lies in or close to a room after the move."""
        hits = sum(self._near(move.point(p)) for p in points)
        return hits / len(points)

    def _near(self, point: Xyz) -> bool:
        flat = Point(point[:2])
        for i in self._tree.query(flat, predicate="dwithin", distance=_AROUND_M):
            shape = self._shapes[int(i)]
            if shape.z_min - _BELOW_M <= point[2] <= shape.z_max + _ABOVE_M:
                return True
        return False


@dataclass
class _Comparison:
    """One file against the main one."""

    inventory: Inventory
    shapes: Mapping[Ref, RoomShape]
    frames: Sequence[Frame]
    names: Sequence[str]
    main: int
    file: int
    rooms: _Rooms

    def settle(self, aligned: Aligned) -> None:
        """The strongest evidence first: things that both files hold, then georeferences, then storeys and where elements lie."""
        move, why, sure = self._decide()
        if not move.still:
            aligned.moves[self.file] = move
            aligned.notes += (f"{self._name}: {move.said()} to lie with {self.names[self.main]}, by {why}",)
        if not sure:
            aligned.doubtful |= {self.file}
            aligned.notes += (self._doubt(move),)

    @property
    def _name(self) -> str:
        return self.names[self.file]

    def _decide(self) -> tuple[Move, str, bool]:
        shared = self._shared()
        if shared is not None:
            return shared, "what both files hold", True
        level = Move(dz=self._storey_offset())
        points = self._points()
        if not self.rooms or len(points) < _FEW:
            return self._by_georeference() or level, "georeference or storeys", True
        score = {move: self.rooms.share(points, move) for move in dict.fromkeys((Move(), level))}
        best = max(score, key=lambda m: (score[m], m == level))
        mapped = self._by_georeference()
        if mapped is not None and not mapped.still and self.rooms.share(points, mapped) >= max(_SHARED, score[best]):
            return mapped, "map conversion", True
        guesses = {guess: self.rooms.share(points, guess) for guess in self._guesses(level)}
        guess = max(guesses, key=lambda g: guesses[g], default=best)
        if guesses and guesses[guess] >= score[best] + _CLEARLY and guesses[guess] >= _SHARED:
            return guess, "site placement and true north (a guess: confirm it)", False
        return best, "storeys", score[best] >= _SHARED

    def _shared(self) -> Move | None:
        """Rooms and elements with one GlobalId in both files, fitted onto each other."""
        pairs = [(mine, other) for mine, other in self._pairs() if mine is not None and other is not None]
        if not pairs:
            return None
        move, left = fit([p for p, _ in pairs], [q for _, q in pairs])
        return move if left <= _FIT_M else None

    def _pairs(self) -> list[tuple[Xyz | None, Xyz | None]]:
        here, there = ({self._guid(r): r for r in self.shapes if r[0] == file} for file in (self.file, self.main))
        found: list[tuple[Xyz | None, Xyz | None]] = [
            (self._middle(here[g]), self._middle(there[g])) for g in here.keys() & there.keys() if g
        ]
        elements = [{e.global_id: e.position for e in self.inventory.elements.values() if e.ref[0] == f} for f in (self.file, self.main)]
        return found + [(elements[0][g], elements[1][g]) for g in sorted(elements[0].keys() & elements[1].keys()) if g]

    def _guid(self, ref: Ref) -> str:
        return self.inventory.places[ref].global_id if ref in self.inventory.places else ""

    def _middle(self, ref: Ref) -> Xyz:
        shape = self.shapes[ref]
        return float(shape.floor.centroid.x), float(shape.floor.centroid.y), shape.z_min

    def _by_georeference(self) -> Move | None:
        mine, main = self.frames[self.file].to_map, self.frames[self.main].to_map
        return main.back().after(mine) if mine is not None and main is not None else None

    def _guesses(self, level: Move) -> list[Move]:
        """As if both sites were one place, as if north were one direction, and both together."""
        mine, main = self.frames[self.file], self.frames[self.main]
        moves = []
        if mine.site is not None and main.site is not None:
            moves.append(main.site.after(mine.site.back()))
        turn = Move(turn=main.north_rad - mine.north_rad)
        moves.append(turn)
        moves += [move.after(turn) for move in moves[:1]]
        return [m for move in moves for m in (move, Move(move.turn, move.dx, move.dy, level.dz)) if not m.still]

    def _points(self) -> list[Xyz]:
        """Where the file's equipment stands; else where any of its elements does. At most a few hundred, evenly taken."""
        mine = [e for ref, e in sorted(self.inventory.elements.items()) if ref[0] == self.file and e.position is not None]
        moved = [e for e in mine if "IfcDistributionElement" in e.ancestors] or mine
        step = max(1, len(moved) // _SAMPLE)
        return [e.position for e in moved[::step] if e.position is not None]

    def _storey_offset(self) -> float:
        """How much lower this file's storeys lie than the main file's: by GlobalId or name, else by their sequence; 0 when unclear."""
        mine, main = (self._storeys(file) for file in (self.file, self.main))
        if _all_lie_on(mine, main, 0.0):
            return 0.0
        for key in (lambda p: p.global_id, lambda p: "".join(p.name.lower().split())):
            known = {key(p): p.elevation_m for p in main if key(p)}
            differences = [known[key(p)] - p.elevation_m for p in mine if key(p) in known]
            if differences and max(differences) - min(differences) <= _LEVEL_M:
                return _base(sum(differences) / len(differences))
        if len(mine) == len(main) >= 2:
            offset = main[0].elevation_m - mine[0].elevation_m
            return _base(offset) if _all_lie_on(mine, main, offset) else 0.0
        return 0.0

    def _storeys(self, file: int) -> list[Place]:
        found = (p for ref, p in self.inventory.places.items() if ref[0] == file and p.kind == "storey")
        return sorted(found, key=lambda p: (p.elevation_m, p.ref))

    def _doubt(self, move: Move) -> str:
        points = self._points()
        share = self.rooms.share(points, move) if points else 0.0
        return (
            f"{self._name}: {share:.0%} of {len(points)} elements lie in or near rooms of {self.names[self.main]}; {_EXPECTED}; "
            "until then no room found by geometry for this file is taken as sure"
        )


def _all_lie_on(mine: Sequence[Place], main: Sequence[Place], offset: float) -> bool:
    return bool(mine) and all(any(abs(p.elevation_m + offset - q.elevation_m) <= _LEVEL_M for q in main) for p in mine)


def _base(offset: float) -> float:
    return round(offset, 3) if abs(offset) > _BASE_POINT_M else 0.0
