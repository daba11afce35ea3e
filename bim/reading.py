"""Models read as one building: every step of the import in order, each result kept where the next one and the report find it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shapely.geometry.base import BaseGeometry

from bim import emitting
from bim.classifying import Classified, Coverage, classify
from bim.completing import complete
from bim.federating import federate, standing
from bim.inventory import Group, Inventory, Place, Ref, take_inventory
from bim.keys import Named, NodeRef, mint_keys, name_key
from bim.locating import Surroundings, locate
from bim.marks import identity, marks_of
from bim.moves import Move, read_frame
from bim.opening import Model
from bim.placing import Placement
from bim.points import FoundPoint, find_points
from bim.ratings import Rating, ratings_of
from bim.review import Decision, Decisions, decided
from bim.rooms import RoomShape, room_shapes
from bim.serving import Building, Serving, served_zones
from bim.tables import mapping
from bim.tracing import Trace, trace
from bim.voids import floor_voids
from twin.graph import Triple

_KEY_KIND = {"site": "site", "building": "building", "storey": "level", "space": "room"}
_AIR_ZONE_WORDS = ("hvac", "thermal", "thermisch", "klima", "空调", "暖通")


@dataclass(frozen=True)
class ReadModels:
    """A building as read, before it becomes triples."""

    inventory: Inventory
    same: Mapping[Ref, Ref]  # place -> the place that stands for it, across files
    places: Mapping[Ref, Place]
    rooms: Mapping[Ref, Place]
    shapes: Mapping[Ref, RoomShape]
    classes: Mapping[Ref, Classified]
    placements: Mapping[Ref, Placement]  # of all that is not passive
    points: Sequence[FoundPoint]
    equipment: Sequence[Ref]
    zones: Sequence[Group]
    systems: Sequence[Group]
    traced: Trace
    serving: Sequence[Serving]
    keys: Mapping[NodeRef, str]
    notes: Sequence[str] = ()  # what reading found that a person should know
    marks: Mapping[Ref, str] = field(default_factory=dict)  # element -> what it is known by from import to import
    unresolved: Sequence[str] = ()  # decisions that name a room or zone which no model holds
    ratings: Mapping[Ref, Sequence[Rating]] = field(default_factory=dict)  # of equipment
    voids: Mapping[Ref, BaseGeometry] = field(default_factory=dict)  # what of a room's floor is open
    moves: Mapping[int, Move] = field(default_factory=dict)  # of the files that were moved to lie with the others

    @property
    def storeys(self) -> list[Place]:
        return [p for p in self.places.values() if p.kind == "storey"]

    @property
    def feeds(self) -> list[tuple[Ref, Ref]]:
        """Traced paths between equipment, and terminals to the zones or rooms they serve."""
        return [(f.source, f.target) for f in self.traced.feeds] + [(s.terminal, s.target) for s in self.serving]

    def rooms_in(self, group: Group) -> list[Ref]:
        """The rooms of a zone, doubles of other files counted once."""
        members = dict.fromkeys(self.same.get(ref, ref) for ref in group.members)
        return [ref for ref in members if ref in self.rooms]

    def storey_of(self, place: Ref | None) -> Ref | None:
        return standing(self.same, self.inventory.storey_of.get(place)) if place is not None else None

    def storey_of_element(self, ref: Ref) -> Ref | None:
        placement = self.placements[ref]
        return self.storey_of(placement.room) if placement.room is not None else self.storey_of(self.inventory.elements[ref].container)

    def key_or_none(self, ref: Ref | None) -> str | None:
        return self.keys.get(ref) if ref is not None else None

    def triples(self, files: Sequence[str]) -> Iterator[Triple]:
        """The twin; `files` are the models' names as the site knows them."""
        origin = emitting.Origin(self.inventory.projects, dict(enumerate(files)))
        yield from origin.triples()
        yield from self._place_triples(origin)
        yield from self._group_triples(origin)
        yield from self._equipment_triples(origin)
        yield from self._point_triples(origin)
        for source, target in self.feeds:
            yield from emitting.feed_triples(self.keys[source], self._class_of(source), self.keys[target], self._class_of(target))
        for way in self.traced.returns:
            yield from emitting.return_triples(self.keys[way.source], self.keys[way.target])

    def _place_triples(self, origin: emitting.Origin) -> Iterator[Triple]:
        for ref, place in self.places.items():
            if place.kind == "space" and ref not in self.rooms:
                continue
            parent = standing(self.same, place.parent)
            above = self.keys.get(parent) if parent is not None and parent != ref else None
            yield from emitting.place_triples(place, self.keys[ref], above, _place_class(place))
            yield from origin.reference(self.keys[ref], ref, place.global_id, place.name)

    def _group_triples(self, origin: emitting.Origin) -> Iterator[Triple]:
        own = set(self.equipment)
        for group in (*self.zones, *self.systems):
            members = self.rooms_in(group) if group in self.zones else [ref for ref in dict.fromkeys(group.members) if ref in own]
            key, value = self.keys[group.ref], f".{group.predefined}" if group.predefined else ""
            kind = group_class(group)
            yield from emitting.group_triples(key, kind, group.name, group.ifc_class + value, (self.keys[ref] for ref in members))
            yield from origin.reference(key, group.ref, group.global_id, group.name)

    def _equipment_triples(self, origin: emitting.Origin) -> Iterator[Triple]:
        for ref in self.equipment:
            element, key, placement = self.inventory.elements[ref], self.keys[ref], self.placements[ref]
            location = self.key_or_none(placement.room) or self.key_or_none(self.storey_of_element(ref))
            yield from emitting.equipment_triples(element, self.classes[ref], key, location, placement)
            yield from origin.reference(key, ref, element.global_id, element.name, self.marks.get(ref, ""))
            yield from emitting.position_triple(key, element)
            yield from emitting.rating_triples(key, self.ratings.get(ref, ()))
        buildings = [ref for ref, place in self.places.items() if place.kind == "building"]
        if len(buildings) == 1:
            meters = [(self.keys[ref], self.classes[ref].brick) for ref in self.equipment]
            yield from emitting.metered_triples(meters, self.keys[buildings[0]])

    def _point_triples(self, origin: emitting.Origin) -> Iterator[Triple]:
        for point in self.points:
            key = self.keys[node_of(point)]
            yield from emitting.point_triples(point, self.classes.get(point.element), key, self.key_or_none(point.owner))
            if not point.extra:
                element = self.inventory.elements[point.element]
                yield from origin.reference(key, point.element, element.global_id, element.name, self.marks.get(point.element, ""))
                yield from emitting.position_triple(key, element)

    def _class_of(self, ref: Ref) -> str:
        if ref in self.classes:
            return self.classes[ref].brick
        return "rec:Room" if ref in self.rooms else "rec:HVACZone"


def read_models(models: Sequence[Model], earlier_keys: Mapping[str, str], decisions: Decisions) -> ReadModels:
    """Inventory, complete, federate, classify, place, find points, trace, name: in this order."""
    inventory = take_inventory(models)
    complete(inventory)
    measured = room_shapes(models)
    federation = federate(inventory, measured.rooms, [read_frame(m.file) for m in models], [m.path.name for m in models])
    same = federation.same
    shapes = _shapes(federation.shapes, same)
    places = {ref: _measured(place, shapes.get(ref)) for ref, place in inventory.places.items() if same[ref] == ref}
    rooms = {ref: place for ref, place in places.items() if place.kind == "space" and _place_class(place)}
    marks = marks_of(inventory)
    classes = {ref: decided(classify(element), decisions.get(marks[ref])) for ref, element in inventory.elements.items()}
    around = Surroundings(inventory, federation, rooms, {ref: s for ref, s in shapes.items() if ref in rooms})
    by_hand = _ByHand(inventory, same, rooms, earlier_keys, {ref: d for ref, mark in marks.items() if (d := decisions.get(mark))})
    placements = dict(locate(models, around, classes))
    placements |= by_hand.placements(placements)
    fallback = next((ref for kind in ("building", "site") for ref, p in places.items() if p.kind == kind), None)

    def place_of(ref: Ref) -> Ref | None:
        element = inventory.elements[ref]
        storey = inventory.storey_of.get(element.container) if element.container is not None else None
        return placements[ref].room or standing(same, storey) or fallback

    points = find_points(inventory, classes, placements, place_of)
    own = {p.element for p in points if not p.extra}
    equipment = [ref for ref, v in classes.items() if v.coverage is not Coverage.PASSIVE and ref not in own]
    zones = [g for g in inventory.groups if g.ifc_class in ("IfcZone", "IfcSpatialZone")]
    systems = [g for g in inventory.groups if g not in zones]
    traced = trace(inventory, {ref: classes[ref].brick for ref in equipment}, systems)
    keys = mint_keys([*_named(inventory, places, rooms, equipment, points), *(_named_group(g) for g in inventory.groups)], earlier_keys)
    ratings, unrated = ratings_of(models, inventory, equipment)
    notes = [*federation.notes, *measured.notes(), *unrated]
    reading = ReadModels(
        inventory, same, places, rooms, shapes, classes, placements, points, equipment, zones, systems, traced, (), keys, notes, marks
    )
    air_zones = {ref: group.ref for group in zones if group_class(group) == "rec:HVACZone" for ref in reading.rooms_in(group)}
    building = Building(inventory, placements, traced, rooms, air_zones, same)
    serving = served_zones(
        {ref: classes[ref].brick for ref in equipment}, building, [*(g for g in zones if group_class(g) == "rec:HVACZone"), *systems]
    )
    voids = floor_voids(models, around.shapes, federation.moves)
    return replace(
        reading, serving=by_hand.servings(serving), unresolved=by_hand.unresolved, voids=voids, moves=federation.moves, ratings=ratings
    )


def group_class(group: Group) -> str:
    """Zone or system class; a bare IfcZone that names air conditioning is a zone of air."""
    row = mapping().get((group.ifc_class, group.predefined)) or mapping().get((group.ifc_class, ""))
    kind = row.brick if row else "brick:System"
    named = any(word in group.name.lower() for word in _AIR_ZONE_WORDS)
    return "rec:HVACZone" if group.ifc_class == "IfcZone" and named else kind


class _ByHand:
    """Rooms and zones that people named in their decisions: by GlobalId, by the key of the last import, or by name."""

    def __init__(
        self,
        inventory: Inventory,
        same: Mapping[Ref, Ref],
        rooms: Mapping[Ref, Place],
        earlier_keys: Mapping[str, str],
        decisions: Mapping[Ref, Decision],
    ) -> None:
        self._decisions, self.unresolved = decisions, list[str]()
        self._rooms: dict[str, Ref] = {}
        self._targets: dict[str, Ref] = {}
        groups = [g for g in inventory.groups if g.ifc_class in ("IfcZone", "IfcSpatialZone")]
        for thing in groups:
            self._targets |= dict.fromkeys(_called(thing.global_id, thing.name, "zone", earlier_keys), thing.ref)
        for ref, place in inventory.places.items():
            if same[ref] in rooms:
                names = _called(place.global_id, place.name or place.long_name, "room", earlier_keys)
                self._rooms |= dict.fromkeys(names, same[ref])
        self._targets = self._rooms | self._targets  # a zone of the room's name is what is served

    def placements(self, found: Mapping[Ref, Placement]) -> dict[Ref, Placement]:
        """What people said of where an element stands."""
        placed = {}
        for ref, decision in self._decisions.items():
            room = self._known(decision.room, self._rooms, decision) if decision.room and ref in found else None
            if room is not None:
                placed[ref] = Placement(room, f"reviewed by {decision.by}: {decision.why}", 1.0)
        return placed

    def servings(self, found: Sequence[Serving]) -> list[Serving]:
        """What people said of what an element serves, in place of what was found for it."""
        said = {}
        for ref, decision in self._decisions.items():
            target = self._known(decision.serves, self._targets, decision) if decision.serves else None
            if target is not None:
                said[ref] = Serving(ref, target, f"reviewed by {decision.by}: {decision.why}")
        return [s for s in found if s.terminal not in said] + list(said.values())

    def _known(self, name: str, places: Mapping[str, Ref], decision: Decision) -> Ref | None:
        if name not in places:
            self.unresolved.append(f"review.toml: {decision.by} decided on {name!r}, which is no room or zone of the models (any more)")
        return places.get(name)


def _called(global_id: str, name: str, kind: str, earlier_keys: Mapping[str, str]) -> list[str]:
    """All by which a person may name a place, the surest last."""
    texts = [name_key(name, kind), f"{name_key(name, kind)}_{kind}", name, earlier_keys.get(global_id, ""), global_id]
    return [text for text in texts if text]


def _place_class(place: Place) -> str:
    """Empty for a space that is no room (gross floor area)."""
    if place.kind == "space":
        row = mapping().get(("IfcSpace", place.predefined)) or mapping()["IfcSpace", ""]
        return row.brick
    return emitting.PLACE_CLASS[place.kind]


def _shapes(measured: Mapping[Ref, RoomShape], same: Mapping[Ref, Ref]) -> dict[Ref, RoomShape]:
    shapes: dict[Ref, RoomShape] = {}
    for ref, shape in measured.items():
        shapes.setdefault(same.get(ref, ref), shape)
    return shapes


def _measured(place: Place, shape: RoomShape | None) -> Place:
    """A room's area, height and volume: as stated, else from its body."""
    if shape is None:
        return place
    area = place.area_m2 or round(float(shape.floor.area), 4)
    height = place.height_m or round(shape.z_max - shape.z_min, 4)
    return replace(place, area_m2=area, height_m=height, volume_m3=place.volume_m3 or round(area * height, 4))


def node_of(point: FoundPoint) -> NodeRef:
    """The point's node: its element's, or an own one beside it."""
    return (*point.element, point.extra) if point.extra else point.element


def _named(
    inventory: Inventory, places: Mapping[Ref, Place], rooms: Mapping[Ref, Place], equipment: Sequence[Ref], points: Sequence[FoundPoint]
) -> Iterator[Named]:
    for point in points:
        element = inventory.elements[point.element]
        yield Named(node_of(point), "point", point.name, identity(element, inventory), "" if point.extra else element.global_id)
    for ref in equipment:
        element = inventory.elements[ref]
        yield Named(ref, "equipment", element.name, identity(element, inventory), element.global_id)
    for ref, place in places.items():
        if place.kind != "space" or ref in rooms:
            above = place.parent and inventory.places.get(place.parent)
            apart = f"{place.ifc_class}|{place.name}|{place.long_name}|{above.name if above else ''}|{place.area_m2}"
            yield Named(ref, _KEY_KIND[place.kind], place.name or place.long_name, apart, place.global_id)


def _named_group(group: Group) -> Named:
    kind = "zone" if group.ifc_class in ("IfcZone", "IfcSpatialZone") else "system"
    return Named(group.ref, kind, group.name, f"{group.ifc_class}|{group.predefined}|{len(group.members)}", group.global_id)
