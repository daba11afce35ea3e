"""Our own classes: each below one of Brick, said in full wherever one is used."""

import pyoxigraph as ox

from twin.graph import OWN_CLASSES, Graph, Text, Triple, brick, class_name
from twin.own_classes import declaration
from twin.shapes import Finding, validate, validate_brick

OURS = sorted(name for name in brick().classes if name.startswith("tw:"))


def grille(kind: str) -> list[Triple]:
    return [
        ("site:level", "rdf:type", "rec:Level"),
        ("site:level", "rdfs:label", Text("Level 1")),
        ("site:grille", "rdf:type", kind),
        ("site:grille", "rdfs:label", Text("RG-1")),
        ("site:grille", "brick:hasLocation", "site:level"),
        *declaration(kind),
    ]


def test_every_own_class_stands_below_one_of_others_with_a_label_and_a_definition() -> None:
    tops = ("brick:Equipment", "rec:Zone", "ref:ExternalReference")

    assert len(OURS) > 30
    assert [name for name in OURS if not any(brick().is_a(name, top) for top in tops)] == []
    assert [name for name in OURS if {p for s, p, _ in declaration(name) if s == name} != NEEDED] == []


NEEDED = {"rdf:type", "rdfs:subClassOf", "rdfs:label", "skos:definition"}


def test_no_own_class_has_the_name_of_one_in_brick_or_realestatecore() -> None:
    locals_of_others = {name.partition(":")[2].lower() for name in brick().classes if not name.startswith("tw:")}

    assert [name for name in OURS if name.removeprefix("tw:").lower() in locals_of_others] == []


def test_a_declaration_leads_up_to_brick_and_others_have_none() -> None:
    said = declaration("tw:Return_Air_Opening")

    assert ("tw:Return_Air_Opening", "rdfs:subClassOf", "tw:Air_Opening") in said
    assert ("tw:Air_Opening", "rdfs:subClassOf", "brick:HVAC_Equipment") in said
    assert declaration("brick:VAV") == ()


def test_a_reader_of_brick_alone_sees_the_superclass_in_a_twin_that_uses_one() -> None:
    written = Graph.from_triples("s", grille("tw:Return_Air_Opening")).turtle()
    plain = ox.Store()
    plain.load(written, ox.RdfFormat.TURTLE)

    found = plain.query(
        "PREFIX brick: <https://brickschema.org/schema/Brick#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>"
        "ASK { ?x a/rdfs:subClassOf* brick:HVAC_Equipment FILTER(STRENDS(STR(?x), '#grille')) }"
    )
    assert bool(found)


def test_a_twin_with_own_classes_is_in_order_by_our_shapes_and_by_those_of_brick() -> None:
    graph = Graph.from_triples("s", grille("tw:Return_Air_Opening"))

    assert validate(graph) == []
    assert validate_brick(graph) == []
    assert [row["class"] for row in graph.ask("equipment")] == ["Return_Air_Opening"]


def test_a_misspelt_own_class_is_found() -> None:
    assert Finding("grille", "class", "tw:Retrun_Opening is not a class of wattproof") in validate(
        Graph.from_triples("s", grille("tw:Retrun_Opening"))
    )


def test_a_class_is_found_under_the_name_that_people_write() -> None:
    assert [class_name(text) for text in ("VAV", "brick:VAV", "Sprinkler", "tw:Sprinkler", "rec:Room", "Nothing")] == [
        "brick:VAV", "brick:VAV", "tw:Sprinkler", "tw:Sprinkler", "rec:Room", "brick:Nothing",
    ]  # fmt: skip


def test_the_file_declares_nothing_outside_our_own_terms() -> None:
    subjects = {str(triple.subject.value) for triple in ox.parse(path=str(OWN_CLASSES), format=ox.RdfFormat.TURTLE)}  # type: ignore[union-attr]

    assert [s for s in subjects if not s.startswith("urn:wattproof:terms#")] == []
