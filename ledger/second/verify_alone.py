"""The second verifier, steps 1 to 9: one file, run alone as `python verify_alone.py BUNDLE TRUST [SEEN_CHECKPOINT]`.

Written from the format's description and not from the first verifier; it imports the standard library and `cryptography`.
It stops at the first thing that does not hold. Bodies that are sealed for members stay closed here.
"""

import base64
import hashlib
import hmac
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store

ZERO, SLACK_MS, OPEN = bytes(32), 300_000, 0
ENTRY = {"v": int, "group": bytes, "kind": str, "source": str, "seq": int, "prev": bytes, "time": int, "wall": int,
         "simulated": bool, "body": bytes, "key": bytes, "sig": bytes}  # fmt: skip
BUNDLE = {"format": str, "group": bytes, "note": str, "first": int, "end": int, "entries": list, "proofs": list, "seen": list}
ALGORITHMS = {"entry": "ecdsa-p256-sha256", "note": "ed25519", "body": "aes-256-gcm",
              "wrap": "hpke-x25519-hkdf-sha256-aes-128-gcm", "tree": "rfc9162-sha256"}  # fmt: skip
SAYS = {  # who signs which kinds
    "members": "group.found member.join member.leave key.rotate policy.install",
    "owner": "device.enrol device.rotate device.suspend device.resume device.revoke device.calibrate device.replace",
    "log": "state refused gap",
    "device": "device.seen reading.batch control.action control.mode control.refusal control.release twin.import baseline.reference "
    "comfort.period emission.period saving.period alarm.raised alarm.acknowledged alarm.escalated alarm.cleared",
    "member": "declaration.made dispute.opened ruling access.read",
}
LATER = {  # what version 2 added
    "members": "data.destroyed recovery.set log.rotate witness.rotate",
    "owner": "grant.given grant.ended data.epoch",
    "quorum": "member.recover",
    "device": "control.grant twin.review",
    "person": "control.request",
}
SIGNER = {kind: who for says in (SAYS, LATER) for who, kinds in says.items() for kind in kinds.split()}
NEWER = {kind for kinds in LATER.values() for kind in kinds.split()}
REGISTRY = ("members", "owner", "log", "quorum")  # their bodies lie open to every reader
KEYS = ("member.join", "member.leave", "key.rotate", "recovery.set", "member.recover", "log.rotate", "witness.rotate")


class RefusedError(Exception):
    """What does not hold, and in which step."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"step {step}: {what}")
        self.step = step


def _need(holds: object, step: int, what: str) -> None:
    if not holds:
        raise RefusedError(step, what)


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# CBOR: whatever does not encode back to the same bytes is refused.


def _spell(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, ~value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(_spell, value))
    return _head(5, len(value)) + b"".join(key + item for key, item in sorted((_spell(k), _spell(v)) for k, v in value.items()))


def _head(major: int, number: int) -> bytes:
    size = 0 if number < 24 else 1 if number < 256 else 2 if number < 65536 else 4 if number < 1 << 32 else 8
    return bytes([major << 5 | (number if not size else 23 + size.bit_length())]) + (number.to_bytes(size, "big") if size else b"")


def _unspell(data: bytes, step: int) -> Any:
    try:
        value, end = _value(data, 0, 0)
        if end == len(data) and _spell(value) == data:
            return value
    except (IndexError, ValueError, OverflowError, AttributeError, TypeError):
        pass
    raise RefusedError(step, "bytes that are not canonical CBOR")


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    major, number, at = data[at] >> 5, data[at] & 31, at + 1
    if major == 7:
        return {20: False, 21: True, 22: None}[number] if number in (20, 21, 22) else _odd(), at
    if number > 23:
        size = 1 << number - 24 if number < 28 else _odd()
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major < 2:
        return ~number if major else number, at
    if major < 4:
        return (data[at : at + number] if major == 2 else data[at : at + number].decode()), at + number
    if major == 6 or depth > 15 or number > len(data) - at:
        _odd()
    items = []
    for _ in range(number if major == 4 else 2 * number):
        item, at = _value(data, at, depth + 1)
        items.append(item)
    if major == 5 and not all(type(key) is str for key in items[::2]):
        _odd()
    return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), at


def _odd() -> Any:
    raise ValueError


def _typed(value: Any, types: dict[str, type]) -> bool:
    return isinstance(value, dict) and {key: type(item) for key, item in value.items()} == types


def _fact_map(value: Any, step: int, **types: type) -> dict[str, Any]:
    short = _typed(value, types) and all(len(v) <= 200 for v in value.values() if type(v) is str)
    _need(short, step, f"not a map of {', '.join(types)}")
    return dict(value)


# The tree, from its recursive definition.


def _node(left: bytes, right: bytes) -> bytes:
    return _sha(b"\x01" + left + right)


def _tree(leaves: list[bytes]) -> bytes:
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        height, top = 0, leaf
        while stack and stack[-1][0] == height:
            height, top = height + 1, _node(stack.pop()[1], top)
        stack.append((height, top))
    return _peaks_root(stack)


def _peaks_root(stack: list[tuple[int, bytes]]) -> bytes:
    if not stack:
        return _sha(b"")
    root = stack[-1][1]
    for _, top in reversed(stack[:-1]):
        root = _node(top, root)
    return root


def _half(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def _root_by_path(leaf: bytes, number: int, size: int, path: list[bytes], step: int) -> bytes:
    if size == 1:
        _need(not path, step, "an inclusion proof that is too long")
        return leaf
    _need(path, step, "an inclusion proof that is too short")
    if number < _half(size):
        return _node(_root_by_path(leaf, number, _half(size), path[:-1], step), path[-1])
    return _node(path[-1], _root_by_path(leaf, number - _half(size), size - _half(size), path[:-1], step))


def _grown(old: int, new: int, path: list[bytes], known: bytes | None) -> tuple[bytes, bytes]:
    if old == new:
        top = known if known is not None else path[-1] if path else b""
        _need(len(path) == (known is None), 3, "a consistency proof of another length")
        return top, top
    _need(path, 3, "a consistency proof that is too short")
    if old <= _half(new):
        below = _grown(old, _half(new), path[:-1], known)
        return below[0], _node(below[1], path[-1])
    below = _grown(old - _half(new), new - _half(new), path[:-1], None)
    return _node(path[-1], below[0]), _node(path[-1], below[1])


# Keys and notes.


def _key_of(value: Any, step: int) -> tuple[str, bytes]:
    sizes = {"p256": 33, "ed25519": 32, "x25519": 32}
    _need(
        isinstance(value, list) and [type(p) for p in value] == [str, bytes] and sizes.get(value[0]) == len(value[1]), step, "no public key"
    )
    return value[0], value[1]


def _written(key: Any) -> str:
    return f"{key[0]}:{key[1].hex()}"


def _key_id(key: tuple[str, bytes]) -> bytes:
    return _sha(f"wattproof key {key[0]}\n".encode() + key[1])


def _signed_by(key: tuple[str, bytes], message: bytes, signature: bytes) -> bool:
    try:
        if key[0] == "ed25519":
            ed25519.Ed25519PublicKey.from_public_bytes(key[1]).verify(signature, message)
        else:
            r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key[1])
            point.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except Exception:  # noqa: BLE001 (whatever goes wrong, it is not signed)
        return False
    return key[0] in ("ed25519", "p256")


def _note_parts(note: str, step: int) -> tuple[str, int, bytes, list[tuple[str, bytes, bytes]]]:
    text, blank, lines = note.rpartition("\n\n")
    parts = text.split("\n")
    _need(blank and len(parts) == 3 and len(note) <= 16384 and re.fullmatch(r"0|[1-9]\d{0,18}", parts[1]), step, "not a checkpoint")
    signatures = []
    for line in lines.removesuffix("\n").split("\n"):
        words = line.split(" ")
        _need(len(words) == 3 and words[0] == "\u2014" and words[1] and "+" not in words[1], step, "not a signature line")
        data = _unbase64(words[2], step)
        signatures.append((words[1], data[:4], data[4:]))
    _need(lines.endswith("\n") and len(signatures) <= 16 and len(_unbase64(parts[2], step)) == 32, step, "not a checkpoint")
    return text + "\n", int(parts[1]), _unbase64(parts[2], step), signatures


def _unbase64(text: str, step: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    _need(data and base64.b64encode(data).decode() == text, step, "not base64 that encodes back to itself")
    return data


def _note_id(name: str, kind: bytes, key: bytes) -> bytes:
    return _sha(name.encode() + b"\n" + kind + key)[:4]


# The steps.


def verify(bundle: bytes, trust: dict[str, Any], seen: str = "") -> str:
    """Steps 1 to 9 over a bundle; returns one line for people, raises RefusedError at the first thing that does not hold."""
    this = _Bundle()
    steps = [lambda: this.read(bundle), lambda: this.trust(trust), lambda: this.checkpoint(seen), this.witnesses, this.inclusion]
    steps += [this.membership, this.signatures, this.order, this.bodies]
    for number, step in enumerate(steps, 1):
        try:
            step()
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise RefusedError(number, f"something of another shape than the format has ({error!r})") from None
    return f"steps 1 to 9 hold: {len(this.leaves)} of {this.size} entries of group {this.id.hex()}, {this.closed} bodies sealed for members"


class _Leaf:
    def __init__(self, number: Any, data: Any, epoch: Any, box: Any) -> None:
        _need([type(part) for part in (number, data, epoch, box)] == [int, bytes, int, bytes] and len(data) <= 2048, 1, "not an entry")
        self.number, self.data, self.epoch, self.box, self.at = number, data, epoch, box, f"entry {number}"
        e = self.entry = _unspell(data, 1)
        known = _typed(e, ENTRY) and e["kind"] in SIGNER and e["v"] == 1 + (e["kind"] in NEWER)
        _need(known and e["seq"] > 0, 1, f"{self.at} is not one of version 1 or 2")
        _need(0 < len(e["source"]) <= 128 and e["source"].isascii() and e["source"].isprintable(), 1, f"{self.at}: its source")
        _need(all(0 <= e[when] <= 253_402_300_799_999 for when in ("time", "wall")), 1, f"{self.at}: its times")
        self.keys = [e["key"][i : i + 32] for i in range(0, len(e["key"]), 32)]
        self.signed = [e["sig"][i : i + 64] for i in range(0, len(e["sig"]), 64)]
        _need(0 < len(self.keys) <= 4 and len(e["key"]) % 32 == len(e["sig"]) % 64 == 0, 1, f"{self.at}: its keys")
        _need(len(self.keys) == len(self.signed) and {len(e[n]) for n in ("group", "prev", "body")} == {32}, 1, f"{self.at}: its hashes")
        self.hash, self.who, self.fields = _sha(b"\x00" + data), SIGNER[e["kind"]], _body(box) if epoch == OPEN else None
        _need(epoch != OPEN or self.fields, 1, f"{self.at}: its body")
        self.signers: list[tuple[str, bytes]] = []
        self.certificate, self.due = b"", OPEN

    def facts(self, step: int) -> dict[str, Any]:
        _need(self.fields and len(dict(self.fields[0])) == len(self.fields[0]), step, f"{self.at} has no open body with each name once")
        return dict(self.fields[0]) if self.fields else {}

    def message(self) -> bytes:
        unsigned = _spell({name: value for name, value in self.entry.items() if name != "sig"})
        return f"wattproof entry v{self.entry['v']} {self.entry['kind']}\n".encode() + unsigned


def _body(data: bytes) -> tuple[list[tuple[str, Any]], bytes] | None:
    """The fields of a body and the root over them; None when it is none."""
    try:
        value = _unspell(data, 1)
    except RefusedError:
        return None
    if not _typed(value, {"fields": list, "secret": bytes}) or len(value["secret"]) != 16 or not value["fields"] or len(data) > 1 << 20:
        return None
    if any(not isinstance(f, list) or len(f) != 2 or type(f[0]) is not str for f in value["fields"]):
        return None
    salts = [hmac.digest(value["secret"], n.to_bytes(4, "big"), "sha256")[:16] for n in range(len(value["fields"]))]
    leaves = [_sha(b"\x00" + _spell([salt, *f])) for salt, f in zip(salts, value["fields"], strict=True)]
    return [(name, item) for name, item in value["fields"]], _tree(leaves)


class _Bundle:
    closed = 0
    seen_size: int
    seen_proof: list[bytes]

    def read(self, data: bytes) -> None:
        _need(len(data) <= 512 << 20 and _sha(data[:-32]) == data[-32:], 1, "the closing digest does not fit")
        b = self.b = _unspell(data[:-32], 1)
        _need(_typed(b, BUNDLE) and b["format"] == "wattproof bundle 1", 1, "not a bundle of format 1")
        self.text, self.size, self.root, self.lines = _note_parts(b["note"], 1)
        _need(all(isinstance(item, list) and len(item) == 4 for item in b["entries"]), 1, "an entry of a bundle has four parts")
        self.leaves = [_Leaf(*item) for item in b["entries"]]
        numbers, first, end = [leaf.number for leaf in self.leaves], b["first"], b["end"]
        _need(numbers and numbers == sorted(set(numbers)) and numbers[0] == 0 and numbers[-1] == self.size - 1, 1, "entries out of order")
        _need(0 <= first < end <= self.size and set(range(first, end)) <= set(numbers), 1, "entries of the period are missing")
        _need(len(b["seen"]) == 2, 1, "the proof from an older checkpoint")
        self.whole, self.seen_size, self.seen_proof = not b["proofs"], b["seen"][0], b["seen"][1]
        paths = [*b["proofs"], self.seen_proof]
        proper = all(isinstance(p, list) and len(p) < 64 and all(type(h) is bytes and len(h) == 32 for h in p) for p in paths)
        _need(proper and type(self.seen_size) is int, 1, "a proof is a list of at most 63 hashes")
        empty = (first, end, self.seen_size, self.seen_proof) == (0, self.size, 0, [])
        _need(empty if self.whole else len(b["proofs"]) == len(numbers), 1, "proofs that do not belong to the entries")

    def trust(self, trust: dict[str, Any]) -> None:
        first = self.leaves[0]
        e, facts = first.entry, first.facts(2)
        _need((e["kind"], e["group"], e["source"], e["seq"], e["prev"]) == ("group.found", ZERO, "owner", 1, ZERO), 2, "no founding")
        types = {"format": int, "name": str, "simulated": bool, "algorithms": dict, "members": list, "log": list, "witnesses": list,
                 "witnesses_needed": int, "authority": bytes, "data_keys": dict, "policies": list}  # fmt: skip
        facts = _fact_map(facts, 2, **types)
        _need(facts["format"] == 1 and facts["algorithms"] == ALGORITHMS and facts["simulated"] == e["simulated"], 2, "unknown format")
        self.members = {member["source"]: member for member in (_member(value, 2) for value in facts["members"])}
        self.log, self.authority = _key_of(facts["log"], 2), facts["authority"]
        self.witness = {name: _key_of(key, 2) for name, key in facts["witnesses"]}
        self.first_witness = facts["witnesses"][0][0] if facts["witnesses"] else ""
        self.needed, self.simulated, self.id = facts["witnesses_needed"], e["simulated"], first.hash
        self.policies = {p["name"]: {**p, "from": 0} for p in (_policy(value, 2) for value in facts["policies"])}
        self.devices: dict[str, dict[str, Any]] = {}
        self.later: dict[str, Any] = {"grants": {}, "epochs": {}, "logs": [], "witnesses": [], "recovery": []}
        keys = [*(_key_of(m["key"], 2) for m in self.members.values()), self.log, *self.witness.values()]
        _need(list(self.members)[:2] == ["owner", "government"] and len(self.members) == len(facts["members"]), 2, "members")
        _need(len(set(keys)) == len(keys) and 1 <= self.needed <= len(self.witness) == len(facts["witnesses"]), 2, "keys or witnesses")
        wrapped = all(type(key) is bytes for key in facts["data_keys"].values())
        _need(set(facts["data_keys"]) == set(self.members) and wrapped and self.b["group"] == self.id, 2, "data keys or group")
        found = [self.id.hex(), *(_written(self.members[m]["key"]) for m in ("owner", "government")), _written(self.log), self.needed]
        held = [trust["group"], trust["owner"]["key"], trust["government"]["key"], trust["log"], trust["witnesses_needed"]]
        witnesses = [{"name": name, "key": _written(key)} for name, key in self.witness.items()]
        _need(found == held and witnesses == trust["witnesses"], 2, "the bundle's keys are not those in the trust file")

    def checkpoint(self, seen: str) -> None:
        self.origin = f"wattproof/{self.id.hex()}"
        self._succession()
        self._log_signed(self.text, self.lines, self.size)
        if not seen:
            return
        text, size, root, lines = _note_parts(seen, 3)
        self._log_signed(text, lines, size)
        _need(size <= self.size, 3, "the newest entries were left out")
        if self.whole:
            _need(_tree([leaf.hash for leaf in self.leaves[:size]]) == root, 3, "two histories of one log")
        else:
            _need(self.seen_size == size, 3, "no proof from the checkpoint seen last")
            roots = _grown(size, self.size, self.seen_proof, root) if size else (_sha(b""), self.root)
            _need(roots == (root, self.root), 3, "two histories of one log")

    def _succession(self) -> None:
        """Which log and witness keys followed the founding's: by entries whose every signature is checked here."""
        kept = self.members, self.devices, self.later
        self.members, self.later = dict(self.members), {**self.later, "logs": [], "witnesses": []}
        for leaf in self.leaves[1:]:
            if leaf.entry["kind"] in KEYS:
                signers = self._signers(leaf)[0]
                signed = [_signed_by(key, leaf.message(), s) for key, s in zip(signers, leaf.signed, strict=False)]
                body = leaf.fields
                _need(signers and all(signed) and body and body[1] == leaf.entry["body"], 3, f"{leaf.at} changes keys and does not hold")
                try:
                    self._change(leaf)
                except RefusedError as refused:
                    raise RefusedError(3, str(refused)) from None
        self.logs, self.policy = self.later["logs"], self.later["witnesses"]
        self.members, self.devices, self.later = kept

    def _log_signed(self, text: str, lines: list[tuple[str, bytes, bytes]], size: int) -> None:
        (name, id_, signature), log = lines[0], self.log
        for since, key in self.logs:
            log = _key_of(key, 3) if since < size else log
        known = name == self.origin == text.split("\n")[0] and id_ == _note_id(name, b"\x01", log[1])
        _need(known and _signed_by(log, text.encode(), signature), 3, "the log did not sign this checkpoint")

    def witnesses(self) -> None:
        names, sealed_s = [name for name, _, _ in self.lines[1:]], self.leaves[-1].entry["wall"] // 1000
        for _, keys, needed in self.policy:
            self.witness, self.needed = {name: _key_of(key, 4) for name, key in keys}, needed
        _need(names == sorted(set(names)) and set(names) <= set(self.witness), 4, "signatures of strangers")
        for name, id_, payload in self.lines[1:]:
            at, key = int.from_bytes(payload[:8], "big"), self.witness[name]
            fits = id_ == _note_id(name, b"\x04", key[1]) and len(payload) == 72 and at <= 253_402_300_799
            message = f"cosignature/v1\ntime {at}\n{self.text}".encode()
            _need(fits and _signed_by(key, message, payload[8:]) and at >= sealed_s - 300, 4, f"not a cosignature of {name}")
        _need(next(iter(self.witness)) in names and len(names) >= self.needed, 4, "sealed, not final: cosignatures are missing")

    def inclusion(self) -> None:
        if not self.whole:
            for leaf, path in zip(self.leaves, self.b["proofs"], strict=True):
                _need(_root_by_path(leaf.hash, leaf.number, self.size, path, 5) == self.root, 5, f"{leaf.at} is not in the tree")
            return
        stack: list[tuple[int, bytes]] = []
        before = ZERO
        for leaf in self.leaves:
            height, top = 0, leaf.hash
            while stack and stack[-1][0] == height:
                height, top = height + 1, _node(stack.pop()[1], top)
            stack.append((height, top))
            if leaf.entry["kind"] == "state":
                _need(leaf.facts(5).get("checkpoint") == before, 5, f"{leaf.at} does not name the checkpoint before it")
                root = base64.b64encode(_peaks_root(stack)).decode()
                before = _sha(f"{self.origin}\n{leaf.number + 1}\n{root}\n".encode())
        _need(_peaks_root(stack) == self.root, 5, "the entries do not make the signed root")

    def membership(self) -> None:
        for leaf in self.leaves:
            e = leaf.entry
            leaf.due = OPEN if leaf.who in REGISTRY else max(self.later["epochs"], default=1)
            leaf.signers, leaf.certificate = self._signers(leaf)
            _need(not leaf.number or e["kind"] != "group.found", 6, f"{leaf.at} founds the group again")
            _need(leaf.who not in REGISTRY or leaf.fields, 6, f"{leaf.at} is a registry entry without its body")
            if leaf.number and leaf.who in ("members", "owner", "quorum"):
                self._change(leaf)
            if e["kind"] == "state":
                tables = ([list_[name] for name in sorted(list_)] for list_ in (self.members, self.devices, self.policies))
                members, devices, policies = tables
                rows = [
                    [d["device"], d["kind"], d["certificate"], d["fingerprint"], d["vouched_by"], d["status"], d["since"]] for d in devices
                ]
                parts = [self.id, members, rows, policies, *([newer] if (newer := self._newer()) else [])]
                _need(leaf.facts(6).get("members") == _sha(_spell(parts)), 6, f"{leaf.at} seals other members")
        _need(self.leaves[-1].entry["kind"] == "state", 6, "the checkpoint does not end in a state leaf")

    def _signers(self, leaf: _Leaf) -> tuple[list[tuple[str, bytes]], bytes]:
        """The keys that must have signed and the certificate that must be valid; none when nobody may say this."""
        e, found, certificate = leaf.entry, [], b""
        by = {"members": ["owner", "government"], "owner": ["owner"], "log": ["log"]}.get(leaf.who, [e["source"]])
        if leaf.who == "device":
            device = self.devices.get(e["source"], {})
            if device.get("status") == "active" and device["key"]:
                found, certificate = [device["key"]], device["certificate"]
        elif leaf.who == "log":
            found = [_key_of(self.later["logs"][-1][1], 6) if self.later["logs"] else self.log]
        elif leaf.who == "person":
            granted = [_key_of(g["key"], 6) for g, _ in self.later["grants"].values() if g["who"] == e["source"] and g["key"]]
            found = [key for key in granted if _key_id(key) == leaf.keys[0]][:1]
        elif leaf.who == "quorum" and self.later["recovery"]:
            keys, needed = self.later["recovery"]
            spare = [_key_of(key, 6) for id_ in leaf.keys[1:] for _, key in keys if _key_id(_key_of(key, 6)) == id_]
            both = e["source"] in ("owner", "government") and len(set(spare)) == len(spare) >= needed
            found = [_key_of(self.members[e["source"]]["key"], 6), *spare] if both else []
        else:
            found = [_key_of(self.members[name]["key"], 6) for name in by if name in self.members]
        right = (
            e["source"] == by[0] and e["group"] == (ZERO if e["kind"] == "group.found" else self.id) and e["simulated"] == self.simulated
        )
        return (found, certificate) if right and [_key_id(key) for key in found] == leaf.keys else ([], b"")

    def _change(self, leaf: _Leaf) -> None:
        kind, facts = leaf.entry["kind"], leaf.facts(6)
        if kind in ("member.join", "key.rotate"):
            member = _member(_fact_map(facts, 6, member=dict, data_key=bytes)["member"], 6)
            known = self.members.get(member["source"])
            fits = known["role"] == member["role"] if known and kind == "key.rotate" else not known and kind == "member.join"
            _need(fits and (known or member["role"] not in ("owner", "government")), 6, f"{leaf.at}: this member cannot be")
            self._new_key(_key_of(member["key"], 6), leaf)
            self.members[member["source"]] = member
        elif kind == "member.leave":
            name = _fact_map(facts, 6, member=str, reason=str)["member"]
            _need(name in self.members and name not in ("owner", "government"), 6, f"{leaf.at}: nobody who could leave")
            del self.members[name]
        elif kind in NEWER:
            self._change_newer(leaf, kind, facts)
        elif kind == "policy.install":
            self.policies[facts.get("name", "")] = {**_policy(facts, 6), "from": leaf.number}
        elif kind in ("device.enrol", "device.replace"):
            self._device(leaf, facts)
        elif kind == "device.rotate":
            name, certificate = (_fact_map(facts, 6, device=str, certificate=bytes)[part] for part in ("device", "certificate"))
            device = self.devices.get(name, {"key": None})
            _need(device["key"] and device["status"] != "revoked", 6, f"{leaf.at}: nothing to rotate")
            key = _certified(certificate, name)[0]
            self._new_key(key, leaf)
            device.update(key=key, certificate=certificate, since=leaf.number)
        elif kind in ("device.suspend", "device.resume", "device.revoke"):
            device = self.devices.get(_fact_map(facts, 6, device=str, reason=str)["device"], {"status": ""})
            new, old = {"suspend": ("suspended", "active"), "resume": ("active", "suspended"), "revoke": ("revoked", "active suspended")}[
                kind[7:]
            ]
            _need(device["status"] and device["status"] in old.split(), 6, f"{leaf.at}: the device cannot become {new}")
            device.update(status=new, since=leaf.number)

    def _newer(self) -> dict[str, Any]:
        """The part of the root that version 2 added."""
        now = self.later
        rows = {"grants": [now["grants"][name] for name in sorted(now["grants"])], "logs": now["logs"], "witnesses": now["witnesses"]}
        rows |= {"epochs": [now["epochs"][number] for number in sorted(now["epochs"])], "recovery": now["recovery"]}
        return {name: value for name, value in rows.items() if value}

    def _change_newer(self, leaf: _Leaf, kind: str, facts: dict[str, Any]) -> None:
        now, number, at = self.later, leaf.number, leaf.at
        members = {_key_of(m["key"], 6) for m in self.members.values()}
        if kind == "grant.given":
            g = _fact_map(facts, 6, grant=str, who=str, key=list, version=str, points=dict, from_ms=int, until_ms=int)
            person = re.fullmatch(r"(person|rule)/[a-z0-9][a-z0-9_.-]{0,62}", g["who"])
            spans = [
                s if isinstance(s, list) and len(s) == 2 and all(type(x) in (int, type(None)) for x in s) else [1, 0]
                for s in g["points"].values()
            ]
            proper = 0 < len(spans) <= 5000 and all(None in s or s[0] <= s[1] for s in spans) and g["from_ms"] < g["until_ms"]
            _need(person and proper and g["grant"] and g["grant"] not in now["grants"], 6, f"{at}: this grant cannot be")
            _need((person and person[1] == "person") == bool(g["key"]), 6, f"{at}: a person's grant has a key, a rule's none")
            if g["key"]:
                key, others = _key_of(g["key"], 6), [o for o, _ in now["grants"].values() if o["key"] == g["key"] and o["who"] != g["who"]]
                used = key in members or key in [d["key"] for d in self.devices.values()] or others
                _need(key[0] == "p256" and not used, 6, f"{at}: this key belongs to somebody already")
            now["grants"] = {**now["grants"], g["grant"]: [g, number]}
        elif kind == "grant.ended":
            name = _fact_map(facts, 6, grant=str, reason=str)["grant"]
            _need(name in now["grants"], 6, f"{at}: no such grant")
            now["grants"] = {other: row for other, row in now["grants"].items() if other != name}
        elif kind == "data.epoch":
            known, next_ = _fact_map(facts, 6, epoch=int, key_hash=bytes), max(now["epochs"], default=1) + 1
            _need(known["epoch"] == next_ and len(known["key_hash"]) == 32, 6, f"{at}: not the next epoch")
            now["epochs"] = {**now["epochs"], next_: [next_, known["key_hash"], number, 0]}
        elif kind == "data.destroyed":
            order = _fact_map(facts, 6, epoch=int, key_hash=bytes, first=int, last=int, ordered_by=str, reason=str)
            row, after = now["epochs"].get(order["epoch"]), now["epochs"].get(order["epoch"] + 1)
            fits = (
                row and after and not row[3] and order["key_hash"] == row[1] and (order["first"], order["last"]) == (row[2] + 1, after[2])
            )
            _need(fits and order["ordered_by"] and order["reason"], 6, f"{at}: this epoch cannot be destroyed")
            now["epochs"] = {**now["epochs"], order["epoch"]: [*row[:3], number]} if row else now["epochs"]
        elif kind == "recovery.set":
            known = _fact_map(facts, 6, keys=list, needed=int)
            keys = [_key_of(key, 6) for _, key in known["keys"]]
            fits = len({*keys, *members}) == len(keys) + len(members) and all(key[0] == "p256" for key in keys)
            _need(fits and 1 <= known["needed"] <= min(3, len(keys)), 6, f"{at}: no recovery keys")
            now["recovery"] = [known["keys"], known["needed"]]
        elif kind == "member.recover":
            member = _member(_fact_map(facts, 6, member=dict, reason=str)["member"], 6)
            known, used = self.members.get(member["source"], {}), [m[part] for m in self.members.values() for part in ("key", "envelope")]
            same = known and known["name"] == member["name"] and member["source"] in ("owner", "government")
            _need(same and member["key"] not in used and member["envelope"] not in used, 6, f"{at}: this member cannot be recovered so")
            self.members[member["source"]] = member
        elif kind == "log.rotate":
            key = _key_of(_fact_map(facts, 6, log=list, reason=str)["log"], 6)
            _need(
                key[0] == "ed25519" and key not in [self.log, *(_key_of(old, 6) for _, old in now["logs"])], 6, f"{at}: not a new log key"
            )
            now["logs"] = [*now["logs"], [number, facts["log"]]]
        elif kind == "witness.rotate":
            known = _fact_map(facts, 6, witnesses=list, needed=int, reason=str)
            names, keys = [name for name, _ in known["witnesses"]], [_key_of(key, 6) for _, key in known["witnesses"]]
            fits = names and names[0] == self.first_witness and len(set(names)) == len(names) == len(set(keys))
            _need(fits and 1 <= known["needed"] <= len(names), 6, f"{at}: this witness policy cannot be")
            now["witnesses"] = [*now["witnesses"], [number, known["witnesses"], known["needed"]]]

    def _device(self, leaf: _Leaf, facts: dict[str, Any]) -> None:
        d = _fact_map(facts, 6, device=str, kind=str, certificate=bytes, fingerprint=dict, vouched_by=str, brick=str, address=str)
        name, part = d["device"], r"[a-z0-9][a-z0-9_.-]{0,62}"
        _need((name in self.devices) == (leaf.entry["kind"] == "device.replace"), 6, f"{leaf.at}: {name} is there already, or never was")
        _need(re.fullmatch(f"{part}:{part}", name), 6, f"{leaf.at}: {name} is no device's name")
        key = None
        if d["kind"] == "certificate":
            _need(d["certificate"] and not d["vouched_by"], 6, f"{leaf.at}: certificate")
            key = _certified(d["certificate"], name)[0]
            self._new_key(key, leaf)
        else:
            voucher = self.devices.get(d["vouched_by"], {"key": None})
            vouched = voucher["key"] and voucher["status"] == "active"
            _need(d["kind"] == "fingerprint" and d["fingerprint"] and not d["certificate"] and vouched, 6, f"{leaf.at}: fingerprint")
        self.devices[name] = {**d, "key": key, "status": "active", "since": leaf.number}

    def _new_key(self, key: tuple[str, bytes], leaf: _Leaf) -> None:
        used = [_key_of(member["key"], 6) for member in self.members.values()] + [device["key"] for device in self.devices.values()]
        _need(key not in used, 6, f"{leaf.at}: this key belongs to somebody already")

    def signatures(self) -> None:
        for leaf in self.leaves:
            _need(leaf.signers, 7, f"{leaf.at} is signed under no key that was valid then")
            if leaf.certificate:
                self._valid(leaf)
            message = leaf.message()
            good = (_signed_by(key, message, signature) for key, signature in zip(leaf.signers, leaf.signed, strict=True))
            _need(all(good), 7, f"{leaf.at} has a false signature")

    def _valid(self, leaf: _Leaf) -> None:
        try:
            authority = x509.load_der_x509_certificate(self.authority)
            device, at = _certified(leaf.certificate, leaf.entry["source"])[1], _EPOCH + timedelta(milliseconds=leaf.entry["wall"])
            both = (device, authority)
            PolicyBuilder().store(Store([authority])).time(max(c.not_valid_before_utc for c in both)).build_client_verifier().verify(
                device, []
            )
            valid = all(c.not_valid_before_utc <= at <= c.not_valid_after_utc for c in both)
        except (ValueError, x509.verification.VerificationError):
            valid = False
        _need(valid, 7, f"{leaf.at}: its certificate was not valid then")

    def order(self) -> None:
        first, end = self.b["first"], self.b["end"]
        gaps: dict[str, tuple[int, int]] = {}
        standing: dict[str, list[Any]] = {}
        for leaf in self.leaves:
            e, (seq, prev, wall) = leaf.entry, standing.get(leaf.entry["source"], [0, ZERO, 0])
            if leaf.number == first - 1:
                _need(e["kind"] == "state", 8, "no state leaf stands before the period")
                standing = {**self._sealed(leaf), "log": [e["seq"], leaf.hash, e["wall"]]}
            if not first <= leaf.number < end:
                continue
            if e["kind"] == "state":
                late = any(row[2] > e["wall"] + SLACK_MS for row in standing.values())
                _need(self._sealed(leaf) == standing and not late, 8, f"{leaf.at} says its sources stand elsewhere")
            gap = gaps.pop(e["source"], None)
            follows = gap == (seq + 1, e["seq"] - 1) if gap else e["seq"] == seq + 1 and e["prev"] == prev
            _need(follows, 8, f"{leaf.at} does not follow the one before: entries are missing, or came twice")
            timely = e["wall"] >= wall - SLACK_MS and (e["simulated"] or e["time"] <= e["wall"] + SLACK_MS)
            _need(timely, 8, f"{leaf.at} is dated before the one it follows, or ahead of its time")
            standing[e["source"]] = [e["seq"], leaf.hash, e["wall"]]
            if e["kind"] == "gap":
                facts = leaf.facts(8)
                _need(_typed(facts, {"source": str, "first": int, "last": int}), 8, f"{leaf.at} declares no gap")
                gaps[facts["source"]] = facts["first"], facts["last"]
        last = self.leaves[-1]
        _need(not gaps and (standing or not first) and (last.number < end or last.entry["kind"] == "state"), 8, "gaps or ends left open")

    def _sealed(self, leaf: _Leaf) -> dict[str, list[Any]]:
        sources = leaf.facts(8).get("sources")
        proper = isinstance(sources, dict) and all(isinstance(row, list) and len(row) == 3 for row in sources.values())
        _need(proper, 8, f"{leaf.at} has no table of sources")
        return dict(sources or {})

    def bodies(self) -> None:
        for leaf in self.leaves:
            body = leaf.fields or _body(leaf.box)
            _need(leaf.epoch in (OPEN, leaf.due), 9, f"{leaf.at}: its body lies in another epoch than the one in force")
            _need((body is not None and body[1] == leaf.entry["body"]) == (leaf.epoch == OPEN), 9, f"{leaf.at}: its body was altered")
            destroyed = leaf.due in self.later["epochs"] and self.later["epochs"][leaf.due][3]
            self.closed += leaf.epoch != OPEN and not destroyed
        some = any(leaf.epoch == OPEN for leaf in self.leaves if leaf.who not in REGISTRY)
        _need(not self.closed or not some, 9, "some bodies lie sealed while others lie open: they were altered or are kept back")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _member(value: Any, step: int) -> dict[str, Any]:
    m = _fact_map(value, step, source=str, name=str, role=str, key=list, envelope=list)
    _key_of(m["key"], step), _key_of(m["envelope"], step)
    named = m["source"] in ("owner", "government", "log") and m["source"] != m["role"]
    _need(m["role"] in ("owner", "government", "integrator", "auditor") and not named, step, "a member of no known role")
    return m


def _policy(value: Any, step: int) -> dict[str, Any]:
    return _fact_map(value, step, name=str, source=bytes, version=int, parameters=dict)


def _certified(der: bytes, name: str) -> tuple[tuple[str, bytes], x509.Certificate]:
    """The key that a certificate gives to a device."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key, extensions = certificate.public_key(), certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        named = [getattr(n, "value", None) for n in names] == [f"urn:wattproof:{name}"]
        short = certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=1100)
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(name)
        _need(named and short and list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH], 6, name)
    except Exception:  # noqa: BLE001 (whatever is wrong with it, it certifies nothing)
        raise RefusedError(6, f"not a certificate of {name}") from None
    return ("p256", key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)), certificate


def main(arguments: list[str]) -> int:
    """The program: 0 when all steps hold, 1 when one does not, 2 when it was called wrongly."""
    if len(arguments) not in (2, 3):
        sys.stderr.write("expected: python verify_alone.py BUNDLE TRUST [SEEN_CHECKPOINT]\n")
        return 2
    try:
        bundle, trust = Path(arguments[0]).read_bytes(), json.loads(Path(arguments[1]).read_bytes())
        seen = Path(arguments[2]).read_text(encoding="utf-8") if len(arguments) == 3 else ""
        sys.stdout.write(verify(bundle, trust, seen) + "\n")
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"cannot be read: {error!r}; expected a bundle, and the trust file of its group\n")
        return 2
    except RefusedError as refused:
        sys.stdout.write(f"NOT verified, {refused}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
