from collections.abc import Callable
from pathlib import Path

import pytest

from bim.writing import ModelWriter, PointMark, Spot

ROOT = Path(__file__).parents[2]
PLACES = [folder / "shared" / "data" / "ifc" for folder in ROOT.parents[:2]]
PUBLIC = next((place for place in PLACES if place.is_dir()), PLACES[0])


@pytest.fixture
def public() -> Callable[[str], Path]:
    """A public IFC model by name; the test is skipped, visibly, where the models are not at hand."""

    def path(name: str) -> Path:
        if not (PUBLIC / name).exists():
            pytest.skip(f"public model {name} is not at hand ({PUBLIC})")
        return PUBLIC / name

    return path


def two_rooms(schema: str = "IFC4", contain: str = "room") -> ModelWriter:
    """AHU-1 feeds VAV-1 and VAV-2 in rooms R1 and R2 (5 m x 6 m, wall at x = 5), a sensor each, one light, one fire damper."""
    writer = ModelWriter("Two rooms", schema)
    storey = writer.storey("Level 1", 0.0)
    ahu = writer.element("IfcUnitaryEquipment", "AHU-1", "AIRHANDLER", Spot(storey, -3.0, 1.0, 0.5))
    writer.element("IfcDamper", "FD-1", "FIREDAMPER", Spot(storey, -2.0, 1.0, 3.2))
    boxes = []
    for n in (1, 2):
        x = 5.0 * (n - 1)
        room = writer.room(f"R{n}", storey, [(x, 0), (x + 5, 0), (x + 5, 6), (x, 6)], 3.0)
        writer.zone(f"Zone {n}", [room])
        holder = room if contain == "room" else storey
        box = writer.element("IfcAirTerminalBox", f"VAV-{n}", "VARIABLEFLOWPRESSUREDEPENDANT", Spot(holder, x + 2.5, 2.0, 3.2))
        sensor = writer.element("IfcSensor", f"VAV-{n}.ZN-T", "TEMPERATURESENSOR", Spot(holder, x + 1.0, 1.0, 1.5))
        damper = writer.element(
            "IfcActuator", f"VAV-{n}.DMP", "ELECTRICACTUATOR", Spot(holder, x + 2.5, 2.2, 3.2), "Damper_Position_Command"
        )
        writer.mark(sensor, PointMark(f"bacnet:ddc_1/analog-input,{n}", "DEG_C"))
        writer.mark(damper, PointMark(f"bacnet:ddc_1/analog-output,{n}", "PERCENT", writable=True))
        writer.control(box, [sensor, damper])
        writer.connect(ahu, box)
        boxes.append(box)
        if n == 1:
            light = writer.element("IfcLightFixture", "LT-1", "DIRECTIONSOURCE", Spot(holder, x + 2.0, 3.0, 2.9))
            writer.mark(light, PointMark("modbus:lights/1/holding/0:int16", "PERCENT", 0.1, writable=True))
    writer.system("Supply air", "AIRCONDITIONING", [ahu, *boxes])
    return writer


@pytest.fixture
def model_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the two-room model, changed by text replacements as a careless export would change it."""

    def write(name: str = "house.ifc", schema: str = "IFC4", contain: str = "room", change: Callable[[str], str] = str) -> Path:
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(change(two_rooms(schema, contain).content().decode()), encoding="ascii")
        return path

    return write


@pytest.fixture
def house() -> Callable[..., ModelWriter]:
    """Make the two-room house in a schema."""
    return two_rooms
