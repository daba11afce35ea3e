"""The commands `sign` and `grant`: an engineer signs what makes points writable; the gateway verifies it and lets it be written."""

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import LedgerError
from ledger.errors import VerificationError as BadSignature
from ledger.keys import P256Signer, PublicKey, read_signer, write_key
from twin import errors
from twin.check import check_site, protected_points
from twin.clock import wall_now
from twin.grants import FORMAT, Grant, digest, newest_grant, released
from twin.graph import Graph
from twin.journal import Journal, Record
from twin.points import PointBook, read_points
from twin.site import Site, find_site, load_site, require_name, state_root
from twin.state import StateFolder, write_json, write_whole
from twin.words import Alarm, AlarmState

GRANT_PRIORITY = 40  # alarm: somebody brought a site file that no engineer signed
VALID_DAYS = 366  # an envelope that nobody looked at for a year is looked at again
CLOCKS_APART = timedelta(minutes=5)

SiteArgument = Annotated[str, typer.Argument(help="a site's name below sites/, or its folder")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def sign(
    site: SiteArgument,
    key: Annotated[Path, typer.Option("--key", help="the engineer's private key file (P-256, mode 600)")],
    by: Annotated[str, typer.Option("--by", help="the engineer's name, as in keys/NAME.pub: lower case, digits, - and _")],
    new_key: Annotated[bool, typer.Option("--new-key", help="make the key first; its public half goes into keys/")] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="how long the signature holds")] = VALID_DAYS,
    as_json: AsJson = False,
) -> None:
    """Sign what makes points of a site writable (points, envelopes, addresses, connections) into site.sig."""
    config, book = _read(site)
    try:
        require_name(by)
        signer = _new_key(key) if new_key else read_signer(key)
    except (LedgerError, ValueError) as error:
        raise errors.AccessError(str(error)) from None
    public = config.folder / "keys" / f"{by}.pub"
    if not public.exists():
        write_whole(public, f"{signer.public.text}\n".encode())
    content, now = released(config, book), wall_now()
    said = {
        "format": FORMAT, "by": by, "key": signer.public.text, "signed": now.isoformat(),
        "until": (now + timedelta(days=days)).isoformat(), "digest": digest(content),
    }  # fmt: skip
    write_json(config.folder / "site.sig", {**said, "signature": signer.sign(_message(said)).hex()})
    facts = {"site": config.name, "points": len(content["points"]), "digest": said["digest"], "by": by, "until": said["until"]}
    _tell(facts, as_json, f"{config.name}: {len(content['points'])} writable points signed by {by} until {said['until'][:10]}")


def grant(
    site: SiteArgument,
    state: Annotated[str | None, typer.Option("--state", help="where state lives")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify site.sig and let the signed points be written from now on; a bad signature changes nothing."""
    config, book = _read(site)
    journal = Journal(StateFolder(state_root(state, config)).site(config.name) / "journal.db")
    try:
        before = newest_grant(journal)
        try:
            new = verified(config, book, before, wall_now())
        except errors.VerificationError as error:
            journal.append([_alarm(str(error))])
            stays = f"what {before.by} signed at {before.signed:%Y-%m-%d %H:%M} stays in force" if before else "nothing may be written"
            raise errors.VerificationError(f"{config.folder / 'site.sig'}: {error}; {stays}") from None
        journal.append([Record("grant", wall_now(), new.body())])
    finally:
        journal.close()
    facts = {"site": config.name, "points": len(new.points), "by": new.by, "key": new.key, "until": new.body()["until"]}
    _tell(facts, as_json, f"{config.name}: {len(new.points)} points may be written, as {new.by} signed them")


def verified(site: Site, book: PointBook, before: Grant | None, now: datetime) -> Grant:
    """The grant that site.sig gives. What must hold, by number; VerificationError names the first that does not.

    1. The signature file is there, whole, and of the known format.
    2. Its key is one of keys/*.pub and, once a grant is in force, one of the keys that came with it.
    3. The signature is that key's over what the file says.
    4. The file speaks of the site's files as they are now.
    5. It holds now, and was signed no earlier than the grant in force: an old file does not come back.
    """
    said = _signature_file(site.folder / "site.sig")  # 1
    keys = _public_keys(site.folder / "keys")
    if said["key"] not in keys.values():  # 2
        raise errors.VerificationError(f"2. its key {said['key'][:24]}... is none of keys/*.pub ({', '.join(keys) or 'there is none'})")
    if before is not None and said["key"] not in before.keys:
        raise errors.VerificationError("2. its key came into keys/ after the grant in force; let an engineer of that grant sign first")
    try:  # 3
        PublicKey.from_text(said["key"]).verify(_message(said), bytes.fromhex(said["signature"]))
    except (BadSignature, LedgerError, ValueError):
        raise errors.VerificationError("3. the signature does not fit what the file says") from None
    content = released(site, book)
    if said["digest"] != digest(content):  # 4
        raise errors.VerificationError("4. points.csv, site.toml or the twin changed since it was signed; let an engineer sign again")
    signed, until = datetime.fromisoformat(said["signed"]), datetime.fromisoformat(said["until"])
    if not signed - CLOCKS_APART <= now < until or (before is not None and signed < before.signed):  # 5
        holds = f"{signed:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
        raise errors.VerificationError(f"5. it holds from {holds}, and no earlier than the grant in force; let an engineer sign again")
    return Grant(said["by"], said["key"], signed, until, content["points"], content["connections"], sorted(keys.values()))


def _read(site: str) -> tuple[Site, PointBook]:
    """A real site's files; nothing protected may be listed in them."""
    config = load_site(find_site(site))
    if config.simulated:
        raise errors.SiteError(f"{config.name} is a simulated site (it has a plant.toml): its points need no signature")
    graph = Graph.read(config.twin_file)
    book = read_points(config.points_file, graph.points())
    listed = sorted(p.id for p in book.writable if p.id in protected_points(graph, config))
    if listed:
        raise errors.SiteError(f"{config.points_file}: {', '.join(listed)}: protected, never written; set writable to no")
    broken = [f.message for f in check_site(config.folder) if f.where in ("site.toml", "points", "points.csv", "twin")]
    if broken:
        raise errors.SiteError(f"{config.name}: mend first what `wattproof check` finds: {broken[0]}")
    return config, book


def _new_key(path: Path) -> P256Signer:
    signer = P256Signer.generate()
    write_key(path, signer)
    return signer


_FIELDS = ("format", "by", "key", "signed", "until", "digest")


def _message(said: dict[str, Any]) -> bytes:
    return f"{FORMAT}\n".encode() + json.dumps({f: said[f] for f in _FIELDS}, ensure_ascii=False, sort_keys=True).encode()


def _signature_file(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.VerificationError(f"1. cannot be read ({error}); let an engineer run `wattproof sign`") from None
    if (
        not isinstance(said, dict)
        or {k for k, v in said.items() if isinstance(v, str)} != {*_FIELDS, "signature"}
        or said["format"] != FORMAT
    ):
        raise errors.VerificationError(f"1. expected the texts {', '.join(_FIELDS)} and signature, format {FORMAT!r}")
    for name in ("signed", "until"):
        try:
            aware = datetime.fromisoformat(said[name]).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise errors.VerificationError(f"1. {name} must be a time with its zone, got {said[name]!r}")
    return said


def _public_keys(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(folder.glob("*.pub"))}


def _alarm(because: str) -> Record:
    now = wall_now()
    message = f"a site file was refused: {because}"
    return Record("alarm", now, Alarm("grant.site", "grant", "site.sig", message, now, AlarmState.RAISED, GRANT_PRIORITY).body())


def _tell(facts: dict[str, Any], as_json: bool, text: str) -> None:
    sys.stdout.write((json.dumps(facts, ensure_ascii=False) if as_json else text) + "\n")
