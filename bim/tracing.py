"""Who feeds whom, traced from port to port: downstream only, through ducts and bends, to the next equipment; gaps are reported."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bim.flow_tables import flow_role, stream_of
from bim.flows import Net, Piping, lay_out, settle
from bim.inventory import Group, Inventory
from bim.placements import Ref
from bim.ports import PortLink
from bim.touching import touching_ports

SURE = 0.6  # a feed below this waits for a person
_OPEN_PIPE = 0.8  # a pipe on the way whose own ports say nothing
_BY_CIRCUIT, _BY_SYSTEM = 0.8, 0.5


@dataclass(frozen=True, slots=True)
class Feed:
    """A path between two pieces of equipment: through how many pipes and bends, on what evidence and how surely."""

    source: Ref
    target: Ref
    medium: str
    steps: int
    evidence: str = "ports"
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Trace:
    """Feeds, the ways back to the plant, and what is missing."""

    feeds: tuple[Feed, ...]
    returns: tuple[Feed, ...] = ()  # from what used the air or water back to what treats it
    undirected: int = 0  # connections whose direction nothing tells
    contradicted: int = 0  # connections whose two ports state the same direction
    parts: int = 0  # pieces of equipment and pipes that hang together, counted as separate groups
    open_ends: tuple[Ref, ...] = ()  # ports of pipes, ducts and cables that end in nothing


def trace(inventory: Inventory, equipment: Mapping[Ref, str], systems: Iterable[Group]) -> Trace:
    """`equipment` are the nodes and their Brick classes; every other element with ports is a way between them."""
    systems = list(systems)
    links = _without_doubles(inventory)
    links += touching_ports(inventory.ports, links)
    piping = lay_out(inventory.ports, links, equipment, inventory.elements, systems)
    settle(piping)
    found: dict[tuple[Ref, Ref], Feed] = {}
    back: dict[tuple[Ref, Ref], Feed] = {}
    returning = _Returning(piping)
    for net in piping.nets:
        into = back if returning.is_return(net) else found
        for feed in _feeds_of(net, piping):
            known = into.get((feed.source, feed.target))
            if known is None or feed.confidence > known.confidence:
                into[feed.source, feed.target] = feed
    fed = {(feed.target, feed.medium) for feed in found.values()}
    for feed in _by_membership(inventory, systems, equipment, fed):
        found.setdefault((feed.source, feed.target), feed)
    return Trace(
        tuple(found[key] for key in sorted(found)),
        tuple(back[key] for key in sorted(back) if key not in found),
        sum(link.a not in piping.flows and link.b not in piping.flows for link in links),
        len(piping.contradicted) // 2,
        _parts(piping),
        _open_ends(piping),
    )


def _without_doubles(inventory: Inventory) -> list[PortLink]:
    """Connections of ports, and connections of elements between which no ports are connected."""
    ports = inventory.ports
    by_ports = {frozenset((ports[link.a].holder, ports[link.b].holder)) for link in inventory.links if link.evidence == "ports"}
    return [
        link
        for link in inventory.links
        if link.evidence == "ports" or frozenset((ports[link.a].holder, ports[link.b].holder)) not in by_ports
    ]


def _feeds_of(net: Net, piping: Piping) -> Iterator[Feed]:
    """From each end that gives to each end that takes; walked from the side with fewer ends."""
    gives = [r for r in net.ends if r in piping.flows and piping.flows[r].out]
    takes = [r for r in net.ends if r in piping.flows and not piping.flows[r].out]
    downstream = len(gives) <= len(takes)
    for start in gives if downstream else takes:
        for end, steps, confidence, evidence in _walk(start, piping, downstream):
            source, target = (start, end) if downstream else (end, start)
            holders = piping.ports[source].holder, piping.ports[target].holder
            if holders[0] != holders[1]:
                yield Feed(*holders, net.stream.medium, steps, evidence, round(confidence, 2))


def _walk(start: Ref, piping: Piping, downstream: bool) -> Iterator[tuple[Ref, int, float, str]]:
    """Every end of equipment reached: (port, pipes passed, confidence, evidence of the weakest step)."""
    first = piping.flows[start]
    queue = deque([(start, 0, first.confidence, first.evidence)])
    seen = {start}
    while queue:
        ref, steps, sure, why = queue.popleft()
        for other, _ in piping.across[ref]:
            if other in seen:
                continue
            seen.add(other)
            flow = piping.flows.get(other)
            if flow is not None and flow.out == downstream:
                continue
            sure_now, why_now = _weaker(sure, why, flow.confidence if flow else _OPEN_PIPE, flow.evidence if flow else "open pipe")
            holder = piping.ports[other].holder
            if holder in piping.equipment:
                if flow is not None:
                    yield other, steps, sure_now, why_now
                continue
            for onward in piping.held[holder]:
                way = piping.flows.get(onward)
                if onward not in seen and (way is None or way.out == downstream):
                    seen.add(onward)
                    queue.append((onward, steps + 1, *_weaker(sure_now, why_now, way.confidence if way else _OPEN_PIPE, "open pipe")))


def _weaker(sure: float, why: str, other: float, other_why: str) -> tuple[float, str]:
    return (sure, why) if sure <= other else (other, other_why)


class _Returning:
    """Which nets bring air or water back: by their names, else because all that they take from has used it already."""

    def __init__(self, piping: Piping) -> None:
        self._piping = piping
        self._known: dict[int, bool] = {}

    def is_return(self, net: Net) -> bool:
        """Asked along the flow; a loop that never says so is no return."""
        if id(net) not in self._known:
            self._known[id(net)] = net.stream.role == "return"
            if not net.stream.role:
                gives = [r for r in net.ends if r in self._piping.flows and self._piping.flows[r].out]
                self._known[id(net)] = bool(gives) and all(self._used(r, net) for r in gives)
        return self._known[id(net)]

    def _used(self, ref: Ref, net: Net) -> bool:
        kind = self._piping.role(ref, net.stream.medium)
        if kind != "inline":
            return kind == "sink"
        holder = self._piping.ports[ref].holder
        before = [r for r in self._piping.held[holder] if r in self._piping.flows and not self._piping.flows[r].out]
        nets = [self._piping.net_of[r] for r in before if self._piping.net_of[r].stream.medium == net.stream.medium]
        return bool(nets) and all(self.is_return(n) for n in nets)


def _by_membership(
    inventory: Inventory, systems: Sequence[Group], equipment: Mapping[Ref, str], fed: set[tuple[Ref, str]]
) -> Iterator[Feed]:
    """A system or circuit with one source feeds its members that no port does; boxes first, what hangs behind them stays open."""
    members = {system.ref: set(system.members) for system in systems}
    for system in systems:
        stream = stream_of(system.predefined, system.name)
        circuit = system.ifc_class in ("IfcDistributionCircuit", "IfcElectricalCircuit")
        medium = stream.medium or ("electrical" if circuit else "")
        if not medium or stream.role in ("return", "intake"):
            continue
        roles: dict[str, list[Ref]] = defaultdict(list)
        for ref in system.members:
            if ref in equipment:
                roles[_role(inventory, equipment, ref, medium)].append(ref)
        sources = roles["source"] or [
            ref
            for ref in members.get(system.parent or (-1, -1), ())
            if ref in equipment and _role(inventory, equipment, ref, medium) == "source"
        ]
        if len(sources) != 1:
            continue
        boxes = [ref for ref in roles["inline"] if flow_role(equipment[ref], (), "water") == "sink"] if medium == "air" else []
        sure, why = (_BY_CIRCUIT, "same circuit") if circuit else (_BY_SYSTEM, "same system")
        for target in boxes or roles["sink"]:
            if (target, medium) not in fed and target != sources[0]:
                yield Feed(sources[0], target, medium, 0, why, sure)


def _role(inventory: Inventory, equipment: Mapping[Ref, str], ref: Ref, medium: str) -> str:
    element = inventory.elements[ref]
    return flow_role(equipment[ref], (element.ifc_class, element.type_class), medium)


def _parts(piping: Piping) -> int:
    """Groups of elements that hang together."""
    around: dict[Ref, set[Ref]] = defaultdict(set)
    for ref, others in piping.across.items():
        around[piping.ports[ref].holder] |= {piping.ports[other].holder for other, _ in others}
    count, seen = 0, set[Ref]()
    for start in around:
        if start in seen:
            continue
        count += 1
        queue = [start]
        while queue:
            current = queue.pop()
            if current not in seen:
                seen.add(current)
                queue += around[current]
    return count


def _open_ends(piping: Piping) -> tuple[Ref, ...]:
    """Unconnected ports of pipes, ducts and cables that hang on something by another port."""
    return tuple(
        sorted(
            ref
            for ref, port in piping.ports.items()
            if ref not in piping.across and port.holder not in piping.equipment and port.holder in piping.held
        )
    )
