"""One pass over a model's relations: flat records of places, elements, groups and connections, in metres.

Nothing is judged here. Records are known by (file number, entity number), never by GlobalId: real files hold empty and double ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bim.addressing import PSET_BACNET, PSET_MODBUS, PsetAddress, read_address
from bim.hints import Hints
from bim.measuring import Units
from bim.opening import Model
from bim.placements import Axes, Placements, is_entity
from bim.placements import Ref as Ref
from bim.placements import Xyz as Xyz
from bim.ports import Port, PortLink, read_ports
from twin.errors import ModelError

PLACES = {"IfcSite": "site", "IfcBuilding": "building", "IfcBuildingStorey": "storey", "IfcSpace": "space"}


@dataclass(frozen=True, slots=True)
class Place:
    """A site, building, storey or space."""

    ref: Ref
    kind: str
    ifc_class: str
    predefined: str
    global_id: str
    name: str
    long_name: str
    parent: Ref | None
    elevation_m: float = 0.0
    area_m2: float | None = None
    height_m: float | None = None
    volume_m3: float | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """An element as the model states it."""

    ref: Ref
    ifc_class: str
    predefined: str
    type_class: str  # class of its type object without "Type"; IFC2X3 says only there what a terminal is
    type_predefined: str
    type_name: str
    global_id: str
    name: str
    object_type: str
    container: Ref | None
    position: Xyz | None
    stated_class: str  # from a classification reference to Brick
    addresses: tuple[PsetAddress, ...]
    ancestors: tuple[str, ...]  # IFC classes above its own, for closed lists of classes
    axes: Axes | None = None  # where its placement turns it; None where it does not
    host: Ref | None = None  # the assembly or device it is a part of
    systems: tuple[tuple[str, str], ...] = ()  # name and PredefinedType of each system it belongs to, and media of its ports
    flows: tuple[str, ...] = ()  # FlowDirection of its ports
    pset_classes: tuple[str, ...] = ()  # IFC classes that its standard property sets are made for
    codes: tuple[tuple[str, str], ...] = ()  # classification and code, of itself and of its type
    titles: tuple[str, ...] = ()  # what the codes and category properties are called in words


@dataclass(frozen=True, slots=True)
class Group:
    """A zone or system and its members."""

    ref: Ref
    ifc_class: str
    predefined: str
    global_id: str
    name: str
    members: tuple[Ref, ...]
    parent: Ref | None = None  # the system that a circuit or branch belongs to


@dataclass
class Inventory:
    """All records of all models of a site."""

    projects: dict[int, str] = field(default_factory=dict)  # file number -> GlobalId of its project
    places: dict[Ref, Place] = field(default_factory=dict)
    elements: dict[Ref, Element] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    ports: dict[Ref, Port] = field(default_factory=dict)
    links: list[PortLink] = field(default_factory=list)
    owner_of: dict[Ref, Ref] = field(default_factory=dict)  # sensor or actuator -> what it belongs to
    serves: dict[Ref, list[Ref]] = field(default_factory=dict)  # element or system -> rooms, zones or buildings it serves
    storey_of: dict[Ref, Ref] = field(default_factory=dict)  # any place -> its storey
    notes: list[str] = field(default_factory=list)  # what was missing in a model and assumed
    sets: dict[Ref, list[int]] = field(default_factory=dict)  # anything -> entity numbers of its property sets, its own before its type's
    damaged: int = 0  # relations that point nowhere and placements that are none


def take_inventory(models: Iterable[Model]) -> Inventory:
    """Read every model once."""
    inventory = Inventory()
    for number, model in enumerate(models):
        try:
            _Reading(number, model.file, inventory).run()
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:  # an instance that is not what its schema says
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{model.path}: the model is damaged ({reason}); export it again") from error
    for ref in inventory.places:
        if (storey := _climb(inventory.places, ref)) is not None:
            inventory.storey_of[ref] = storey
    return inventory


def _climb(places: Mapping[Ref, Place], ref: Ref) -> Ref | None:
    seen: set[Ref] = set()
    current: Ref | None = ref
    while current in places and current not in seen:
        assert current is not None
        if places[current].kind == "storey":
            return current
        seen.add(current)
        current = places[current].parent
    return None


class _Reading:
    """The reading of one file: relations first, then the things they relate."""

    def __init__(self, number: int, file: Any, inventory: Inventory) -> None:
        self.number, self.file, self.out = number, file, inventory
        self.units, self.hints = Units(file), Hints()
        self.scale_m = self.units.m
        self.members: dict[int, list[Ref]] = {}
        self.parent: dict[int, int] = {}
        self.type_of: dict[int, Any] = {}
        self.psets: dict[int, list[PsetAddress]] = {}
        self.quantities: dict[int, dict[str, float]] = {}
        self.stated: dict[int, str] = {}
        self.placements = Placements(self.scale_m)
        self.host: dict[int, int] = {}
        self.sets_of_types: dict[int, list[int]] = {}

    def run(self) -> None:
        projects = self.file.by_type("IfcProject")
        self.out.projects[self.number] = str(projects[0].GlobalId or "")
        self.out.notes += self.units.notes
        self._parents()
        self._types_and_properties()
        self._classifications()
        for ifc_class, kind in PLACES.items():
            for item in self._all(ifc_class):
                self._place(item, kind)
        self._members()
        self._ports()
        for item in self._all("IfcElement", "IfcProxy"):
            self._element(item)
        self._groups()
        self._controls()
        self.out.damaged += self.placements.damaged
        for item, numbers in self.sets_of_types.items():
            self.out.sets.setdefault((self.number, item), []).extend(numbers)

    def _ref(self, entity: Any) -> Ref:
        return self.number, int(entity.id())

    def _all(self, *classes: str) -> Iterator[Any]:
        """Instances of the classes that this schema has, in file order."""
        for name in classes:
            try:
                found = self.file.by_type(name)
            except RuntimeError:  # a class that this schema does not have
                continue
            yield from sorted(found, key=lambda entity: entity.id())

    def _relations(self, ifc_class: str, one: str, many: str) -> Iterator[tuple[Any, list[Any]]]:
        """Both ends of each relation; ends that point nowhere (files cut by hand or by a bad export) are counted and left out."""
        for rel in self._all(ifc_class):
            single, several = getattr(rel, one, None), getattr(rel, many, None) or ()
            several = several if isinstance(several, (tuple, list)) else (several,)
            whole = [item for item in several if is_entity(item)]
            if not is_entity(single) or len(whole) < len(several):
                self.out.damaged += 1
            if is_entity(single):
                yield single, whole

    def _parents(self) -> None:
        for relation in ("IfcRelNests", "IfcRelAggregates"):
            for whole, parts in self._relations(relation, "RelatingObject", "RelatedObjects"):
                self.parent |= {part.id(): whole.id() for part in parts}
                if whole.is_a("IfcElement"):
                    self.host |= {part.id(): whole.id() for part in parts}
        for place, parts in self._relations("IfcRelContainedInSpatialStructure", "RelatingStructure", "RelatedElements"):
            self.parent |= {part.id(): place.id() for part in parts}

    def _types_and_properties(self) -> None:
        for kind, items in self._relations("IfcRelDefinesByType", "RelatingType", "RelatedObjects"):
            self.type_of |= {item.id(): kind for item in items}
            for definition in getattr(kind, "HasPropertySets", None) or ():
                if is_entity(definition) and definition.is_a("IfcPropertySet"):
                    self.hints.property_set(kind.id(), definition)
                    for item in items:
                        self.sets_of_types.setdefault(item.id(), []).append(definition.id())
        for definition, items in self._relations("IfcRelDefinesByProperties", "RelatingPropertyDefinition", "RelatedObjects"):
            for item in items:
                self._property_set(item.id(), definition)

    def _property_set(self, item: int, definition: Any) -> None:
        kind, name = definition.is_a(), getattr(definition, "Name", None)
        if kind == "IfcPropertySetDefinitionSet":
            for part in definition.wrappedValue:
                self._property_set(item, part)
        elif kind == "IfcPropertySet" and name in (PSET_BACNET, PSET_MODBUS):
            values = {p.Name: p.NominalValue.wrappedValue for p in definition.HasProperties if getattr(p, "NominalValue", None) is not None}
            self.psets.setdefault(item, []).append(read_address(name, values))
        elif kind == "IfcPropertySet":
            self.hints.property_set(item, definition)
            self.out.sets.setdefault((self.number, item), []).append(definition.id())
        elif kind == "IfcElementQuantity":
            self.quantities.setdefault(item, {}).update(self.units.measures(definition))

    def _classifications(self) -> None:
        for reference, items in self._relations("IfcRelAssociatesClassification", "RelatingClassification", "RelatedObjects"):
            if not reference.is_a("IfcClassificationReference"):
                continue
            source, code = reference.ReferencedSource, _text(reference, "Identification") or _text(reference, "ItemReference")
            if _text(source, "Name").lower() == "brick":
                self.stated |= {item.id(): code for item in items}
                continue
            for item in items:
                self.hints.code(item.id(), _text(source, "Name"), code, _text(reference, "Name"))

    def _place(self, item: Any, kind: str) -> None:
        measures = self.quantities.get(item.id(), {})
        area = next((measures[n] for n in ("NetFloorArea", "GrossFloorArea", "GSA Space Areas") if n in measures), None)
        elevation = 0.0
        if kind == "storey":
            position = self.placements.position(item)
            elevation = position[2] if position else float(item.Elevation or 0.0) * self.scale_m
        parent = self.parent.get(item.id())
        self.out.places[self._ref(item)] = Place(
            self._ref(item),
            kind,
            item.is_a(),
            _text(item, "PredefinedType") or _text(item, "InteriorOrExteriorSpace"),
            _text(item, "GlobalId"),
            _text(item, "Name"),
            _text(item, "LongName"),
            (self.number, parent) if parent is not None else None,
            round(elevation, 3),
            area,
            measures.get("Height", measures.get("FinishCeilingHeight")),
            measures.get("NetVolume", measures.get("GrossVolume")),
        )

    def _element(self, item: Any) -> None:
        kind = self.type_of.get(item.id())
        parent = self._container(item.id())
        self.out.elements[self._ref(item)] = Element(
            self._ref(item),
            item.is_a(),
            _value(item),
            kind.is_a().removesuffix("Type").removesuffix("Style") if kind is not None else "",
            _value(kind),
            _text(kind, "Name"),
            _text(item, "GlobalId"),
            _text(item, "Name"),
            _text(item, "ObjectType"),
            (self.number, parent) if parent is not None else None,
            self.placements.position(item),
            self.stated.get(item.id(), ""),
            tuple(self.psets.get(item.id(), ())),
            _ancestors(item),
            self.placements.axes(item),
            (self.number, self.host[item.id()]) if item.id() in self.host else None,
            **self.hints.of(item.id(), kind.id() if kind is not None else None),
        )

    def _container(self, item: int) -> int | None:
        """The nearest place above: parts of an assembly stand where the assembly stands."""
        seen: set[int] = set()
        current: int | None = self.parent.get(item)
        while current is not None and current not in seen:
            if (self.number, current) in self.out.places:
                return current
            seen.add(current)
            current = self.parent.get(current)
        return None

    def _members(self) -> None:
        for group, items in self._relations("IfcRelAssignsToGroup", "RelatingGroup", "RelatedObjects"):
            self.members.setdefault(group.id(), []).extend(self._ref(item) for item in items)
            if group.is_a("IfcSystem"):
                for item in items:
                    self.hints.system(item.id(), _text(group, "Name"), _text(group, "PredefinedType"))
        for structure, items in self._relations("IfcRelReferencedInSpatialStructure", "RelatingStructure", "RelatedElements"):
            for item in items:
                if structure.is_a("IfcSpatialZone") and item.is_a("IfcSpace"):
                    self.members.setdefault(structure.id(), []).append(self._ref(item))
                else:
                    self.out.serves.setdefault(self._ref(item), []).append(self._ref(structure))
        for system, places in self._relations("IfcRelServicesBuildings", "RelatingSystem", "RelatedBuildings"):
            self.out.serves.setdefault(self._ref(system), []).extend(self._ref(place) for place in places)
        zones = {z.id() for z in self._all("IfcSpatialZone")}
        for child, above in self.parent.items():
            if above in zones:
                self.members.setdefault(above, []).append((self.number, child))

    def _ports(self) -> None:
        ports, links = read_ports(self.number, self._relations, self.placements)
        self.out.ports |= ports
        self.out.links += links
        for port in ports.values():
            self.hints.port(port.holder[1], port.direction)
            if port.medium:
                self.hints.system(port.holder[1], "", port.medium)

    def _groups(self) -> None:
        for item in self._all("IfcZone", "IfcSpatialZone", "IfcSystem"):
            value, guid, name = (_text(item, attribute) for attribute in ("PredefinedType", "GlobalId", "Name"))
            above = (self.number, self.parent[item.id()]) if item.id() in self.parent else None
            members = tuple(self.members.get(item.id(), ()))
            self.out.groups.append(Group(self._ref(item), item.is_a(), value, guid, name, members, above))

    def _controls(self) -> None:
        for owner, parts in self._relations("IfcRelFlowControlElements", "RelatingFlowElement", "RelatedControlElements"):
            self.out.owner_of |= {self._ref(part): self._ref(owner) for part in parts}


def _text(item: Any, attribute: str) -> str:
    value = getattr(item, attribute, None) if item is not None else None
    return "" if value is None else str(value)


def _value(item: Any) -> str:
    """The kind that an enumeration states; lifts and boards of IFC2X3 keep it under other names."""
    for attribute in ("PredefinedType", "OperationType", "DistributionPointFunction"):
        if value := _text(item, attribute):
            return value
    return ""


_ANCESTORS: dict[tuple[str, str], tuple[str, ...]] = {}


def _ancestors(item: Any) -> tuple[str, ...]:
    """The IFC classes of an instance, own first; asked once for each class of a schema."""
    key = item.file.schema_identifier if hasattr(item, "file") else "", item.is_a()
    if key not in _ANCESTORS:
        import ifcopenshell

        declaration = ifcopenshell.schema_by_name(key[0]).declaration_by_name(item.is_a())
        names = []
        while declaration is not None:
            names.append(declaration.name())
            declaration = declaration.supertype()
        _ANCESTORS[key] = tuple(names)
    return _ANCESTORS[key]
