"""The placement ladder: each rung on its own, and the whole of it against a model that states the truth."""

from collections.abc import Callable
from pathlib import Path

import pytest
from shapely.geometry import box

from bim.inventory import take_inventory
from bim.opening import open_model
from bim.placing import Placement, RoomFinder
from bim.rooms import RoomShape, footprints, room_shapes

LEFT, RIGHT, ABOVE = (0, 1), (0, 2), (0, 3)
FINDER = RoomFinder(
    {
        LEFT: RoomShape(box(0, 0, 5, 6), 0.0, 3.0),
        RIGHT: RoomShape(box(5, 0, 10, 6), 0.0, 3.0),
        ABOVE: RoomShape(box(0, 0, 10, 6), 3.5, 6.5),
    }
)


@pytest.mark.parametrize(
    ("position", "placement"),
    [
        ((2.0, 3.0, 1.5), Placement(LEFT, "point", 0.9)),
        ((7.0, 3.0, 3.2), Placement(RIGHT, "point", 0.9)),  # in the ceiling void: nearer to the room below
        ((7.0, 3.0, 3.45), Placement(ABOVE, "point", 0.9)),  # under the raised floor
        ((5.0, 3.0, 1.5), Placement(LEFT, "tie", 0.3)),  # on the wall line
        ((-0.1, 3.0, 1.5), Placement(LEFT, "nearest", 0.5)),
        ((-2.0, 3.0, 1.5), Placement(None, "none", 0.0)),
        ((2.0, 3.0, 20.0), Placement(None, "none", 0.0)),
    ],
)
def test_a_point_finds_its_room_at_its_height(position: tuple[float, float, float], placement: Placement) -> None:
    assert FINDER.place(None, position, ()) == placement


def test_the_model_s_word_comes_before_geometry() -> None:
    assert FINDER.place(RIGHT, (2.0, 3.0, 1.5), {LEFT, RIGHT}) == Placement(RIGHT, "containment", 1.0)
    assert FINDER.place((9, 9), (2.0, 3.0, 1.5), {LEFT, RIGHT}) == Placement(LEFT, "point", 0.9)


def test_a_footprint_takes_the_room_it_covers_most_and_half_and_half_is_a_tie() -> None:
    assert FINDER.by_footprint(((4.6, 1, 1), (5.1, 2, 2))) == Placement(LEFT, "footprint", 0.8)
    assert FINDER.by_footprint(((4.5, 1, 1), (5.5, 2, 2))).evidence == "tie"
    assert FINDER.by_footprint(((20, 1, 1), (21, 2, 2))) == Placement(None, "none", 0.0)


def test_only_what_is_unsure_and_near_a_room_is_worth_meshing() -> None:
    sure, unsure, outside = (FINDER.place(None, p, ()) for p in ((2.0, 3.0, 1.5), (-0.5, 3.0, 1.5), (-9.0, 3.0, 1.5)))

    assert not FINDER.worth_meshing(sure, (2.0, 3.0, 1.5))
    assert FINDER.worth_meshing(unsure, (-0.5, 3.0, 1.5))
    assert not FINDER.worth_meshing(outside, (-9.0, 3.0, 1.5))


def test_with_the_models_own_containment_hidden_geometry_finds_it_again(public: Callable[[str], Path]) -> None:
    model = open_model(public("office_arch_ifc2x3.ifc"))
    finder = RoomFinder(room_shapes([model]))
    fixtures = {e.ref: e for e in take_inventory([model]).elements.values() if e.ifc_class == "IfcFlowTerminal"}
    found = {ref: finder.place(None, e.position, ()) for ref, e in fixtures.items()}
    right_by_point = sum(found[ref].room == e.container for ref, e in fixtures.items())

    unsure = [ref for ref, e in fixtures.items() if finder.worth_meshing(found[ref], e.position)]
    found |= {ref: finder.by_footprint(around) for ref, around in footprints([model], unsure).items()}

    assert (len(fixtures), right_by_point) == (31, 25)
    assert sum(found[ref].room == e.container for ref, e in fixtures.items()) >= 29
