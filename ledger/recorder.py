"""The recorder follows a site's journal and seals what it says, seconds later; control never waits for it.

Each round: rows after the cursor -> statements of the gateway (and records that meters signed themselves) -> one checkpoint,
in whose transaction the contracts and the hourly claims follow -> the witness's cosignature. The cursor stands in the entries
themselves, so whatever was sealed is known to have been sealed: no row is lost and none is sealed twice.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger import statements
from ledger.carbon.claims import KIND as CLAIM
from ledger.carbon.claims import ClaimBook, Terms
from ledger.carbon.factors import FactorError
from ledger.cbor import Value
from ledger.chunk import ROWS_MOST, Chunk, make_chunk, sign_said
from ledger.contracts.policies import contracts
from ledger.contracts.told import alarm_body
from ledger.custody import GATEWAY, Enrolment, device_signer, enrol_devices, open_log
from ledger.entry import Signed, from_ms
from ledger.errors import ForkError, LedgerError, WitnessAwayError
from ledger.founding import ACTIVE
from ledger.group import Group
from ledger.log import Log, Sealed
from ledger.looks import clear_looks, looks_waiting
from ledger.replay import CONTRACT_FIELD, Contracts, Followed, View
from ledger.source import Source
from ledger.standing import kept_contracts
from ledger.succession import span_of
from ledger.witness_client import WitnessClient, cosign_newest
from twin.clock import monotonic_s, wall_now
from twin.journal import Journal, Record, Row
from twin.state import read_json, write_json
from twin.words import Alarm

CLOCK_SLACK = timedelta(minutes=4)  # the log refuses entries dated five minutes before the last one
WITNESS_TIMEOUT_S = 2.0
WITNESS_PAUSE_S = 15.0  # a witness that is away is asked again after this long
DELAYS_KEPT = 20_000  # enough for a 95th percentile of a day
ALARMS_LOOKED_BACK = 2000
Told = tuple[str, str, Mapping[str, Any]]
"""An entry kind, the contract that says it (empty: a claim), and its fields."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long journal rows waited for their checkpoint, in seconds."""

    count: int
    p50_s: float
    p95_s: float
    longest_s: float


class Recorder:
    """Seals one site's journal into its group's log."""

    def __init__(self, folder: Path, terms: Terms, journal: Journal, *, simulated: bool, witness_url: str = "") -> None:
        self.site = terms.site
        self.gateway = f"{terms.site}:{GATEWAY}"
        self._folder, self._terms, self._journal = folder, terms, journal
        self._log: Log = open_log(folder)
        self._client = WitnessClient(witness_url, WITNESS_TIMEOUT_S) if witness_url else None
        self._asked_s = -WITNESS_PAUSE_S
        self._signer = device_signer(folder, self.gateway)
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self._said_changed: set[str] = set()
        self._refused_at = 0
        self._factor_missing = ""
        self.cursor = 0
        self._policies: dict[str, Mapping[str, Value]] = {}
        _require_same_world(self._log.current, terms.site, simulated)
        self._stand_where_the_log_stands()
        if self.cursor > journal.size():
            has = f"the log was sealed up to row {self.cursor}, this journal has {journal.size()}"
            raise LedgerError(f"{journal.path}: {has}; restore the journal that belongs to it")

    def open(self) -> None:
        """Ask the witness first: a log restored from an old backup must not go on. A witness that is away stops nothing."""
        self._ask_how_far_the_witness_is()
        self.cosign()
        self._tell_missing_alarms()

    def step(self) -> int:
        """Seal what is new; returns how many journal rows were handled. One durable checkpoint, or none when nothing is new."""
        if self._group_now().policies != self._policies:
            self._stand_where_the_log_stands()
        chunk = make_chunk(self._journal.after(self.cursor, most=ROWS_MOST), self._unanswered, wall_now())
        if chunk is None:
            self._seal_looks()
            return 0
        if not self._gateway_may_speak():
            return self._refuse_once(chunk)
        self._enrol_found(chunk.rows)
        if chunk.said:
            self._seal(chunk)
        self.cursor = chunk.last
        self._keep_status()
        return len(chunk.rows)

    def cosign(self) -> bool:
        """Have the newest checkpoint cosigned; False while the witness is away. ForkError stops the sealing."""
        if self._client is None or monotonic_s() - self._asked_s < WITNESS_PAUSE_S:
            return False
        try:
            self.final_size = cosign_newest(self._log, self._client)
        except WitnessAwayError:
            self._asked_s = monotonic_s()
            return False
        return True

    def _ask_how_far_the_witness_is(self) -> None:
        """Offer the newest cosigned checkpoint again: a witness that has seen a longer log answers with its size."""
        note = self._log.newest()
        size = note.checkpoint.size
        if self._client is None or not self._log.cosigned(size):
            return  # the first cosigning asks
        try:
            status, told = self._client.add_checkpoint(size, [], note)
        except WitnessAwayError:
            self._asked_s = monotonic_s()
            return
        if status == 409:
            raise ForkError(
                f"{self._folder}: the witness has seen {told.strip()} entries, this log has {size}; restore the log to size {told.strip()}"
            )

    def finish(self) -> None:
        """Seal what is there, ask the witness a last time, and close."""
        while self.step():
            pass
        self._asked_s = -WITNESS_PAUSE_S
        self.cosign()
        self._keep_status()
        self.close()

    def close(self) -> None:
        self._log.close()

    @property
    def behind(self) -> bool:
        """Whether the newest checkpoint still lacks its cosignature."""
        return self._client is not None and self.final_size != self._log.size()

    def delay(self) -> Delay:
        """How long rows waited for their checkpoint."""
        waits = sorted(self._delays) or [0.0]
        count = len(waits)
        return Delay(len(self._delays), waits[count // 2], waits[min(count - 1, count * 95 // 100)], waits[-1])

    # Where the log stands: everything below follows from sealed entries.

    def _stand_where_the_log_stands(self) -> None:
        self.final_size = 0
        self._sealed_at = datetime.min.replace(tzinfo=UTC) + CLOCK_SLACK
        self.cursor = self._kept_cursor()
        self._unanswered: set[str] = set()
        self._alarms: deque[tuple[int, str]] = deque(maxlen=ALARMS_LOOKED_BACK)
        group = self._log.current
        self._policies = dict(group.policies)
        self._contracts, self._stood_at = Contracts(list(contracts().values()), group.policies), 0
        if destroyed := [span_of(group, epoch.number)[1] for epoch in group.epochs.values() if epoch.destroyed]:
            self._contracts, self._stood_at = kept_contracts(self._log)
            if self._stood_at <= max(destroyed):
                raise LedgerError(
                    f"{self._folder}/contracts.standing: is missing or false, and what it stood for was destroyed; restore it"
                )
        self._book = ClaimBook(self._terms)
        self._fed = 0
        self._catch_up(self._log.size())

    def _catch_up(self, size: int) -> None:
        """Take in sealed entries up to `size`: after a start, or when another process sealed in between."""
        for stored in self._log.stored(self._fed, size):
            if stored.entry.rule.open and not stored.entry.rule.fed:
                continue
            if self._log.current.destroyed(stored.epoch):
                continue
            view = View(stored.number, stored.entry, self._log.body(stored))
            if stored.number >= self._stood_at:
                self._contracts.feed([view])
            self._book.feed(view)
            if view.entry.source == self.gateway:
                self._remember(view)
        self._fed = size

    def _remember(self, view: View) -> None:
        fields = dict(view.body.fields)
        self._sealed_at = max(self._sealed_at, from_ms(view.entry.wall_ms))
        if statements.JOURNAL_FIELD in fields:
            self.cursor = max(self.cursor, fields[statements.JOURNAL_FIELD][1])
        if view.contract and view.entry.kind.startswith("alarm."):
            self._alarms.append((view.number, view.entry.kind))
        if view.entry.kind == "control.action":
            if fields.get("late"):
                self._unanswered.discard(fields["id"])
            elif fields["outcome"]["result"] == statements.UNANSWERED:
                self._unanswered.add(fields["id"])

    # Sealing.

    def _seal(self, chunk: Chunk) -> None:
        wall = wall_now()
        if wall < self._sealed_at - CLOCK_SLACK:
            raise LedgerError(f"the clock went back from {self._sealed_at:%H:%M:%S} to {wall:%H:%M:%S}; sealing waits until it is right")
        source = self._log.source(self._signer, self.gateway)
        looks = looks_waiting(self._folder)
        items: list[Signed | bytes] = [look for _, look in looks]
        items += [item if isinstance(item, bytes) else sign_said(source, item, chunk.last, wall) for item in chunk.said]
        told: list[Told] = []
        try:
            sealed = self._log.seal(items, wall, lambda views: self._follow(views, source, wall, told))
        except LedgerError:
            self._stand_where_the_log_stands()  # the contracts took in what was not kept
            raise
        self._fed, self._sealed_at = sealed.checkpoint.size, wall
        clear_looks(looks)
        done = wall_now()
        self._delays.extend((done - row.wall).total_seconds() for row in chunk.rows)
        self._tell_alarms(sealed, told)

    def _seal_looks(self) -> None:
        """What inspectors looked at while nothing else was new."""
        looks, wall = looks_waiting(self._folder), wall_now()
        if looks and wall >= self._sealed_at - CLOCK_SLACK:
            source = self._log.source(self._signer, self.gateway)
            sealed = self._log.seal([look for _, look in looks], wall, lambda views: self._follow(views, source, wall, []))
            self._fed, self._sealed_at = sealed.checkpoint.size, wall
            clear_looks(looks)

    def _follow(self, views: Sequence[View], source: Source, wall: datetime, told: list[Told]) -> Followed:
        """What follows from a checkpoint's entries, inside its transaction: contracts' events, then claims that became due."""
        self._catch_up(self._log.size())
        said = self._contracts.feed(views)
        for view in views:
            self._book.feed(view)
        told += [(event.kind, contract, event.fields) for contract, event in said]
        items = [
            source.entry(event.kind, {CONTRACT_FIELD: name, **event.fields}, from_ms(event.fields["time_ms"]), wall) for name, event in said
        ]
        for fields in self._claims(wall):
            told.append((CLAIM, "", dict(fields)))
            items.append(source.entry(CLAIM, fields, from_ms(dict(fields)["to_ms"]), wall))
        return Followed(items, self._contracts.roots())

    def _claims(self, wall: datetime) -> list[list[tuple[str, Value]]]:
        try:
            return self._book.due(wall.date())
        except FactorError as error:
            self._factor_missing = str(error)
            return []

    def _gateway_may_speak(self) -> bool:
        device = self._group_now().device(self.gateway)
        if device.key is not None and device.key.key_id != self._signer.key_id:
            self._signer = device_signer(self._folder, self.gateway)  # the owner gave it a new key: the log takes no other
        return device.status == ACTIVE

    def _group_now(self) -> Group:
        """The group, read again only when another process sealed something."""
        return self._log.group() if self._log.size() != self._fed else self._log.current

    def _refuse_once(self, chunk: Chunk) -> int:
        """A gateway that was suspended or revoked: the log seals the refusal once; rows wait until it may speak again."""
        first = next((item for item in chunk.said if not isinstance(item, bytes)), None)
        if self._refused_at == chunk.rows[0].number or first is None:
            return 0
        wall = wall_now()
        self._log.seal([sign_said(self._log.source(self._signer, self.gateway), first, 0, wall)], wall)
        self._catch_up(self._log.size())
        self._refused_at = chunk.rows[0].number
        message = (
            f"{self.gateway} is not allowed to sign any more; nothing is sealed until the owner runs `wattproof device resume` or `replace`"
        )
        self._alarm("gateway", self.gateway, message, 10, first[2].at)
        return 0

    def _enrol_found(self, rows: Sequence[Row]) -> None:
        """Field devices seen for the first time are enrolled by fingerprint, the gateway vouching; a changed one raises an alarm."""
        known = self._group_now().devices
        new: dict[str, Enrolment] = {}
        for row in rows:
            if row.kind != "device" or not row.body.get("fingerprint") or row.body.get("event") == "lost":
                continue
            source = f"{self.site}:{row.body['connection']}"
            fingerprint: Mapping[str, Value] = statements.whole(row.body["fingerprint"])
            if source not in known:
                new.setdefault(source, Enrolment(source, address=row.body["connection"], fingerprint=fingerprint, vouched_by=self.gateway))
            elif known[source].fingerprint != fingerprint and known[source].key is None and source not in self._said_changed:
                self._said_changed.add(source)
                message = f"{source} is not the device that was enrolled: {_difference(known[source].fingerprint, fingerprint)}"
                self._alarm("device_changed", source, message, 40, row.at)
        if new and (self._folder / "keys" / "owner.key").exists():
            try:
                enrol_devices(self._folder, new.values())
            except LedgerError as error:
                self._alarm("device", self.site, f"{', '.join(new)} could not be enrolled: {error}", 60, rows[-1].at)

    # What people must see.

    def _tell_alarms(self, sealed: Sealed, told: Sequence[Told]) -> None:
        numbers = sealed.numbers[len(sealed.numbers) - len(told) :] if told else ()
        self._journal_alarms(
            (number, kind, contract, fields) for number, (kind, contract, fields) in zip(numbers, told, strict=True) if contract
        )

    def _journal_alarms(self, alarms: Iterable[tuple[int, str, str, Mapping[str, Any]]]) -> None:
        records = [Record("alarm", from_ms(fields["time_ms"]), alarm_body(*alarm)) for alarm in alarms for fields in [alarm[3]]]
        if records:
            self._journal.append(records)

    def _tell_missing_alarms(self) -> None:
        """Alarms that were sealed but not journalled, because the process ended between the two."""
        shown = {row.body.get("entry") for row in self._journal.latest(("alarm",), ALARMS_LOOKED_BACK)}
        missing = [number for number, _ in self._alarms if number not in shown]
        views = [next(self._log.stored(number, number + 1)) for number in missing]
        told = [(stored.number, stored.entry.kind, dict(self._log.body(stored).fields)) for stored in views]
        self._journal_alarms((number, kind, fields[CONTRACT_FIELD], fields) for number, kind, fields in told)

    def _alarm(self, kind: str, source: str, message: str, priority: int, at: datetime) -> None:
        alarm = Alarm(f"{kind}.{source}", kind, source, message, at, priority=priority)
        self._journal.append([Record("alarm", at, alarm.body())])

    # The state file: for pages, and for rounds that sealed nothing.

    def _status_file(self) -> Path:
        return self._folder / f"recorder-{self.site}.json"

    def _kept_cursor(self) -> int:
        path = self._status_file()
        kept = read_json(path) if path.exists() else {}
        return int(kept.get("cursor", 0)) if kept.get("journal") == str(self._journal.path) else 0

    def _keep_status(self) -> None:
        delay = self.delay()
        status = {
            "site": self.site,
            "journal": str(self._journal.path),
            "cursor": self.cursor,
            "size": self._log.size(),
            "final_size": self.final_size,
            "rows_timed": delay.count,
            "seal_delay_p50_s": round(delay.p50_s, 3),
            "seal_delay_p95_s": round(delay.p95_s, 3),
            "seal_delay_longest_s": round(delay.longest_s, 3),
            "no_claims_because": self._factor_missing,
        }
        write_json(self._status_file(), status)


def _require_same_world(group: Group, site: str, simulated: bool) -> None:
    if group.founding.simulated != simulated:
        is_, group_is = ("simulated", "real") if simulated else ("real", "simulated")
        raise LedgerError(f"{site} is a {is_} site, group {group.founding.name} is for {group_is} ones; found another group for it")


def _difference(before: Mapping[str, Value], now: Mapping[str, Value]) -> str:
    changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    return ", ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in changed)
