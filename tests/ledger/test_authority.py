"""Grants of authority: who may move which points, told by a contract whenever a command stands in none."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ledger.authority import Clock, Grant, Wish, end_grant, give_grants, signed_request
from ledger.contracts.policies import POLICIES, policy
from ledger.contracts.verdict import Fact
from ledger.custody import make_bundle
from ledger.entry import Signed, ms
from ledger.errors import LedgerError
from ledger.keys import P256Signer
from ledger.rules import RULES
from ledger.standing import contracts_now, following, keep_contracts
from ledger.verify import verify_bundle

POINT = "ahu_1.sa_t_sp"
UNSIGNED = "no request signed by that person"
NOW_MS = 1_780_300_800_000
DAY = timedelta(days=1)


def grant(who, now, key=None, id="g1", low=12.0, high=18.0, version="", days=10):
    return Grant(id, who, {POINT: (low, high)}, now, now + timedelta(days=days), key, version)


def action(by="supply_air", value_milli=14_000, authority=6, at_ms=NOW_MS, **more):
    asked = {"value_milli": value_milli, "gives_back": value_milli is None, "authority": authority}
    fields = {"id": "c1", "point": POINT, "by": by, "why": "reset", "software": "0.1.0", "asked": asked, **more}
    return Fact("control.action", "demo:gateway", at_ms, tuple(fields.items()))


def given(who="rule/supply_air", days=10, version="", low=12_000, high=18_000):
    facts = {"grant": "g1", "who": who, "key": [], "version": version, "points": {POINT: [low, high]}}
    times = {"from_ms": NOW_MS, "until_ms": NOW_MS + days * 86_400_000}
    return Fact("grant.given", "owner", NOW_MS, tuple({**facts, **times}.items()))


def request(value_milli=14_000, minutes=60, at_ms=NOW_MS):
    wish = {"point": POINT, "value_milli": value_milli, "until_ms": at_ms + minutes * 60_000, "why": "cold"}
    return Fact("control.request", "person/ann", at_ms, tuple(wish.items()))


def told(*facts):
    begin, apply = POLICIES["authority"]
    state, said = begin({}), []
    for fact in facts:
        verdict = apply(state, fact)
        state = verdict.state
        said += [event["because"] for event in verdict.events] + list(verdict.refused)
    return said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([given(), action()], []),
        ([action()], ["no grant"]),
        ([given(), action(by="ventilation")], ["no grant"]),
        ([given(), action(value_milli=19_000)], ["outside the limits of grant g1"]),
        ([given(days=1), action(at_ms=NOW_MS + 86_400_000)], ["outside the period of grant g1"]),
        ([given(version="0.2.0"), action()], ["grant g1 is for version 0.2.0"]),
        ([given(version="0.1.0"), action()], []),
        ([given(low=None, high=None), action(value_milli=-5)], []),
        ([action(value_milli=None)], []),
        ([action(late=True)], []),
        ([given(), Fact("grant.ended", "owner", NOW_MS, (("grant", "g1"), ("reason", "x"))), action()], ["no grant"]),
        ([given("person/ann"), action("ann", authority=3)], [UNSIGNED]),
        ([given("person/ann"), request(), action("ann", authority=3)], []),
        ([given("person/ann"), request(), request(None), action("ann", authority=3)], [UNSIGNED]),
        ([given("person/ann"), request(minutes=1), action("ann", authority=3, at_ms=NOW_MS + 60_000)], [UNSIGNED]),
        ([request(), action("ann", authority=3)], ["no grant"]),
    ],
)  # fmt: skip
def test_a_command_is_told_unless_a_grant_covers_it(facts, said):
    assert told(*facts) == said


@pytest.fixture
def guarded(street):
    """A house whose contract watches over authority."""
    return street.build("riverside", "Ann", [policy("authority", {})])


def command(house, by, value=14.0, authority=6):
    asked = {"value_milli": round(value * 1000), "gives_back": False, "authority": authority}
    fields = {"id": "c1", "point": POINT, "by": by, "software": "0.1.0", "asked": asked, "outcome": {"result": "applied"}}
    return house.gateway().entry("control.action", fields, house.now, house.now)


def seal(house, *items):
    """As the recorder does: the contracts follow within the checkpoint."""
    gateway, log = house.gateway(), house.log
    gateway.seq += sum(item.entry.source == gateway.name for item in items if isinstance(item, Signed))
    newest = [item.entry.hash for item in items if isinstance(item, Signed) and item.entry.source == gateway.name]
    gateway.prev = newest[-1] if newest else gateway.prev
    told = []

    def follow(views):
        contracts = contracts_now(log)
        said = contracts.feed(views)
        told.extend(event.fields["because"] for _, event in said)
        entries = [gateway.entry(e.kind, {"contract": name, **e.fields}, house.now, house.now) for name, e in said]
        return type(following(log)(()))(entries, contracts.roots())

    sealed = log.seal(items, house.now, follow)
    assert sealed.refused == ()
    return told


def steps(house, rules=RULES):
    house.cosign()
    report = verify_bundle(make_bundle(house.folder).encode(), house.trust, rules=rules)
    return {step.number: (step.ok, step.detail) for step in report.steps}


def test_a_rule_s_command_outside_its_grant_is_sealed_as_an_alarm_and_redone_by_the_verifier(guarded):
    give_grants(guarded.folder, [grant("rule/supply_air", guarded.now)], guarded.now)

    assert seal(guarded, command(guarded, "supply_air")) == []
    assert seal(guarded, command(guarded, "supply_air", 25)) == ["outside the limits of grant g1"]
    assert seal(guarded, command(guarded, "somebody")) == ["no grant"]

    found = steps(guarded)
    assert found[10][0], found[10]
    assert all(ok is not False for ok, _ in found.values())
    assert "2 events as sealed" in found[10][1]


def test_a_person_s_request_carries_his_signature_and_nobody_signs_for_him(guarded):
    ann, bob = P256Signer.generate(), P256Signer.generate()
    give_grants(guarded.folder, [grant("person/ann", guarded.now, ann.public)], guarded.now)
    wish = Wish(POINT, 14.0, "cold feet", guarded.now + timedelta(hours=1))

    signed = signed_request(guarded.folder, "person/ann", ann, wish, [], Clock(guarded.now, guarded.now))
    assert seal(guarded, signed.encode(), command(guarded, "ann", authority=3)) == []

    with pytest.raises(LedgerError, match="names this key"):
        signed_request(guarded.folder, "person/ann", bob, wish, [], Clock(guarded.now, guarded.now))
    with pytest.raises(LedgerError, match="allows 12 to 18"):
        signed_request(guarded.folder, "person/ann", ann, Wish(POINT, 25, "x", wish.until), [], Clock(guarded.now, guarded.now))
    again = signed_request(guarded.folder, "person/ann", ann, wish, [], Clock(guarded.now, guarded.now))
    forged = Signed(replace(again.entry, keys=(bob.key_id,)).signed_by(bob), again.body)
    assert "not signed under the key" in guarded.seal(forged).refused[0]
    assert all(ok is not False for ok, _ in steps(guarded).values())


FIELDS = ["group", "kind", "source", "seq", "prev", "time_ms", "wall_ms", "simulated", "body"]


def test_two_requests_before_the_next_checkpoint_follow_each_other(guarded):
    ann = P256Signer.generate()
    give_grants(guarded.folder, [grant("person/ann", guarded.now, ann.public)], guarded.now)
    wish = Wish(POINT, 14.0, "cold feet", guarded.now + timedelta(hours=1))

    first = signed_request(guarded.folder, "person/ann", ann, wish, [], Clock(guarded.now, guarded.now))
    second = signed_request(guarded.folder, "person/ann", ann, wish, [first.encode()], Clock(guarded.now, guarded.now))

    assert seal(guarded, first, second) == []
    assert second.entry.prev == first.entry.hash


def test_a_person_whose_grant_has_ended_signs_no_more(guarded):
    ann = P256Signer.generate()
    give_grants(guarded.folder, [grant("person/ann", guarded.now, ann.public)], guarded.now)
    wish = Wish(POINT, 14.0, "cold feet", guarded.now + timedelta(hours=1))
    signed = signed_request(guarded.folder, "person/ann", ann, wish, [], Clock(guarded.now, guarded.now))

    end_grant(guarded.folder, "g1", "left the house", guarded.now)

    assert "no grant that stands" in guarded.seal(signed).refused[0]
    with pytest.raises(LedgerError, match="does not stand"):
        end_grant(guarded.folder, "g1", "again", guarded.now)


@pytest.mark.parametrize(
    ("facts", "because"),
    [
        ({"who": "ann"}, "person/NAME or rule/NAME"),
        ({"who": "person/ann"}, "names his key"),
        ({"points": {}}, "1 to 5000 points"),
        ({"points": {POINT: [2, 1]}}, "lowest and highest"),
        ({"until_ms": 0}, "begins before it ends"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(guarded, facts, because):
    class Odd(Grant):
        def facts(self):
            return {**super().facts(), **facts}

    odd = Odd("g1", "rule/x", {POINT: (1.0, 2.0)}, guarded.now, guarded.now + DAY)
    with pytest.raises(LedgerError, match=because):
        give_grants(guarded.folder, [odd], guarded.now)


def test_contracts_go_on_from_a_kept_state_only_where_the_log_sealed_its_root(guarded):
    give_grants(guarded.folder, [grant("rule/supply_air", guarded.now)], guarded.now)
    log = guarded.open()
    standing, size = contracts_now(log), log.size()
    keep_contracts(log, standing, size)
    kept = log.path.parent / "contracts.standing"
    assert contracts_now(log).states == standing.states

    standing.stand({"authority": {"grants": {}, "requests": {}, "flagged": 0}})
    keep_contracts(log, standing, size)

    assert "g1" in contracts_now(log).states["authority"]["grants"]
    kept.write_bytes(b"\x00torn")
    assert "g1" in contracts_now(log).states["authority"]["grants"]


def test_a_grant_left_out_of_a_bundle_is_found(guarded, forge):
    give_grants(guarded.folder, [grant("rule/supply_air", guarded.now)], guarded.now)
    guarded.cosign()
    bundle = make_bundle(guarded.folder)
    number = next(n for n, piece in enumerate(bundle.pieces) if b"grant.given" in piece.leaf)
    body = bundle.pieces[number].body.replace(b"\x19\x46\x50", b"\x19\x75\x30")  # 18,000 -> 30,000
    assert body != bundle.pieces[number].body

    report = verify_bundle(forge(bundle, number, body=body).encode(), guarded.trust, rules=RULES)

    assert [step.number for step in report.steps if step.ok is False][:1] == [6]


def test_the_commands_give_list_request_and_end(guarded, tmp_path, capsys):
    from twin import cli

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(["authority", *words, "--state", str(tmp_path), "--json"] if "key" not in words else ["authority", *words, "--json"])
        return ended.value.code, capsys.readouterr()

    assert run("key", "ann", "--out", str(tmp_path))[0] == 0
    code, told = run("give", "riverside", "person/ann", "--point", f"{POINT}=12:18", "--key", str(tmp_path / "ann.pub"))
    assert code == 0, told.err
    id = json.loads(told.out)["grant"]
    (listed,) = json.loads(run("list", "riverside")[1].out)["grants"]
    assert (listed["who"], listed["points"]) == ("person/ann", {POINT: [12_000, 18_000]})
    assert datetime.fromisoformat(listed["until"]) > datetime.fromisoformat(listed["from"])
    assert run("give", "riverside", "person/ann", "--point", "no range")[0] != 0
    assert run("give", "riverside", "nobody", "--point", f"{POINT}=1:2")[0] != 0
    assert run("end", "riverside", id, "--reason", "left")[0] == 0
    assert json.loads(run("list", "riverside")[1].out)["grants"] == []
    assert ms(datetime.fromisoformat(listed["from"])) > 0
