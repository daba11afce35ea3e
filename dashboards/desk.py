"""One site as a server holds it: its building, what its journal says so far, and its ledger group."""

import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dashboards.building import Building
from dashboards.follow import Facts, Follower
from dashboards.views.ledger import Explorer, Glance, glance
from twin.clock import monotonic_s, wall_now
from twin.errors import WattproofError
from twin.history import History
from twin.state import StateFolder
from twin.words import Reading

LEDGER_LOOK_S = 2.0  # how often a group's state is looked at, however many tabs are open
ENTRIES_LOOK_S = 15.0  # entries of rare kinds need a look through the whole log; claims come by the hour


class Desk:
    """Everything the owner's pages show of one site comes from here."""

    def __init__(self, building: Building, state: StateFolder, explorer: Explorer | None) -> None:
        self.building = building
        self.folder = state.site(building.site.name)
        self.group = state.root / "groups" / building.site.group.name
        self.explorer = explorer
        self.follower = Follower(self.folder / "journal.db", building.power_point)
        self.history = History(self.folder / "history.db")
        self._kept: dict[Any, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The site's name."""
        return self.building.site.name

    def look(self, view: Callable[[Facts], Any]) -> Any:
        """Make a view of what the journal says now."""
        return self.follower.look(view)

    def site_now(self) -> datetime:
        """The site's time: a simulated site's is that of its newest row."""
        if not self.building.site.simulated:
            return wall_now()
        newest: datetime | None = self.look(lambda facts: facts.at)
        return newest or wall_now()

    def ledger(self) -> Glance:
        """The state of the site's group, at most a few seconds old."""
        answer: Glance = self._recent("glance", LEDGER_LOOK_S, lambda: glance(overview_of(self.explorer, self.group)))
        return answer

    def entries(self, kinds: tuple[str, ...], newest: int = 200) -> list[Any]:
        """Entries of the site's group, decoded with the owner's key, at most a few seconds old; none while there is no group."""
        answer: list[Any] = self._recent(kinds, ENTRIES_LOOK_S, lambda: self._entries(kinds, newest))
        return answer

    def _entries(self, kinds: tuple[str, ...], newest: int) -> list[Any]:
        if self.explorer is None or not (self.group / "log.db").exists():
            return []
        try:
            return self.explorer.entries(self.group, self.group / "keys", kinds=kinds, newest=newest)
        except (WattproofError, OSError, sqlite3.Error):
            return []

    def _recent(self, key: Any, every_s: float, read: Callable[[], Any]) -> Any:
        with self._lock:
            at_s, answer = self._kept.get(key, (float("-inf"), None))
            if monotonic_s() - at_s > every_s:
                answer = read()
                self._kept[key] = (monotonic_s(), answer)
            return answer

    def last_day(self, point: str) -> list[Reading]:
        """One point's readings of the last 24 hours."""
        now = self.site_now()
        return self.history.series(point, now - timedelta(days=1), now + timedelta(seconds=1))

    def close(self) -> None:
        """Close the files."""
        self.follower.close()
        self.history.close()


def overview_of(explorer: Explorer | None, group: Path) -> Any | None:
    """The group's overview, or None while there is none to read (the recorder may be making it just now)."""
    if explorer is None or not (group / "log.db").exists():
        return None
    try:
        return explorer.overview(group)
    except (WattproofError, OSError, sqlite3.Error):
        return None
