"""Adopt somebody else's Brick model as a twin: nodes get keys, old classes their new names, relations one direction."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyoxigraph as ox

from twin.errors import SiteError
from twin.graph import PREFIXES, Graph, Text, Triple, brick, prefixed
from twin.words import slug

_INVERSE = {
    "brick:hasPoint": "brick:isPointOf",
    "brick:isFedBy": "brick:feeds",
    "brick:isPartOf": "brick:hasPart",
    "brick:isLocationOf": "brick:hasLocation",
    "brick:isHostedBy": "brick:hosts",
    "brick:isMeteredBy": "brick:meters",
    "brick:isSubMeterOf": "brick:hasSubMeter",
    "rec:isPartOf": "rec:hasPart",
    "rec:isLocationOf": "brick:hasLocation",
}
"""Relations of which Brick has two directions: the one that the named questions follow."""
_JOINING = {
    *_INVERSE, *_INVERSE.values(), "rec:locatedIn", "brick:isControlledBy", "brick:controls",
    "ref:hasExternalReference", "ref:hasIfcProjectReference", "bacnet:contains", "bacnet:objectOf",
}  # fmt: skip
_OLD_BRICK = re.compile(r"https?://(?:www\.)?(?:brickschema\.org/schema|buildsys\.org/ontologies)/(?:[0-9.]+/)?Brick(?:Frame)?#")
_ADOPTED_FROM = "tw:adoptedFrom"
_MESSAGES = 20  # of one kind; a file with thousands of faults needs its first ones told, not all
_IRI = re.compile(rb"<([^<>\s][^<>\n]*)>")


@dataclass(frozen=True)
class Adopted:
    """The graph of a foreign model, and what had to be put right or could not be."""

    graph: Graph
    notes: tuple[str, ...]


def adopt(path: Path, site: str = "") -> Adopted:
    """Read a Brick model in Turtle as a twin; SiteError when it is not Turtle or describes no building."""
    text, notes = _read(path), list[str]()
    model = _Model(path, _with_steady_blanks(_parsed(path, text, notes)))
    if not model.keys:
        raise SiteError(
            f"{path}: nothing of a building in it (no node of a Brick or RealEstateCore class); give a Brick model or a twin.ttl"
        )
    try:
        graph = Graph.from_triples(site or slug(path.stem), model.rewritten())
    except (ValueError, SyntaxError) as error:
        raise SiteError(f"{path}: a name in it cannot stand in a twin ({error}); correct it and adopt the model again") from None
    return Adopted(graph, (*notes, *model.notes()))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SiteError(f"{path}: cannot be read ({error.strerror}); give the path of a Brick model in Turtle") from None


def _parsed(path: Path, text: bytes, notes: list[str]) -> Iterator[ox.Triple]:
    """The triples; IRIs with characters that none may hold are told with their line and read as they stand."""
    try:
        yield from list(ox.parse(text, ox.RdfFormat.TURTLE))
        return
    except SyntaxError:
        faults = [f"line {line}: <{iri}> is no valid IRI (write spaces and the like as %20)" for line, iri in _faulty(text)]
    notes += faults[:_MESSAGES]
    notes += [f"{len(faults) - _MESSAGES} more invalid IRIs"] if len(faults) > _MESSAGES else []
    try:
        yield from list(ox.parse(text, ox.RdfFormat.TURTLE, lenient=True))
    except (SyntaxError, ValueError) as error:
        where = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        raise SiteError(
            f"{path}: {where}not readable as Turtle ({getattr(error, 'msg', error)}); export it again or correct that place"
        ) from None


def _with_steady_blanks(triples: Iterable[ox.Triple]) -> list[ox.Triple]:
    """Nodes without a name get one from what is said of them, so that the same file gives the same keys."""
    found = ox.Dataset(ox.Quad(t.subject, t.predicate, t.object) for t in triples)
    found.canonicalize(ox.CanonicalizationAlgorithm.UNSTABLE)
    return [quad.triple for quad in found if not isinstance(quad.subject, ox.Triple) and not isinstance(quad.object, ox.Triple)]


def _faulty(text: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        for found in _IRI.finditer(line):
            iri = found[1].decode("utf-8", "replace")
            try:
                ox.NamedNode(iri if ":" in iri else f"urn:{iri}")
            except ValueError:
                yield number, iri


class _Model:
    """A foreign model's triples, and the key of each node that is of the building."""

    def __init__(self, path: Path, triples: Iterable[ox.Triple]) -> None:
        self._triples = sorted(set(triples), key=str)
        self._replaced: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._labels = {t.subject for t in self._triples if prefixed(t.predicate.value) == "rdfs:label"}
        self._file = path.name
        self._kinds = self._classes()
        self.keys = self._minted()

    def _classes(self) -> dict[object, list[str]]:
        """The classes of each node by their names of today; those that Brick never had are counted and left out."""
        kinds: dict[object, list[str]] = {}
        for triple in self._triples:
            if prefixed(triple.predicate.value) != "rdf:type" or not isinstance(triple.object, ox.NamedNode):
                continue
            stated = triple.object.value
            name = class_of_today(stated)
            if name:
                kinds.setdefault(triple.subject, []).append(name)
                self._replaced[f"{_told(stated)} is {name}"] += name != prefixed(stated)
            elif _OLD_BRICK.match(stated) or prefixed(stated).startswith(("brick:", "rec:")):
                kinds.setdefault(triple.subject, [])
                self._unknown[_told(stated)] += 1
            elif prefixed(stated).startswith(("ref:", "bacnet:", "qudt:")) and not prefixed(_name(triple.subject)).startswith("unit:"):
                kinds.setdefault(triple.subject, []).append(prefixed(stated))
        return kinds

    def _minted(self) -> dict[object, str]:
        """A key for each node, from the end of its name and unlike all others; a node that is only spoken of gets one too."""
        spoken = {t.object for t in self._triples if prefixed(t.predicate.value) in _JOINING}
        nodes = sorted({n for n in [*self._kinds, *spoken] if not isinstance(n, ox.Literal)} if self._kinds else (), key=str)
        keys: dict[object, str] = {}
        used: set[str] = set()
        for node in nodes:
            key = base = slug(_local(_name(node)))
            number = 2
            while key in used:
                key, number = f"{base}_{number}", number + 1
            used.add(key)
            keys[node] = key
        return keys

    def rewritten(self) -> Iterator[Triple]:
        """The model's triples in our keys and today's words."""
        for node, key in self.keys.items():
            kinds = self._kinds.get(node, [])
            yield from ((f"site:{key}", "rdf:type", kind) for kind in kinds)
            if isinstance(node, ox.NamedNode):
                yield f"site:{key}", _ADOPTED_FROM, Text(node.value)
            if kinds and node not in self._labels and isinstance(node, ox.NamedNode):
                yield f"site:{key}", "rdfs:label", Text(_local(node.value))
        for triple in self._triples:
            if triple.subject in self.keys and prefixed(triple.predicate.value) != "rdf:type":
                yield from self._statement(triple)

    def _statement(self, triple: ox.Triple) -> Iterator[Triple]:
        subject, name = f"site:{self.keys[triple.subject]}", prefixed(triple.predicate.value)
        if _OLD_BRICK.match(triple.predicate.value):
            name = f"brick:{_OLD_BRICK.sub('', triple.predicate.value)}"
        if name.partition(":")[0] not in PREFIXES:
            return
        if isinstance(triple.object, ox.Literal):
            yield subject, name, Text(triple.object.value)
        elif triple.object in self.keys:
            yield from self._relation(subject, name, f"site:{self.keys[triple.object]}", triple)
        elif isinstance(triple.object, ox.NamedNode) and prefixed(triple.object.value).startswith("unit:"):
            unit = prefixed(triple.object.value)
            yield from ((subject, name, unit), (unit, "rdf:type", "qudt:Unit"))

    def _relation(self, subject: str, name: str, other: str, triple: ox.Triple) -> Iterator[Triple]:
        first: object = triple.subject
        second: object = triple.object
        if name in _INVERSE:
            name, subject, other, first, second = _INVERSE[name], other, subject, second, first
        elif name == "rec:locatedIn":
            name = "brick:hasLocation"
        if name == "brick:hasLocation" and self._is(first, "brick:Point"):
            name = "brick:isPointOf"  # a point's place in Brick 1.5
        if name == "brick:hasPart" and (self._is(first, "rec:Architecture") or self._is(second, "rec:Architecture")):
            name = "rec:hasPart"
        yield subject, name, other

    def _is(self, node: object, ancestor: str) -> bool:
        return any(brick().is_a(kind, ancestor) for kind in self._kinds.get(node, ()))

    def notes(self) -> list[str]:
        """What was put right, and what stays without a class of today."""
        replaced = [f"{what} today ({n} nodes)" for what, n in sorted(self._replaced.items()) if n]
        unknown = [f"{what} is no class of Brick 1.5 ({n} nodes); they stay without one" for what, n in sorted(self._unknown.items())]
        return replaced + unknown


@cache
def class_of_today(iri: str) -> str:
    """`brick:VAV` or `rec:Room` for a class of any Brick version; empty for what is none.

    Brick's own isReplacedBy is followed, but for the few where it is plainly wrong (brick_renames.csv) and where it leads to no class.
    """
    name = prefixed(iri)
    if _OLD_BRICK.match(iri):
        name = f"brick:{_OLD_BRICK.sub('', iri)}"
    for _ in range(4):  # a replacement may itself be replaced
        renamed = _renames().get(name.removeprefix("brick:"))
        if renamed and (name not in brick().classes or name in brick().deprecated):
            return renamed
        if name in brick().classes and name not in brick().deprecated:
            return name
        name = brick().replaced_by.get(name, "")
    return ""


@cache
def _renames() -> dict[str, str]:
    with (Path(__file__).parent / "brick_renames.csv").open(encoding="utf-8", newline="") as file:
        return {row["old"]: row["new"] for row in csv.DictReader(file)}


def _name(node: object) -> str:
    assert isinstance(node, ox.NamedNode | ox.BlankNode)
    return node.value


def _told(iri: str) -> str:
    return iri if prefixed(iri) == iri else prefixed(iri)


def _local(iri: str) -> str:
    """The end of a name that people read: behind the last # or, in names with slashes, behind the path that they share."""
    return re.split(r"[#/:]", iri.rstrip("#/:"))[-1] or iri
