"""Ports of pipes, ducts, cables and equipment, and what connects them, as flat records of one file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bim.placements import Placements, Ref, Xyz

Relations = Callable[[str, str, str], Iterator[tuple[Any, list[Any]]]]


@dataclass(frozen=True, slots=True)
class Port:
    """Where something flows in or out of an element. `direction` and `medium` are the model's own words, empty where it has none."""

    ref: Ref
    holder: Ref
    direction: str = ""  # SOURCE, SINK, SOURCEANDSINK, NOTDEFINED
    medium: str = ""  # IfcDistributionSystemEnum
    name: str = ""
    position: Xyz | None = None
    facing: Xyz | None = None  # its z axis, where the model turns it


@dataclass(frozen=True, slots=True)
class PortLink:
    """Two ports that are connected, and what says so: ports, elements (a relation without ports) or touching (geometry alone)."""

    a: Ref
    b: Ref
    evidence: str = "ports"


def read_ports(number: int, relations: Relations, placements: Placements) -> tuple[dict[Ref, Port], list[PortLink]]:
    """Every port that an element holds, by nesting, by aggregation or by the relation of IFC2X3, and every connection."""
    ports: dict[Ref, Port] = {}
    for relation, whole, parts in (
        ("IfcRelAggregates", "RelatingObject", "RelatedObjects"),
        ("IfcRelNests", "RelatingObject", "RelatedObjects"),
        ("IfcRelConnectsPortToElement", "RelatedElement", "RelatingPort"),
    ):
        for element, items in relations(relation, whole, parts):
            for item in items:
                if item.is_a("IfcPort") and element.is_a("IfcProduct"):
                    ports[number, item.id()] = _port(number, item, element, placements)
    links = [
        PortLink((number, a.id()), (number, b.id()))
        for a, others in relations("IfcRelConnectsPorts", "RelatingPort", "RelatedPort")
        for b in others
        if (number, a.id()) in ports and (number, b.id()) in ports
    ]
    for one, others in relations("IfcRelConnectsElements", "RelatingElement", "RelatedElement"):
        for n, two in enumerate(o for o in others if o.is_a("IfcDistributionElement") and one.is_a("IfcDistributionElement")):
            ends = _unstated(number, one, two, 2 * n), _unstated(number, two, one, 2 * n + 1)
            ports |= {end.ref: end for end in ends}
            links.append(PortLink(ends[0].ref, ends[1].ref, "elements"))
    return ports, links


def _unstated(number: int, holder: Any, other: Any, side: int) -> Port:
    """The end of a connection that names elements only; its number is negative, so that no port of the file has it."""
    return Port((number, -(holder.id() * 1_000_003 + other.id() * 11 + side)), (number, holder.id()))


def _port(number: int, item: Any, element: Any, placements: Placements) -> Port:
    axes = placements.axes(item)
    return Port(
        (number, item.id()),
        (number, element.id()),
        str(getattr(item, "FlowDirection", None) or ""),
        str(getattr(item, "SystemType", None) or ""),
        str(item.Name or ""),
        placements.position(item),
        axes[2] if axes else None,
    )
