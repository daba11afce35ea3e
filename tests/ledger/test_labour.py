"""Work shared out among cores: the same answers as without, and a worker's word counts only where it says that all is well."""

import random
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from ledger import labour as sharing
from ledger.entry import Body
from ledger.errors import FormatError
from ledger.keys import P256Signer
from ledger.labour import CHUNK, Labour, gathered
from ledger.verify import verify_bundle

VALUES = [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, -1, -24, -25, -257, -(2**40), "", "good", "x" * 30, None, True, b"ab", "é"]


def some_body(chance):
    def value():
        return chance.choice(VALUES)

    shapes = (value, lambda: [value() for _ in range(5)], lambda: [value() for _ in range(chance.randrange(4))])
    fields = [("p" * chance.randrange(1, 90), chance.choice(shapes)()) for _ in range(chance.randrange(1, 5))]
    return Body.of(fields, chance.randbytes(16)).encode()


def looked_at(read, data):
    try:
        return read(data)
    except FormatError:
        return None


def test_a_commitment_is_what_the_reader_of_values_says_also_of_damaged_bodies():
    chance = random.Random(7)
    for _ in range(1500):
        data = bytearray(some_body(chance))
        if chance.random() < 0.7:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)

        whole = looked_at(lambda d: (Body.decode(d).root, len(Body.decode(d).fields)), bytes(data))

        assert looked_at(Body.commitment, bytes(data)) == whole


@pytest.fixture
def two(monkeypatch):
    """Two workers who share even a short bundle."""
    monkeypatch.setattr(sharing, "WORTH_IT", 1)
    return 2


def test_a_shared_verification_reports_what_a_lonely_one_does(house, forge, two):
    house.live(2)
    bundle = house.bundle()
    number = next(p.number for p in bundle.pieces if b"reading.batch" in p.leaf)
    piece = bundle.pieces[number]
    at = piece.leaf.index(b"\x63sig\x58\x40") + 20
    false_signature = piece.leaf[:at] + bytes([piece.leaf[at] ^ 1]) + piece.leaf[at + 1 :]
    tampered = [bundle, forge(bundle, number, leaf=false_signature), forge(bundle, number, body=piece.body[:-1] + b"\x00")]

    for data in (each.encode() for each in [*tampered, forge(bundle, number, body=b"no body")]):
        alone, shared = verify_bundle(data, house.trust), verify_bundle(data, house.trust, cores=two)
        assert shared == alone


def test_a_worker_that_died_leaves_its_chunk_to_be_looked_at_again():
    dead: Future = Future()
    dead.set_exception(BrokenProcessPool())

    assert gathered([dead], 3) == [None, None, None]


def test_a_false_signature_makes_its_chunk_suspect_and_no_other(two):
    signer = P256Signer.generate()
    good = (signer.public.algorithm, signer.public.raw, b"message", signer.sign(b"message"))
    checks = [good] * (CHUNK + 3)
    checks[CHUNK + 1] = (*good[:2], b"another message", good[3])

    with Labour(two) as labour:
        assert list(labour.suspects(checks)) == [1]
