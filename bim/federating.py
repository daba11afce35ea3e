"""Several files of one building: architecture and services name the same storeys and rooms, and these become one."""

from collections.abc import Mapping

from bim.inventory import Inventory, Place, Ref

_ELEVATION_M = 0.05  # storeys of two files with one name are the same when they lie this close


def same_places(inventory: Inventory) -> dict[Ref, Ref]:
    """Every place -> the place that stands for it: the first file that has it. Doubles inside one file stay apart."""
    stands_for: dict[Ref, Ref] = {}
    for ref in sorted(inventory.places):
        place = inventory.places[ref]
        earlier = [inventory.places[r] for r, s in stands_for.items() if r == s and r[0] < ref[0]]
        match = next((other for other in earlier if _same(place, other)), None)
        stands_for[ref] = match.ref if match else ref
    return stands_for


def _same(place: Place, other: Place) -> bool:
    if place.kind != other.kind:
        return False
    if place.global_id and place.global_id == other.global_id:
        return True
    if place.kind == "storey":
        return place.name == other.name and abs(place.elevation_m - other.elevation_m) <= _ELEVATION_M
    return place.kind in ("building", "site")  # one import is one site


def standing(refs: Mapping[Ref, Ref], ref: Ref | None) -> Ref | None:
    """The place that stands for `ref`; None stays None."""
    return refs.get(ref, ref) if ref is not None else None
