"""Changes to review.toml as text: a table put in, replaced or taken out; every other line stays as people wrote it."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from bim.proposals import table
from bim.review import parse_decisions
from twin.errors import SiteError

_TABLE = re.compile(r"^[ \t]*\[")


def with_decision(text: str, header: str, values: Mapping[str, Any]) -> str:
    """The text with one decision more; an older one on the same thing gives way to it. SiteError when it would say nothing."""
    rest = without_decision(text, header) if header in _tables(text) else text
    joined = f"{rest.rstrip()}\n\n{table(header, values)}" if rest.strip() else table(header, values)
    parse_decisions(joined, "review.toml")
    return joined


def without_decision(text: str, header: str) -> str:
    """The text without the decision on `header`; comments and other tables stay. SiteError when there is none."""
    if header not in _tables(text):
        raise SiteError(f"review.toml holds no decision on {header!r}; `wattproof review SITE --list` shows those it holds")
    lines = text.splitlines(keepends=True)
    starts = [n for n, line in enumerate(lines) if _TABLE.match(line) and _header_of(line) is not None]
    start = next((n for n in starts if _header_of(lines[n]) == header), None)
    if start is None:
        raise SiteError(f"review.toml: the table of {header!r} is written in a way that cannot be taken out safely; take it out by hand")
    end = next((n for n in starts if n > start), len(lines))
    while end > start + 1 and lines[end - 1].lstrip().startswith(("#", "\n")) and not _belongs(lines[end - 1]):
        end -= 1  # comments and blank lines above the next table are that table's
    left = "".join(lines[:start] + lines[end:])
    if not _holds(left, {key: value for key, value in _tables(text).items() if key != header}):
        raise SiteError(f"review.toml: the table of {header!r} cannot be taken out without touching others; take it out by hand")
    return left


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
