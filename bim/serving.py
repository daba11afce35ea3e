"""Which zone a terminal serves: what the model references, else where its diffusers are, else the room it stands in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bim.inventory import Ref
from bim.placing import Placement
from bim.tracing import Trace
from twin.graph import brick


@dataclass(frozen=True, slots=True)
class Serving:
    """A terminal and the zone (or, where there is no zone, the room) it serves, with the evidence."""

    terminal: Ref
    target: Ref
    evidence: str  # reference, diffusers, location


def served_zones(
    equipment: Mapping[Ref, str],
    placements: Mapping[Ref, Placement],
    traced: Trace,
    serves: Mapping[Ref, Sequence[Ref]],
    zone_of_room: Mapping[Ref, Ref],
) -> list[Serving]:
    """One entry for each terminal and zone. Diffusers serve nothing themselves: their box does."""
    zones_and_rooms = {*zone_of_room.values(), *(p.room for p in placements.values() if p.room is not None)}
    diffusers = _rooms_of_diffusers(equipment, placements, traced)
    found = []
    for ref, kind in equipment.items():
        if not brick().is_a(kind, "brick:Terminal_Unit") or brick().is_a(kind, "brick:Air_Diffuser"):
            continue
        location = placements[ref].room
        rungs = (
            ("reference", serves.get(ref, [])),
            ("diffusers", diffusers.get(ref, [])),
            ("location", [location] if location is not None else []),
        )
        for evidence, places in rungs:
            targets = list(dict.fromkeys(_targets(places, zone_of_room, zones_and_rooms)))
            found += [Serving(ref, target, evidence) for target in targets]
            if targets:
                break
    return found


def _targets(places: Sequence[Ref], zone_of_room: Mapping[Ref, Ref], zones_and_rooms: set[Ref]) -> Iterator[Ref]:
    for place in places:
        if place in zone_of_room:
            yield zone_of_room[place]
        elif place in zones_and_rooms:
            yield place


def _rooms_of_diffusers(equipment: Mapping[Ref, str], placements: Mapping[Ref, Placement], traced: Trace) -> dict[Ref, list[Ref]]:
    rooms: dict[Ref, list[Ref]] = {}
    for feed in traced.feeds:
        room = placements[feed.target].room
        if room is not None and brick().is_a(equipment[feed.target], "brick:Air_Diffuser"):
            rooms.setdefault(feed.source, []).append(room)
    return rooms
