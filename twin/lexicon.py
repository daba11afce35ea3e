"""What names of points say: the trade's abbreviations in English, German and Chinese as plain words (twin/data/point_words.csv)."""

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_DATA = Path(__file__).parent / "data"
_SPLIT = re.compile(r"\d+[A-Ha-h](?![^\W_])|[A-ZÄÖÜ]+(?![a-zäöüß])|[A-ZÄÖÜ]?[a-zäöüß]+|\d+|[\u4e00-\u9fff]+")
_RUN = re.compile(r"[^\W\d_]+\d*[^\W\d_]*|\d+")
_PIECE_MIN = 2  # letters of a piece of a compound; single letters would fit anywhere
_CHINESE_DIGITS = str.maketrans("一二三四五六七八九", "123456789")
_ROLES = frozenset({"setpoint", "command", "status", "alarm", "limit", "sensor_role"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a text says: `content` (temperature, min ...), `roles` (setpoint, command ...), `names`: pieces that may identify something."""

    content: frozenset[str]
    roles: frozenset[str]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A BACnet engineering unit: its quantity, the QUDT name, and SI value = value * si_scale + si_offset."""

    quantity: str
    qudt: str
    si_scale: float
    si_offset: float


def is_trade_word(name: str) -> bool:
    """Whether a piece of a name says what something is and not which one: zone, supply temperature, fan."""
    return name in _trade_words()


@cache
def _trade_words() -> frozenset[str]:
    return frozenset(" ".join(words) for words, equipment in _lexicon().values() if words and not equipment)


@lru_cache(maxsize=100_000)
def meaning(text: str) -> Meaning:
    """Read a name or a description: any separators, camel case, compounds and Chinese without spaces."""
    content: set[str] = set()
    names: list[str] = []
    for token in _tokens(_normal(text)):
        words, equipment = _lexicon().get(token, ((), False)) if not token[0].isdigit() else ((), False)
        if not equipment:
            content.update(words)
        names.append(" ".join(words) or token)  # RM, room and 房间 are one name
    return Meaning(frozenset(content - _ROLES), frozenset(content & _ROLES), tuple(names))


@cache
def units() -> Mapping[str, Unit]:
    """BACnet unit name -> Unit."""
    return {
        row["unit"]: Unit(row["quantity"], row["qudt"], float(row["si_scale"]), float(row["si_offset"]))
        for row in _rows("bacnet_units.csv")
    }


@cache
def unit_of_qudt(name: str) -> Unit | None:
    """The Unit with this QUDT name, None for those without a quantity (NUM, UNITLESS) or unknown here."""
    return next((unit for unit in units().values() if unit.qudt == name), None)


def conversion(raw: Unit, wanted: Unit) -> tuple[float, float]:
    """Scale and offset that turn a value in `raw` into one in `wanted`; both must be of one quantity."""
    assert raw.quantity == wanted.quantity
    scale = raw.si_scale / wanted.si_scale
    return float(f"{scale:.9g}"), round((raw.si_offset - wanted.si_offset) / wanted.si_scale, 6)


@cache
def _lexicon() -> Mapping[str, tuple[tuple[str, ...], bool]]:
    """Token -> its words, and whether it names equipment."""
    return {row["token"]: (tuple(row["words"].split()), row["kind"] == "equipment") for row in _rows("point_words.csv")}


def _tokens(text: str) -> Iterator[str]:
    """Words and numbers in order; a whole run that the lexicon knows is not taken apart ("ZNT", "CO2", "Raumtemperatur")."""
    for run in _RUN.findall(text.replace("_", " ")):
        whole = run.lower()
        if whole in _lexicon():
            yield whole
            continue
        for piece in _SPLIT.findall(run):
            yield from _compound(piece.lower()) if not piece[0].isdigit() else (piece.lower().lstrip("0") or "0",)


def _compound(word: str) -> tuple[str, ...]:
    """A word the lexicon lacks, cut into words it has, longest first; uncut when that leaves a Latin rest."""
    if word in _lexicon():
        return (word,)
    chinese = word[0] >= "\u4e00"
    pieces, at, rest = [], 0, ""
    while at < len(word):
        ends = range(len(word), at + (0 if chinese else _PIECE_MIN - 1), -1)
        end = next((e for e in ends if word[at:e] in _lexicon()), 0)
        if end:
            pieces += [rest, word[at:end]] if rest else [word[at:end]]
            rest, at = "", end
        elif chinese:
            rest, at = rest + word[at], at + 1
        else:
            return (word,)
    return tuple([*pieces, rest] if rest else pieces)


def _normal(text: str) -> str:
    """One spelling: NFKC, Chinese digits before a counter as numbers, CO2 kept in one piece."""
    normal = unicodedata.normalize("NFKC", text)
    normal = re.sub(r"[一二三四五六七八九](?=[号层楼区])", lambda hit: hit[0].translate(_CHINESE_DIGITS), normal)
    return re.sub(r"co2", " co2 ", normal, flags=re.IGNORECASE)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
