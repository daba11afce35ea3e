"""Plant keys read as words."""

import pytest

from bim import tables
from bim.named import named
from bim.naming import segments
from bim.plant_keys import words_of_key


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("0SAC10AN001", "fan"),
        ("=10SAM20 AA101", "damper"),
        ("0QKA10AA003", "chilled water valve"),
        ("11SBA05AP002", "heating pump"),
        ("0QKA10CT001", "chilled water temperature sensor"),
        ("B1.02.RLT.001.ZUL.VEN.01", "Ventilator Zuluft"),
        ("H2_UG_HZG_VL_TF_03", "Temperaturfühler Heizung Vorlauf"),
        ("A.01.RLT02.BSK.17", "Brandschutzklappe"),
    ],
)
def test_a_key_says_what_the_thing_is(key: str, says: str) -> None:
    assert words_of_key(key) == says


@pytest.mark.parametrize("name", ["AHU-1", "AHU-3F-02 空调", "0SAC10XX001", "A.01.02.03.04", "VAV-1.ZN-T", "Pumpe 0SAC10AP001 Nord", ""])
def test_what_is_no_key_or_holds_no_known_code_says_nothing(name: str) -> None:
    assert words_of_key(name) == ""


def test_every_code_of_a_thing_is_understood_by_the_name_rules() -> None:
    things = [row.says for scheme in ("KKS", "AKS") for row in tables.plant_codes(scheme)]

    assert [words for words in things if named(segments(words)) is None] == []
