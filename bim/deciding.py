"""Changes to review.toml as text: a table put in, replaced or taken out; every other line stays as people wrote it."""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bim.proposals import table
from bim.review import parse_decisions
from twin.errors import SiteError

_TABLE = re.compile(r"^[ \t]*\[")


def with_decisions(text: str, decisions: Mapping[str, Mapping[str, Any]]) -> str:
    """The text with these decisions more; older ones on the same things give way to them. SiteError when one would say nothing."""
    if not decisions:
        return text
    held = _tables(text)
    rest = without_decisions(text, [header for header in decisions if header in held])
    joined = "\n\n".join(part for part in (rest.rstrip(), *(table(*one).rstrip() for one in decisions.items())) if part.strip()) + "\n"
    parse_decisions(joined, "review.toml")
    return joined


def without_decisions(text: str, headers: Collection[str]) -> str:
    """The text without the decisions on `headers`; comments and other tables stay. SiteError when there is none on one of them."""
    held, gone = _tables(text), set(headers)
    if missing := sorted(gone - held.keys()):
        raise SiteError(f"review.toml holds no decision on {missing[0]!r}; `wattproof review SITE --list` shows those it holds")
    if not gone:
        return text
    lines = text.splitlines(keepends=True)
    starts = {n: header for n, line in enumerate(lines) if _TABLE.match(line) and (header := _header_of(line)) is not None}
    if missing := sorted(gone - set(starts.values())):
        raise SiteError(
            f"review.toml: the table of {missing[0]!r} is written in a way that cannot be taken out safely; take it out by hand"
        )
    ends = dict(zip(starts, [*list(starts)[1:], len(lines)], strict=True))
    cut = {n for start, header in starts.items() if header in gone for n in range(start, _end(lines, start, ends[start]))}
    left = "".join(line for n, line in enumerate(lines) if n not in cut)
    left = left.rstrip("\n") + "\n" if len(lines) - 1 in cut else left  # the blank line above the last table went in with it
    if not _holds(left, {key: value for key, value in held.items() if key not in gone}):
        raise SiteError(f"review.toml: {', '.join(sorted(gone))} cannot be taken out without touching others; take it out by hand")
    return left


def _end(lines: Sequence[str], start: int, end: int) -> int:
    """Where a table ends: comments and blank lines above the next table are that table's."""
    while end > start + 1 and lines[end - 1].lstrip().startswith(("#", "\n")) and not _belongs(lines[end - 1]):
        end -= 1
    return end


def _holds(text: str, tables: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == tables
    except tomllib.TOMLDecodeError:
        return False


def decisions_in(text: str) -> dict[str, dict[str, Any]]:
    """Header -> what was decided, as it stands in the text."""
    return {header: dict(values) for header, values in _tables(text).items() if isinstance(values, dict)}


def _tables(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteError(f"review.toml: not readable as TOML ({error}); correct it first") from None


def _header_of(line: str) -> str | None:
    """The name of the table that a line opens; None when it opens none (an array over several lines)."""
    try:
        names = list(tomllib.loads(line))
    except tomllib.TOMLDecodeError:
        return None
    return names[0] if len(names) == 1 else None


def _belongs(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
