"""Written models: valid, the same bytes every time, and GlobalIds that outlive an addition."""

from collections.abc import Callable
from pathlib import Path

import ifcopenshell
import ifcopenshell.validate
import pytest

from bim.writing import ModelWriter, Spot

House = Callable[..., ModelWriter]


@pytest.mark.parametrize("schema", ["IFC4", "IFC4X3"])
def test_a_written_model_has_no_schema_issue(house: House, tmp_path: Path, schema: str) -> None:
    house(schema).write(tmp_path / "house.ifc")
    logger = ifcopenshell.validate.json_logger()

    ifcopenshell.validate.validate(str(tmp_path / "house.ifc"), logger, express_rules=schema == "IFC4")

    assert logger.statements == []


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
