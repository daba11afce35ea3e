"""The ladder applied to all elements: points for all, bodies for the few that these leave open, then facing, then the host's room."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from bim.classifying import Classified, Coverage
from bim.federating import Federation, standing
from bim.inventory import Element, Inventory, Place, Ref
from bim.opening import Model
from bim.placing import LOW_CONFIDENCE, Placement, RoomFinder, Spot
from bim.rooms import Body, RoomShape, bodies
from twin.graph import brick

_OUTDOOR = ("brick:RTU", "brick:Cooling_Tower", "brick:Weather_Station", "brick:PV_Panel", "brick:Solar_Thermal_Collector",
            "brick:Air_Cooled_Condenser_Heat_Exchanger")  # fmt: skip
_DOUBTED = 0.3
_ASSEMBLED = 0.95  # a part is where its host is, nearly as surely


@dataclass(frozen=True)
class Surroundings:
    """The places that elements are located in, all in one file's coordinates."""

    inventory: Inventory
    federation: Federation
    rooms: Mapping[Ref, Place]
    shapes: Mapping[Ref, RoomShape]

    def spot(self, element: Element, verdict: Classified) -> Spot | None:
        if element.position is None:
            return None
        storey = self.inventory.storey_of.get(element.container) if element.container is not None else None
        storey = standing(self.federation.same, storey)
        elevation = self.inventory.places[storey].elevation_m if storey is not None else None
        outdoor = any(brick().is_a(verdict.brick, name) for name in _OUTDOOR)
        return Spot(element.position, storey, elevation, element.axes, outdoor)

    def room_storeys(self) -> dict[Ref, Ref]:
        found = {}
        for room in self.rooms:
            storey = standing(self.federation.same, self.inventory.storey_of.get(room))
            if storey is not None:
                found[room] = storey
        return found


def locate(models: Sequence[Model], around: Surroundings, classes: Mapping[Ref, Classified]) -> dict[Ref, Placement]:
    """The placement of every element that is not passive."""
    finder = RoomFinder(around.shapes, around.room_storeys())
    elements = {ref: e for ref, e in around.inventory.elements.items() if classes[ref].coverage is not Coverage.PASSIVE}
    spots = {ref: around.spot(e, classes[ref]) for ref, e in elements.items()}
    placements = {ref: finder.place(standing(around.federation.same, e.container), spots[ref], around.rooms) for ref, e in elements.items()}
    unsure = [ref for ref in elements if finder.worth_meshing(placements[ref], spots[ref])]
    outlines = bodies(models, unsure) if unsure else {}
    moves = around.federation.moves
    for ref, body in outlines.items():
        body = moves[ref[0]].body(body) if ref[0] in moves else body
        placements[ref] = _with_body(finder, placements[ref], spots[ref], body)
    for ref, spot in spots.items():
        if spot is not None and spot.axes is not None:
            finder.learn(spot, placements[ref])
    for ref, spot in spots.items():
        if spot is not None and placements[ref].confidence < LOW_CONFIDENCE:
            faced = finder.by_facing(spot)
            placements[ref] = faced if faced.room is not None else placements[ref]
    return _doubted(around.federation.doubtful, _with_hosts(elements, placements))


def _with_body(finder: RoomFinder, placement: Placement, spot: Spot | None, body: Body) -> Placement:
    """The body decides what the point left open; a sure point gives way only to a body that lies in another room alone."""
    if spot is None:
        return placement
    better = finder.by_body(spot, body)
    if better.room is None or (better.evidence == "tie" and placement.confidence >= LOW_CONFIDENCE):
        return placement
    return placement if better.room == placement.room and placement.confidence >= LOW_CONFIDENCE else better


def _doubted(files: Container[int], placements: dict[Ref, Placement]) -> dict[Ref, Placement]:
    """In a file whose coordinates may be others', geometry is no sure answer."""
    for ref, placement in placements.items():
        if ref[0] in files and placement.evidence != "containment":
            placements[ref] = replace(placement, confidence=min(placement.confidence, _DOUBTED))
    return placements


def _with_hosts(elements: Mapping[Ref, Element], placements: dict[Ref, Placement]) -> dict[Ref, Placement]:
    """A part that is not sure of its room is where its assembly or device is."""
    for ref, element in elements.items():
        own, seen, host = placements[ref], {ref}, element.host
        while own.confidence < LOW_CONFIDENCE and host in placements and host not in seen:
            assert host is not None
            above = placements[host]
            if above.room is not None and above.confidence >= LOW_CONFIDENCE:
                own = Placement(above.room, "assembly", round(_ASSEMBLED * above.confidence, 2))
            seen.add(host)
            host = elements[host].host
        placements[ref] = own
    return placements
