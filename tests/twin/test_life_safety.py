"""Life safety can never be listed as writable: whatever class, value, name or whole of it says what it is."""

import re
from pathlib import Path

import pytest

from twin.check import protected_points
from twin.errors import SiteError
from twin.graph import Graph, Text, brick, class_name
from twin.life_safety import _WORD, TOPS, by_class, by_ifc, by_name
from twin.points import read_points
from twin.site import GroupMembership, Site
from twin.words import Binding, Point

QUERY = Path(__file__).parents[2] / "twin" / "queries" / "life_safety.rq"


@pytest.fixture
def site(tmp_path):
    facts = {"title": "S", "place": "P", "jurisdiction": "CN-42", "timezone": "Asia/Shanghai", "area_m2": 9.0, "use": "office"}
    return Site(folder=tmp_path, name="s", grid_region="CN-HB", group=GroupMembership("g", "o", "gov"), connections={}, **facts)


def thing(key, kind, *more):
    return [(f"site:{key}", "rdf:type", kind), (f"site:{key}", "rdfs:label", Text(key)), *((f"site:{key}", p, v) for p, v in more)]


def test_the_question_and_the_table_name_the_same_classes_and_brick_has_no_other():
    assert sorted(set(re.findall(r"(?:brick|tw):(\w+)", QUERY.read_text()))) == sorted(TOPS)
    by_their_names = {c for c in brick().classes if c.startswith(("brick:", "tw:")) and _WORD.search(c.partition(":")[2])}
    places = {"brick:Fire_Zone", "tw:Fire_Compartment"}
    assert {c for c in by_their_names if not any(brick().is_a(c, class_name(top)) for top in TOPS)} == places


@pytest.mark.parametrize(
    "brick_class",
    [
        *("Heat_Detector", "Smoke_Detector", "Fire_Alarm_Pull_Station", "Fire_Alarm_Control_Panel", "Discharge_Air_Smoke_Detection_Alarm"),
        *("Pressurization_Fan", "Emergency_Power_Off_System_Activated_By_High_Temperature_Status", "Safety_Shower", "Eye_Wash_Station"),
        *(
            "Natural_Gas_Seismic_Shutoff_Valve",
            "Fire_Safety_System",
            "Fire_Damper",
            "Smoke_Damper_Command",
            "Emergency_Light",
            "Hose_Reel",
            "Gas_Detection_Panel",
        ),
    ],
)
def test_a_class_far_below_or_of_an_older_brick_is_told(brick_class, tmp_path):
    assert by_class(brick_class) == by_class(class_name(brick_class)) == by_class(f"brick:{brick_class}") != ""
    (tmp_path / "points.csv").write_text("point,writable,low,high,fallback\nx.cmd,yes,0,1,0\n")
    with pytest.raises(SiteError, match=r"line 2: x.cmd: .* is life safety by its class: life safety is never written; set writable to no"):
        read_points(
            tmp_path / "points.csv", [Point("x.cmd", brick_class, "NUM", "x", binding=Binding("x.cmd", "bacnet:f/binary-output,1"))]
        )


@pytest.mark.parametrize(
    "brick_class", ["Damper", "Luminaire", "Exhaust_Fan", "Gas_Valve", "Start_Stop_Command", "Luminance_Command", "Alarm"]
)
def test_ordinary_classes_are_not(brick_class):
    assert by_class(brick_class) == ""


@pytest.mark.parametrize(
    ("ifc_type", "reason"),
    [
        ("IfcDamper.FIREDAMPER", "fire damper"),
        ("IfcDamper.SMOKEDAMPER", "smoke damper"),
        ("IfcDamperType.FIRESMOKEDAMPER", "fire and smoke damper"),
        ("IfcLightFixture.SECURITYLIGHTING", "emergency light"),
        ("IfcLightFixtureType.SECURITYLIGHTING", "emergency light"),
        ("IfcAlarm.SIREN", "alarm"),
        ("IfcFireSuppressionTerminal", "fire suppression"),
        ("IfcValve.SAFETYCUTOFF", "safety cut-off valve"),
        ("IfcDamper.CONTROLDAMPER", ""),
        ("IfcDamper", ""),
        ("IfcLightFixture.POINTSOURCE", ""),
    ],
)
def test_the_ifc_class_and_value_tell(ifc_type, reason):
    assert by_ifc(ifc_type) == reason


@pytest.mark.parametrize(
    "name",
    [
        *(
            "fire_damper_3.cmd",
            "FireDamper-03",
            "smoke_dmpr_2",
            "SMK-DPR-2",
            "FSD_04.pos",
            "ahu_1.smoke_exhaust_fan.run",
            "emergency_light_2.lvl",
        ),
        *("emerg_ltg_l1", "EM-LTG", "exit_sign_4", "sprinkler_valve", "stairwell_pressurization_fan.run", "Brandschutzklappe 2", "BSK_07"),
        *("Notleuchte EG", "Sicherheitsbeleuchtung", "RWA Zentrale", "应急照明回路", "防火阀3", "排烟风机", "喷淋泵", "life_safety.enable"),
    ],
)
def test_a_name_tells_in_three_languages_and_in_the_short_words_of_point_lists(name):
    assert by_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "ahu_1.fan_run",
        "firewall_room.htg_sp",
        "exhaust_fan_2.run",
        "zone_1.light_level",
        "Abluftklappe 3",
        "会议室照明",
        "emission_meter",
        "smokey_bay.clg_sp",
    ],
)
def test_an_ordinary_name_does_not(name):
    assert by_name(name) == ""


@pytest.mark.parametrize("where", ["id", "label", "owner"])
def test_the_point_book_refuses_a_point_whose_id_label_or_owner_says_it(where, tmp_path):
    words = {"id": "a.b", "label": "", "owner": "box"} | {where: "smoke_damper_1.cmd" if where == "id" else "smoke_damper_1"}
    point = Point(
        words["id"], "Damper_Position_Command", "PERCENT", words["owner"], words["label"], binding=Binding("p", "bacnet:f/analog-output,1")
    )
    (tmp_path / "points.csv").write_text(f"point,writable,low,high,fallback\n{point.id},yes,0,100,0\n")

    with pytest.raises(SiteError, match=r"fire or smoke damper by its name \(smoke damper\): life safety is never written"):
        read_points(tmp_path / "points.csv", [point])


@pytest.mark.parametrize(
    "equipment",
    [
        thing("box_1", "brick:Damper", ("tw:ifcType", Text("IfcDamper.FIREDAMPER"))),
        thing("box_1", "brick:Damper", ("tw:protected", Text("fire damper by its name"))),
        thing("box_1", "brick:Smoke_Detector"),
        [*thing("box_1", "tw:Own_Detector"), ("tw:Own_Detector", "rdfs:subClassOf", "brick:Heat_Detector")],
        [*thing("box_1", "brick:HVAC_Equipment"), ("site:box_1", "rdf:type", "brick:Fire_Alarm_Control_Panel")],
        [
            *thing("bsk", "brick:Damper", ("tw:ifcType", Text("IfcDamper.FIREDAMPER"))),
            *thing("box_1", "brick:Actuator", ("brick:isPartOf", "site:bsk")),
        ],
        [*thing("plant", "brick:Fire_Safety_System", ("rec:includes", "site:box_1")), *thing("box_1", "brick:Fan")],
        [
            ("site:box_1", "rdf:type", "brick:Damper"),
            ("site:box_1", "rdfs:label", Text("Brandschutzklappe Flur")),
        ],  # nobody's importer weighed it
    ],
    ids=["ifc", "marked", "class", "own class below", "second class", "part", "in a system", "name"],
)
def test_points_of_life_safety_equipment_are_protected_whatever_says_so(equipment, site):
    points = thing("box_1.cmd", "brick:Damper_Position_Command", ("brick:isPointOf", "site:box_1"))
    other = [*thing("vav_1", "brick:VAV"), *thing("vav_1.dmp", "brick:Damper_Position_Command", ("brick:isPointOf", "site:vav_1"))]

    assert protected_points(Graph.from_triples("s", [*equipment, *points, *other]), site) == {"box_1.cmd"}


def test_a_name_that_the_importer_weighed_and_let_pass_is_not_judged_again(site):
    owner = [
        ("site:d", "rdf:type", "brick:Damper"),
        ("site:d", "rdfs:label", Text("Damper near fire damper 3")),
        ("site:d", "tw:ifcType", Text("IfcDamper")),
    ]
    points = thing("d.cmd", "brick:Damper_Position_Command", ("brick:isPointOf", "site:d"))

    assert protected_points(Graph.from_triples("s", [*owner, *points]), site) == frozenset()
