"""A second file that says more of elements that a first one has."""

import pytest

from bim.importing import import_models
from bim.writing import ModelWriter, PointMark, Spot

LAMP = "2ZKqOKZbf2gRWlfHEpRnVt"


@pytest.fixture
def two_files(tmp_path):
    """A lamp in a room, and a second file with the same room and lamp; `marked` gives the second lamp an address."""

    def write(*, marked, name="LT-1"):
        first = ModelWriter("house")
        storey = first.storey("Level 1", 0.0)
        room = first.room("R1", storey, [(0, 0), (5, 0), (5, 4), (0, 4)], 3.0)
        first.known_element(LAMP, "IfcLightFixture", "LT-1", Spot(room, 2.0, 2.0, 2.9))
        second = ModelWriter("house")
        again = second.known_element(LAMP, "IfcLightFixture", name, Spot(second.storey("Level 1", 0.0), 2.0, 2.0, 2.9))
        if marked:
            second.mark(again, PointMark("modbus:lights/1/holding/0:int16", "PERCENT", 0.1, writable=True, brick="Luminance_Command"))
        paths = [tmp_path / "a.ifc", tmp_path / "b.ifc"]
        for path, writer in zip(paths, (first, second), strict=True):
            writer.write(path)
        return import_models(paths, tmp_path / "out", "house").graph

    return write


def test_an_address_in_a_second_file_belongs_to_the_lamp_of_the_first(two_files):
    graph = two_files(marked=True)

    lamps = [row for row in graph.ask("equipment") if row["class"] == "Luminaire"]
    assert [row["room"] for row in lamps] == ["r1"]
    assert [(p.owner, p.binding.address) for p in graph.points()] == [(lamps[0]["equipment"], "modbus:lights/1/holding/0:int16")]


def test_an_element_that_only_stands_twice_stays_two(two_files):
    graph = two_files(marked=False)

    assert len([row for row in graph.ask("equipment") if row["class"] == "Luminaire"]) == 2


def test_another_name_under_the_same_global_id_is_another_thing(two_files):
    graph = two_files(marked=True, name="Pump")

    assert len(graph.ask("equipment")) == 2
