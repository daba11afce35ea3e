"""The importer's tables: every name exists where it says it does, and every class of every schema comes out somewhere."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from bim import tables
from bim.classifying import Coverage, classify
from bim.inventory import Element
from twin import life_safety
from twin.graph import brick

DATA = Path(tables.__file__).parent / "data"
SCHEMAS = {name: ifcopenshell.schema_by_name(name) for name in ("IFC2X3", "IFC4", "IFC4X3_ADD2")}
FAMILIES = {  # classes that only gather others: IFC2X3 says on the type object which one it is
    "IfcDistributionElement", "IfcDistributionControlElement", "IfcDistributionFlowElement", "IfcEnergyConversionDevice",
    "IfcFlowController", "IfcFlowMovingDevice", "IfcFlowStorageDevice", "IfcFlowTerminal", "IfcFlowTreatmentDevice", "IfcElectricalElement",
}  # fmt: skip
VALUES = ("PredefinedType", "OperationType", "DistributionPointFunction")


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def below(declaration: Any) -> Iterator[Any]:
    yield declaration
    for sub in declaration.subtypes():
        yield from below(sub)


def values_of(declaration: Any) -> list[str]:
    for attribute in declaration.all_attributes():
        kind = attribute.type_of_attribute()
        if attribute.name() in VALUES and hasattr(kind, "declared_type") and hasattr(kind.declared_type(), "enumeration_items"):
            return list(kind.declared_type().enumeration_items())
    return []


def ancestors(declaration: Any) -> tuple[str, ...]:
    names = []
    while declaration is not None:
        names.append(declaration.name())
        declaration = declaration.supertype()
    return tuple(names)


def kinds(schema: str) -> Iterator[Element]:
    """An element of every distribution class, transport class and value of a schema, and of every type class on its own family."""
    tops = ["IfcDistributionElement", "IfcTransportElement", "IfcDistributionElementType", "IfcTransportElementType"]
    tops += ["IfcElectricalElement"] if schema == "IFC2X3" else []
    for declaration in (d for top in tops for d in below(SCHEMAS[schema].declaration_by_name(top))):
        name, is_type = declaration.name(), declaration.name().endswith("Type")
        above = ancestors(declaration)
        family = tuple(n.removesuffix("Type") for n in above if n.startswith(("IfcFlow", "IfcDistribution", "IfcEnergy")))
        chain = (*family, "IfcElement") if is_type else above
        for value in ("", *values_of(declaration)):
            own = ("", name.removesuffix("Type"), value) if is_type else (value, "", "")
            ifc_class = (family[0] if family else "IfcTransportElement") if is_type else name
            yield Element((0, 1), ifc_class, own[0], own[1], own[2], "", "g", "", "", None, None, "", (), chain)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_class_and_value_of_every_schema_is_mapped_or_passive_or_only_a_family(schema: str) -> None:
    seen = list(kinds(schema))
    open_ones = {e.type_class or e.ifc_class for e in seen if classify(e).coverage is Coverage.UNMAPPED}

    assert len(seen) > 500
    assert {name.removesuffix("Type") for name in open_ones} <= FAMILIES


def test_what_is_unmapped_says_why() -> None:
    family = next(e for e in kinds("IFC2X3") if e.ifc_class == "IfcFlowTerminal" and not e.type_class)

    assert "IfcFlowTerminal" in classify(family).evidence


def test_every_class_exists_in_brick_and_is_not_deprecated() -> None:
    names = {(r.ifc, r.brick) for r in tables.mapping().values() if r.brick}
    names |= {("name_rules.csv", rule.brick) for rule, _ in tables.name_rules()}
    names |= {("refinements.csv", r[c]) for r in rows("refinements.csv") for c in ("brick", "refined")}
    names |= {("equipment_points.csv", r[c]) for r in rows("equipment_points.csv") for c in ("equipment", "brick")}
    names |= {(table, r["brick"]) for table in ("units.csv", "general_classes.csv", "codes.csv") for r in rows(table)}
    names |= {("narrower.csv", name) for pair in tables.narrower() for name in pair}

    assert [(table, name) for table, name in sorted(names) if name not in brick().classes or name in brick().deprecated] == []


def test_every_row_is_of_equipment_points_systems_or_places_and_says_so_when_it_is_general() -> None:
    tops = ("brick:Equipment", "brick:Point", "brick:System")
    kinds_of_things = [r for r in tables.mapping().values() if r.brick.startswith("brick:")]

    assert [r for r in kinds_of_things if not any(brick().is_a(r.brick, top) for top in tops)] == []
    assert [r for r in kinds_of_things if (r.match == "generic") != (r.brick in tables.general_classes())] == []
    assert {r.match for r in tables.mapping().values()} == {"direct", "generic", "weak", "skip"}
    assert len(tables.mapping()) == len(rows("ifc_to_brick.csv"))


def test_every_ifc_class_and_value_exists_in_some_schema() -> None:
    known = {d.name(): d for schema in SCHEMAS.values() for d in schema.declarations()}
    values: dict[str, set[str]] = {}
    for schema in SCHEMAS.values():
        for declaration in schema.declarations():
            if hasattr(declaration, "all_attributes"):
                values.setdefault(declaration.name().removesuffix("Type"), set()).update(values_of(declaration))
    wrong = [
        (r.ifc, r.predefined)
        for r in tables.mapping().values()
        if (r.ifc not in known and f"{r.ifc}Type" not in known) or (r.predefined and r.predefined not in values[r.ifc])
    ]

    assert wrong == []


def test_every_class_of_the_closed_lists_exists_in_some_schema() -> None:
    known = {d.name() for schema in SCHEMAS.values() for d in schema.declarations()}
    listed = [r["ifc_class"] for table in (rows("passive.csv"), rows("domains.csv"), life_safety.rows()) for r in table if r["ifc_class"]]

    assert [name for name in listed if name not in known and f"{name}Type" not in known] == []
    assert all(r["why"] for r in rows("passive.csv"))


def test_a_class_is_either_passive_or_mapped() -> None:
    both = {row.ifc for row in tables.mapping().values() if row.brick} & set(tables.passive())

    assert both == set()


def test_every_system_value_of_the_qualifiers_exists() -> None:
    known = set(values_of(SCHEMAS["IFC4X3_ADD2"].declaration_by_name("IfcDistributionSystem")))

    assert {value for _, systems, _ in tables.qualifiers() for value in systems} <= known
    assert {key for _, key in tables.refinements()} - {key for key, _, _ in tables.qualifiers()} == {"room", "terminal"}


def test_the_domain_of_a_class_comes_from_the_nearest_class_above() -> None:
    assert tables.domain_of("brick:Cassette_Fan_Coil_Unit") == "air"
    assert tables.domain_of("brick:Condensing_Natural_Gas_Boiler") == "water"
    assert tables.domain_of("brick:Variable_Frequency_Drive") == "electrical"
    assert tables.domain_of("brick:Supply_Air_Temperature_Sensor") == "sensor"
    assert tables.domain_of("brick:Fire_Alarm_Control_Panel") == "safety"


def test_the_unit_of_a_class_comes_from_the_nearest_class_above() -> None:
    assert tables.unit_of("brick:Zone_Air_Temperature_Sensor") == "DEG_C"
    assert tables.unit_of("brick:Supply_Air_Flow_Sensor") == "M3-PER-SEC"
    assert tables.unit_of("brick:Start_Stop_Command") == "NUM"
