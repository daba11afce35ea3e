"""Check a site's nodes: our own SHACL shapes (twin/shapes.ttl), class names, and on demand all of Brick's rules."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from twin.graph import PREFIXES, Graph, brick, ontology_file

_SHAPES = Path(__file__).parent / "shapes.ttl"
_SH = "http://www.w3.org/ns/shacl#"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong in the twin."""

    node: str
    rule: str
    message: str


def validate(graph: Graph) -> list[Finding]:
    """All findings at once, sorted; an empty list is a twin in order. About a third of a millisecond a point."""
    return sorted({*_class_findings(graph), *_findings(graph.ntriples_with_hierarchy(), _SHAPES)})


def validate_nodes(graph: Graph, keys: Iterable[str]) -> list[Finding]:
    """The findings on these nodes and what hangs on them, after an edit: costs what they cost, not what the site costs."""
    mine = graph.with_references(keys)
    return [finding for finding in validate(graph.around(mine)) if finding.node in mine]


def validate_brick(graph: Graph) -> list[Finding]:
    """What violates Brick 1.5's own rules, on nodes of this site; six seconds for 1,000 points and more than linear.

    Brick's data finds fault with its own ontology, and deprecation is a warning there: only violations on the site's nodes count.
    """
    keys = {key for key, _ in graph.classes()}
    return sorted({f for f in _findings(graph.ntriples(), ontology_file(), violations_of=graph.site) if f.node in keys})


def _class_findings(graph: Graph) -> list[Finding]:
    """Classes by name: in Brick and RealEstateCore a misspelt class is silently nothing at all."""
    findings = []
    for node, kind in graph.classes():
        if not kind.startswith(("brick:", "rec:", "tw:")):
            continue
        if kind not in brick().classes:
            findings.append(Finding(node, "class", f"{kind} is not a class of {'wattproof' if kind.startswith('tw:') else 'Brick 1.5'}"))
        elif kind in brick().deprecated:
            findings.append(Finding(node, "class", f"{kind} is deprecated in Brick 1.5"))
    return findings


def _findings(data: bytes, shapes: Path, violations_of: str = "") -> list[Finding]:
    """What the shapes find; with `violations_of` a site's violations alone, without warnings."""
    import rdflib  # here, because both take half a second and only a check needs them
    import shifty

    _, results, _ = shifty.validate(data, shapes, infer=False)
    sh = rdflib.Namespace(_SH)
    findings = []
    for result in results.subjects(rdflib.RDF.type, sh.ValidationResult):
        node = str(results.value(result, sh.focusNode))
        if violations_of and (results.value(result, sh.resultSeverity) != sh.Violation or f":{violations_of}#" not in node):
            continue
        message = str(results.value(result, sh.resultMessage) or results.value(result, sh.sourceConstraintComponent))
        stated = results.value(result, sh.resultPath)
        path = str(stated) if isinstance(stated, rdflib.URIRef) else "shape"  # a path of several steps has no name
        findings.append(Finding(node.rsplit("#", 1)[-1], _short(path), message))
    return findings


def _short(iri: str) -> str:
    return next((f"{p}:{iri.removeprefix(start)}" for p, start in PREFIXES.items() if iri.startswith(start)), iri)
