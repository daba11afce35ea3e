"""Who feeds whom, traced from port to port: downstream only, through ducts and bends, to the next equipment."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from bim.inventory import PortLink, Ref


@dataclass(frozen=True, slots=True)
class Feed:
    """A traced path between two pieces of equipment, and through how many segments and fittings it runs."""

    source: Ref
    target: Ref
    medium: str
    steps: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The feeds found, and the connections whose direction the model does not tell."""

    feeds: tuple[Feed, ...]
    undirected: int


def trace(links: Iterable[PortLink], equipment: Container[Ref]) -> Trace:
    """Follow the flow directions of the ports; a connection without a direction is counted, never guessed."""
    downstream: dict[Ref, list[tuple[Ref, str]]] = {}
    undirected = 0
    for link in links:
        edge = _directed(link)
        if edge is None:
            undirected += 1
        else:
            downstream.setdefault(edge[0], []).append((edge[1], link.medium))
    feeds = [feed for source in sorted(downstream) if source in equipment for feed in _from(source, downstream, equipment)]
    return Trace(tuple(feeds), undirected)


def _directed(link: PortLink) -> tuple[Ref, Ref] | None:
    """(upstream, downstream): one side's SOURCE or SINK is enough when the other says nothing against it."""
    a_gives = link.a_direction == "SOURCE" or (link.b_direction == "SINK" and link.a_direction != "SINK")
    b_gives = link.b_direction == "SOURCE" or (link.a_direction == "SINK" and link.b_direction != "SINK")
    if a_gives == b_gives:
        return None
    return (link.a, link.b) if a_gives else (link.b, link.a)


def _from(source: Ref, downstream: Mapping[Ref, list[tuple[Ref, str]]], equipment: Container[Ref]) -> list[Feed]:
    found: dict[Ref, Feed] = {}
    seen = {source}
    front = [(target, medium, 0) for target, medium in downstream[source]]
    while front:
        ref, medium, steps = front.pop(0)
        if ref in seen:
            continue
        seen.add(ref)
        if ref in equipment:
            found[ref] = Feed(source, ref, medium, steps)
        else:
            front += [(target, further or medium, steps + 1) for target, further in downstream.get(ref, ())]
    return [found[ref] for ref in sorted(found)]
