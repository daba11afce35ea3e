from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.bundle import Bundle
from ledger.cbor import encode
from ledger.checkpoint import Checkpoint, NoteSignature, sign_checkpoint
from ledger.custody import issue_gateway, make_bundle, revoke_device
from ledger.entry import NO_HASH, Body, Entry, Signed, digest
from ledger.epochs import member_data_keys
from ledger.errors import FormatError, LedgerError, VerificationError
from ledger.evidence import whole_bundle
from ledger.keys import P256Signer, read_envelope_key, read_note_signer
from ledger.replay import Contract, Contracts, Event, Followed, Rules, Verdict, View
from ledger.report import STEPS, Report
from ledger.trust import Trust
from ledger.verify import verify_bundle
from twin.clock import wall_now

GATEWAY, METER = "demo:gateway", "demo:em_main"


def _failed(report: Report) -> list[int]:
    assert report.ok == (not any(step.ok is False for step in report.steps))
    return [step.number for step in report.steps if step.ok is False]


def _number_of(bundle: Bundle, kind: str, nth: int = 0) -> int:
    return [piece.number for piece in bundle.pieces if Entry.decode(piece.leaf).kind == kind][nth]


def test_an_honest_bundle_passes_every_step_that_applies(house) -> None:
    house.live()

    report = verify_bundle(house.bundle().encode(), house.trust, now=wall_now())

    assert report.ok
    assert [step.number for step in report.steps] == list(STEPS) == list(range(1, 13))
    assert [step.number for step in report.steps if step.ok] == list(range(1, 10))
    assert [step.detail for step in report.steps[9:]] == [
        "not applicable: no contract is installed in this group",
        "not applicable: no claim is in this bundle",
        "not applicable: no outside anchor configured",
    ]
    assert (report.group, report.size, report.findings) == (house.group.id.hex(), house.log.size(), ())


def test_the_same_log_makes_the_same_bundle(house) -> None:
    house.live(1)

    assert house.bundle().encode() == house.bundle().encode()


def test_without_trust_a_bundle_is_consistent_with_itself_only(house) -> None:
    house.live(1)

    report = verify_bundle(house.bundle().encode(), None)

    assert _failed(report) == [2]
    assert "consistent with itself only" in report.steps[1].detail


def test_each_byte_of_a_bundle_counts_even_when_the_digest_is_repaired(street) -> None:
    """A forger recomputes the closing digest; still no byte can change."""
    house = street.build("riverside", "Ann", devices=False)
    issue_gateway(house.folder, "demo", house.now)
    house.seal(house.batch(house.gateway()))
    house.cosign()
    content, trust = house.bundle().encode()[:-32], house.trust
    assert verify_bundle(content + digest(content), trust).ok

    passed = []
    for place in range(len(content)):
        altered = content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        if verify_bundle(altered + digest(altered), trust).ok:
            passed.append(place)

    assert passed == []


def test_each_byte_of_a_period_s_bundle_counts_too(house) -> None:
    house.live(2)
    size = house.log.size()
    seen = house.log.note_at(2).signed.encode()
    content = make_bundle(house.folder, None, (size - 2, size), seen_size=2).encode()[:-32]
    assert verify_bundle(content + digest(content), house.trust, seen).ok

    places = range(0, len(content), 29)  # a sample: the other test has every byte
    passed = []
    for place in places:
        altered = content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]
        if verify_bundle(altered + digest(altered), house.trust, seen).ok:
            passed.append(place)

    assert passed == []


def test_a_damaged_file_says_so(house) -> None:
    data = house.bundle().encode()

    for damaged in (data[:-1], data[:1000], b"", data + b"\x00"):
        report = verify_bundle(damaged, house.trust)
        assert _failed(report) == [1]
        assert "damaged" in report.steps[0].detail


def test_an_altered_entry_is_named(house, forge) -> None:
    house.live()
    bundle = house.bundle()
    number = _number_of(bundle, "reading.batch", 2)
    entry = Entry.decode(bundle.pieces[number].leaf)
    altered = replace(entry, time_ms=entry.time_ms + 1).encode()

    report = verify_bundle(forge(bundle, number, leaf=altered).encode(), house.trust)

    assert 5 in _failed(report)
    assert 7 in _failed(report)
    named = next(finding for finding in report.findings if finding.step == 7)
    assert (named.entry, named.evidence) == (number, altered)
    assert f"entry {number} (reading.batch of demo:gateway)" in named.message


def test_an_altered_body_is_named(house, forge) -> None:
    house.live()
    bundle = house.bundle()
    number = _number_of(bundle, "reading.batch")
    body = Body.decode(bundle.pieces[number].body)
    less = Body((("ahu_1.sa_t", [150, "good"]), *body.fields[1:]), body.secret)

    report = verify_bundle(forge(bundle, number, body=less.encode()).encode(), house.trust)

    assert _failed(report) == [9]
    assert report.findings[0].entry == number


def test_a_bundle_made_again_under_other_keys_fails_at_trust(street) -> None:
    ann, fake = street.build("riverside", "Ann"), street.build("copy", "Ann")
    ann.live(1)
    fake.live(1)

    report = verify_bundle(fake.bundle().encode(), ann.trust)

    assert _failed(report) == [2]
    assert all(step.ok is None for step in report.steps[2:])


def test_a_founding_of_the_same_name_is_still_another_group(house, street) -> None:
    """The keys in the trust file decide, one by one."""
    house.live(1)
    data = house.bundle().encode()
    other = P256Signer.generate().public

    for field in ("owner_key", "government_key"):
        report = verify_bundle(data, replace(house.trust, **{field: other}))
        assert _failed(report) == [2]
        assert field.replace("_", " ") in report.steps[1].detail


# --- presence is not absence -----------------------------------------------------------------------


def _without(bundle: Bundle, *numbers: int) -> bytes:
    keep = [place for place, piece in enumerate(bundle.pieces) if piece.number not in numbers]
    proofs = tuple(bundle.proofs[place] for place in keep) if bundle.proofs else ()
    return replace(bundle, pieces=tuple(bundle.pieces[place] for place in keep), proofs=proofs).encode()


def test_a_revocation_left_out_is_found(house) -> None:
    house.live(1)
    revoke_device(house.folder, METER, "was opened", house.wait(1))
    house.wait(60)
    house.log.seal([], house.now)
    sealed = house.seal(house.batch(house.gateway()))
    house.cosign()
    period = make_bundle(house.folder, None, (sealed.numbers[0], sealed.numbers[0] + 1))
    assert verify_bundle(period.encode(), house.trust).ok

    report = verify_bundle(_without(period, _number_of(period, "device.revoke")), house.trust)

    assert _failed(report) == [6]
    assert "revocation or other change was left out" in report.steps[5].detail


def test_the_newest_hour_left_out_is_found_by_who_has_seen_it(house) -> None:
    house.live(2)
    yesterday = house.bundle().encode()
    house.live(1)
    seen = house.log.newest().signed.encode()

    assert verify_bundle(yesterday, house.trust).ok, "nothing in it is wrong: only it is old"
    report = verify_bundle(yesterday, house.trust, seen)

    assert _failed(report) == [3]
    assert "the newest were left out" in report.steps[2].detail


def test_an_hour_left_out_of_a_whole_bundle_is_found(house) -> None:
    house.live(3)
    bundle = house.bundle()
    size = len(bundle.pieces)
    state_before = _number_of(bundle, "state", -2)

    cut = replace(bundle, pieces=bundle.pieces[: state_before + 1], end=state_before + 1)
    assert _failed(verify_bundle(cut.encode(), house.trust)) == [1]
    assert _failed(verify_bundle(_without(bundle, size - 2), house.trust)) == [1]


def test_an_hour_left_out_of_a_period_is_found(house) -> None:
    house.live(3)
    size = house.log.size()
    period = make_bundle(house.folder, None, (size - 6, size))

    claims_less = replace(period, end=size - 3)
    report = verify_bundle(_without(claims_less, size - 3, size - 2), house.trust)
    assert report.ok, "a shorter period is honest as long as it says where it ends"
    assert "3 newest entries are not in this bundle" in report.steps[7].detail
    assert _failed(verify_bundle(_without(period, size - 3), house.trust)) == [1]


def test_a_checkpoint_that_adds_to_the_one_seen_passes(house) -> None:
    house.live(1)
    seen = house.log.newest()
    house.live(1)
    size = house.log.size()

    whole = verify_bundle(house.bundle().encode(), house.trust, seen.signed.encode())
    period = make_bundle(house.folder, None, (size - 2, size), seen_size=seen.checkpoint.size)
    part = verify_bundle(period.encode(), house.trust, seen.signed.encode())
    unproven = verify_bundle(make_bundle(house.folder, None, (size - 2, size)).encode(), house.trust, seen.signed.encode())

    assert whole.ok
    assert part.ok
    assert f"adds to the {seen.checkpoint.size} seen before" in part.steps[2].detail
    assert _failed(unproven) == [3]


def test_another_history_than_the_one_seen_is_shown_with_both_notes(house) -> None:
    house.live(1)
    log_key = read_note_signer(house.folder / "keys" / "log.key")
    seen = sign_checkpoint(Checkpoint(house.group.origin, 3, b"\x01" * 32), log_key).signed.encode()

    report = verify_bundle(house.bundle().encode(), house.trust, seen)

    assert _failed(report) == [3]
    assert report.findings[0].evidence == seen + b"\n" + house.bundle().note.signed.encode()


def test_a_seen_checkpoint_of_another_log_or_of_nobody_is_no_measure(house) -> None:
    house.live(1)

    for seen in (b"noise", b"wattproof/x\n1\nAAAA\n\n"):
        assert _failed(verify_bundle(house.bundle().encode(), house.trust, seen)) == [3]


# --- witnesses -------------------------------------------------------------------------------------


def test_a_sealed_bundle_nobody_cosigned_is_not_final(house) -> None:
    house.seal(house.batch(house.gateway()))

    report = verify_bundle(house.bundle().encode(), house.trust)

    assert _failed(report) == [4]
    assert "sealed, not final" in report.steps[3].detail


def test_signature_lines_of_strangers_are_refused(house) -> None:
    house.live(1)
    bundle = house.bundle()
    stranger = NoteSignature("stranger", b"\x00" * 4, b"\x00" * 72)
    log_line, witness_line = bundle.note.signatures

    for note in (
        bundle.note.plus(stranger),
        bundle.note.plus(witness_line),
        replace(bundle.note, signatures=(witness_line, log_line)),
        replace(bundle.note, signatures=(log_line, replace(witness_line, key_id=b"\x00" * 4))),
    ):
        assert set(_failed(verify_bundle(replace(bundle, note=note).encode(), house.trust))) & {3, 4}


def test_a_cosignature_from_before_the_sealing_or_from_the_future_is_implausible(house) -> None:
    house.now = wall_now() + timedelta(minutes=30)
    house.seal(house.batch(house.gateway()))
    house.cosign()
    early = verify_bundle(house.bundle().encode(), house.trust)
    assert _failed(early) == [4]
    assert "before the checkpoint was made" in early.steps[3].detail

    late = verify_bundle(house.bundle().encode(), house.trust, now=wall_now() - timedelta(days=1))
    assert _failed(late) == [4]


# --- an owner who changed his own log's software ------------------------------------------------------


def _verdict(house) -> Report:
    house.cosign()
    return verify_bundle(house.bundle().encode(), house.trust)


def test_a_careless_log_that_tells_the_truth_passes(house, careless) -> None:
    careless.seal_anything([house.batch(house.gateway())], house.now)

    assert _verdict(house).ok


def test_an_entry_under_a_revoked_key_is_found_though_the_log_took_it(house, careless) -> None:
    meter = house.meter()
    revoke_device(house.folder, METER, "was opened", house.now)
    careless.seal([], house.now)
    careless.seal_anything([house.batch(meter)], house.now)

    report = _verdict(house)

    assert _failed(report) == [7]
    assert "revoked: demo:em_main was revoked at entry" in report.steps[6].detail
    assert report.findings[0].entry == _number_of(house.bundle(), "reading.batch", -1)


def test_a_signature_of_the_wrong_key_is_found(house, careless) -> None:
    batch = house.batch(house.gateway())
    forged = Signed(replace(batch.entry, signatures=(b"\x11" * 64,)), batch.body)
    careless.seal_anything([forged], house.now)

    assert _failed(_verdict(house)) == [7]


def test_a_hidden_gap_is_found(house, careless) -> None:
    gateway = house.gateway()
    house.batch(gateway)
    careless.seal_anything([house.batch(gateway)], house.now)

    report = _verdict(house)

    assert _failed(report) == [8]
    assert "entries are missing" in report.steps[7].detail


def test_a_source_that_forks_itself_is_found(house, careless) -> None:
    gateway = house.gateway()
    gateway.prev = b"\x33" * 32
    careless.seal_anything([house.batch(gateway)], house.now)

    assert _failed(_verdict(house)) == [8]


def test_a_back_dated_entry_is_found(house, careless) -> None:
    gateway = house.gateway()
    early = house.now - timedelta(minutes=30)
    careless.seal_anything([gateway.entry("reading.batch", {"a": 1}, early, early)], house.now)

    assert _failed(_verdict(house)) == [8]


def test_an_entry_dated_after_the_checkpoint_that_holds_it_is_found(house, careless) -> None:
    later = house.now + timedelta(hours=1)
    careless.seal_anything([house.gateway().entry("reading.batch", {"a": 1}, later, later)], house.now)

    assert _failed(_verdict(house)) == [8]


LIES = {
    "members": (b"\x01" * 32, 6),
    "checkpoint": (NO_HASH, 5),
    "sources": ({}, 8),
}


@pytest.mark.parametrize("what", LIES)
def test_a_state_leaf_that_lies_is_found(house, careless, what: str) -> None:
    value, step = LIES[what]
    careless.seal_anything([house.batch(house.gateway())], house.now, **{what: value})

    assert _failed(_verdict(house)) == [step]


def test_another_body_than_the_signed_one_is_found(house, careless) -> None:
    batch = house.batch(house.gateway())
    careless.seal_anything([Signed(batch.entry, Body.of({"a": 1}, b"\x01" * 16))], house.now)

    report = _verdict(house)
    assert _failed(report) == [9]


def test_refusals_and_declared_gaps_are_shown_to_the_inspector(house) -> None:
    meter = house.meter()
    records = [meter.record("reading.batch", {"energy_wh": n}, house.now, house.now) for n in range(3)]
    house.seal(records[0], records[2], records[2])

    report = _verdict(house)

    assert report.ok
    assert [finding.message.split(",")[0] for finding in report.findings] == [
        "demo:em_main: 2 to 2 never came",
        "refused: replayed: demo:em_main 3 came again or late",
    ]


def test_old_entries_stay_valid_after_their_certificate_expired(house) -> None:
    house.live(1)

    assert verify_bundle(house.bundle().encode(), house.trust, now=wall_now() + timedelta(days=365 * 15)).ok


# --- bodies for members ----------------------------------------------------------------------------


def test_bodies_open_with_a_member_s_key_and_with_no_other_group_s(street) -> None:
    ann, bob = street.build("riverside", "Ann"), street.build("hillside", "Bob")
    ann.live(1)
    sealed = whole_bundle(ann.log, None).encode()
    anns, bobs = (read_envelope_key(house.folder / "keys" / "owner.envelope.key") for house in (ann, bob))

    closed = verify_bundle(sealed, ann.trust)
    assert closed.ok
    assert "sealed for members" in closed.steps[8].detail
    opened = verify_bundle(sealed, ann.trust, member=("owner", anns))
    assert opened.ok
    assert "sealed for members" not in opened.steps[8].detail
    assert _failed(verify_bundle(sealed, ann.trust, member=("owner", bobs))) == [9]


def test_one_owner_s_keys_open_nothing_of_another_s(street) -> None:
    ann, bob = street.build("riverside", "Ann"), street.build("hillside", "Bob")
    ann.live(1)
    bob.live(1)
    bobs = read_envelope_key(bob.folder / "keys" / "owner.envelope.key")

    with pytest.raises(LedgerError, match="another member or another group"):
        member_data_keys(ann.log, bobs, "owner")
    stolen = next(row for row in ann.log.stored(0, ann.log.size()) if row.epoch)
    with pytest.raises(LedgerError, match="does not open"):
        bob.log.body(stolen)
    refused = ann.seal(bob.batch(bob.gateway())).refused[0]
    assert "belongs to another group" in refused
    assert ann.trust.government_key != bob.trust.government_key, "the government has keys of its own for each group"
    assert ann.trust.witnesses[0].key != bob.trust.witnesses[0].key
    a, b = ({path.read_bytes() for path in house.folder.rglob("*.key")} for house in (ann, bob))
    assert not a & b
    for secret in b:
        assert not any(secret in path.read_bytes() for path in ann.folder.rglob("*") if path.is_file())


# --- contracts and claims -----------------------------------------------------------------------------


def _count(state: int, view: View) -> Verdict:
    events = [Event("alarm.raised", {"count": state + 1})] if (state + 1) % 2 == 0 else []
    return Verdict(state + 1, events)


COUNTER = Contract("counter", b"\x0c" * 32, lambda parameters: parameters["start"], _count, lambda state: digest(encode(state)))
RULES = Rules({"counter": COUNTER})
POLICY = {"name": "counter", "source": b"\x0c" * 32, "version": 1, "parameters": {"start": 0}}


@pytest.fixture
def counted(street):
    """A house whose founding installs the counter, and how its gateway seals with it."""
    house = street.build("riverside", "Ann", policies=[POLICY])
    gateway, contracts = house.gateway(), Contracts([COUNTER], house.group.policies)

    def follow(views) -> Followed:
        said = contracts.feed(views)
        items = [gateway.entry(event.kind, {**event.fields, "contract": name}, house.now, house.now) for name, event in said]
        return Followed(items, contracts.roots())

    def seal(follow=follow) -> None:
        house.log.seal([house.batch(gateway)], house.wait(1), follow)

    house.seal_counted, house.follow = seal, follow
    return house


def _replayed(house, rules: Rules = RULES) -> Report:
    house.cosign()
    return verify_bundle(house.bundle().encode(), house.trust, rules=rules)


def test_contracts_are_replayed_to_the_sealed_state_and_alarms(counted) -> None:
    for _ in range(5):
        counted.seal_counted()

    report = _replayed(counted)

    assert report.ok
    assert report.steps[9].detail == "1 contracts, the same state at 8 state leaves, 2 events as sealed"


def test_an_alarm_kept_back_is_found(counted) -> None:
    counted.seal_counted()
    counted.seal_counted(lambda views: Followed([], counted.follow(views).roots))
    report = _replayed(counted)

    assert _failed(report) == [10]
    assert "alarm.raised of contract counter was not sealed" in report.steps[9].detail


def test_an_alarm_the_contract_never_raised_is_found(counted) -> None:
    gateway = counted.gateway()

    def lie(views) -> Followed:
        false = gateway.entry("alarm.raised", {"count": 7, "contract": "counter"}, counted.now, counted.now)
        return Followed([false], counted.follow(views).roots)

    batch = counted.batch(gateway)
    counted.log.seal([batch], counted.now, lie)
    report = _replayed(counted)

    assert _failed(report) == [10]
    assert report.findings[0].entry is not None


def test_a_false_contract_state_is_found(counted) -> None:
    counted.seal_counted(lambda views: Followed([], {"counter": b"\x00" * 32}))

    assert _failed(_replayed(counted)) == [10]


def test_a_contract_nobody_ran_is_found(counted) -> None:
    counted.seal(counted.batch(counted.gateway()))

    assert _failed(_replayed(counted)) == [10]


def test_a_verifier_without_the_contract_s_code_says_so(counted) -> None:
    counted.seal_counted()
    other = Rules({"counter": replace(COUNTER, source_hash=b"\x0d" * 32)})

    for rules in (Rules(), other):
        report = _replayed(counted, rules)
        assert report.steps[9].ok is None
        assert "has not the code of contract counter" in report.steps[9].detail


def _recompute(view: View, views) -> str:
    total = sum(value for v in views if v.entry.kind == "reading.batch" for name, (value, _) in v.body.fields if name == "em_main.energy")
    claimed = view.body.by_name()["energy_wh"]
    if claimed != total:
        raise VerificationError(f"{claimed} Wh claimed, {total} Wh recomputed")
    return f"{claimed} Wh"


@pytest.mark.parametrize(("claimed", "failed"), [(2150, []), (2149, [11])])
def test_claims_are_recomputed_from_the_sealed_readings(house, claimed: int, failed: list[int]) -> None:
    gateway = house.gateway()
    batch = house.batch(gateway)
    house.seal(batch, gateway.entry("emission.period", {"energy_wh": claimed}, house.now, house.now))
    house.cosign()
    data = house.bundle().encode()

    report = verify_bundle(data, house.trust, rules=Rules({}, {"emission.period": _recompute}))
    unable = verify_bundle(data, house.trust)

    assert _failed(report) == failed
    assert unable.ok
    assert unable.steps[10].detail == "not applicable: this verifier has no engine for emission.period"


# --- trust files -----------------------------------------------------------------------------------


def test_a_trust_file_comes_back_as_it_went(house) -> None:
    assert Trust.from_json(house.trust.to_json()) == house.trust


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": "wattproof trust 1", "group": 5}', b"\xff"])
def test_what_is_no_trust_file_says_where_to_get_one(text) -> None:
    with pytest.raises(FormatError):
        Trust.from_json(text)
