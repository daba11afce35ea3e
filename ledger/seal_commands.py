"""The command `seal`: a site's journal goes into its group's log, second by second."""

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ledger.errors import ForkError, LedgerError
from ledger.recorder import Recorder
from ledger.terms import terms_of
from twin import errors
from twin.graph import Graph
from twin.journal import Journal
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder

POLL_S = 0.2  # a new row is sealed within a second
log = logging.getLogger(__name__)


def seal(
    site: Annotated[str, typer.Argument(help="a site's name or folder")],
    state: Annotated[str | None, typer.Option("--state", help="where state lives")] = None,
    witness: Annotated[str, typer.Option(help="the government's process, http://host:port")] = "",
    once: Annotated[bool, typer.Option("--once", help="seal what is there and end")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Follow a site's journal and seal it into its group's log until told to stop."""
    stop = _told_to_stop()
    if once:
        stop.set()
    loaded = load_site(find_site(site))
    folders = StateFolder(state_root(state, loaded))
    try:
        with only_recorder(folders.group(loaded.group.name) / f"recorder-{loaded.name}.lock"):
            recorder = make_recorder(loaded, folders, witness)
            _run(recorder, stop)
    except LedgerError as error:
        raise errors.StateError(str(error)) from None
    _tell(recorder, as_json)


@contextmanager
def only_recorder(path: Path) -> Iterator[None]:
    """Two recorders of one site would seal its rows twice: the second one is refused."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise errors.StateError(f"{path}: another recorder is sealing this site; stop it first") from None
    finally:
        os.close(handle)


def make_recorder(site: Site, folders: StateFolder, witness_url: str) -> Recorder:
    """The recorder of a site, ready to open."""
    journal = Journal(folders.site(site.name) / "journal.db")
    terms = terms_of(site, Graph.read(site.twin_file))
    return Recorder(folders.group(site.group.name), terms, journal, simulated=site.simulated, witness_url=witness_url)


def _run(recorder: Recorder, stop: threading.Event) -> None:
    recorder.open()
    while not stop.is_set():
        follow_once(recorder)
        stop.wait(POLL_S)
    recorder.finish()


def _told_to_stop() -> threading.Event:
    """Set when somebody asks the process to end: what is there gets sealed first."""
    stop = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, asked)
    return stop


def follow_once(recorder: Recorder) -> None:
    """Seal all that is new and have it cosigned; trouble with one checkpoint is told, and tried again."""
    try:
        while recorder.step():
            recorder.cosign()
        if recorder.behind:
            recorder.cosign()
    except ForkError:
        raise  # going on would give the witness evidence against its owner
    except (errors.StateError, LedgerError) as error:
        log.warning("%s", error)


def _tell(recorder: Recorder, as_json: bool) -> None:
    delay = recorder.delay()
    facts = {
        "site": recorder.site, "cursor": recorder.cursor, "final_size": recorder.final_size, "rows": delay.count,
        "seal_delay_p95_s": round(delay.p95_s, 3),
    }  # fmt: skip
    text = f"{recorder.site}: journal sealed to row {recorder.cursor}, final to entry {recorder.final_size}"
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")
