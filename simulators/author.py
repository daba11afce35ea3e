"""Author the simulated sites: a building's design becomes an IFC model, points.csv and the connections of site.toml.

`python -m simulators.author` writes the models and points of both demonstration sites again; the bytes do not change.
"""

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bim.writing import Entity, ModelWriter, PointMark, Spot
from simulators.design import METERS, NOTHING, TERMINALS, AirHandlerDesign, Building, DesignPoint, ZoneDesign, design_points
from simulators.energyplus import engine
from simulators.energyplus.building import read_building
from simulators.found import NOTHING_KNOWN, Known
from twin.points import COLUMNS
from twin.site import product_root
from twin.state import write_whole

BACNET_DEVICE_AHU = 1001  # device instances of the demo sites: air handlers from here,
BACNET_DEVICE_FLOOR = 2001  # floors from here
_BESIDE_M = 4.0  # an air handler stands this far from the box in the middle of its largest zone
_APART_M = 0.8  # diffuser and grille, from the middle of their room
DEMO_MODEL = "medium_office"
DEMO_SITE, CLINIC_SITE = "demo_office", "corner_clinic"
Limits = Mapping[str, Mapping[str, str]]
NO_LIMITS: Limits = {}
DESIGNED = COLUMNS[: COLUMNS.index("fallback") + 1]
"""The columns that a design fills; rests and minimum times are an engineer's word on real equipment."""
CLINIC_LIMITS: Limits = {"oa_f_sp": {"high": "3", "fallback": "0.36"}}
"""The table's outdoor air is for a floor of 1,660 m2; the clinic has 300 m2."""


def author_model(building: Building, schema: str = "IFC4", known: Known = NOTHING_KNOWN) -> bytes:
    """The building as an IFC model with every point of its design; what is `known` from other models is repeated, not made again."""
    writer = ModelWriter(building.name, schema)
    storeys = _storeys(writer, building, known)
    points = design_points(building)
    handlers = {}
    for ahu in building.air_handlers:
        handlers[ahu.name] = _air_handler(writer, building, ahu, storeys[ahu.storey], points, known)
    supply: dict[str, list[Entity]] = {name: [handler] for name, handler in handlers.items()}
    back: dict[str, list[Entity]] = {name: [handler] for name, handler in handlers.items()}
    for zone in building.zones:
        storey = storeys[zone.storey]
        served = _zone(writer, zone, storey, points, known)
        if zone.air_handler and zone.box not in known.equipment:
            handler, (box, diffuser, grille) = handlers[zone.air_handler], served
            ducts = writer.run(handler, box, storey), writer.run(box, diffuser, storey)
            supply[zone.air_handler] += [box, diffuser, *ducts]
            back[zone.air_handler] += [grille, writer.run(grille, handler, storey, "EXHAUST")]
    for n, name in enumerate(handlers):
        writer.system(f"Supply air {n + 1}, {name}", "AIRCONDITIONING", supply[name])
        writer.system(f"Return air {n + 1}, {name}", "EXHAUST", back[name])
    _meters(writer, building, storeys[0], points)
    return writer.content()


def author_points(building: Building, limits: Limits = NO_LIMITS) -> str:
    """points.csv: what the model does not say, foremost the limits of what may be written; `limits` by tag or id overrule the table's."""
    out = io.StringIO()
    sheet = csv.DictWriter(out, DESIGNED, lineterminator="\n")
    sheet.writeheader()
    for point in sorted(design_points(building), key=lambda p: p.id):
        row = point.row
        envelope = (
            {key: row[key] for key in ("low", "high", "step", "fallback")}
            | dict(limits.get(point.tag, {}))
            | dict(limits.get(point.id, {}))
        )
        scale = "" if point.scale == 1.0 else f"{point.scale:g}"
        cells = {"point": point.id, "address": point.address, "unit": row["unit"], "scale": scale, "writable": row["writable"]}
        sheet.writerow(cells | envelope)
    return out.getvalue()


def author_connections(building: Building) -> str:
    """The [connections.*] tables of site.toml; port 0 lets a simulated site choose free ports."""
    floors = sorted({zone.storey for zone in building.zones})
    tables = [(f"ahu_{n + 1}", "bacnet", BACNET_DEVICE_AHU + n) for n in range(len(building.air_handlers))]
    tables += [(f"floor_{n + 1}", "bacnet", BACNET_DEVICE_FLOOR + n) for n in floors]
    tables += [(f"lights_{n + 1}", "modbus", 0) for n in floors]
    meters = [connection for place, (_, connection, *_) in METERS.items() if place != "gas_meter" or building.has_gas]
    tables += [(name, "modbus", 0) for name in dict.fromkeys(meters)]
    return "\n".join(_connection(*table) for table in tables)


def author_site(building: Building, folder: Path, limits: Limits = NO_LIMITS) -> None:
    """Write the model and points.csv of a site; site.toml, plant.toml and tariff.csv are written by hand."""
    write_whole(folder / "models" / f"{building.name}.ifc", author_model(building))
    write_whole(folder / "points.csv", author_points(building, limits).encode())


def energyplus_building(model: str = DEMO_MODEL, name: str = "demo_office") -> Building:
    """A building read from a reference model of the EnergyPlus package; MissingError where the package is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        return read_building(engine.load_model(engine.shipped("models", model), Path(folder)), name)


def corner_clinic() -> Building:
    """A small one-storey clinic, designed by hand: five rooms on one air handler, no gas, no EnergyPlus model."""
    height = 3.2
    rooms = (
        ("Waiting", ((0, 0), (9, 0), (9, 8), (0, 8)), True),
        ("Reception", ((9, 0), (14, 0), (14, 8), (9, 8)), True),
        ("Surgery_1", ((14, 0), (20, 0), (20, 8), (14, 8)), True),
        ("Surgery_2", ((14, 8), (20, 8), (20, 15), (14, 15)), True),
        ("Treatment", ((0, 8), (14, 8), (14, 15), (0, 15)), False),
    )
    zones = tuple(
        ZoneDesign(name, 0, tuple((float(x), float(y)) for x, y in polygon), 0.0, height, "AHU-1", daylit)
        for name, polygon, daylit in rooms
    )
    return Building("corner_clinic", (0.0,), zones, (AirHandlerDesign("AHU-1", 0),), has_gas=False)


def _storeys(writer: ModelWriter, building: Building, known: Known) -> list[Entity]:
    if known.storeys:
        return [writer.known_storey(*named, z) for named, z in zip(known.storeys, building.storeys_m, strict=True)]
    return [writer.storey(f"Level {n + 1}", z) for n, z in enumerate(building.storeys_m)]


def _known_element(writer: ModelWriter, known: Known, name: str, container: Entity) -> Entity | None:
    """The element of another model that is this part of the design."""
    there = known.equipment.get(name)
    return writer.known_element(there.global_id, there.ifc_class, there.name, Spot(container, *there.position)) if there else None


def _air_handler(
    writer: ModelWriter, building: Building, ahu: AirHandlerDesign, storey: Entity, points: list[DesignPoint], known: Known
) -> Entity:
    """The air handler in the ceiling void of its storey, beside the middle of its largest zone, with a fire damper in its supply duct."""
    mine = [p for p in points if p.of == ahu.name]
    there = _known_element(writer, known, ahu.name, storey)
    if there is not None:
        _control_elements(writer, there, mine, Spot(storey, *known.equipment[ahu.name].position))
        return there
    zones = [zone for zone in building.zones if zone.air_handler == ahu.name]
    x, y = _centre(max(zones, key=lambda z: z.area_m2)) if zones else (0.0, 0.0)
    x = round(x - _BESIDE_M, 3)
    z = building.storeys_m[ahu.storey] + (zones[0].height_m if zones else 3.0) + 0.2
    handler = writer.element("IfcUnitaryEquipment", ahu.name, "AIRHANDLER", Spot(storey, x, y, z), brick="AHU")
    if not known.rooms:
        writer.element("IfcDamper", f"FD {ahu.name}", "FIREDAMPER", Spot(storey, x + 1.5, y, z), brick="Damper")
    _control_elements(writer, handler, mine, Spot(storey, x, y, z))
    return handler


def _zone(writer: ModelWriter, zone: ZoneDesign, storey: Entity, points: list[DesignPoint], known: Known) -> tuple[Entity, ...]:
    """A room with its zone, terminals, luminaires, sensors and actuators; box, diffuser and grille come back where air is brought.

    A zone that stands for several equal rooms has them all, drawn in one place.
    """
    room = _rooms(writer, zone, storey, known)
    x, y = zone.middle or _centre(zone)
    mine = [p for p in points if p.of == zone.name]
    ceiling = zone.floor_z_m + zone.height_m - 0.1
    box = _known_element(writer, known, zone.box, room)
    if box is None:
        box = _terminal(writer, zone, Spot(room, x, y, zone.floor_z_m + zone.height_m + 0.2))
    lights = _luminaires(writer, zone, Spot(room, x, y, ceiling), known)
    if box is not None:
        _control_elements(writer, box, [p for p in mine if p.owner == zone.box], Spot(room, x, y, zone.floor_z_m + 1.5))
    _control_elements(
        writer, lights, [p for p in mine if p.owner == zone.luminaires and p.row["ifc_class"] == "IfcSensor"], Spot(room, x, y, ceiling)
    )
    for point in mine:
        if point.row["ifc_class"] == "IfcLightFixture":
            name = f"{zone.name}.light_{point.tag}"
            writer.mark(lights, _mark(point, name=name, brick=point.row["brick"]))
    if not zone.air_handler or zone.box in known.equipment:
        return ()
    apart, under = (0.0 if known.rooms else _APART_M), zone.floor_z_m + zone.height_m - 0.1
    diffuser = writer.element(
        "IfcAirTerminal", f"SD {zone.name}", "DIFFUSER", Spot(room, x + apart, y + apart, under), brick="Air_Diffuser"
    )
    grille = writer.element(
        "IfcAirTerminal", f"RG {zone.name}", "GRILLE", Spot(room, x - apart, y - apart, under), brick="Return_Air_Opening"
    )
    return box, diffuser, grille


def _rooms(writer: ModelWriter, zone: ZoneDesign, storey: Entity, known: Known) -> Entity:
    """The zone and its rooms; the room that its equipment stands in comes back."""
    if zone.name in known.rooms:
        rooms = [writer.known_room(storey, room) for room in known.rooms[zone.name]]
        if zone.name not in known.zones:
            writer.zone(zone.name, rooms)
        return rooms[0]
    more = [writer.room(f"{zone.name} {n + 1}", storey, zone.polygon, zone.height_m) for n in range(1, zone.multiplier)]
    room = writer.room(zone.name, storey, zone.polygon, zone.height_m)
    writer.zone(zone.name, [room, *more])
    return room


def _luminaires(writer: ModelWriter, zone: ZoneDesign, spot: Spot, known: Known) -> Entity:
    """The luminaire with the zone's lighting points. A building of our own has an emergency light beside it, never to be written."""
    there = _known_element(writer, known, zone.luminaires, spot.container)
    if there is not None:
        return there
    lights = writer.element("IfcLightFixture", zone.luminaires, "DIRECTIONSOURCE", spot, brick="Luminaire")
    if not known.rooms:
        beside = Spot(spot.container, spot.x_m + 1.0, spot.y_m, spot.z_m)
        writer.element("IfcLightFixture", f"EL {zone.name}", "SECURITYLIGHTING", beside, brick="Luminaire")
    return lights


def _terminal(writer: ModelWriter, zone: ZoneDesign, spot: Spot) -> Entity | None:
    """What brings air to the zone; None where nothing does."""
    if zone.terminal == NOTHING:
        return None
    _, ifc_class, kind, brick = TERMINALS[zone.terminal]
    return writer.element(ifc_class, zone.box, kind, spot, brick=brick)


def _meters(writer: ModelWriter, building: Building, storey: Entity, points: list[DesignPoint]) -> None:
    for n, (place, (name, _, _, brick, _)) in enumerate(METERS.items()):
        mine = [p for p in points if p.place == place]
        if mine:
            spot = Spot(storey, -1.0, 1.0 + n, building.storeys_m[0] + 1.5)  # outside, on the wall of the meter cabinet
            kind = "GASMETER" if place == "gas_meter" else "ENERGYMETER"
            _control_elements(writer, writer.element("IfcFlowMeter", name, kind, spot, brick=brick), mine, spot)


def _control_elements(writer: ModelWriter, owner: Entity, points: list[DesignPoint], spot: Spot) -> None:
    parts = []
    for n, point in enumerate(points):
        name = f"{point.of}.{'light_' if point.place == 'lights' else ''}{point.tag}"
        place = Spot(spot.container, spot.x_m + 0.2 * (n + 1), spot.y_m, spot.z_m)
        part = writer.element(point.row["ifc_class"], name, point.row["predefined"], place, brick=point.row["brick"])
        writer.mark(part, _mark(point))
        parts.append(part)
    if parts:
        writer.control(owner, parts)


def _mark(point: DesignPoint, name: str = "", brick: str = "") -> PointMark:
    return PointMark(point.address, point.row["unit"], point.scale, point.row["writable"] == "yes", name, brick)


def _connection(name: str, protocol: str, device: int) -> str:
    return f'[connections.{name}]\nprotocol = "{protocol}"\nhost = "127.0.0.1"\nport = 0\n' + (f"device = {device}\n" if device else "")


def _centre(zone: ZoneDesign) -> tuple[float, float]:
    """The middle of the polygon's corners: good enough for convex rooms, and always the same."""
    corners: Iterator[tuple[float, float]] = iter(zone.polygon)
    xs, ys = zip(*corners, strict=True)
    return round(sum(xs) / len(xs), 3), round(sum(ys) / len(ys), 3)


if __name__ == "__main__":
    author_site(energyplus_building(), product_root() / "sites" / DEMO_SITE)
    author_site(corner_clinic(), product_root() / "sites" / CLINIC_SITE, CLINIC_LIMITS)
