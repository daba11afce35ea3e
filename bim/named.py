"""What an element's names say of it: its class, that it is nothing for a twin, its medium and direction. Equal names are judged once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from bim import tables
from bim.inventory import Element
from bim.naming import Found, Words, head, segments
from bim.plant_keys import words_of_key
from twin.graph import brick

_KEPT = 50_000  # judged names; a model of a hundred thousand elements repeats a few thousand
_TAG_LETTERS = 4  # AHU, VAV, FCU, CRAC
_SHORT_WORDS = frozenset({"coil", "fan", "hood", "horn", "hupe", "lamp", "lift", "pump", "slot", "tank"})  # as short, but no tags


@dataclass(frozen=True, slots=True)
class NameVerdict:
    """The class that the names mean, by which words, and whether these mean one kind of thing only."""

    brick: str
    words: str
    strong: bool
    tag: bool = False  # an abbreviation such as AHU: as often the owner's name as the thing's own


def spoken(element: Element) -> tuple[str, ...]:
    """All that an element is called, the most telling first: name (family before type), object type, type's name, titles of codes."""
    return _spoken((element.name, element.object_type, element.type_name, *element.titles))


@lru_cache(_KEPT)
def _spoken(texts: tuple[str, ...]) -> tuple[str, ...]:
    said = ((words_of_key(text), text) for text in texts if text)
    return tuple(dict.fromkeys(part for key, text in said for part in (*segments(key), *segments(text))))


@lru_cache(_KEPT)
def named(parts: Sequence[str]) -> NameVerdict | None:
    """The first part that names equipment decides, and after a tree or a desk only a strong word; "pump support" names none."""
    only_strong = False
    for part in parts:
        found = _head_of(part)
        rule = found[0] if found is not None else None
        if isinstance(rule, tables.PassiveName):
            return None
        if found is not None and rule is not None and (rule.strong or not only_strong):
            return _verdict(rule, found[1].text)
        only_strong = only_strong or head(part, tables.passive_names()) is not None
    return None


@lru_cache(_KEPT)
def part_by_name(parts: Sequence[str]) -> tuple[str, str] | None:
    """Why the first part that says anything names a support, a door or a duct of something, and the word."""
    for part in parts:
        found = _head_of(part)
        if found is not None:
            return (found[0].why, found[1].text) if isinstance(found[0], tables.PassiveName) else None
    return None


@lru_cache(_KEPT)
def mentioned(parts: Sequence[str]) -> tuple[NameVerdict, ...]:
    """Everything that the names mention, whether it is the thing itself, its owner or its place."""
    hits = ((rule, words.found(part)) for part in parts for rule, words in tables.name_rules())
    return tuple(_verdict(rule, hit.text) for rule, hit in hits if hit is not None)


@lru_cache(_KEPT)
def protected_by_name(parts: Sequence[str]) -> str:
    """Why a thing of this name is life safety, or empty."""
    rules = ((rule.reason, rule.words) for rule in tables.protected_rules() if rule.words is not None)
    return next((reason for reason, words in rules if any(words.found(part) for part in parts)), "")


@lru_cache(_KEPT)
def _head_of(part: str) -> tuple[tables.NameRule | tables.PassiveName, Found] | None:
    candidates: tuple[tuple[tables.NameRule | tables.PassiveName, Words], ...] = (*tables.name_rules(), *_parts_of_things())
    found = head(part, candidates)
    if found is None or not isinstance(found[0], tables.NameRule) or not found[0].strong or not _is_abbreviation(found[1].text):
        return found
    return _spelt_out(part, found[0], found[1]) or found


def _spelt_out(part: str, rule: tables.NameRule, tag: Found) -> tuple[tables.NameRule, Found] | None:
    """What the words beside a tag name, unless the tag says the same more exactly: "damper actuator AHU-2", but "pump CHWP-2"."""
    found = head(f"{part[: tag.start]} {part[tag.end :]}", tables.name_rules())
    return None if found is None or _is_abbreviation(found[1].text) or brick().is_a(rule.brick, found[0].brick) else found


def _is_tag(text: str) -> bool:
    return len(text) <= _TAG_LETTERS and text.isascii()


def _is_abbreviation(text: str) -> bool:
    return _is_tag(text) and text not in _SHORT_WORDS


def _verdict(rule: tables.NameRule, text: str) -> NameVerdict:
    return NameVerdict(rule.brick, text, rule.strong, _is_tag(text))


@cache
def _parts_of_things() -> tuple[tuple[tables.PassiveName, Words], ...]:
    return tuple((rule, words) for rule, words in tables.passive_names() if rule.part)


@lru_cache(_KEPT)
def passive_by_name(parts: Sequence[str]) -> tuple[str, str] | None:
    """Why a thing of this name is nothing for a twin, and the word that says so."""
    for part in parts:
        found = head(part, tables.passive_names())
        if found is not None:
            return found[0].why, found[1].text
    return None


def qualified(parts: Sequence[str], systems: Sequence[tuple[str, str]], flows: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(supply, hot_water, ...) and where it is said: the element's own name first, then its systems, then its ports."""
    said = dict(_qualified_by_ports(flows))
    for name, predefined in systems:
        said |= dict.fromkeys(_keys_of_system(name, predefined), f"its system {name or predefined!r}")
    said |= {key: "its name" for part in parts for key in _keys_of(part)}
    for key, _, _ in tables.qualifiers():
        if key in said:
            yield key, said[key]


def _qualified_by_ports(flows: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A terminal into which all air flows gives it to the room; one that only gives back takes it from there."""
    if flows and all(flow == "SINK" for flow in flows):
        yield "supply", "its port"
    elif flows and all(flow == "SOURCE" for flow in flows):
        yield "return", "its port"


@lru_cache(_KEPT)
def _keys_of_system(name: str, predefined: str) -> tuple[str, ...]:
    by_value = [key for key, systems, _ in tables.qualifiers() if predefined in systems]
    return tuple(dict.fromkeys([*by_value, *(key for part in segments(name) for key in _keys_of(part))]))


@lru_cache(_KEPT)
def _keys_of(part: str) -> tuple[str, ...]:
    return tuple(key for key, _, words in tables.qualifiers() if words.found(part) is not None)
