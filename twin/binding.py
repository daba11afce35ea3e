"""Binding: which object of a scanned device is which point of the twin, one to one, by names, units and object types.

Values in, values out. A match carries a score in [0, 1] and its evidence. Sure ones are bound; unsure ones, close rivals and
everything that takes commands wait for a person.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.identifying import Owner, OwnerFinder
from twin.scans import ScannedDevice, ScannedObject
from twin.weighing import Said, Wanted, best_class, said_by, weigh

BOUND_FROM = 0.7  # at the sample sites' four naming styles no wrong match reached this
REVIEW_FROM = 0.35  # below, a proposal costs a reader more time than it saves
MARGIN = 0.08  # a rival this near makes the choice a coin toss
NEW_FROM = 0.6  # an object becomes a proposed point only when its equipment and class are this sure
ALTERNATIVES = 3


@dataclass(frozen=True, slots=True)
class Match:
    """One object for one point. `why` is empty when it is bound without a person, else what a person must settle."""

    address: str
    point: str
    score: float
    evidence: str
    why: str = ""
    alternatives: tuple[tuple[str, float], ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    name: str = ""  # what the device calls the object


@dataclass(frozen=True, slots=True)
class NewPoint:
    """An object that fits a piece of equipment and a class for which the twin has no point; a person decides."""

    address: str
    owner: str
    brick: str
    unit: str
    name: str
    score: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The outcome; every object and every point stands in exactly one of the lists."""

    bound: tuple[Match, ...] = ()
    review: tuple[Match, ...] = ()
    new_points: tuple[NewPoint, ...] = ()
    objects_left: tuple[str, ...] = ()
    points_left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pair:
    score: float
    evidence: str
    scale: float
    offset: float


def bind(objects: Iterable[tuple[ScannedDevice, ScannedObject]], wanted: Sequence[Wanted], owners: Sequence[Owner]) -> Bound:
    """Match scanned BACnet objects with points that have no address yet. Objects and points must not be decided or bound already."""
    said = {s.address: s for s in (said_by(device, thing) for device, thing in objects)}
    finder = OwnerFinder(owners)
    pairs = _pairs(said, wanted, finder)
    chosen = _assigned(pairs)
    taken = {point: address for address, point in chosen.items()}
    by_id = {w.point: w for w in wanted}
    rivals = _Rivals(pairs, chosen, taken)
    matches = [_match(said[a], by_id[p], pairs, rivals) for a, p in sorted(chosen.items())]
    rest = [s for a, s in sorted(said.items()) if a not in chosen]
    new = [found for s in rest if (found := _new_point(s, finder))]
    proposed = {n.address for n in new}
    return Bound(
        tuple(m for m in matches if not m.why),
        tuple(sorted((m for m in matches if m.why), key=lambda m: (-m.score, m.address))),
        tuple(new),
        tuple(s.address for s in rest if s.address not in proposed),
        tuple(sorted(w.point for w in wanted if w.point not in taken)),
    )


def _pairs(said: Mapping[str, Said], wanted: Sequence[Wanted], finder: OwnerFinder) -> dict[tuple[str, str], _Pair]:
    """Every object and point that could belong together; owners are found first, so that not everything is weighed with everything."""
    points_of: dict[str, list[Wanted]] = defaultdict(list)
    for point in wanted:
        points_of[point.owner].append(point)
    pairs = {}
    for address, thing in said.items():
        for owner, sure, evidence in finder.find(thing.names):
            for point in points_of.get(owner, ()):
                weighed = weigh(thing, point, finder.own_names(owner))
                if weighed is not None and (score := round(sure * weighed.score, 3)) >= REVIEW_FROM:
                    pairs[address, point.point] = _Pair(score, f"{evidence}; {weighed.evidence}", weighed.scale, weighed.offset)
    return pairs


def _assigned(pairs: Mapping[tuple[str, str], _Pair]) -> dict[str, str]:
    """Object -> point, one to one, the greatest sum of scores; solved in pieces that have nothing to do with each other."""
    from scipy.optimize import linear_sum_assignment  # half a second to load, and only a scan needs it

    chosen: dict[str, str] = {}
    for addresses, points in _pieces(pairs):
        scores: Any = np.zeros((len(addresses), len(points)))
        for i, address in enumerate(addresses):
            for j, point in enumerate(points):
                scores[i, j] = pairs[address, point].score if (address, point) in pairs else 0.0
        for i, j in zip(*linear_sum_assignment(scores, maximize=True), strict=True):
            if scores[i, j] > 0:
                chosen[addresses[i]] = points[j]
    return chosen


def _pieces(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Connected components of objects and points."""
    neighbours: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for address, point in pairs:
        neighbours["object", address].add(("point", point))
        neighbours["point", point].add(("object", address))
    seen: set[tuple[str, str]] = set()
    for start in sorted(neighbours):
        if start in seen:
            continue
        piece, open_nodes = set(), [start]
        while open_nodes:
            node = open_nodes.pop()
            if node not in piece:
                piece.add(node)
                open_nodes += neighbours[node] - piece
        seen |= piece
        yield sorted(n for kind, n in piece if kind == "object"), sorted(n for kind, n in piece if kind == "point")


class _Rivals:
    """What else an object could be, and what else could be a point: those that are free, or sit worse where they are."""

    def __init__(self, pairs: Mapping[tuple[str, str], _Pair], chosen: Mapping[str, str], taken: Mapping[str, str]) -> None:
        self._pairs, self._chosen, self._taken = pairs, chosen, taken
        self._of_object: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self._of_point: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for (address, point), pair in sorted(pairs.items(), key=lambda item: (-item[1].score, item[0])):
            self._of_object[address].append((pair.score, point))
            self._of_point[point].append((pair.score, address))

    def points(self, address: str, besides: str) -> list[tuple[float, str]]:
        return [(s, p) for s, p in self._of_object[address] if p != besides]

    def near(self, address: str, point: str, score: float) -> list[str]:
        """Sentences on free rivals within the margin."""
        points = [(s, p) for s, p in self.points(address, point) if p not in self._taken or self._pairs[self._taken[p], p].score < s]
        objects = [
            (s, a)
            for s, a in self._of_point[point]
            if a != address and (a not in self._chosen or self._pairs[a, self._chosen[a]].score < s)
        ]
        return [f"{other} fits about as well ({s:.2f})" for s, other in (*points[:1], *objects[:1]) if score - s < MARGIN]


def _match(said: Said, wanted: Wanted, pairs: Mapping[tuple[str, str], _Pair], rivals: _Rivals) -> Match:
    pair = pairs[said.address, wanted.point]
    why = _why(pair.score, rivals.near(said.address, wanted.point, pair.score), wanted)
    alternatives = tuple((point, score) for score, point in rivals.points(said.address, wanted.point)[:ALTERNATIVES])
    return Match(said.address, wanted.point, pair.score, pair.evidence, why, alternatives, pair.scale, pair.offset, said.name)


def _why(score: float, near: Sequence[str], wanted: Wanted) -> str:
    if score < BOUND_FROM:
        return f"score {score:.2f} is below {BOUND_FROM:g}"
    if near:
        return near[0]
    return "takes commands: a person must accept it" if wanted.must_accept else ""


def _new_point(said: Said, finder: OwnerFinder) -> NewPoint | None:
    found = finder.find(said.names)
    if not found or (len(found) > 1 and found[0][1] - found[1][1] < MARGIN):
        return None
    owner, sure, evidence = found[0]
    guess = best_class(said, finder.own_names(owner))
    if guess is None or (score := round(sure * guess.score, 3)) < NEW_FROM:
        return None
    return NewPoint(said.address, owner, guess.brick, guess.unit, said.name, score, f"{evidence}; {guess.evidence}")
