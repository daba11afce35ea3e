"""Classes of elements: the strongest evidence wins, and what nothing knows is kept as unmapped."""

from dataclasses import replace

import pytest

from bim.classifying import Coverage, classify, ifc_type
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
        (element("IfcBuildingElementProxy", name="Fan Coil 12"), "brick:FCU", "name", 0.5),
        (element("IfcBuildingElementProxy", name="Lüftungsgerät RLT 3"), "brick:AHU", "name", 0.5),
        (element("IfcBuildingElementProxy", name="三层风机盘管"), "brick:FCU", "name", 0.5),
    ],
)
def test_the_strongest_evidence_names_the_class(thing: Element, brick: str, match: str, confidence: float) -> None:
    verdict = classify(thing)

    assert (verdict.coverage, verdict.brick, verdict.match, verdict.confidence) == (Coverage.MAPPED, brick, match, confidence)


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
        (element("IfcLightFixture", "POINTSOURCE"), ""),
    ],
)
def test_life_safety_is_marked_whatever_its_class(thing: Element, reason: str) -> None:
    assert classify(thing).protected == reason


def test_the_ifc_type_keeps_what_the_class_loses() -> None:
    assert ifc_type(element("IfcDamper", "FIREDAMPER")) == "IfcDamper.FIREDAMPER"
    assert ifc_type(element("IfcFlowTerminal", type_class="IfcLightFixture", type_predefined="NOTDEFINED")) == "IfcLightFixture"
