"""One site as a server holds it: its building, what its journal says so far, and its ledger group."""

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dashboards.building import Building
from dashboards.follow import Facts, Follower
from dashboards.recent import Recent
from dashboards.views.ledger import Explorer, Glance, glance
from twin.clock import wall_now
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
        self._recent = Recent()

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
        explorer = self._explorer_of_group()
        if explorer is None:
            return glance(None)
        return self._recent.answer("glance", LEDGER_LOOK_S, lambda: glance(explorer.overview(self.group)), glance(None))

    def entries(self, kinds: tuple[str, ...], newest: int = 200) -> list[Any]:
        """Entries of the site's group, decoded with the owner's key, at most a few seconds old; none while there is no group."""
        explorer = self._explorer_of_group()
        if explorer is None:
            return []
        read = functools.partial(explorer.entries, self.group, self.group / "keys", kinds=kinds, newest=newest)
        return self._recent.answer(kinds, ENTRIES_LOOK_S, read, [])

    def _explorer_of_group(self) -> Explorer | None:
        """The explorer, once the group is founded."""
        return self.explorer if (self.group / "log.db").exists() else None

    def last_day(self, point: str) -> list[Reading]:
        """One point's readings of the last 24 hours."""
        now = self.site_now()
        return self.history.series(point, now - timedelta(days=1), now + timedelta(seconds=1))

    def close(self) -> None:
        """Close the files."""
        self.follower.close()
        self.history.close()
