"""Rights: what may be written at a site by the newest grant, followed while the controller runs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from twin.addresses import parse_address
from twin.clock import wall_now
from twin.errors import SiteError
from twin.grants import commissioned, interlocks_in_force, newest_grant
from twin.graph import Graph
from twin.interlocks import Interlock, interlocks_of
from twin.journal import Journal
from twin.points import PointBook, read_points
from twin.site import Site, load_site


@dataclass(frozen=True)
class Files:
    """A site's files as they were read together."""

    site: Site
    graph: Graph
    book: PointBook
    interlocks: Sequence[Interlock]
    wiring: Any  # equal as long as the same is read from the same places

    @classmethod
    def read(cls, site: Site) -> "Files":
        """SiteError when one of them is absent or broken."""
        graph = Graph.read(site.twin_file)
        book = read_points(site.points_file, graph.points())
        twin = hashlib.sha256(site.twin_file.read_bytes()).digest()
        wiring = site, twin, {p.id: (p.binding, p.rate, p.unit) for p in book.bound}
        return cls(site, graph, book, interlocks_of(site, graph, book), wiring)


@dataclass(frozen=True)
class Entitled:
    """What may be written now and what holds it. `rewired`: the files read other points or places, or more devices are commanded."""

    book: PointBook
    interlocks: Sequence[Interlock]
    rewired: bool = False


class Rights:
    """Follows the journal's grants: a new one, one taken back, or one that ends counts within a second, without a restart."""

    def __init__(self, files: Files, journal: Journal, tell: Callable[[str], None]) -> None:
        self._files, self._journal, self._tell = files, journal, tell
        self._row = 0
        self._until: datetime | None = None
        self.now = self._looked_up(files, wall_now())

    def news(self, now: datetime) -> Entitled | None:
        """What is other than at the last look; None mostly."""
        ended = self._until is not None and self._until <= now
        if not ended and not self._journal.after(self._row, ("grant",), most=1):
            return None
        before, files = self.now, self._files if ended else self._read_again()
        self.now = self._looked_up(files, now)
        more = commanded(self.now.book) - commanded(before.book)
        self.now = replace(self.now, rewired=bool(more) or files.wiring != self._files.wiring)
        return self.now

    def _looked_up(self, files: Files, now: datetime) -> Entitled:
        rows = self._journal.latest(("grant",))
        self._row = rows[0].number if rows else 0
        grant = newest_grant(self._journal)
        self._until = grant.until if grant is not None and grant.until is not None and grant.until > now else None
        book, notes = commissioned(files.site, files.book, self._journal, now)
        interlocks, differences = interlocks_in_force(files.interlocks, grant, book)
        if grant is not None:
            self._tell(f"{len(book.writable)} points may be written, granted by {grant.by}")
        for note in (*notes, *differences):
            self._tell(note)
        return Entitled(book, interlocks)

    def _read_again(self) -> Files:
        try:
            return Files.read(load_site(self._files.site.folder))
        except SiteError as error:
            self._tell(f"{error}; the new grant holds over the files as they were read before")
            return self._files


def commanded(book: PointBook) -> set[str]:
    """Connections with a point that may be written."""
    return {parse_address(p.binding.address).connection for p in book.writable if p.binding}
