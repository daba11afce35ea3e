"""Write an IFC model (IFC4 or IFC4X3) of rooms, zones, equipment, sensors and their addresses: the same bytes for the same building.

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
from twin.addresses import BacnetAddress, parse_address
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


@dataclass(frozen=True)
class PointMark:
    """What the model says of a point: address, unit and scale; name and class where the element itself is equipment."""

    address: str
    unit: str
    scale: float = 1.0
    writable: bool = False
    name: str = ""
    brick: str = ""


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
        self._origin = self._make("IfcCartesianPoint", (0.0, 0.0, 0.0))
        self._root_context()
        project = self._make("IfcProject", Name=name, RepresentationContexts=[self._context], UnitsInContext=self._units())
        site = self._make("IfcSite", Name=name, ObjectPlacement=self._placement(None, 0, 0, 0))
        self.building = self._make("IfcBuilding", Name=name, ObjectPlacement=self._placement(site, 0, 0, 0))
        self._relations.parts[project.id()] = [site]
        self._relations.parts[site.id()] = [self.building]
        self._classification = self._make("IfcClassification", Source="https://brickschema.org", Edition="1.5", Name="Brick")
        self._make_relation("IfcRelAssociatesClassification", RelatedObjects=[project], RelatingClassification=self._classification)

    def storey(self, name: str, elevation_m: float) -> Entity:
        """A storey of the building."""
        placement = self._placement(self.building, 0, 0, elevation_m)
        storey = self._make("IfcBuildingStorey", Name=name, ObjectPlacement=placement, Elevation=float(elevation_m))
        self._relations.parts[self.building.id()].append(storey)
        return storey

    def room(self, name: str, storey: Entity, polygon: Sequence[tuple[float, float]], height_m: float) -> Entity:
        """A room: the polygon (counter-clockwise, absolute) raised to its height, with area and volume as quantities."""
        room = self._make("IfcSpace", Name=name, LongName=name.replace("_", " "), PredefinedType="INTERNAL")
        room.ObjectPlacement = self._placement(storey, 0, 0, 0)
        room.Representation = self._prism(polygon, height_m)
        self._relations.parts[storey.id()].append(room)
        area = abs(sum(polygon[i - 1][0] * y - x * polygon[i - 1][1] for i, (x, y) in enumerate(polygon))) / 2
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
        zone = self._make("IfcSpatialZone", Name=name, PredefinedType=kind, ObjectPlacement=self._placement(self.building, 0, 0, 0))
        self._relations.parts[self.building.id()].append(zone)
        self._relations.zone_rooms[zone.id()] += rooms
        return zone

    def system(self, name: str, kind: str, members: Sequence[Entity]) -> Entity:
        """A distribution system that serves the building."""
        system = self._make("IfcDistributionSystem", Name=name, PredefinedType=kind)
        self._relations.members[system.id()] += members
        self._make_relation("IfcRelServicesBuildings", RelatingSystem=system, RelatedBuildings=[self.building])
        return system

    def element(self, ifc_class: str, name: str, kind: str, spot: Spot, brick: str = "") -> Entity:
        """An element at its spot; `kind` is its PredefinedType, `brick` states its Brick class as a classification reference."""
        element = self._make(ifc_class, Name=name, PredefinedType=kind)
        if kind == "USERDEFINED":
            element.ObjectType = name.rsplit(".", 1)[-1].upper()
        self._relations.contents[spot.container.id()].append(element)
        storey_z = _elevation(spot.container)
        element.ObjectPlacement = self._placement(spot.container, spot.x_m, spot.y_m, spot.z_m - storey_z)
        if brick:
            self._relations.classes[brick].append(element)
        return element

    def control(self, owner: Entity, parts: Sequence[Entity]) -> None:
        """Sensors and actuators belong to `owner`; IFC allows an element one such relation, so all go into the same."""
        self._relations.controls[owner.id()] += parts

    def connect(self, source: Entity, sink: Entity, flow: str = "AIRCONDITIONING") -> None:
        """A duct or pipe connection, as a port on each side with its direction."""
        out, into = (
            self._make(
                "IfcDistributionPort",
                Name=f"{source.Name} to {sink.Name}, {side}",
                FlowDirection=direction,
                PredefinedType="DUCT",
                SystemType=flow,
                ObjectPlacement=self._placement(element, 0, 0, 0),
            )
            for element, side, direction in ((source, "out", "SOURCE"), (sink, "in", "SINK"))
        )
        self._relations.ports[source.id()].append(out)
        self._relations.ports[sink.id()].append(into)
        self._make_relation("IfcRelConnectsPorts", RelatingPort=out, RelatedPort=into)

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
            reference = self._make(
                "IfcClassificationReference",
                Location=f"https://brickschema.org/schema/Brick#{name}",
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

    def _root_context(self) -> None:
        axes = self._make("IfcAxis2Placement3D", Location=self._origin)
        self._context = self._make(
            "IfcGeometricRepresentationContext",
            ContextType="Model",
            CoordinateSpaceDimension=3,
            Precision=1e-5,
            WorldCoordinateSystem=axes,
        )
        self._body = self._make(
            "IfcGeometricRepresentationSubContext",
            ContextIdentifier="Body",
            ContextType="Model",
            ParentContext=self._context,
            TargetView="MODEL_VIEW",
        )

    def _units(self) -> Entity:
        kinds = (("LENGTHUNIT", "METRE"), ("AREAUNIT", "SQUARE_METRE"), ("VOLUMEUNIT", "CUBIC_METRE"))
        return self._make("IfcUnitAssignment", Units=[self._make("IfcSIUnit", UnitType=kind, Name=name) for kind, name in kinds])

    def _placement(self, parent: Entity | None, x: float, y: float, z: float) -> Entity:
        location = self._make("IfcCartesianPoint", (float(x), float(y), round(float(z), 6)))
        axes = self._make("IfcAxis2Placement3D", Location=location)
        return self._make("IfcLocalPlacement", PlacementRelTo=parent.ObjectPlacement if parent else None, RelativePlacement=axes)

    def _prism(self, polygon: Sequence[tuple[float, float]], height_m: float) -> Entity:
        corners = [self._make("IfcCartesianPoint", (float(x), float(y))) for x, y in polygon]
        profile = self._make("IfcArbitraryClosedProfileDef", "AREA", None, self._make("IfcPolyline", [*corners, corners[0]]))
        up = self._make("IfcDirection", (0.0, 0.0, 1.0))
        position = self._make("IfcAxis2Placement3D", Location=self._origin)
        solid = self._make("IfcExtrudedAreaSolid", profile, position, up, float(height_m))
        shape = self._make("IfcShapeRepresentation", self._body, "Body", "SweptSolid", [solid])
        return self._make("IfcProductDefinitionShape", Representations=[shape])

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
    """Height of a storey or room above the building's zero, climbing its placements."""
    placement, height = container.ObjectPlacement, 0.0
    while placement is not None:
        height += placement.RelativePlacement.Location.Coordinates[2]
        placement = placement.PlacementRelTo
    return height


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
    if thing.is_a("IfcPropertyDefinition"):
        return f"{thing.is_a()}|{thing.Name}|{owner_of[thing.id()].GlobalId}"
    related = [v for k, v in thing.get_info().items() if k.startswith("Relating") and hasattr(v, "is_a")]
    names = [v.GlobalId if v.is_a("IfcRoot") else v.Name for v in related]
    return f"{thing.is_a()}|{'|'.join(names)}"
