"""The history keeps each reading once and knows the newest."""

from datetime import UTC, datetime, timedelta

from twin.history import History
from twin.words import Quality, Reading, Reason

AT = datetime(2025, 7, 14, 8, tzinfo=UTC)


def test_a_series_comes_back_with_qualities(tmp_path):
    history = History(tmp_path / "history.db")
    readings = [Reading("z.t", AT + timedelta(minutes=10 * n), 20.0 + n) for n in range(4)]
    lost = Reading("z.t", AT + timedelta(minutes=40), None, Quality.BAD, Reason.FAULT)
    history.add([*readings, lost])

    assert history.series("z.t", AT + timedelta(minutes=10), AT + timedelta(minutes=30)) == readings[1:3]
    assert history.series("z.t", AT, AT + timedelta(hours=1))[-1] == lost
    assert history.latest() == {"z.t": lost}


def test_an_old_reading_does_not_become_the_newest_and_none_is_overwritten(tmp_path):
    history = History(tmp_path / "history.db")
    history.add([Reading("z.t", AT, 21.0)])
    history.add([Reading("z.t", AT - timedelta(hours=1), 18.0), Reading("z.t", AT, 99.0)])

    assert [r.value for r in history.series("z.t", AT - timedelta(hours=2), AT + timedelta(hours=1))] == [18.0, 21.0]
