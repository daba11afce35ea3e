"""The groups as the government's server holds them: read through the ledger's explorer, with the government's own keys."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dashboards.views.ledger import Explorer
from twin.clock import monotonic_s
from twin.errors import WattproofError

LOOK_S = 2.0  # how often a group's state is read again, however many tabs are open
SCAN_S = 8.0  # entries of chosen kinds need a look through the whole log
KEPT_MOST = 200  # remembered answers; beyond that they start anew
T = TypeVar("T")
UNREADABLE = (WattproofError, OSError, sqlite3.Error)  # the sealing process may be making the group just now


class Archive:
    """Reads groups; every answer is at most a few seconds old."""

    def __init__(self, state_root: Path, explorer: Explorer | None) -> None:
        self.root, self.explorer = state_root, explorer
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}
        self._lock = threading.Lock()

    @property
    def keys(self) -> Path:
        """The government's own keys."""
        return self.root / "witness" / "keys"

    def groups(self) -> list[str]:
        """Groups for which this government holds keys."""
        folders = sorted((self.root / "groups").glob("*/log.db"))
        return [f.parent.name for f in folders if any(self.keys.glob(f"{f.parent.name}.*"))]

    def folder(self, group: str) -> Path:
        """A group's folder; only names from `groups` lead anywhere."""
        return self.root / "groups" / group

    def overview(self, group: str) -> Any | None:
        """Size, checkpoint and cosignatures, or None while unreadable."""
        return self._recent(("overview", group), LOOK_S, lambda x: x.overview(self.folder(group)), None)

    def entries(self, group: str, kinds: tuple[str, ...] = (), newest: int = 200) -> list[Any]:
        """The newest entries, decoded with the government's key for that group."""
        return self._recent(
            ("entries", group, kinds),
            SCAN_S if kinds else LOOK_S,
            lambda x: x.entries(self.folder(group), self.keys, kinds=kinds, newest=newest),
            [],
        )

    def check(self, group: str) -> list[Any]:
        """The numbered verification, made now."""
        return self.explorer.check(self.folder(group), self.keys) if self.explorer else []

    def _recent(self, key: tuple[Any, ...], every_s: float, read: Callable[[Explorer], T], otherwise: T) -> T:
        if self.explorer is None:
            return otherwise
        with self._lock:
            at_s, answer = self._kept.get(key, (float("-inf"), otherwise))
            if monotonic_s() - at_s > every_s:
                try:
                    answer = read(self.explorer)
                except UNREADABLE:
                    answer = otherwise
                if len(self._kept) > KEPT_MOST:
                    self._kept.clear()
                self._kept[key] = (monotonic_s(), answer)
            return answer  # type: ignore[no-any-return]
