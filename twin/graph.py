"""The Brick graph of a site: read and written as Turtle, asked by named queries (twin/queries/*.rq).

It lives in memory, with the class hierarchy of Brick 1.5 beside it, so that a question about a class finds its subclasses too.
Nodes of the site are `urn:wattproof:site:<site>#<key>`; callers see only the key.
"""

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyoxigraph as ox

from twin.errors import MissingError, SiteError
from twin.state import write_whole
from twin.words import Binding, Point

BRICK_VERSION = "1.5"  # the wheel holds 1.1 to 1.5; addresses and places differ between them
PREFIXES = {
    "bacnet": "http://data.ashrae.org/bacnet/",
    "brick": "https://brickschema.org/schema/Brick#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "qudt": "http://qudt.org/schema/qudt/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "rec": "https://w3id.org/rec#",
    "ref": "https://brickschema.org/schema/Brick/ref#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "tw": "urn:wattproof:terms#",
    "unit": "http://qudt.org/vocab/unit/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_SITE = "urn:wattproof:site:"
_CLASS_NAME = re.compile(r"[A-Za-z0-9_]+")
_BINDING = re.compile(r"\$([a-z_]+)")
_QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True, slots=True)
class Text:
    """A literal of a triple; `number` marks it as a decimal number."""

    value: str
    number: bool = False


Triple = tuple[str, str, str | Text]
"""Subject, predicate and object as `prefix:name`; `site:key` is a node of the site."""


class Graph:
    """One site's twin: its triples, and the named questions that the rooms ask."""

    def __init__(self, site: str, triples: Iterable[ox.Triple]) -> None:
        self.site = site
        self._triples = sorted(set(triples), key=_order)
        self._store = ox.Store()
        self._store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in self._triples)
        self._store.extend(brick().quads)

    @classmethod
    def read(cls, path: Path) -> "Graph":
        """Read twin.ttl; SiteError when it is absent, broken or holds no site."""
        try:
            triples = list(ox.parse(path=str(path), format=ox.RdfFormat.TURTLE))
        except FileNotFoundError:
            raise SiteError(f"{path}: no twin yet; make it with `wattproof import`") from None
        except (OSError, SyntaxError, ValueError) as error:
            raise SiteError(f"{path}: not readable as Turtle ({error}); make it again with `wattproof import`") from None
        for triple in triples:
            if isinstance(triple.subject, ox.NamedNode) and triple.subject.value.startswith(_SITE):
                return cls(triple.subject.value.removeprefix(_SITE).split("#")[0], triples)
        raise SiteError(f"{path}: no node of a site in it (expected <{_SITE}NAME#KEY>); make it again with `wattproof import`")

    @classmethod
    def from_triples(cls, site: str, triples: Iterable[Triple]) -> "Graph":
        """Make a graph from triples of prefixed names."""
        return cls(site, (ox.Triple(_node(site, s), _node(site, p), _object(site, o)) for s, p, o in triples))

    def __len__(self) -> int:
        return len(self._triples)

    def turtle(self, header: Sequence[str] = ()) -> bytes:
        """The site's triples as sorted Turtle under `# ` header lines: the same bytes for the same input."""
        prefixes = {**PREFIXES, "site": f"{_SITE}{self.site}#"}
        body = ox.serialize(self._triples, format=ox.RdfFormat.TURTLE, prefixes=prefixes)
        assert body is not None
        lines = body.decode().splitlines(keepends=True)
        stated = sorted(line for line in lines if line.startswith("@prefix "))  # the library's own order changes from run to run
        text = [*(f"# {line}\n" for line in header), *stated, *(line for line in lines if not line.startswith("@prefix "))]
        return "".join(text).encode()

    def classes(self) -> list[tuple[str, str]]:
        """(key, class) of every node of the site, classes as prefixed names."""
        kind = PREFIXES["rdf"] + "type"
        typed = [(t.subject, t.object) for t in self._triples if t.predicate.value == kind]
        return [
            (self._plain(s), _prefixed(o.value))
            for s, o in typed
            if isinstance(s, ox.NamedNode) and isinstance(o, ox.NamedNode) and s.value.startswith(_SITE)
        ]

    def ntriples_with_hierarchy(self) -> bytes:
        """The site's triples and the subclass relations beside them, for a validator."""
        whole = [*self._triples, *(quad.triple for quad in brick().quads)]
        body = ox.serialize(whole, format=ox.RdfFormat.N_TRIPLES)
        assert body is not None
        return body

    def write(self, path: Path, header: Sequence[str] = ()) -> None:
        """Write the site's triples whole or not at all."""
        write_whole(path, self.turtle(header))

    def ask(self, query_name: str, **bindings: str) -> list[dict[str, str]]:
        """Run a named query. `bindings` are Brick class names; a missing optional column is absent from its row.

        Site nodes come back as keys, classes and units as local names, literals as text; rows are sorted.
        """
        return self._run(_bound(_query(query_name), query_name, bindings))

    def points(self) -> list[Point]:
        """Every point of the twin with its address. None is writable: only points.csv, which an engineer signs, makes one so."""
        return [_point(row) for row in self.ask("points")]

    def _run(self, text: str) -> list[dict[str, str]]:
        found = self._store.query(text, prefixes=PREFIXES)
        assert isinstance(found, ox.QuerySolutions)
        names = [v.value for v in found.variables]
        rows = [{name: self._plain(value) for name, value in zip(names, solution, strict=True) if value is not None} for solution in found]
        return sorted(rows, key=lambda row: [row.get(name, "") for name in names])

    def _plain(self, term: object) -> str:
        value = str(getattr(term, "value", term))
        if isinstance(term, ox.Literal):
            return value
        return value.rsplit("#", 1)[-1] if "#" in value else value.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Ontology:
    """What is needed of Brick and RealEstateCore: class names, their parents, and which are deprecated."""

    classes: frozenset[str]
    deprecated: frozenset[str]
    parents: Mapping[str, frozenset[str]]
    quads: tuple[ox.Quad, ...]

    def is_a(self, name: str, ancestor: str) -> bool:
        """Whether class `name` (`brick:VAV`) is `ancestor` or below it."""
        open_names, seen = [name], set()
        while open_names:
            current = open_names.pop()
            if current == ancestor:
                return True
            if current not in seen:
                seen.add(current)
                open_names += self.parents.get(current, ())
        return False


@cache
def brick() -> Ontology:
    """Brick 1.5 from the brickschema package, read once for the process (a tenth of a second)."""
    parents: dict[str, set[str]] = {}
    classes, deprecated, quads = set(), set(), []
    for triple in ox.parse(path=str(ontology_file()), format=ox.RdfFormat.TURTLE):
        if not isinstance(triple.subject, ox.NamedNode):
            continue
        subject, predicate = _prefixed(triple.subject.value), triple.predicate.value
        if predicate == PREFIXES["rdf"] + "type" and str(getattr(triple.object, "value", "")).endswith("#Class"):
            classes.add(subject)
        elif predicate == PREFIXES["owl"] + "deprecated":
            deprecated.add(subject)
        elif predicate == PREFIXES["rdfs"] + "subClassOf" and isinstance(triple.object, ox.NamedNode):
            parents.setdefault(subject, set()).add(_prefixed(triple.object.value))
            quads.append(ox.Quad(triple.subject, triple.predicate, triple.object))
    return Ontology(frozenset(classes), frozenset(deprecated), {k: frozenset(v) for k, v in parents.items()}, tuple(quads))


def ontology_file() -> Path:
    """Brick.ttl inside the brickschema package, found without importing it."""
    found = importlib.util.find_spec("brickschema")
    if found is None or found.origin is None:
        raise MissingError("the package brickschema is not installed; install wattproof's dependencies again (./wattproof doctor)")
    return Path(found.origin).parent / "ontologies" / BRICK_VERSION / "Brick.ttl"


def query_names() -> list[str]:
    """The names that `ask` knows."""
    return sorted(path.stem for path in _QUERIES.glob("*.rq"))


@cache
def _query(name: str) -> str:
    path = _QUERIES / f"{name}.rq"
    if not path.is_file():
        raise ValueError(f"no query named {name!r}; there are {', '.join(query_names())}")
    return path.read_text(encoding="utf-8")


def _bound(text: str, name: str, bindings: Mapping[str, str]) -> str:
    """The query with each `$name` replaced by its class; class names are checked, so nothing else can get in."""
    wanted = set(_BINDING.findall(text))
    if wanted != set(bindings):
        raise ValueError(f"query {name!r} takes {', '.join(sorted(wanted)) or 'no bindings'}, got {', '.join(sorted(bindings)) or 'none'}")
    nodes = {key: str(_class(value)) for key, value in bindings.items()}
    return _BINDING.sub(lambda match: nodes[match[1]], text)


def _class(name: str) -> ox.NamedNode:
    """`VAV` or `brick:VAV` or `rec:Room` as a node; the name must exist, or every answer would silently be empty."""
    prefix, _, local = name.rpartition(":")
    prefixed = f"{prefix or 'brick'}:{local}"
    if not _CLASS_NAME.fullmatch(local) or prefixed not in brick().classes:
        raise ValueError(f"{name!r} is not a class of Brick {BRICK_VERSION}; look it up at https://ontology.brickschema.org")
    return _node("", prefixed)


def _node(site: str, name: str) -> ox.NamedNode:
    prefix, _, local = name.partition(":")
    return ox.NamedNode((f"{_SITE}{site}#" if prefix == "site" else PREFIXES[prefix]) + local)


def _object(site: str, value: str | Text) -> ox.NamedNode | ox.Literal:
    if not isinstance(value, Text):
        return _node(site, value)
    return ox.Literal(value.value, datatype=ox.NamedNode(PREFIXES["xsd"] + "decimal")) if value.number else ox.Literal(value.value)


def _prefixed(iri: str) -> str:
    for prefix, start in PREFIXES.items():
        if iri.startswith(start):
            return f"{prefix}:{iri.removeprefix(start)}"
    return iri


def _order(triple: ox.Triple) -> tuple[str, bool, str, str]:
    """Subjects in order, the type first, then predicates and objects in order."""
    return str(triple.subject), triple.predicate.value != PREFIXES["rdf"] + "type", triple.predicate.value, str(triple.object)


def _point(row: Mapping[str, str]) -> Point:
    binding = None
    if address := row.get("address"):
        accepted = row.get("bound_by") != "scan"
        binding = Binding(row["point"], address, float(row.get("scale", 1.0)), float(row.get("offset", 0.0)), accepted)
    unit, owner, label = (row.get(name, "") for name in ("unit", "owner", "label"))
    return Point(row["point"], row["class"], unit, owner, label, binding=binding, retired=row.get("retired") == "true")
