"""The roll of devices: who is there, who is lost, and whether each is the one it should be, programmed as it was when it was bound."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from controls.differences import differences, report
from controls.drivers import Driver, WireTimeout
from controls.drivers.papers import Papers, notices
from controls.outages import Outages
from controls.rows import alarm_row, device_row
from controls.scan import Scanner
from twin.clock import wall_now
from twin.errors import WireError
from twin.journal import Journal, Record
from twin.words import AlarmState

LOST_PRIORITY = 80  # alarm: a device does not answer
NETWORK_PRIORITY = 60  # alarm: none of the devices behind a router answers
CHANGED_PRIORITY = 50  # alarm: a device has other objects than when it was bound
IDENTITY_PRIORITY = 50  # alarm: another device answers than the configured one
OVERRUN_PRIORITY = 90  # alarm: values come later than they should
PAPERS_PRIORITY = 60  # alarm: a certificate of ours ends, or is wrong
PAPERS_EVERY = timedelta(hours=12)
LOOK_EVERY = timedelta(hours=1)  # at each device's database-revision: it may have been reprogrammed between two scans
FINGERPRINT_ROWS = 200  # looked back for each device's last fingerprint: more than any site has devices


class Roll:
    """Takes fingerprints of devices that are new or were away, and bars a device that is not the configured one.

    Points whose object a reprogrammed device calls otherwise are doubted until a person has acknowledged the alarm.
    """

    def __init__(
        self,
        journal: Journal,
        drivers: Mapping[str, Driver],
        scanner: Scanner,
        networks: Mapping[str, str] | None = None,
        papers: Sequence[Papers] = (),
    ) -> None:
        self._journal = journal
        self._drivers = drivers
        self._scanner = scanner
        self._unknown = set(drivers)  # no fingerprint taken since they were last away
        self._fingerprints = _latest_fingerprints(journal)
        self._looked: dict[str, datetime] = {}
        self._changed: dict[str, tuple[int, dict[str, Any]]] = {}  # journal row of the alarm, and the fingerprint that waits to be accepted
        self._outages = Outages(networks or {}, scanner.failures)
        self._papers = papers
        self._papers_at: datetime | None = None
        self._papers_told: dict[str, str] = {}

    @property
    def lost(self) -> set[str]:
        """Devices that are away."""
        return self._outages.lost

    def usable(self, connection: str) -> bool:
        """Whether the device answered the latest scan and is known to be the one it should be."""
        return self._scanner.answering(connection) and connection not in self._unknown

    def told(self, events: Iterable[tuple[str, str]], at: datetime) -> list[Record]:
        """What the journal must hold about devices lost or returned, late or on time again."""
        rows = []
        for name, event in events:
            rows += [self._pace(name, event, at)] if event in ("late", "on_time") else [self._away_or_back(name, event, at)]
        rows += [self._outage(o.kind, o.name, raised=o.raised, at=at) for o in self._outages.news()]
        self._scanner.ask_now(self._outages.just_back())
        return rows

    def _pace(self, name: str, event: str, at: datetime) -> Record:
        late = event == "late"
        message = (
            f"{name}: more is asked of it than its bus carries; read fewer points, or raise fast_s and normal_s in site.toml"
            if late
            else f"{name} keeps up with its rates again"
        )
        return alarm_row("overrun", name, message, raised=late, priority=OVERRUN_PRIORITY, at=at)

    def _away_or_back(self, name: str, event: str, at: datetime) -> Record:
        self._unknown.add(name)  # it may come back as another one
        self._outages.note(name, lost=event == "lost")
        return device_row(name, event, self._fingerprints.get(name, {}), at)

    def _outage(self, kind: str, name: str, *, raised: bool, at: datetime) -> Record:
        if kind == "network":
            message = f"no device of network {name} answers; check its router or BBMD" if raised else f"network {name} is back"
            return alarm_row(kind, name, message, raised=raised, priority=NETWORK_PRIORITY, at=at)
        message = f"{name} does not answer; check its power, cable and address" if raised else f"{name} answers again"
        return alarm_row(kind, name, message, raised=raised, priority=LOST_PRIORITY, at=at)

    async def call(self, now: datetime) -> None:
        """Ask those that answer and are not known yet for their fingerprints, and all now and then whether they were reprogrammed."""
        self._accept_what_people_acknowledged(now)
        await self._look_at_revisions(now)
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
            rows += await self._known(name, asdict(answer), now)
        if rows:
            self._journal.append(rows)

    async def _known(self, name: str, fingerprint: dict[str, Any], now: datetime) -> list[Record]:
        before = self._fingerprints.get(name)
        objects = await self._inventory(name, fingerprint, before)
        if objects is None:
            return []  # it fell silent while it was asked: it stays unknown
        fingerprint["objects"] = objects
        self._unknown.discard(name)
        self._looked[name] = now
        rows = []
        if self._scanner.admit(name):
            rows.append(alarm_row("identity", name, f"{name} is itself again", raised=False, priority=IDENTITY_PRIORITY, at=now))
        found = differences(before["objects"], objects) if before and "objects" in before else {}
        if before is not None and found:
            return [*rows, *self._differs(name, fingerprint, before, found, now)]
        if before is not None and name in self._changed:
            rows += self._settled(name, f"{name} has the objects that were bound again", now)
        self._fingerprints[name] = fingerprint
        event = "changed" if before is not None and _without_objects(before) != _without_objects(fingerprint) else "found"
        return [device_row(name, event, fingerprint, now), *rows]

    async def _inventory(self, name: str, fingerprint: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, list[str]] | None:
        """Names and units of the bound objects; asked anew only where the device says that its objects changed."""
        same = before is not None and "objects" in before and before.get("database_revision") == fingerprint["database_revision"] != -1
        if before is not None and same:
            return dict(before["objects"])
        try:
            return await self._drivers[name].inventory(self._scanner.watches[name].points)
        except WireTimeout:
            return None

    def _differs(
        self, name: str, fingerprint: dict[str, Any], before: dict[str, Any], found: Mapping[str, str], now: datetime
    ) -> list[Record]:
        """The device is read and commanded, but not where its objects are others; what was bound stays written down as it was."""
        points = self._scanner.watches[name].points
        self._scanner.doubt(name, {p.id for p in points if p.binding and p.binding.address in found})
        if name in self._changed and self._changed[name][1] == fingerprint:
            return []
        self._changed[name] = (self._journal.size(), fingerprint)
        kept = {**fingerprint, "objects": before["objects"], "database_revision": before.get("database_revision", -1)}
        return [
            device_row(name, "changed", kept, now, differences=list(found.values())),
            alarm_row("changed", name, report(name, found), raised=True, priority=CHANGED_PRIORITY, at=now),
        ]

    def _accept_what_people_acknowledged(self, now: datetime) -> None:
        """A reprogrammed device is taken as it is once a person has acknowledged its alarm."""
        if not self._changed:
            return
        since = min(row for row, _ in self._changed.values())
        for row in self._journal.after(since, ("alarm",)):
            kind, _, name = str(row.body.get("id", "")).partition(".")
            if kind == "changed" and name in self._changed and row.body.get("state") == AlarmState.ACKNOWLEDGED.value:
                self._fingerprints[name] = self._changed[name][1]
                by = row.body.get("by") or "a person"
                accepted = device_row(name, "accepted", self._fingerprints[name], now)
                self._journal.append([accepted, *self._settled(name, f"{name} is taken as it is, acknowledged by {by}", now)])

    def _settled(self, name: str, message: str, now: datetime) -> list[Record]:
        self._changed.pop(name, None)
        self._scanner.doubt(name, set())
        return [alarm_row("changed", name, message, raised=False, priority=CHANGED_PRIORITY, at=now)]

    async def _look_at_revisions(self, now: datetime) -> None:
        """A device may be reprogrammed and be back between two scans: who counts otherwise than before is asked anew."""
        due = [n for n in self._fingerprints if n in self._drivers and self.usable(n) and now - self._looked.get(n, now) >= LOOK_EVERY]
        counts = await asyncio.gather(*[self._drivers[name].revision() for name in due], return_exceptions=True)
        for name, count in zip(due, counts, strict=True):
            if isinstance(count, WireError):
                continue
            if isinstance(count, BaseException):
                raise count
            self._looked[name] = now
            waiting = self._changed[name][1] if name in self._changed else self._fingerprints[name]
            if count != waiting.get("database_revision", -1):
                self._unknown.add(name)


def _without_objects(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fingerprint.items() if key not in ("objects", "database_revision")}


def _latest_fingerprints(journal: Journal) -> dict[str, dict[str, Any]]:
    rows = reversed(journal.latest(("device",), most=FINGERPRINT_ROWS))
    return {row.body["connection"]: row.body["fingerprint"] for row in rows if row.body["fingerprint"]}
