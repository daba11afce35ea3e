"""Which Brick class an element is, on what evidence and how surely; nothing is dropped."""

from dataclasses import dataclass
from enum import StrEnum

from bim.inventory import Element, Ref
from bim.tables import MappingRow, domain_of_class, mapping, name_rules, passive, protected_rules
from twin.graph import brick

CONFIDENCE = {"direct": 0.9, "generic": 0.6, "weak": 0.4}
CONFIDENCE_STATED, CONFIDENCE_NAME = 1.0, 0.5
REVIEW_BELOW = 0.6  # a weak row, a name rule or nothing at all: a person must look


class Coverage(StrEnum):
    """What became of an element; the three counts add up to the total."""

    MAPPED = "mapped"
    UNMAPPED = "unmapped"
    PASSIVE = "passive"


@dataclass(frozen=True, slots=True)
class Classified:
    """The verdict on one element."""

    ref: Ref
    coverage: Coverage
    brick: str  # prefixed class; empty when passive
    match: str  # direct, generic, weak, stated, name, reviewed, none
    domain: str
    evidence: str
    confidence: float
    protected: str = ""  # why no strategy may write it

    @property
    def is_point(self) -> bool:
        return bool(self.brick) and brick().is_a(self.brick, "brick:Point")


def classify(element: Element) -> Classified:
    """Stated class, mapping table, passive list, name rules, else unmapped: the first that knows the element."""
    return _stated(element) or _by_table(element) or _passive(element) or _by_name(element) or _unmapped(element)


def ifc_type(element: Element) -> str:
    """The IFC class and value that say most, for example IfcLightFixture.SECURITYLIGHTING; kept on the node."""
    ifc_class = _most_telling(element)
    value = _value(element)
    return f"{ifc_class}.{value}" if value else ifc_class


def _stated(element: Element) -> Classified | None:
    """A classification reference to Brick; an unknown or deprecated name is no evidence."""
    name = f"brick:{element.stated_class.removeprefix('brick:')}"
    if not element.stated_class or name not in brick().classes or name in brick().deprecated:
        return None
    row = _row(element)
    domain = row.domain if row else domain_of_class().get(name, "other")
    return _mapped(element, name, "stated", domain, "class stated in the model", CONFIDENCE_STATED)


def _by_table(element: Element) -> Classified | None:
    row = _row(element)
    if row is None:
        return None
    if not row.brick:
        return Classified(element.ref, Coverage.PASSIVE, "", "skip", row.domain, row.note or f"{row.ifc} is not in a twin", 1.0)
    evidence = f"table row {row.ifc}" + (f".{row.predefined}" if row.predefined else "")
    return _mapped(element, row.brick, row.match, row.domain, evidence, CONFIDENCE[row.match])


def _row(element: Element) -> MappingRow | None:
    type_value = element.type_predefined or element.predefined
    keys = [
        (element.type_class, type_value),
        (element.ifc_class, element.predefined or element.type_predefined),
        (element.type_class, ""),
        (element.ifc_class, ""),
    ]
    return next((mapping()[key] for key in keys if key in mapping()), None)


def _passive(element: Element) -> Classified | None:
    for name in (*element.ancestors, element.type_class):
        if name in passive():
            return Classified(element.ref, Coverage.PASSIVE, "", "passive", "passive", passive()[name], 1.0)
    return None


def _by_name(element: Element) -> Classified | None:
    text = _words(element)
    for pattern, name in name_rules():
        if found := pattern.search(text):
            evidence = f"name contains {found[0]!r}"
            return _mapped(element, name, "name", domain_of_class().get(name, "other"), evidence, CONFIDENCE_NAME)
    return None


def _unmapped(element: Element) -> Classified:
    reason = f"no row for {ifc_type(element)} and no known word in its name"
    return Classified(element.ref, Coverage.UNMAPPED, "brick:Equipment", "none", "other", reason, 0.0, _protection(element))


def _mapped(element: Element, name: str, match: str, domain: str, evidence: str, confidence: float) -> Classified:
    return Classified(element.ref, Coverage.MAPPED, name, match, domain, evidence, confidence, _protection(element))


def _protection(element: Element) -> str:
    for ifc_class, value, pattern, reason in protected_rules():
        if ifc_class not in (*element.ancestors, element.type_class) or (value and value != _value(element)):
            continue
        if pattern is None or pattern.search(_words(element)):
            return reason
    return ""


def _most_telling(element: Element) -> str:
    """The type's class where the own one is only a family (IFC2X3: IfcFlowTerminal), else the own."""
    own_is_family = bool(element.type_class) and element.type_class not in element.ancestors and element.ifc_class.startswith("Ifc")
    return element.type_class if own_is_family else element.ifc_class


def _value(element: Element) -> str:
    values = [v for v in (element.type_predefined, element.predefined) if v and v != "NOTDEFINED"]
    return values[0] if values else ""


def _words(element: Element) -> str:
    return f"{element.name} {element.object_type} {element.type_name}"
