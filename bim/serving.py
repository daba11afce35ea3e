"""Which zone or room a terminal serves: what the model says, else where its diffusers are, else the room it stands in; with evidence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bim.inventory import Group, Inventory, Place, Ref
from bim.placing import Placement
from bim.tracing import Trace
from twin.graph import brick

SURE = 0.6  # below this a person should look
_BY_SYSTEM, _AT_ITS_PLACE, _BOX, _BOX_ON_THE_WAY = 0.9, 0.9, 0.7, 0.4
_WAYS = ("corridor", "hallway", "shaft", "riser", "plenum", "plant", "mechanical", "stair", "lobby", "technik", "flur", "gang", "schacht",
         "treppe", "走廊", "过道", "机房", "竖井", "楼梯", "管井")  # fmt: skip
"""Rooms through which ducts run: a box in their ceiling serves others."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A terminal and the zone (or, where there is no zone, the room) it serves, with the evidence."""

    terminal: Ref
    target: Ref
    evidence: str  # reference, system, zone, diffusers, location
    confidence: float = 1.0


@dataclass(frozen=True)
class Building:
    """What is known of the building when serving is asked."""

    inventory: Inventory
    placements: Mapping[Ref, Placement]
    traced: Trace
    rooms: Mapping[Ref, Place]
    zone_of_room: Mapping[Ref, Ref]
    standing: Mapping[Ref, Ref]  # place -> the one that stands for it, across files


def served_zones(equipment: Mapping[Ref, str], building: Building, groups: Sequence[Group]) -> list[Serving]:
    """One entry for each terminal and zone. A diffuser behind a box serves nothing itself: its box does."""
    rungs = _Rungs(equipment, building, groups)
    found = []
    for ref, kind in equipment.items():
        if not _is_terminal(kind) or (_is_diffuser(kind) and not rungs.serves_itself(ref)):
            continue
        for evidence, places in rungs.of(ref, kind):
            targets: dict[Ref, float] = {}
            for place, sure in places:
                if (target := rungs.target(place)) is not None:
                    targets[target] = max(sure, targets.get(target, 0.0))
            found += [Serving(ref, target, evidence, round(sure, 2)) for target, sure in targets.items()]
            if targets:
                break
    return found


class _Rungs:
    """The ladder for one terminal after another."""

    def __init__(self, equipment: Mapping[Ref, str], building: Building, groups: Sequence[Group]) -> None:
        self._equipment, self._building = equipment, building
        self._after: dict[Ref, list[tuple[Ref, float]]] = defaultdict(list)
        self._before: dict[Ref, list[Ref]] = defaultdict(list)
        for feed in building.traced.feeds:
            self._after[feed.source].append((feed.target, feed.confidence))
            self._before[feed.target].append(feed.source)
        self._zones: dict[Ref, list[Ref]] = defaultdict(list)
        self._served_by_system: dict[Ref, list[Ref]] = defaultdict(list)
        for group in groups:
            terminals = [ref for ref in group.members if ref in equipment and _is_terminal(equipment[ref])]
            if group.ifc_class in ("IfcZone", "IfcSpatialZone"):
                for ref in terminals:
                    self._zones[ref].append(group.ref)
            elif len(boxes := [ref for ref in terminals if not _is_diffuser(equipment[ref])] or terminals) == 1:
                self._served_by_system[boxes[0]] += building.inventory.serves.get(group.ref, [])

    def of(self, ref: Ref, kind: str) -> Iterator[tuple[str, list[tuple[Ref, float]]]]:
        inventory, placement = self._building.inventory, self._building.placements[ref]
        yield "reference", [(place, 1.0) for place in inventory.serves.get(ref, [])]
        yield "system", [(place, _BY_SYSTEM) for place in self._served_by_system.get(ref, [])]
        yield "zone", [(zone, 1.0) for zone in self._zones.get(ref, [])]
        yield "diffusers", list(self._behind(ref))
        if placement.room is not None:
            yield "location", [(placement.room, min(placement.confidence, self._fit(kind, placement.room)))]

    def target(self, place: Ref) -> Ref | None:
        """The zone of a room, a zone itself, or a room without one; nothing for a building or storey."""
        b = self._building
        place = b.standing.get(place, place)
        if place in b.zone_of_room:
            return b.zone_of_room[place]
        return place if place in b.rooms or place in b.zone_of_room.values() else None

    def serves_itself(self, diffuser: Ref) -> bool:
        """A diffuser that something feeds, with no box before it."""
        seen, queue = {diffuser}, list(self._before[diffuser])
        fed = bool(queue)
        while queue:
            current = queue.pop()
            if current in seen:
                continue
            seen.add(current)
            kind = self._equipment[current]
            if _is_terminal(kind) and not _is_diffuser(kind):
                return False
            queue += self._before[current]
        return fed

    def _behind(self, ref: Ref) -> Iterator[tuple[Ref, float]]:
        """The rooms of the diffusers downstream, through dampers and the like but not through another box."""
        seen, queue = {ref}, [(ref, 1.0)]
        while queue:
            current, sure = queue.pop()
            for target, confidence in self._after[current]:
                if target in seen:
                    continue
                seen.add(target)
                kind, placement = self._equipment[target], self._building.placements[target]
                if _is_diffuser(kind):
                    if placement.room is not None:
                        yield placement.room, min(sure, confidence, placement.confidence)
                elif not _is_terminal(kind):
                    queue.append((target, min(sure, confidence)))

    def _fit(self, kind: str, room: Ref) -> float:
        """Radiators, fan coils and diffusers serve the room they stand in; a box in a corridor's ceiling most likely does not."""
        if not any(brick().is_a(kind, name) for name in ("brick:VAV", "brick:CAV", "brick:Induction_Unit")):
            return _AT_ITS_PLACE if kind != "brick:Terminal_Unit" else _BOX
        place = self._building.rooms.get(room)
        words = f"{place.name} {place.long_name}".lower() if place is not None else ""
        return _BOX_ON_THE_WAY if any(way in words for way in _WAYS) else _BOX


def _is_terminal(kind: str) -> bool:
    return any(brick().is_a(kind, name) for name in ("brick:Terminal_Unit", "brick:Space_Heater"))


def _is_diffuser(kind: str) -> bool:
    return brick().is_a(kind, "brick:Air_Diffuser")


def doubtful(serving: Iterable[Serving]) -> list[Serving]:
    """Those that a person should look at."""
    return [s for s in serving if s.confidence < SURE]
