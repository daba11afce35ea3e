"""Write an IFC model (IFC4 or IFC4X3) of rooms, equipment, ducts, systems and addresses: the same bytes for the same building.

Lengths are metres. GlobalIds are derived from what a thing is and what it is called, so they survive a second writing.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid

from bim.addressing import PSET_BACNET, PSET_MODBUS
from bim.drawing import OTHER_SIZE, SIZES, Drawing, Size, along
from bim.placements import Xyz
from bim.templates import declare_templates
from twin.addresses import BacnetAddress, parse_address
from twin.graph import PREFIXES, class_name
from twin.state import write_whole

Entity = Any  # ifcopenshell ships no types
SCHEMAS = {"IFC4": "IFC4", "IFC4X3": "IFC4X3_ADD2"}
WRITE_PRIORITY = 13  # where an optimiser belongs among BACnet's sixteen; below operators (8) and above schedules
_GUID_SPACE = uuid.UUID("0b6e1a7e-9d0c-5c57-8f1a-3b7a7c1e5d42")  # arbitrary and fixed: makes GlobalIds repeatable
_TIME_STAMP = "2026-01-01T00:00:00"  # fixed: equal buildings give equal bytes


@dataclass(frozen=True)
class Spot:
    """Where an element stands: what contains it (a room or a storey) and its insertion point."""

    container: Entity
    x_m: float
    y_m: float
    z_m: float
    looks: tuple[float, float] | None = None  # the level direction a thing on a wall looks in; its own y axis


@dataclass(frozen=True)
class Run:
    """What a duct, pipe or cable is: IFC class, value, kind of its ports, and radius in m."""

    ifc_class: str
    kind: str
    port_kind: str
    radius_m: float


DUCT = Run("IfcDuctSegment", "RIGIDSEGMENT", "DUCT", 0.15)
PIPE = Run("IfcPipeSegment", "RIGIDSEGMENT", "PIPE", 0.025)
CABLE = Run("IfcCableSegment", "CABLESEGMENT", "CABLE", 0.01)


@dataclass(frozen=True)
class PointMark:
    """What the model says of a point: address, unit and scale; name and class where the element itself is equipment."""

    address: str
    unit: str
    scale: float = 1.0
    writable: bool = False
    name: str = ""
    brick: str = ""


@dataclass(frozen=True)
class KnownRoom:
    """A room of another model, repeated under its own GlobalId so that the two models are read as one building."""

    global_id: str
    name: str
    long_name: str
    outline: Sequence[tuple[float, float]]  # empty: the other model draws no body
    holes: Sequence[Sequence[tuple[float, float]]]
    floor_z_m: float
    height_m: float


@dataclass
class _Relations:
    """Members gathered by what they relate to; the relation objects are made once, at the end."""

    parts: dict[int, list[Entity]] = field(default_factory=lambda: defaultdict(list))
    contents: dict[int, list[Entity]] = field(default_factory=lambda: defaultdict(list))
    zone_rooms: dict[int, list[Entity]] = field(default_factory=lambda: defaultdict(list))
    members: dict[int, list[Entity]] = field(default_factory=lambda: defaultdict(list))
    controls: dict[int, list[Entity]] = field(default_factory=lambda: defaultdict(list))
    ports: dict[int, list[Entity]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str, list[Entity]] = field(default_factory=lambda: defaultdict(list))


class ModelWriter:
    """One IFC model being written: add storeys first, then rooms, zones and elements; `content()` ends it."""

    def __init__(self, name: str, schema: str = "IFC4") -> None:
        self.name = name
        self._file = ifcopenshell.file(schema_version=(4, 3, 2, 0)) if schema == "IFC4X3" else ifcopenshell.file(schema=SCHEMAS[schema])
        self._relations = _Relations()
        self._drawing = Drawing(self._file)
        self._sizes: dict[int, Size] = {}
        self._known: dict[int, str] = {}  # GlobalIds of things that stand in another model too
        project = self._make("IfcProject", Name=name, RepresentationContexts=[self._drawing.context], UnitsInContext=self._units())
        site = self._make("IfcSite", Name=name, ObjectPlacement=self._drawing.placement(None, (0, 0, 0)))
        self.building = self._make("IfcBuilding", Name=name, ObjectPlacement=self._drawing.placement(site, (0, 0, 0)))
        self._relations.parts[project.id()] = [site]
        self._relations.parts[site.id()] = [self.building]
        self._classification = self._make("IfcClassification", Source="https://brickschema.org", Edition="1.5", Name="Brick")
        self._make_relation("IfcRelAssociatesClassification", RelatedObjects=[project], RelatingClassification=self._classification)
        self._make_relation("IfcRelDeclares", RelatingContext=project, RelatedDefinitions=declare_templates(self._make))

    def storey(self, name: str, elevation_m: float) -> Entity:
        """A storey of the building."""
        placement = self._drawing.placement(self.building, (0, 0, elevation_m))
        storey = self._make("IfcBuildingStorey", Name=name, ObjectPlacement=placement, Elevation=float(elevation_m))
        self._relations.parts[self.building.id()].append(storey)
        return storey

    def known_storey(self, global_id: str, name: str, elevation_m: float) -> Entity:
        """A storey of another model, under its own GlobalId."""
        storey = self.storey(name, elevation_m)
        self._known[storey.id()] = global_id
        return storey

    def known_room(self, storey: Entity, known: KnownRoom) -> Entity:
        """A room of another model where that one has it; what it measures is the other model's to say."""
        room = self._make("IfcSpace", Name=known.name, LongName=known.long_name or None, PredefinedType="INTERNAL")
        room.ObjectPlacement = self._drawing.placement(storey, (0, 0, known.floor_z_m - _elevation(storey)))
        if known.outline:
            room.Representation = self._drawing.prism(known.outline, known.height_m, known.holes)
        self._relations.parts[storey.id()].append(room)
        self._known[room.id()] = known.global_id
        return room

    def known_element(self, global_id: str, ifc_class: str, name: str, spot: Spot) -> Entity:
        """An element of another model, to hang points and ports on; a class that this schema lacks becomes a proxy."""
        try:
            element = self._make(ifc_class, Name=name)
        except RuntimeError:
            element = self._make("IfcBuildingElementProxy", Name=name)
        at = (spot.x_m, spot.y_m, spot.z_m - _elevation(spot.container))
        element.ObjectPlacement = self._drawing.placement(spot.container, at)
        self._relations.contents[spot.container.id()].append(element)
        self._sizes[element.id()] = OTHER_SIZE
        self._known[element.id()] = global_id
        return element

    def room(
        self,
        name: str,
        storey: Entity,
        polygon: Sequence[tuple[float, float]],
        height_m: float,
        holes: Sequence[Sequence[tuple[float, float]]] = (),
    ) -> Entity:
        """A room: the polygon (counter-clockwise, absolute) without its holes, raised to its height; area and volume as quantities."""
        room = self._make("IfcSpace", Name=name, LongName=name.replace("_", " "), PredefinedType="INTERNAL")
        room.ObjectPlacement = self._drawing.placement(storey, (0, 0, 0))
        room.Representation = self._drawing.prism(polygon, height_m, holes)
        self._relations.parts[storey.id()].append(room)
        area = _area(polygon) - sum(_area(hole) for hole in holes)
        quantities = [
            self._make("IfcQuantityArea", Name="NetFloorArea", AreaValue=round(area, 4)),
            self._make("IfcQuantityLength", Name="Height", LengthValue=float(height_m)),
            self._make("IfcQuantityVolume", Name="NetVolume", VolumeValue=round(area * height_m, 4)),
        ]
        qto = self._make("IfcElementQuantity", Name="Qto_SpaceBaseQuantities", Quantities=quantities)
        self._make_relation("IfcRelDefinesByProperties", RelatedObjects=[room], RelatingPropertyDefinition=qto)
        return room

    def zone(self, name: str, rooms: Sequence[Entity], kind: str = "THERMAL") -> Entity:
        """A zone of rooms that one terminal serves."""
        zone = self._make(
            "IfcSpatialZone", Name=name, PredefinedType=kind, ObjectPlacement=self._drawing.placement(self.building, (0, 0, 0))
        )
        self._relations.parts[self.building.id()].append(zone)
        self._relations.zone_rooms[zone.id()] += rooms
        return zone

    def system(self, name: str, kind: str, members: Sequence[Entity]) -> Entity:
        """A distribution system that serves the building."""
        system = self._make("IfcDistributionSystem", Name=name, PredefinedType=kind)
        self._relations.members[system.id()] += members
        self._make_relation("IfcRelServicesBuildings", RelatingSystem=system, RelatedBuildings=[self.building])
        return system

    def circuit(self, name: str, kind: str, members: Sequence[Entity], system: Entity) -> Entity:
        """A circuit or branch of a system: who is in it hangs on one fuse or valve."""
        circuit = self._make("IfcDistributionCircuit", Name=name, PredefinedType=kind)
        self._relations.members[circuit.id()] += members
        self._relations.parts[system.id()].append(circuit)
        return circuit

    def element(self, ifc_class: str, name: str, kind: str, spot: Spot, brick: str = "", size: Size | None = None) -> Entity:
        """An element at its spot with a box for a body; `kind` is its PredefinedType, `brick` states its class, of Brick or ours."""
        element = self._make(ifc_class, Name=name, PredefinedType=kind)
        if kind == "USERDEFINED":
            element.ObjectType = name.rsplit(".", 1)[-1].upper()
        self._relations.contents[spot.container.id()].append(element)
        at = (spot.x_m, spot.y_m, spot.z_m - _elevation(spot.container))
        x_axis = (spot.looks[1], -spot.looks[0], 0.0) if spot.looks else None
        element.ObjectPlacement = self._drawing.placement(spot.container, at, x_axis)
        self._sizes[element.id()] = size or SIZES.get(ifc_class, OTHER_SIZE)
        element.Representation = self._drawing.box(self._sizes[element.id()])
        if brick:
            self._relations.classes[brick].append(element)
        return element

    def control(self, owner: Entity, parts: Sequence[Entity]) -> None:
        """Sensors and actuators belong to `owner`; IFC allows an element one such relation, so all go into the same."""
        self._relations.controls[owner.id()] += parts

    def connect(self, source: Entity, sink: Entity, flow: str = "AIRCONDITIONING", run: Run = DUCT) -> None:
        """Two things that touch: a port on each side with its direction."""
        name = f"{source.Name} to {sink.Name}"
        out = self._port(source, f"{name}, out", "SOURCE", flow, run, self._side(source, sink))
        into = self._port(sink, f"{name}, in", "SINK", flow, run, self._side(sink, source))
        self._make_relation("IfcRelConnectsPorts", RelatingPort=out, RelatedPort=into)

    def run(self, source: Entity, sink: Entity, storey: Entity, flow: str = "AIRCONDITIONING", run: Run = DUCT) -> Entity:
        """A straight duct, pipe or cable from one thing to another, with ports at both its ends and theirs; the segment comes back."""
        name = f"{source.Name} to {sink.Name}"
        sides = self._side(source, sink), self._side(sink, source)
        start, end = (_sum(_absolute(thing), side) for thing, side in zip((source, sink), sides, strict=True))
        length, z_axis, x_axis = along(start, end)
        segment = self._make(run.ifc_class, Name=name, PredefinedType=run.kind)
        self._relations.contents[storey.id()].append(segment)
        segment.ObjectPlacement = self._drawing.placement(storey, _sum(start, (0, 0, -_elevation(storey))), x_axis, z_axis)
        segment.Representation = self._drawing.rod(run.radius_m, length)
        out = self._port(source, f"{name}, out", "SOURCE", flow, run, sides[0])
        inlet = self._port(segment, f"{name}, start", "SINK", flow, run, (0, 0, 0))
        outlet = self._port(segment, f"{name}, end", "SOURCE", flow, run, (0, 0, length))
        into = self._port(sink, f"{name}, in", "SINK", flow, run, sides[1])
        self._make_relation("IfcRelConnectsPorts", RelatingPort=out, RelatedPort=inlet)
        self._make_relation("IfcRelConnectsPorts", RelatingPort=outlet, RelatedPort=into)
        return segment

    def _port(self, element: Entity, name: str, direction: str, flow: str, run: Run, at: Xyz) -> Entity:
        port = self._make("IfcDistributionPort", Name=name, FlowDirection=direction, PredefinedType=run.port_kind, SystemType=flow)
        port.ObjectPlacement = self._drawing.placement(element, at)
        self._relations.ports[element.id()].append(port)
        return port

    def _side(self, element: Entity, other: Entity) -> Xyz:
        """The middle of the side of an unturned element's box that looks to the other."""
        size = self._sizes[element.id()]
        dx, dy, _ = (b - a for a, b in zip(_absolute(element), _absolute(other), strict=True))
        if abs(dx) * size.depth >= abs(dy) * size.width:
            return (size.width / 2 if dx >= 0 else -size.width / 2), 0.0, size.height / 2
        return 0.0, (size.depth / 2 if dy >= 0 else -size.depth / 2), size.height / 2

    def mark(self, element: Entity, point: PointMark) -> None:
        """Give an element the property set with its point's address."""
        address = parse_address(point.address)
        if isinstance(address, BacnetAddress):
            name, values = PSET_BACNET, _bacnet_values(element, address, point)
        else:
            name = PSET_MODBUS
            values = {
                "Connection": address.connection,
                "UnitId": address.unit,
                "Table": address.table,
                "Address": address.register,
                "DataType": address.data_type,
                "WordOrder": address.word_order,
                "Scale": point.scale,
                "Offset": 0.0,
            }
        values |= {"Writable": point.writable, "Unit": point.unit}
        values |= {key: value for key, value in (("PointName", point.name), ("PointClass", point.brick)) if value}
        properties = [self._make("IfcPropertySingleValue", Name=key, NominalValue=self._value(value)) for key, value in values.items()]
        pset = self._make("IfcPropertySet", Name=name, HasProperties=properties)
        self._make_relation("IfcRelDefinesByProperties", RelatedObjects=[element], RelatingPropertyDefinition=pset)

    def content(self) -> bytes:
        """The finished model as text of a STEP file."""
        self._relate()
        _fix_global_ids(self._file)
        for number, global_id in self._known.items():
            self._file.by_id(number).GlobalId = global_id
        header = self._file.header.file_name
        header.name, header.time_stamp = f"{self.name}.ifc", _TIME_STAMP
        header.author, header.organization = ("",), ("",)
        header.preprocessor_version, header.originating_system, header.authorization = "wattproof", "wattproof", ""
        return str(self._file.to_string()).encode("ascii")

    def write(self, path: Path) -> None:
        """Write the model whole or not at all."""
        write_whole(path, self.content())

    def _relate(self) -> None:
        r, by_id = self._relations, self._file.by_id
        for key, parts in r.parts.items():
            self._make_relation("IfcRelAggregates", RelatingObject=by_id(key), RelatedObjects=parts)
        for key, contents in r.contents.items():
            self._make_relation("IfcRelContainedInSpatialStructure", RelatedElements=contents, RelatingStructure=by_id(key))
        for key, rooms in r.zone_rooms.items():
            self._make_relation("IfcRelReferencedInSpatialStructure", RelatedElements=rooms, RelatingStructure=by_id(key))
        for key, members in r.members.items():
            self._make_relation("IfcRelAssignsToGroup", RelatedObjects=members, RelatingGroup=by_id(key))
        for key, parts in r.controls.items():
            self._make_relation("IfcRelFlowControlElements", RelatedControlElements=parts, RelatingFlowElement=by_id(key))
        for key, ports in r.ports.items():
            self._make_relation("IfcRelNests", RelatingObject=by_id(key), RelatedObjects=ports)
        for name, elements in sorted(r.classes.items()):
            prefix, _, local = class_name(name).partition(":")
            reference = self._make(
                "IfcClassificationReference",
                Location=f"{PREFIXES[prefix]}{local}",
                Identification=name,
                Name=name,
                ReferencedSource=self._classification,
            )
            self._make_relation("IfcRelAssociatesClassification", RelatedObjects=elements, RelatingClassification=reference)

    def _make(self, ifc_class: str, *values: Any, **attributes: Any) -> Entity:
        entity = self._file.create_entity(ifc_class, *values, **attributes)
        if entity.is_a("IfcRoot"):
            entity.GlobalId = ifcopenshell.guid.compress(uuid.uuid5(_GUID_SPACE, str(entity.id())).hex)  # replaced at the end
        return entity

    def _make_relation(self, ifc_class: str, **attributes: Any) -> Entity:
        return self._make(ifc_class, **attributes)

    def _units(self) -> Entity:
        kinds = (("LENGTHUNIT", "METRE"), ("AREAUNIT", "SQUARE_METRE"), ("VOLUMEUNIT", "CUBIC_METRE"))
        return self._make("IfcUnitAssignment", Units=[self._make("IfcSIUnit", UnitType=kind, Name=name) for kind, name in kinds])

    def _value(self, value: object) -> Entity:
        kind = {bool: "IfcBoolean", int: "IfcInteger", float: "IfcReal"}.get(type(value), "IfcLabel")
        return self._make(kind, value)


def _bacnet_values(element: Entity, address: BacnetAddress, point: PointMark) -> dict[str, Any]:
    values: dict[str, Any] = {
        "Connection": address.connection,
        "ObjectIdentifier": f"{address.object_type},{address.instance}",
        "ObjectName": element.Name,
        "Property": "present-value",
    }
    if point.scale != 1.0:
        values["Scale"] = point.scale
    return values | ({"Priority": WRITE_PRIORITY} if point.writable else {})


def _elevation(container: Entity) -> float:
    """Height of a storey or room above the building's zero."""
    return _absolute(container)[2]


def _absolute(thing: Entity) -> Xyz:
    """Where a thing stands, climbing its placements; what we write turns elements only, never what they stand in."""
    placement, at = thing.ObjectPlacement, (0.0, 0.0, 0.0)
    while placement is not None:
        at = _sum(at, placement.RelativePlacement.Location.Coordinates)
        placement = placement.PlacementRelTo
    return at


def _sum(a: Xyz, b: Sequence[float]) -> Xyz:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _area(polygon: Sequence[tuple[float, float]]) -> float:
    return abs(sum(polygon[i - 1][0] * y - x * polygon[i - 1][1] for i, (x, y) in enumerate(polygon))) / 2


def _fix_global_ids(model: Any) -> None:
    """GlobalIds from a stable path: class and name for things, class and what it relates for relations and property sets."""
    seen: Counter[str] = Counter()
    owner_of = {rel.RelatingPropertyDefinition.id(): rel.RelatedObjects[0] for rel in model.by_type("IfcRelDefinesByProperties")}
    for things in (model.by_type("IfcObjectDefinition"), model.by_type("IfcPropertyDefinition"), model.by_type("IfcRelationship")):
        for thing in things:
            path = _path(thing, owner_of)
            seen[path] += 1
            thing.GlobalId = ifcopenshell.guid.compress(uuid.uuid5(_GUID_SPACE, f"{path}|{seen[path]}").hex)


def _path(thing: Entity, owner_of: Mapping[int, Entity]) -> str:
    if thing.is_a("IfcObjectDefinition"):
        return f"{thing.is_a()}|{thing.Name}"
    if thing.is_a("IfcPropertyTemplateDefinition"):
        return f"{thing.is_a()}|{thing.Description}|{thing.Name}"
    if thing.is_a("IfcPropertyDefinition"):
        return f"{thing.is_a()}|{thing.Name}|{owner_of[thing.id()].GlobalId}"
    related = [v for k, v in thing.get_info().items() if k.startswith("Relating") and hasattr(v, "is_a")]
    names = [v.GlobalId if v.is_a("IfcRoot") else v.Name for v in related]
    return f"{thing.is_a()}|{'|'.join(names)}"
