"""The design of a simulated site: its rooms, equipment and points, before any model or device exists.

One table (design_points.csv) says which points a zone, an air handler, a luminaire group and a meter have.
The IFC author, the plants and the simulated devices all read this one design, so they agree without knowing each other.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from twin.words import slug

METERS = {
    # place in design_points.csv -> (name, connection, Modbus unit, Brick class, what it meters)
    "main_meter": ("EM-MAIN", "main_meter", 1, "Building_Electrical_Meter", "the whole building's electricity; signs its own readings"),
    "gas_meter": ("GM-MAIN", "meters", 1, "Building_Gas_Meter", "the whole building's gas"),
    "hvac_meter": ("EM-HVAC", "meters", 2, "Electrical_Meter", "fans, cooling, heating and pumps"),
    "lighting_meter": ("EM-LIGHT", "meters", 3, "Electrical_Meter", "interior lighting"),
}


LIGHTS = frozenset({"level", "level_now"})
BOX, OUTLET, UNIT, NOTHING = "box", "outlet", "unit", "nothing"
"""What brings air to a zone: a variable volume box, an outlet of constant flow, a unit of its own (fan coil, heater), or nothing."""
TERMINALS = {
    # kind -> (prefix of the name, IFC class, predefined type, Brick class)
    BOX: ("VAV", "IfcAirTerminalBox", "VARIABLEFLOWPRESSUREDEPENDANT", "VAV"),
    OUTLET: ("CAV", "IfcAirTerminalBox", "CONSTANTFLOW", "CAV"),
    UNIT: ("UNIT", "IfcUnitaryEquipment", "USERDEFINED", "FCU"),
}


@dataclass(frozen=True)
class ZoneDesign:
    """A thermal zone with its terminal and one group of luminaires. `source` names objects of an EnergyPlus model by role.

    `tags` are the rows of the table that it has, None: all. A zone with a multiplier stands for so many equal rooms.
    """

    name: str
    storey: int
    polygon: tuple[tuple[float, float], ...]  # m, counter-clockwise seen from above
    floor_z_m: float
    height_m: float
    air_handler: str
    daylit: bool
    source: Mapping[str, str] = field(default_factory=dict)
    terminal: str = BOX
    tags: frozenset[str] | None = None
    multiplier: int = 1
    people: tuple[str, ...] = ()  # objects of the EnergyPlus model
    lamps: tuple[str, ...] = ()
    middle: tuple[float, float] | None = None  # where its things are drawn; None: the middle of the polygon's corners

    def has(self, tag: str) -> bool:
        """Whether the zone has the points of this row."""
        return tag in self.tags if self.tags is not None else tag != "zn_lux" or self.daylit

    @property
    def area_m2(self) -> float:
        corners = self.polygon
        return abs(sum(corners[i - 1][0] * y - x * corners[i - 1][1] for i, (x, y) in enumerate(corners))) / 2

    @property
    def box(self) -> str:
        """What carries the zone's points: its terminal, or its luminaires where it has none."""
        return self.luminaires if self.terminal == NOTHING else f"{TERMINALS[self.terminal][0]} {self.name}"

    @property
    def luminaires(self) -> str:
        return f"LT {self.name}"


@dataclass(frozen=True)
class AirHandlerDesign:
    """An air handler with its own fan, on one storey; `tags` are the rows of the table that it has, None: all."""

    name: str
    storey: int
    source: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] | None = None

    def has(self, tag: str) -> bool:
        """Whether the air handler has the point of this row."""
        return self.tags is None or tag in self.tags


@dataclass(frozen=True)
class Building:
    """What a simulated site consists of; zones and air handlers in a fixed order, storeys as elevations in m."""

    name: str
    storeys_m: tuple[float, ...]
    zones: tuple[ZoneDesign, ...]
    air_handlers: tuple[AirHandlerDesign, ...]
    has_gas: bool = True
    left_alone: tuple[str, ...] = ()  # what the model has and nobody can control from outside, one sentence each


@dataclass(frozen=True, slots=True)
class DesignPoint:
    """One row of the table for one owner: the point's id, its owner's name and its address."""

    id: str
    place: str
    tag: str
    owner: str  # name of the equipment that carries the point, as it stands in the model
    of: str  # name of the zone, air handler or meter it belongs to
    address: str
    scale: float
    row: Mapping[str, str]


@cache
def table() -> tuple[Mapping[str, str], ...]:
    """The rows of design_points.csv."""
    with (Path(__file__).parent / "design_points.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def design_points(building: Building) -> list[DesignPoint]:
    """Every point of the building with its address; instances and registers are counted per connection."""
    used: Counter[tuple[str, str]] = Counter()
    points = [
        _bacnet(ahu.name, ahu.name, row, f"ahu_{n + 1}", used)
        for n, ahu in enumerate(building.air_handlers)
        for row in _rows("air_handler")
        if ahu.has(row["tag"])
    ]
    for zone in building.zones:
        points += [_bacnet(zone.box, zone.name, row, f"floor_{zone.storey + 1}", used) for row in _rows("zone") if zone.has(row["tag"])]
        points += _lights(zone, used) if zone.tags is None or zone.tags >= LIGHTS else []
    for place, (name, connection, unit, _, _) in METERS.items():
        if place != "gas_meter" or building.has_gas:
            points += _meter(place, name, connection, unit)
    return points


def _rows(place: str) -> Iterator[Mapping[str, str]]:
    return (row for row in table() if row["place"] == place)


def _bacnet(owner: str, of: str, row: Mapping[str, str], connection: str, used: Counter[tuple[str, str]]) -> DesignPoint:
    kind = row["object_type"]
    instance = used[connection, kind]
    used[connection, kind] += 1
    return DesignPoint(slug(f"{of}.{row['tag']}"), row["place"], row["tag"], owner, of, f"bacnet:{connection}/{kind},{instance}", 1.0, row)


def _lights(zone: ZoneDesign, used: Counter[tuple[str, str]]) -> list[DesignPoint]:
    """Command (holding register, -1 = own schedule) and feedback (input register), both in tenths of a percent."""
    connection = f"lights_{zone.storey + 1}"
    register = used[connection, "zone"]
    used[connection, "zone"] += 1
    return [
        DesignPoint(
            slug(f"{zone.name}.light_{row['tag']}"), "lights", row["tag"], zone.luminaires, zone.name,
            f"modbus:{connection}/1/{'holding' if row['tag'] == 'level' else 'input'}/{register}:{row['object_type']}", 0.1, row,
        )
        for row in _rows("lights")
    ]  # fmt: skip


def _meter(place: str, name: str, connection: str, unit: int) -> list[DesignPoint]:
    registers = {"power": "input/0", "energy": "input/10", "record": "holding/100"}
    return [
        DesignPoint(
            slug(f"{name}.{row['tag']}"),
            place,
            row["tag"],
            name,
            name,
            _meter_address(connection, unit, registers[row["tag"]], row["object_type"]),
            1.0,
            row,
        )
        for row in _rows(place)
    ]


def _meter_address(connection: str, unit: int, register: str, data_type: str) -> str:
    order = "" if data_type.startswith("record") else ":big"
    return f"modbus:{connection}/{unit}/{register}:{data_type}{order}"
