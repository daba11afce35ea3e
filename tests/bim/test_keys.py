"""Keys: readable, unique, and the same whatever the order in the file."""

import re

import pytest

from bim.keys import Named, mint_keys, name_key


def named(number: int, name: str, kind: str = "equipment", identity: str = "", guid: str = "") -> Named:
    return Named((0, number), kind, name, identity or name, guid)


@pytest.mark.parametrize("name", ["Küche", "厨房", "会议室 3", "Raum Ä", "キッチン", ""])
def test_any_name_gives_a_key_and_two_names_two_keys(name: str) -> None:
    key = name_key(name, "room")

    assert re.fullmatch(r"[a-z0-9_.]+", key)
    assert key == name_key(name, "room") != name_key(name + "x", "room")


def test_a_name_in_two_normal_forms_is_one_name() -> None:
    assert name_key("Ku\u0308che", "room") == name_key("K\u00fcche", "room")


def test_namesakes_are_told_apart_by_place_and_not_by_order() -> None:
    one, two = named(1, "Light", identity="Light|L1|1.0"), named(2, "Light", identity="Light|L2|4.0")

    forward, back = mint_keys([one, two], {}), mint_keys([two, one], {})

    assert forward == back
    assert len(set(forward.values())) == 2
    assert all(key.startswith("light_") for key in forward.values())


def test_things_that_nothing_tells_apart_stay_apart() -> None:
    keys = mint_keys([named(n, "Light", identity="same") for n in range(3)], {})

    assert len(set(keys.values())) == 3


def test_a_zone_keeps_the_bare_name_and_the_room_of_the_same_name_says_what_it_is() -> None:
    keys = mint_keys([named(1, "R1", "room"), named(2, "R1", "zone")], {})

    assert keys == {(0, 2): "r1", (0, 1): "r1_room"}


def test_what_was_renamed_keeps_its_key_by_its_global_id() -> None:
    keys = mint_keys([named(1, "VAV-1 new", guid="abc"), named(2, "VAV-1", guid="def")], {"abc": "vav_1"})

    assert keys[0, 1] == "vav_1"
    assert keys[0, 2] == "vav_1_equipment"


def test_a_double_global_id_is_no_identity() -> None:
    keys = mint_keys([named(1, "A", guid="abc"), named(2, "B", guid="abc")], {"abc": "old"})

    assert sorted(keys.values()) == ["a", "b"]
