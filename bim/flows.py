"""Which way each port flows: as the model states it, else as the parts around it and the kind of equipment allow, with evidence.

A net is all pipes, ducts or cables that hang together between pieces of equipment. Inside it what flows in must flow out;
that, the words of systems and the nature of equipment (a boiler gives, a radiator takes) tell directions that a model leaves open.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bim.flow_tables import Stream, flow_role, port_word, stream_of, stream_of_segment
from bim.inventory import Element, Group
from bim.placements import Ref
from bim.ports import Port, PortLink

LINK_CONFIDENCE = {"ports": 1.0, "elements": 0.8, "touching ports": 0.6}
_STATED = {"SOURCE": True, "SINK": False}
_CONSERVATION, _WORD, _KIND, _REST, _GUESS = 0.9, 0.8, 0.75, 0.65, 0.5
_ROUNDS = 200  # a bound for damaged models; each round settles at least one port


@dataclass(frozen=True, slots=True)
class Flow:
    """A port's direction: out of its element or into it."""

    out: bool
    confidence: float
    evidence: str


@dataclass
class Net:
    """Pipes, ducts or cables that hang together, and the ports of the equipment around them."""

    stream: Stream
    passive: set[Ref] = field(default_factory=set)
    ends: list[Ref] = field(default_factory=list)  # ports of equipment


@dataclass
class Piping:
    """All that is connected, in a form to walk: built once, then `flows` is filled."""

    ports: Mapping[Ref, Port]
    equipment: Mapping[Ref, str]
    kinds: Mapping[Ref, tuple[str, ...]]  # element -> its IFC classes
    links: Sequence[PortLink]
    across: dict[Ref, list[tuple[Ref, float]]]  # port -> ports on the other side
    held: dict[Ref, list[Ref]]  # element -> its connected ports
    nets: list[Net]
    net_of: dict[Ref, Net]  # port -> its net
    contradicted: set[Ref]
    flows: dict[Ref, Flow] = field(default_factory=dict)

    def role(self, port: Ref, medium: str) -> str:
        """What the port's equipment does with that medium: source, sink, inline or unknown."""
        holder = self.ports[port].holder
        return flow_role(self.equipment[holder], self.kinds.get(holder, ()), medium)


def lay_out(
    ports: Mapping[Ref, Port],
    links: Sequence[PortLink],
    equipment: Mapping[Ref, str],
    elements: Mapping[Ref, Element],
    systems: Iterable[Group],
) -> Piping:
    """Nets and neighbours; a link between two pipes of opposite streams (a bypass from supply to return) parts their nets."""
    kinds = {p.holder: _classes(elements.get(p.holder)) for p in ports.values()}
    streams = _streams(systems)
    across: dict[Ref, list[tuple[Ref, float]]] = defaultdict(list)
    held: dict[Ref, list[Ref]] = defaultdict(list)
    joined = _Joined()
    for link in links:
        a, b = ports[link.a], ports[link.b]
        if a.holder == b.holder:
            continue
        ends = [port.ref if port.holder in equipment else port.holder for port in (a, b)]
        own = [_own_stream(port, equipment, kinds, streams) for port in (a, b)]
        if _against(*own):
            continue
        across[a.ref].append((b.ref, LINK_CONFIDENCE[link.evidence]))
        across[b.ref].append((a.ref, LINK_CONFIDENCE[link.evidence]))
        joined.join(*ends)
    for ref in sorted(across):
        held[ports[ref].holder].append(ref)
    nets: dict[Ref, Net] = {}
    net_of: dict[Ref, Net] = {}
    words: dict[Ref, Counter[Stream]] = defaultdict(Counter)
    for ref in sorted(across):
        holder = ports[ref].holder
        root = joined.root(ref if holder in equipment else holder)
        net = net_of[ref] = nets.setdefault(root, Net(Stream()))
        words[root][_own_stream(ports[ref], equipment, kinds, streams)] += 1
        if holder in equipment:
            net.ends.append(ref)
        else:
            net.passive.add(holder)
    for root, net in nets.items():
        net.stream = _agreed(words[root])
    contradicted = {ref for ref, others in across.items() for other, _ in others if _contradict(ports[ref], ports[other])}
    return Piping(ports, equipment, kinds, links, dict(across), dict(held), list(nets.values()), net_of, contradicted)


def settle(piping: Piping) -> None:
    """Fill `piping.flows`: what is stated first, then rung by rung, each time as far as it carries before the next is asked."""
    _Settling(piping).run()


class _Settling:
    """The filling of the flows of one piping."""

    def __init__(self, piping: Piping) -> None:
        self.piping, self.flows = piping, piping.flows
        self.fresh: list[Ref] = []

    def run(self) -> None:
        p = self.piping
        for ref in sorted(p.across):
            direction = _STATED.get(p.ports[ref].direction)
            if direction is not None and ref not in p.contradicted:
                self._set(ref, Flow(direction, 1.0, "ports"))
        self._spread()
        for _ in range(_ROUNDS):
            if not any(self._asked(rung) for rung in (self._by_word, self._by_kind, self._by_rest, self._by_guess)):
                return

    def _asked(self, rung: Callable[[Net], None]) -> bool:
        before = len(self.flows)
        for net in self.piping.nets:
            rung(net)
        self._spread()
        return len(self.flows) > before

    def _set(self, ref: Ref, flow: Flow) -> None:
        if ref not in self.flows:
            self.flows[ref] = flow
            self.fresh.append(ref)

    def _spread(self) -> None:
        """To the other side of each connection, and through pipes and in-line equipment: what flows in flows out."""
        p = self.piping
        while self.fresh:
            ref = self.fresh.pop()
            flow, holder = self.flows[ref], p.ports[ref].holder
            for other, sure in p.across[ref]:
                if other not in p.contradicted:
                    evidence = flow.evidence if sure == 1.0 else "touching ports" if sure < 0.7 else "connected elements"
                    self._set(other, Flow(not flow.out, min(flow.confidence, sure), evidence))
            if holder not in p.equipment:
                self._through(p.held[holder])
            elif p.role(ref, p.net_of[ref].stream.medium) == "inline":
                medium = p.net_of[ref].stream.medium
                self._through([r for r in p.held[holder] if p.net_of[r].stream.medium == medium], exactly=2)

    def _through(self, ports: Sequence[Ref], exactly: int = 0) -> None:
        open_ports = [r for r in ports if r not in self.flows]
        known = [self.flows[r] for r in ports if r in self.flows]
        if len(open_ports) != 1 or not known or (exactly and len(ports) != exactly) or len({f.out for f in known}) != 1:
            return
        self._set(open_ports[0], Flow(not known[0].out, min(_CONSERVATION, *(f.confidence for f in known)), "what flows in flows out"))

    def _by_word(self, net: Net) -> None:
        """A port called inlet or outlet."""
        for ref in net.ends:
            word = port_word(self.piping.ports[ref].name)
            if word and ref not in self.flows:
                self._set(ref, Flow(word == "out", _WORD, "name of the port"))

    def _by_kind(self, net: Net) -> None:
        """Where a net brings or takes is known, a source gives or gets and a sink the other way."""
        role = self.role_of(net)
        if not role:
            return
        for ref in net.ends:
            kind = self.piping.role(ref, net.stream.medium)
            if ref not in self.flows and kind in ("source", "sink"):
                self._set(ref, Flow((kind == "source") == (role == "supply"), _KIND, f"kind of equipment in {role} flow"))

    def role_of(self, net: Net) -> str:
        """As its systems and ports are called, else as its known ends flow: a source that gives makes it supply."""
        if net.stream.role:
            return net.stream.role
        ways = set()
        for ref in net.ends:
            kind = self.piping.role(ref, net.stream.medium)
            if ref in self.flows and kind in ("source", "sink"):
                ways.add("supply" if self.flows[ref].out == (kind == "source") else "return")
        return ways.pop() if len(ways) == 1 else ""

    def _by_rest(self, net: Net) -> None:
        """All known ends flow one way: then the open ones flow the other, if they are one or of one kind."""
        open_ends = [r for r in net.ends if r not in self.flows]
        known = [self.flows[r] for r in net.ends if r in self.flows]
        kinds = {self.piping.role(r, net.stream.medium) for r in open_ends}
        if not open_ends or not known or len({f.out for f in known}) != 1:
            return
        if len(open_ends) == 1 or (len(kinds) == 1 and kinds <= {"source", "sink", "inline"}):
            confidence = min(_REST, *(f.confidence for f in known))
            for ref in open_ends:
                self._set(ref, Flow(not known[0].out, confidence, "the other ends of the net"))

    def _by_guess(self, net: Net) -> None:
        """Air between one air handler and terminals, and nothing more is known: supply, for a person to confirm."""
        medium = net.stream.medium
        kinds = {r: self.piping.role(r, medium) for r in net.ends}
        sources = [r for r, kind in kinds.items() if kind == "source"]
        if medium != "air" or net.stream.role or len(sources) != 1 or len(kinds) < 2 or any(r in self.flows for r in net.ends):
            return
        holder = self.piping.ports[sources[0]].holder
        others = [r for r in self.piping.held[holder] if self.piping.net_of[r].stream.medium == "air"]
        if others == sources and all(kind in ("sink", "inline") for r, kind in kinds.items() if r not in sources):
            for ref, kind in kinds.items():
                self._set(ref, Flow(kind == "source", _GUESS, "an air handler and its terminals"))


class _Joined:
    """Sets that grow together (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Ref, Ref] = {}

    def root(self, ref: Ref) -> Ref:
        path = []
        while (above := self._above.get(ref, ref)) != ref:
            path.append(ref)
            ref = above
        for step in path:
            self._above[step] = ref
        return ref

    def join(self, a: Ref, b: Ref) -> None:
        one, two = sorted((self.root(a), self.root(b)))
        self._above[two] = one


def _classes(element: Element | None) -> tuple[str, ...]:
    return (element.ifc_class, element.type_class) if element is not None else ()


def _streams(systems: Iterable[Group]) -> dict[Ref, set[Stream]]:
    found: dict[Ref, set[Stream]] = defaultdict(set)
    for system in systems:
        stream = stream_of(system.predefined, system.name)
        for member in system.members:
            found[member].add(stream)
    return found


def _own_stream(
    port: Port, equipment: Mapping[Ref, str], kinds: Mapping[Ref, tuple[str, ...]], streams: Mapping[Ref, set[Stream]]
) -> Stream:
    """What a port's own words say; a pipe's systems and class speak for its ports, equipment is in many systems and does not."""
    own = stream_of(port.medium, port.name)
    if port.holder in equipment:
        return own
    systems = streams.get(port.holder, set())
    media, roles = {s.medium for s in systems if s.medium}, {s.role for s in systems if s.role}
    stated = Stream(media.pop() if len(media) == 1 else "", roles.pop() if len(roles) == 1 else "")
    return stated.filled(own).filled(stream_of_segment(kinds.get(port.holder, ())))


def _against(a: Stream, b: Stream) -> bool:
    return bool((a.medium and b.medium and a.medium != b.medium) or (a.role and b.role and a.role != b.role))


def _agreed(words: Counter[Stream]) -> Stream:
    """What most ports of a net say; a word against it by anybody leaves the role open."""
    media = Counter[str]()
    roles = set()
    for stream, count in words.items():
        media[stream.medium] += count if stream.medium else 0
        roles |= {stream.role} if stream.role else set()
    best = max(sorted(media), key=lambda m: media[m], default="")
    return Stream(best if media[best] else "", roles.pop() if len(roles) == 1 else "")


def _contradict(a: Port, b: Port) -> bool:
    return a.direction in _STATED and a.direction == b.direction
