"""Addresses for the twin's points: what the model says, what points.csv says, what people decided, and what a scan makes likely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bim.addressing import PsetAddress
from bim.inventory import Ref
from bim.keys import NodeRef
from bim.points import FoundPoint
from bim.reading import ReadModels, node_of
from bim.review import Decisions, ObjectDecision
from bim.tables import unit_of
from twin.addresses import BacnetAddress, parse_address
from twin.binding import Bound, Match, bind
from twin.graph import Graph, brick
from twin.lexicon import conversion, unit_of_qudt, units
from twin.owners import owners_of
from twin.scans import Scan, ScannedDevice, ScannedObject
from twin.weighing import Wanted
from twin.words import slug

_TAKES_COMMANDS = ("brick:Command", "brick:Setpoint", "brick:Parameter")


@dataclass(frozen=True)
class Addressed:
    """The points with their addresses, and what the report says of where these come from."""

    reading: ReadModels
    matched: Bound
    sheet: Mapping[str, str]  # points.csv: point -> address
    warnings: Sequence[str]

    def sources(self) -> dict[str, str]:
        """Point key -> model, points.csv, review or scan, for every point that has an address."""
        keys = self.reading.keys
        found = {keys[node_of(p)]: p.address.bound_by or "model" for p in self.reading.points if p.address and p.address.text}
        said = {keys[node_of(p)]: p.address.text for p in self.reading.points if p.address}
        nodes = {keys[node_of(p)] for p in self.reading.points}
        return found | {key: "points.csv" for key, address in self.sheet.items() if key in nodes and said.get(key) != address}


def bind_points(
    reading: ReadModels, graph: Graph | None, sheet: Mapping[str, Mapping[str, str]], decisions: Decisions, scan: Scan | None
) -> Addressed:
    """Give points their addresses, in this order: the model, points.csv, decisions, and the scan for what is left.

    `graph` is the twin before binding: it knows owners and their names; only a scan needs it.
    Decisions overrule the model, points.csv overrules all.
    """
    written = {point: row["address"] for point, row in sheet.items() if row.get("address")}
    warnings: list[str] = []
    reading = _with_element_decisions(reading, decisions)
    devices = {thing.address: (device, thing) for device, thing in scan.objects} if scan is not None else {}
    reading = _with_object_decisions(reading, decisions.objects, devices, warnings)
    matched = Bound()
    if scan is not None and graph is not None:
        matched = _from_scan(reading, graph, sheet, decisions, devices)
        reading = _with_addresses(reading, {m.point: _scanned(m, devices[m.address]) for m in matched.bound})
    return Addressed(reading, matched, written, warnings)


def _from_scan(
    reading: ReadModels,
    graph: Graph,
    sheet: Mapping[str, Mapping[str, str]],
    decisions: Decisions,
    devices: Mapping[str, tuple[ScannedDevice, ScannedObject]],
) -> Bound:
    used = {p.address.text for p in reading.points if p.address and p.address.text} | {row.get("address", "") for row in sheet.values()}
    free = [
        pair for address, pair in devices.items() if address.startswith("bacnet:") and not {address} & (used | decisions.objects.keys())
    ]
    wanted = []
    for point in reading.points:
        key = reading.keys[node_of(point)]
        if (point.address and point.address.text) or sheet.get(key, {}).get("address"):
            continue
        by_sheet = sheet.get(key, {}).get("writable") == "yes"
        owner = reading.key_or_none(point.owner) or ""
        wanted.append(
            Wanted(key, point.brick.removeprefix("brick:"), point.unit, owner, point.name, takes_commands(point.brick) or by_sheet)
        )
    return bind(free, wanted, owners_of(graph))


def takes_commands(brick_class: str) -> bool:
    """Whether points of this class are there to be written."""
    return any(brick().is_a(brick_class, name) for name in _TAKES_COMMANDS)


def _with_element_decisions(reading: ReadModels, decisions: Decisions) -> ReadModels:
    """Addresses that people wrote onto elements; for an element that carries several points, onto its first."""
    addressed = {}
    for point in reading.points:
        decision = decisions.get(reading.marks.get(point.element, "")) if point.extra < 2 else None
        if decision is not None and decision.address:
            addressed[reading.keys[node_of(point)]] = _decided_address(decision.address, "", point, decision.writable)
    return _with_addresses(reading, addressed)


def _with_object_decisions(
    reading: ReadModels,
    decisions: Mapping[str, ObjectDecision],
    devices: Mapping[str, tuple[ScannedDevice, ScannedObject]],
    warnings: list[str],
) -> ReadModels:
    nodes = {key: ref for ref, key in reading.keys.items()}
    points = {reading.keys[node_of(p)]: p for p in reading.points}
    addressed: dict[str, PsetAddress] = {}
    for address, decision in sorted(decisions.items()):
        thing = devices[address][1] if address in devices else None
        if decision.point and decision.point not in points:
            warnings.append(f"review.toml binds {address} to {decision.point!r}, which is no point of the twin (any more)")
        elif decision.point and _can_be(address, decision.writable, warnings):
            addressed[decision.point] = _decided_address(
                address, thing.name if thing else "", points[decision.point], decision.writable, thing
            )
        elif decision.owner and decision.owner not in nodes:
            warnings.append(f"review.toml makes {address} a point of {decision.owner!r}, which is not in the twin (any more)")
        elif decision.owner and _can_be(address, decision.writable, warnings):
            reading = _with_new_point(reading, nodes[decision.owner], address, decision, thing)
    return _with_addresses(reading, addressed)


def _can_be(address: str, writable: bool, warnings: list[str]) -> bool:
    place = parse_address(address)
    takes = place.commandable if isinstance(place, BacnetAddress) else place.table in ("coil", "holding")
    if writable and not takes:
        warnings.append(f"review.toml says that {address} takes commands, but it is an input; it was not bound")
    return takes or not writable


def _with_new_point(reading: ReadModels, owner: NodeRef, address: str, decision: ObjectDecision, thing: ScannedObject | None) -> ReadModels:
    """A point that no model holds: an accepted object of a device, hung on its equipment or room."""
    element: Ref = (owner[0], owner[1])
    extra = 1 + max((p.extra for p in reading.points if p.element == element), default=0)
    name = decision.name or (thing.name if thing else "") or decision.brick.removeprefix("brick:")
    unit = units()[thing.units].qudt if thing and thing.units in units() else unit_of(decision.brick)
    point = FoundPoint(element, name, decision.brick, unit, element, None, extra)
    point = replace(point, address=_decided_address(address, thing.name if thing else "", point, decision.writable, thing))
    key = _free_key(f"{reading.keys[owner]}.{slug(decision.brick.removeprefix('brick:'))}", set(reading.keys.values()))
    return replace(reading, points=[*reading.points, point], keys={**reading.keys, node_of(point): key})


def _free_key(wished: str, used: set[str]) -> str:
    number, key = 2, wished
    while key in used:
        key, number = f"{wished}_{number}", number + 1
    return key


def _with_addresses(reading: ReadModels, addresses: Mapping[str, PsetAddress]) -> ReadModels:
    points = [replace(p, address=addresses[key]) if (key := reading.keys[node_of(p)]) in addresses else p for p in reading.points]
    return replace(reading, points=points)


def _decided_address(address: str, name: str, point: FoundPoint, writable: bool, thing: ScannedObject | None = None) -> PsetAddress:
    scale, offset = _conversion(thing, point.unit)
    place = parse_address(address)
    return PsetAddress("review.toml", address, name, place.connection, point.unit, scale, offset, writable, bound_by="review")


def _scanned(match: Match, pair: tuple[ScannedDevice, ScannedObject]) -> PsetAddress:
    connection = parse_address(match.address).connection
    return PsetAddress(
        "scan", match.address, pair[1].name, connection, "", match.scale, match.offset, bound_by="scan", confidence=match.score
    )


def _conversion(thing: ScannedObject | None, unit: str) -> tuple[float, float]:
    raw, wanted = units().get(thing.units) if thing else None, unit_of_qudt(unit)
    if raw is None or wanted is None or raw.quantity != wanted.quantity:
        return 1.0, 0.0
    return conversion(raw, wanted)
