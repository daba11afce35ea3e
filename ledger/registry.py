"""What each registry entry changes: devices enrolled and revoked, members come and gone, contracts installed."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ledger.cbor import Value
from ledger.certificates import certified_key
from ledger.errors import FormatError, RefusedError
from ledger.founding import (
    ACTIVE,
    CERTIFICATE,
    DEVICE_NAME,
    FINGERPRINT,
    GOVERNMENT,
    OWNER,
    REVOKED,
    SUSPENDED,
    Member,
    map_of,
    policy_of,
)
from ledger.keys import PublicKey
from ledger.succession import LATER_CHANGES
from ledger.tables import Device, Tables


def _enrol(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    if facts.get("device") in group.devices:
        raise RefusedError(f"{facts['device']} is enrolled already; use rotate or replace")
    _set_device(group, number, facts)


def _replace(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    group.device(str(facts.get("device")))
    _set_device(group, number, facts)


def _set_device(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, device=str, kind=str, certificate=bytes, fingerprint=dict, vouched_by=str, brick=str, address=str)
    source, certificate = known["device"], known["certificate"]
    if not DEVICE_NAME.fullmatch(source):
        raise FormatError(f"a device is named <site>:<device> in small letters, digits, _ . and -; got {source!r}")
    if known["kind"] == CERTIFICATE and certificate and not known["vouched_by"]:
        key = certified_key(certificate, source)
        _expect_new_key(group, key)
    elif known["kind"] == FINGERPRINT and known["fingerprint"] and not certificate:
        voucher = group.device(known["vouched_by"])
        if voucher.key is None or voucher.status != ACTIVE:
            raise RefusedError(f"{voucher.source} cannot vouch for {source}: it does not sign, or is {voucher.status}")
        key = None
    else:
        raise FormatError(f"{source}: a device has a certificate of its own, or a fingerprint and a gateway that vouches for it")
    group.devices[source] = Device(
        source,
        known["kind"],
        key,
        certificate,
        known["fingerprint"],
        known["vouched_by"],
        known["brick"],
        known["address"],
        ACTIVE,
        number,
    )


def _rotate(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, device=str, certificate=bytes)
    device = group.device(known["device"])
    if device.key is None or device.status == REVOKED:
        raise RefusedError(f"{device.source} has no valid certificate to rotate; use replace")
    key = certified_key(known["certificate"], device.source)
    _expect_new_key(group, key)
    group.devices[device.source] = replace(device, key=key, certificate=known["certificate"], since=number)


def _expect_new_key(group: Tables, key: PublicKey) -> None:
    used = [member.key for member in group.members.values()] + [device.key for device in group.devices.values()]
    if key in used:
        raise RefusedError(f"key {key.key_id.hex()[:16]} belongs to another device or member already; each has its own")


def _status(new: str, allowed: tuple[str, ...]) -> Callable[[Tables, int, Mapping[str, Value]], None]:
    def change(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
        known = map_of(facts, device=str, reason=str)
        device = group.device(known["device"])
        if device.status not in allowed:
            raise RefusedError(f"{device.source} is {device.status} since entry {device.since} and cannot become {new}")
        group.devices[device.source] = replace(device, status=new, since=number)

    return change


def _join(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, member=dict, data_key=bytes)
    member = Member.from_value(known["member"])
    if member.source in group.members or member.role in (OWNER, GOVERNMENT):
        raise RefusedError(f"{member.source} belongs already, or would be a second {member.role}")
    _expect_new_key(group, member.key)
    group.members[member.source] = member


def _leave(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    known = map_of(facts, member=str, reason=str)
    if known["member"] not in group.members or known["member"] in (OWNER, GOVERNMENT):
        raise RefusedError(f"{known['member']} is not a member that can leave")
    del group.members[known["member"]]


def _rotate_member(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    member = Member.from_value(map_of(facts, member=dict, data_key=bytes)["member"])
    if member.source not in group.members or group.members[member.source].role != member.role:
        raise RefusedError(f"{member.source} is not a member whose keys could change")
    _expect_new_key(group, member.key)
    group.members[member.source] = member


def _install(group: Tables, number: int, facts: Mapping[str, Value]) -> None:
    policy = policy_of(dict(facts))
    group.policies[str(policy["name"])] = {**policy, "from": number}


CHANGES: Mapping[str, Callable[[Tables, int, Mapping[str, Value]], None]] = {
    "member.join": _join,
    "member.leave": _leave,
    "key.rotate": _rotate_member,
    "policy.install": _install,
    "device.enrol": _enrol,
    "device.rotate": _rotate,
    "device.replace": _replace,
    "device.suspend": _status(SUSPENDED, (ACTIVE,)),
    "device.resume": _status(ACTIVE, (SUSPENDED,)),
    "device.revoke": _status(REVOKED, (ACTIVE, SUSPENDED)),
    **LATER_CHANGES,
}
REGISTRY_KINDS = ("group.found", *CHANGES)
"""The kinds that change what the group is."""
