"""What waits for a person: every uncertain item with proposal, evidence and alternatives, also as tables ready for review.toml."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bim.binding import Addressed, takes_commands
from bim.classifying import REVIEW_BELOW, Coverage, ifc_type
from bim.flow_report import flow_doubts
from bim.inventory import Element
from bim.placing import LOW_CONFIDENCE, Placement
from bim.reading import ReadModels, node_of
from bim.review import Decisions
from twin.addresses import BacnetAddress, parse_address
from twin.binding import Match, NewPoint

FIRST_REVIEW = """\
# Decisions of people. Every import applies them again and never changes this file.
# review.proposals.toml beside it holds what waits for a decision, ready to be copied here, or decide with
#   wattproof review SITE --accept ID --by NAME --why TEXT          (--alike: and on everything like it)
# A table is headed by an element's GlobalId or by the address of a scanned object; by and why are always there.
"""
_PLACES = {
    "tie": "stands between rooms; {room} is one of them",
    "nearest": "stands in no room; {room} is the nearest",
    "facing": "hangs on a wall and faces {room}",
    "footprint": "its outline lies in {room}, but the file's coordinates may not be the building's",
    "point": "its insertion point lies in {room}, but the file's coordinates may not be the building's",
}
_HEAD = """\
# What waits for a decision; made anew by every import. Copy a table into review.toml without the leading "# ",
# put in who decided (by) and on what grounds (why), change what is wrong, and import again.
"""


def review(addressed: Addressed, decisions: Decisions) -> list[dict[str, Any]]:
    """Every uncertain item; `decision` is what accepting it would write under `header` in review.toml."""
    return [*_elements(addressed, decisions), *_bindings(addressed), *_new_points(addressed)]


def proposals_text(items: Sequence[Mapping[str, Any]]) -> str:
    """The items as commented-out tables of review.toml."""
    return "\n".join([_HEAD, *(_proposal(item) for item in items)])


def kinds_of(items: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Items that are of one kind, with one proposal on the same grounds, in the order of their first ones."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        kinds.setdefault(item["alike"], []).append(item)
    return list(kinds.values())


def elements_decided(reading: ReadModels, decisions: Decisions) -> dict[str, str]:
    """The headers of review.toml that speak of an element of the models, and what people call it by: its id in the twin, else its name."""
    known = {ref: mark for ref, mark in sorted(reading.marks.items()) if mark in decisions.elements}
    return {mark: reading.keys.get(ref) or reading.inventory.elements[ref].name for ref, mark in known.items()}


def table(header: str, values: Mapping[str, Any]) -> str:
    """One table of review.toml."""
    return "\n".join([f"[{_quoted(header)}]", *(f"{key} = {_value(value)}" for key, value in values.items())]) + "\n"


def _elements(addressed: Addressed, decisions: Decisions) -> Iterator[dict[str, Any]]:
    reading = addressed.reading
    doubts = flow_doubts(reading.traced, reading.serving, reading.keys)
    unbound = {p.element for p in reading.points if not (p.address and p.address.text)}
    for ref, element in reading.inventory.elements.items():
        verdict = reading.classes[ref]
        if verdict.coverage is Coverage.PASSIVE:
            continue
        placement = reading.placements[ref]
        unsure_class, unsure_room = verdict.confidence < REVIEW_BELOW, placement.room is not None and placement.confidence < LOW_CONFIDENCE
        why = [verdict.evidence] if unsure_class else []
        why += [f"address: {a.problem}" for a in element.addresses if a.problem and ref in unbound]
        why += doubts.get(ref, [])
        if element.stated_class and verdict.match not in ("stated", "reviewed"):
            why.append(f"stated class {element.stated_class!r} is not in Brick 1.5 or is deprecated")
        if not (why or unsure_room):
            continue
        room = reading.key_or_none(placement.room)
        alike = " · ".join((ifc_type(element), _kind_of(element), verdict.brick, *why, *([placement.evidence] if unsure_room else [])))
        confidence = min(verdict.confidence, placement.confidence) if unsure_room else verdict.confidence
        decision = {"brick": verdict.brick.removeprefix("brick:")} if unsure_class and verdict.coverage is Coverage.MAPPED else {}
        decision |= {"room": room} if unsure_room and room else {}
        earlier = decisions.get(reading.marks[ref])
        kept = {key: value for key in ("brick", "room", "serves", "address") if earlier and (value := getattr(earlier, key))}
        yield {
            "id": reading.keys[ref], "kind": "element", "header": reading.marks[ref], "global_id": element.global_id, "name": element.name,
            "ifc_type": ifc_type(element), "proposal": verdict.brick, "room": room, "confidence": confidence,
            "why": [*why, *([_where(reading, placement)] if unsure_room else [])], "alternatives": [],
            "decision": {**kept, **decision} if decision else {}, "alike": alike,
        }  # fmt: skip


def _where(reading: ReadModels, placement: Placement) -> str:
    """What is unsure about an element's room, as a sentence."""
    assert placement.room is not None
    room = reading.rooms[placement.room]
    return _PLACES.get(placement.evidence, "in {room} by its {evidence}, not surely").format(
        room=room.name or room.long_name or reading.keys[placement.room], evidence=placement.evidence
    )


def _kind_of(element: Element) -> str:
    """What equal elements share: their type, else their name without its number."""
    return element.type_name or element.object_type or re.sub(r"[\W\d_]+$", "", element.name)


def _bindings(addressed: Addressed) -> Iterator[dict[str, Any]]:
    points = {addressed.reading.keys[node_of(p)]: p for p in addressed.reading.points}
    for match in addressed.matched.review:
        yield _binding(match, takes_commands(points[match.point].brick), points[match.point].brick)


def _binding(match: Match, commands: bool, brick: str) -> dict[str, Any]:
    place = parse_address(match.address)
    writable = commands and isinstance(place, BacnetAddress) and place.commandable
    return {
        "id": match.address, "kind": "binding", "header": match.address, "global_id": "", "name": match.name, "ifc_type": "",
        "proposal": match.point, "class": brick, "room": None, "confidence": match.score, "why": [match.why, match.evidence],
        "alternatives": [list(a) for a in match.alternatives],
        "decision": {"point": match.point} | ({"writable": True} if writable else {}), "alike": match.address,
    }  # fmt: skip


def _new_points(addressed: Addressed) -> Iterator[dict[str, Any]]:
    yield from (_new(found) for found in addressed.matched.new_points)


def _new(found: NewPoint) -> dict[str, Any]:
    return {
        "id": found.address, "kind": "new point", "header": found.address, "global_id": "", "name": found.name, "ifc_type": "",
        "proposal": f"{found.brick} of {found.owner}", "room": None, "confidence": found.score,
        "why": ["the device has it, the twin does not", found.evidence], "alternatives": [],
        "decision": {"owner": found.owner, "brick": found.brick, "name": found.name}, "alike": found.address,
    }  # fmt: skip


def _proposal(item: Mapping[str, Any]) -> str:
    words: Iterable[str] = [
        f"# {item['kind']} {item['id']}: {item['proposal']}, confidence {item['confidence']:.2f}; {'; '.join(item['why'])}"
    ]
    others = ", ".join(f"{name} ({score:.2f})" for name, score in item["alternatives"])
    values = item["decision"] or {"brick": ""}  # nothing is proposed: the class, or passive = true instead, is for a person to say
    lines = [*words, *([f"# or: {others}"] if others else []), *table(item["header"], {**values, "by": "", "why": ""}).splitlines()]
    return "\n".join(_comment(line) for line in lines) + "\n"


def _comment(line: str) -> str:
    plain = " ".join(line.split())  # a name with a line break must not end the comment
    return plain if plain.startswith("# ") else f"# {plain}"


def _value(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else _quoted(str(value))


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are the same save for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
