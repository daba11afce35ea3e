"""The placement ladder: each rung on its own, and the whole of it against a model that states the truth."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shapely.geometry import box

from bim.classifying import Classified, Coverage, classify
from bim.federating import Federation
from bim.inventory import take_inventory
from bim.locating import Surroundings, locate
from bim.opening import open_model
from bim.placements import Axes
from bim.placing import LOW_CONFIDENCE, Placement, RoomFinder, Spot
from bim.rooms import Body, RoomShape, room_shapes

LEFT, RIGHT, ABOVE = (0, 1), (0, 2), (0, 3)
GROUND, UPPER, ROOF = (0, 11), (0, 12), (0, 13)
SHAPES = {
    LEFT: RoomShape(box(0, 0, 5, 6), 0.0, 3.0),
    RIGHT: RoomShape(box(5, 0, 10, 6), 0.0, 3.0),
    ABOVE: RoomShape(box(0, 0, 10, 6), 3.5, 6.5),
}
FINDER = RoomFinder(SHAPES, {LEFT: GROUND, RIGHT: GROUND, ABOVE: UPPER})
EAST: Axes = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))  # turned so that its y looks east
WEST: Axes = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
FACE_WEST: Axes = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0))  # a face-based device: its z looks out of the wall


@pytest.mark.parametrize(
    ("position", "placement"),
    [
        ((2.0, 3.0, 1.5), Placement(LEFT, "point", 0.9)),
        ((7.0, 3.0, 3.2), Placement(RIGHT, "ceiling void", 0.85)),  # nearer to the room below
        ((7.0, 3.0, 3.45), Placement(ABOVE, "floor void", 0.85)),
        ((7.0, 3.0, 6.9), Placement(ABOVE, "ceiling void", 0.7)),  # nothing above: it may as well stand on the roof
        ((5.0, 3.0, 1.5), Placement(LEFT, "tie", 0.3)),  # on the wall line
        ((-0.1, 3.0, 1.5), Placement(LEFT, "nearest", 0.5)),
        ((-2.0, 3.0, 1.5), Placement(None, "none", 0.0)),
        ((2.0, 3.0, 20.0), Placement(None, "none", 0.0)),
    ],
)
def test_a_point_finds_its_room_at_its_height(position: tuple[float, float, float], placement: Placement) -> None:
    assert FINDER.place(None, Spot(position), ()) == placement


def test_the_model_s_word_comes_before_geometry() -> None:
    assert FINDER.place(RIGHT, Spot((2.0, 3.0, 1.5)), {LEFT, RIGHT}) == Placement(RIGHT, "containment", 1.0)
    assert FINDER.place((9, 9), Spot((2.0, 3.0, 1.5)), {LEFT, RIGHT}) == Placement(LEFT, "point", 0.9)


def test_an_item_between_two_floors_belongs_to_its_own_storey() -> None:
    hung = FINDER.place(None, Spot((7.0, 3.0, 3.3), GROUND, 0.0), ())
    stood = FINDER.place(None, Spot((7.0, 3.0, 3.3), UPPER, 3.5), ())

    assert (hung.room, hung.evidence) == (RIGHT, "ceiling void")
    assert (stood.room, stood.evidence) == (ABOVE, "floor void")


def test_what_stands_on_the_roof_is_in_no_room() -> None:
    assert FINDER.place(None, Spot((7.0, 3.0, 7.0), ROOF, 7.0), ()).room is None
    assert FINDER.place(None, Spot((7.0, 3.0, 6.9), UPPER, 3.5, outdoor=True), ()).room is None


def test_a_device_on_a_wall_line_is_in_the_room_it_looks_into() -> None:
    on_the_line = (5.0, 3.0, 1.5)

    assert FINDER.by_facing(Spot(on_the_line, axes=EAST)).room == RIGHT
    assert FINDER.by_facing(Spot(on_the_line, axes=WEST)).room == LEFT
    assert FINDER.by_facing(Spot(on_the_line, axes=FACE_WEST)) == Placement(LEFT, "facing", 0.7)
    assert FINDER.by_facing(Spot(on_the_line)).room is None


def test_a_model_that_turns_its_devices_the_other_way_is_understood_from_those_that_are_sure() -> None:
    finder = RoomFinder(SHAPES)
    for y in (1.0, 2.0, 4.0, 5.0):  # these stand in the right-hand room, close to the wall, with their backs to the east
        spot = Spot((5.1, y, 1.5), axes=WEST)
        finder.learn(spot, finder.place(None, spot, ()))

    assert finder.by_facing(Spot((5.0, 3.0, 1.5), axes=WEST)) == Placement(RIGHT, "facing", 0.8)


def test_a_hall_and_the_gallery_inside_it_are_told_apart_by_their_bodies_or_floors() -> None:
    hall, gallery = (0, 1), (0, 2)
    finder = RoomFinder({hall: RoomShape(box(0, 0, 10, 10), 0.0, 8.0), gallery: RoomShape(box(0, 0, 10, 3), 4.0, 7.0)})

    assert finder.place(None, Spot((5.0, 1.0, 5.0)), ()) == Placement(gallery, "point", 0.9)
    assert finder.place(None, Spot((5.0, 1.0, 2.0)), ()) == Placement(hall, "point", 0.9)
    assert finder.place(None, Spot((5.0, 6.0, 5.0)), ()) == Placement(hall, "point", 0.9)


def test_a_body_takes_the_room_it_covers_most_and_half_and_half_is_a_tie() -> None:
    spot = Spot((5.0, 1.5, 1.5))

    assert FINDER.by_body(spot, Body(box(4.6, 1, 5.1, 2), 1, 2)) == Placement(LEFT, "footprint", 0.8)
    assert FINDER.by_body(spot, Body(box(4.5, 1, 5.5, 2), 1, 2)).evidence == "tie"
    assert FINDER.by_body(spot, Body(box(20, 1, 21, 2), 1, 2)) == Placement(None, "none", 0.0)


def test_only_what_is_unsure_and_near_a_room_is_worth_meshing() -> None:
    spots = [Spot(p) for p in ((2.0, 3.0, 1.5), (4.98, 3.0, 1.5), (-0.5, 3.0, 1.5), (-9.0, 3.0, 1.5))]

    assert [FINDER.worth_meshing(FINDER.place(None, spot, ()), spot) for spot in spots] == [False, True, True, False]


def test_with_the_models_own_containment_hidden_geometry_finds_it_again(public: Callable[[str], Path]) -> None:
    model = open_model(public("office_arch_ifc2x3.ifc"))
    inventory = take_inventory([model])
    truth = {e.ref: e.container for e in inventory.elements.values() if e.ifc_class == "IfcFlowTerminal"}
    for ref in truth:
        element = inventory.elements[ref]
        inventory.elements[ref] = type(element)(**{s: getattr(element, s) for s in element.__slots__} | {"container": None})
    rooms = {ref: place for ref, place in inventory.places.items() if place.kind == "space"}
    shapes = room_shapes([model])
    fixture = Classified((0, 0), Coverage.MAPPED, "brick:Equipment", "direct", "other", "", 1.0)  # basins and the like are passive
    classes = {ref: fixture if ref in truth else classify(element) for ref, element in inventory.elements.items()}

    found = locate([model], Surroundings(inventory, Federation(shapes.rooms, {}, {}, frozenset(), ()), rooms, shapes.rooms), classes)
    wrong = {inventory.elements[ref].name: found[ref] for ref, room in truth.items() if found[ref].room != room}

    assert len(truth) == 31
    assert wrong == {}, f"{len(truth) - len(wrong)} of {len(truth)} right; wrong: {wrong}"
    assert shapes.failed == 0
    assert all(found[ref].confidence >= LOW_CONFIDENCE for ref in truth)
