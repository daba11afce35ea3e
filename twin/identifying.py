"""Which equipment or room a name speaks of: the pieces of its identifier, rare ones weighing most, a wrong number against it."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twin.lexicon import is_trade_word, meaning

CANDIDATES = 4
SURE_FROM = 0.3  # less of an identifier than this is chance
HOLDERS_MOST = 40  # owners that share a piece of a name (vav, floor) before it stops telling anything
_TELLING_DIGITS = 3  # a number this long names a room or a box whatever stands before it
_ABBREVIATED_MIN = 3  # letters of an abbreviation that may stand for a longer word


@dataclass(frozen=True, slots=True)
class Owner:
    """Equipment or a room: `names` each identify it alone; `around` may stand beside them (storey, feeding equipment, building)."""

    key: str
    names: tuple[str, ...]
    around: tuple[str, ...] = ()


class OwnerFinder:
    """Owners, searched by the names of objects."""

    def __init__(self, owners: Sequence[Owner]) -> None:
        self._names = {o.key: [p for p in (pieces(meaning(n).names) for n in o.names) if p] for o in owners}
        self._own = {key: frozenset().union(*names) if names else frozenset() for key, names in self._names.items()}
        self._around = {o.key: frozenset().union(*(pieces(meaning(n).names) for n in o.around)) for o in owners}
        counted = Counter(piece for own in self._own.values() for piece in own)
        self._weight = {piece: math.log(1 + len(owners) / n) for piece, n in counted.items()}
        self._holders: dict[str, list[str]] = defaultdict(list)
        for key, own in self._own.items():
            for piece in own:
                self._holders[piece].append(key)
        self._words = sorted(piece for piece in counted if "#" not in piece)

    def own_names(self, key: str) -> frozenset[str]:
        """All pieces of the owner's own names."""
        return self._own[key]

    def find(self, names: Sequence[str]) -> list[tuple[str, float, str]]:
        """(owner, how sure, evidence) of the likeliest owners, best first."""
        there = frozenset(piece for piece in pieces([self._spelled(n) for n in names]) if piece in self._weight)
        found = [(key, self._sure(key, there)) for key in self._candidates(there)]
        likely = sorted((f for f in found if f[1] >= SURE_FROM), key=lambda f: (-f[1], f[0]))
        return [(key, sure, self._evidence(key, there)) for key, sure in likely[:CANDIDATES]]

    def _candidates(self, there: frozenset[str]) -> set[str]:
        """Owners that hold one of the rarest pieces; a piece that half the building has finds nobody once another found somebody."""
        keys: set[str] = set()
        for piece in sorted(there, key=lambda p: (-self._weight[p], p)):
            holders = self._holders[piece]
            if keys and len(holders) > HOLDERS_MOST:
                break
            keys.update(holders)
        return keys

    def _sure(self, key: str, there: frozenset[str]) -> float:
        """Share of the best name that is there, times the share of what is there that is not against it."""
        best = max(self._sum(name & there) / self._sum(name) for name in self._names[key])
        inside = self._sum(there & self._own[key])
        return round(best * inside / (inside + self._sum(self._against(key, there))), 3) if inside else 0.0

    def _against(self, key: str, there: frozenset[str]) -> frozenset[str]:
        """Pieces of other owners' names, trade words not counted."""
        return frozenset(p for p in there - self._own[key] - self._around[key] if not is_trade_word(p))

    def _evidence(self, key: str, there: frozenset[str]) -> str:
        shared = max((name & there for name in self._names[key]), key=self._sum)
        said = ", ".join(sorted(p.replace("#", " ").strip() for p in shared))
        against = ", ".join(sorted(p.replace("#", " ").strip() for p in self._against(key, there)))
        return f"name has {said} of {key}" + (f", but also {against}" if against else "")

    def _sum(self, some: Iterable[str]) -> float:
        return sum(self._weight[piece] for piece in some)

    def _spelled(self, name: str) -> str:
        """An abbreviation as the one known word that it can stand for: PERIM for perimeter, BTM for bottom."""
        if name in self._weight or len(name) < _ABBREVIATED_MIN or name[0].isdigit() or is_trade_word(name):
            return name
        longer = [word for word in self._words if len(word) > len(name) and word[0] == name[0] and _within(name, word)]
        starting = [word for word in longer if word.startswith(name)]
        return next((some[0] for some in (starting, longer) if len(some) == 1), name)


def pieces(names: Sequence[str]) -> frozenset[str]:
    """Words, and each word with the numbers that follow it: vav, vav#3, vav#3#12. A number before its noun (1号) belongs to that."""
    found: set[str] = set()
    chain = ""
    for n, name in enumerate(names):
        if name[0].isdigit():
            if chain:
                chain += f"#{name}"
                found.add(chain)
            if len(name) >= _TELLING_DIGITS:
                found.add(f"#{name}")
            if n + 2 < len(names) and names[n + 1] in ("号", "#"):
                found.add(f"{names[n + 2]}#{name}")
        elif name != "号":
            chain = name
            found.add(name)
    return frozenset(found)


def _within(short: str, word: str) -> bool:
    """Whether the letters of `short` stand in `word` in this order."""
    letters = iter(word)
    return all(letter in letters for letter in short)
