"""The command `certificate`: who may join a site's encrypted field bus."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.commands import PLAIN, AsJson, State, said_plainly
from ledger.tls import NODE_DAYS, SiteAuthority
from twin.clock import wall_now
from twin.secure_connect import Member, read_members, tls_folder
from twin.site import find_site, load_site, state_root
from twin.state import StateFolder

certificate_app = typer.Typer(help="Certificates of a site's encrypted field bus: BACnet Secure Connect, Modbus over TLS.", **PLAIN)
SiteName = Annotated[str, typer.Argument(help="a site's name below sites/, or its folder")]
NodeName = Annotated[str, typer.Argument(help="the node, for example gateway, hub or ahu_1")]
Days = Annotated[int, typer.Option(min=1, max=1095, help="how long it is valid")]


@certificate_app.command("issue")
def issue(
    site: SiteName,
    node: NodeName,
    host: Annotated[list[str] | None, typer.Option(help="name or address it is dialled under; a hub needs one; may be repeated")] = None,
    days: Days = NODE_DAYS,
    role: Annotated[str, typer.Option(help="the Modbus role it states, by which a device decides what it may do")] = "",
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Give a node a key and a certificate of the site's own authority, which is made with the first one."""
    authority = _authority(site, state)
    with said_plainly():
        member = authority.issue(node, host or [], wall_now(), days, role)
    _told(member, authority.folder, as_json)


@certificate_app.command("renew")
def renew(site: SiteName, node: NodeName, days: Days = NODE_DAYS, state: State = None, as_json: AsJson = False) -> None:
    """A new certificate for the same key; the old one counts for 30 days more. Running gateways take it up by themselves."""
    authority = _authority(site, state)
    with said_plainly():
        member = authority.renew(node, wall_now(), days)
    _told(member, authority.folder, as_json)


@certificate_app.command("revoke")
def revoke(site: SiteName, node: NodeName, state: State = None, as_json: AsJson = False) -> None:
    """Take a node's certificates back; a running hub shuts it out within seconds."""
    authority = _authority(site, state)
    with said_plainly():
        gone = authority.revoke(node, wall_now())
    words = f"{node}: {len(gone)} certificates revoked; the hub lets it in no more"
    print(json.dumps({"node": node, "revoked": [m.sha256 for m in gone]}) if as_json else words)


@certificate_app.command("list")
def show(site: SiteName, state: State = None, as_json: AsJson = False) -> None:
    """Every certificate that was issued: its node, until when it counts, and whether it was revoked."""
    members = read_members(_authority(site, state).folder)
    if as_json:
        print(json.dumps({"certificates": [_row(m) for m in members]}))
        return
    for member in members:
        standing = f"revoked {member.revoked}" if member.revoked else "in force"
        print(f"{member.name:<24} until {member.until}  {standing}  {member.sha256[:16]}")
    if not members:
        print("no certificates yet; make one with `wattproof certificate issue SITE NODE`")


def _authority(site: str, state: str | None) -> SiteAuthority:
    config = load_site(find_site(site))
    return SiteAuthority(tls_folder(StateFolder(state_root(state, config)), config.name), config.name)


def _row(member: Member) -> dict[str, Any]:
    keys = ("name", "sha256", "until", "uuid", "vmac", "revoked")
    return {key: getattr(member, key) for key in keys}


def _told(member: Member, folder: Path, as_json: bool) -> None:
    files = {"certificate": str(folder / f"{member.name}.pem"), "key": str(folder / f"{member.name}.key")}
    row = _row(member) | files | {"authority": str(folder / "authority.pem")}
    if as_json:
        print(json.dumps(row))
        return
    print(f"{member.name}: certificate until {member.until}, uuid {member.uuid}, vmac {member.vmac}")
    for what in ("certificate", "key", "authority"):
        print(f"  {what:<12}{row[what]}")
