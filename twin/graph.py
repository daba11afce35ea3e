"""The Brick graph of a site: read and written as Turtle, asked by named queries (twin/queries/*.rq).

It lives in memory, with the class hierarchy of Brick 1.5 beside it, so that a question about a class finds its subclasses too.
Nodes of the site are `urn:wattproof:site:<site>#<key>`; callers see only the key.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

import pyoxigraph as ox

from twin.answers import Answers, rows
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
_STATED_BINDING = re.compile(r"([a-z_]+) \((class|key|text)\b")
_TYPE = PREFIXES["rdf"] + "type"
_REFERENCE = PREFIXES["ref"] + "hasExternalReference"
_TYPE_IN_LINE = f" <{_TYPE}> ".encode()
_PREFIX_LINES = re.compile(rb"(?:@prefix [^\n]*\n)*")
_QUERIES = Path(__file__).parent / "queries"
OWN_CLASSES = Path(__file__).parent / "data" / "own_classes.ttl"  # below those of Brick, where it has none


@dataclass(frozen=True, slots=True)
class Text:
    """A literal of a triple; `number` marks it as a decimal number."""

    value: str
    number: bool = False


Triple = tuple[str, str, str | Text]
"""Subject, predicate and object as `prefix:name`; `site:key` is a node of the site."""


class Graph:
    """One site's twin: its triples, and the named questions that the rooms ask. It does not change once made."""

    def __init__(self, site: str, triples: Iterable[ox.Triple]) -> None:
        self.site = site
        self._store, self._answers = ox.Store(), Answers()
        self._store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in triples)
        self._add_hierarchy()

    @classmethod
    def read(cls, path: Path) -> "Graph":
        """Read twin.ttl, or somebody else's Brick model in Turtle; SiteError when it is absent, broken or no twin of one site."""
        text = _text_of(path)
        store = ox.Store()
        try:
            store.bulk_load(text, ox.RdfFormat.TURTLE)
        except SyntaxError as error:
            if _SITE.encode() in text:
                raise SiteError(f"{path}: not readable as Turtle ({error}); make it again with `wattproof import`") from None
            store.clear()
        sites = _sites(store)
        if len(sites) > 1:
            raise SiteError(f"{path}: nodes of several sites in it ({', '.join(sorted(sites)[:5])}); a twin holds one")
        if not sites:
            from twin.adopting import adopt  # here, because it stands above this module and only foreign files need it

            return adopt(path).graph
        return cls._over(sites.pop(), store)

    @classmethod
    def from_triples(cls, site: str, triples: Iterable[Triple]) -> "Graph":
        """Make a graph from triples of prefixed names."""
        written = _Writing(site)
        store = ox.Store()
        store.bulk_load("".join(map(written.line, triples)).encode(), ox.RdfFormat.N_TRIPLES)
        return cls._over(site, store)

    @classmethod
    def _over(cls, site: str, store: ox.Store) -> "Graph":
        """A graph over triples that are in a store already."""
        graph = cls.__new__(cls)
        graph.site, graph._store, graph._answers = site, store, Answers()
        graph._add_hierarchy()
        return graph

    def _add_hierarchy(self) -> None:
        """Brick's subclass relations beside the site's own triples; what the site itself says of them is not written twice."""
        self._added = [quad for quad in brick().quads if quad not in self._store]
        self._store.extend(self._added)

    def __len__(self) -> int:
        return len(self._store) - len(self._added)

    def __contains__(self, key: str) -> bool:
        """Whether the site has a node of this key."""
        try:
            node = _node(self.site, f"site:{key}")
        except ValueError:  # no IRI at all
            return False
        return any(True for _ in self._store.quads_for_pattern(node, None, None))

    def turtle(self, header: Sequence[str] = ()) -> bytes:
        """The site's triples as sorted Turtle under `# ` header lines: the same bytes for the same input."""
        prefixes = {**PREFIXES, "site": f"{_SITE}{self.site}#"}
        lines = sorted(self._own_lines(), key=_type_first)
        body = ox.serialize(ox.parse(b"".join(lines), ox.RdfFormat.N_TRIPLES), format=ox.RdfFormat.TURTLE, prefixes=prefixes)
        assert body is not None
        opening = _PREFIX_LINES.match(body)
        assert opening is not None
        stated = sorted(opening[0].splitlines(keepends=True))  # the library's own order changes from run to run
        return b"".join([*(f"# {line}\n".encode() for line in header), *stated, body[opening.end() :]])

    def classes(self) -> list[tuple[str, str]]:
        """(key, class) of every node of the site, classes as prefixed names."""
        start = f"{_SITE}{self.site}#"
        return [
            (q.subject.value.removeprefix(start), prefixed(q.object.value))
            for q in self._store.quads_for_pattern(None, ox.NamedNode(_TYPE), None)
            if isinstance(q.subject, ox.NamedNode) and isinstance(q.object, ox.NamedNode) and q.subject.value.startswith(start)
        ]

    def ntriples_with_hierarchy(self) -> bytes:
        """The site's triples and the subclass relations beside them, for a validator."""
        body = self._store.dump(format=ox.RdfFormat.N_TRIPLES, from_graph=ox.DefaultGraph())
        assert body is not None
        return body

    def ntriples(self) -> bytes:
        """The site's own triples, for a validator that has Brick beside them."""
        return b"".join(self._own_lines())

    def _own_lines(self) -> list[bytes]:
        foreign = {f"{q.triple} .\n".encode() for q in self._added}
        return [line for line in self.ntriples_with_hierarchy().splitlines(keepends=True) if line not in foreign]

    def with_references(self, keys: Iterable[str]) -> set[str]:
        """These nodes and the external references that they carry."""
        own = set(keys)
        return own | {self._key(o) for key in own for p, o in self._said_of(_node(self.site, f"site:{key}")) if p == _REFERENCE}

    def around(self, keys: Iterable[str]) -> "Graph":
        """The part of the twin that says something about these nodes: their triples, and of their neighbours what they are."""
        found: set[ox.Quad] = set()
        for key in keys:
            node = _node(self.site, f"site:{key}")
            out = set(self._store.quads_for_pattern(node, None, None))
            into = set(self._store.quads_for_pattern(None, None, node))
            neighbours = {n for n in [*(q.object for q in out), *(q.subject for q in into)] if isinstance(n, ox.NamedNode)}
            found |= out | into | {q for other in neighbours for q in self._store.quads_for_pattern(other, ox.NamedNode(_TYPE), None)}
        kinds = {q.object for q in found if q.predicate.value == _TYPE and isinstance(q.object, ox.NamedNode)}
        classes = {kind for kind in kinds if kind.value.startswith(PREFIXES["tw"])}
        found |= {q for kind in classes for q in self._store.quads_for_pattern(kind, None, None)}
        return Graph(self.site, (q.triple for q in found))

    def _said_of(self, node: ox.NamedNode) -> Iterator[tuple[str, ox.NamedNode]]:
        for quad in self._store.quads_for_pattern(node, None, None):
            if isinstance(quad.object, ox.NamedNode):
                yield quad.predicate.value, quad.object

    def _key(self, node: ox.NamedNode) -> str:
        return node.value.removeprefix(f"{_SITE}{self.site}#")

    def write(self, path: Path, header: Sequence[str] = ()) -> None:
        """Write the site's triples whole or not at all."""
        write_whole(path, self.turtle(header))

    def ask(self, query_name: str, **bindings: str) -> list[dict[str, str]]:
        """Run a named query. Its header says what each binding is: a Brick class, a node's key or a text.

        Site nodes come back as keys, classes and units as local names, literals as text; a missing optional column is absent from its
        row; rows are sorted. ValueError for a query or class that does not exist, SiteError for a key that the twin does not have.
        """
        text = _bound(_query(query_name), query_name, {name: self._term(query_name, name, v) for name, v in bindings.items()})
        return self._answers.of(text, self._run)

    def points(self) -> list[Point]:
        """Every point of the twin with its address. None is writable: only points.csv, which an engineer signs, makes one so."""
        found: dict[str, Mapping[str, str]] = {}
        for row in self.ask("points"):
            kept = found.setdefault(row["point"], row)
            if kept is not row and brick().is_a(f"brick:{row['class']}", f"brick:{kept['class']}"):
                found[row["point"]] = row  # of several classes the narrowest
        try:
            return [_point(row) for row in found.values()]
        except ValueError as error:
            raise SiteError(f"twin of {self.site}: {error}; correct the model or points and import again") from None

    def _term(self, query_name: str, name: str, value: str) -> str:
        """A binding as SPARQL text. Each kind is checked and escaped, so nothing else can get in."""
        kind = binding_kinds(query_name).get(name)
        if kind == "text":
            return str(ox.Literal(value))
        if kind == "key":
            if value not in self:
                raise SiteError(f"{value!r} is no node of the twin of {self.site}; give a key that one of its lists names")
            return str(_node(self.site, f"site:{value}"))
        return str(_class(value))

    def _run(self, text: str) -> list[dict[str, str]]:
        """Rows by way of the engine's own text form: reading that is several times faster than asking for each term."""
        found = self._store.query(text, prefixes=PREFIXES)
        assert isinstance(found, ox.QuerySolutions)
        body = found.serialize(format=ox.QueryResultsFormat.TSV)
        assert body is not None
        return rows([v.value for v in found.variables], body.decode(), [f"{_SITE}{self.site}#", *PREFIXES.values()])


class _Writing:
    """Triples of prefixed names as lines of N-Triples; nodes come again and again and are made once."""

    def __init__(self, site: str) -> None:
        self._site, self._nodes = site, dict[str, str]()

    def line(self, triple: Triple) -> str:
        subject, predicate, value = triple
        return f"{self._node(subject)} {self._node(predicate)} {str(_literal(value)) if isinstance(value, Text) else self._node(value)} .\n"

    def _node(self, name: str) -> str:
        found = self._nodes.get(name)
        if found is None:
            found = self._nodes[name] = str(_node(self._site, name))
        return found


def _text_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SiteError(f"{path}: no twin yet; make it with `wattproof import`") from None
    except OSError as error:
        raise SiteError(f"{path}: cannot be read ({error.strerror}); make it again with `wattproof import`") from None


def _sites(store: ox.Store) -> set[str]:
    """The sites whose nodes are subjects here."""
    found = store.query(f'SELECT DISTINCT ?s WHERE {{ ?s ?p ?o FILTER(STRSTARTS(STR(?s), "{_SITE}")) }}')
    assert isinstance(found, ox.QuerySolutions)
    return {str(row["s"].value).removeprefix(_SITE).split("#")[0] for row in found}


def _type_first(line: bytes) -> bytes:
    """Subjects in order, the type first, then predicates and objects in order."""
    return line.replace(_TYPE_IN_LINE, b" <!> ", 1)


@dataclass(frozen=True)
class Ontology:
    """What is needed of Brick, RealEstateCore and our own classes below them: names, parents, and which are deprecated."""

    classes: frozenset[str]
    deprecated: frozenset[str]
    parents: Mapping[str, frozenset[str]]
    replaced_by: Mapping[str, str]  # a deprecated class -> what Brick says to use; not always right
    quads: tuple[ox.Quad, ...]
    climbed: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def is_a(self, name: str, ancestor: str) -> bool:
        """Whether class `name` (`brick:VAV`) is `ancestor` or below it."""
        return name == ancestor or ancestor in self._above(name)

    def _above(self, name: str) -> frozenset[str]:
        """All classes above one, climbed once: an import asks tens of thousands of times about the same few hundred classes."""
        if name not in self.climbed:
            open_names, seen = [name], set[str]()
            while open_names:
                above = self.parents.get(open_names.pop(), frozenset()) - seen
                seen |= above
                open_names += above
            self.climbed[name] = frozenset(seen)
        return self.climbed[name]


@cache
def brick() -> Ontology:
    """Brick 1.5 from the brickschema package and our own classes below it, read once for the process (a tenth of a second)."""
    parents: dict[str, set[str]] = {}
    replaced: dict[str, str] = {}
    classes, deprecated, quads = set(), set(), []
    for triple in chain.from_iterable(ox.parse(path=str(file), format=ox.RdfFormat.TURTLE) for file in (ontology_file(), OWN_CLASSES)):
        if not isinstance(triple.subject, ox.NamedNode):
            continue
        subject, predicate = prefixed(triple.subject.value), triple.predicate.value
        if predicate == PREFIXES["rdf"] + "type" and str(getattr(triple.object, "value", "")).endswith("#Class"):
            classes.add(subject)
        elif predicate == PREFIXES["owl"] + "deprecated":
            deprecated.add(subject)
        elif predicate == PREFIXES["brick"] + "isReplacedBy":
            replaced[subject] = prefixed(str(getattr(triple.object, "value", "")))
        elif predicate == PREFIXES["rdfs"] + "subClassOf" and isinstance(triple.object, ox.NamedNode):
            parents.setdefault(subject, set()).add(prefixed(triple.object.value))
            quads.append(ox.Quad(triple.subject, triple.predicate, triple.object))
    return Ontology(frozenset(classes), frozenset(deprecated), {k: frozenset(v) for k, v in parents.items()}, replaced, tuple(quads))


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


@cache
def binding_kinds(name: str) -> dict[str, str]:
    """What a query is bound with, as its header says: name -> class, key or text."""
    line = next((line for line in _query(name).splitlines() if line.startswith("# Bindings: ")), "")
    return dict(_STATED_BINDING.findall(line))


def _bound(text: str, name: str, terms: Mapping[str, str]) -> str:
    """The query with each `$name` replaced by its term."""
    wanted = set(_BINDING.findall(text))
    if wanted != set(terms):
        raise ValueError(f"query {name!r} takes {', '.join(sorted(wanted)) or 'no bindings'}, got {', '.join(sorted(terms)) or 'none'}")
    return _BINDING.sub(lambda match: terms[match[1]], text)


def class_name(text: str) -> str:
    """A class as people write it (`VAV`, `brick:VAV`, `rec:Room`, `Sprinkler`) as `prefix:name`; without a prefix our own or Brick's."""
    own = f"tw:{text}"
    return text if ":" in text else own if own in brick().classes else f"brick:{text}"


def _class(name: str) -> ox.NamedNode:
    """A class as people write it as a node; the name must exist, or every answer would silently be empty."""
    prefixed = class_name(name)
    if not _CLASS_NAME.fullmatch(prefixed.rpartition(":")[2]) or prefixed not in brick().classes:
        raise ValueError(f"{name!r} is not a class of Brick {BRICK_VERSION}; look it up at https://ontology.brickschema.org")
    return _node("", prefixed)


def _node(site: str, name: str) -> ox.NamedNode:
    prefix, _, local = name.partition(":")
    return ox.NamedNode((f"{_SITE}{site}#" if prefix == "site" else PREFIXES[prefix]) + local)


def _literal(value: Text) -> ox.Literal:
    return ox.Literal(value.value, datatype=ox.NamedNode(PREFIXES["xsd"] + "decimal")) if value.number else ox.Literal(value.value)


def prefixed(iri: str) -> str:
    """An IRI as `prefix:name`, or as it stands where no prefix of ours fits."""
    for prefix, start in PREFIXES.items():
        if iri.startswith(start):
            return f"{prefix}:{iri.removeprefix(start)}"
    return iri


def _point(row: Mapping[str, str]) -> Point:
    binding = None
    if address := row.get("address"):
        accepted = row.get("bound_by") != "scan"
        binding = Binding(row["point"], address, float(row.get("scale", 1.0)), float(row.get("offset", 0.0)), accepted)
    unit, owner, label = (row.get(name, "") for name in ("unit", "owner", "label"))
    return Point(row["point"], row["class"], unit, owner, label, binding=binding, retired=row.get("retired") == "true")
