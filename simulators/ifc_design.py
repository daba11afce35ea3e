"""Design what real models leave out: points for found equipment by template, an assumed system where there is none; all is named."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bim.surveying import FoundEquipment, FoundRoom, Survey
from bim.writing import KnownRoom
from simulators.design import AirHandlerDesign, Building, ZoneDesign
from simulators.enclosures import Enclosure
from simulators.found import Known, KnownElement
from twin.errors import SiteError
from twin.words import slug

LEAST_M2 = 4.0  # a smaller room is a closet or a shaft
HEIGHT_M = 2.7  # of a room whose height no model says
GLAZED_SHARE = 0.3  # of outer walls, where no model has a window
MEASURED, ASSUMED = "measured from the models", "measured; windows assumed, for the models have none"


@dataclass(frozen=True)
class Design:
    """A building to be drawn beside the models that were found; `enclosures` by key of the zone in the twin to come."""

    building: Building
    known: Known
    enclosures: Mapping[str, Enclosure]
    sources: Mapping[str, str]
    area_m2: float
    assumed: tuple[str, ...]  # what no model has and the simulation needs, one sentence each
    unserved: tuple[str, ...]  # rooms without air, and why
    left_alone: tuple[str, ...]  # found equipment without a design


@dataclass(frozen=True)
class _Served:
    """A zone before it has a terminal: its name in the design, its key in the twin, its rooms, and whether a model states it."""

    name: str
    key: str
    rooms: tuple[FoundRoom, ...]
    stated: bool

    @property
    def first(self) -> FoundRoom:
        return max(self.rooms, key=lambda room: (room.area_m2 or 0.0, room.key))


def design_site(found: Survey, name: str) -> Design:
    """A design for everything that was found; SiteError where no room can be given air."""
    unserved = {room.key: why for room in found.rooms if (why := _without_air(room))}
    zones = tuple(_zones(found, unserved))
    if not zones:
        raise SiteError(f"none of the {len(found.rooms)} rooms can be given air ({'; '.join(sorted(set(unserved.values())))}); model rooms")
    storeys = found.storeys
    equipment = {**_terminals(found, zones), **_luminaires(found, zones)}
    handlers = _air_handlers(found, zones, equipment)
    enclosed = {zone.key: e for zone in zones if (e := _enclosure(zone, zones)) is not None}
    windows = any(e.window_m2 for e in enclosed.values())
    enclosures = enclosed if windows else {key: replace(e, window_m2=GLAZED_SHARE * e.facade_m2) for key, e in enclosed.items()}
    elevations = tuple(s.elevation_m for s in storeys) or (0.0,)
    place = {storey.key: n for n, storey in enumerate(storeys)}
    designed = tuple(_zone_design(zone, place.get(zone.first.storey, 0), handlers[zone.name], enclosures.get(zone.key)) for zone in zones)
    used = {handler: min(z.storey for z in designed if z.air_handler == handler) for handler in dict.fromkeys(handlers.values())}
    gas = any(e.is_a("Boiler") for e in found.equipment)
    building = Building(name, elevations, designed, tuple(AirHandlerDesign(h, used[h]) for h in used), gas)
    known = Known(
        tuple((s.global_id, s.name) for s in storeys),
        {zone.name: tuple(_known_room(room) for room in (zone.first, *(r for r in zone.rooms if r != zone.first))) for zone in zones},
        _known_elements(equipment, found, handlers),
        frozenset(zone.name for zone in zones if zone.stated),
    )
    assumed = tuple(_assumed(zones, building, known, enclosures, windows=windows))
    area = sum(room.area_m2 or 0.0 for zone in zones for room in zone.rooms)
    sources = dict.fromkeys(enclosures, MEASURED if windows else ASSUMED)
    closed = tuple(f"{_called(room)}: {unserved[room.key]}" for room in found.rooms if room.key in unserved)
    return Design(building, known, enclosures, sources, area, assumed, closed, tuple(_left(found, known)))


@cache
def templates() -> Mapping[str, str]:
    """Brick class -> the rows of design_points.csv that equipment of this class is given."""
    return {row["brick"]: row["place"] for row in _rows("design_templates.csv")}


@cache
def _words_without_air() -> tuple[tuple[str, str], ...]:
    return tuple((row["word"], row["why"]) for row in _rows("rooms_without_air.csv"))


def _rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _without_air(room: FoundRoom) -> str:
    """Why a room is given no air; empty where it is."""
    if room.area_m2 is None:
        return "no model says its area"
    if room.area_m2 < LEAST_M2:
        return f"smaller than {LEAST_M2:g} m2"
    said = f"{room.name} {room.long_name}".lower()
    for word, why in _words_without_air():
        if (word in said) if not word.isascii() else re.search(rf"\b{word}(?![a-z])", said):
            return why
    return ""


def _zones(found: Survey, unserved: Mapping[str, str]) -> Iterator[_Served]:
    """Zones that a model states, then a zone of its own for every other room."""
    rooms = {room.key: room for room in found.rooms if room.key not in unserved}
    for stated in found.zones:
        mine = tuple(rooms.pop(key) for key in stated.rooms if key in rooms)
        if mine:
            yield _Served(f"Zone {stated.key}", stated.key, mine, stated=True)
    for key, room in rooms.items():
        yield _Served(f"Zone {key}", slug(f"Zone {key}"), (room,), stated=False)


def _terminals(found: Survey, zones: Sequence[_Served]) -> dict[str, FoundEquipment]:
    """Boxes of the models with an air handler before them, by the name that the design gives the zone's box."""
    boxes = {}
    for zone in zones:
        ends = {zone.key, *(room.key for room in zone.rooms)}
        mine = [e for e in found.equipment if _usable(e, "VAV") and ends & set(e.feeds) and _handler_before(found, e.key)]
        if mine:
            boxes[f"VAV {zone.name}"] = mine[0]
    return boxes


def _luminaires(found: Survey, zones: Sequence[_Served]) -> dict[str, FoundEquipment]:
    """The first luminaire of each zone that is no safety light: it stands for its group."""
    lamps = {}
    for zone in zones:
        rooms = {room.key for room in zone.rooms}
        mine = [e for e in found.equipment if e.room in rooms and _usable(e, "Luminaire") and not e.protected]
        if mine:
            lamps[f"LT {zone.name}"] = mine[0]
    return lamps


def _usable(equipment: FoundEquipment, template: str) -> bool:
    """Whether points can be hung on it from another file: it must be told by its GlobalId and stand somewhere."""
    return template in templates() and equipment.is_a(template) and equipment.unique and equipment.position is not None


def _handler_before(found: Survey, key: str) -> FoundEquipment | None:
    """The air handler that feeds something, however far back."""
    before: dict[str, list[FoundEquipment]] = defaultdict(list)
    for e in found.equipment:
        for target in e.feeds:
            before[target].append(e)
    seen, queue = {key}, [key]
    while queue:
        for e in before[queue.pop()]:
            if _usable(e, "AHU"):
                return e
            if e.key not in seen:
                seen.add(e.key)
                queue.append(e.key)
    return None


def _air_handlers(found: Survey, zones: Sequence[_Served], equipment: Mapping[str, FoundEquipment]) -> dict[str, str]:
    """The air handler of each zone by name: the found one before its box, else an assumed one for the storey."""
    handlers = {}
    for zone in zones:
        box = equipment.get(f"VAV {zone.name}")
        there = _handler_before(found, box.key) if box is not None else None
        handlers[zone.name] = there.key if there is not None else f"AHU {zone.first.storey or 'building'}"
    return handlers


def _known_elements(equipment: Mapping[str, FoundEquipment], found: Survey, handlers: Mapping[str, str]) -> dict[str, KnownElement]:
    by_key = {e.key: e for e in found.equipment}
    return {name: _known_element(e) for name, e in (*equipment.items(), *((h, by_key[h]) for h in handlers.values() if h in by_key))}


def _known_element(e: FoundEquipment) -> KnownElement:
    assert e.position is not None
    return KnownElement(e.global_id, e.ifc_class, e.name, e.position)


def _known_room(room: FoundRoom) -> KnownRoom:
    return KnownRoom(
        room.global_id, room.name, room.long_name, room.outline, room.holes, room.floor_z_m, room.height_m or HEIGHT_M
    )  # fmt: skip


def _zone_design(zone: _Served, storey: int, air_handler: str, enclosure: Enclosure | None) -> ZoneDesign:
    room = zone.first
    outline = room.outline or _square(room.area_m2 or LEAST_M2)
    daylit = enclosure is not None and enclosure.window_m2 > 0
    return ZoneDesign(
        zone.name, storey, outline, room.floor_z_m, room.height_m or HEIGHT_M, air_handler, daylit, middle=room.inside,
    )  # fmt: skip


def _square(area_m2: float) -> tuple[tuple[float, float], ...]:
    side = area_m2**0.5
    return (0.0, 0.0), (side, 0.0), (side, side), (0.0, side)


def _enclosure(zone: _Served, zones: Sequence[_Served]) -> Enclosure | None:
    """What encloses the zone's rooms together; None where one of them has no body."""
    zone_of = {room.key: z.key for z in zones for room in z.rooms}
    if any(room.facade_m2 is None or not room.outline for room in zone.rooms):
        return None
    shared: dict[str, float] = defaultdict(float)
    unheated = 0.0
    for room in zone.rooms:
        for other, area in room.shared:
            if other not in zone_of:
                unheated += area
            elif zone_of[other] != zone.key:
                shared[zone_of[other]] += area

    def total(name: str) -> float:
        return sum(float(getattr(room, name) or 0.0) for room in zone.rooms)

    area = total("area_m2")
    height = sum((room.height_m or HEIGHT_M) * (room.area_m2 or 0.0) for room in zone.rooms) / area
    return Enclosure(
        height, total("window_m2"), total("facade_m2"), total("roof_m2"), total("ground_m2"), unheated, dict(sorted(shared.items()))
    )


def _assumed(
    zones: Sequence[_Served], building: Building, known: Known, enclosures: Mapping[str, Enclosure], *, windows: bool
) -> Iterator[str]:
    """Everything that the simulation needs and no model has."""
    boxes = [z for z in building.zones if z.box not in known.equipment]
    for handler in building.air_handlers:
        if handler.name not in known.equipment:
            mine = [z.name.removeprefix("Zone ") for z in boxes if z.air_handler == handler.name]
            served = f"{len(mine)} rooms: {', '.join(mine)}"
            yield f"air handler {handler.name} with a variable volume box with electric reheat for each of {served}"
    lamps = [z.name.removeprefix("Zone ") for z in building.zones if z.luminaires not in known.equipment]
    if lamps:
        yield f"one group of luminaires in each of {len(lamps)} rooms: {', '.join(lamps)}"
    yield "meters: electricity of the building, of its air handling and of its light" + (", and gas" if building.has_gas else "")
    yield "people, lamps, plugs and hours of an office, by floor area (simulators.rc_building, simulators.schedules)"
    yield "walls, windows, roof and floors of usual insulation; shade and orientation of windows are not looked at"
    if not windows:
        yield f"windows: {GLAZED_SHARE:.0%} of each outer wall, for the models have none"
    bare = [zone.name.removeprefix("Zone ") for zone in zones if zone.key not in enclosures]
    if bare:
        yield f"outer walls by floor area for {len(bare)} rooms without a body: {', '.join(bare)}"


def _left(found: Survey, known: Known) -> Iterator[str]:
    """Equipment of the models that gets no point, by class."""
    used = {e.global_id for e in known.equipment.values()}
    grouped = {e.brick for e in found.equipment if e.is_a("Luminaire") and not e.protected}
    counted = Counter(e.brick.removeprefix("brick:") for e in found.equipment if e.global_id not in used and e.brick not in grouped)
    for name, number in sorted(counted.items()):
        yield f"{number} x {name}: neither read nor moved; no template is for this class, or nothing tells which one is meant"


def _called(room: FoundRoom) -> str:
    return " ".join(dict.fromkeys(part for part in (room.name, room.long_name) if part)) or room.key
