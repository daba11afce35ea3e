"""The commands `member` and `data`: keys that follow others, and data keys with an end. Owner and government both sign."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger import succeeding
from ledger.commands import PLAIN, AsJson, State, existing_group, said_plainly, tell, tell_sealed
from ledger.entry import Body
from ledger.founding import OWNER
from ledger.keys import P256Signer, PublicKey, read_signer, write_key
from ledger.reader import Reader
from ledger.witness import Witness
from ledger.witness_client import WitnessClient
from twin import errors
from twin.site import state_root
from twin.state import StateFolder

member_app = typer.Typer(help="Members of a group and the keys that follow lost ones.", **PLAIN)
data_app = typer.Typer(help="Data keys of a group: a new one begins, an old one is destroyed with its content.", **PLAIN)

Url = Annotated[str, typer.Option("--witness", help="the government's process, http://host:port")]
Reason = Annotated[str, typer.Option("--reason", help="why; it is sealed")]


@member_app.command("list")
def member_list(group: str, state: State = None, as_json: AsJson = False) -> None:
    """Who belongs, with the keys that count now, recovery keys, log and witnesses."""
    with said_plainly():
        now = Reader(existing_group(state, group) / "log.db").group()
    spare = [{"name": name, "key": key.text} for name, key in now.recovery.keys] if now.recovery else []
    facts: dict[str, Any] = {
        "group": group,
        "members": [{"source": m.source, "name": m.name, "role": m.role, "key": m.key.text} for m in now.members.values()],
        "log": now.log.text,
        "witnesses": [{"name": w.name, "key": w.key.text} for w in now.witnesses.keys],
        "witnesses_needed": now.witnesses.needed,
        "recovery": spare,
        "recovery_needed": now.recovery.needed if now.recovery else 0,
    }
    lines = [f"{m['role']}: {m['name']}, {m['key']}" for m in facts["members"]]
    lines += [f"recovery key {key['name']}: {key['key']}" for key in spare] or [
        "no recovery keys: an owner who loses his keys loses the group"
    ]
    tell(facts, as_json, "\n".join(lines))


@member_app.command("protect")
def member_protect(
    group: str,
    url: Url,
    key: Annotated[list[Path], typer.Option("--key", help="a recovery key file, made when absent, to be kept elsewhere; several times")],
    needed: Annotated[int, typer.Option(min=1, max=3, help="how many of them stand in for a lost key")] = 1,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Name recovery keys, while nothing is lost yet."""
    with said_plainly():
        for path in key:
            if not path.exists():
                write_key(path, P256Signer.generate())
        keys = {path.stem: read_signer(path).public for path in key}
        _tell(succeeding.set_recovery(existing_group(state, group), WitnessClient(url), keys, needed), as_json, "recovery keys stand")


@member_app.command("recover")
def member_recover(
    group: str,
    url: Url,
    key: Annotated[list[Path], typer.Option("--key", help="a recovery key file; as many as the group asks for")],
    reason: Reason,
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """New keys for the owner who lost his, by recovery keys and the government."""
    with said_plainly():
        spare = [read_signer(path) for path in key]
        answer = succeeding.recover_owner(existing_group(state, group), WitnessClient(url), spare, reason)
        _tell(answer, as_json, f"the {OWNER} has new keys; the old ones sign nothing from here on")


@member_app.command("rotate-log")
def member_rotate_log(group: str, url: Url, reason: Reason, state: State = None, as_json: AsJson = False) -> None:
    """Give the log a new key."""
    with said_plainly():
        _tell(succeeding.rotate_log(existing_group(state, group), WitnessClient(url), reason), as_json, "the log has a new key")


@member_app.command("next-witness")
def member_next_witness(group: str, state: State = None, as_json: AsJson = False) -> None:
    """On the government's machine: make the key that its witness will cosign with next."""
    with _government(state) as witness:
        key = witness.next_witness(group)
    tell({"name": key.name, "key": key.key.text}, as_json, f"{key.name}: {key.key.text}")


@member_app.command("rotate-witness")
def member_rotate_witness(
    group: str,
    url: Url,
    reason: Reason,
    key: Annotated[str, typer.Option("--key", help="what next-witness printed, ed25519:...")],
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Let the government's witness cosign with its next key."""
    with said_plainly():
        public = PublicKey.from_text(key)
        answer = succeeding.rotate_witness(existing_group(state, group), WitnessClient(url), public, reason)
        _tell(answer, as_json, "the witness has a new key")


@member_app.command("waiting")
def member_waiting(group: str, state: State = None, as_json: AsJson = False) -> None:
    """On the government's machine: what owners propose and nobody approved yet."""
    with _government(state) as witness:
        found = [{"id": id_, "kind": kind, "says": _words(body)} for id_, kind, body in witness.changes.waiting(group)]
    tell({"group": group, "waiting": found}, as_json, "\n".join(f"{f['id']} {f['kind']}: {f['says']}" for f in found) or "nothing waits")


@member_app.command("approve")
def member_approve(group: str, proposal: str, state: State = None, as_json: AsJson = False) -> None:
    """On the government's machine: an official's yes to one proposal."""
    with _government(state) as witness:
        witness.changes.approve(group, proposal)
    tell({"group": group, "approved": proposal}, as_json, f"{proposal} is approved; the government signs when the owner asks again")


@data_app.command("epoch")
def data_epoch(group: str, url: Url, state: State = None, as_json: AsJson = False) -> None:
    """Begin a new data key: what is sealed from here on can be destroyed without what came before."""
    with said_plainly():
        _tell(succeeding.begin_epoch(existing_group(state, group), WitnessClient(url)), as_json, "a new data key begins")


@data_app.command("list")
def data_list(group: str, state: State = None, as_json: AsJson = False) -> None:
    """Every data key with the entries it covers, and whether it was destroyed."""
    with said_plainly():
        now = Reader(existing_group(state, group) / "log.db").group()
    facts = [{"epoch": e.number, "since": e.since, "destroyed": e.destroyed or None} for e in now.epochs.values()]
    lines = [
        f"epoch {f['epoch']}: since entry {f['since']}" + (f", destroyed by entry {f['destroyed']}" if f["destroyed"] else "")
        for f in facts
    ]
    tell({"group": group, "epochs": facts}, as_json, "\n".join(["epoch 1: since the founding, which holds its key for ever", *lines]))


@data_app.command("destroy")
def data_destroy(
    group: str,
    epoch: int,
    url: Url,
    reason: Reason,
    by: Annotated[str, typer.Option("--by", help="who ordered it; it is sealed")],
    state: State = None,
    as_json: AsJson = False,
) -> None:
    """Destroy the content sealed under one data key; entries and proofs stay. Backups with that key must be destroyed too."""
    with said_plainly():
        answer = succeeding.destroy_epoch(existing_group(state, group), WitnessClient(url), epoch, by, reason)
        _tell(answer, as_json, f"the content of epoch {epoch} is gone here and at the government; destroy backups that still hold its key")


def _tell(answer: succeeding.Answer, as_json: bool, text: str) -> None:
    if isinstance(answer, str):
        say = f"proposed as {answer}; an official approves it with `wattproof member approve`, then run this again"
        tell({"waiting": answer}, as_json, say)
    else:
        tell_sealed(answer, as_json, text)


@contextmanager
def _government(state: str | None) -> Iterator[Witness]:
    """The government's store on this machine."""
    folder = StateFolder(state_root(state)).witness()
    if not (folder / "witness.db").exists():
        raise errors.StateError(f"{folder}: no government runs here; ask where `wattproof witness` runs")
    with said_plainly(), closing(Witness(folder)) as witness:
        yield witness


def _words(body: Body) -> str:
    shown: dict[type, Callable[[Any], str]] = {bytes: lambda value: value.hex()[:16]}
    return ", ".join(f"{name} {shown.get(type(value), str)(value)}" for name, value in body.fields)[:300]
