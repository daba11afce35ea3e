"""Ports that touch though no relation connects them: a low but useful evidence of a connection."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bim.placements import Ref, Xyz
from bim.ports import Port, PortLink

TOUCH_M = 0.01
_SAME_WAY = 0.9  # two ports that face the same way this much do not face each other


def touching_ports(ports: Mapping[Ref, Port], links: Sequence[PortLink]) -> list[PortLink]:
    """Unconnected ports less than a centimetre apart, of two elements, facing each other; three at one spot tell nothing."""
    taken = {ref for link in links for ref in (link.a, link.b)}
    cells: dict[tuple[int, int, int], list[tuple[Port, Xyz]]] = defaultdict(list)
    for port in ports.values():
        if port.ref not in taken and port.position is not None:
            cells[_cell(port.position)].append((port, port.position))
    near: dict[Ref, set[Ref]] = defaultdict(set)
    for cell, inside in sorted(cells.items()):
        for port, spot in inside:
            for other, other_spot in _around(cell, cells):
                if port.ref < other.ref and port.holder != other.holder and math.dist(spot, other_spot) <= TOUCH_M:
                    near[port.ref].add(other.ref)
                    near[other.ref].add(port.ref)
    pairs = ((a, next(iter(others))) for a, others in near.items() if len(others) == 1)
    return sorted(
        (PortLink(a, b, "touching ports") for a, b in pairs if a < b and len(near[b]) == 1 and _may_meet(ports[a], ports[b])),
        key=lambda link: (link.a, link.b),
    )


def _may_meet(a: Port, b: Port) -> bool:
    if a.direction == b.direction and a.direction in ("SOURCE", "SINK"):
        return False
    if a.medium and b.medium and "NOTDEFINED" not in (a.medium, b.medium) and a.medium != b.medium:
        return False
    return a.facing is None or b.facing is None or sum(x * y for x, y in zip(a.facing, b.facing, strict=True)) < _SAME_WAY


def _cell(spot: Xyz) -> tuple[int, int, int]:
    x, y, z = (math.floor(v / TOUCH_M) for v in spot)
    return x, y, z


def _around(cell: tuple[int, int, int], cells: Mapping[tuple[int, int, int], list[tuple[Port, Xyz]]]) -> Iterator[tuple[Port, Xyz]]:
    x, y, z = cell
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            for dz in (-1, 0, 1):
                yield from cells.get((x + dx, y + dy, z + dz), ())
