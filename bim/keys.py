"""Keys of the twin's nodes: from names, unique, and the same at every import whatever the order in the file."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin.words import slug

NodeRef = tuple[int, ...]
"""File and entity number; a further number for a second point on one piece of equipment."""
KINDS = ("point", "equipment", "zone", "room", "level", "building", "site", "system")
"""Who gets a bare name first; a later kind with the same name has its kind appended."""
_HASH_CHARS = 8  # one in four thousand million per pair: enough to tell namesakes apart


@dataclass(frozen=True, slots=True)
class Named:
    """What needs a key. `identity` tells namesakes apart: class, storey and rounded place, never the order in the file."""

    ref: NodeRef
    kind: str
    name: str
    identity: str
    global_id: str = ""


def mint_keys(things: Sequence[Named], earlier: Mapping[str, str]) -> dict[NodeRef, str]:
    """A key for each thing. `earlier` holds the keys of the last import by GlobalId: what was renamed keeps its key."""
    double = {g for g, n in Counter(t.global_id for t in things).items() if n > 1 or not g}
    keys: dict[NodeRef, str] = {}
    used: set[str] = set()
    for thing in things:
        kept = earlier.get(thing.global_id) if thing.global_id not in double else None
        if kept and kept not in used:
            keys[thing.ref] = kept
            used.add(kept)
    for kind in KINDS:
        _mint([t for t in things if t.kind == kind and t.ref not in keys], kind, keys, used)
    return keys


def name_key(name: str, kind: str) -> str:
    """A key from one name; what ASCII cannot say is kept apart by a hash of the name."""
    normal = unicodedata.normalize("NFC", name)
    base = slug(normal)
    if normal.isascii():
        return base if base != "unnamed" else kind
    return f"{base if base != 'unnamed' else kind}_{_hash(normal)}"


def _mint(things: Sequence[Named], kind: str, keys: dict[NodeRef, str], used: set[str]) -> None:
    groups: dict[str, list[Named]] = {}
    for thing in things:
        groups.setdefault(name_key(thing.name, kind), []).append(thing)
    for base in sorted(groups):
        group = sorted(groups[base], key=lambda t: (t.identity, t.ref))
        for thing in group:
            alone = len(group) == 1 and bool(slug(thing.name) != "unnamed" or not thing.name.isascii())
            wished = base if alone else f"{base}_{_hash(thing.identity)}"
            if alone and wished in used:
                wished = f"{base}_{kind}"
            keys[thing.ref] = _free(wished, used)
            used.add(keys[thing.ref])


def _free(wished: str, used: set[str]) -> str:
    """Things that nothing tells apart are numbered; they stay apart all the same."""
    if wished not in used:
        return wished
    number = 2
    while f"{wished}_{number}" in used:
        number += 1
    return f"{wished}_{number}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
