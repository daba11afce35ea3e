"""The twin as triples: places, zones, equipment, points, references and feeds, in the shape that Brick 1.5 accepts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bim.classifying import CONFIDENCE_STATED, Classified, Coverage, ifc_type
from bim.inventory import Element, Place, Ref
from bim.placing import Placement
from bim.points import FoundPoint
from bim.ratings import Rating
from twin.graph import Text, Triple, brick
from twin.own_classes import declaration

PLACE_CLASS = {"site": "rec:Site", "building": "rec:Building", "storey": "rec:Level", "space": "rec:Room"}


@dataclass(frozen=True)
class Origin:
    """Which file a node came from, and the identity of that file's project."""

    project_ids: Mapping[int, str]
    files: Mapping[int, str]

    def triples(self) -> Iterator[Triple]:
        """One node for each model."""
        for number, file in self.files.items():
            node = f"site:model-{number + 1}"
            yield node, "rdf:type", "ref:ifcProject"
            yield node, "ref:ifcProjectID", Text(self.project_ids[number])
            yield node, "ref:ifcFileLocation", Text(file)

    def reference(self, key: str, ref: Ref, global_id: str, name: str, mark: str = "") -> Iterator[Triple]:
        """The link from a node back to its IFC object; `mark` is what it is known by where the GlobalId does not tell."""
        node = f"site:{key}-ifc"
        yield f"site:{key}", "ref:hasExternalReference", node
        yield node, "rdf:type", "ref:IFCReference"
        yield node, "ref:hasIfcProjectReference", f"site:model-{ref[0] + 1}"
        yield node, "ref:ifcGlobalID", Text(global_id)
        yield node, "ref:ifcName", Text(name)
        if mark and mark != global_id:
            yield node, "tw:mark", Text(mark)


def place_triples(place: Place, key: str, parent: str | None, kind: str) -> Iterator[Triple]:
    """A site, building, level or room, below its parent."""
    node = f"site:{key}"
    yield node, "rdf:type", kind
    yield node, "rdfs:label", Text(place.long_name if place.kind == "space" and not place.name else place.name or key)
    yield node, "tw:ifcType", Text(f"{place.ifc_class}.{place.predefined}" if place.predefined else place.ifc_class)
    if place.kind == "space" and place.long_name and place.name and place.long_name != place.name:
        yield node, "tw:longName", Text(place.long_name)
    if place.kind == "storey":
        yield node, "tw:elevation_m", _number(place.elevation_m)
    for name, value in (("area_m2", place.area_m2), ("height_m", place.height_m), ("volume_m3", place.volume_m3)):
        if value is not None:
            yield node, f"tw:{name}", _number(value)
    if parent is not None:
        yield f"site:{parent}", "rec:hasPart", node


def group_triples(key: str, kind: str, name: str, ifc_class: str, members: Iterable[str]) -> Iterator[Triple]:
    """A zone of rooms or a system of equipment."""
    node = f"site:{key}"
    yield node, "rdf:type", kind
    yield from declaration(kind)
    yield node, "rdfs:label", Text(name or key)
    yield node, "tw:ifcType", Text(ifc_class)
    link = "rec:includes" if brick().is_a(kind, "brick:System") else "rec:hasPart"
    for member in members:
        yield node, link, f"site:{member}"


def equipment_triples(element: Element, verdict: Classified, key: str, location: str | None, placement: Placement) -> Iterator[Triple]:
    """A piece of equipment with its evidence; an unmapped one is kept, with the reason."""
    node = f"site:{key}"
    yield node, "rdf:type", verdict.brick
    yield from declaration(verdict.brick)
    yield node, "rdfs:label", Text(element.name or key)
    yield node, "tw:ifcType", Text(ifc_type(element))
    yield from _evidence(node, verdict)
    if location is not None:
        yield node, "brick:hasLocation", f"site:{location}"
        yield node, "tw:placedBy", Text(placement.evidence if placement.room is not None else "storey")
    if verdict.coverage is Coverage.UNMAPPED:
        yield node, "tw:unmapped", Text(verdict.evidence)


def position_triple(key: str, element: Element) -> Iterator[Triple]:
    """Where an element stands, in metres to the centimetre: a new import tells from it what moved."""
    if element.position is not None:
        yield f"site:{key}", "tw:position", Text(" ".join(f"{v + 0.0:.2f}" for v in (round(x, 2) for x in element.position)))


def rating_triples(key: str, ratings: Sequence[Rating]) -> Iterator[Triple]:
    """What the equipment is rated for, in SI units; a node for each property."""
    for n, rating in enumerate(ratings, 1):
        node = f"site:{key}-rating-{n}"
        yield f"site:{key}", "tw:rating", node
        yield node, "tw:property", Text(rating.name)
        yield node, "tw:set", Text(rating.pset)
        yield node, "tw:value", _significant(rating.value)
        yield node, "brick:hasUnit", f"unit:{rating.unit}"
        yield f"unit:{rating.unit}", "rdf:type", "qudt:Unit"


def point_triples(point: FoundPoint, verdict: Classified | None, key: str, owner: str | None) -> Iterator[Triple]:
    """A point, its unit, its owner and its address."""
    node = f"site:{key}"
    yield node, "rdf:type", point.brick
    yield node, "rdfs:label", Text(point.name or key)
    yield node, "brick:hasUnit", f"unit:{point.unit}"
    yield f"unit:{point.unit}", "rdf:type", "qudt:Unit"
    if owner is not None:
        yield node, "brick:isPointOf", f"site:{owner}"
    if not point.extra and verdict is not None:
        yield from _evidence(node, verdict)
    if point.address is not None and point.address.text:
        yield from _address_triples(point, key)


def _address_triples(point: FoundPoint, key: str) -> Iterator[Triple]:
    address = point.address
    assert address is not None
    node, device = f"site:{key}-address", f"site:device-{_device_key(address.device)}"
    yield f"site:{key}", "ref:hasExternalReference", node
    yield node, "tw:address", Text(address.text)
    yield node, "tw:connection", Text(address.device)
    for name, value in (("scale", address.scale if address.scale != 1.0 else 0.0), ("offset", address.offset)):
        if value:
            yield node, f"tw:{name}", Text(f"{value:g}")
    if address.writable:
        yield node, "tw:writable", Text("true")
    if address.bound_by:
        yield node, "tw:boundBy", Text(address.bound_by)
    if address.confidence < 1.0:
        yield node, "tw:confidence", _number(address.confidence)
    if address.text.startswith("modbus:"):
        yield node, "rdf:type", "tw:ModbusReference"
        yield from declaration("tw:ModbusReference")
        return
    yield node, "rdf:type", "ref:BACnetReference"
    yield node, "bacnet:object-identifier", Text(address.text.rsplit("/", 1)[1])
    yield node, "bacnet:object-name", Text(address.object_name or point.name)
    yield node, "bacnet:contains", device
    yield device, "rdf:type", "bacnet:device"
    yield device, "tw:connection", Text(address.device)


def feed_triples(source: str, source_class: str, target: str, target_class: str) -> Iterator[Triple]:
    """`brick:feeds` where Brick allows it between these classes, else our own `tw:flowsTo`."""
    yield f"site:{source}", "brick:feeds" if may_feed(source_class, target_class) else "tw:flowsTo", f"site:{target}"


def return_triples(source: str, target: str) -> Iterator[Triple]:
    """The way back to the plant: no feed, for whoever asks what an air handler feeds must not get the air handler itself."""
    yield f"site:{source}", "tw:returnsTo", f"site:{target}"


def may_feed(source: str, target: str) -> bool:
    """Brick 1.5: HVAC equipment feeds HVAC equipment, valves and places; lighting feeds lighting and places."""
    if target.startswith("rec:"):
        return True
    if brick().is_a(source, "brick:Lighting_Equipment"):
        return brick().is_a(target, "brick:Lighting_Equipment")
    if brick().is_a(source, "brick:HVAC_Equipment"):
        return any(brick().is_a(target, name) for name in ("brick:HVAC_Equipment", "brick:Valve"))
    return False


def metered_triples(meters: Sequence[tuple[str, str]], building: str) -> Iterator[Triple]:
    """A building meter meters the building."""
    for key, kind in meters:
        if brick().is_a(kind, "brick:Building_Meter"):
            yield f"site:{key}", "brick:meters", f"site:{building}"


def _evidence(node: str, verdict: Classified) -> Iterator[Triple]:
    if verdict.confidence < CONFIDENCE_STATED:
        yield node, "tw:evidence", Text(verdict.evidence)
        yield node, "tw:confidence", _number(verdict.confidence)
    if verdict.protected:
        yield node, "tw:protected", Text(verdict.protected)


def _number(value: float) -> Text:
    return Text(f"{value:.4f}".rstrip("0").rstrip("."), number=True)


def _significant(value: float) -> Text:
    """Six digits count: what a conversion adds behind them says nothing."""
    return Text(format(Decimal(f"{value:.6g}"), "f"), number=True)


def _device_key(connection: str) -> str:
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in connection)
