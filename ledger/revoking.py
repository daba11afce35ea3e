"""Taking back what was granted: one point, or an engineer's word, signed by an engineer whose key the grant holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from ledger.keys import P256Signer
from ledger.signed_files import message, must_be_signed, public_keys, signature_file
from twin import errors
from twin.clock import wall_now
from twin.grants import Grant
from twin.site import Site
from twin.state import write_json

REVOCATION_FILE = "revoke.sig"
FORMAT = "wattproof revocation 1"
FIELDS = ("format", "by", "key", "site", "revoke", "signed")
CLOCKS_APART = timedelta(minutes=5)


def sign_revocation(site: Site, signer: P256Signer, by: str, what: str) -> dict[str, str]:
    """Write revoke.sig into the site's folder; what it says."""
    said = {
        "format": FORMAT, "by": by, "key": signer.public.text, "site": site.name, "revoke": what, "signed": wall_now().isoformat()
    }  # fmt: skip
    write_json(site.folder / REVOCATION_FILE, {**said, "signature": signer.sign(message(said, FIELDS)).hex()})
    return said


def verified_revocation(site: Site, what: str, before: Grant | None, now: datetime) -> Grant:
    """What is left of the grant. What must hold, by number; VerificationError names the first that does not.

    1. There is a grant, and the file is there, whole, and of the known format.
    2. Its key is one of the grant's.
    3. The signature is that key's over what the file says.
    4. The file speaks of this site, and takes back what is asked here.
    5. It was signed after the grant, and not in the future.
    6. It is a granted point, or an engineer whose key the grant holds; and a key is left that can sign the next grant.
    """
    if before is None:  # 1
        raise errors.VerificationError("1. nothing is granted here, so nothing can be taken back")
    said = signature_file(site.folder / REVOCATION_FILE, FORMAT, FIELDS, times=("signed",))
    if said["key"] not in before.keys:  # 2
        raise errors.VerificationError(f"2. its key {said['key'][:24]}... is none of the grant's; let an engineer of that grant sign")
    must_be_signed(said, FIELDS)  # 3
    if (said["site"], said["revoke"]) != (site.name, what):  # 4
        raise errors.VerificationError(
            f"4. it takes back {said['revoke']} at {said['site']}; run `wattproof sign {site.name} --revoke {what}` for this one"
        )
    if not before.signed < datetime.fromisoformat(said["signed"]) <= now + CLOCKS_APART:  # 5
        raise errors.VerificationError(f"5. it was signed at {said['signed']}, before the grant in force or in the future; sign again")
    return _left(site, what, before, {name: said[name] for name in ("revoke", "by", "key", "signed")})


def _left(site: Site, what: str, before: Grant, said: Mapping[str, str]) -> Grant:
    if what in before.points:  # 6
        return before.without({what}, "", said)
    key = public_keys(site.folder / "keys").get(what, before.key if what == before.by else "")
    if key not in before.keys:
        granted = ", ".join([*sorted(before.points)[:3], "..."]) if before.points else "none"
        raise errors.VerificationError(f"6. {what} is no granted point ({granted}) and no engineer whose key the grant holds")
    if len(before.keys) == 1:
        raise errors.VerificationError(
            f"6. {what}'s key is the only one that can sign the next grant; bring another engineer's in first, or take back point by point"
        )
    return before.without(before.points if what == before.by else (), key, said)
