"""The attacks that have a name, one test each, made by a log that seals whatever its owner likes, or on the bundle itself.

A forked log stands in test_witness (the witness keeps both notes), an edited total in test_recorder (step 11 computes it again).
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.bundle import Bundle
from ledger.certificates import issue_certificate, make_authority
from ledger.custody import revoke_device
from ledger.entry import Body, Entry
from ledger.keys import P256Signer, read_signer
from ledger.report import Report
from ledger.verify import verify_bundle

GATEWAY, METER = "demo:gateway", "demo:em_main"


def _failed(house, bundle: Bundle | None = None) -> list[int]:
    house.cosign()
    report = verify_bundle((bundle or house.bundle()).encode(), house.trust)
    assert _named(report), "whatever fails says which entry, or what of the whole"
    return [step.number for step in report.steps if step.ok is False]


def _named(report: Report) -> bool:
    return all(finding.message for finding in report.findings) and bool(report.findings)


def _places(bundle: Bundle, kind: str) -> list[int]:
    return [place for place, piece in enumerate(bundle.pieces) if Entry.decode(piece.leaf).kind == kind]


def _numbered(bundle: Bundle, order: Sequence[int]) -> Bundle:
    """The bundle with its pieces in another order, numbered as if that were the log's."""
    pieces = tuple(replace(bundle.pieces[place], number=number) for number, place in enumerate(order))
    return replace(bundle, pieces=pieces, end=len(pieces))


def test_a_dropped_entry_is_found_though_the_rest_is_numbered_anew(house) -> None:
    house.live(2)
    bundle = house.bundle()
    victim = _places(bundle, "reading.batch")[1]

    assert _failed(house, _numbered(bundle, [place for place in range(len(bundle.pieces)) if place != victim])) == [1]


def test_a_log_that_drops_an_entry_before_sealing_leaves_a_gap_that_is_found(house, careless) -> None:
    gateway = house.gateway()
    house.batch(gateway)  # made, and never sealed
    careless.seal_anything([house.batch(gateway)], house.now)

    assert _failed(house) == [8]


def test_reordered_entries_are_found(house) -> None:
    house.live(2)
    bundle = house.bundle()
    one, two = _places(bundle, "reading.batch")[:2]
    order = list(range(len(bundle.pieces)))
    order[one], order[two] = two, one

    assert 5 in _failed(house, _numbered(bundle, order))


def test_a_log_that_seals_entries_in_another_order_is_found(house, careless) -> None:
    gateway = house.gateway()
    first, second = house.batch(gateway, 1), house.batch(gateway, 2)
    careless.seal_anything([second, first], house.now)

    assert _failed(house) == [8]


def test_a_back_dated_entry_is_found(house, careless) -> None:
    early = house.now - timedelta(minutes=30)
    careless.seal_anything([house.gateway().entry("reading.batch", {"a": 1}, early, early)], house.now)

    assert _failed(house) == [8]


def test_a_replayed_entry_is_found_though_the_log_took_it(house, careless) -> None:
    old = next(row for row in careless.stored(0, careless.size(), ["reading.batch"]) if row.entry.source == GATEWAY)
    house.wait(1)
    fresh = house.gateway()
    fresh.seq, fresh.prev = old.entry.seq - 1, old.entry.prev
    again = house.batch(fresh)  # the same number once more, signed by the right key

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        careless.seal_anything([again], house.now)
    careless._db.execute("ROLLBACK")
    assert "replayed" in house.log.seal([again], house.now).refused[0]


def test_a_duplicated_entry_is_found(house) -> None:
    house.live(2)
    bundle = house.bundle()
    victim = _places(bundle, "reading.batch")[0]
    order = [*range(victim + 1), victim, *range(victim + 1, len(bundle.pieces))]

    assert _failed(house, _numbered(bundle, order)) == [1]
    assert 5 in _failed(house, _numbered(bundle, [*order[:-2], order[-1]]))


def test_a_swapped_certificate_is_found_in_the_bundle(house) -> None:
    """A thief's own certificate, for the same device, in the place of the one that was enrolled."""
    house.live(1)
    bundle = house.bundle()
    place = _places(bundle, "device.enrol")[0]
    body = Body.decode(bundle.pieces[place].body)
    thief = P256Signer.generate()
    authority = make_authority(thief, "riverside", house.now)
    stolen = issue_certificate(thief, authority, P256Signer.generate().public, GATEWAY, house.now)
    fields = tuple((name, stolen if name == "certificate" else value) for name, value in body.fields)
    pieces = list(bundle.pieces)
    pieces[place] = replace(pieces[place], body=Body(fields, body.secret).encode())

    assert {6, 7, 9} <= set(_failed(house, replace(bundle, pieces=tuple(pieces))))


def test_a_certificate_of_another_authority_is_found_though_the_owner_enrolled_it(house, careless) -> None:
    thief, key = P256Signer.generate(), P256Signer.generate()
    stranger = issue_certificate(thief, make_authority(thief, "riverside", house.now), key.public, "demo:other", house.now)
    owner = house.log.source(read_signer(house.folder / "keys" / "owner.key"), "owner")
    facts = {"device": "demo:other", "kind": "certificate", "certificate": stranger, "fingerprint": {}, "vouched_by": "", "brick": ""}
    house.log.seal([owner.entry("device.enrol", {**facts, "address": ""}, house.now, house.now)], house.now)
    other = house.log.source(key, "demo:other")

    assert "not valid under this group's authority" in house.log.seal([house.batch(other)], house.now).refused[0]


def test_a_changed_contract_makes_another_group(street) -> None:
    policy = {"name": "overload", "source": b"\x0c" * 32, "version": 1, "parameters": {"limit": 100}}
    house = street.build("riverside", "Ann", policies=[policy])
    house.live(1)
    bundle = house.bundle()
    body = Body.decode(bundle.pieces[0].body)
    softer = [{**policy, "parameters": {"limit": 999}}]
    fields = tuple((name, softer if name == "policies" else value) for name, value in body.fields)
    pieces = (replace(bundle.pieces[0], body=Body(fields, body.secret).encode()), *bundle.pieces[1:])

    assert {6, 9} <= set(_failed(house, replace(bundle, pieces=pieces)))


def test_a_revoked_meter_cannot_speak_through_a_log_that_would_let_it(house, careless) -> None:
    meter = house.meter()
    revoke_device(house.folder, METER, "was opened", house.now)
    careless.seal([], house.now)
    careless.seal_anything([house.batch(meter)], house.now)

    assert _failed(house) == [7]
