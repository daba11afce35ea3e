"""Single bits changed by chance, and every named attack: each is found and named. Seeds are printed; the long run has ten thousand."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.audit import audit_log
from ledger.bundle import Bundle
from ledger.entry import Entry, digest
from ledger.epochs import member_data_keys
from ledger.errors import FormatError
from ledger.keys import read_envelope_key
from ledger.verify import verify_bundle

TABLES = ("entry", "body", "node", "checkpoint", "cosignature")
SEEDS = [pytest.param(400, 1), pytest.param(10_000, 2, marks=pytest.mark.long)]
LONG_BUNDLE = [pytest.param(150, 1), pytest.param(10_000, 2, marks=pytest.mark.long)]


@pytest.mark.parametrize(("flips", "seed"), LONG_BUNDLE)
def test_a_bit_changed_anywhere_in_a_bundle_is_found_and_its_entry_named(house, flips: int, seed: int) -> None:
    house.live(2)
    content, trust = house.bundle().encode()[:-32], house.trust
    places = _places_of_pieces(house.bundle(), content)
    chance = random.Random(seed)

    for _ in range(flips):
        place, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        altered = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
        repaired = verify_bundle(altered + digest(altered), trust)
        damaged = verify_bundle(altered + digest(content), trust)
        assert not repaired.ok, f"seed {seed}: bit {bit} of byte {place} was not found"
        assert "closing digest does not fit" in damaged.steps[0].detail
        named = {finding.entry for finding in repaired.findings}
        hit = places.get(place)
        assert hit is None or hit in named or hit == 0, f"seed {seed}: byte {place} lies in entry {hit}, named were {named}"


def _places_of_pieces(bundle: Bundle, content: bytes) -> dict[int, int]:
    """Byte of the file -> the entry that it belongs to."""
    found, here = {}, 0
    for piece in bundle.pieces:
        for part in (piece.leaf, piece.body):
            begin = content.index(part, here)
            here = begin + len(part)
            found |= dict.fromkeys(range(begin, here), piece.number)
    return found


@pytest.fixture
def altered(house, tmp_path: Path) -> Callable[[Callable[[sqlite3.Connection], None]], list[tuple[str, str]]]:
    """What an audit says of the log's file after somebody with a database tool was at it."""
    house.live(2)
    key = member_data_keys(house.log, read_envelope_key(house.folder / "keys" / "owner.envelope.key"), "owner")
    copy = sqlite3.connect(house.folder / "log.db")
    plain = sqlite3.connect(tmp_path / "plain.db")
    copy.backup(plain)
    for table in TABLES:
        plain.execute(f"DROP TRIGGER {table}_stays")
        plain.execute(f"DROP TRIGGER {table}_kept")
    plain.commit()
    plain.close()
    copy.close()

    def alter(change: Callable[[sqlite3.Connection], None]) -> list[tuple[str, str]]:
        path = tmp_path / "altered.db"
        shutil.copy(tmp_path / "plain.db", path)
        db = sqlite3.connect(path)
        change(db)
        db.commit()
        db.close()
        return [(damage.table, damage.row) for damage in audit_log(path, key)]

    return alter


def test_an_honest_log_has_nothing_to_say(altered) -> None:
    assert altered(lambda db: None) == []


@pytest.mark.parametrize(("flips", "seed"), SEEDS)
def test_a_bit_changed_in_any_value_of_the_database_is_found_and_its_row_named(altered, flips: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(flips):
        table = chance.choice(TABLES)
        told: list[object] = []

        def flip(db: sqlite3.Connection, table: str = table, told: list[object] = told) -> None:
            row = chance.choice(db.execute(f"SELECT rowid, * FROM {table}").fetchall())
            names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
            column = chance.randrange(len(names))
            told[:] = [table, names[column], row[1]]
            db.execute(f"UPDATE OR REPLACE {table} SET {names[column]} = ? WHERE rowid = ?", (_flipped(row[1 + column], chance), row[0]))

        found = altered(flip)
        assert any(damage == table for damage, _ in found), f"seed {seed}: {told} was changed, the audit says {found}"


def _flipped(value: object, chance: random.Random) -> object:
    if isinstance(value, int):
        return value ^ 1 << chance.randrange(40)
    data = bytearray(value.encode() if isinstance(value, str) else value)
    place = chance.randrange(len(data))
    data[place] ^= 1 << chance.randrange(8 if isinstance(value, bytes) else 7)
    return bytes(data) if isinstance(value, bytes) else data.decode(errors="replace")


@pytest.mark.parametrize(("flips", "seed"), [pytest.param(60, 3), pytest.param(10_000, 4, marks=pytest.mark.long)])
def test_a_bit_changed_in_the_file_itself_is_found_or_changes_no_value(house, tmp_path: Path, flips: int, seed: int) -> None:
    """Free space inside the pages means nothing: whatever changed a value, or hides one, is found."""
    house.live(1)
    key = member_data_keys(house.log, read_envelope_key(house.folder / "keys" / "owner.envelope.key"), "owner")
    path = tmp_path / "copy.db"
    with sqlite3.connect(path) as copy, sqlite3.connect(house.folder / "log.db") as log:
        log.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    data, before, chance = path.read_bytes(), _values(path), random.Random(seed)

    for _ in range(flips):
        place, bit = chance.randrange(100, len(data)), 1 << chance.randrange(8)  # the first 100 bytes are SQLite's own
        path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        assert audit_log(path, key) or _values(path) == before, f"seed {seed}: bit {bit} of byte {place} was not found"


def _values(path: Path) -> object:
    with sqlite3.connect(path) as db:
        try:
            return [db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES]
        except sqlite3.Error:
            return None


SWAPPED = """
    UPDATE entry SET number = -1 WHERE number = 6;
    UPDATE entry SET number = 6 WHERE number = 7;
    UPDATE entry SET number = 7 WHERE number < 0"""
DOUBLED = """
    INSERT INTO entry SELECT (SELECT max(number) + 1 FROM entry), kind, source || 2, seq, wall_ms, leaf, hash FROM entry WHERE number = 7"""


@pytest.mark.parametrize(
    ("attack", "table"),
    [
        ("DELETE FROM entry WHERE number = 7", "entry"),
        (SWAPPED, "checkpoint"),
        ("UPDATE entry SET wall_ms = wall_ms - 3600000 WHERE number = 7", "entry"),
        (DOUBLED, "entry"),
        ("DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)", "checkpoint"),
        ("DELETE FROM body WHERE number = (SELECT max(number) FROM body)", "body"),
        ("DELETE FROM node WHERE level = 2", "node"),
    ],
)
def test_rows_dropped_reordered_back_dated_or_duplicated_are_found(altered, attack: str, table: str) -> None:
    found = altered(lambda db: db.executescript(attack))

    assert table in {damage for damage, _ in found}


def test_an_entry_whose_bytes_cannot_be_read_is_named(altered) -> None:
    found = altered(lambda db: db.execute("UPDATE entry SET leaf = x'00' WHERE number = 5"))

    assert ("entry", "5") in found
    with pytest.raises(FormatError):
        Entry.decode(b"\x00")
