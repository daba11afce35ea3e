from dataclasses import replace

import pytest

from ledger.entry import Body, Entry, Signed, ms
from ledger.errors import FormatError
from ledger.founding import Founding, Member
from ledger.group import Group
from ledger.keys import EnvelopeKey, P256Signer, read_signer
from ledger.verify import verify_bundle

AUDITOR, AUDITOR_LATER = P256Signer.generate(), P256Signer.generate()


def _member(signer: P256Signer) -> Member:
    return Member("auditor:x", "X and partners", "auditor", signer.public, EnvelopeKey.generate().public)


@pytest.fixture
def both(house, street):
    """Statements that owner and government sign together."""
    owner = read_signer(house.folder / "keys" / "owner.key")
    government = read_signer(street.root / "witness" / "keys" / "riverside.sign.key")

    def both(kind: str, fields: dict[str, object], *signers: P256Signer) -> Signed:
        body, last = Body.of(fields, b"\x01" * 16), house.log.last("owner")
        keys = tuple(signer.key_id for signer in signers or (owner, government))
        at = ms(house.now)
        draft = Entry(house.group.id, kind, "owner", last.seq + 1, last.hash, at, at, True, body.root, keys)
        return Signed(draft.signed_by(*(signers or (owner, government))), body)

    both.owner, both.government = owner, government
    return both


def test_members_come_speak_change_keys_and_go(house, both) -> None:
    story = []

    def declare(what: str, signer: P256Signer) -> None:
        source = house.log.source(signer, "auditor:x")
        refused = house.seal(source.entry("declaration.made", {"what": what}, house.now, house.now)).refused
        story.append((what, refused[0].split(":")[0] if refused else "sealed"))

    declare("before joining", AUDITOR)
    join = {"member": _member(AUDITOR).value(), "data_key": b"\x00" * 80}
    assert house.seal(both("member.join", join)).refused == ()
    declare("as a member", AUDITOR)
    rotate = {"member": _member(AUDITOR_LATER).value(), "data_key": b"\x00" * 80}
    assert house.seal(both("key.rotate", rotate)).refused == ()
    declare("with the old key", AUDITOR)
    declare("with the new key", AUDITOR_LATER)
    assert house.seal(both("member.leave", {"member": "auditor:x", "reason": "contract ended"})).refused == ()
    declare("after leaving", AUDITOR_LATER)
    house.cosign()

    assert story == [
        ("before joining", "unknown"),
        ("as a member", "sealed"),
        ("with the old key", "unknown"),
        ("with the new key", "sealed"),
        ("after leaving", "unknown"),
    ]
    assert verify_bundle(house.bundle().encode(), house.trust).ok


def test_one_of_two_cannot_change_the_membership(house, both) -> None:
    join = {"member": _member(AUDITOR).value(), "data_key": b"\x00" * 80}

    for signers in [(both.owner,), (both.government,), (both.government, both.owner), (both.owner, both.owner)]:
        assert "not signed under the key that is valid now" in house.seal(both("member.join", join, *signers)).refused[0]


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("member.leave", {"member": "government", "reason": "unwanted"}, "not a member that can leave"),
        ("member.leave", {"member": "nobody", "reason": ""}, "not a member that can leave"),
        ("member.join", {"member": {}, "data_key": b""}, "expected source"),
        ("key.rotate", {"member": _member(AUDITOR).value(), "data_key": b""}, "whose keys could change"),
        ("policy.install", {"name": "overload"}, "expected name"),
        ("group.found", {"name": "again"}, "not for others to say"),
    ],
)
def test_membership_changes_that_cannot_be_are_refused(house, both, kind: str, fields: dict[str, object], reason: str) -> None:
    assert reason in house.seal(both(kind, fields)).refused[0]


def test_a_contract_installed_later_counts_from_its_entry(house, both) -> None:
    policy = {"name": "overload", "source": b"\x05" * 32, "version": 2, "parameters": {"contract_kw": 150}}

    number = house.seal(both("policy.install", policy)).numbers[0]

    assert house.log.group().policies == {"overload": {**policy, "from": number}}


def test_the_replayed_group_is_the_same_wherever_it_is_replayed(house) -> None:
    house.live(1)

    assert house.log.group().root == house.log.current.root == house.open().group().root
    assert house.log.group(2).root != house.log.group().root, "two devices less"


FALSE_FOUNDINGS = {
    "the government first": lambda f: {"members": f.members[::-1]},
    "no government": lambda f: {"members": f.members[:1], "data_keys": {"owner": b""}},
    "one key for owner and government": lambda f: {"members": (f.members[0], replace(f.members[1], key=f.members[0].key))},
    "the log's key as the witness's": lambda f: {"witnesses": (replace(f.witnesses[0], key=f.log),)},
    "no witness": lambda f: {"witnesses": (), "witnesses_needed": 0},
    "more witnesses needed than there are": lambda f: {"witnesses_needed": 2},
    "a data key for a stranger": lambda f: {"data_keys": {**f.data_keys, "stranger": b""}},
    "no data key for the government": lambda f: {"data_keys": {"owner": b""}},
}


@pytest.mark.parametrize("what", FALSE_FOUNDINGS)
def test_a_founding_that_cannot_stand_cannot_be_made(house, what: str) -> None:
    founding: Founding = house.group.founding

    with pytest.raises(FormatError):
        replace(founding, **FALSE_FOUNDINGS[what](founding))


def test_the_group_s_name_is_the_hash_of_its_founding(house) -> None:
    first = next(house.log.stored(0, 1))

    assert first.entry.hash == house.group.id == Group.found(first.entry, Body.decode(first.box)).id
    assert house.log.newest().checkpoint.origin == f"wattproof/{house.group.id.hex()}"
