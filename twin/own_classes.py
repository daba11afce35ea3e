"""Classes of our own, each below one of Brick (twin/data/own_classes.ttl): what a twin that uses one says of it."""

from functools import cache

import pyoxigraph as ox

from twin.graph import OWN_CLASSES, Text, Triple, prefixed


@cache
def declaration(name: str) -> tuple[Triple, ...]:
    """Everything said of an own class and of our classes above it, so that a reader of Brick alone finds the way up; nothing for others."""
    said = _said().get(name, ())
    above = [str(value) for _, predicate, value in said if predicate == "rdfs:subClassOf"]
    return (*said, *(triple for parent in above for triple in declaration(parent)))


@cache
def _said() -> dict[str, tuple[Triple, ...]]:
    found: dict[str, list[Triple]] = {}
    for triple in ox.parse(path=str(OWN_CLASSES), format=ox.RdfFormat.TURTLE):
        assert isinstance(triple.subject, ox.NamedNode), "an own class has a name"
        subject, value = prefixed(triple.subject.value), triple.object
        known = prefixed(value.value) if isinstance(value, ox.NamedNode) else Text(str(getattr(value, "value", "")))
        found.setdefault(subject, []).append((subject, prefixed(triple.predicate.value), known))
    return {name: tuple(triples) for name, triples in found.items()}
