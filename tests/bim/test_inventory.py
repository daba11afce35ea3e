"""One pass over a model, also over models that no careful exporter wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ifcopenshell
import ifcopenshell.guid
import pytest

from bim.classifying import classify
from bim.inventory import Element, Inventory, take_inventory
from bim.opening import open_model


class Draft:
    """A small model being written by hand: project, building, storey, and whatever a test adds."""

    def __init__(self, schema: str = "IFC2X3", units: list[Any] | None = None) -> None:
        self.file = ifcopenshell.file(schema=schema)
        history = self._history() if schema == "IFC2X3" else None
        self.owner = {"OwnerHistory": history} if history else {}
        assignment = self.file.create_entity("IfcUnitAssignment", Units=[self.unit(*u) for u in units]) if units else None
        self.project = self.add("IfcProject", UnitsInContext=assignment)
        self.storey = self.add("IfcBuildingStorey", Name="L1")
        self.relate("IfcRelAggregates", RelatingObject=self.project, RelatedObjects=[self.storey])

    def add(self, ifc_class: str, **values: Any) -> Any:
        return self.file.create_entity(ifc_class, GlobalId=values.pop("GlobalId", ifcopenshell.guid.new()), **self.owner, **values)

    def relate(self, ifc_class: str, **ends: Any) -> Any:
        return self.add(ifc_class, **ends)

    def unit(self, kind: str, name: str, factor: float = 0.0, prefix: str | None = None) -> Any:
        if not factor:
            return self.file.create_entity("IfcSIUnit", UnitType=kind, Name=name, Prefix=prefix)
        base = {"LENGTHUNIT": "METRE", "AREAUNIT": "SQUARE_METRE", "VOLUMEUNIT": "CUBIC_METRE"}[kind]
        measure = self.file.create_entity("IfcMeasureWithUnit", self.file.create_entity("IfcReal", factor), self.unit(kind, base))
        exponents = self.file.create_entity("IfcDimensionalExponents", 1, 0, 0, 0, 0, 0, 0)
        return self.file.create_entity("IfcConversionBasedUnit", exponents, kind, name, measure)

    def space(self, area: float, unit: Any = None) -> Any:
        space = self.add("IfcSpace", Name="R1")
        self.relate("IfcRelAggregates", RelatingObject=self.storey, RelatedObjects=[space])
        quantity = self.file.create_entity("IfcQuantityArea", Name="NetFloorArea", Unit=unit, AreaValue=area)
        quantities = self.add("IfcElementQuantity", Name="BaseQuantities", Quantities=[quantity])
        self.relate("IfcRelDefinesByProperties", RelatedObjects=[space], RelatingPropertyDefinition=quantities)
        return space

    def _history(self) -> Any:
        make = self.file.create_entity
        organisation = make("IfcOrganization", Name="O")
        person = make("IfcPersonAndOrganization", make("IfcPerson", FamilyName="P"), organisation)
        application = make("IfcApplication", organisation, "1", "A", "a")
        return make("IfcOwnerHistory", person, application, ChangeAction="ADDED", CreationDate=0)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Inventory]:
    def take(draft: Draft, change: Callable[[str], str] = str) -> Inventory:
        path = tmp_path / "model.ifc"
        path.write_text(change(draft.file.to_string()), encoding="utf-8")
        return take_inventory([open_model(path)])

    return take


def only(inventory: Inventory) -> Element:
    (element,) = inventory.elements.values()
    return element


FEET = [("LENGTHUNIT", "FOOT", 0.3048), ("AREAUNIT", "SQUARE FOOT", 0.09290304), ("VOLUMEUNIT", "CUBIC FOOT", 0.028316846592)]


@pytest.mark.parametrize(
    ("units", "area_m2"),
    [
        (FEET, 9.290304),
        ([("LENGTHUNIT", "INCH", 0.0254)], 0.064516),  # no unit of area: the length's squared
        ([("LENGTHUNIT", "METRE", 0.0, "MILLI"), ("AREAUNIT", "SQUARE_METRE")], 100.0),
        ([("LENGTHUNIT", "METRE", 0.0, "MILLI"), ("AREAUNIT", "SQUARE_METRE", 0.0, "CENTI")], 0.01),
    ],
)
def test_areas_come_in_square_metres_whatever_the_units(read: Callable[..., Inventory], units: list[Any], area_m2: float) -> None:
    draft = Draft(units=units)
    draft.space(100.0)

    room = next(p for p in read(draft).places.values() if p.kind == "space")
    assert room.area_m2 == pytest.approx(area_m2)


def test_a_quantitys_own_unit_counts_before_the_projects(read: Callable[..., Inventory]) -> None:
    draft = Draft(units=FEET)
    draft.space(20.0, draft.unit("AREAUNIT", "SQUARE_METRE"))

    room = next(p for p in read(draft).places.values() if p.kind == "space")
    assert room.area_m2 == pytest.approx(20.0)


def test_without_units_metres_are_assumed_and_it_is_said(read: Callable[..., Inventory]) -> None:
    draft = Draft(units=None)
    draft.space(20.0)
    inventory = read(draft)

    assert next(p for p in inventory.places.values() if p.kind == "space").area_m2 == 20.0
    assert any("no unit of length; metres are assumed" in note for note in inventory.notes)


def test_types_systems_ports_and_property_sets_are_known_of_an_element(read: Callable[..., Inventory]) -> None:
    draft = Draft("IFC4", FEET)
    fan = draft.add("IfcBuildingElementProxy", Name="X1")
    kind = draft.add("IfcBuildingElementProxyType", Name="T", PredefinedType="NOTDEFINED")
    category = draft.file.create_entity(
        "IfcPropertySingleValue", Name="Category", NominalValue=draft.file.create_entity("IfcLabel", "Fans")
    )
    kind.HasPropertySets = [draft.add("IfcPropertySet", Name="Other", HasProperties=[category])]
    draft.relate("IfcRelDefinesByType", RelatedObjects=[fan], RelatingType=kind)
    common = draft.add("IfcPropertySet", Name="Pset_FanTypeCommon", HasProperties=[category])
    draft.relate("IfcRelDefinesByProperties", RelatedObjects=[fan], RelatingPropertyDefinition=common)
    system = draft.add("IfcDistributionSystem", Name="ABL 1", PredefinedType="EXHAUST")
    draft.relate("IfcRelAssignsToGroup", RelatedObjects=[fan], RelatingGroup=system)
    port = draft.add("IfcDistributionPort", FlowDirection="SOURCE", PredefinedType="DUCT", SystemType="VENTILATION")
    draft.relate("IfcRelNests", RelatingObject=fan, RelatedObjects=[port])
    source = draft.file.create_entity("IfcClassification", Name="Uniclass 2015")
    code = draft.file.create_entity("IfcClassificationReference", Identification="Pr_1", Name="Fans", ReferencedSource=source)
    draft.relate("IfcRelAssociatesClassification", RelatedObjects=[kind], RelatingClassification=code)

    element = only(read(draft))

    assert element.systems == (("ABL 1", "EXHAUST"), ("", "VENTILATION"))
    assert (element.flows, element.pset_classes) == (("SOURCE",), ("IfcFan",))
    assert (element.codes, element.titles) == ((("Uniclass 2015", "Pr_1"),), ("Fans",))


def test_lifts_and_boards_of_ifc2x3_keep_their_kind_under_other_names(read: Callable[..., Inventory]) -> None:
    draft = Draft()
    draft.add("IfcTransportElement", OperationType="ELEVATOR")
    draft.add("IfcElectricDistributionPoint", DistributionPointFunction="SWITCHBOARD")

    assert sorted(e.predefined for e in read(draft).elements.values()) == ["ELEVATOR", "SWITCHBOARD"]


def test_double_empty_and_missing_names_and_ids_lose_no_element(read: Callable[..., Inventory]) -> None:
    draft = Draft()
    for guid in ("1xS3BCk291UvhgP2dvNsgp", "1xS3BCk291UvhgP2dvNsgp", ""):
        draft.add("IfcBuildingElementProxy", GlobalId=guid)
    inventory = read(draft)

    assert [e.global_id for e in inventory.elements.values()] == ["1xS3BCk291UvhgP2dvNsgp"] * 2 + [""]
    assert {(e.name, e.object_type, e.type_name) for e in inventory.elements.values()} == {("", "", "")}


def test_relations_with_empty_ends_are_counted_and_left_out(read: Callable[..., Inventory]) -> None:
    draft = Draft()
    thing = draft.add("IfcBuildingElementProxy", Name="X")
    kind = draft.add("IfcBuildingElementProxyType", Name="T")
    first = draft.relate("IfcRelDefinesByType", RelatedObjects=[thing], RelatingType=kind)
    second = draft.relate("IfcRelDefinesByProperties", RelatedObjects=[thing], RelatingPropertyDefinition=draft.add("IfcPropertySet"))
    inventory = read(
        draft,
        lambda text: text.replace(f"(#{thing.id()}),#{kind.id()})", f"(#{thing.id()}),$)").replace(
            f"(#{thing.id()}),#{second.RelatingPropertyDefinition.id()})", "(),$)"
        ),
    )

    assert first is not None
    assert only(inventory).type_name == ""
    assert inventory.damaged == 2


def test_parts_of_an_assembly_stand_where_the_assembly_stands(read: Callable[..., Inventory]) -> None:
    draft = Draft("IFC4", FEET)
    whole, part = (draft.add(name, Name=name) for name in ("IfcElementAssembly", "IfcPump"))
    draft.relate("IfcRelContainedInSpatialStructure", RelatedElements=[whole], RelatingStructure=draft.storey)
    draft.relate("IfcRelAggregates", RelatingObject=whole, RelatedObjects=[part])

    assert {e.container for e in read(draft).elements.values()} == {(0, draft.storey.id())}


@pytest.mark.parametrize("broken", ["L\\X2\\00FC\\X0\\fter", "L\\X\\FCfter", "L\\S\\|fter", "L\\\\X2\\\\00FC\\\\X0\\\\fter"])
def test_letters_in_every_step_encoding_arrive(read: Callable[..., Inventory], broken: str) -> None:

    draft = Draft()
    draft.add("IfcBuildingElementProxy", Name="PLACEHOLDER")

    assert classify(only(read(draft, lambda text: text.replace("PLACEHOLDER", broken)))).brick == "brick:Fan"
