"""Frozen bytes: what version 1 sealed once must read, hash and verify for ever.

Provenance: vectors/version_1.json was written on 2026-11-23 by `python tests/ledger/test_vectors.py` (this file) from the
keys and texts below, with ledger format 1 and cryptography 50.0.2. ECDSA here is deterministic (RFC 6979), so the same
code gives the same bytes. A change of these bytes is a new version of the format, never an edit of this file.
vectors/version_2.json was written on 2026-11-24 in the same way: the kinds that version 2 added. Version 1 stays as it is.
vectors/version_1.bundle with version_1.trust.json and version_1.seen is a whole group, made by the same run; its keys
were random and are gone.
"""

import json
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

from ledger.checkpoint import Checkpoint, cosign, parse_note, sign_checkpoint, verify_checkpoint, verify_cosignature
from ledger.custody import Enrolment, device_signer, enrol_devices, found_group, issue_gateway, make_bundle, open_log, revoke_device
from ledger.entry import KINDS, NO_GROUP, Body, Entry, Signed, ms
from ledger.founding import GOVERNMENT, OWNER, Founding, Member, WitnessKey
from ledger.group import Group
from ledger.keys import Ed25519Signer, EnvelopeKey, P256Signer, PublicKey
from ledger.source import Source
from ledger.tree import make_inclusion, range_hash_of, root_of, verify_inclusion
from ledger.trust import Trust
from ledger.verify import verify_bundle
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient, cosign_newest

FOLDER = Path(__file__).parent / "vectors"
AT = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
WALL = datetime(2026, 6, 1, 8, tzinfo=UTC)
OWNER_KEY, GOVERNMENT_KEY, GATEWAY_KEY = (P256Signer(ec.derive_private_key(n, ec.SECP256R1())) for n in (11, 12, 13))
LOG_KEY, WITNESS_KEY = (Ed25519Signer(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (21, 22))
ENVELOPES = [EnvelopeKey(x25519.X25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (31, 32)]
SECRET = b"\x2a" * 32

FIELDS = {
    "member.join": {"member": {"source": "auditor:x", "name": "X"}, "data_key": b"\x01" * 80},
    "member.leave": {"member": "auditor:x", "reason": "contract ended"},
    "key.rotate": {"member": {"source": "auditor:x", "name": "X"}, "data_key": b"\x01" * 80},
    "policy.install": {"name": "overload", "source": b"\x05" * 32, "version": 2, "parameters": {"contract_kw": 150}},
    "device.enrol": {"device": "demo:ahu_1", "kind": "fingerprint", "fingerprint": {"vendor": 7}, "vouched_by": "demo:gateway"},
    "reading.batch": {"em_main.energy": [1767598200000, 123456789, "good"], "ahu_1.sa_t": [1767598200000, -215, "stale"]},
    "control.action": {"point": "ahu_1.sa_t_sp", "asked": 1550, "before": 1280, "until": 1767599100000, "why": "\u51b7\u5374 reset"},
    "emission.period": {"factor": "CN-EAST-2022", "energy_wh": 123456789, "grams": 70320987},
    "control.grant": {
        "by": "chen",
        "key": "p256:x",
        "signed": "2026-01-05",
        "until": "",
        "points": ["ahu_1.sa_t_sp"],
        "sha256": b"\x06" * 32,
    },
    "twin.review": {
        "header": "bacnet:ddc_1/analog-output,4",
        "decision": {"point": "vav_1.dmp", "writable": True},
        "by": "chen",
        "why": "saw it",
    },
    "alarm.raised": {"contract": "overload", "level": "warn", "watts": 135000},
    "ruling": {"dispute": 3, "upheld": True, "reason": None},
    "state": {"members": b"\x01" * 32, "contracts": {}, "checkpoint": b"\x02" * 32, "sources": {"owner": [1, b"\x03" * 32, 1780300800000]}},
    "refused": {"reason": "replayed", "hash": b"\x04" * 32, "source": "demo:em_main", "kind": "reading.batch", "seq": 4},
    "gap": {"source": "demo:em_main", "first": 5, "last": 7},
    "grant.given": {"grant": "g1", "who": "person/ann", "key": ["p256", b"\x02" * 33], "version": "",
                    "points": {"ahu_1.sa_t_sp": [12000, None]}, "from_ms": 1767598200000, "until_ms": 1767684600000},
    "grant.ended": {"grant": "g1", "reason": "left the house"},
    "control.request": {"point": "ahu_1.sa_t_sp", "value_milli": 14000, "until_ms": 1767599100000, "why": "\u51b7\u5374"},
    "data.epoch": {"epoch": 2, "key_hash": b"\x06" * 32},
    "data.destroyed": {"epoch": 2, "key_hash": b"\x06" * 32, "first": 9, "last": 40, "ordered_by": "Ann", "reason": "tenant asked"},
    "recovery.set": {"keys": [["safe", ["p256", b"\x03" * 33]]], "needed": 1},
    "member.recover": {"member": {"source": "owner", "name": "Ann"}, "reason": "house burnt"},
    "log.rotate": {"log": ["ed25519", b"\x07" * 32], "reason": "disk lost"},
    "witness.rotate": {"witnesses": [["government/witness/riverside", ["ed25519", b"\x07" * 32]]], "needed": 1, "reason": "disk lost"},
}  # fmt: skip
SIGNERS = {
    "owner": (OWNER, OWNER_KEY),
    "member": (GOVERNMENT, GOVERNMENT_KEY),
    "device": ("demo:gateway", GATEWAY_KEY),
    "log": ("log", LOG_KEY),
    "person": ("person/ann", GATEWAY_KEY),
}
SEVERAL = {"members": (OWNER, (OWNER_KEY, GOVERNMENT_KEY)), "quorum": (GOVERNMENT, (GOVERNMENT_KEY, GATEWAY_KEY))}


def make_vectors(version: int = 1) -> dict[str, object]:
    founding = _founding()
    group = founding.entry.hash
    wanted = [kind for kind, rule in KINDS.items() if rule.version == version]
    kinds = {kind: founding if kind == "group.found" else _entry(group, kind) for kind in wanted}
    leaves = [signed.entry.hash for signed in kinds.values()]
    note = sign_checkpoint(Checkpoint(f"wattproof/{group.hex()}", len(leaves), root_of(leaves)), LOG_KEY)
    note = note.plus(cosign(note, "government/witness/riverside", WITNESS_KEY, 1_780_300_800))
    return {
        "kinds": {kind: _frozen(signed) for kind, signed in kinds.items()},
        "keys": {"owner": OWNER_KEY.public.text, "log": LOG_KEY.public.text, "witness": WITNESS_KEY.public.text},
        "note": note.signed,
        "inclusion": [hash_.hex() for hash_ in make_inclusion(5, len(leaves), range_hash_of(leaves))],
    }


def _frozen(signed: Signed) -> dict[str, str]:
    return {"entry": signed.entry.encode().hex(), "body": signed.body.encode().hex(), "hash": signed.entry.hash.hex()}


def _founding() -> Signed:
    members = (
        Member(OWNER, "Ann", OWNER, OWNER_KEY.public, ENVELOPES[0].public),
        Member(GOVERNMENT, "government", GOVERNMENT, GOVERNMENT_KEY.public, ENVELOPES[1].public),
    )
    witness = WitnessKey("government/witness/riverside", WITNESS_KEY.public)
    data_keys = {OWNER: b"\x01" * 80, GOVERNMENT: b"\x02" * 80}
    draft = Founding("riverside", True, members, LOG_KEY.public, (witness,), 1, b"no certificate", data_keys).draft(SECRET[:16], ms(WALL))
    return Signed(draft.entry.signed_by(OWNER_KEY, GOVERNMENT_KEY), draft.body)


def _entry(group: bytes, kind: str) -> Signed:
    fields = FIELDS.get(kind, {"what": kind, "number": 1})
    if KINDS[kind].signer in SEVERAL:
        source, signers = SEVERAL[KINDS[kind].signer]
        body = Body.of(fields, SECRET[:16])
        keys = tuple(signer.key_id for signer in signers)
        draft = Entry(group, kind, source, 4, b"\x08" * 32, ms(AT), ms(WALL), True, body.root, keys)
        return Signed(draft.signed_by(*signers), body)
    name, signer = SIGNERS[KINDS[kind].signer]
    return Source(signer, group, name, 4, b"\x08" * 32, simulated=True, secret=SECRET).entry(kind, fields, AT, WALL)


VECTORS = json.loads((FOLDER / "version_1.json").read_text(encoding="utf-8")) if (FOLDER / "version_1.json").exists() else {"kinds": {}}
LATER = json.loads((FOLDER / "version_2.json").read_text(encoding="utf-8")) if (FOLDER / "version_2.json").exists() else {"kinds": {}}


def test_every_kind_has_a_vector() -> None:
    assert sorted([*VECTORS["kinds"], *LATER["kinds"]]) == sorted(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frozen_bytes_read_and_hash_as_they_did(kind: str) -> None:
    vector = {**VECTORS["kinds"], **LATER["kinds"]}[kind]
    entry, body = Entry.decode(bytes.fromhex(vector["entry"])), Body.decode(bytes.fromhex(vector["body"]))

    assert entry.kind == kind
    assert entry.hash.hex() == vector["hash"]
    assert entry.body == body.root
    for key, signature in zip(_keys(kind), entry.signatures, strict=True):
        key.verify(entry.message(), signature)


def _keys(kind: str) -> list[PublicKey]:
    rule = KINDS[kind].signer
    return [signer.public for signer in SEVERAL[rule][1]] if rule in SEVERAL else [SIGNERS[rule][1].public]


def test_the_same_code_makes_the_same_bytes() -> None:
    assert make_vectors() == VECTORS
    assert make_vectors(version=2) == LATER


def test_the_frozen_founding_makes_the_group_s_name() -> None:
    vector = VECTORS["kinds"]["group.found"]
    entry = Entry.decode(bytes.fromhex(vector["entry"]))

    group = Group.found(entry, Body.decode(bytes.fromhex(vector["body"])))

    assert entry.group == NO_GROUP
    assert group.id.hex() == vector["hash"]
    assert all(Entry.decode(bytes.fromhex(v["entry"])).group == group.id for kind, v in VECTORS["kinds"].items() if kind != "group.found")


def test_the_frozen_note_cosignature_and_proof_hold() -> None:
    note = parse_note(VECTORS["note"].encode())
    leaves = [bytes.fromhex(vector["hash"]) for vector in VECTORS["kinds"].values()]

    checkpoint = verify_checkpoint(note, note.checkpoint.origin, PublicKey.from_text(VECTORS["keys"]["log"]))
    at = verify_cosignature(note.text, note.signatures[1], "government/witness/riverside", PublicKey.from_text(VECTORS["keys"]["witness"]))

    assert at == 1_780_300_800
    assert checkpoint.root == root_of(leaves)
    verify_inclusion(leaves[5], 5, len(leaves), [bytes.fromhex(hash_) for hash_ in VECTORS["inclusion"]], checkpoint.root)


def test_the_frozen_bundle_still_verifies() -> None:
    trust = Trust.from_json((FOLDER / "version_1.trust.json").read_text(encoding="utf-8"))

    report = verify_bundle((FOLDER / "version_1.bundle").read_bytes(), trust, (FOLDER / "version_1.seen").read_bytes())

    assert report.ok
    assert [step.number for step in report.steps if step.ok] == list(range(1, 10))
    assert report.root == "8a6693ad766c5c2fbb579714383bf769689888f01542e7abeb49f3a29fad16f1"


def make_bundle_vector(folder: Path) -> str:
    """A small group's whole life: found, enrol, read, refuse, declare a gap, revoke."""
    with tempfile.TemporaryDirectory() as state:
        server = WitnessServer(Witness(Path(state) / "witness"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home, client = Path(state) / "groups" / "riverside", WitnessClient(server.url)
        found_group(home, "riverside", "Ann", client, simulated=True, at=WALL)
        issue_gateway(home, "demo", WALL)
        enrol_devices(home, [Enrolment("demo:em_main"), Enrolment("demo:ahu_1", "AHU", "", {"vendor": 7}, "demo:gateway")], WALL)
        log = open_log(home)
        cosign_newest(log, client)
        seen = log.newest().signed
        meter = log.source(device_signer(home, "demo:em_main"), "demo:em_main")
        records = [meter.record("reading.batch", {"em_main.energy": 1000 * n}, AT, WALL) for n in range(3)]
        gateway = log.source(device_signer(home, "demo:gateway"), "demo:gateway")
        batch = gateway.entry("reading.batch", FIELDS["reading.batch"], AT, WALL)
        log.seal([batch, gateway.entry("control.action", FIELDS["control.action"], AT, WALL), records[0], records[2], records[2]], WALL)
        revoke_device(home, "demo:em_main", "replaced", WALL + timedelta(hours=1))
        cosign_newest(log, client)
        bundle = make_bundle(home, folder / "version_1.bundle")
        (folder / "version_1.seen").write_text(seen, encoding="utf-8")
        (folder / "version_1.trust.json").write_text(server.witness.trust("riverside").to_json(), encoding="utf-8")
        log.close()
        server.shutdown()
        server.server_close()
        return bundle.note.checkpoint.root.hex()


if __name__ == "__main__":
    for version in (1, 2):
        text = json.dumps(make_vectors(version), indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"version_{version}.json").write_text(text, encoding="utf-8")
    sys.stdout.write(f"root of the bundle: {make_bundle_vector(FOLDER)}\n")
