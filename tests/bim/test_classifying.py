"""Classes of elements: the strongest evidence wins, and what nothing knows is kept as unmapped."""

from dataclasses import replace

import pytest

from bim.classifying import REVIEW_BELOW, Coverage, classify, ifc_type
from bim.inventory import Element

PLAIN = Element(
    (0, 1), "IfcBuildingElementProxy", "", "", "", "", "g", "thing", "", None, None, "", (),
    ("IfcBuildingElementProxy", "IfcBuildingElement", "IfcElement"),
)  # fmt: skip


def element(ifc_class: str, predefined: str = "", **more: object) -> Element:
    return replace(PLAIN, ifc_class=ifc_class, predefined=predefined, ancestors=(ifc_class, "IfcElement"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("thing", "brick", "match", "confidence"),
    [
        (element("IfcAirTerminalBox", "VARIABLEFLOWPRESSUREDEPENDANT"), "brick:VAV", "direct", 0.9),
        (element("IfcAirTerminalBox", "NOTDEFINED"), "brick:Terminal_Unit", "generic", 0.6),
        (element("IfcAirTerminal", "GRILLE"), "brick:Air_Diffuser", "weak", 0.4),
        (element("IfcAirTerminalBox", stated_class="RVAV"), "brick:RVAV", "stated", 1.0),
        (element("IfcAirTerminalBox", stated_class="No_Such_Class"), "brick:Terminal_Unit", "generic", 0.6),
        (element("IfcSensor", stated_class="Zone_Air_Temperature_Setpoint"), "brick:Sensor", "generic", 0.6),  # deprecated in 1.5
        (element("IfcFlowTerminal", type_class="IfcLightFixture", type_predefined="USERDEFINED"), "brick:Luminaire", "direct", 0.9),
        (element("IfcFlowController", type_class="IfcDamper", type_predefined='24" x 12"'), "brick:Damper", "direct", 0.9),
        (element("IfcBuildingElementProxy", name="Fan Coil 12"), "brick:FCU", "name", 0.7),
        (element("IfcBuildingElementProxy", name="Lüftungsgerät RLT 3"), "brick:AHU", "name", 0.7),
        (element("IfcBuildingElementProxy", name="三层风机盘管"), "brick:FCU", "name", 0.7),
    ],
)
def test_the_strongest_evidence_names_the_class(thing: Element, brick: str, match: str, confidence: float) -> None:
    verdict = classify(thing)

    assert (verdict.coverage, verdict.brick, verdict.match, verdict.confidence) == (Coverage.MAPPED, brick, match, confidence)


@pytest.mark.parametrize(
    ("thing", "brick", "confidence"),
    [
        (element("IfcDamper", name="Round damper 250"), "brick:Damper", 0.97),  # class and name agree: more than either
        (element("IfcUnitaryEquipment", name="FCU-4"), "brick:FCU", 0.88),  # the name is narrower than the class
        (element("IfcFlowTerminal", type_class="IfcLightFixture", name="M_Lighting Switches:Single Pole"), "brick:Switch", 0.42),
        (element("IfcFlowController", type_class="IfcProtectiveDevice", name="M_Smoke Detector:Optical"), "brick:Smoke_Detector", 0.56),
        (element("IfcPump", "ENDSUCTION", name="Kessel 2"), "brick:Pump", 0.9),  # named after what it belongs to
        (element("IfcValve", "CHECK", name="AHU-1 CV"), "brick:Check_Valve", 0.9),
        (element("IfcBuildingElementProxy", pset_classes=("IfcFan",)), "brick:Fan", 0.72),
        (element("IfcBuildingElementProxy", codes=(("DIN 276-1", "445.1"),)), "brick:Luminaire", 0.4),
        (element("IfcBuildingElementProxy", titles=("Air Terminals", "Supply diffuser")), "brick:Air_Diffuser", 0.5),
        (element("IfcFurnishingElement", name="Table Lamp"), "brick:Luminaire", 0.7),  # exporters call lamps furniture
    ],
)
def test_evidence_is_weighed(thing: Element, brick: str, confidence: float) -> None:
    verdict = classify(
        replace(thing, ancestors=(*thing.ancestors, "IfcFurnishingElement") if "Furnish" in thing.ifc_class else thing.ancestors)
    )

    assert (verdict.brick, verdict.confidence) == (brick, confidence)


def test_evidence_that_contradicts_goes_to_review_and_says_so() -> None:
    verdict = classify(element("IfcFlowTerminal", type_class="IfcLightFixture", name="M_Lighting Switches:Single Pole"))

    assert verdict.confidence < REVIEW_BELOW
    assert verdict.evidence == "name contains 'lighting switches'; against it: IFC class IfcLightFixture (Luminaire)"


@pytest.mark.parametrize(
    ("thing", "brick"),
    [
        (element("IfcFan", systems=(("ABL 03 Abluft WC", ""),)), "brick:Exhaust_Fan"),
        (element("IfcFan", name="Return Air Fan"), "brick:Return_Fan"),
        (element("IfcPump", systems=(("P1", "CHILLEDWATER"),)), "brick:Chilled_Water_Pump"),
        (element("IfcPump", systems=(("空调冷却水供水", ""),)), "brick:Condenser_Water_Pump"),
        (element("IfcCoil", systems=(("", "HEATING"),)), "brick:Hot_Water_Coil"),
        (element("IfcValve", systems=(("Heizung VL", ""),)), "brick:Hot_Water_Valve"),
        (element("IfcAirTerminal", "GRILLE", systems=(("Mechanical Return Air 1", ""),)), "tw:Return_Air_Opening"),
        (element("IfcAirTerminal", "GRILLE", flows=("SOURCE",)), "tw:Return_Air_Opening"),
        (element("IfcAirTerminal", "GRILLE", flows=("SINK",)), "brick:Air_Diffuser"),
        (element("IfcSensor", "TEMPERATURESENSOR", systems=(("送风系统", ""),)), "brick:Supply_Air_Temperature_Sensor"),
        (element("IfcFlowMeter", "ENERGYMETER", systems=(("", "HEATING"),)), "brick:Thermal_Power_Meter"),
        (element("IfcDamper", systems=(("Exhaust 1", "EXHAUST"),)), "brick:Damper"),  # a balancing damper is no exhaust damper
    ],
)
def test_systems_ports_and_media_make_a_class_narrower(thing: Element, brick: str) -> None:
    assert classify(thing).brick == brick


def test_a_sensor_called_after_its_box_is_a_sensor() -> None:
    thing = replace(element("IfcSensor", "TEMPERATURESENSOR", name="VAV-1.ZN-T"), ancestors=("IfcSensor", "IfcDistributionControlElement"))

    assert (classify(thing).brick, classify(thing).confidence) == ("brick:Temperature_Sensor", 0.9)


def test_a_tree_is_passive_and_a_box_is_not() -> None:
    tree, box = (element("IfcBuildingElementProxy", name=name) for name in ("M_RPC Tree - Deciduous:6.1 Meters", "Generic Box:Type 1"))

    assert (classify(tree).coverage, classify(tree).evidence) == (Coverage.PASSIVE, "plant: name contains 'tree'")
    assert classify(box).coverage is Coverage.UNMAPPED


def test_an_unmapped_element_keeps_the_trade_that_its_class_tells() -> None:
    pump = replace(element("IfcFlowMovingDevice", name="X"), ancestors=("IfcFlowMovingDevice", "IfcDistributionFlowElement"))

    assert (classify(pump).domain, classify(element("IfcBuildingElementProxy", name="X")).domain) == ("air", "other")


def test_what_nothing_knows_stays_as_unmapped_equipment_with_the_reason() -> None:
    verdict = classify(element("IfcBuildingElementProxy", "ELEMENT", name="Box 7"))

    assert (verdict.coverage, verdict.brick) == (Coverage.UNMAPPED, "brick:Equipment")
    assert "IfcBuildingElementProxy.ELEMENT" in verdict.evidence


def test_walls_segments_and_sockets_are_passive_and_say_why() -> None:
    wall = replace(element("IfcWallStandardCase"), ancestors=("IfcWallStandardCase", "IfcWall", "IfcElement"))
    basin = element("IfcFlowTerminal", type_class="IfcSanitaryTerminal")
    socket = element("IfcFlowTerminal", type_class="IfcOutlet", type_predefined="POWEROUTLET")

    assert [classify(e).coverage for e in (wall, basin, socket)] == [Coverage.PASSIVE] * 3
    assert classify(wall).evidence == "building fabric"


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (element("IfcLightFixture", "SECURITYLIGHTING"), "emergency light"),
        (element("IfcLightFixture", "POINTSOURCE", name="Sicherheitsleuchte 3"), "emergency light by its name"),
        (element("IfcFlowTerminal", type_class="IfcLightFixture", name="应急照明 12"), "emergency light by its name"),
        (element("IfcDamper", "FIREDAMPER", stated_class="Damper"), "fire damper"),
        (element("IfcDamper", name="Brandschutzklappe"), "fire or smoke damper by its name"),
        (element("IfcFlowController", type_class="IfcDamper", type_predefined="FIREDAMPER"), "fire damper"),  # IFC2X3: on the type
        (element("IfcFlowTerminal", type_class="IfcFireSuppressionTerminal"), "fire suppression"),
        (element("IfcDistributionControlElement", type_class="IfcSensor", type_predefined="SMOKESENSOR"), "smoke detector"),
        (element("IfcFlowController", type_class="IfcProtectiveDevice", name="M_Smoke Detector"), "fire detector by its name"),
        (element("IfcBuildingElementProxy", name="70℃防火阀 500x250"), "fire or smoke damper by its name"),
        (element("IfcBuildingElementProxy", name="加压送风机 JY-1"), "smoke control by its name"),
        (element("IfcBuildingElementProxy", name="Stairwell Pressurization Fan"), "smoke control by its name"),
        (element("IfcBuildingElementProxy", name="Entrauchungsventilator F400"), "smoke control by its name"),
        (element("IfcBuildingElementProxy", name="手动报警按钮"), "fire alarm by its name"),
        (element("IfcBuildingElementProxy", name="Handfeuermelder rot"), "fire alarm by its name"),
        (element("IfcPump", name="消防水泵 XBD"), "fire suppression by its name"),
        (element("IfcBuildingElementProxy", name="Not-Aus-Taster"), "emergency device by its name"),
        (element("IfcBuildingElementProxy", stated_class="Fire_Alarm"), "Fire_Alarm is life safety by its class"),
        (element("IfcBuildingElementProxy", stated_class="Sprinkler"), "Sprinkler is life safety by its class"),
        (element("IfcBuildingElementProxy", stated_class="tw:Emergency_Stop"), "Emergency_Stop is life safety by its class"),
        (element("IfcBuildingElementProxy", stated_class="Fire_Damper"), "Fire_Damper is life safety by its class"),
        (element("IfcLightFixture", "POINTSOURCE"), ""),
        (element("IfcLightFixture", "POINTSOURCE", name="Feuchtraumleuchte"), ""),
        (element("IfcBoiler", name="Gas fired boiler"), ""),
    ],
)
def test_life_safety_is_marked_whatever_its_class(thing: Element, reason: str) -> None:
    assert classify(thing).protected == reason


def test_the_ifc_type_keeps_what_the_class_loses() -> None:
    assert ifc_type(element("IfcDamper", "FIREDAMPER")) == "IfcDamper.FIREDAMPER"
    assert ifc_type(element("IfcFlowTerminal", type_class="IfcLightFixture", type_predefined="NOTDEFINED")) == "IfcLightFixture"
