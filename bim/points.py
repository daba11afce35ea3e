"""The points in a model: sensors and actuators, and equipment that carries an address itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bim.addressing import PsetAddress
from bim.classifying import Classified, Coverage
from bim.inventory import Element, Inventory, Ref
from bim.placing import Placement
from bim.tables import equipment_point, refinements, unit_of
from twin.graph import brick

_BINARY_MARKS = ("/binary-", "/coil/", "/discrete/")  # parts of an address that say it holds yes or no


@dataclass(frozen=True, slots=True)
class FoundPoint:
    """A point before it has a key. `owner` is equipment or a place; `element` carries it, `extra` marks an own node beside it."""

    element: Ref
    name: str
    brick: str
    unit: str
    owner: Ref | None
    address: PsetAddress | None
    extra: int  # 0: the element is the point; 1, 2, ...: the n-th address on a piece of equipment


@dataclass(frozen=True)
class _Context:
    inventory: Inventory
    classes: Mapping[Ref, Classified]
    placements: Mapping[Ref, Placement]
    place_of: Callable[[Ref], Ref | None]


def find_points(
    inventory: Inventory, classes: Mapping[Ref, Classified], placements: Mapping[Ref, Placement], place_of: Callable[[Ref], Ref | None]
) -> list[FoundPoint]:
    """Every point of the site; `place_of` gives an element's room or storey, the owner of last resort."""
    context = _Context(inventory, classes, placements, place_of)
    found = []
    for ref, element in inventory.elements.items():
        verdict = classes[ref]
        if verdict.coverage is Coverage.PASSIVE:
            continue
        if point_class(element, verdict):
            found.append(_own(element, verdict, context))
        else:
            found += [_carried(element, verdict, address, n + 1) for n, address in enumerate(element.addresses)]
    return found


def point_class(element: Element, verdict: Classified) -> str:
    """The point class of an element that is a point, else empty. An actuator with an address is the command it takes."""
    if verdict.is_point:
        return verdict.brick
    return "brick:Command" if element.ifc_class == "IfcActuator" and element.addresses else ""


def _own(element: Element, verdict: Classified, context: _Context) -> FoundPoint:
    owner = _owner(element.ref, context)
    name = point_class(element, verdict)
    if verdict.match != "stated":
        name = _refined(name, element, owner, context)
    address = element.addresses[0] if element.addresses else None
    unit = (address.unit if address else "") or unit_of(name)
    return FoundPoint(element.ref, element.name, name, unit, owner, address, 0)


def _owner(ref: Ref, context: _Context) -> Ref | None:
    """What the model says it controls or measures; else the room or storey it is in."""
    owner = context.inventory.owner_of.get(ref)
    if owner is not None and owner in context.classes:
        verdict = context.classes[owner]
        if verdict.coverage is not Coverage.PASSIVE and not verdict.is_point:
            return owner
    return context.place_of(ref)


def _refined(name: str, element: Element, owner: Ref | None, context: _Context) -> str:
    verdict = context.classes.get(owner) if owner is not None else None
    if verdict is not None and brick().is_a(verdict.brick, "brick:Terminal_Unit"):
        return refinements().get((name, "terminal"), name)
    in_room = context.placements[element.ref].room is not None if element.ref in context.placements else False
    return refinements().get((name, "room"), name) if in_room and verdict is None else name


def _carried(element: Element, verdict: Classified, address: PsetAddress, number: int) -> FoundPoint:
    """A point on the equipment itself: its class by the property set, else by what an address on such equipment means."""
    stated = f"brick:{address.point_class.removeprefix('brick:')}"
    binary = any(mark in address.text for mark in _BINARY_MARKS)
    usual, tag = equipment_point(verdict.brick, binary, address.writable)
    name = stated if stated in brick().classes and brick().is_a(stated, "brick:Point") else usual
    return FoundPoint(
        element.ref, address.point_name or f"{element.name}.{tag}", name, address.unit or unit_of(name), element.ref, address, number
    )
