"""What the pages show, as values: no browser and no server needed."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from dashboards.follow import Facts, absorb
from dashboards.views import control_room as view
from dashboards.views.energy import energy, power_lines, so_far_kwh
from dashboards.views.ledger import Glance, glance
from dashboards.views.owner import money, owner_view, read_tariff
from dashboards.views.plan import plan
from twin.clock import wall_now
from twin.journal import Record


def facts_of(site) -> Facts:
    facts = Facts()
    for row in site.journal.after(0):
        absorb(facts, row, site.building.power_point)
    return facts


def test_the_saving_compares_electricity_over_the_same_time_only(live_site):
    facts = facts_of(live_site)
    now = energy(facts)
    bau = next(s for s in now.savings if s.baseline == "bau")
    expected = so_far_kwh(facts.references["bau"], live_site.at)
    assert bau.scope == "electricity"
    assert bau.baseline_kwh == pytest.approx(expected)
    assert bau.saved_percent == pytest.approx(100 * (1 - facts.score["energy_kwh"]["electricity"] / expected))


def test_at_the_end_of_the_period_the_whole_building_is_compared(live_site):
    for _ in range(288 - 60):
        live_site.step()
    facts = facts_of(live_site)
    bau = next(s for s in energy(facts).savings if s.baseline == "bau")
    assert bau.scope == "whole"
    assert bau.baseline_kwh == facts.references["bau"]["energy_kwh"]["whole"]


def test_no_baseline_gives_no_saving(live_site):
    facts = facts_of(live_site)
    facts.references.clear()
    assert energy(facts).savings == ()
    assert [line.key for line in power_lines(facts)] == ["controlled"]


def test_the_baselines_run_on_to_the_end_of_the_day_the_controlled_line_stops_now(live_site):
    lines = {line.key: line for line in power_lines(facts_of(live_site))}
    assert lines["controlled"].at[-1] == live_site.at
    assert lines["bau"].at[-1] > live_site.at


def test_a_stale_room_says_so_and_a_warm_room_is_marked_only_while_people_are_there(live_site):
    facts = facts_of(live_site)
    rooms = {state.room: state for state in plan(live_site.building, facts)}
    assert rooms["perimeter_mid_zn_2_room"].cells["temperature"].quality == "stale"
    warm = "perimeter_top_zn_3"
    temperature, people = f"{warm}.zn_t", f"{warm}.zn_occ"
    facts.latest[temperature] = facts.latest[temperature].__class__(live_site.at, 27.5, "good", "")
    facts.latest[people] = facts.latest[people].__class__(live_site.at, 4.0, "good", "")
    assert plan_cell(live_site, facts, warm).mark == "too_warm"
    facts.latest[people] = facts.latest[people].__class__(live_site.at, 0.0, "good", "")
    assert plan_cell(live_site, facts, warm).mark == ""


def plan_cell(site, facts, zone: str):
    return next(s for s in plan(site.building, facts) if s.room == f"{zone}_room").cells["temperature"]


def test_an_unknown_value_is_a_dash_and_not_a_colour(live_site):
    facts = facts_of(live_site)
    facts.latest.clear()
    assert {c.band for state in plan(live_site.building, facts) for c in state.cells.values()} == {-1}


def test_a_command_shows_its_reason_and_what_became_of_it(live_site):
    live_site.command("ahu_1.sa_p_sp", 400.0, "pressure", "most open damper at 70 %", "masked")
    newest = view.command_rows(facts_of(live_site), live_site.building)[0]
    assert (newest.place, newest.value, newest.why, newest.result) == ("AHU-1", 400.0, "most open damper at 70 %", "masked")


def test_giving_the_building_back_is_asked_then_done(live_site):
    assert view.release(facts_of(live_site)).state == "none"
    live_site.journal.append([Record("mode", live_site.at, {"mode": "off", "by": "Mei Lin", "why": "lift maintenance"})])
    assert view.release(facts_of(live_site)).state == "asked"
    live_site.obey()
    done = view.release(facts_of(live_site))
    assert (done.state, done.points, done.held_after, done.seconds) == ("done", 61, 0, 0.42)


def test_a_resumed_building_is_under_control_again(live_site):
    live_site.journal.append([Record("mode", live_site.at, {"mode": "off", "by": "a", "why": "b"})])
    live_site.obey()
    live_site.journal.append([Record("mode", live_site.at, {"mode": "automatic", "by": "a", "why": "b"})])
    assert view.release(facts_of(live_site)).state == "none"


def test_the_points_grid_shows_what_is_held_until_the_release(live_site):
    live_site.command("ahu_1.sa_p_sp", 400.0, "pressure", "why")
    held = {row.id: row.held for row in view.point_rows(facts_of(live_site), live_site.building)}
    assert held["ahu_1.sa_p_sp"] == 400.0
    live_site.journal.append([Record("release", live_site.at, {"by": "a", "why": "b", "points": 1, "held_after": 0, "seconds": 0.1})])
    assert {row.held for row in view.point_rows(facts_of(live_site), live_site.building)} == {None}


def test_open_alarms_stand_first_and_an_acknowledged_one_is_not_counted(live_site):
    live_site.alarm("overload", "em_main", "Demand 212 kW", 40, "acknowledged")
    live_site.alarm("device_lost", "floor_2", "No answer", 90)
    rows = view.alarm_rows(facts_of(live_site))
    assert [row.state for row in rows] == ["acknowledged", "raised", "cleared"]
    assert view.open_alarms(rows) == 1


def test_old_data_is_told_by_the_wall_clock_and_a_lost_device_by_name(live_site):
    facts = facts_of(live_site)
    later = wall_now() + timedelta(hours=2)
    facts.connections["floor_1"] = later
    head = view.head(facts, live_site.building, later)
    assert head.age_s >= 7200 > head.old_after_s
    assert "floor_1" not in head.silent
    assert "floor_2" in head.silent


def test_a_wish_is_waiting_then_passed_and_a_refused_one_says_why(live_site):
    until = (live_site.at + timedelta(hours=1)).isoformat()
    body = {"id": "w1", "point": "core_top.clg_sp", "value": 25.0, "by": "Mei Lin", "why": "guests", "until": until, "authority": 3}
    live_site.journal.append([Record("request", live_site.at, body)])
    assert view.wish_rows(facts_of(live_site), live_site.building)[0].state == "waiting"
    live_site.obey()
    assert view.wish_rows(facts_of(live_site), live_site.building)[0].state == "passed"
    live_site.journal.append([Record("request", live_site.at, {**body, "id": "w2"})])
    refusal = {"point": "core_top.clg_sp", "by": "Mei Lin", "why": "guests", "refused_because": "above the limit"}
    live_site.journal.append([Record("refusal", live_site.at, refusal)])
    newest = view.wish_rows(facts_of(live_site), live_site.building)[0]
    assert (newest.state, newest.detail) == ("refused", "above the limit")


def test_the_ledger_is_final_only_when_all_of_it_was_cosigned():
    at = wall_now()
    some = SimpleNamespace(size=120, final_size=100, sealed_at=at, seal_delay_p95_s=1.4)
    assert glance(some) == Glance("sealed", 120, 100, at, 1.4)
    assert glance(SimpleNamespace(size=120, final_size=120, sealed_at=at, seal_delay_p95_s=None)).state == "final"
    assert glance(None).state == "none"


def test_money_follows_the_price_of_the_hour(live_site):
    facts = facts_of(live_site)
    flat = money(facts, [100.0] * 24, live_site.building.site.zone, "CN-GD")
    kwh = sum(kw for _, kw in facts.power) / 6
    assert flat.currency == "¥"
    assert flat.cents == pytest.approx(100 * kwh)
    assert flat.baseline_cents["bau"] == pytest.approx(100 * so_far_kwh(facts.references["bau"], live_site.at))


def test_a_broken_tariff_gives_no_cost_rather_than_a_wrong_one(tmp_path, live_site):
    path = tmp_path / "tariff.csv"
    path.write_text("from_hour,to_hour,cents_per_kwh\n0,8,32\n", encoding="utf-8")
    assert read_tariff(path) == ()
    assert len(read_tariff(live_site.building.site.folder / "tariff.csv")) == 24


def test_the_owner_sees_claims_of_his_site_and_who_vouches_for_devices(live_site):
    mine = {"site": "demo_office", "from_ms": 0, "to_ms": 3_600_000, "factor": "f", "scope1_g": 5, "scope2_location_g": 70}
    claims = [SimpleNamespace(number=9, body=mine), SimpleNamespace(number=8, body={**mine, "site": "another"})]
    enrolled = [
        SimpleNamespace(number=3, source="demo_office:main_meter", body={"device": "main_meter"}, vouched_by="own certificate"),
        SimpleNamespace(number=4, source="demo_office:ahu_1", body={"device": "ahu_1"}, vouched_by="gateway, by fingerprint"),
    ]
    page = owner_view(facts_of(live_site), live_site.building, (), claims, enrolled)
    assert [c.entry for c in page.claims] == [9]
    vouched = {d.name: d.vouched for d in page.devices}
    assert (vouched["main_meter"], vouched["ahu_1"]) == ("own_certificate", "gateway_fingerprint")
    assert vouched["floor_1"] == "not_enrolled"
    assert page.money is None


def test_a_row_dated_by_the_calendar_does_not_move_the_clock_of_a_simulated_site(desk, live_site):
    """Wishes end and trends begin by the site's time; an import that was made years later must not shift them."""
    body = {"models": [], "version": "0.1.0", "counts": {}}
    live_site.journal.append([Record("import", live_site.at + timedelta(days=400), body)])

    assert desk.site_now() == live_site.at
    assert len(desk.last_day("em_main.power")) > 50
