"""A large IFC model for speed figures: one storey as the model writer makes it, with bodies of walls and ducts, many times."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bim.writing import Entity, ModelWriter, PointMark, Spot

ROOMS = 50  # on a storey, each with a box, four sensors and actuators, a zone and four luminaires
STOREY_HEIGHT_M = 4.0
BRANCHES = 6  # lengths of duct in each room: what a services model mostly consists of
CORNERS = 24  # of a round duct's faceted body
_MARK_M = 777.25  # stands for the storey's elevation in the repeated text; no other number looks like it
_NUMBER = "qqnrqq"  # stands for the storey's number in names
_GUID_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$"


@dataclass(frozen=True)
class Storey:
    """The text of one storey, cut where ids stand, and the text that all storeys share."""

    head: str
    pieces: tuple[str, ...]  # text, id, text, id, ... text
    ids: tuple[int, ...]  # one for each gap; those up to `shared` are the same in every storey
    shared: int
    largest: int


def write_large_model(path: Path, megabytes: float) -> int:
    """Write a model of at least this size, storey by storey; the number of storeys comes back."""
    storey, number, written = one_storey(), 0, 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        written += file.write(storey.head)
        while written < megabytes * 1e6:
            written += file.write(_numbered(storey, number))
            number += 1
        file.write("ENDSEC;\nEND-ISO-10303-21;\n")
    return number


def one_storey() -> Storey:
    """Author a storey and cut its text for repetition."""
    writer = ModelWriter("large")
    storey = writer.storey(f"Level {_NUMBER}", _MARK_M)
    _equip(writer, storey)
    text = writer.content().decode("ascii")
    head, _, data = text.partition("DATA;\n")
    lines = [line for line in data.splitlines() if line.startswith("#")]
    first = int(storey.id()) - 3  # its point, axes and placement stand before the storey itself
    whole = re.compile(rf"#\d+=IFCRELAGGREGATES\('[^']+',\$,\$,\$,#(?!{writer.building.id()},|{storey.id()},)")  # of project and site: once
    shared = [line for line in lines if _id(line) < first or whole.match(line)]
    own = [line for line in lines if not (_id(line) < first or whole.match(line))]
    own += _Bodies(max(map(_id, lines)) + 1, int(storey.id()), lines).lines
    parts = re.split(r"#(\d+)", "\n".join(own) + "\n")
    ids = tuple(int(i) for i in parts[1::2])
    return Storey(f"{head}DATA;\n" + "\n".join(shared) + "\n", tuple(_cut_guids(parts[0::2])), ids, first - 1, max(ids))


def _equip(writer: ModelWriter, storey: Entity) -> None:
    """One air handler, and in each room a box with its points and luminaires."""
    handler = writer.element("IfcUnitaryEquipment", f"AHU {_NUMBER}", "AIRHANDLER", Spot(storey, -3.0, 1.0, _MARK_M), brick="AHU")
    boxes = []
    for n in range(ROOMS):
        x, y = 5.0 * (n % 10), 6.0 * (n // 10)
        room = writer.room(f"R{_NUMBER}-{n}", storey, [(x, y), (x + 5, y), (x + 5, y + 6), (x, y + 6)], 3.0)
        writer.zone(f"Zone {_NUMBER}-{n}", [room])
        box = writer.element("IfcAirTerminalBox", f"VAV {_NUMBER}-{n}", "VARIABLEFLOWPRESSUREDEPENDANT", _spot(room, x, y))
        points = [_point(writer, f"VAV {_NUMBER}-{n}.{tag}", n * 4 + i, kind, _spot(room, x, y)) for i, (tag, kind) in enumerate(_POINTS)]
        writer.control(box, points)
        writer.connect(handler, box)
        boxes.append(box)
        for i in range(4):
            writer.element("IfcLightFixture", f"LT {_NUMBER}-{n}.{i}", "DIRECTIONSOURCE", _spot(room, x + i * 0.5, y))
    writer.system(f"Supply air {_NUMBER}", "AIRCONDITIONING", [handler, *boxes])


_POINTS = (("ZN-T", "TEMPERATURESENSOR"), ("CO2", "CO2SENSOR"), ("FLOW", "FLOWSENSOR"), ("DMP", "ELECTRICACTUATOR"))


def _spot(room: Entity, x: float, y: float) -> Spot:
    return Spot(room, x + 2.0, y + 2.0, _MARK_M + 2.5)


def _point(writer: ModelWriter, name: str, instance: int, kind: str, spot: Spot) -> Entity:
    actuator = kind == "ELECTRICACTUATOR"
    point = writer.element("IfcActuator" if actuator else "IfcSensor", name, kind, spot, "Damper_Position_Command" if actuator else "")
    unit = {"TEMPERATURESENSOR": "DEG_C", "CO2SENSOR": "PPM", "FLOWSENSOR": "L-PER-SEC"}.get(kind, "PERCENT")
    writer.mark(point, PointMark(f"bacnet:level_{_NUMBER}/analog-{'output' if actuator else 'input'},{instance}", unit, writable=actuator))
    return point


class _Bodies:
    """Walls with raised bodies and ducts with faceted ones, as text: the mass of a real model's file."""

    def __init__(self, first_id: int, storey: int, lines: list[str]) -> None:
        self._next, self.lines = first_id, list[str]()
        context = next(_id(line) for line in lines if "=IFCGEOMETRICREPRESENTATIONSUBCONTEXT(" in line)
        placement = next(int(found[1]) for line in lines if _id(line) == storey and (found := re.search(r",#(\d+),", line)))
        elements = [
            self._element(n, context, placement, kind) for n in range(ROOMS) for kind in ("IFCWALL", *["IFCDUCTSEGMENT"] * BRANCHES)
        ]
        self._add(f"IFCRELCONTAINEDINSPATIALSTRUCTURE('{_guid(self._next)}',$,$,$,({','.join(elements)}),#{storey})")

    def _element(self, room: int, context: int, placement: int, kind: str) -> str:
        x, y = 5.0 * (room % 10), 6.0 * (room // 10)
        axes = self._add(f"IFCAXIS2PLACEMENT3D({self._point(x, y, 0.0)},$,$)")
        place = self._add(f"IFCLOCALPLACEMENT(#{placement},{axes})")
        body = self._add(f"IFCFACETEDBREP({self._add(f'IFCCLOSEDSHELL(({self._faces()}))')})")
        shape = self._add(f"IFCSHAPEREPRESENTATION(#{context},'Body','Brep',({body}))")
        whole = self._add(f"IFCPRODUCTDEFINITIONSHAPE($,$,({shape}))")
        value = "SOLIDWALL" if kind == "IFCWALL" else "RIGIDSEGMENT"
        return self._add(f"{kind}('{_guid(self._next)}',$,'{kind[3:].title()} {_NUMBER}-{self._next}',$,$,{place},{whole},$,.{value}.)")

    def _faces(self) -> str:
        """A prism of many sides: two ends and the sides between them."""
        low, high = ([self._point(0.1 * i, 0.1 * (i % 5), z) for i in range(CORNERS)] for z in (0.0, 2.8))
        sides = [(low[i - 1], low[i], high[i], high[i - 1]) for i in range(CORNERS)]
        return ",".join(self._face(corners) for corners in (tuple(reversed(low)), tuple(high), *sides))

    def _face(self, corners: tuple[str, ...]) -> str:
        loop = self._add(f"IFCPOLYLOOP(({','.join(corners)}))")
        return self._add(f"IFCFACE(({self._add(f'IFCFACEOUTERBOUND({loop},.T.)')}))")

    def _point(self, x: float, y: float, z: float) -> str:
        return self._add(f"IFCCARTESIANPOINT(({x:.6f},{y:.6f},{z:.6f}))")

    def _add(self, entity: str) -> str:
        self.lines.append(f"#{self._next}={entity};")
        self._next += 1
        return f"#{self._next - 1}"


def _numbered(storey: Storey, number: int) -> str:
    """The storey's text with ids, names, GlobalIds and elevation of its own."""
    shift = number * (storey.largest - storey.shared)
    words = [storey.pieces[0]]
    for entity, piece in zip(storey.ids, storey.pieces[1:], strict=True):
        words += (f"#{entity if entity <= storey.shared else entity + shift}", piece)
    text = "".join(words).replace(_NUMBER, str(number + 1)).replace("~~~~", _digits(number + 1, 4))
    return text.replace(str(_MARK_M), f"{number * STOREY_HEIGHT_M:.2f}")


def _cut_guids(pieces: list[str]) -> Iterator[str]:
    """The last four characters of every GlobalId become a mark: the storey's number stands there later."""
    guid = re.compile(r"(=IFC\w+\('[0-3][0-9A-Za-z_$]{17})[0-9A-Za-z_$]{4}'")
    return (guid.sub(r"\1~~~~'", piece) for piece in pieces)


def _guid(number: int) -> str:
    return "1" + _digits(number, 17) + "0000"


def _digits(number: int, count: int) -> str:
    return "".join(_GUID_DIGITS[number // 64**place % 64] for place in reversed(range(count)))


def _id(line: str) -> int:
    return int(line[1 : line.index("=")])
