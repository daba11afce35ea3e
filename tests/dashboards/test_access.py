"""Who may do what: decided in the service functions, whatever a page shows."""

import pytest

from dashboards.access import MAY, Wish, acknowledge, ask, give_back, must, resume
from dashboards.accounts import User
from twin.errors import AccessError

OPERATOR, INSPECTOR = User("Mei Lin", "operator"), User("Inspector Wu", "inspector")


def test_an_operator_gives_back_and_resumes_with_a_reason(live_site):
    give_back(live_site.journal, OPERATOR, "  lift   maintenance ", live_site.at)
    assert live_site.journal.latest(["mode"])[0].body == {"mode": "off", "by": "Mei Lin", "why": "lift maintenance"}
    resume(live_site.journal, OPERATOR, "done", live_site.at)
    assert live_site.mode() == "automatic"


@pytest.mark.parametrize("why", ["", "   ", None])
def test_nothing_happens_without_a_reason(live_site, why):
    with pytest.raises(AccessError, match="reason_missing"):
        give_back(live_site.journal, OPERATOR, why, live_site.at)
    assert live_site.mode() == "automatic"


def test_an_inspector_reads_and_never_controls(live_site, building):
    wish = Wish("core_top.clg_sp", 25.0, "why", 60)
    for attempt in (
        lambda: give_back(live_site.journal, INSPECTOR, "why", live_site.at),
        lambda: ask(live_site.journal, INSPECTOR, building.points["core_top.clg_sp"], wish, live_site.at),
        lambda: acknowledge(live_site.journal, INSPECTOR, "overload-em_main", "seen", live_site.at),
        lambda: must(INSPECTOR, "read"),
        lambda: must(User(), "audit"),
    ):
        with pytest.raises(AccessError):
            attempt()
    assert not MAY["inspector"] & MAY["operator"]


def test_a_wish_is_written_down_with_person_reason_and_expiry(live_site, building):
    ask(live_site.journal, OPERATOR, building.points["core_top.clg_sp"], Wish("core_top.clg_sp", 25.0, "guests", 90), live_site.at)
    body = live_site.journal.latest(["request"])[0].body
    assert (body["point"], body["value"], body["by"], body["why"], body["authority"]) == ("core_top.clg_sp", 25.0, "Mei Lin", "guests", 3)
    assert body["until"] > live_site.at.isoformat()


@pytest.mark.parametrize(
    ("point", "value", "minutes", "refused"),
    [
        ("core_top.zn_t", 25.0, 60, "wish_point"),
        ("core_top.clg_sp", 60.0, 60, "wish_value"),
        ("core_top.clg_sp", 25.0, 0, "wish_minutes"),
        ("core_top.clg_sp", 25.0, 100_000, "wish_minutes"),
    ],
)
def test_a_wish_outside_the_rules_is_refused(live_site, building, point, value, minutes, refused):
    with pytest.raises(AccessError, match=refused):
        ask(live_site.journal, OPERATOR, building.points[point], Wish(point, value, "why", minutes), live_site.at)
    assert live_site.journal.latest(["request"]) == []


def test_an_alarm_is_acknowledged_once_with_a_note(live_site):
    acknowledge(live_site.journal, OPERATOR, "overload-em_main", "shedding load", live_site.at)
    body = live_site.journal.latest(["alarm"])[0].body
    assert (body["state"], body["by"], body["note"], body["kind"]) == ("acknowledged", "Mei Lin", "shedding load", "overload")
    with pytest.raises(AccessError, match="alarm_gone"):
        acknowledge(live_site.journal, OPERATOR, "overload-em_main", "again", live_site.at)
