"""Strangers on the field bus, told to people: ids claimed twice, devices that nobody listed, datagrams not taken, a BBMD that is lost.

Nothing here changes where a device is asked or whether it is believed: claims on a bus without signatures prove nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controls.rows import alarm_row
from twin.clock import monotonic_s
from twin.journal import Record
from twin.site import BacnetNetwork, Connection

if TYPE_CHECKING:
    from controls.drivers.neighbours import Neighbours

DOUBLE_PRIORITY = 50  # alarm: two devices claim one id
BBMD_PRIORITY = 60  # alarm: another subnet is not heard
UNLISTED_PRIORITY = 80  # alarm: somebody who is no device of the site speaks to us
STRANGER_PRIORITY = 90  # alarm: devices that site.toml does not name
FORGOTTEN_S = 1800.0  # a claim not heard again for so long is over: everybody is asked every five minutes
TOLD_AGAIN = timedelta(minutes=10)  # a count that goes on growing is told anew this often
QUIET = timedelta(hours=1)  # without another datagram: the alarm ends
TOLD_MAX = 10  # named in one sentence


@dataclass(frozen=True, slots=True)
class _Told:
    message: str
    priority: int
    at: datetime


class Strangers:
    """Turns what the neighbours' ear heard, and what our sockets dropped, into alarms that begin and end."""

    def __init__(self, connections: Mapping[str, Connection], settings: BacnetNetwork, dropped: Callable[[], int]) -> None:
        devices = {name: c for name, c in connections.items() if c.protocol == "bacnet" and not c.vmac}
        self._places = {c.device: (name, f"{c.host}:{c.port}") for name, c in devices.items() if c.device}
        self._known = {int(text) for text in settings.known}
        self._bbmd = settings.bbmd
        self._dropped = dropped
        listens = devices and (settings.interface or settings.bbmd)
        hosts = {*settings.sources, *(c.host for c in devices.values())}
        self.ear = _ear(settings, hosts) if listens else None
        self._told: dict[str, _Told] = {}  # by alarm, as kind and source
        self._counted = 0
        self._grew: datetime | None = None

    async def open(self) -> None:
        """Begin to listen, registered with the BBMD before anybody is scanned."""
        if self.ear is not None:
            await self.ear.open()

    async def close(self) -> None:
        if self.ear is not None:
            await self.ear.close()

    def rows(self, now: datetime) -> list[Record]:
        """Alarms that begin, change or end now."""
        wanted = {**self._claims(), **self._unlisted(now), **self._registration()}
        rows = []
        for alarm, (message, priority) in wanted.items():
            told = self._told.get(alarm)
            if told is None or (told.message != message and now - told.at >= TOLD_AGAIN):
                self._told[alarm] = _Told(message, priority, now)
                rows.append(_row(alarm, message, priority, now, raised=True))
        over = [(alarm, self._told.pop(alarm).priority) for alarm in self._told.keys() - wanted.keys()]
        return [*rows, *(_row(alarm, "that is over", priority, now, raised=False) for alarm, priority in over)]

    def _claims(self) -> dict[str, tuple[str, int]]:
        """Double ids one by one, and all devices that nobody listed in one sentence."""
        if self.ear is None:
            return {}
        fresh_s = monotonic_s() - FORGOTTEN_S
        at: dict[int, list[str]] = {}
        for claim, heard_s in self.ear.claims.items():
            if heard_s >= fresh_s:
                at.setdefault(claim.instance, []).append(claim.address)
        alarms: dict[str, tuple[str, int]] = {}
        for instance, addresses in at.items():
            name, place = self._places.get(instance, ("", ""))
            everywhere = sorted({*addresses, *([place] if place else [])})
            if len(everywhere) > 1 and (name or len(alarms) < TOLD_MAX):  # forged claims must not flood the journal
                alarms[f"double.{instance}"] = (_double(instance, name, place, everywhere), DOUBLE_PRIORITY)
        unknown = sorted(set(at) - set(self._places) - self._known)
        if unknown:
            alarms["strangers.bacnet"] = (_unnamed(unknown, at), STRANGER_PRIORITY)
        return alarms

    def _unlisted(self, now: datetime) -> dict[str, tuple[str, int]]:
        senders = self.ear.unlisted if self.ear is not None else {}
        count = self._dropped() + sum(senders.values())
        if count > self._counted:
            self._counted, self._grew = count, now
        if self._grew is None or now - self._grew > QUIET:
            return {}
        named = ", ".join(f"{n} from {host}" for host, n in sorted(senders.items(), key=lambda pair: -pair[1])[:TOLD_MAX])
        told = f" ({named})" if named else ""
        message = f"{count} datagrams were not taken{told}: no devices of this site sent them, or too many came at once"
        return {"unlisted.bacnet": (f"{message}; find who sends them, or list the address under sources in [bacnet]", UNLISTED_PRIORITY)}

    def _registration(self) -> dict[str, tuple[str, int]]:
        if self.ear is None or not self._bbmd or self.ear.registered:
            return {}
        why = "refuses us" if self.ear.refused else "does not answer"
        return {f"bbmd.{self._bbmd}": (f"BBMD {self._bbmd} {why}: its subnet is not heard; check it and the way there", BBMD_PRIORITY)}


def _ear(settings: BacnetNetwork, hosts: Collection[str]) -> "Neighbours":
    from controls.drivers.neighbours import Neighbours  # here: it loads a second BACnet stack, and a restart has held points to free first

    return Neighbours(settings, hosts)


def _double(instance: int, name: str, place: str, everywhere: Collection[str]) -> str:
    if not name:
        return f"device {instance} announces itself from {', '.join(everywhere)}; give each device its own instance"
    others = ", ".join(address for address in everywhere if address != place)
    return (
        f"device {instance} ({name}, {place}) announces itself from {others} too; we go on asking {place}: "
        "give each device its own instance, or correct site.toml if it was moved"
    )


def _unnamed(unknown: list[int], at: Mapping[int, Collection[str]]) -> str:
    named = ", ".join(f"{instance} at {min(at[instance])}" for instance in unknown[:TOLD_MAX])
    more = f" and {len(unknown) - TOLD_MAX} more" if len(unknown) > TOLD_MAX else ""
    return f"devices that site.toml does not name: {named}{more}; add them, or list them under known in [bacnet]"


def _row(alarm: str, message: str, priority: int, now: datetime, *, raised: bool) -> Record:
    kind, _, source = alarm.partition(".")
    return alarm_row(kind, source, message, raised=raised, priority=priority, at=now)
