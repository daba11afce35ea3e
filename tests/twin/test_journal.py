"""The journal: durable, chained, shared by processes, never changed."""

import multiprocessing
import sqlite3
import threading
from datetime import UTC, datetime

import pytest

from twin.errors import StateError
from twin.journal import Journal, Record

AT = datetime(2025, 7, 14, 8, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.db")


def test_rows_come_back_in_order_and_by_kind(journal):
    journal.append([Record("command", AT, {"point": "a"}), Record("outcome", AT, {"point": "a"}), Record("command", AT, {"point": "b"})])

    assert [(r.number, r.kind, r.body["point"]) for r in journal.after(0)] == [
        (1, "command", "a"),
        (2, "outcome", "a"),
        (3, "command", "b"),
    ]
    assert [r.number for r in journal.after(1, ("command",))] == [3]
    assert [r.number for r in journal.latest(("command",), 2)] == [3, 1]
    assert journal.after(0)[0].at == AT
    assert journal.check() == 3


def test_an_unknown_kind_or_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="journal kind 'gossip'"):
        Record("gossip", AT, {})
    with pytest.raises(ValueError, match="aware"):
        Record("command", AT.replace(tzinfo=None), {})


def test_a_row_can_be_neither_changed_nor_deleted(journal):
    journal.append([Record("command", AT, 1)])
    db = sqlite3.connect(journal.path)

    for words in ("UPDATE journal SET body = '2'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            db.execute(words)


def test_an_altered_row_is_found_and_named(journal):
    journal.append([Record("command", AT, n) for n in range(5)])
    db = sqlite3.connect(journal.path)
    db.executescript("DROP TRIGGER journal_stays; UPDATE journal SET body = '7' WHERE number = 3;")

    with pytest.raises(StateError, match="row 3 does not fit"):
        journal.check()


def test_a_transaction_that_fails_leaves_nothing(journal):
    with pytest.raises(ValueError, match="Out of range float"):
        journal.append([Record("command", AT, 1), Record("command", AT, float("nan"))])

    assert journal.size() == 0
    assert journal.append([Record("command", AT, 2)]) == 1


def _append(path, count):
    journal = Journal(path)
    for n in range(count):
        journal.append([Record("outcome", AT, n)])


def test_several_processes_append_to_one_chain(journal):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(journal.path, 20)) for _ in range(2)]
    for writer in writers:
        writer.start()
    _append(journal.path, 20)
    for writer in writers:
        writer.join(60)

    assert journal.check() == 60


def test_a_journal_that_cannot_be_opened_says_so(tmp_path):
    (tmp_path / "journal.db").write_text("this is no database, and long enough to be looked at" * 50)

    with pytest.raises(StateError, match="the journal cannot be opened"):
        Journal(tmp_path / "journal.db")


def test_nobody_sees_half_of_what_another_thread_is_writing(journal):
    seen: set[int] = set()

    def write() -> None:
        for _ in range(40):
            journal.append(Record("score", AT, {"n": n}) for n in range(50))

    writing = threading.Thread(target=write)
    writing.start()
    while writing.is_alive():
        seen |= {journal.size() % 50, len(journal.after(0, most=10_000)) % 50}
    writing.join()
    assert seen <= {0}
    assert journal.check() == journal.size() == 2000
