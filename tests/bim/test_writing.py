"""Written models: valid, the same bytes every time, and GlobalIds that outlive an addition."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.validate
import pytest

from bim.importing import import_models
from bim.inventory import take_inventory
from bim.opening import open_model
from bim.writing import CABLE, PIPE, ModelWriter, Spot

NORTH = (0.0, 1.0)
House = Callable[..., ModelWriter]


def plant_room(schema: str) -> ModelWriter:
    """Hot and chilled water with supply and return, air both ways, and two lighting circuits on one board."""
    writer = ModelWriter("Plant", schema)
    storey = writer.storey("Level 0", 0.0)
    room = writer.room("Office", storey, [(0, 0), (8, 0), (8, 6), (0, 6)], 3.0, holes=[[(1, 4), (2, 4), (2, 5), (1, 5)]])

    def add(ifc_class: str, name: str, kind: str, at: tuple[float, float, float], looks: tuple[float, float] | None = None) -> Any:
        return writer.element(ifc_class, name, kind, Spot(storey, *at, looks=looks))

    boiler, pump = add("IfcBoiler", "B-1", "WATER", (-6, 0, 0)), add("IfcPump", "P-1", "CIRCULATOR", (-4, 0, 0.5))
    chiller = add("IfcChiller", "CH-1", "AIRCOOLED", (-9, 4, 0))
    ahu = add("IfcUnitaryEquipment", "AHU-1", "AIRHANDLER", (-5, 4, 0.5))
    radiator = add("IfcSpaceHeater", "RAD-1", "RADIATOR", (4, 0, 0.2), NORTH)
    diffuser = add("IfcAirTerminal", "SD-1", "DIFFUSER", (4, 3, 2.9))
    grille = add("IfcAirTerminal", "RG-1", "GRILLE", (6, 3, 2.9))
    board_class = "IfcElectricDistributionBoard" if schema == "IFC4" else "IfcDistributionBoard"
    board = add(board_class, "DB-1", "DISTRIBUTIONBOARD", (7, 0, 1), NORTH)
    lights = [add("IfcLightFixture", f"LT-{n}", "POINTSOURCE", (2.0 + n, 2, 2.9)) for n in range(4)]
    hot = [writer.run(boiler, pump, storey, "HEATING", PIPE), writer.run(pump, radiator, storey, "HEATING", PIPE)]
    writer.system("Heating supply", "HEATING", [boiler, pump, radiator, *hot])
    writer.system("Heating return", "HEATING", [boiler, radiator, writer.run(radiator, boiler, storey, "HEATING", PIPE)])
    writer.system("CHW supply", "CHILLEDWATER", [chiller, ahu, writer.run(chiller, ahu, storey, "CHILLEDWATER", PIPE)])
    writer.system("CHW return", "CHILLEDWATER", [chiller, ahu, writer.run(ahu, chiller, storey, "CHILLEDWATER", PIPE)])
    writer.system("Supply air", "AIRCONDITIONING", [ahu, diffuser, writer.run(ahu, diffuser, storey)])
    writer.system("Return air", "EXHAUST", [ahu, grille, writer.run(grille, ahu, storey, "EXHAUST")])
    power = writer.system("Lighting power", "ELECTRICAL", [board])
    writer.circuit("Circuit 1", "LIGHTING", lights[:2], power)
    writer.circuit("Circuit 2", "LIGHTING", [*lights[2:], writer.run(board, lights[2], storey, "LIGHTING", CABLE)], power)
    writer.zone("Zone 1", [room])
    return writer


@pytest.mark.parametrize("schema", ["IFC4", "IFC4X3"])
@pytest.mark.parametrize("build", ["house", "plant"])
def test_a_written_model_has_no_schema_issue_by_any_rule(house: House, tmp_path: Path, build: str, schema: str) -> None:
    (house(schema) if build == "house" else plant_room(schema)).write(tmp_path / "model.ifc")
    logger = ifcopenshell.validate.json_logger()

    ifcopenshell.validate.validate(str(tmp_path / "model.ifc"), logger, express_rules=True)

    assert logger.statements == []


@pytest.mark.parametrize("schema", ["IFC4", "IFC4X3"])
def test_a_written_plant_is_read_back_with_its_flows_bodies_and_templates(tmp_path: Path, schema: str) -> None:
    plant_room(schema).write(tmp_path / "plant.ifc")
    imported = import_models([tmp_path / "plant.ifc"], tmp_path / "out", "plant")
    model = ifcopenshell.open(str(tmp_path / "plant.ifc"))

    assert [row[:2] for row in imported.report["flows"]["feeds"]] == [
        ["ahu_1", "sd_1"],
        ["b_1", "p_1"],
        ["ch_1", "ahu_1"],
        ["db_1", "lt_0"],
        ["db_1", "lt_1"],
        ["db_1", "lt_2"],
        ["db_1", "lt_3"],
        ["p_1", "rad_1"],
    ]
    assert sorted(row[:2] for row in imported.report["flows"]["serves"]) == [["rad_1", "zone_1"], ["sd_1", "zone_1"]]
    assert imported.report["flows"]["returns"] == 3
    assert imported.report["flows"]["gaps"]["open_ends"] == 0
    assert all(element.Representation for element in model.by_type("IfcDistributionElement"))
    assert {t.Name for t in model.by_type("IfcPropertySetTemplate")} == {"BuildingControl_BACnet", "BuildingControl_Modbus"}
    assert imported.report["violations"] == []


def test_ports_of_a_run_lie_where_its_ends_are(tmp_path: Path) -> None:
    plant_room("IFC4").write(tmp_path / "plant.ifc")
    inventory = take_inventory([open_model(tmp_path / "plant.ifc")])
    gaps = [
        math.dist(a, b)
        for a, b in ((inventory.ports[link.a].position, inventory.ports[link.b].position) for link in inventory.links)
        if a and b
    ]

    assert len(gaps) == len(inventory.links) > 10
    assert max(gaps) < 0.001


@pytest.mark.parametrize("schema", ["IFC4", "IFC4X3"])
def test_the_same_building_gives_the_same_bytes(house: House, schema: str) -> None:
    assert house(schema).content() == house(schema).content()


def test_global_ids_are_unique_and_survive_an_added_element(house: House) -> None:
    def ids(content: bytes) -> dict[str, str]:
        model = ifcopenshell.file.from_string(content.decode())
        return {f"{e.is_a()} {e.Name}": e.GlobalId for e in model.by_type("IfcProduct")}

    larger = house()
    storey = larger.storey("Level 2", 3.5)
    larger.element("IfcPump", "P-1", "CIRCULATOR", Spot(storey, 0, 0, 4.0))

    before, after = ids(house().content()), ids(larger.content())

    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)
    assert set(after) - set(before) == {"IfcBuildingStorey Level 2", "IfcPump P-1"}


def test_no_machine_and_no_clock_stands_in_a_model(house: House) -> None:
    text = house().content().decode()

    assert "2026-01-01T00:00:00" in text
    assert str(Path(__file__).parents[2]) not in text
    assert "/home" not in text
