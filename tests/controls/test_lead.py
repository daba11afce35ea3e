"""Leads are learnt from how long rooms really needed, within bounds."""

from datetime import UTC, datetime, timedelta

import pytest

from controls.strategies.lead import FACTOR_MAX, FACTOR_MIN, LeadTimes

MORNING = datetime(2025, 7, 14, 5, tzinfo=UTC)
WARM = (0.0, 1.0, 0.0)
READY = (0.0, 0.0, 0.0)


def live_through(lead: LeadTimes, needed_h: float, day: int = 0) -> None:
    """A night off, a start with an hour's need to cool, and rooms that are ready after `needed_h`."""
    begin = MORNING + timedelta(days=day)
    lead.observe("ahu", WARM, False, begin - timedelta(minutes=10))
    for step in range(18):
        lead.observe("ahu", WARM if step / 6 < needed_h else READY, True, begin + timedelta(minutes=10 * step))


def test_rooms_that_were_ready_early_get_a_later_start_and_slow_ones_an_earlier() -> None:
    quick, slow = LeadTimes(), LeadTimes()
    live_through(quick, 0.5)
    live_through(slow, 1.4)

    assert quick.hours("ahu", WARM) == pytest.approx(0.75)
    assert slow.hours("ahu", WARM) > 1.0
    assert quick.hours("another", WARM) == 1.0


def test_many_mornings_lead_to_what_the_rooms_need_and_never_beyond_the_bounds() -> None:
    lead, strange = LeadTimes(), LeadTimes()
    for day in range(8):
        live_through(lead, 0.5, day)
        live_through(strange, 0.0, day)

    assert lead.hours("ahu", WARM) == pytest.approx(0.5, abs=0.01)
    assert FACTOR_MIN <= strange.hours("ahu", WARM) <= FACTOR_MAX


def test_a_start_that_is_broken_off_teaches_nothing() -> None:
    lead = LeadTimes()
    lead.observe("ahu", WARM, False, MORNING)
    lead.observe("ahu", WARM, True, MORNING + timedelta(minutes=10))
    lead.observe("ahu", READY, False, MORNING + timedelta(minutes=20))

    assert lead.hours("ahu", WARM) == 1.0
