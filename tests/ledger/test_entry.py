from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.cbor import decode, encode
from ledger.entry import KINDS, NO_HASH, Body, Entry, Signed, from_ms, ms, salt
from ledger.errors import FormatError, VerificationError
from ledger.keys import P256Signer
from ledger.source import RECORD_BYTES_MAX, Source
from ledger.tree import leaf_hash, root_of

SIGNER = P256Signer.generate()
GROUP = b"\x05" * 32
AT = datetime(2026, 1, 5, 7, tzinfo=UTC)
WALL = datetime(2026, 6, 1, 8, tzinfo=UTC)


def _source() -> Source:
    return Source(SIGNER, GROUP, "demo:em_main", simulated=True)


def test_a_source_counts_without_gaps_and_names_the_entry_before() -> None:
    source = _source()

    entries = [source.entry("reading.batch", {"power_w": n}, AT, WALL).entry for n in range(3)]

    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.prev for entry in entries] == [NO_HASH, entries[0].hash, entries[1].hash]
    for entry in entries:
        SIGNER.public.verify(entry.message(), entry.signatures[0])


def test_a_source_goes_on_after_a_restart_where_it_stood() -> None:
    source = _source()
    first = source.entry("reading.batch", {"power_w": 1}, AT, WALL).entry

    again = Source(SIGNER, GROUP, "demo:em_main", source.seq, source.prev, simulated=True)

    assert again.entry("reading.batch", {"power_w": 2}, AT, WALL).entry.prev == first.hash


def test_a_meter_s_record_fits_its_registers() -> None:
    source = _source()
    fields = {"point": "em_main.energy", "energy_wh": 123_456_789, "power_w": 45_000}

    record = source.record("reading.batch", fields, AT, WALL)

    assert len(record) <= RECORD_BYTES_MAX
    assert Signed.decode(record).body.by_name() == fields


def test_a_record_that_is_too_long_is_refused_and_costs_no_number() -> None:
    source = _source()

    with pytest.raises(FormatError, match="768"):
        source.record("reading.batch", {"text": "x" * 600}, AT, WALL)

    assert source.entry("reading.batch", {"power_w": 1}, AT, WALL).entry.seq == 1


def test_a_record_with_another_body_is_refused() -> None:
    source = _source()
    one, two = (source.entry("reading.batch", {"energy_wh": n}, AT, WALL) for n in (1, 2))

    with pytest.raises(FormatError, match="not the one that was signed"):
        Signed.decode(Signed(one.entry, two.body).encode())


def test_each_byte_of_a_record_counts() -> None:
    record = _source().record("reading.batch", {"energy_wh": 123}, AT, WALL)
    _check(record)

    for place in range(len(record)):
        altered = record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :]
        with pytest.raises((FormatError, VerificationError)):
            _check(altered)


def _check(record: bytes) -> None:
    entry = Signed.decode(record).entry
    SIGNER.public.verify(entry.message(), entry.signatures[0])


def test_one_field_is_shown_without_the_others() -> None:
    body = Body.of({"a": 1, "b": "secret", "c": [1, 2]}, b"\x09" * 16)

    shown = body.disclose(0)

    shown.verify(body.root)
    assert b"secret" not in encode([shown.name, shown.value, shown.salt, list(shown.path)])
    with pytest.raises(VerificationError):
        replace(shown, value=2).verify(body.root)


def test_equal_values_do_not_show_as_equal() -> None:
    one, two = Body.of({"a": 1}, b"\x01" * 16), Body.of({"a": 1}, b"\x02" * 16)

    assert one.root != two.root


def test_a_name_that_comes_twice_hides_nothing() -> None:
    body = Body.of([("a", 1), ("a", 2)], b"\x01" * 16)

    with pytest.raises(FormatError, match="twice"):
        body.by_name()


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"kind": "reading.other"},
        {"source": ""},
        {"source": "a\nb"},
        {"source": "b\u00e4r"},
        {"seq": 0},
        {"prev": b""},
        {"time": -1},
        {"wall": 2**63},
        {"simulated": 1},
        {"body": b"\x00" * 31},
        {"key": b""},
        {"key": b"\x00" * 33},
        {"sig": b"\x00" * 63},
        {"sig": b"\x00" * 128},
        {"more": 1},
    ],
)
def test_an_entry_of_another_shape_is_refused(change: dict[str, object]) -> None:
    entry = _source().entry("reading.batch", {"a": 1}, AT, WALL).entry.encode()
    assert Entry.decode(entry)

    with pytest.raises(FormatError):
        Entry.decode(encode({**decode(entry), **change}))


def test_the_signature_says_what_kind_it_is_for() -> None:
    entry = _source().entry("reading.batch", {"a": 1}, AT, WALL).entry
    messages = {replace(entry, kind=kind).message().split(b"\n")[0] for kind in KINDS}

    assert len(messages) == len(KINDS)


def test_times_are_whole_milliseconds_both_ways() -> None:
    at = datetime(2026, 1, 5, 7, 0, 0, 123456, tzinfo=UTC)

    assert ms(at) == 1767596400123
    assert from_ms(ms(at)) == at.replace(microsecond=123000)
    with pytest.raises(FormatError, match="aware"):
        ms(datetime(2026, 1, 5))  # noqa: DTZ001 (this is the mistake)


FIELDS = st.lists(st.tuples(st.text(max_size=30), st.integers(-(2**40), 2**40) | st.text(max_size=30)), min_size=1, max_size=30)


@given(FIELDS, st.integers(0, 2000), st.integers(0, 255))
def test_what_was_read_says_the_same_as_what_was_made(fields: list[tuple[str, object]], place: int, byte: int) -> None:
    """A body and an entry that were read keep their bytes; nothing may depend on that."""
    made = _source().entry("reading.batch", fields, AT, WALL)
    read = Signed.decode(made.encode())
    again = Body(read.body.fields, read.body.secret)

    assert (read.body.root, read.body.encode()) == (again.root, again.encode()) == (made.body.root, made.body.encode())
    assert read.body.root == root_of([leaf_hash(encode([salt(again.secret, n), *field])) for n, field in enumerate(again.fields)])
    assert decode(read.body.encode()) == {"fields": [list(field) for field in again.fields], "secret": again.secret}
    assert (read.entry.message(), read.entry.encode()) == (replace(read.entry).message(), replace(read.entry).encode())
    assert read.entry.encode() == made.entry.encode()
    for kind, data in ((Body, made.body.encode()), (Entry, made.entry.encode())):
        place %= len(data)
        altered = data[:place] + bytes([byte]) + data[place + 1 :]
        assert _is_read(kind.decode, altered) == _is_read(lambda given, kind=kind: _from_value(kind, given), altered)


def _is_read(read, data: bytes) -> bool:
    try:
        read(data)
    except FormatError:
        return False
    return True


def _from_value(kind: type[Body | Entry], data: bytes) -> object:
    """The long way: any value that bytes spell, then what kind of value it is."""
    value = decode(data)
    if kind is Body:
        if not isinstance(value, dict) or set(value) != {"fields", "secret"} or not isinstance(value["fields"], list):
            raise FormatError("no body")
        if (
            any(not isinstance(f, list) or len(f) != 2 or type(f[0]) is not str for f in value["fields"])
            or type(value["secret"]) is not bytes
        ):
            raise FormatError("no fields")
        return Body(tuple((name, item) for name, item in value["fields"]), value["secret"])
    types = {"v": int, "group": bytes, "kind": str, "source": str, "seq": int, "prev": bytes, "time": int, "wall": int}
    if not isinstance(value, dict) or {k: type(v) for k, v in value.items()} != {
        **types,
        "simulated": bool,
        "body": bytes,
        "key": bytes,
        "sig": bytes,
    }:
        raise FormatError("no entry")
    parts = [value[name] for name in ("group", "kind", "source", "seq", "prev", "time", "wall", "simulated", "body")]
    keys, signatures = ([value[n][i : i + size] for i in range(0, len(value[n]), size)] for n, size in (("key", 32), ("sig", 64)))
    if value["v"] != 1 or len(keys) != len(signatures):
        raise FormatError("no entry of this version")
    return Entry(*parts, tuple(keys), tuple(signatures))
