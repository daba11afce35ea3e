"""Real models as a designer must know them: what encloses each room, what is there, and what feeds what."""

import pytest

from bim.drawing import Size
from bim.surveying import survey
from bim.writing import ModelWriter, Spot
from twin.errors import ModelError


@pytest.fixture
def house(tmp_path):
    """Two rooms of 5 m x 4 m beside each other (wall 0.2 m), one above the first; a window in the south wall of the first."""
    writer = ModelWriter("house")
    ground, upper = writer.storey("Ground", 0.0), writer.storey("Upper", 3.3)
    left = [(0.0, 0.0), (5.0, 0.0), (5.0, 4.0), (0.0, 4.0)]
    writer.room("Left", ground, left, 3.0)
    writer.room("Right", ground, [(x + 5.2, y) for x, y in left], 3.0)
    writer.room("Above", upper, left, 2.5)
    window = writer.element("IfcWindow", "W-1", "WINDOW", Spot(ground, 2.5, -0.15, 1.0), size=Size(1.5, 0.1, 1.2))
    assert window is not None
    path = tmp_path / "house.ifc"
    writer.write(path)
    return {room.name: room for room in survey([path]).rooms}


def test_a_window_belongs_to_the_room_behind_it(house):
    assert house["Left"].window_m2 == pytest.approx(1.5 * 1.2, abs=0.01)
    assert house["Right"].window_m2 == house["Above"].window_m2 == 0


def test_outer_walls_are_what_no_neighbour_stands_at(house):
    assert house["Left"].facade_m2 == pytest.approx((5 + 4 + 5) * 3.0, rel=0.05)
    assert house["Above"].facade_m2 == pytest.approx(18 * 2.5, rel=0.01)


def test_neighbours_share_a_wall_or_a_floor_and_both_say_so(house):
    shared = {room.key: dict(room.shared) for room in house.values()}

    assert shared["left"]["right"] == shared["right"]["left"] == pytest.approx(4 * 3.0, rel=0.05)
    assert shared["left"]["above"] == shared["above"]["left"] == 20.0
    assert "above" not in shared["right"]


def test_what_has_nothing_above_is_roof_and_what_has_nothing_below_is_ground(house):
    assert [(r.roof_m2, r.ground_m2) for r in (house["Left"], house["Right"], house["Above"])] == [(0, 20), (20, 20), (20, 0)]


def test_an_office_with_high_ceiling_voids_has_slabs_between_its_storeys(public):
    rooms = survey([public("office_arch_ifc2x3.ifc")]).rooms

    ground_floor = [room for room in rooms if room.storey == "level_1"]
    assert sum(room.roof_m2 for room in ground_floor) < 0.3 * sum(room.area_m2 for room in ground_floor)


def test_a_model_without_rooms_is_refused_with_what_to_do(public):
    with pytest.raises(ModelError, match=r"no room .IfcSpace. in it; export the architecture"):
        survey([public("pcert_hvac_ifc4.ifc")])
