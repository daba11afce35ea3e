"""Several files of one building: coordinates are brought together, and the same storeys and rooms become one."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bim.aligning import align
from bim.inventory import Inventory, Place, Ref
from bim.moves import Frame, Move
from bim.rooms import RoomShape

Fits = Callable[[Ref, Ref], float | None]  # how well two places fit, smaller is better; None: not at all
_KINDS = ("site", "building", "storey", "space")  # a room is the same only in the same storey, so storeys come first
_SAME_LEVEL_M = 0.05  # storeys of two files are the same when they lie this close, whatever they are called
_NEAR_LEVEL_M = 0.3  # finished and structural floor of one storey
_SAME_NAME_M = 1.5  # storeys with one name and no other storey nearer
_SAME_FLOOR = 0.8  # two rooms that share this much of both floors are one


@dataclass(frozen=True)
class Federation:
    """All files in the coordinates of one; `same` leads each place to the one that stands for it."""

    shapes: Mapping[Ref, RoomShape]
    same: Mapping[Ref, Ref]
    moves: Mapping[int, Move]
    doubtful: frozenset[int]  # files whose coordinates are not known to be shared
    notes: tuple[str, ...]


def federate(inventory: Inventory, shapes: Mapping[Ref, RoomShape], frames: Sequence[Frame], names: Sequence[str]) -> Federation:
    """Move every file's records (in place) and shapes into the coordinates of the file with most rooms, then match places."""
    aligned = align(inventory, shapes, frames, names)
    for number, move in aligned.moves.items():
        _move_records(inventory, number, move)
    moved = {ref: aligned.moves[ref[0]].room(shape) if ref[0] in aligned.moves else shape for ref, shape in shapes.items()}
    return Federation(moved, same_places(inventory, moved), aligned.moves, aligned.doubtful, aligned.notes)


def same_places(inventory: Inventory, shapes: Mapping[Ref, RoomShape] | None = None) -> dict[Ref, Ref]:
    """Every place -> the place that stands for it: the first file that has it. Doubles inside one file stay apart."""
    matching = _Matching(inventory, shapes or {})
    for kind in _KINDS:
        refs = sorted(r for r, place in inventory.places.items() if place.kind == kind)
        for file in sorted({r[0] for r in refs}):
            matching.take(kind, [r for r in refs if r[0] == file])
    return matching.stands_for


def standing(refs: Mapping[Ref, Ref], ref: Ref | None) -> Ref | None:
    """The place that stands for `ref`; None stays None."""
    return refs.get(ref, ref) if ref is not None else None


class _Matching:
    """Places of one file after another, each led to an earlier one or standing for itself."""

    def __init__(self, inventory: Inventory, shapes: Mapping[Ref, RoomShape]) -> None:
        self._inventory, self._shapes = inventory, shapes
        self.stands_for: dict[Ref, Ref] = {}

    def take(self, kind: str, refs: Sequence[Ref]) -> None:
        places = self._inventory.places
        earlier = [r for r, stands in self.stands_for.items() if r == stands and places[r].kind == kind]
        one_only = kind in ("site", "building")  # one import is one site and one building
        found = dict.fromkeys(refs, earlier[0]) if one_only and earlier else {} if one_only else self._pairs(kind, refs, earlier)
        self.stands_for |= {ref: found.get(ref, ref) for ref in refs}

    def _pairs(self, kind: str, refs: Sequence[Ref], earlier: Sequence[Ref]) -> dict[Ref, Ref]:
        """One to one, best rung first: an earlier place that one of this file has taken is free for no other."""
        found: dict[Ref, Ref] = {}
        guid_of = {self._inventory.places[r].global_id: r for r in earlier if self._inventory.places[r].global_id}
        for ref in refs:
            other = guid_of.get(self._inventory.places[ref].global_id)
            if other is not None and other not in found.values():
                found[ref] = other
        rungs = self._storey_rungs() if kind == "storey" else self._room_rungs(refs, earlier)
        for fits in rungs:
            open_refs = [r for r in refs if r not in found]
            free = [r for r in earlier if r not in found.values()]
            scored = sorted((score, ref, other) for ref in open_refs for other in free if (score := fits(ref, other)) is not None)
            for _, ref, other in scored:
                if ref not in found and other not in found.values():
                    found[ref] = other
        return found

    def _storey_rungs(self) -> tuple[Fits, ...]:
        def apart(ref: Ref, other: Ref) -> float:
            return abs(self._inventory.places[ref].elevation_m - self._inventory.places[other].elevation_m)

        def named(ref: Ref, other: Ref) -> bool:
            names = [plain(self._inventory.places[r].name) for r in (ref, other)]
            return bool(names[0]) and names[0] == names[1]

        return (
            lambda r, o: apart(r, o) if named(r, o) and apart(r, o) <= _SAME_LEVEL_M else None,
            lambda r, o: apart(r, o) if apart(r, o) <= _SAME_LEVEL_M else None,
            lambda r, o: apart(r, o) if apart(r, o) <= _NEAR_LEVEL_M else None,
            lambda r, o: apart(r, o) if named(r, o) and apart(r, o) <= _SAME_NAME_M else None,
        )

    def _room_rungs(self, refs: Sequence[Ref], earlier: Sequence[Ref]) -> tuple[Fits, ...]:
        places = self._inventory.places
        twice = Counter((r[0], self._storey(r), plain(places[r].name)) for r in (*refs, *earlier))

        def same_storey(ref: Ref, other: Ref) -> bool:
            storey = self._storey(ref)
            return storey is not None and storey == self._storey(other)

        def full_name(ref: Ref, other: Ref) -> float | None:
            one, two = places[ref], places[other]
            fits = same_storey(ref, other) and one.name and (one.name, one.long_name) == (two.name, two.long_name)
            return 0.0 if fits else None

        def number(ref: Ref, other: Ref) -> float | None:
            names = plain(places[ref].name), plain(places[other].name)
            alone = all(twice[r[0], self._storey(r), plain(places[r].name)] == 1 for r in (ref, other))
            fits = same_storey(ref, other) and names[0] and names[0] == names[1] and alone
            return 0.0 if fits and self._share(ref, other) != 0 else None

        def floor(ref: Ref, other: Ref) -> float | None:
            share = self._share(ref, other) if same_storey(ref, other) else None
            return -share if share is not None and share >= _SAME_FLOOR else None

        return full_name, number, floor

    def _storey(self, ref: Ref) -> Ref | None:
        return standing(self.stands_for, self._inventory.storey_of.get(ref))

    def _share(self, ref: Ref, other: Ref) -> float | None:
        """How much of the larger floor two rooms share; None where one has no shape."""
        if ref not in self._shapes or other not in self._shapes:
            return None
        one, two = self._shapes[ref].floor, self._shapes[other].floor
        if not one.intersects(two):
            return 0.0
        return float(one.intersection(two).area) / max(float(one.area), float(two.area))


def plain(name: str) -> str:
    """A name without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", name.lower())


def _move_records(inventory: Inventory, number: int, move: Move) -> None:
    for ref, place in inventory.places.items():
        if ref[0] == number:
            inventory.places[ref] = _moved_place(place, move)
    for ref, element in inventory.elements.items():
        if ref[0] == number and element.position is not None:
            axes = move.axes(element.axes) if element.axes is not None else None
            inventory.elements[ref] = replace(element, position=move.point(element.position), axes=axes)
    for ref, port in inventory.ports.items():
        if ref[0] == number and port.position is not None:
            facing = move.direction(port.facing) if port.facing is not None else None
            inventory.ports[ref] = replace(port, position=move.point(port.position), facing=facing)


def _moved_place(place: Place, move: Move) -> Place:
    return replace(place, elevation_m=round(place.elevation_m + move.dz, 3)) if place.kind == "storey" else place
