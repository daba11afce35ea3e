"""Which Brick class an element is, on what evidence and how surely; nothing is dropped."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from bim import tables
from bim.inventory import Element, Ref
from bim.named import NameVerdict, mentioned, named, part_by_name, passive_by_name, protected_by_name, qualified, spoken
from twin.graph import brick, class_name
from twin.life_safety import by_class

CONFIDENCE = {"direct": 0.9, "generic": 0.6, "weak": 0.4}
CONFIDENCE_STATED = 1.0
CONFIDENCE_STRONG_NAME, CONFIDENCE_NAME = 0.7, 0.5
CONFIDENCE_SYSTEM = 0.3  # how much of the remaining doubt a system or medium takes away
BORROWED = 0.8  # a class that only a property set's name tells counts this much of the same class stated
CONTRADICTED = 0.6  # what is left of a confidence when other evidence speaks against it
_CONTROL_TYPES = ("IfcSensor", "IfcActuator", "IfcController", "IfcAlarm", "IfcFlowInstrument", "IfcUnitaryControlElement")
_CONTROL_CLASSES = (
    "brick:Point", "brick:Sensor_Equipment", "brick:Controller", "brick:Thermostat", "brick:Fire_Safety_Equipment",
    "brick:Security_Equipment", "brick:Weather_Station", "brick:Interface", "brick:Gateway", "tw:Actuator", "tw:Gas_Detection_Panel",
)  # fmt: skip
_METERING = ("brick:Meter", "brick:Energy_Sensor", "brick:Power_Sensor", "brick:Usage_Sensor")  # nothing to write, whatever its name
REVIEW_BELOW = 0.6  # a weak row, an ambiguous name, contradicting evidence or nothing at all: a person must look


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
    match: str  # direct, generic, weak, stated, name, code, reviewed, none
    domain: str
    evidence: str
    confidence: float
    protected: str = ""  # why no strategy may write it

    @property
    def is_point(self) -> bool:
        return bool(self.brick) and brick().is_a(self.brick, "brick:Point")


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one kind of evidence, or several together, say."""

    brick: str
    match: str
    confidence: float
    evidence: str


def classify(element: Element) -> Classified:
    """Stated class, then class, code and name weighed against each other, then passive, else unmapped."""
    return _stated(element) or _passive(element) or _weighed(element) or _passive_by_name(element) or _unmapped(element)


def ifc_type(element: Element) -> str:
    """The IFC class and value that say most, for example IfcLightFixture.SECURITYLIGHTING; kept on the node."""
    ifc_class = _most_telling(element)
    value = _value(element)
    return f"{ifc_class}.{value}" if value else ifc_class


def _stated(element: Element) -> Classified | None:
    """A classification reference to a class of Brick or of ours below it; an unknown or deprecated name is no evidence."""
    name = class_name(element.stated_class)
    if not element.stated_class or name not in brick().classes or name in brick().deprecated or name.startswith("rec:"):
        return None
    row = _row(element)
    return _mapped(element, _Opinion(name, "stated", CONFIDENCE_STATED, "class stated in the model"), row.domain if row else "")


def _passive(element: Element) -> Classified | None:
    """The closed list of classes, and table rows that say so; a few classes hold equipment too, when a strong word names it."""
    row = _row(element)
    if row is not None and not row.brick:
        return _left_out(element, row.domain, row.note or f"{row.ifc} is not in a twin", "skip")
    if row is not None:
        part = part_by_name(spoken(element)) if row.match in ("generic", "weak") and not _is_control(element) else None
        return _left_out(element, "passive", f"{part[0]}: name contains {part[1]!r}", "passive") if part else None
    for name in (*element.ancestors, element.type_class):
        if name in tables.passive():
            said = named(spoken(element)) if name in tables.passive_unless_named() else None
            return None if said is not None and said.strong else _left_out(element, "passive", tables.passive()[name], "passive")
    return None


def _passive_by_name(element: Element) -> Classified | None:
    """A proxy whose name says what it is, and that it is nothing to read or move: a tree, a text, an origin mark."""
    if (said := passive_by_name(spoken(element))) is None:
        return None
    return _left_out(element, "passive", f"{said[0]}: name contains {said[1]!r}", "passive")


def _weighed(element: Element) -> Classified | None:
    formal = _together(_by_class(element), _by_code(element))
    opinion = _together(formal, _by_name(element, formal))
    if opinion is None:
        return None
    row = _row(element)
    same = row is not None and row.brick == opinion.brick
    return _mapped(element, _refined(element, opinion), row.domain if row is not None and same else "")


def _by_class(element: Element) -> _Opinion | None:
    row = _row(element)
    evidence, share = "IFC class", 1.0
    if row is None:
        row = next((tables.mapping()[c, ""] for c in element.pset_classes if (c, "") in tables.mapping()), None)
        evidence, share = "a property set made for", BORROWED
    if row is None or not row.brick:
        return None
    value = f".{row.predefined}" if row.predefined else ""
    return _Opinion(row.brick, row.match, round(CONFIDENCE[row.match] * share, 2), f"{evidence} {row.ifc}{value}")


def _by_code(element: Element) -> _Opinion | None:
    """A code of a public classification; the longest known beginning of it counts."""
    known = [
        (len(start), name, confidence, f"{system} {code}")
        for system, code in element.codes
        for listed, start, name, confidence in tables.codes()
        if listed.lower() in system.lower() and code.startswith(start)
    ]
    if not known:
        return None
    _, name, confidence, text = max(known)
    return _Opinion(name, "code", confidence, f"classified as {text}")


def _by_name(element: Element, other: _Opinion | None) -> _Opinion | None:
    """What the name says the thing is; where other evidence knows it already, an owner or a place in the name is no evidence against it."""
    parts = spoken(element)
    said = named(parts)
    if other is not None and (said is None or not _agree(said.brick, other.brick)):
        control = _is_control(element)
        agreeing = [v for v in mentioned(parts) if _agree(v.brick, other.brick) and (not control or _fits_control(v.brick))]
        said = max(agreeing, key=lambda v: (v.strong, len(v.words)), default=None if _only_owner(element, said, other) else said)
    if said is None:
        return None
    confidence = CONFIDENCE_STRONG_NAME if said.strong else CONFIDENCE_NAME
    return _Opinion(said.brick, "name", confidence, f"name contains {said.words!r}")


def _only_owner(element: Element, said: NameVerdict | None, other: _Opinion) -> bool:
    """Sensors, valves and motors are called after what they belong to: "VAV-1.ZN-T" is no VAV box."""
    if said is None:
        return True
    if _is_control(element):
        return not _fits_control(said.brick)
    stated_kind = other.match == "direct" and _value(element) not in ("", "USERDEFINED")
    return other.match == "direct" and (said.tag or stated_kind)


def _is_control(element: Element) -> bool:
    return "IfcDistributionControlElement" in element.ancestors or element.type_class in _CONTROL_TYPES


def _fits_control(name: str) -> bool:
    return any(brick().is_a(name, top) for top in _CONTROL_CLASSES)


def _agree(one: str, other: str) -> bool:
    return _narrows(one, other) or _narrows(other, one)


def _together(one: _Opinion | None, other: _Opinion | None) -> _Opinion | None:
    """Agreeing evidence: the narrower class, and less doubt. Contradicting: the stronger one, and more doubt."""
    if one is None or other is None:
        return one or other
    if _narrows(other.brick, one.brick):
        return _agreed(other, one)
    if _narrows(one.brick, other.brick):
        return _agreed(one, other)
    strong_word = other.match == "name" and other.confidence >= CONFIDENCE_STRONG_NAME
    wins, loses = (other, one) if strong_word or other.confidence > one.confidence else (one, other)
    confidence = round(min(wins.confidence, CONFIDENCE["direct"]) * CONTRADICTED, 2)
    if strong_word and one.match in ("generic", "weak"):
        confidence = round(wins.confidence * BORROWED, 2)
    return replace(wins, confidence=confidence, evidence=f"{wins.evidence}; against it: {loses.evidence} ({_short(loses.brick)})")


def _narrows(narrow: str, wide: str) -> bool:
    return brick().is_a(narrow, wide) or (wide, narrow) in tables.narrower()


def _agreed(narrow: _Opinion, wide: _Opinion) -> _Opinion:
    confidence = round(1 - (1 - narrow.confidence) * (1 - wide.confidence), 2)
    match = "direct" if narrow.brick == wide.brick and "direct" in (narrow.match, wide.match) else narrow.match
    return _Opinion(narrow.brick, match, confidence, f"{wide.evidence}; {narrow.evidence}")


def _refined(element: Element, opinion: _Opinion) -> _Opinion:
    """Made narrower by medium and direction: words in its name, its system, the direction of its ports."""
    if _protection(element):
        return opinion
    keys = dict(qualified(spoken(element), element.systems, element.flows))
    while True:
        steps = tables.refinements_of(opinion.brick)
        step = next((key for key, by_name in steps if key in keys and (not by_name or keys[key] == "its name")), None)
        if step is None:
            return opinion
        better = tables.refinements()[opinion.brick, step]
        confidence = round(1 - (1 - opinion.confidence) * (1 - CONFIDENCE_SYSTEM), 2)
        opinion = _Opinion(better, opinion.match, confidence, f"{opinion.evidence}; {step.replace('_', ' ')} by {keys[step]}")


def _row(element: Element) -> tables.MappingRow | None:
    type_value = element.type_predefined or element.predefined
    keys = [
        (element.type_class, type_value),
        (element.ifc_class, element.predefined or element.type_predefined),
        (element.type_class, ""),
        (element.ifc_class, ""),
    ]
    return next((tables.mapping()[key] for key in keys if key in tables.mapping()), None)


def _unmapped(element: Element) -> Classified:
    reason = f"no row for {ifc_type(element)} and no known word in its name"
    domain = next((tables.domain_of_ifc()[n] for n in (element.type_class, *element.ancestors) if n in tables.domain_of_ifc()), "other")
    return Classified(element.ref, Coverage.UNMAPPED, "brick:Equipment", "none", domain, reason, 0.0, _protection(element))


def _left_out(element: Element, domain: str, why: str, match: str) -> Classified:
    return Classified(element.ref, Coverage.PASSIVE, "", match, domain, why, 1.0)


def _mapped(element: Element, opinion: _Opinion, domain: str) -> Classified:
    general = opinion.brick in tables.general_classes() and opinion.match != "stated"
    return Classified(
        element.ref,
        Coverage.MAPPED,
        opinion.brick,
        "generic" if general else opinion.match,
        domain or tables.domain_of(opinion.brick),
        opinion.evidence,
        opinion.confidence,
        _protection(element, opinion.brick),
    )


def _protection(element: Element, name: str = "") -> str:
    """Life safety by class and value, by any word in the name, or by the Brick class it got."""
    classes = (*element.ancestors, element.ifc_class, element.type_class)
    values = ("", element.predefined, element.type_predefined)
    for rule in tables.protected_rules():
        if rule.words is None and rule.ifc_class in classes and rule.predefined in values:
            return rule.reason
    only_counts = any(brick().is_a(name, top) for top in _METERING)  # "EM light" is then the energy meter of the lamps
    if not only_counts and (reason := protected_by_name(spoken(element))):
        return reason
    return by_class(name) if name else ""


def _most_telling(element: Element) -> str:
    """The type's class where the own one is only a family (IFC2X3: IfcFlowTerminal), else the own."""
    own_is_family = bool(element.type_class) and element.type_class not in element.ancestors and element.ifc_class.startswith("Ifc")
    return element.type_class if own_is_family else element.ifc_class


def _value(element: Element) -> str:
    values = [v for v in (element.type_predefined, element.predefined) if v and v != "NOTDEFINED"]
    return values[0] if values else ""


def _short(name: str) -> str:
    return re.sub(r"^\w+:", "", name)
