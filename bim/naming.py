"""What a name says: words of English, German and Chinese trades found in names as design tools write them.

A name is spelt plainly first (lower case, ae for ä, camel case and underscores opened, broken encodings mended), then cut into
segments: "Family:Type:id" of Revit has the family first, and the family counts most. English and Chinese name the thing last in a
phrase ("fire damper actuator" is an actuator), German first ("Fühler Abluftkanal").
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeVar

_CUT = re.compile(r"\s+[-–—|]+\s+|[:;,()\[\]{}|\n\t=]+")
_ID = re.compile(r":?\s*\d{4,}$")  # the element's number, which Revit appends
_ASIDE = re.compile(r"\b(?:with|w|for|mit|für|fuer|inkl|incl|including|zu|near|next to)\b(?!.*\breheat\b).*$")
_CAMEL = re.compile(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])|(?<=[A-ZÄÖÜ])(?=[A-ZÄÖÜ][a-zäöüß])")
_DIGITS = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")
_FORMULA = re.compile(r"(?<![a-z])(co|pm|no|so|nh) ?(2\.5|10|2|3|1)(?![a-z\d])")  # CO2 and PM2.5 are words, not a word and a number
_NUMBER = re.compile(r"(?<![\w.])(?<!rj )(?<!pt )\d+(?:\.\d+)?(?![\w.])(?! way)")  # sizes and counts
_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "è": "e"})
_UNDECODED = re.compile(r"\\+X2\\+((?:[0-9A-Fa-f]{4})+)(?:\\+X0\\*)?")
_HAS_WORD = re.compile(r"[a-z]{2}|[\u3400-\u9fff]")
_BLANK = re.compile(r" (?![?*])")
_CHINESE = re.compile(r"[\u3400-\u9fff]")

Meaning = TypeVar("Meaning")


@dataclass(frozen=True, slots=True)
class Words:
    """One meaning as patterns of three languages, empty where a language has none; `unless` are words beside which it means something else.

    A pattern is compiled when a name first asks for it: most models speak one language.
    """

    en: str
    de: str
    zh: str
    unless: str = ""

    def found(self, segment: str) -> "Found | None":
        """The last English or Chinese, or the first German place where the words stand."""
        hits = [hit for hit in self._hits(segment) if hit is not None]
        if hits and self.unless and _compiled(self.unless).search(segment):
            return None
        return max(hits, key=lambda hit: hit.end - hit.start, default=None)

    def _hits(self, segment: str) -> "Iterator[Found | None]":
        if self.zh and _CHINESE.search(segment):
            yield _widest(_compiled(self.zh).finditer(segment), german=False)
        if self.en:
            yield _widest(_compiled(self.en).finditer(segment), german=False)
        if self.de:
            yield _widest(_compiled(self.de).finditer(segment), german=True)


@dataclass(frozen=True, slots=True)
class Found:
    """Words found in a segment, and where."""

    text: str
    start: int
    end: int
    german: bool


def words(en: str, de: str, zh: str, unless: str = "") -> Words:
    """Patterns of a table row: a blank may be missing in the name; English words are whole, German ones may end a compound."""
    return Words(
        _pattern(en, r"(?<![a-z])(?:", r")(?:s|es)?(?![a-z])"),
        _pattern(de, "(?:", r")(?:e|en|n|s|er|es)?(?![a-z])"),
        _pattern(zh, "(?:", ")"),
        _pattern(unless, "(?:", ")"),
    )


def segments(text: str) -> tuple[str, ...]:
    """A name cut at its separators, each part spelt plainly; parts without a word left out, and every number a 0."""
    cut = (spell(part) for part in _CUT.split(_ID.sub("", mend(text))))
    plain = (_NUMBER.sub("0", _ASIDE.sub("", part)).strip() for part in cut)
    return tuple(part for part in plain if _HAS_WORD.search(part))


@lru_cache(maxsize=50_000)
def spell(text: str) -> str:
    """Lower case, ae for ä, one blank between words, camel case opened, letters and digits apart."""
    plain = unicodedata.normalize("NFKC", mend(text))
    plain = _CAMEL.sub(" ", plain).lower().translate(_LETTERS)
    plain = re.sub(r"[-_/\\'\"`´’+*&.]+(?!\d)|(?<!\d)\.", " ", plain)
    plain = re.sub(r"[-_/]+", " ", plain)
    return _FORMULA.sub(r"\1\2", " ".join(_DIGITS.sub(" ", plain).split()))


def mend(text: str) -> str:
    r"""Undo what exporters do to letters: \X2\00FC\X0\ left as text, and UTF-8 read as Latin-1 ("LÃ¼ftung")."""
    if "\\X2" in text or "\\x2" in text:
        text = _UNDECODED.sub(lambda hit: bytes.fromhex(hit[1]).decode("utf-16-be", "replace"), text)
    if "Ã" in text or "å" in text or "æ" in text or "ç" in text:
        for charset in ("latin-1", "cp1252"):
            try:
                return text.encode(charset).decode("utf-8")
            except UnicodeError:
                continue
    return text


def head(segment: str, candidates: Iterable[tuple[Meaning, Words]]) -> tuple[Meaning, Found] | None:
    """The meaning that names the thing itself: longer words beat those inside them, then the head of the phrase, then the later row."""
    hits = [(meaning, hit) for meaning, listed in candidates if (hit := listed.found(segment)) is not None]
    free = [(m, hit) for m, hit in reversed(hits) if not any(_inside(hit, other) for _, other in hits)]
    if not free:
        return None
    if any(hit.german for _, hit in free):
        return min(free, key=lambda pair: (_words_before(segment, pair[1]), -pair[1].end, pair[1].start))
    return max(free, key=lambda pair: (pair[1].end, -pair[1].start))


def _words_before(segment: str, hit: Found) -> int:
    """How many words stand before the word in which the hit ends."""
    return segment.count(" ", 0, hit.end)


def _inside(hit: Found, other: Found) -> bool:
    return other.start <= hit.start and hit.end <= other.end and other.end - other.start > hit.end - hit.start


def _widest(hits: "Iterable[re.Match[str]]", *, german: bool) -> Found | None:
    found: Sequence[re.Match[str]] = [hit for hit in hits if hit.end() > hit.start()]
    if not found:
        return None
    best = found[0] if german else found[-1]
    return Found(best[0].strip(), best.start(), best.end(), german)


def _pattern(text: str, before: str, after: str) -> str:
    return before + _BLANK.sub(" ?", text.translate(_LETTERS)) + after if text else ""


_compiled = cache(re.compile)  # re's own memory holds 512 patterns, and the tables have more
