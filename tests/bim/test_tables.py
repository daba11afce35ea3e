"""The importer's tables: every name exists where it says it does."""

import csv
import json
from pathlib import Path

import ifcopenshell
import pytest

from bim import tables
from twin.graph import brick

DATA = Path(tables.__file__).parent / "data"
SCHEMAS = [ifcopenshell.schema_by_name(name) for name in ("IFC4", "IFC4X3_ADD2")]


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def brick_names() -> list[tuple[str, str]]:
    found = [("ifc_to_brick.json", r["brick"]) for r in json.loads((DATA / "ifc_to_brick.json").read_text())["rows"] if r["brick"]]
    found += [("name_rules.csv", r["brick"]) for r in rows("name_rules.csv")]
    found += [("refinements.csv", r[c]) for r in rows("refinements.csv") for c in ("brick", "refined")]
    found += [("equipment_points.csv", r[c]) for r in rows("equipment_points.csv") for c in ("equipment", "brick")]
    return found + [("units.csv", r["brick"]) for r in rows("units.csv")]


def test_every_class_exists_in_brick_and_is_not_deprecated() -> None:
    unknown = [(table, name) for table, name in brick_names() if name not in brick().classes]
    deprecated = [(table, name) for table, name in brick_names() if name in brick().deprecated]

    assert (unknown, deprecated) == ([], [])


def test_every_row_has_the_kind_that_brick_gives_its_class() -> None:
    parent = {"equipment": "brick:Equipment", "point": "brick:Point", "system": "brick:System"}
    wrong = [r for r in tables.mapping().values() if r.kind in parent and not brick().is_a(r.brick, parent[r.kind])]

    assert wrong == []
    assert len(tables.mapping()) == len(json.loads((DATA / "ifc_to_brick.json").read_text())["rows"]) == 150


@pytest.mark.parametrize("schema", SCHEMAS, ids=["IFC4", "IFC4X3"])
def test_every_ifc_class_and_value_exists_in_the_schema(schema: ifcopenshell.ifcopenshell_wrapper.schema_definition) -> None:
    for row in tables.mapping().values():
        declaration = schema.declaration_by_name(row.ifc)
        if row.predefined:
            attribute = next(a for a in declaration.all_attributes() if a.name() == "PredefinedType")
            assert row.predefined in attribute.type_of_attribute().declared_type().enumeration_items(), row


def test_every_passive_and_protected_class_exists_in_some_schema() -> None:
    schemas = [ifcopenshell.schema_by_name(name) for name in ("IFC2X3", "IFC4", "IFC4X3_ADD2")]
    known = {d.name() for schema in schemas for d in schema.declarations()}

    assert [r["ifc_class"] for r in rows("passive.csv") + rows("protected.csv") if r["ifc_class"] not in known] == []


def test_a_class_is_either_passive_or_mapped() -> None:
    both = {row.ifc for row in tables.mapping().values() if row.brick} & set(tables.passive())

    assert both == set()


def test_the_unit_of_a_class_comes_from_the_nearest_class_above() -> None:
    assert tables.unit_of("brick:Zone_Air_Temperature_Sensor") == "DEG_C"
    assert tables.unit_of("brick:Supply_Air_Flow_Sensor") == "M3-PER-SEC"
    assert tables.unit_of("brick:Start_Stop_Command") == "NUM"
