"""The roll of devices: who is there, who is lost, and whether each is the one it should be."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from controls.drivers import Driver, WireTimeout
from controls.drivers.papers import Papers, notices
from controls.rows import alarm_row, device_row
from controls.scan import Scanner
from twin.clock import wall_now
from twin.errors import WireError
from twin.journal import Journal, Record

LOST_PRIORITY = 80  # alarm: a device does not answer
IDENTITY_PRIORITY = 50  # alarm: another device answers than the configured one
OVERRUN_PRIORITY = 90  # alarm: values come later than they should
PAPERS_PRIORITY = 60  # alarm: a certificate of ours ends, or is wrong
PAPERS_EVERY = timedelta(hours=12)
FINGERPRINT_ROWS = 200  # looked back for each device's last fingerprint: more than any site has devices


class Roll:
    """Takes fingerprints of devices that are new or were away, and bars a device that is not the configured one."""

    def __init__(self, journal: Journal, drivers: Mapping[str, Driver], scanner: Scanner, papers: Sequence[Papers] = ()) -> None:
        self._journal = journal
        self._drivers = drivers
        self._scanner = scanner
        self._unknown = set(drivers)  # no fingerprint taken since they were last away
        self._fingerprints = _latest_fingerprints(journal)
        self.lost: set[str] = set()
        self._papers = papers
        self._papers_at: datetime | None = None
        self._papers_told: dict[str, str] = {}

    def usable(self, connection: str) -> bool:
        """Whether the device answered the latest scan and is known to be the one it should be."""
        return self._scanner.answering(connection) and connection not in self._unknown

    def told(self, name: str, event: str, at: datetime) -> list[Record]:
        """What the journal must hold about a device lost or returned, late or on time again."""
        return self._pace(name, event, at) if event in ("late", "on_time") else self._away_or_back(name, event, at)

    def _pace(self, name: str, event: str, at: datetime) -> list[Record]:
        late = event == "late"
        message = (
            f"{name}: more is asked of it than its bus carries; read fewer points, or raise fast_s and normal_s in site.toml"
            if late
            else f"{name} keeps up with its rates again"
        )
        return [alarm_row("overrun", name, message, raised=late, priority=OVERRUN_PRIORITY, at=at)]

    def _away_or_back(self, name: str, event: str, at: datetime) -> list[Record]:
        lost = event == "lost"
        self._unknown.add(name)  # it may come back as another one
        (self.lost.add if lost else self.lost.discard)(name)
        message = f"{name} does not answer; check its power, cable and address" if lost else f"{name} answers again"
        return [
            device_row(name, event, self._fingerprints.get(name, {}), at),
            alarm_row("device", name, message, raised=lost, priority=LOST_PRIORITY, at=at),
        ]

    async def call(self, now: datetime) -> None:
        """Ask those that answer and are not known yet for their fingerprints."""
        await self._identify([name for name in self._unknown if self._scanner.answers(name)], now)
        if self._papers and (self._papers_at is None or now - self._papers_at >= PAPERS_EVERY):
            await self._look_at_papers(now)

    async def call_all(self, now: datetime) -> None:
        """Ask everybody, before the first scan."""
        await self._identify(list(self._drivers), now)
        await self._look_at_papers(now)

    async def _look_at_papers(self, now: datetime) -> None:
        """An alarm for each certificate of ours that is wrong or ends soon; it clears when the file has been renewed."""
        self._papers_at = now
        found = await asyncio.to_thread(notices, self._papers, wall_now())  # certificates go by the calendar, also on a simulated site
        rows = []
        for name, words in found.items():
            if words != self._papers_told.get(name, ""):
                message = words or f"{name} is in order again"
                rows.append(alarm_row("certificate", name, message, raised=bool(words), priority=PAPERS_PRIORITY, at=now))
        self._papers_told = found
        if rows:
            self._journal.append(rows)

    async def _identify(self, names: Iterable[str], now: datetime) -> None:
        names = list(names)
        answers = await asyncio.gather(*[self._drivers[n].identify() for n in names], return_exceptions=True)
        rows: list[Record] = []
        for name, answer in zip(names, answers, strict=True):
            if isinstance(answer, WireTimeout):
                continue  # the scan tells
            if isinstance(answer, WireError):
                if self._scanner.bar(name):
                    rows.append(alarm_row("identity", name, str(answer), raised=True, priority=IDENTITY_PRIORITY, at=now))
                continue
            if isinstance(answer, BaseException):
                raise answer
            rows += self._known(name, asdict(answer), now)
        if rows:
            self._journal.append(rows)

    def _known(self, name: str, fingerprint: dict[str, Any], now: datetime) -> list[Record]:
        before = self._fingerprints.get(name)
        self._unknown.discard(name)
        self._fingerprints[name] = fingerprint
        rows = [device_row(name, "found" if before in (None, fingerprint) else "changed", fingerprint, now)]
        if self._scanner.admit(name):
            rows.append(alarm_row("identity", name, f"{name} is itself again", raised=False, priority=IDENTITY_PRIORITY, at=now))
        return rows


def _latest_fingerprints(journal: Journal) -> dict[str, dict[str, Any]]:
    rows = reversed(journal.latest(("device",), most=FINGERPRINT_ROWS))
    return {row.body["connection"]: row.body["fingerprint"] for row in rows if row.body["fingerprint"]}
