"""Several files of one building: architecture and services name the same storeys and rooms, and these become one."""

from collections.abc import Mapping

from bim.inventory import Inventory, Ref

_KINDS = ("site", "building", "storey", "space")  # a room is the same only in the same storey, so storeys come first
_ELEVATION_M = 0.05  # storeys of two files with one name are the same when they lie this close


def same_places(inventory: Inventory) -> dict[Ref, Ref]:
    """Every place -> the place that stands for it: the first file that has it. Doubles inside one file stay apart."""
    stands_for: dict[Ref, Ref] = {}
    for kind in _KINDS:
        for ref in sorted(r for r, place in inventory.places.items() if place.kind == kind):
            earlier = [r for r, stands in stands_for.items() if r == stands and r[0] < ref[0] and inventory.places[r].kind == kind]
            stands_for[ref] = next((other for other in earlier if _same(inventory, stands_for, ref, other)), ref)
    return stands_for


def _same(inventory: Inventory, stands_for: Mapping[Ref, Ref], ref: Ref, other: Ref) -> bool:
    one, two = inventory.places[ref], inventory.places[other]
    if one.global_id and one.global_id == two.global_id:
        return True
    if one.kind == "storey":
        return one.name == two.name and abs(one.elevation_m - two.elevation_m) <= _ELEVATION_M
    if one.kind == "space":
        storeys = [stands_for.get(inventory.storey_of.get(r, r)) for r in (ref, other)]
        same_storey = storeys[0] is not None and storeys[0] == storeys[1]
        return same_storey and bool(one.name) and (one.name, one.long_name) == (two.name, two.long_name)
    return True  # one import is one site and one building


def standing(refs: Mapping[Ref, Ref], ref: Ref | None) -> Ref | None:
    """The place that stands for `ref`; None stays None."""
    return refs.get(ref, ref) if ref is not None else None
