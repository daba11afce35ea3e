"""A later file may say more of an earlier one's element, under its GlobalId and name: addresses, sensors, ports. The two become one."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bim.inventory import Element, Inventory
from bim.placements import Ref


def complete(inventory: Inventory) -> None:
    """Let such elements stand once, in place; one that only stands twice (linked models do that) says nothing more and stays."""
    counted = Counter((e.ref[0], e.global_id) for e in inventory.elements.values())
    first: dict[str, Element] = {}
    one: dict[Ref, Ref] = {}
    says_more = _saying_more(inventory)
    for ref in sorted(inventory.elements):
        element = inventory.elements[ref]
        known = first.setdefault(element.global_id, element)
        twice = element.global_id and known.ref[0] != ref[0] and known.name == element.name
        if twice and ref in says_more and counted[known.ref[0], known.global_id] == counted[ref[0], element.global_id] == 1:
            one[ref] = known.ref
    for ref, stands in one.items():
        _merge(inventory, ref, stands)
    if one:
        _lead(inventory, one)


def _saying_more(inventory: Inventory) -> set[Ref]:
    addressed = {e.ref for e in inventory.elements.values() if e.addresses}
    return addressed | set(inventory.owner_of.values()) | {port.holder for port in inventory.ports.values()}


def _merge(inventory: Inventory, ref: Ref, stands: Ref) -> None:
    more, known = inventory.elements.pop(ref), inventory.elements[stands]
    new = tuple(address for address in more.addresses if address not in known.addresses)
    inventory.elements[stands] = replace(known, addresses=known.addresses + new)


def _lead(inventory: Inventory, one: dict[Ref, Ref]) -> None:
    """Everything that spoke of the second now speaks of the first."""

    def led(refs: Iterable[Ref]) -> list[Ref]:
        return list(dict.fromkeys(one.get(ref, ref) for ref in refs))

    inventory.owner_of = {part: one.get(owner, owner) for part, owner in inventory.owner_of.items()}
    inventory.groups = [replace(group, members=tuple(led(group.members))) for group in inventory.groups]
    inventory.ports = {ref: replace(port, holder=one.get(port.holder, port.holder)) for ref, port in inventory.ports.items()}
    for ref, stands in one.items():
        inventory.serves[stands] = led([*inventory.serves.get(stands, []), *inventory.serves.pop(ref, [])])
    inventory.elements |= {r: replace(e, host=one[e.host]) for r, e in inventory.elements.items() if e.host is not None and e.host in one}
