"""The flow tables: names known to Brick, and words of three languages read as an engineer reads them."""

import csv
from pathlib import Path

import pytest

from bim import flow_tables
from bim.flow_tables import Stream, flow_role, port_word, stream_of
from twin.graph import brick

DATA = Path(flow_tables.__file__).parent / "data"


def test_every_brick_class_is_known_and_none_is_deprecated() -> None:
    with (DATA / "flow_roles.csv").open(encoding="utf-8") as file:
        names = {row["what"] for row in csv.DictReader(file) if row["what"].startswith("brick:")}

    assert names
    assert names <= brick().classes - brick().deprecated


@pytest.mark.parametrize(
    ("value", "name", "stream"),
    [
        ("HEATING", "Heizung VL", Stream("water", "supply")),
        ("HEATING", "Rücklauf Heizung", Stream("water", "return")),
        ("", "HWS_1", Stream("", "supply")),
        ("AIRCONDITIONING", "Zuluft 1.OG", Stream("air", "supply")),
        ("", "回风系统", Stream("air", "return")),
        ("CHILLEDWATER", "冷冻水供水", Stream("water", "supply")),
        ("", "Supply and return air", Stream("air", "")),
        ("EXHAUST", "Toilets", Stream("air", "return")),
        ("ELECTRICAL", "DB-1", Stream("electrical", "supply")),
    ],
)
def test_value_and_name_tell_medium_and_direction(value: str, name: str, stream: Stream) -> None:
    assert stream_of(value, name) == stream


def test_an_air_handler_gives_air_and_takes_water_and_a_subclass_does_as_its_parent() -> None:
    assert (flow_role("brick:AHU", (), "air"), flow_role("brick:AHU", (), "water")) == ("source", "sink")
    assert flow_role("brick:RTU", (), "air") == "source"
    assert flow_role("brick:Equipment", ("IfcElectricDistributionBoard", ""), "electrical") == "source"
    assert flow_role("brick:Camera", (), "air") == ""


def test_a_port_called_inlet_says_so() -> None:
    assert (port_word("CHW inlet"), port_word("Austritt"), port_word("Port_1")) == ("in", "out", "")
