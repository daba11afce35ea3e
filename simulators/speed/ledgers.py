"""Speed of the ledger: durable ingest, proofs in a large log, and a meter-year verified offline.

Everything is measured on real logs of a group that is founded for it, with salts and encryption on.
"""

import os
import random
import resource
import sqlite3
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.custody import device_signer, found_group, issue_gateway, make_bundle, open_log
from ledger.entry import Signed
from ledger.keys import P256Signer
from ledger.log import Log
from ledger.reader import Reader
from ledger.source import Source
from ledger.tree import fold, grow, leaf_hash, verify_inclusion
from ledger.verify import verify_bundle
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient, cosign_newest
from simulators.speed.figures import Figure
from twin.clock import monotonic_s

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
SITE, GATEWAY = "speed", "speed:gateway"
RUNS = 3
CHECKS = 2000


# Ingest


@dataclass(frozen=True, slots=True)
class Load:
    """How readings come in: so many in each signed batch, so many batches under one checkpoint."""

    name: str
    readings: int
    batches: int
    checkpoints: int
    target: float


LOADS = (
    Load("batches of 1,000", 1000, 25, 4, 100_000),
    Load("batches of 60", 60, 250, 4, 50_000),
    Load("each signed by itself", 1, 2500, 4, 10_000),
)


def ingest(folder: Path) -> Iterator[Figure]:
    """Readings a second from signature check to signed checkpoint on the disk, one process on one core: the middle of three runs."""
    for load in LOADS:
        rates = []
        for run in range(RUNS):
            with _group(folder / f"{load.readings}-{run}") as (log, source, _):
                rates.append(_ingest_rates(log, source, load))
        wall, cpu = (statistics.median(column) for column in zip(*rates, strict=True))
        name = f"durable ingest, {load.name}, {load.batches} under a checkpoint"
        peers = {"a second of CPU": cpu, "bare P-256 checks a second of CPU": _bare_checks_a_second() * load.readings}
        yield Figure(name, wall, "1/s", load.target, more_is_better=True, peers=peers)


def _ingest_rates(log: Log, source: Source, load: Load) -> tuple[float, float]:
    waiting = [[_record(source, load.readings, at * load.batches + n) for n in range(load.batches)] for at in range(load.checkpoints)]
    end = BEGIN + timedelta(days=1)
    begun, begun_cpu = monotonic_s(), _cpu_s()
    for records in waiting:
        assert log.seal(records, end).refused == ()
    wall, cpu = monotonic_s() - begun, _cpu_s() - begun_cpu
    readings = load.readings * load.batches * load.checkpoints
    return readings / wall, readings / cpu


def _bare_checks_a_second() -> float:
    """How many signatures this core checks in a second: no log that checks each one can be faster."""
    signer, message = P256Signer.generate(), bytes(300)
    signature = signer.sign(message)
    begun = _cpu_s()
    for _ in range(CHECKS):
        signer.public.verify(message, signature)
    return CHECKS / (_cpu_s() - begun)


def _record(source: Source, readings: int, number: int) -> bytes:
    """A batch as a gateway sends it: entry and body, signed."""
    at = BEGIN + timedelta(seconds=number)
    time_ms = int(at.timestamp()) * 1000
    fields = [(f"zone_{point:04d}.air_temperature", [time_ms, 21_500 + point, -3, "good", ""]) for point in range(readings)]
    return source.entry("reading.batch", fields, at, at).encode()


# A meter's year


YEAR_MINUTES, BATCH_MINUTES = 525_600, 15
RAM_FOLDER = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)


def meter_year(folder: Path, minutes: int = YEAR_MINUTES) -> Iterator[Figure]:
    """A meter read every minute for a year, sealed every quarter of an hour, verified offline in one go."""
    # In memory where there is such a folder: how the year was sealed is not what is measured.
    with (
        tempfile.TemporaryDirectory(dir=RAM_FOLDER if RAM_FOLDER.is_dir() else folder) as home,
        _group(Path(home)) as (log, source, server),
    ):
        for batch in range(minutes // BATCH_MINUTES):
            at = BEGIN + timedelta(minutes=BATCH_MINUTES * (batch + 1))
            log.seal([_meter_batch(source, at)], at)
        cosign_newest(log, WitnessClient(server.url))
        data, trust = make_bundle(Path(home) / "group").encode(), server.witness.trust("speed")
    begun = monotonic_s()
    report = verify_bundle(data, trust, cores=os.cpu_count() or 1)
    took = monotonic_s() - begun
    assert report.ok, report.steps
    yield Figure(f"a meter-year verified offline, {minutes:,} readings in a file of {len(data) / 1e6:.0f} MB", took, "s", 10)


def _meter_batch(source: Source, at: datetime) -> Signed:
    """A quarter of an hour of a meter's register, minute by minute, in watt-hours."""
    end_s = int(at.timestamp())
    minutes = range(end_s - 60 * BATCH_MINUTES, end_s, 60)
    return source.entry("reading.batch", [("em_main.energy", [1000 * t, t // 60 * 250, 0, "good", ""]) for t in minutes], at, at)


# Proofs in a large log


LARGE = 10_000_000
CHUNK_LEVEL = 16
PROOFS = 2000
DEMO_ENTRIES_A_DAY = 2194  # what one simulated day of the demo office sealed, state leaves among them: `wattproof demo --days 1`


def proofs(folder: Path, size: int = LARGE) -> Iterator[Figure]:
    """Inclusion proofs from a log with the hashes of ten million entries on the disk (the entries' own bytes are left out)."""
    with _group(folder / "large") as (log, _, _):
        path = log.path
    root = _fill(path, size)
    reader, chance = Reader(path), random.Random(7)  # noqa: S311 (which entries are asked for is no secret)
    times_s, longest = [], 0
    for number in chance.sample(range(size), min(PROOFS, size)):
        begun = monotonic_s()
        proof = reader.inclusion(number, size)
        times_s.append(monotonic_s() - begun)
        longest = max(longest, len(proof))
        verify_inclusion(_leaf_of(number), number, size, proof, root)
    reader.close()
    p99_ms = 1000 * sorted(times_s)[int(0.99 * len(times_s))]
    years = f"{size / DEMO_ENTRIES_A_DAY / 365:.0f} years of the demo site"
    yield Figure(f"inclusion proof in a log of {size:,} entries ({years}), p99", p99_ms, "ms", 5)
    yield Figure(f"longest inclusion proof in a log of {size:,} entries", longest, "hashes", 24)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("memory of the process that measured all this, highest", peak_mb, "MB", 1024)


def _fill(path: Path, size: int) -> bytes:
    """Put a tree of `size` leaves into the log's tables, chunk by chunk; returns its root."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
    for table in ("entry", "node"):
        db.execute(f"DROP TRIGGER {table}_kept")
        db.execute(f"DELETE FROM {table}")  # noqa: S608 (two names that stand here)
    db.execute("BEGIN")
    peaks: list[bytes] = []
    for low in range(0, size, 1 << CHUNK_LEVEL):
        leaves = [_leaf_of(number) for number in range(low, min(size, low + (1 << CHUNK_LEVEL)))]
        rows = ((low + n, "reading.batch", GATEWAY, low + n + 1, 0, b"", leaf) for n, leaf in enumerate(leaves))
        db.executemany("INSERT INTO entry VALUES (?,?,?,?,?,?,?)", rows)
        nodes: list[tuple[int, int, bytes]] = []
        for n, leaf in enumerate(leaves):
            nodes += grow(peaks, low + n, leaf)
        db.executemany("INSERT INTO node VALUES (?,?,?)", nodes)
    db.execute("COMMIT")
    db.close()
    return fold(peaks)


def _leaf_of(number: int) -> bytes:
    return leaf_hash(number.to_bytes(8, "big"))


def _cpu_s() -> float:
    """Seconds of CPU this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def _group(folder: Path) -> Iterator[tuple[Log, Source, WitnessServer]]:
    """A group of its own with a gateway, and the government's witness over HTTP."""
    server = WitnessServer(Witness(folder / "witness"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    client, home = WitnessClient(server.url), folder / "group"
    found_group(home, "speed", "owner", client, simulated=True, at=BEGIN)
    issue_gateway(home, SITE, BEGIN)
    log = open_log(home)
    try:
        yield log, log.source(device_signer(home, GATEWAY), GATEWAY), server
    finally:
        log.close()
        server.shutdown()
        server.server_close()
        thread.join()
        server.witness.close()
