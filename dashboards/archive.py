"""The groups as the government's server holds them: read through the ledger's explorer, with the government's own keys."""

from pathlib import Path
from typing import Any

from dashboards.recent import Recent
from dashboards.views.ledger import Explorer

LOOK_S = 2.0  # how often a group's state is read again, however many tabs are open
SCAN_S = 8.0  # entries of chosen kinds need a look through the whole log


class Archive:
    """Reads groups; every answer is at most a few seconds old."""

    def __init__(self, state_root: Path, explorer: Explorer | None) -> None:
        self.root, self.explorer = state_root, explorer
        self._recent = Recent()

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
        explorer, folder = self.explorer, self.folder(group)
        return self._recent.answer(("overview", group), LOOK_S, lambda: explorer.overview(folder), None) if explorer else None

    def entries(self, group: str, kinds: tuple[str, ...] = (), newest: int = 200) -> list[Any]:
        """The newest entries, decoded with the government's key for that group."""
        explorer, folder = self.explorer, self.folder(group)
        if explorer is None:
            return []
        every_s = SCAN_S if kinds else LOOK_S
        return self._recent.answer(
            ("entries", group, kinds), every_s, lambda: explorer.entries(folder, self.keys, kinds=kinds, newest=newest), []
        )

    def check(self, group: str) -> list[Any]:
        """The numbered verification, made now."""
        return self.explorer.check(self.folder(group), self.keys) if self.explorer else []
