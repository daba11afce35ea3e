"""What a terminal serves: the model's word, its diffusers, the room it stands in; a box in a corridor is doubted."""

from bim.inventory import Element, Group, Inventory, Place
from bim.placing import Placement
from bim.serving import Building, served_zones
from bim.tracing import Feed, Trace

Ref = tuple[int, int]
BOX, DAMPER, D1, D2, RADIATOR, HANDLER = ((0, n) for n in range(1, 7))
OFFICE, MEETING, CORRIDOR, ZONE = (0, 11), (0, 12), (0, 13), (0, 20)
KINDS = {BOX: "brick:VAV", DAMPER: "brick:Damper", D1: "brick:Air_Diffuser", D2: "brick:Air_Diffuser", RADIATOR: "brick:Radiator"}
ROOMS = {OFFICE: "Office 1", MEETING: "Meeting", CORRIDOR: "Flur 2.OG"}


def place(ref: Ref, name: str) -> Place:
    return Place(ref, "space", "IfcSpace", "", "", name, "", None)


def serving(
    feeds: list[tuple[Ref, Ref]],
    at: dict[Ref, Ref],
    kinds: dict[Ref, str],
    groups: tuple[Group, ...] = (),
    serves: dict[Ref, list[Ref]] | None = None,
    zones: dict[Ref, Ref] | None = None,
) -> list[tuple[Ref, Ref, str, float]]:
    placements = {ref: Placement(at.get(ref), "point" if ref in at else "none", 0.9 if ref in at else 0.0) for ref in kinds}
    elements: dict[Ref, Element] = {}
    inventory = Inventory(elements=elements, serves=serves or {})
    traced = Trace(tuple(Feed(a, b, "air", 0) for a, b in feeds))
    rooms = {ref: place(ref, name) for ref, name in ROOMS.items()}
    found = served_zones(kinds, Building(inventory, placements, traced, rooms, zones or {}, {}), groups)
    return [(s.terminal, s.target, s.evidence, s.confidence) for s in found]


def test_a_box_in_the_corridor_s_ceiling_serves_where_its_diffusers_are() -> None:
    feeds, at = [(BOX, DAMPER), (DAMPER, D1), (BOX, D2)], {BOX: CORRIDOR, D1: OFFICE, D2: MEETING}

    assert serving(feeds, at, KINDS) == [(BOX, MEETING, "diffusers", 0.9), (BOX, OFFICE, "diffusers", 0.9)]


def test_without_diffusers_a_box_in_a_corridor_is_doubted_and_one_in_an_office_is_not() -> None:
    assert serving([], {BOX: CORRIDOR}, {BOX: "brick:VAV"}) == [(BOX, CORRIDOR, "location", 0.4)]
    assert serving([], {BOX: OFFICE}, {BOX: "brick:VAV"}) == [(BOX, OFFICE, "location", 0.7)]


def test_a_radiator_serves_the_room_it_stands_in_also_in_a_corridor() -> None:
    assert serving([], {RADIATOR: CORRIDOR}, {RADIATOR: "brick:Radiator"}) == [(RADIATOR, CORRIDOR, "location", 0.9)]


def test_what_the_model_references_comes_first_then_the_system_then_the_zone() -> None:
    system = Group((0, 30), "IfcDistributionSystem", "", "", "", (BOX,))
    zone = Group(ZONE, "IfcSpatialZone", "THERMAL", "", "", (BOX,))
    at, kinds, zones = {BOX: CORRIDOR}, {BOX: "brick:VAV"}, {OFFICE: ZONE}

    assert serving([], at, kinds, (system, zone), {BOX: [MEETING], (0, 30): [OFFICE]}) == [(BOX, MEETING, "reference", 1.0)]
    assert serving([], at, kinds, (system,), {(0, 30): [OFFICE]}, zones) == [(BOX, ZONE, "system", 0.9)]
    assert serving([], at, kinds, (zone,), {}, zones) == [(BOX, ZONE, "zone", 1.0)]


def test_a_diffuser_serves_its_room_only_where_no_box_stands_before_it() -> None:
    kinds = {HANDLER: "brick:AHU", D1: "brick:Air_Diffuser"}

    assert serving([(HANDLER, D1)], {D1: OFFICE}, kinds) == [(D1, OFFICE, "location", 0.9)]
    assert serving([], {D1: OFFICE}, kinds) == []
    assert serving([(HANDLER, BOX), (BOX, D1)], {D1: OFFICE}, kinds | {BOX: "brick:VAV"}) == [(BOX, OFFICE, "diffusers", 0.9)]
