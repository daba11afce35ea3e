"""The owner's side of a group: its folder, its keys, founding it, and its devices' identities.

A group's folder holds log.db, group.json (public facts) and keys/ (mode 0600). Nothing here opens two groups at once.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ledger.bundle import Bundle
from ledger.cbor import Value, decode, encode
from ledger.certificates import issue_certificate, make_authority
from ledger.entry import KINDS, SECRET_BYTES, Body, Signed, ms
from ledger.envelope import new_data_key, unwrap_data_key, wrap_data_key
from ledger.epochs import member_data_keys
from ledger.errors import LedgerError
from ledger.evidence import range_bundle, whole_bundle
from ledger.founding import CERTIFICATE, DEVICE_NAME, FINGERPRINT, GOVERNMENT, OWNER, Founding, Member, WitnessKey, sign_as_member
from ledger.group import Group
from ledger.keys import Ed25519Signer, EnvelopeKey, P256Signer, read_envelope_key, read_note_signer, read_signer, write_key
from ledger.log import Log, Sealed
from ledger.reader import Reader, is_founded
from ledger.source import Source
from ledger.standing import following
from ledger.tables import EPOCH_FIRST
from ledger.trust import Trust
from ledger.witness_client import GovernmentKeys, WitnessClient
from twin.clock import wall_now
from twin.state import write_json, write_whole

GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A device to be enrolled: with a fingerprint it is vouched for by a gateway, without it gets a key and certificate."""

    source: str
    brick: str = ""
    address: str = ""
    fingerprint: Mapping[str, Value] = field(default_factory=dict)
    vouched_by: str = ""


def found_group(
    folder: Path,
    name: str,
    owner: str,
    client: WitnessClient,
    *,
    simulated: bool = False,
    policies: Sequence[Mapping[str, Value]] = (),
    at: datetime | None = None,
) -> Group:
    """Found a group with the government that `client` speaks for; keys, log and group.json are made in `folder`.

    `policies`: contracts installed from the first entry on, each {name, source (hash), version, parameters}.
    A founding whose answer was lost on the way can be asked for again with the same words.
    """
    if is_founded(folder / "log.db"):
        raise LedgerError(f"{folder}: there is a group already; it is founded once")
    government = client.ask_to_join(name, owner)
    keys = _owner_keys(folder)
    wanted = _Wish(name, _members(owner, keys, government), government.witness, simulated, tuple(policies))
    draft = _draft(folder / "keys" / "founding.pending", wanted, keys, at or wall_now())
    founded = client.join(draft, sign_as_member(draft.entry, keys.sign))
    if founded.body != draft.body or founded.entry.message() != draft.entry.message():
        raise LedgerError("the government signed another founding than the one it was sent")
    wrapped = Founding.parse(draft.body).data_keys[OWNER]
    data_key = unwrap_data_key(wrapped, keys.envelope, keys.log.public, EPOCH_FIRST)
    log = Log.found(folder / "log.db", founded, keys.log, {EPOCH_FIRST: data_key})
    group = log.current
    log.close()
    write_json(folder / "group.json", _public_facts(group, client.url))
    return group


@dataclass(frozen=True, slots=True)
class _Wish:
    name: str
    members: tuple[Member, ...]
    witness: WitnessKey
    simulated: bool
    policies: tuple[Mapping[str, Value], ...]


def _members(owner: str, keys: "_OwnerKeys", government: GovernmentKeys) -> tuple[Member, ...]:
    return (
        Member(OWNER, owner, OWNER, keys.sign.public, keys.envelope.public),
        Member(GOVERNMENT, government.government, GOVERNMENT, government.key, government.envelope),
    )


def _draft(pending: Path, wanted: _Wish, keys: "_OwnerKeys", at: datetime) -> Signed:
    """The founding to be signed, kept before it is sent: if the answer is lost, the same one is sent again."""
    if not pending.exists():
        body = Body.of(_founding(wanted, keys, at).fields(), os.urandom(SECRET_BYTES))
        write_whole(pending, encode([body.encode(), ms(at)]), mode=0o600)
    kept, time_ms = decode(pending.read_bytes())
    body = Body.decode(kept)
    founding = Founding.parse(body)
    if _Wish(founding.name, founding.members, founding.witnesses[0], founding.simulated, founding.policies) != wanted:
        raise LedgerError(f"{pending}: another founding was begun here and not finished; finish that one, or take the folder away")
    return founding.draft(body.secret, time_ms)


def _founding(wanted: _Wish, keys: "_OwnerKeys", at: datetime) -> Founding:
    data_key = new_data_key()
    wrapped = {member.source: wrap_data_key(data_key, member.envelope, keys.log.public, EPOCH_FIRST) for member in wanted.members}
    authority = make_authority(keys.authority, wanted.name, at)
    return Founding(
        wanted.name, wanted.simulated, wanted.members, keys.log.public, (wanted.witness,), 1, authority, wrapped, wanted.policies
    )


@dataclass(frozen=True, slots=True)
class _OwnerKeys:
    sign: P256Signer
    envelope: EnvelopeKey
    log: Ed25519Signer
    authority: P256Signer


def _owner_keys(folder: Path) -> _OwnerKeys:
    """The owner's keys; made when absent, so that a founding that was interrupted can go on."""
    keys = folder / "keys"
    for name, kind in (("owner", P256Signer), ("owner.envelope", EnvelopeKey), ("log", Ed25519Signer), ("authority", P256Signer)):
        if not (keys / f"{name}.key").exists():
            write_key(keys / f"{name}.key", kind.generate())
    return _OwnerKeys(
        read_signer(keys / "owner.key"),
        read_envelope_key(keys / "owner.envelope.key"),
        read_note_signer(keys / "log.key"),
        read_signer(keys / "authority.key"),
    )


def _public_facts(group: Group, witness_url: str) -> Mapping[str, object]:
    founding = group.founding
    return {
        "name": founding.name,
        "group": group.id.hex(),
        "origin": group.origin,
        "simulated": founding.simulated,
        "members": [{"source": m.source, "name": m.name, "role": m.role, "key": m.key.text} for m in founding.members],
        "log": founding.log.text,
        "witnesses": [{"name": w.name, "key": w.key.text} for w in founding.witnesses],
        "witness_url": witness_url,
    }


def open_log(folder: Path, signer: Ed25519Signer | None = None) -> Log:
    """The group's log for sealing, with the owner's keys; `signer`: a log key that is about to follow the one in use."""
    reader = Reader(folder / "log.db")
    try:
        keys = member_data_keys(reader, read_envelope_key(folder / "keys" / "owner.envelope.key"), OWNER)
    finally:
        reader.close()
    return Log(folder / "log.db", signer or read_note_signer(folder / "keys" / "log.key"), keys)


def issue_gateway(folder: Path, site: str, at: datetime | None = None) -> str:
    """Give a site's gateway its key and certificate and enrol it; returns its source name."""
    source = f"{site}:{GATEWAY}"
    enrol_devices(folder, [Enrolment(source, brick="Gateway")], at)
    return source


def device_signer(folder: Path, source: str) -> P256Signer:
    """The key of a device that the owner keeps for it (a gateway, or a simulated meter)."""
    return read_signer(_device_key(folder, source))


def enrol_devices(folder: Path, enrolments: Iterable[Enrolment], at: datetime | None = None) -> Sealed:
    """Enrol devices in one checkpoint; those without fingerprint get a key and a certificate of the group's authority."""
    wanted = list(enrolments)
    now = at or wall_now()
    with Registrar(folder, now) as registrar:
        return registrar.seal([("device.enrol", _enrolled(folder, enrolment, registrar.group, now)) for enrolment in wanted])


def _enrolled(folder: Path, enrolment: Enrolment, group: Group, at: datetime) -> Mapping[str, Value]:
    return {
        "device": enrolment.source,
        "kind": FINGERPRINT if enrolment.fingerprint else CERTIFICATE,
        "certificate": b"" if enrolment.fingerprint else _certify(folder, group, enrolment.source, at),
        "fingerprint": dict(enrolment.fingerprint),
        "vouched_by": enrolment.vouched_by,
        "brick": enrolment.brick,
        "address": enrolment.address,
    }


def enrol_device(folder: Path, enrolment: Enrolment, at: datetime | None = None) -> Sealed:
    """Enrol one device."""
    return enrol_devices(folder, [enrolment], at)


def rotate_device(folder: Path, source: str, at: datetime | None = None) -> Sealed:
    """Give a device a new key and certificate; the old key ends at this entry."""
    now = at or wall_now()
    _retire(_device_key(folder, source))
    with Registrar(folder, now) as registrar:
        return registrar.seal([("device.rotate", {"device": source, "certificate": _certify(folder, registrar.group, source, now)})])


def replace_device(folder: Path, enrolment: Enrolment, at: datetime | None = None) -> Sealed:
    """Put another device in the place of an enrolled one, revoked or not: new fingerprint, or new key and certificate."""
    now = at or wall_now()
    _retire(_device_key(folder, enrolment.source))
    with Registrar(folder, now) as registrar:
        return registrar.seal([("device.replace", _enrolled(folder, enrolment, registrar.group, now))])


def revoke_device(folder: Path, source: str, reason: str, at: datetime | None = None) -> Sealed:
    """End a device's right to sign or to be vouched for, from this entry on."""
    return _change_status(folder, "device.revoke", source, reason, at)


def suspend_device(folder: Path, source: str, reason: str, at: datetime | None = None) -> Sealed:
    """Stop a device for a while."""
    return _change_status(folder, "device.suspend", source, reason, at)


def resume_device(folder: Path, source: str, reason: str, at: datetime | None = None) -> Sealed:
    """Let a suspended device go on."""
    return _change_status(folder, "device.resume", source, reason, at)


def _change_status(folder: Path, kind: str, source: str, reason: str, at: datetime | None) -> Sealed:
    with Registrar(folder, at or wall_now()) as registrar:
        return registrar.seal([(kind, {"device": source, "reason": reason})])


class Registrar:
    """The owner signing registry entries into the log, in checkpoints of his own."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self._log = open_log(folder)
        self._at = at
        self._source: Source = self._log.source(read_signer(folder / "keys" / "owner.key"), OWNER)
        self.group = self._log.current

    @property
    def log(self) -> Log:
        """The log it seals into."""
        return self._log

    def seal(self, statements: Sequence[tuple[str, Mapping[str, Value]]]) -> Sealed:
        items: list[Signed | bytes] = [self._source.entry(kind, facts, self._at, self._at) for kind, facts in statements]
        fed = any(KINDS[kind].fed for kind, _ in statements)
        sealed = self._log.seal(items, self._at, following(self._log) if fed else None)
        if sealed.refused:
            raise LedgerError("; ".join(sealed.refused))
        return sealed

    def __enter__(self) -> "Registrar":
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()


def _certify(folder: Path, group: Group, source: str, at: datetime) -> bytes:
    path = _device_key(folder, source)
    if not path.exists():
        write_key(path, P256Signer.generate())
    authority = read_signer(folder / "keys" / "authority.key")
    return issue_certificate(authority, group.founding.authority, read_signer(path).public, source, at)


def _device_key(folder: Path, source: str) -> Path:
    if not DEVICE_NAME.fullmatch(source):
        raise LedgerError(f"a device is named <site>:<device> in small letters, digits, _ . and -; got {source!r}")
    return folder / "keys" / f"{source.replace(':', '.')}.key"


def _retire(path: Path) -> None:
    if not path.exists():
        return
    for number in range(1, 1000):
        retired = path.with_suffix(f".{number}.retired")
        if not retired.exists():
            path.rename(retired)
            return
    raise LedgerError(f"{path}: was rotated 999 times; clear the retired keys")


def make_bundle(folder: Path, out: Path | None = None, period: tuple[int, int] | None = None, seen_size: int = 0) -> Bundle:
    """The group's evidence as one file, bodies opened for the reader: everything, or the checkpoints around a period of entries."""
    reader = Reader(folder / "log.db")
    try:
        keys = member_data_keys(reader, read_envelope_key(folder / "keys" / "owner.envelope.key"), OWNER)
        bundle = range_bundle(reader, keys, *period, seen_size=seen_size) if period else whole_bundle(reader, keys)
    finally:
        reader.close()
    if out is not None:
        write_whole(out, bundle.encode(), mode=0o600)  # its bodies lie open: whoever reads the file reads the building
    return bundle


def export_trust(trust: Trust, out: Path) -> None:
    """Write what an inspector needs as a file; take `trust` from the government's own store (Witness.trust)."""
    write_whole(out, trust.to_json().encode())
