"""Commands of the controls: run a real site by the wall clock, and give a building back."""

import asyncio
import getpass
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from controls.collecting import settle
from controls.cycle import Cycle, CycleReport
from controls.forecast import OccupancyForecast
from controls.rights import Files, Rights, commanded
from controls.strategies import Strategy, find_strategies
from controls.tasks import end_tasks
from twin.clock import WallClock, monotonic_s, wall_now
from twin.errors import SiteError, StateError, WireError
from twin.grants import commissioned
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal, Record, Row
from twin.points import PointBook, read_points
from twin.secure_connect import GATEWAY, tls_folder
from twin.site import Connection, SecureConnect, Site, find_site, load_site, state_root
from twin.state import StateFolder, endpoint_locks, lock_is_held, read_json, site_lock

RELEASE_DEADLINE_S = 30.0  # five seconds are the rule; a machine that is busy takes longer, and whoever waits must not be told wrong things
POLL_S = 0.1
STANDARD_PORTS = {"bacnet": 47808, "modbus": 502, "tls": 802}

SiteArgument = Annotated[str, typer.Argument(help="a site's name below sites/, or its folder")]
StateOption = Annotated[
    str | None, typer.Option("--state", help="where state lives (default: WATTPROOF_STATE, else ~/.local/state/wattproof)")
]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON object on standard output")]

_log = logging.getLogger(__name__)


def run(
    site: SiteArgument,
    state: StateOption = None,
    automatic: Annotated[bool, typer.Option("--automatic", help="take up control again after a release")] = False,
    as_json: JsonOption = False,
) -> None:
    """Control a real site by the wall clock until interrupted; then give the building back."""
    config = load_site(find_site(site))
    if config.simulated:
        raise SiteError(f"{config.name} is a simulated site (it has a plant.toml); use `wattproof demo` or `wattproof simulate`")
    home = StateFolder(state_root(state, config))
    folder = home.site(config.name)
    with site_lock(folder, "wattproof run"), stores(folder) as (journal, history):
        files = Files.read(config)
        if automatic:
            _set_mode(journal, "automatic", "wattproof run --automatic")
        elif mode_of(journal) == "off":
            print(f"{config.name}: the optimiser is off; reading only until it is set to automatic (--automatic)", file=sys.stderr)
        totals = asyncio.run(_run(files, tls_folder(home, config.name), journal, history))
    words = f"{config.name}: {totals['cycles']} cycles, {totals['writes']} writes; the building is its own again"
    print(json.dumps(totals) if as_json else words)


def release(site: SiteArgument, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Give the building back: every command relinquished, the optimiser off."""
    config = load_site(find_site(site))
    folder = StateFolder(state_root(state, config)).site(config.name)
    with stores(folder) as (journal, history):
        before = _set_mode(journal, "off", "wattproof release")
        if lock_is_held(folder):
            body = _wait_for_release(journal, before, config.name)
        else:
            with site_lock(folder, "wattproof release"):
                body = asyncio.run(_give_back(config, folder, journal, history))
    if as_json:
        print(json.dumps({"site": config.name, **body}, ensure_ascii=False))
    else:
        print(f"{config.name}: {body['points'] - body['held_after']} points given back in {body['seconds']:.1f} s; the optimiser is off")
    if body["held_after"]:
        raise WireError(f"not given back, their devices do not answer: {', '.join(body['not_released'])}; a running controller tries again")


def _endpoints(config: Site, book: PointBook) -> list[str]:
    """The devices that are commanded, as this machine's other gateways would name them."""
    connections, names = with_ports(config.connections), commanded(book)
    return [f"{c.protocol} {c.host}:{c.port}" for name, c in connections.items() if name in names]


def _with_own_papers(secure: SecureConnect, folder: Path) -> SecureConnect:
    """Our certificate for Secure Connect is the one `wattproof certificate` made, unless site.toml names another."""
    if not secure.hub or secure.tls_cert:
        return secure
    return replace(
        secure, tls_ca=str(folder / "authority.pem"), tls_cert=str(folder / f"{GATEWAY}.pem"), tls_key=str(folder / f"{GATEWAY}.key")
    )


async def _run(files: Files, papers: Path, journal: Journal, history: History) -> dict[str, Any]:
    """Until told to stop; a new grant over files that lead elsewhere begins a new cycle, after the building was given back."""
    totals: dict[str, Any] = dict.fromkeys(("cycles", "reads", "writes", "overruns", "polls_late"), 0)
    stop, name = asyncio.Event(), files.site.name
    with _told_to_stop(stop.set):
        while not stop.is_set():
            rights = Rights(files, journal, lambda note: print(f"{name}: {note}", file=sys.stderr, flush=True))
            cycle = _cycle(files, rights, papers, journal, history)
            with endpoint_locks(_endpoints(files.site, rights.now.book)):
                await control(cycle, files.site.cycle.step_s, stop, totals)
            if not cycle.rewired:
                break
            files = Files.read(load_site(files.site.folder))
    return totals


def _cycle(files: Files, rights: Rights, papers: Path, journal: Journal, history: History) -> Cycle:
    config = replace(files.site, secure_connect=_with_own_papers(files.site.secure_connect, papers))
    graph, entitled = files.graph, rights.now
    counters = [row["point"] for row in graph.ask("points_of", brick_class="Occupancy_Count_Sensor")]
    forecast = OccupancyForecast.fit(history, counters, wall_now(), config.zone)
    strategies: list[Strategy] = find_strategies(graph, config, forecast)
    return Cycle(
        config, graph, entitled.book, journal, history, with_ports(config.connections), WallClock(), strategies,
        interlocks=entitled.interlocks, rights=rights,
    )  # fmt: skip


async def control(cycle: Cycle, step_s: float, stop: asyncio.Event, totals: dict[str, Any]) -> None:
    """Run a cycle every `step_s` seconds of wall time until told to stop; whatever happens, the building is given back."""
    stopped = asyncio.create_task(stop.wait())
    watcher: asyncio.Task[None] | None = None
    try:
        await cycle.open()
        settle()
        watcher = asyncio.create_task(cycle.watch())
        due = monotonic_s()
        while not stop.is_set() and not watcher.done() and not cycle.rewired:
            _count(totals, await cycle.step())
            if monotonic_s() >= due:  # an early turn, because somebody asked, does not move the others
                due = max(due + step_s, monotonic_s())  # a late cycle is counted, and the next one is not squeezed
            await _next_turn(cycle, (stopped, watcher), due)
        if watcher.done():
            watcher.result()  # its error is ours
    finally:
        stopped.cancel()
        await end_tasks([watcher])
        await cycle.close()


async def _next_turn(cycle: Cycle, ends: Sequence[asyncio.Task[Any]], due: float) -> None:
    """Wait until the next cycle is due, one of `ends` comes, or a person asks for something."""
    asked = asyncio.create_task(cycle.asked.wait())
    await asyncio.wait((*ends, asked), timeout=max(0.0, due - monotonic_s()), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    cycle.asked.clear()


def _count(totals: dict[str, Any], report: CycleReport) -> None:
    totals["cycles"] += 1
    totals["reads"] += report.answered
    totals["writes"] += report.writes
    totals["overruns"] += report.overrun
    totals["polls_late"] = report.polls_late
    _log.info("%s of %s points, %s commands, %.2f s", report.answered, report.asked, report.commands, report.duration_s)


async def _give_back(config: Site, folder: Path, journal: Journal, history: History) -> dict[str, Any]:
    """Nobody controls the site: release what the journal says an earlier controller left held."""
    graph = Graph.read(config.twin_file)
    book, _ = commissioned(config, read_points(config.points_file, graph.points()), journal)
    cycle = Cycle(config, graph, book, journal, history, places(config, folder), WallClock(), [], interlocks=())
    before = journal.size()
    try:
        await cycle.open()
        if not journal.after(before, ("release",)):
            await cycle.release(who(), "wattproof release")
    finally:
        await cycle.close()
    body: dict[str, Any] = journal.latest(("release",))[0].body
    return body


def _wait_for_release(journal: Journal, after: int, name: str) -> dict[str, Any]:
    """The running controller reads the journal every second: wait for its word."""
    deadline = monotonic_s() + RELEASE_DEADLINE_S
    while monotonic_s() < deadline:
        rows: list[Row] = journal.after(after, ("release",))
        if rows:
            body: dict[str, Any] = rows[0].body
            return body
        pause(POLL_S)
    raise StateError(
        f"{name}: a controller holds the site and did not give it back within {RELEASE_DEADLINE_S:g} s; "
        "end its process, then run `wattproof release` again"
    )


def places(config: Site, folder: Path) -> dict[str, Connection]:
    """Where the devices are: a simulated site wrote it down when it started them."""
    if not config.simulated:
        return with_ports(config.connections)
    return {name: Connection(**settings) for name, settings in read_json(folder / "connections.json").items()}


def with_ports(connections: Mapping[str, Connection]) -> dict[str, Connection]:
    """On a real site a connection without a port has its protocol's own."""
    return {
        n: c if c.port else replace(c, port=STANDARD_PORTS["tls" if c.framing == "tls" else c.protocol]) for n, c in connections.items()
    }


def mode_of(journal: Journal) -> str:
    """The optimiser's mode: the newest row rules."""
    rows = journal.latest(("mode",))
    return str(rows[0].body["mode"]) if rows else "automatic"


def _set_mode(journal: Journal, mode: str, why: str) -> int:
    return journal.append([Record("mode", wall_now(), {"mode": mode, "by": who(), "why": why})])


def who() -> str:
    """The user at this machine, for the journal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"  # a container may have no name for the user


def pause(seconds: float) -> None:
    """Wait; Ctrl-C ends it at once."""
    asyncio.run(asyncio.sleep(seconds))


@contextmanager
def stores(folder: Path) -> Iterator[tuple[Journal, History]]:
    """A site's journal and history, open."""
    journal, history = Journal(folder / "journal.db"), History(folder / "history.db")
    try:
        yield journal, history
    finally:
        journal.close()
        history.close()


@contextmanager
def _told_to_stop(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the run after the cycle at hand; the building is given back on the way out."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
