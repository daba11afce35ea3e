"""Answers of a graph to its questions: read from the engine's text form, and kept, since a graph does not change.

The control room and each cycle ask the same few lists again and again; the second time costs a copy.
"""

import re
from collections.abc import Callable, Sequence

_KEPT_ROWS = 500_000  # some hundred megabytes, reached by a campus alone; the answers kept longest go first
_ESCAPED = re.compile(r"\\(.)")
_EMPTY = "\0"  # an empty text, while an unbound variable is nothing at all; no literal holds this sign
_UNUSUAL = re.compile(r'\\|""|"\^\^<|"@|[\t\n]<[a-z]+:')  # escapes, typed texts, languages and names of others: cell by cell
_QUOTES = ("<", '"')
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

Row = dict[str, str]


class Answers:
    """What was answered before, by the whole text of the question."""

    def __init__(self, most_rows: int = _KEPT_ROWS) -> None:
        self._most_rows = most_rows
        self._kept: dict[str, list[Row]] = {}

    def of(self, question: str, answer: Callable[[str], list[Row]]) -> list[Row]:
        """The rows of a question, asked once; they are the caller's own to change."""
        found = self._kept.get(question)
        if found is None:
            found = self._keep(question, answer(question))
        return [row.copy() for row in found]

    def _keep(self, question: str, found: list[Row]) -> list[Row]:
        kept = {**self._kept, question: found}
        while len(kept) > 1 and sum(map(len, kept.values())) > self._most_rows:
            del kept[next(iter(kept))]
        self._kept = kept  # at once: pages ask from several threads
        return found


def rows(names: Sequence[str], text: str, known_starts: Sequence[str]) -> list[Row]:
    """Sorted rows of a result in SPARQL's TSV; IRIs are cut to what follows one of the known starts, an unbound cell is absent."""
    return [
        dict(zip(names, row, strict=True))
        if all(row) and _EMPTY not in row
        else {n: v.replace(_EMPTY, "") for n, v in zip(names, row, strict=True) if v}
        for row in sorted(_cells(text, known_starts))
    ]


def _cells(text: str, known_starts: Sequence[str]) -> list[list[str]]:
    """The cells of a result as callers see them. Tabs and line ends are escaped inside cells, so known names are cut everywhere at once."""
    text = text[text.index("\n") :]
    for start in known_starts:
        text = text.replace(f"\t<{start}", "\t<").replace(f"\n<{start}", "\n<")
    lines = text.split("\n")[1:-1]
    if _UNUSUAL.search(text):
        return [[_plain(cell) for cell in line.split("\t")] for line in lines]
    return [[cell[1:-1] if cell[:1] in _QUOTES else cell for cell in line.split("\t")] for line in lines]


def _plain(cell: str) -> str:
    """`<key>` as key, `<...#name>` as name, `"text"` as text, a bare number as it stands; an unbound variable is empty."""
    if cell.startswith("<"):
        value = cell[1:-1]
        return value.rsplit("#", 1)[-1] if "#" in value else value.rsplit("/", 1)[-1]
    if cell.startswith('"'):
        literal = cell[1 : cell.rindex('"')] or _EMPTY
        return _ESCAPED.sub(lambda found: _UNESCAPED.get(found[1], found[1]), literal) if "\\" in literal else literal
    return cell
