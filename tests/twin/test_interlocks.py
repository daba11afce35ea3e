"""Interlocks: rows of interlocks.csv, each wrong one named, and those that the twin proves."""

import pytest

from twin.errors import SiteError
from twin.graph import Graph, Text
from twin.interlocks import derived_interlocks, findings, interlocks_of, read_interlocks
from twin.points import PointBook
from twin.site import GroupMembership, Site
from twin.words import Binding, Limits, Point


def point(key, brick, number, writable=True):
    limits = Limits(0, 100, float("inf"), 0) if writable else None
    return Point(key, brick, "PERCENT", "u", writable=writable, limits=limits, binding=Binding(key, f"bacnet:u/analog-output,{number}"))


POINTS = [
    point("ahu.htg", "Valve_Command", 1),
    point("ahu.clg", "Valve_Position_Command", 2),
    point("ahu.rht", "Valve_Command", 3),
    point("ahu.fan", "Start_Stop_Command", 4),
    point("ahu.fan_state", "Fan_On_Off_Status", 5, writable=False),
    point("far.clg", "Valve_Command", 6),
]
BOOK = PointBook(POINTS)


def node(key, kind, *more):
    return [
        (f"site:{key}", "rdf:type", f"brick:{kind}"),
        (f"site:{key}", "rdfs:label", Text(key)),
        *((f"site:{key}", p, o) for p, o in more),
    ]


def unit(kind="AHU", link="hasPart", fan=True, state=False):
    """A unit with heating, cooling and reheat valves, some on its coils; and another unit's cooling valve."""
    triples = [*node("u", kind), *node("far", "AHU", ("brick:hasPart", "site:far_valve")), *node("far_valve", "Chilled_Water_Valve")]
    parts = {"coil": "Hot_Water_Coil", "clg_valve": "Chilled_Water_Valve", "rht_valve": "Reheat_Valve", "fan_1": "Supply_Fan"}
    for key, part in parts.items():
        link_up = ("brick:isPartOf", "site:u") if link == "isPartOf" else None
        triples += node(key, part, *([link_up] if link_up else []))
        triples += [] if link_up else [("site:u", "brick:hasPart", f"site:{key}")]
    triples += [("site:coil", "brick:hasPart", "site:htg_valve"), *node("htg_valve", "Hot_Water_Valve")]
    owners = {"ahu.htg": "htg_valve", "ahu.clg": "clg_valve", "ahu.rht": "rht_valve", "far.clg": "far_valve"}
    owners |= {"ahu.fan": "u"} if fan else {}
    owners |= {"ahu.fan_state": "fan_1"} if state else {}
    for p in POINTS:
        if p.id in owners:
            triples += node(p.id, p.brick, ("brick:isPointOf", f"site:{owners[p.id]}"))
    return Graph.from_triples("s", triples)


@pytest.mark.parametrize("link", ["hasPart", "isPartOf"])
def test_a_units_valves_are_kept_apart_and_need_its_fan_where_the_twin_proves_both(link):
    assert [lock.rule for lock in derived_interlocks(unit(link=link), BOOK)] == [
        "ahu.htg > 5 forbids ahu.clg > 5",
        "ahu.htg > 5 only while ahu.fan > 0.5",
        "ahu.clg > 5 only while ahu.fan > 0.5",
    ]


def test_a_fans_state_proves_more_than_its_command():
    assert "ahu.clg > 5 only while ahu.fan_state > 0.5" in [lock.rule for lock in derived_interlocks(unit(state=True), BOOK)]


def test_where_the_twin_proves_one_side_only_there_is_no_interlock():
    assert [lock.kind for lock in derived_interlocks(unit(fan=False), BOOK)] == ["forbids"]
    assert derived_interlocks(unit(), PointBook(p for p in POINTS if p.id == "ahu.clg")) == ()
    assert derived_interlocks(unit(kind="Chiller"), BOOK) == ()


@pytest.fixture
def site(tmp_path):
    facts = {"title": "S", "place": "P", "jurisdiction": "CN-42", "timezone": "Asia/Shanghai", "area_m2": 9.0, "use": "office"}
    return Site(folder=tmp_path, name="s", grid_region="CN-HB", group=GroupMembership("g", "o", "gov"), connections={}, **facts)


def test_stated_ones_come_first_in_their_order_and_take_the_place_of_proved_ones_of_their_name(site):
    name = "u: ahu.htg or ahu.clg"
    site.interlocks_file.write_text(
        f"name,rule,why\nsmoke,ahu.fan_state < 0.5 forbids ahu.fan >= 1,a test\n{name},ahu.htg > 20 forbids ahu.clg > 20,two-stage\n"
        "u: ahu.clg with fan,none,a chilled beam needs no fan\n"
    )
    found = interlocks_of(site, unit(), BOOK)

    assert [(lock.name, lock.rule, lock.derived) for lock in found] == [
        ("smoke", "ahu.fan_state < 0.5 forbids ahu.fan >= 1", False),
        (name, "ahu.htg > 20 forbids ahu.clg > 20", False),
        ("u: ahu.htg with fan", "ahu.htg > 5 only while ahu.fan > 0.5", True),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,rule\nx,ahu.htg > 5 forbids\n", "line 2: expected 'A > 5 forbids B > 5' or .*, got 'ahu.htg > 5 forbids'"),
        ("name,rule\nx,ahu.htg = 5 forbids ahu.clg > 5\n", "line 2: expected"),
        ("name,rule\nx,ahu.htg > nan forbids ahu.clg > 5\n", "line 2: expected"),
        ("name,rule\nx,ahu.htgg > 5 forbids ahu.clg > 5\n", "line 2: point 'ahu.htgg' is not in the twin; did you mean 'ahu.htg'"),
        ("name,rule\nx,ahu.htg > 5 forbids ahu.htg < 3\n", "line 2: ahu.htg stands on both sides; its limits belong into points.csv"),
        ("name,rule\n,ahu.htg > 5 forbids ahu.clg > 3\n", "line 2: each interlock needs a name of its own, got ''"),
        ("name,rule\nx,ahu.htg > 5 forbids ahu.clg > 3\nx,ahu.clg > 5 forbids ahu.rht > 3\n", "line 3: each interlock needs a name"),
        ("name,rule\nx,none\n", "line 2: say in the column why, why 'x' does not hold here"),
        ("name,rule,why\nx,none,old\n", "'x' is to be taken out, and the twin proves none of that name"),
        ("name,rules\nx,y\n", "line 1: columns must be name, rule, why, got name, rules"),
        ("name,rule\nx\n", "line 2: expected 2 cells"),
        ("", "line 1: columns must be name, rule, why, got nothing"),
    ],
)
def test_a_wrong_line_is_named(site, text, said):
    site.interlocks_file.write_text(text)
    with pytest.raises(SiteError, match=said):
        interlocks_of(site, unit(), BOOK)


def test_a_file_that_is_no_text_is_said(site):
    site.interlocks_file.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(SiteError, match="not readable as UTF-8 text"):
        read_interlocks(site.interlocks_file, BOOK)


def test_an_interlock_that_holds_nothing_or_can_see_nothing_is_told(site):
    book = PointBook([*POINTS, Point("gone", "Fan_Status", "NUM", "u")])
    site.interlocks_file.write_text("name,rule\na,ahu.fan_state > 5 only while ahu.fan > 0.5\nb,ahu.htg > 5 only while gone > 0.5\n")

    assert list(findings(read_interlocks(site.interlocks_file, book)[0], book)) == [
        "interlock 'a' holds nothing: ahu.fan_state cannot be written",
        "interlock 'b': gone is not read (no address, or retired), so what it holds can never be commanded",
    ]
