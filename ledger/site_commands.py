"""The commands `sign` and `grant`: an engineer signs what makes points writable; the gateway verifies it and lets it be written."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import LedgerError
from ledger.keys import P256Signer, read_signer, write_key
from ledger.revoking import CLOCKS_APART, REVOCATION_FILE, sign_revocation, verified_revocation
from ledger.signed_files import message, must_be_signed, public_keys, signature_file
from twin import errors
from twin.check import check_site, protected_points
from twin.clock import wall_now
from twin.commissioned import commissioning_note
from twin.grants import FORMAT, Grant, digest, newest_grant, released
from twin.graph import Graph
from twin.interlocks import Interlock, interlocks_of
from twin.journal import Journal, Record
from twin.points import PointBook, read_points
from twin.site import Site, find_site, load_site, require_name, state_root
from twin.state import StateFolder, write_json, write_whole
from twin.words import Alarm, AlarmState

SIGNATURE_FILE = "site.sig"
FIELDS = ("format", "by", "key", "signed", "until", "digest")
GRANT_PRIORITY = 40  # alarm: somebody brought a site file that no engineer signed
VALID_DAYS = 366  # an envelope that nobody looked at for a year is looked at again

SiteArgument = Annotated[str, typer.Argument(help="a site's name below sites/, or its folder")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def sign(
    site: SiteArgument,
    key: Annotated[Path, typer.Option("--key", help="the engineer's private key file (P-256, mode 600)")],
    by: Annotated[str, typer.Option("--by", help="the engineer's name, as in keys/NAME.pub: lower case, digits, - and _")],
    new_key: Annotated[bool, typer.Option("--new-key", help="make the key first; its public half goes into keys/")] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="how long the signature holds")] = VALID_DAYS,
    revoke: Annotated[str, typer.Option("--revoke", help="sign instead that this point, or this engineer's word, is taken back")] = "",
    as_json: AsJson = False,
) -> None:
    """Sign what makes points of a site writable (points, envelopes, addresses, connections, interlocks) into site.sig."""
    if revoke:
        config = _real(load_site(find_site(site)))
        said = sign_revocation(config, _signer(key, by, new_key=False), by, revoke)
        _tell(
            {"site": config.name, **said}, as_json, f"{config.name}: {by} takes back {revoke}; bring it into force with `wattproof grant`"
        )
        return
    config, book, interlocks = _read(site)
    if note := commissioning_note(config, book):
        print(f"{config.name}: {note}", file=sys.stderr)
    signer = _signer(key, by, new_key=new_key)
    public = config.folder / "keys" / f"{by}.pub"
    if not public.exists():
        write_whole(public, f"{signer.public.text}\n".encode())
    content, now = released(config, book, interlocks), wall_now()
    said = {
        "format": FORMAT, "by": by, "key": signer.public.text, "signed": now.isoformat(),
        "until": (now + timedelta(days=days)).isoformat(), "digest": digest(content),
    }  # fmt: skip
    write_json(config.folder / SIGNATURE_FILE, {**said, "signature": signer.sign(message(said, FIELDS)).hex()})
    facts = {"site": config.name, "points": len(content["points"]), "digest": said["digest"], "by": by, "until": said["until"]}
    held = f" and {len(interlocks)} interlocks" if interlocks else ""
    words = f"{config.name}: {len(content['points'])} writable points{held} signed by {by} until {said['until'][:10]}"
    _tell({**facts, "interlocks": len(interlocks)}, as_json, words)


def grant(
    site: SiteArgument,
    state: Annotated[str | None, typer.Option("--state", help="where state lives")] = None,
    revoke: Annotated[str, typer.Option("--revoke", help="take this point, or this engineer's word, back (`sign --revoke` first)")] = "",
    as_json: AsJson = False,
) -> None:
    """Verify site.sig and let the signed points be written from now on; a bad signature changes nothing."""
    if revoke:
        config = _real(load_site(find_site(site)))
        file, verify = REVOCATION_FILE, partial(verified_revocation, config, revoke)
    else:
        config, book, interlocks = _read(site)
        file, verify = SIGNATURE_FILE, partial(verified, config, released(config, book, interlocks))
    journal = Journal(StateFolder(state_root(state, config)).site(config.name) / "journal.db")
    try:
        before = newest_grant(journal)
        try:
            new = verify(before, wall_now())
        except errors.VerificationError as error:
            journal.append([_alarm(str(error), file)])
            stays = f"what {before.by} signed at {before.signed:%Y-%m-%d %H:%M} stays in force" if before else "nothing may be written"
            raise errors.VerificationError(f"{config.folder / file}: {error}; {stays}") from None
        journal.append([Record("grant", wall_now(), new.body())])
    finally:
        journal.close()
    if revoke:
        facts = {"site": config.name, "revoked": revoke, "by": new.revoked[-1]["by"], "points": len(new.points)}
        _tell(facts, as_json, f"{config.name}: {revoke} is taken back by {facts['by']}; {len(new.points)} points may still be written")
        return
    facts = {"site": config.name, "points": len(new.points), "by": new.by, "key": new.key, "until": new.body()["until"]}
    _tell(facts, as_json, f"{config.name}: {len(new.points)} points may be written, as {new.by} signed them")


def verified(site: Site, content: Mapping[str, Any], before: Grant | None, now: datetime) -> Grant:
    """The grant that site.sig gives over what the site's files say. What must hold, by number; VerificationError names what does not.

    1. The signature file is there, whole, and of the known format.
    2. Its key is one of keys/*.pub and, once a grant is in force, one of the keys that came with it.
    3. The signature is that key's over what the file says.
    4. The file speaks of the site's files as they are now.
    5. It holds now, and was signed no earlier than the grant in force: an old file does not come back.
    """
    said = signature_file(site.folder / SIGNATURE_FILE, FORMAT, FIELDS, times=("signed", "until"))  # 1
    keys = public_keys(site.folder / "keys")
    if before is not None and said["key"] in before.keys_gone:  # 2
        raise errors.VerificationError("2. its key was taken back; let another engineer sign")
    if said["key"] not in keys.values():
        raise errors.VerificationError(f"2. its key {said['key'][:24]}... is none of keys/*.pub ({', '.join(keys) or 'there is none'})")
    if before is not None and said["key"] not in before.keys:
        raise errors.VerificationError("2. its key came into keys/ after the grant in force; let an engineer of that grant sign first")
    must_be_signed(said, FIELDS)  # 3
    if said["digest"] != digest(content):  # 4
        raise errors.VerificationError(
            "4. points.csv, interlocks.csv, site.toml or the twin changed since it was signed; let an engineer sign again"
        )
    signed, until = datetime.fromisoformat(said["signed"]), datetime.fromisoformat(said["until"])
    if not signed - CLOCKS_APART <= now < until or (before is not None and signed < before.counts_from):  # 5
        holds = f"{signed:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
        raise errors.VerificationError(f"5. it holds from {holds}, and no earlier than the grant in force; let an engineer sign again")
    gone, revoked = (before.keys_gone, [r for r in before.revoked if r["key_gone"]]) if before else (frozenset[str](), [])
    rest = content["points"], content["connections"], sorted(set(keys.values()) - gone), content.get("interlocks", []), revoked
    return Grant(said["by"], said["key"], signed, until, *rest)


def _read(site: str) -> tuple[Site, PointBook, tuple[Interlock, ...]]:
    """A real site's files; nothing protected may be listed in them."""
    config = _real(load_site(find_site(site)))
    graph = Graph.read(config.twin_file)
    book = read_points(config.points_file, graph.points())
    listed = sorted({p.id for p in book.writable} & protected_points(graph, config))
    if listed:
        raise errors.SiteError(f"{config.points_file}: {', '.join(listed)}: protected, never written; set writable to no")
    broken = [f.message for f in check_site(config.folder) if f.where in ("site.toml", "points", "points.csv", "interlocks.csv", "twin")]
    if broken:
        raise errors.SiteError(f"{config.name}: mend first what `wattproof check` finds: {broken[0]}")
    return config, book, interlocks_of(config, graph, book)


def _real(config: Site) -> Site:
    if config.simulated:
        raise errors.SiteError(f"{config.name} is a simulated site (it has a plant.toml): its points need no signature")
    return config


def _signer(key: Path, by: str, *, new_key: bool) -> P256Signer:
    try:
        require_name(by)
        return _new_key(key) if new_key else read_signer(key)
    except (LedgerError, ValueError) as error:
        raise errors.AccessError(str(error)) from None


def _new_key(path: Path) -> P256Signer:
    signer = P256Signer.generate()
    write_key(path, signer)
    return signer


def _alarm(because: str, file: str) -> Record:
    now = wall_now()
    message = f"a site file was refused: {because}"
    return Record("alarm", now, Alarm("grant.site", "grant", file, message, now, AlarmState.RAISED, GRANT_PRIORITY).body())


def _tell(facts: dict[str, Any], as_json: bool, text: str) -> None:
    sys.stdout.write((json.dumps(facts, ensure_ascii=False) if as_json else text) + "\n")
