"""What the report says of flows: every feed with its evidence, and the gaps that a person must close."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bim.inventory import Inventory
from bim.keys import NodeRef
from bim.placements import Ref
from bim.serving import Serving, doubtful
from bim.tracing import SURE, Trace

_SHOWN = 200  # open ends listed; all are counted


def flows(traced: Trace, serving: Sequence[Serving], inventory: Inventory, keys: Mapping[NodeRef, str]) -> dict[str, Any]:
    """`feeds` and `serves`: [source, target, evidence, confidence]; `gaps`: what is not connected, and where."""
    feeds = [[keys[f.source], keys[f.target], f.evidence, f.confidence] for f in traced.feeds]
    serves = [[keys[s.terminal], keys[s.target], s.evidence, s.confidence] for s in serving]
    ends = [
        {
            "global_id": inventory.elements[port.holder].global_id if port.holder in inventory.elements else "",
            "port": port.name,
            "at": [round(v, 3) for v in port.position] if port.position else None,
        }
        for port in (inventory.ports[ref] for ref in traced.open_ends[:_SHOWN])
    ]
    gaps = {
        "separate_parts": traced.parts,
        "without_direction": traced.undirected,
        "contradicting": traced.contradicted,
        "open_ends": len(traced.open_ends),
        "ends": ends,
    }
    return {"feeds": sorted(feeds), "serves": sorted(serves), "returns": len(traced.returns), "gaps": gaps}


def flow_doubts(traced: Trace, serving: Sequence[Serving], keys: Mapping[NodeRef, str]) -> dict[Ref, list[str]]:
    """Element -> why a person should look at what feeds it or what it serves."""
    found: dict[Ref, list[str]] = defaultdict(list)
    for feed in traced.feeds:
        if feed.confidence < SURE:
            found[feed.target].append(f"fed by {keys[feed.source]}: {feed.evidence} ({feed.confidence:g})")
    for one in doubtful(serving):
        found[one.terminal].append(f"serves {keys[one.target]}: {one.evidence} ({one.confidence:g})")
    return dict(found)
