"""Check a site's nodes: our own SHACL shapes (twin/shapes.ttl), and classes that Brick does not know or no longer wants."""

from dataclasses import dataclass
from pathlib import Path

from twin.graph import PREFIXES, Graph, brick

_SHAPES = Path(__file__).parent / "shapes.ttl"
_SH = "http://www.w3.org/ns/shacl#"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong in the twin."""

    node: str
    rule: str
    message: str


def validate(graph: Graph) -> list[Finding]:
    """All findings at once, sorted; an empty list is a twin in order. About half a millisecond a point."""
    return sorted({*_class_findings(graph), *_shape_findings(graph)})


def _class_findings(graph: Graph) -> list[Finding]:
    """Classes by name: in Brick and RealEstateCore a misspelt class is silently nothing at all."""
    findings = []
    for node, kind in graph.classes():
        if not kind.startswith(("brick:", "rec:")):
            continue
        if kind not in brick().classes:
            findings.append(Finding(node, "class", f"{kind} is not a class of Brick 1.5"))
        elif kind in brick().deprecated:
            findings.append(Finding(node, "class", f"{kind} is deprecated in Brick 1.5"))
    return findings


def _shape_findings(graph: Graph) -> list[Finding]:
    import brickschema  # here, because it takes half a second and only a check needs it
    import rdflib

    data = brickschema.Graph()
    data.parse(data=graph.ntriples_with_hierarchy(), format="nt")
    data.parse(_SHAPES, format="turtle")
    _, results, _ = data.validate()
    sh = rdflib.Namespace(_SH)
    findings = []
    for result in results.subjects(rdflib.RDF.type, sh.ValidationResult):
        node = str(results.value(result, sh.focusNode))
        message = str(results.value(result, sh.resultMessage) or results.value(result, sh.sourceConstraintComponent))
        path = str(results.value(result, sh.resultPath) or "shape")
        findings.append(Finding(node.rsplit("#", 1)[-1], _short(path), message))
    return findings


def _short(iri: str) -> str:
    return next((f"{p}:{iri.removeprefix(start)}" for p, start in PREFIXES.items() if iri.startswith(start)), iri)
