"""The command `authority`: who may move which points of a site, given and ended by the owner; and requests that people sign."""

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from ledger.authority import Clock, Grant, Range, Wish, end_grant, give_grants, signed_request
from ledger.commands import PLAIN, AsJson, State, existing_group, said_plainly, tell, tell_sealed
from ledger.entry import from_ms
from ledger.keys import P256Signer, PublicKey, read_signer, write_key
from ledger.reader import Reader
from ledger.tables import Granted
from twin import errors
from twin.clock import wall_now
from twin.graph import Graph
from twin.journal import Journal, Record
from twin.points import PointBook, read_points
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder
from twin.words import Authority

DAYS = 366
PENDING_LOOKED_BACK = 1000

authority_app = typer.Typer(help="Grants of authority, and signed requests.", **PLAIN)


@authority_app.command("give")
def authority_give(
    group: str,
    who: Annotated[str, typer.Argument(help="person/NAME or rule/NAME")],
    point: Annotated[list[str] | None, typer.Option(help="ID=LOW:HIGH in the point's unit, an end may be empty; several times")] = None,
    site: Annotated[str, typer.Option(help="all writable points of this site, within their limits")] = "",
    key: Annotated[Path | None, typer.Option(help="a person's public key file (algorithm:hex)")] = None,
    version: Annotated[str, typer.Option(help="the one version of the rule's software; empty: any")] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="how long, from now on by the site's clock")] = DAYS,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Let a person or a rule move points within limits, for a while; sealed and signed by the owner."""
    loaded = load_site(find_site(site)) if site else None
    points = _points(point or [], loaded)
    begin = _now(state, loaded)
    with said_plainly():
        public = PublicKey.from_text(_text(key)) if key else None
        folder = existing_group(state, group)
        grant = Grant(f"{who}.{uuid4().hex[:8]}", who, points, begin, begin + timedelta(days=days), public, version)
        sealed = give_grants(folder, [grant])
    tell_sealed(sealed, as_json, f"{grant.id}: {len(points)} points until {grant.end:%Y-%m-%d}", grant=grant.id)


@authority_app.command("end")
def authority_end(group: str, grant: str, reason: Annotated[str, typer.Option()], state: State = None, as_json: AsJson = False) -> None:
    """End a grant, from this entry of the log on."""
    with said_plainly():
        tell_sealed(end_grant(existing_group(state, group), grant, reason), as_json, f"{grant} has ended")


@authority_app.command("list")
def authority_list(group: str, state: State = None, as_json: AsJson = False) -> None:
    """Every grant that stands."""
    with said_plainly():
        grants = Reader(existing_group(state, group) / "log.db").group().grants.values()
    facts = [_facts(grant) for grant in grants]
    lines = [f"{f['grant']}: {len(f['points'])} points until {f['until'][:16]}, since entry {f['since']}" for f in facts]
    tell({"group": group, "grants": facts}, as_json, "\n".join(lines) or "no grants")


@authority_app.command("key")
def authority_key(name: str, out: Annotated[Path, typer.Option("--out", help="folder for both halves")], as_json: AsJson = False) -> None:
    """Make a person's key: NAME.key stays with him, the owner grants to NAME.pub."""
    signer = P256Signer.generate()
    with said_plainly():
        write_key(out / f"{name}.key", signer)
    (out / f"{name}.pub").write_text(signer.public.text + "\n", encoding="utf-8")
    tell({"key": signer.public.text}, as_json, f"{out / name}.key and .pub are made")


@authority_app.command("request")
def authority_request(
    site: Annotated[str, typer.Argument(help="a site's name or folder")],
    name: Annotated[str, typer.Argument(help="the person's name, as in its grant person/NAME")],
    point: str,
    value: Annotated[float | None, typer.Argument(help="in the point's unit; leave out with --release")] = None,
    key: Annotated[Path, typer.Option("--key", help="the person's private key file")] = Path("person.key"),
    why: Annotated[str, typer.Option("--why", help="the reason; it is sealed")] = "",
    minutes: Annotated[int, typer.Option(min=1, max=10_080, help="how long")] = 120,
    release: Annotated[bool, typer.Option("--release", help="take an earlier request back")] = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a value with one's own signature: the controller rules on it as on any request, and the ledger keeps the signature."""
    if (value is None) != release or not why.strip():
        raise errors.SiteError("give a value or --release, one of them, and say why with --why")
    config = load_site(find_site(site))
    journal = Journal(StateFolder(state_root(state, config)).site(config.name) / "journal.db")
    try:
        now = _now(state, config)
        wish = Wish(point, value, why.strip(), now + timedelta(minutes=minutes))
        waiting = [row.body.get("record", "") for row in reversed(journal.latest(("request",), PENDING_LOOKED_BACK))]
        with said_plainly():
            folder = existing_group(state, config.group.name)
            records = [bytes.fromhex(record) for record in waiting if record]
            signed = signed_request(folder, f"person/{name}", read_signer(key), wish, records, Clock(now, wall_now()))
        body = {
            "id": uuid4().hex, "point": point, "value": value, "by": name, "why": wish.why, "until": wish.until.isoformat(),
            "authority": int(Authority.OPERATOR), "record": signed.encode().hex(),
        }  # fmt: skip
        journal.append([Record("request", now, body)])
    finally:
        journal.close()
    facts = {"site": config.name, "point": point, "value": value, "until": wish.until.isoformat(), "number": signed.entry.seq}
    tell(facts, as_json, f"{point}: asked for by {name}, request {signed.entry.seq}; the controller takes it up in its next cycle")


def _now(state: str | None, site: Site | None) -> datetime:
    """The site's time: the wall's, or on a simulated site that of its newest readings."""
    if site is None or not site.simulated:
        return wall_now()
    path = state_root(state, site) / "sites" / site.name / "journal.db"
    if not path.exists():
        return wall_now()
    journal = Journal(path)
    try:
        rows = journal.latest(("readings",))
        return rows[0].at if rows else wall_now()
    finally:
        journal.close()


def _points(named: list[str], site: Site | None) -> dict[str, Range]:
    points = writable_points(read_points(site.points_file, Graph.read(site.twin_file).points())) if site else {}
    for item in named:
        point, _, span = item.partition("=")
        low, colon, high = span.partition(":")
        if not point or not colon:
            raise errors.SiteError(f"--point takes ID=LOW:HIGH, an end may be empty; got {item!r}")
        points[point] = (_number(low, item), _number(high, item))
    if not points:
        raise errors.SiteError("a grant names points: --point ID=LOW:HIGH, or --site for all that are writable")
    return points


def writable_points(book: PointBook) -> dict[str, Range]:
    """Every writable point with its own limits."""
    return {p.id: (_finite(p.limits.low), _finite(p.limits.high)) for p in book.writable if p.limits is not None}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(text: str, item: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise errors.SiteError(f"--point takes numbers, got {item!r}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise errors.AccessError(f"{path}: the public key cannot be read ({error})") from None


def _facts(grant: Granted) -> dict[str, Any]:
    facts = json.loads(json.dumps({k: v for k, v in grant.facts.items() if k not in ("key", "from_ms", "until_ms")}))
    times = {name: from_ms(grant.facts[f"{name}_ms"]).isoformat() for name in ("from", "until")}
    return {**facts, **times, "key": grant.key.text if grant.key else "", "since": grant.since}
