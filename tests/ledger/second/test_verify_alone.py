"""Two verifiers that share no code say the same of every bundle, honest or tampered with."""

import ast
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.bundle import Bundle
from ledger.custody import Enrolment, make_bundle, replace_device, resume_device, revoke_device, rotate_device, suspend_device
from ledger.entry import KINDS, Entry, digest
from ledger.keys import Ed25519Signer
from ledger.second.verify_alone import NEWER, REGISTRY, SIGNER, RefusedError, verify
from ledger.trust import Trust
from ledger.verify import verify_bundle

ALONE = Path(__file__).parents[3] / "ledger" / "second"
METER = "demo:em_main"


def _first(data: bytes, trust: Trust, seen: str) -> int:
    """The first step of 1 to 9 that the first verifier finds wrong; 0 when all hold."""
    report = verify_bundle(data, trust, seen.encode() if seen else None)
    return next((step.number for step in report.steps[:9] if step.ok is False), 0)


def _second(data: bytes, trust: Trust, seen: str) -> int:
    try:
        verify(data, json.loads(trust.to_json()), seen)
    except RefusedError as refused:
        return refused.step
    return 0


def _both(data: bytes, trust: Trust, seen: str = "") -> int:
    first, second = _first(data, trust, seen), _second(data, trust, seen)
    assert first == second
    return first


@pytest.fixture
def lived(house):
    """A group in which everything happened that devices can go through."""
    house.live(2)
    lost = [house.meter().record("reading.batch", {"energy_wh": n}, house.now, house.now) for n in range(2)]
    house.seal(b"noise", lost[1])
    suspend_device(house.folder, METER, "test", house.wait(1))
    resume_device(house.folder, METER, "test", house.wait(1))
    rotate_device(house.folder, METER, house.wait(1))
    revoke_device(house.folder, METER, "was opened", house.wait(1))
    replace_device(house.folder, Enrolment(METER), house.wait(1))
    house.live(2)
    return house


def test_both_pass_honest_bundles_whole_and_in_part(lived) -> None:
    size = lived.log.size()
    seen = lived.log.note_at(2).signed
    periods = [(low, low + 3) for low in range(0, size - 3, 4)]

    told = [_both(lived.bundle().encode(), lived.trust), _both(lived.bundle().encode(), lived.trust, seen)]
    told += [_both(make_bundle(lived.folder, None, period, seen_size=2).encode(), lived.trust, seen) for period in periods]

    assert told == [0] * (2 + len(periods))


@pytest.mark.parametrize(("flips", "seed"), [pytest.param(150, 5), pytest.param(5000, 6, marks=pytest.mark.long)])
def test_both_stop_at_the_same_step_wherever_a_bit_is_changed(lived, flips: int, seed: int) -> None:
    seen, chance = lived.log.note_at(2).signed, random.Random(seed)
    contents = [lived.bundle().encode()[:-32], make_bundle(lived.folder, None, (9, 12), seen_size=2).encode()[:-32]]

    for _ in range(flips):
        content = chance.choice(contents)
        place, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        altered = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
        assert _both(altered + digest(altered), lived.trust, seen), f"seed {seed}: bit {bit} of byte {place} was not found"


def test_both_stop_at_the_same_step_when_entries_are_dropped_swapped_or_doubled(lived) -> None:
    for bundle in (lived.bundle(), make_bundle(lived.folder, None, (9, 14))):
        for altered in _rearranged(bundle):
            _both(altered.encode(), lived.trust)


def test_both_find_whatever_is_dropped_from_a_period_or_doubled_or_swapped_in_it(lived) -> None:
    """A device's change after the period that a later change undid tells nothing about the period: it may be left out."""
    bundle = make_bundle(lived.folder, None, (9, 14))
    kept = {*range(bundle.first - 1, bundle.end)} | {0, bundle.pieces[-1].number}

    for altered in _rearranged(bundle):
        dropped = {piece.number for piece in bundle.pieces} - {piece.number for piece in altered.pieces}
        if not dropped or dropped <= kept:
            assert _both(altered.encode(), lived.trust)


def _rearranged(bundle: Bundle) -> Iterator[Bundle]:
    pieces, proofs = bundle.pieces, bundle.proofs
    for place in range(len(pieces)):
        yield replace(bundle, pieces=pieces[:place] + pieces[place + 1 :], proofs=proofs[:place] + proofs[place + 1 :])
        yield replace(bundle, pieces=(*pieces[: place + 1], *pieces[place:]), proofs=proofs and (*proofs[: place + 1], *proofs[place:]))
    for place in range(len(pieces) - 1):
        one, two = pieces[place], pieces[place + 1]
        swapped = replace(one, leaf=two.leaf, epoch=two.epoch, body=two.body), replace(two, leaf=one.leaf, epoch=one.epoch, body=one.body)
        yield replace(bundle, pieces=(*pieces[:place], *swapped, *pieces[place + 2 :]))


def test_both_refuse_other_keys_another_past_and_a_bundle_nobody_cosigned(lived, street) -> None:
    other = street.build("hillside", "Bob")
    other.live(1)
    data = lived.bundle().encode()
    strange = Ed25519Signer.generate().public

    assert _both(data, other.trust) == 2
    assert _both(data, replace(lived.trust, log_key=strange)) == 2
    assert _both(data, lived.trust, other.log.newest().signed) == 3
    assert _both(data[:-1], lived.trust) == 1
    older = data
    lived.live(1)
    assert _both(older, lived.trust, lived.log.newest().signed) == 3
    lived.seal(lived.batch(lived.gateway()))
    assert _both(replace(lived.bundle(), note=lived.bundle().note.plus()).encode(), lived.trust) == 0
    uncosigned = replace(lived.bundle(), note=replace(lived.bundle().note, signatures=lived.bundle().note.signatures[:1]))
    assert _both(uncosigned.encode(), lived.trust) == 4


def test_an_entry_signed_again_by_a_thief_is_refused_by_both(lived) -> None:
    bundle = lived.bundle()
    number = next(piece.number for piece in bundle.pieces if Entry.decode(piece.leaf).kind == "reading.batch")
    entry = Entry.decode(bundle.pieces[number].leaf)
    forged = replace(entry, signatures=(bytes(64),)).encode()
    pieces = [replace(piece, leaf=forged) if piece.number == number else piece for piece in bundle.pieces]

    assert _both(replace(bundle, pieces=tuple(pieces)).encode(), lived.trust) == 5


@pytest.mark.parametrize("name", ["verify_alone"])
def test_it_runs_alone_and_shares_no_code_with_the_first(house, tmp_path: Path, name: str) -> None:
    house.live(1)
    (tmp_path / "evidence.bundle").write_bytes(house.bundle().encode())
    (tmp_path / "trust.json").write_text(house.trust.to_json())
    program = tmp_path / f"{name}.py"
    program.write_bytes((ALONE / f"{name}.py").read_bytes())
    tree = ast.parse(program.read_text())
    imported = {a.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    told = run("evidence.bundle", "trust.json")
    assert (told.returncode, "hold" in told.stdout) == (0, True), told.stderr
    assert run("trust.json", "trust.json").returncode == 1
    assert run("evidence.bundle", "evidence.bundle").returncode == 2
    assert run("nothing", "trust.json").returncode == 2
    assert run().returncode == 2
    assert imported <= sys.stdlib_module_names | {"cryptography"}


def test_both_know_the_same_kinds_their_signers_and_their_versions() -> None:
    first = {kind: (rule.signer, rule.version, rule.open) for kind, rule in KINDS.items()}

    assert {kind: (who, 2 if kind in NEWER else 1, who in REGISTRY) for kind, who in SIGNER.items()} == first
