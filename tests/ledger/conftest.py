"""One owner's house with its government, over real HTTP; each test gets its own."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.bundle import Bundle
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.custody import Enrolment, device_signer, enrol_devices, found_group, issue_gateway, make_bundle, open_log
from ledger.entry import Signed, digest
from ledger.envelope import seal_body
from ledger.group import Group
from ledger.log import Log, Sealed
from ledger.source import Source
from ledger.tree import grow, root_of
from ledger.trust import Trust
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient, cosign_newest

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
GATEWAY, METER, FAN = "demo:gateway", "demo:em_main", "demo:ahu_1"


@dataclass
class House:
    """A group in use: the gateway reads, the meter signs its own records, the government cosigns."""

    folder: Path
    group: Group
    server: WitnessServer
    client: WitnessClient
    now: datetime = NOW
    logs: list[Log] = field(default_factory=list)

    def open(self) -> Log:
        log = open_log(self.folder)
        self.logs.append(log)
        return log

    @property
    def log(self) -> Log:
        return self.logs[-1] if self.logs else self.open()

    def gateway(self) -> Source:
        return self.log.source(device_signer(self.folder, GATEWAY), GATEWAY)

    def meter(self) -> Source:
        return self.log.source(device_signer(self.folder, METER), METER)

    def wait(self, minutes: float) -> datetime:
        self.now += timedelta(minutes=minutes)
        return self.now

    def batch(self, source: Source, value: int = 215) -> Signed:
        return source.entry(
            "reading.batch", [("ahu_1.sa_t", [value, "good"]), ("em_main.energy", [value * 10, "good"])], self.now, self.now
        )

    def seal(self, *items: Signed | bytes) -> Sealed:
        return self.log.seal(items, self.now)

    def live(self, hours: int = 3) -> None:
        """Some hours of readings, one checkpoint each, then cosigned."""
        gateway, meter = self.gateway(), self.meter()
        for hour in range(hours):
            self.wait(60)
            record = meter.record("reading.batch", [("em_main.energy", 1000 * hour)], self.now, self.now)
            self.seal(self.batch(gateway, 210 + hour), record)
        self.cosign()

    def cosign(self) -> int:
        return cosign_newest(self.log, self.client)

    def bundle(self) -> Bundle:
        return make_bundle(self.folder)

    @property
    def trust(self) -> Trust:
        return self.server.witness.trust(self.group.founding.name)

    def close(self) -> None:
        for log in self.logs:
            log.close()


@dataclass
class Street:
    """Houses of several owners, one government."""

    root: Path
    server: WitnessServer
    houses: list[House] = field(default_factory=list)

    def build(self, name: str, owner: str, policies: Sequence[Mapping[str, object]] = (), devices: bool = True) -> House:
        folder, client = self.root / "groups" / name, WitnessClient(self.server.url)
        group = found_group(folder, name, owner, client, simulated=True, policies=policies, at=NOW)
        house = House(folder, group, self.server, client)
        self.houses.append(house)
        if not devices:
            return house
        issue_gateway(folder, "demo", NOW)
        fan = Enrolment(FAN, "AHU", "bacnet:ahu_1", {"vendor": "7", "serial": "A-12"}, GATEWAY)
        enrol_devices(folder, [Enrolment(METER, "Building_Electrical_Meter", "modbus:main_meter"), fan], NOW)
        return house


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    server = WitnessServer(Witness(tmp_path / "witness"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    street = Street(tmp_path, server)
    yield street
    for house in street.houses:
        house.close()
    server.shutdown()
    server.server_close()
    thread.join()
    server.witness.close()


@pytest.fixture
def house(street: Street) -> House:
    return street.build("riverside", "Ann")


class CarelessLog(Log):
    """A log that seals whatever its owner likes: no checks, and what it says of itself may be false."""

    def seal_anything(self, items: list[Signed], now, **lies: object) -> None:
        tip = self._tip
        leaves = [row.entry.hash for row in self.stored(0, self.size())]
        rows, sources = [], {source: [last.seq, last.hash, last.wall_ms] for source, last in tip.standing.items()}
        for item in items:
            rows.append(item)
            sources[item.entry.source] = [item.entry.seq, item.entry.hash, item.entry.wall_ms]
        facts = {
            "members": tip.group.root,
            "contracts": dict(tip.contracts),
            "checkpoint": digest(tip.note.text.encode()),
            "sources": sources,
            **lies,
        }
        rows.append(self.source(self.signer, "log").entry("state", facts, now, now))
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        for number, item in enumerate(rows, len(leaves)):
            entry = item.entry
            db.execute(
                "INSERT INTO entry VALUES (?,?,?,?,?,?,?)",
                (number, entry.kind, entry.source, entry.seq, entry.wall_ms, entry.encode(), entry.hash),
            )
            box = item.body.encode() if entry.rule.open else seal_body(self._data_keys[1], entry, item.body.encode(), 1)
            db.execute("INSERT INTO body VALUES (?,?,?)", (number, 0 if entry.rule.open else 1, box))
            leaves.append(entry.hash)
        peaks: list[bytes] = []
        for number, leaf in enumerate(leaves):
            for level, position, hash_ in grow(peaks, number, leaf):
                db.execute("INSERT OR IGNORE INTO node VALUES (?,?,?)", (level, position, hash_))
        note = sign_checkpoint(Checkpoint(tip.group.origin, len(leaves), root_of(leaves)), self.signer)
        db.execute("INSERT INTO checkpoint VALUES (?,?,?)", (len(leaves), note.signed, rows[-1].entry.wall_ms))
        db.execute("COMMIT")
        self._tip = self._load()


@pytest.fixture
def careless(house) -> CarelessLog:
    house.live(1)
    log = CarelessLog(house.folder / "log.db", house.log.signer, house.log._data_keys)
    house.logs.append(log)
    return log


@pytest.fixture
def forge() -> Callable[..., Bundle]:
    """Alter one entry of a bundle as a forger would, everything else left as it is."""

    def forge(bundle: Bundle, number: int, **changes: object) -> Bundle:
        pieces = [replace(piece, **changes) if piece.number == number else piece for piece in bundle.pieces]
        return replace(bundle, pieces=tuple(pieces))

    return forge
