"""Speed of the twin: loading, named questions and our own shapes at 10,000 and 100,000 points, beside rdflib on the same graph."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from simulators.speed.figures import Figure, in_child, median_s, p95, times_s
from twin.graph import Graph, Text, Triple
from twin.shapes import validate

RUNS = 20
WHOLE_SITE_LISTS = (
    "equipment", "points", "rooms", "terminals", "zone_points", "zones", "feeds", "zone_equipment", "commands", "air_handlers", "air_zones",
    "connections", "points_of", "points_without_unit", "storeys", "things", "unbound_points",
)  # fmt: skip
OF_A_CLASS = ("zone_points", "points_of")
ONE_THING = {  # each run asks about another thing, since answers are kept
    "boxes_of": {"air_handler": "ahu_{n}"},
    "downstream": {"source": "ahu_{n}"},
    "upstream": {"target": "zone_{n}"},
    "room_points": {"room": "r{n}"},
    "storey_equipment": {"storey": "level_{storey}"},
    "about": {"node": "vav_{n}"},
    "connection_points": {"connection": "b{n}"},
    "handler_zone_points": {"air_handler": "ahu_{n}", "brick_class": "Zone_Air_Temperature_Sensor"},
}
_RDFLIB = """
import rdflib
from pathlib import Path
from twin.graph import PREFIXES
graph = rdflib.Graph()
graph.parse(sys.argv[2], format="turtle")
text = "SELECT DISTINCT ?target WHERE { <urn:wattproof:site:large#ahu_1> brick:feeds+ ?target }"
"""


def questions_10k(folder: Path) -> Iterator[Figure]:
    """Ten thousand points: a large office."""
    return _questions(folder, 10_000, 10.0, 50.0)


def questions_100k(folder: Path) -> Iterator[Figure]:
    """A hundred thousand points: a campus."""
    return _questions(folder, 100_000, 50.0, 400.0)


def shapes(_: Path) -> Iterator[Figure]:
    """Our own shapes on every node."""
    graph = Graph.from_triples("large", large_twin(2_000))
    yield Figure("own shapes, per 1,000 points", median_s(3, lambda: validate(graph)) / 2, "s", 2.0)


def _questions(folder: Path, points: int, one_ms: float, list_ms: float) -> Iterator[Figure]:
    file = folder / "twin.ttl"
    Graph.from_triples("large", large_twin(points)).write(file)
    yield Figure(f"twin of {points:,} points loaded", median_s(3, lambda: Graph.read(file)), "s", 3.0 * points / 10_000)
    graph = Graph.read(file)
    worst = {name: p95(_about_one(graph, name, words, points // 2_000)) for name, words in ONE_THING.items()}
    slowest = max(worst, key=lambda name: worst[name])
    peers = {}
    if points <= 10_000:  # rdflib needs minutes for the larger graph
        peers["rdflib, downstream"] = 1000 * in_child(_RDFLIB, "list(graph.query(text, initNs=PREFIXES))", str(file))[0]
        peers["ours, downstream"] = 1000 * worst["downstream"]
    yield Figure(
        f"named questions about one thing, {points:,} points, slowest ({slowest}), p95", 1000 * worst[slowest], "ms", one_ms, peers
    )
    for name in WHOLE_SITE_LISTS:
        words = {"brick_class": "Zone_Air_Temperature_Sensor"} if name in OF_A_CLASS else {}
        ask = partial(graph.ask, name, **words)
        first, again = times_s(1, ask)[0], p95(times_s(RUNS, ask))
        yield Figure(f"whole-site list {name}, {points:,} points, p95", 1000 * again, "ms", list_ms, {"first asked": 1000 * first})


def _about_one(graph: Graph, name: str, words: Mapping[str, str], storeys: int) -> list[float]:
    """Seconds of one question about as many things as there are runs, sorted."""
    told = [{key: word.format(n=n, storey=n % storeys) for key, word in words.items()} for n in range(1, RUNS + 1)]
    return sorted(times_s(1, partial(graph.ask, name, **bindings))[0] for bindings in told)


def large_twin(points: int) -> Iterator[Triple]:
    """Sites as in practice: ten points a box, twenty boxes an air handler, two hundred rooms a storey."""
    yield "unit:DEG_C", "rdf:type", "qudt:Unit"
    for n in range(points // 10):
        handler, box, zone, room, level = f"ahu_{n // 20}", f"vav_{n}", f"zone_{n}", f"r{n}", f"level_{n // 200}"
        yield from _thing(level, "rec:Level", ("rec:hasPart", f"site:{room}"))
        yield from _thing(handler, "brick:AHU", ("brick:feeds", f"site:{box}"), ("brick:hasLocation", f"site:{level}"))
        yield from _thing(box, "brick:VAV", ("brick:feeds", f"site:{zone}"), ("brick:hasLocation", f"site:{room}"))
        yield from _thing(zone, "rec:HVACZone", ("rec:hasPart", f"site:{room}"))
        yield from _thing(room, "rec:Room")
        yield f"site:device-b{n}", "rdf:type", "bacnet:device"
        for i, kind in enumerate(["Zone_Air_Temperature_Sensor", "Damper_Position_Command", *["CO2_Level_Sensor"] * 8]):
            yield from _point(f"p{n}.{i}", f"brick:{kind}", box, f"b{n}", f"analog-input,{i}")


def _thing(key: str, kind: str, *more: tuple[str, str]) -> Iterator[Triple]:
    yield f"site:{key}", "rdf:type", kind
    yield f"site:{key}", "rdfs:label", Text(key)
    yield from ((f"site:{key}", predicate, value) for predicate, value in more)


def _point(key: str, kind: str, owner: str, connection: str, instance: str) -> Iterator[Triple]:
    node, reference = f"site:{key}", f"site:{key}-address"
    yield from _thing(key, kind, ("brick:isPointOf", f"site:{owner}"), ("brick:hasUnit", "unit:DEG_C"))
    yield node, "ref:hasExternalReference", reference
    yield reference, "rdf:type", "ref:BACnetReference"
    yield reference, "bacnet:object-identifier", Text(instance)
    yield reference, "bacnet:contains", f"site:device-{connection}"
    yield reference, "tw:address", Text(f"bacnet:{connection}/{instance}")
    yield reference, "tw:connection", Text(connection)
