"""The share of a model that the twin names, by trade."""

from bim.classifying import Classified, Coverage
from bim.inventory import Group, Place
from bim.shares import shares


def verdict(n: int, coverage: Coverage, match: str, domain: str) -> Classified:
    return Classified((0, n), coverage, "brick:Equipment", match, domain, "", 0.5)


def test_general_classes_and_unmapped_elements_count_against_and_passive_ones_not_at_all() -> None:
    verdicts = [
        verdict(1, Coverage.MAPPED, "direct", "air"),
        verdict(2, Coverage.MAPPED, "generic", "water"),
        verdict(3, Coverage.UNMAPPED, "none", "air"),
        verdict(4, Coverage.PASSIVE, "passive", "passive"),
        verdict(5, Coverage.MAPPED, "name", "lighting"),
        verdict(6, Coverage.UNMAPPED, "none", "other"),
    ]

    assert shares(verdicts, [], []) == {"hvac": 33.3, "lighting": 100.0, "electrical": None, "spatial": None, "all": 40.0}


def test_places_and_zones_make_up_the_spatial_share() -> None:
    room = Place((0, 1), "space", "IfcSpace", "", "a", "1", "", None)
    gross = Place((0, 2), "space", "IfcSpace", "GFA", "b", "2", "", None)
    fire = Group((0, 3), "IfcSpatialZone", "FIRESAFETY", "c", "Z1", ())
    other = Group((0, 4), "IfcAsset", "", "d", "A1", ())

    assert shares([], [room, gross], [])["spatial"] == 100.0  # a gross floor area is no room
    assert shares([], [room], [fire])["spatial"] == 100.0
    assert shares([], [room], [other])["spatial"] == 50.0
