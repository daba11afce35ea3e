"""Who may write what at a site, by whose grant, and under which interlocks: for `wattproof check` and whoever reviews a site."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twin.check import protected_points
from twin.errors import SiteError
from twin.grants import Grant, commissioned, interlocks_in_force, newest_grant, who_may
from twin.graph import Graph
from twin.interlocks import interlocks_of
from twin.journal import Journal
from twin.points import PointBook, read_points
from twin.site import Site, load_site, state_root


@dataclass(frozen=True)
class Entitlement:
    """By point who may write it; interlocks as name, rule, why, and whether a person stated them; notes on what is not as signed."""

    rights: Mapping[str, str]
    interlocks: Sequence[Mapping[str, str]]
    notes: Sequence[str] = ()


def entitlement(folder: Path, state: str | None) -> Entitlement:
    """As far as the site's files can be read: what stands in the way is for `check_site` to say. Makes no journal."""
    try:
        site = load_site(folder)
        graph = Graph.read(site.twin_file)
        book = read_points(site.points_file, graph.points())
        interlocks = interlocks_of(site, graph, book)
    except SiteError:
        return Entitlement({}, ())
    grant, notes = None, list[str]()
    if not site.simulated:
        book, grant, notes = _granted(site, book, state)
    interlocks, differences = interlocks_in_force(interlocks, grant, book)
    protected = protected_points(graph, site)
    rights = {point: words for point, words in who_may(book, grant).items() if point not in protected}
    locks = [{**lock.body(), "from": "the twin" if lock.derived else "people"} for lock in interlocks]
    return Entitlement(rights, locks, [*notes, *differences])


def _granted(site: Site, book: PointBook, state: str | None) -> tuple[PointBook, Grant | None, list[str]]:
    file = state_root(state, site) / "sites" / site.name / "journal.db"
    if not file.exists():
        nothing = PointBook(replace(p, writable=False) for p in book.values())
        return nothing, None, ["never commissioned: nothing may be written (`wattproof sign`, then `wattproof grant`)"]
    journal = Journal(file)
    try:
        usable, notes = commissioned(site, book, journal)
        return usable, newest_grant(journal), notes
    finally:
        journal.close()


def spoken(held: Entitlement, *, every: bool) -> Iterator[str]:
    """Lines for people: how many points by whose grant, with `every` each of them, then the interlocks."""
    by_whom: dict[str, int] = {}
    for words in held.rights.values():
        whom = words.partition(", ")[2]
        by_whom[whom] = by_whom.get(whom, 0) + 1
    yield from (f"{count} points may be written: {whom}" for whom, count in by_whom.items())
    if every:
        yield from (f"  {point}: {words}" for point, words in held.rights.items())
    yield from (f"interlock {lock['name']}: {lock['rule']}" + (f" ({lock['why']})" if lock["why"] else "") for lock in held.interlocks)
    yield from held.notes
