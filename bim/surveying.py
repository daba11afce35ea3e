"""Real models as a designer must know them: storeys, rooms and what encloses them, equipment, and what feeds what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from bim.fabric import Fabric, measure_fabric
from bim.opening import Model, open_model
from bim.placements import Ref, Xyz
from bim.reading import ReadModels, group_class, read_models
from bim.review import NO_DECISIONS
from bim.rooms import RoomShape
from twin.errors import ModelError
from twin.graph import brick

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class FoundStorey:
    """A storey as a model has it."""

    key: str
    global_id: str
    name: str
    elevation_m: float


@dataclass(frozen=True)
class FoundRoom:
    """A room and its enclosure in m²; `shared` by key of the neighbour. A room without a body has an empty outline and no fabric."""

    key: str
    global_id: str
    name: str
    long_name: str
    storey: str  # key; empty where the model says none
    area_m2: float | None
    height_m: float | None
    outline: Ring
    holes: tuple[Ring, ...]
    floor_z_m: float
    window_m2: float | None
    facade_m2: float | None
    roof_m2: float | None
    ground_m2: float | None
    shared: tuple[tuple[str, float], ...] = ()
    inside: tuple[float, float] | None = None  # a point that certainly lies in it


@dataclass(frozen=True)
class FoundEquipment:
    """A piece of equipment of the models; `feeds` are keys of what air or water goes to."""

    key: str
    global_id: str
    name: str
    ifc_class: str
    brick: str
    room: str  # key; empty where it stands in none
    position: Xyz | None
    protected: bool
    feeds: tuple[str, ...]
    unique: bool  # whether its GlobalId stands on nothing else

    def is_a(self, brick_class: str) -> bool:
        """Whether it is of this Brick class or below it."""
        return brick().is_a(self.brick, f"brick:{brick_class}")


@dataclass(frozen=True)
class FoundZone:
    """A zone of air that the models state, with the keys of its rooms."""

    key: str
    global_id: str
    name: str
    rooms: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """A building as found."""

    storeys: tuple[FoundStorey, ...]
    rooms: tuple[FoundRoom, ...]
    equipment: tuple[FoundEquipment, ...]
    zones: tuple[FoundZone, ...]
    notes: tuple[str, ...]


def survey(paths: Sequence[Path]) -> Survey:
    """Read the models as one building; ModelError where they hold no room."""
    models = [open_model(path) for path in paths]
    reading = read_models(models, {}, NO_DECISIONS)
    if not reading.rooms:
        names = ", ".join(path.name for path in paths)
        raise ModelError(f"{names}: no room (IfcSpace) in it; export the architecture with its rooms, and give that file too")
    storeys = tuple(FoundStorey(reading.keys[p.ref], p.global_id, p.name, p.elevation_m) for p in reading.storeys)
    zones = tuple(
        FoundZone(reading.keys[g.ref], g.global_id, g.name, tuple(reading.keys[r] for r in reading.rooms_in(g)))
        for g in reading.zones
        if group_class(g) == "rec:HVACZone" and reading.rooms_in(g)
    )
    order = sorted(storeys, key=lambda s: (s.elevation_m, s.key))
    return Survey(tuple(order), tuple(_rooms(models, reading)), tuple(_equipment(reading)), zones, tuple(reading.notes))


def _rooms(models: Sequence[Model], reading: ReadModels) -> Iterator[FoundRoom]:
    shapes = {ref: reading.shapes[ref] for ref in reading.rooms if ref in reading.shapes}
    fabric = measure_fabric(models, reading.inventory, shapes, reading.moves)
    for ref, place in sorted(reading.rooms.items(), key=lambda item: reading.keys[item[0]]):
        shape = shapes.get(ref)
        outline, holes = _outline(shape.floor) if shape is not None else ((), ())
        storey = reading.storey_of(ref)
        yield FoundRoom(
            reading.keys[ref], place.global_id, place.name, place.long_name, reading.key_or_none(storey) or "",
            place.area_m2, place.height_m, outline, holes, round(shape.z_min, 3) if shape is not None else 0.0,
            *_enclosure(fabric.get(ref)), _shared(fabric.get(ref), reading), _inside(shape),
        )  # fmt: skip


def _inside(shape: RoomShape | None) -> tuple[float, float] | None:
    if shape is None:
        return None
    point = shape.floor.representative_point()
    return round(float(point.x), 3), round(float(point.y), 3)


def _enclosure(fabric: Fabric | None) -> tuple[float | None, float | None, float | None, float | None]:
    if fabric is None:
        return None, None, None, None
    return round(fabric.window_m2, 2), round(fabric.facade_m2, 2), round(fabric.roof_m2, 2), round(fabric.ground_m2, 2)


def _shared(fabric: Fabric | None, reading: ReadModels) -> tuple[tuple[str, float], ...]:
    shared: dict[Ref, float] = fabric.shared if fabric is not None else {}
    return tuple(sorted((reading.keys[ref], round(area, 2)) for ref, area in shared.items()))


def _equipment(reading: ReadModels) -> Iterator[FoundEquipment]:
    feeds: dict[Ref, list[str]] = {}
    for source, target in reading.feeds:
        feeds.setdefault(source, []).append(reading.keys[target])
    ids = [e.global_id for e in reading.inventory.elements.values()]
    for ref in sorted(reading.equipment, key=lambda ref: reading.keys[ref]):
        element, verdict = reading.inventory.elements[ref], reading.classes[ref]
        yield FoundEquipment(
            reading.keys[ref], element.global_id, element.name, element.ifc_class, verdict.brick,
            reading.key_or_none(reading.placements[ref].room) or "", element.position, bool(verdict.protected),
            tuple(sorted(feeds.get(ref, ()))), bool(element.global_id) and ids.count(element.global_id) == 1,
        )  # fmt: skip


def _outline(floor: BaseGeometry) -> tuple[Ring, tuple[Ring, ...]]:
    """The floor's largest part: outer ring counter-clockwise, and its holes, without the closing corner."""
    parts = [p for p in (floor.geoms if isinstance(floor, MultiPolygon) else [floor]) if isinstance(p, Polygon)]
    if not parts:
        return (), ()
    part = max(parts, key=lambda p: p.area)
    return _ring(part.exterior, ccw=True), tuple(_ring(hole, ccw=False) for hole in part.interiors)


def _ring(ring: object, *, ccw: bool) -> Ring:
    corners = [(round(float(x), 4), round(float(y), 4)) for x, y, *_ in ring.coords[:-1]]  # type: ignore[attr-defined]
    return tuple(corners if ring.is_ccw == ccw else corners[::-1])  # type: ignore[attr-defined]
