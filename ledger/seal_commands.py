"""The command `seal`: a site's journal goes into its group's log, second by second."""

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from ledger.carbon.claims import MeterTerm, Terms
from ledger.contracts.policies import policy
from ledger.errors import ForkError, LedgerError
from ledger.recorder import Recorder
from twin import errors
from twin.graph import Graph
from twin.journal import Journal
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder

POLL_S = 0.2  # a new row is sealed within a second
POWER_FACTOR_PERCENT = 95  # a transformer's kVA carry this share as kW; a site with poor compensation has a lower one
WH_UNITS = ("W-HR",)
METER_TERMS: Mapping[tuple[str, str], tuple[int, str]] = {
    # Brick class of meter and of its register -> scope and fuel; other electrical meters are sub-meters: told, not counted again
    ("Building_Electrical_Meter", "Electric_Energy_Sensor"): (2, ""),
    ("Electrical_Meter", "Electric_Energy_Sensor"): (0, ""),
    ("Building_Gas_Meter", "Natural_Gas_Usage_Sensor"): (1, "natural_gas"),
}
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


def terms_of(site: Site, graph: Graph) -> Terms:
    """What the site's emission claims rest on: its grid region and its energy meters, from the twin."""
    return Terms(site.name, site.grid_region, tuple(_meter_terms(graph.ask("meters"))))


def _meter_terms(rows: Sequence[Mapping[str, str]]) -> list[MeterTerm]:
    found = {}
    for row in rows:
        term = METER_TERMS.get((row["class"], row.get("point_class", "")))
        if term and row.get("unit", "") in WH_UNITS:
            found[row["point"]] = MeterTerm(row["point"], *term)
    return [found[point] for point in sorted(found)]


def group_policies(sites: Sequence[tuple[Site, Terms]]) -> list[dict[str, Any]]:
    """The contracts a group with these sites is founded with: registers of every meter, load of every main meter."""
    metering = {site.name: {meter.point: 0 for meter in terms.meters} for site, terms in sites}
    overload = {}
    for site, terms in sites:
        for meter in terms.meters:
            if meter.scope == 2:
                overload[site.name] = {"energy": meter.point, "limits_w": limits_w(site)}
    return [policy("metering", {"sites": metering}), policy("overload", {"sites": overload})]


def limits_w(site: Site) -> dict[str, int]:
    """The site's load limits in W; 0 is not watched."""
    return {"contract": round(site.contract_demand_kw * 1000), "transformer": round(site.transformer_kva * 10) * POWER_FACTOR_PERCENT}


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
