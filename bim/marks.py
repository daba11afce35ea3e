"""What an element is known by from import to import: its GlobalId, or a mark where that is empty or stands on several elements."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping

from bim.classifying import ifc_type
from bim.inventory import Element, Inventory, Ref
from twin.words import slug

_GLOBAL_ID = re.compile(r"[0-3][0-9A-Za-z_$]{21}")  # 128 bits in IFC's base 64
_HASH_CHARS = 8


def marks_of(inventory: Inventory) -> dict[Ref, str]:
    """Element -> its GlobalId, else a mark of name, type, storey and rounded place: never of the order in the file."""
    counted = Counter(element.global_id for element in inventory.elements.values())
    return {ref: e.global_id if e.global_id and counted[e.global_id] == 1 else _mark(e, inventory) for ref, e in inventory.elements.items()}


def is_mark(text: str) -> bool:
    """Whether the text was made by us and is no GlobalId."""
    return "~" in text


def identity(element: Element, inventory: Inventory) -> str:
    """What tells namesakes apart: type, storey and place to the decimetre; not the order in the file and not the GlobalId."""
    storey = inventory.storey_of.get(element.container) if element.container is not None else None
    name = inventory.places[storey].name if storey is not None else ""
    spot = ",".join(f"{round(v, 1):.1f}" for v in element.position) if element.position else ""
    return f"{ifc_type(element)}|{element.name}|{name}|{spot}"


def broken_global_ids(elements: Mapping[Ref, Element]) -> list[str]:
    """GlobalIds that are none: wrong length or characters."""
    return sorted({e.global_id for e in elements.values() if e.global_id and not _GLOBAL_ID.fullmatch(e.global_id)})


def _mark(element: Element, inventory: Inventory) -> str:
    digest = hashlib.sha256(identity(element, inventory).encode()).hexdigest()[:_HASH_CHARS]
    return f"{slug(element.name)}~{digest}"
