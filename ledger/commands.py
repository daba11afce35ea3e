"""Commands of the ledger: witness, group, device, bundle, verify, backup, restore."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger import audit, custody, tiles
from ledger import backup as backups
from ledger.crl import ended_certificates, revocation_list
from ledger.epochs import own_data_keys
from ledger.errors import KeyFileError, LedgerError, VerificationError
from ledger.group import Group
from ledger.keys import read_signer
from ledger.log import Sealed
from ledger.reader import Reader
from ledger.report import Report
from ledger.rules import RULES
from ledger.tables import Device
from ledger.trust import Trust
from ledger.verify import verify_bundle
from ledger.witness import Witness, WitnessServer
from ledger.witness_client import WitnessClient
from twin import errors
from twin.clock import wall_now
from twin.site import require_name, state_root
from twin.state import StateFolder, write_whole

State = Annotated[str | None, typer.Option("--state", help="where state lives")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]

PLAIN: Any = {"no_args_is_help": True, "add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}

group_app = typer.Typer(help="Groups: one owner with the government.", **PLAIN)
device_app = typer.Typer(help="Identities of gateways, meters and bus devices.", **PLAIN)


@contextmanager
def said_plainly() -> Iterator[None]:
    """The ledger's errors as the product's, by who must act."""
    try:
        yield
    except VerificationError as error:
        raise errors.VerificationError(str(error)) from None
    except KeyFileError as error:
        raise errors.AccessError(str(error)) from None
    except LedgerError as error:
        raise errors.StateError(str(error)) from None


def witness(
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 0,
    name: Annotated[str, typer.Option(help="the government's name")] = "government",
    state: State = None,
) -> None:
    """Run the government's process: it joins groups and cosigns checkpoints."""
    with said_plainly():
        member = Witness(StateFolder(state_root(state)).witness(), name)
    try:
        server = WitnessServer(member, port)
    except OSError as error:
        member.close()
        raise errors.WireError(f"port {port} on 127.0.0.1 cannot be used ({error.strerror}); choose another with --port") from None
    print(json.dumps({"url": server.url, "name": name, "groups": member.groups()}), flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        member.close()


@group_app.command("create")
def group_create(
    name: str,
    owner: Annotated[str, typer.Option(help="the owner's name")],
    url: Annotated[str, typer.Option("--witness", help="the government's process, http://host:port")],
    simulated: Annotated[bool, typer.Option(help="for simulated sites; never mixed with real ones")] = False,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Found a group with the government."""
    try:
        require_name(name)
    except ValueError as refused:
        raise errors.StateError(f"a group's {refused}") from None
    with said_plainly():
        folder = StateFolder(state_root(state)).group(name)
        group = custody.found_group(folder, name, owner, WitnessClient(url), simulated=simulated)
        tell(_facts(group, Reader(folder / "log.db")), as_json, f"group {name} of {owner} is founded: {group.id.hex()}")


@group_app.command("show")
def group_show(name: str, state: State = None, as_json: AsJson = False) -> None:
    """Who belongs to a group, and how far its log is sealed and final."""
    with said_plainly():
        reader = Reader(existing_group(state, name) / "log.db")
        facts = _facts(reader.group(), reader)
    members = "\n".join(f"  {m['role']}: {m['name']}" for m in facts["members"])
    tell(facts, as_json, f"group {name}, {facts['size']} entries, {facts['final_size']} of them final\n{members}")


@group_app.command("check")
def group_check(name: str, state: State = None, as_json: AsJson = False) -> None:
    """Look through a group's log row by row, and name what was altered on this disk."""
    folder = existing_group(state, name)
    with said_plainly():
        found = audit.audit_log(folder / "log.db", own_data_keys(folder))
    facts = {"ok": not found, "damages": [asdict(damage) for damage in found]}
    lines = [f"{damage.table} {damage.row}: {damage.what}" for damage in found] or [f"group {name}: every row is as it was sealed"]
    tell(facts, as_json, "\n".join(lines))
    if found:
        raise typer.Exit(1)


@group_app.command("tiles")
def group_tiles(name: str, out: Annotated[Path, typer.Option("--out")], state: State = None, as_json: AsJson = False) -> None:
    """Write a group's log as static files (C2SP tlog-tiles) and recompute them up to the signed root; a later run adds what is new."""
    folder = existing_group(state, name)
    with said_plainly(), closing(Reader(folder / "log.db")) as reader:
        group = reader.group(1)
        size = tiles.export_tiles(reader, out)
        tiles.check_tiles(out, Trust.of(group))
    tell({"folder": str(out), "size": size}, as_json, f"{out}: {size} entries as tiles, recomputed up to the signed root")


@group_app.command("trust")
def group_trust(name: str, out: Annotated[Path, typer.Option("--out")], state: State = None, as_json: AsJson = False) -> None:
    """Write the keys an inspector checks this group against, from the government's own store."""
    with said_plainly():
        folder = StateFolder(state_root(state)).witness()
        if not (folder / "witness.db").exists():
            raise errors.StateError(f"{folder}: no government runs here; ask where `wattproof witness` runs")
        trust = Witness(folder).trust(name)
        custody.export_trust(trust, out)
    tell({"group": trust.group.hex(), "file": str(out)}, as_json, f"trust file of group {name}: {out}")


@device_app.command("list")
def device_list(group: str, state: State = None, as_json: AsJson = False) -> None:
    """Every device of a group with its kind and status."""
    with said_plainly():
        devices = Reader(existing_group(state, group) / "log.db").group().devices.values()
    facts = [_device(device) for device in devices]
    text = "\n".join(f"{d['device']}: {d['kind']}, {d['status']}" + (f" (by {d['vouched_by']})" if d["vouched_by"] else "") for d in facts)
    tell({"group": group, "devices": facts}, as_json, text or "no devices")


@device_app.command("enrol")
def device_enrol(
    group: str,
    source: Annotated[str, typer.Argument(help="<site>:<device>")],
    fingerprint: Annotated[list[str] | None, typer.Option(help="name=value, as read from the device; several times")] = None,
    vouched_by: Annotated[str, typer.Option(help="the gateway that signs for it")] = "",
    brick: str = "",
    address: str = "",
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Enrol a device: with fingerprint and gateway, or with a key and certificate of its own."""
    with said_plainly():
        enrolment = custody.Enrolment(source, brick, address, _pairs(fingerprint), vouched_by)
        tell_sealed(custody.enrol_device(existing_group(state, group), enrolment), as_json, f"{source} is enrolled")


@device_app.command("rotate")
def device_rotate(group: str, source: str, state: State = None, as_json: AsJson = False) -> None:
    """Give a device a new key and certificate; the old key ends at this entry of the log."""
    with said_plainly():
        tell_sealed(custody.rotate_device(existing_group(state, group), source), as_json, f"{source} has a new key")


@device_app.command("replace")
def device_replace(
    group: str,
    source: Annotated[str, typer.Argument(help="<site>:<device>, enrolled before, revoked or not")],
    fingerprint: Annotated[list[str] | None, typer.Option(help="name=value, as read from the device; several times")] = None,
    vouched_by: Annotated[str, typer.Option(help="the gateway that signs for it")] = "",
    brick: str = "",
    address: str = "",
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Put another device in the place of an enrolled one: with a new fingerprint, or a new key and certificate."""
    with said_plainly():
        enrolment = custody.Enrolment(source, brick, address, _pairs(fingerprint), vouched_by)
        tell_sealed(custody.replace_device(existing_group(state, group), enrolment), as_json, f"{source} is replaced")


@device_app.command("suspend")
def device_suspend(group: str, source: str, reason: Annotated[str, typer.Option()], state: State = None, as_json: AsJson = False) -> None:
    """Stop a device for a while; what it says meanwhile is refused."""
    with said_plainly():
        tell_sealed(custody.suspend_device(existing_group(state, group), source, reason), as_json, f"{source} is suspended")


@device_app.command("resume")
def device_resume(group: str, source: str, reason: Annotated[str, typer.Option()], state: State = None, as_json: AsJson = False) -> None:
    """Let a suspended device go on."""
    with said_plainly():
        tell_sealed(custody.resume_device(existing_group(state, group), source, reason), as_json, f"{source} goes on")


@device_app.command("revoke")
def device_revoke(group: str, source: str, reason: Annotated[str, typer.Option()], state: State = None, as_json: AsJson = False) -> None:
    """End a device's right to sign, from this entry of the log on."""
    with said_plainly():
        tell_sealed(custody.revoke_device(existing_group(state, group), source, reason), as_json, f"{source} is revoked")


@device_app.command("crl")
def device_crl(group: str, out: Annotated[Path, typer.Option("--out")], state: State = None, as_json: AsJson = False) -> None:
    """Write a group's revocations as an X.509 list (DER), for tools that know no log."""
    folder = existing_group(state, group)
    with said_plainly(), closing(Reader(folder / "log.db")) as reader:
        write_whole(out, revocation_list(reader, read_signer(folder / "keys" / "authority.key"), wall_now()))
        ended = ended_certificates(reader)
    facts = [{"device": e.source, "serial": f"{e.serial:x}", "entry": e.entry, "reason": e.reason.value} for e in ended]
    tell({"file": str(out), "revoked": facts}, as_json, f"{out}: {len(ended)} certificates that count no more")


def bundle(
    group: str,
    out: Annotated[Path, typer.Option("--out")],
    first: Annotated[int | None, typer.Option(help="first entry of a period")] = None,
    end: Annotated[int | None, typer.Option(help="entry after the period's last")] = None,
    seen_size: Annotated[int, typer.Option(help="size of the checkpoint the inspector saw last")] = 0,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Take a group's evidence out as one file."""
    if (first is None) != (end is None):
        raise errors.StateError("a period needs both --first and --end; leave both out for everything")
    period = (first, end) if first is not None and end is not None else None
    with said_plainly():
        made = custody.make_bundle(existing_group(state, group), out, period, seen_size)
    checkpoint = made.note.checkpoint
    facts = {"file": str(out), "entries": len(made.pieces), "size": checkpoint.size, "root": checkpoint.root.hex()}
    tell(facts, as_json, f"{out}: {len(made.pieces)} entries under a checkpoint of {checkpoint.size}")


def verify(
    evidence: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    trust: Annotated[Path | None, typer.Option(help="trust file from the government")] = None,
    seen: Annotated[Path | None, typer.Option(help="the checkpoint you saw last")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle offline against keys you already hold."""
    with said_plainly():
        held = Trust.from_json(_read(trust)) if trust else None
        report = verify_bundle(_read(evidence), held, _read(seen) if seen else None, now=wall_now(), rules=RULES, cores=os.cpu_count() or 1)
    tell(report.to_json(), as_json, _report_text(report))
    if not report.ok:
        raise typer.Exit(1)


Passphrase = Annotated[Path, typer.Option("--passphrase-file", help="a file that holds the passphrase, 16 characters at least")]


def backup(
    group: str, out: Annotated[Path, typer.Option("--out")], passphrase: Passphrase, state: State = None, as_json: AsJson = False
) -> None:
    """Keep a group's whole state as one encrypted file: log, keys, and its sites' journals."""
    with said_plainly():
        size = backups.back_up(state_root(state), group, out, _read(passphrase).strip())
    tell({"group": group, "file": str(out), "bytes": size}, as_json, f"{out}: group {group} in {size:,} bytes; keep it in another house")


def restore(
    file: Annotated[Path, typer.Argument(metavar="BACKUP")],
    passphrase: Passphrase,
    url: Annotated[str, typer.Option("--witness", help="the government's process: a log that is behind what it saw is refused")] = "",
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Put a group's state back from a backup, where nothing stands."""
    with said_plainly():
        client = WitnessClient(url) if url else None
        restored = backups.restore(state_root(state), _read(file), _read(passphrase).strip(), client)
    asked = "the witness has seen no more" if url else "no witness was asked; sealing asks it before it goes on"
    tell(asdict(restored), as_json, f"group {restored.group} stands again with {restored.size} entries; {asked}")


def _pairs(items: list[str] | None) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in items or [])


def _report_text(report: Report) -> str:
    words = {True: "ok", False: "FAILED", None: "-"}
    lines = [f"{step.number:2} {words[step.ok]:6} {step.what}: {step.detail}" for step in report.steps]
    return "\n".join([*lines, f"{'verified' if report.ok else 'NOT verified'}: {report.size} entries of group {report.group}"])


def _facts(group: Group, reader: Reader) -> dict[str, Any]:
    newest, final = reader.newest().checkpoint, reader.final()
    return {
        "name": group.founding.name,
        "group": group.id.hex(),
        "simulated": group.founding.simulated,
        "members": [{"source": m.source, "name": m.name, "role": m.role, "key": m.key.text} for m in group.members.values()],
        "devices": len(group.devices),
        "size": newest.size,
        "root": newest.root.hex(),
        "final_size": final.checkpoint.size if final else 0,
        "cosigned_by": [name for name, _ in reader.cosigned(final.checkpoint.size)] if final else [],
    }


def _device(device: Device) -> dict[str, Any]:
    return {
        "device": device.source,
        "kind": device.kind,
        "status": device.status,
        "since": device.since,
        "vouched_by": device.vouched_by,
        "brick": device.brick,
        "address": device.address,
        "key": device.key.text if device.key else "",
    }


def existing_group(state: str | None, group: str) -> Path:
    """A group's folder; StateError when there is none."""
    folder = state_root(state) / "groups" / group
    if not (folder / "log.db").exists():
        raise errors.StateError(f"{folder}: there is no group {group}; create it with `wattproof group create {group}`")
    return folder


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.StateError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def tell_sealed(sealed: Sealed, as_json: bool, text: str, **more: str) -> None:
    """What a checkpoint brought, for people or as JSON."""
    facts = {"entries": list(sealed.numbers), "size": sealed.checkpoint.size, **more}
    tell(facts, as_json, f"{text}, entry {sealed.numbers[0]}; final when the government has cosigned {sealed.checkpoint.size}")


def tell(facts: dict[str, Any], as_json: bool, text: str) -> None:
    """One JSON object, or the words for people."""
    print(json.dumps(facts, ensure_ascii=False) if as_json else text)
