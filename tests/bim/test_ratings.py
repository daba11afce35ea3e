"""Name plates: what property sets rate equipment for comes into the twin in SI units, whatever the model's own units are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid
import pytest

from bim.importing import Imported, import_models


@pytest.fixture
def rated(model_file: Callable[..., Path], tmp_path: Path) -> Callable[[Callable[[Any, Any, Any], None]], Imported]:
    """Import the house after `change` has worked on its model, its unit assignment and its air handler."""

    def run(change: Callable[[Any, Any, Any], None]) -> Imported:
        path = model_file()
        file = ifcopenshell.open(str(path))
        change(file, file.by_type("IfcUnitAssignment")[0], file.by_type("IfcUnitaryEquipment")[0])
        file.write(str(path))
        return import_models([path], tmp_path / "out", "house")

    return run


def plate(file: Any, thing: Any, **values: tuple[str, float]) -> Any:
    """A property set on a thing: name -> (measure, value)."""
    props = [file.create_entity("IfcPropertySingleValue", n, None, file.create_entity(m, v)) for n, (m, v) in values.items()]
    pset = file.create_entity("IfcPropertySet", ifcopenshell.guid.new(), None, "Pset_Plate", None, props)
    file.create_entity("IfcRelDefinesByProperties", ifcopenshell.guid.new(), None, None, None, [thing], pset)
    return pset


def of(imported: Imported) -> dict[tuple[str, str], tuple[float, str]]:
    return {(r["equipment"], r["property"]): (float(r["value"]), r["unit"]) for r in imported.graph.ask("ratings")}


def test_values_in_project_units_become_si_with_their_qudt_unit(rated: Callable[..., Imported]) -> None:
    def change(file: Any, units: Any, ahu: Any) -> None:
        litre, second = (
            file.create_entity("IfcSIUnit", None, "VOLUMEUNIT", "DECI", "CUBIC_METRE"),
            file.create_entity("IfcSIUnit", None, "TIMEUNIT", None, "SECOND"),
        )
        parts = [file.create_entity("IfcDerivedUnitElement", litre, 1), file.create_entity("IfcDerivedUnitElement", second, -1)]
        kilo = file.create_entity("IfcSIUnit", None, "MASSUNIT", "KILO", "GRAM")
        hour = file.create_entity(
            "IfcConversionBasedUnit", file.create_entity("IfcDimensionalExponents", 0, 0, 1, 0, 0, 0, 0), "TIMEUNIT", "HOUR",
            file.create_entity("IfcMeasureWithUnit", file.create_entity("IfcTimeMeasure", 3600.0), second),
        )  # fmt: skip
        per_hour = [file.create_entity("IfcDerivedUnitElement", kilo, 1), file.create_entity("IfcDerivedUnitElement", hour, -1)]
        units.Units = (
            *units.Units,
            file.create_entity("IfcSIUnit", None, "POWERUNIT", "KILO", "WATT"),
            file.create_entity("IfcDerivedUnit", parts, "VOLUMETRICFLOWRATEUNIT"),
            file.create_entity("IfcDerivedUnit", per_hour, "MASSFLOWRATEUNIT"),
        )
        plate(
            file, ahu, FanPower=("IfcPowerMeasure", 7.5), AirFlow=("IfcVolumetricFlowRateMeasure", 1250.0),
            Steam=("IfcMassFlowRateMeasure", 36.0), Note=("IfcLabel", "no number"), Length=("IfcLengthMeasure", 2.0),
        )  # fmt: skip

    imported = rated(change)

    assert of(imported) == {
        ("ahu_1", "FanPower"): (7500.0, "W"),
        ("ahu_1", "AirFlow"): (1.25, "M3-PER-SEC"),
        ("ahu_1", "Steam"): (0.01, "KiloGM-PER-SEC"),
    }
    assert imported.report["violations"] == []


def test_a_property_s_own_unit_counts_before_the_project_s_and_none_at_all_is_told(rated: Callable[..., Imported]) -> None:
    def change(file: Any, units: Any, ahu: Any) -> None:
        pset = plate(file, ahu, FanPower=("IfcPowerMeasure", 3.0), Pressure=("IfcPressureMeasure", 0.4))
        pset.HasProperties[0].Unit = file.create_entity("IfcSIUnit", None, "POWERUNIT", "MEGA", "WATT")

    imported = rated(change)

    assert of(imported) == {("ahu_1", "FanPower"): (3e6, "W")}
    assert any("1 property values have no unit (PRESSUREUNIT)" in warning for warning in imported.report["warnings"])


def test_the_type_s_plate_holds_where_the_thing_s_own_says_nothing_else(rated: Callable[..., Imported]) -> None:
    def change(file: Any, units: Any, ahu: Any) -> None:
        units.Units = (*units.Units, file.create_entity("IfcSIUnit", None, "POWERUNIT", None, "WATT"))
        own = plate(file, ahu, FanPower=("IfcPowerMeasure", 1.0))
        theirs = plate(file, ahu, FanPower=("IfcPowerMeasure", 2.0), CoilPower=("IfcPowerMeasure", 3.0))
        for rel in file.by_type("IfcRelDefinesByProperties"):
            if rel.RelatingPropertyDefinition == theirs:
                file.remove(rel)
        kind = file.create_entity(
            "IfcUnitaryEquipmentType", ifcopenshell.guid.new(), None, "AHU 7", None, None, [theirs], None, None, None, "AIRHANDLER"
        )
        file.create_entity("IfcRelDefinesByType", ifcopenshell.guid.new(), None, None, None, [ahu], kind)
        assert own

    assert of(rated(change)) == {("ahu_1", "FanPower"): (1.0, "W"), ("ahu_1", "CoilPower"): (3.0, "W")}
