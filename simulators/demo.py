"""The whole product once: import, bind, simulate, control over the real wires, seal, verify, show.

The parent drives the controlled sites and owns the order of ending: release first, then devices, then sealing, pages and the witness.
Baselines, sealing, witness and pages are child processes, each in its own process session.
"""

import asyncio
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simulators.children import Child
from simulators.founding import Founded, found, meter_records
from simulators.opening import require_plant
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.reporting import Evidence, Reference, carbon, comfort_row, energy, gather_evidence, outcomes, shortfalls, sized_apart
from simulators.running import RunningSite, RunReport, SiteParts
from simulators.score import Score
from simulators.wire.ports import require_free_tcp, require_free_udp
from twin.clock import monotonic_s, wall_now
from twin.errors import SiteError, StateError
from twin.graph import Graph
from twin.journal import Record
from twin.points import read_points
from twin.site import Site, find_site, load_site
from twin.state import StateFolder

SECOND_SITE = "corner_clinic"  # the second owner, so that isolation can be seen
BASELINES = ("bau", "code")
BASELINE_TIMEOUT_S = 600  # a month of EnergyPlus takes under a minute; ten mean trouble
LIVE_DAYS = 30
MIND_S = 1.0  # how soon a person hears that a child is gone


@dataclass(frozen=True)
class Wish:
    """What the demo shall do."""

    site: str
    period: Period
    state: Path
    headless: bool = False
    speed: float = 60.0
    port: int = 8050
    inspector_port: int = 8051


@dataclass
class DemoSite:
    """One owner's site on its way through the demo."""

    site: Site
    state: Path
    graph: Graph
    rooms: int = 0
    equipment: int = 0
    parts: SiteParts | None = None
    founded: Founded | None = None
    running: RunningSite | None = None
    report: RunReport | None = None
    references: dict[str, Reference] = field(default_factory=dict)
    evidence: Evidence | None = None


class Demo:
    """Runs once; `say` tells a person what happens."""

    def __init__(self, wish: Wish, say: Callable[[str], None]) -> None:
        self.wish = wish
        self.say = say
        self.state = StateFolder(wish.state)
        self.sites: list[DemoSite] = []
        self._witness: Child | None = None
        self._baselines: dict[str, Child] = {}
        self._others: list[Child] = []
        self._sealers: list[Child] = []
        self._pages: list[Child] = []

    def run(self) -> dict[str, Any]:
        """Everything from checking the wish to the summary; children are ended whatever happens."""
        begun_s = monotonic_s()
        self._check()
        try:
            self._prepare_whole()
            self._start_children()
            asyncio.run(self._control())
            self._seal_the_rest()
            return summary(self.wish, self.sites, monotonic_s() - begun_s)
        finally:
            for child in [*self._others, *self._pages, *self._baselines.values(), *self._sealers, *filter(None, [self._witness])]:
                child.stop()

    def _check(self) -> None:
        """Refuse what cannot work before anything is written."""
        main, second = load_site(find_site(self.wish.site)), load_site(find_site(SECOND_SITE))
        apart = second.name != main.name and second.group.name != main.group.name
        sites = [main, second] if apart else [main]
        require_plant(main, self.wish.period.engine, self.wish.period.start)
        for site in sites:
            for name, connection in site.connections.items():
                if connection.port:
                    require = require_free_udp if connection.protocol == "bacnet" else require_free_tcp
                    require(connection.host, connection.port, f"connection {name}")
        if not self.wish.headless:
            require_free_tcp("127.0.0.1", self.wish.port, "the control room")
            require_free_tcp("127.0.0.1", self.wish.inspector_port, "the inspector's pages")
        _require_empty(self.wish.state)
        self._folders = [site.folder for site in sites]

    def _prepare_whole(self) -> None:
        """Prepare, and take away what was written when a site's files turn out to be wrong on the way."""
        try:
            self._prepare()
        except SiteError:
            for child in [*self._baselines.values(), *filter(None, [self._witness])]:
                child.stop()
            shutil.rmtree(self.wish.state, ignore_errors=True)
            raise

    def _prepare(self) -> None:
        self.state.make()
        for folder in self._folders:
            site = work_copy(folder, self.wish.state / "work")
            state = self.state.site(site.name)
            self.say(f"{site.title}: reading the model")
            imported = make_twin(site, state, wall_now())
            self.sites.append(
                DemoSite(site, state, imported.graph, rooms=len(imported.plan["rooms"]), equipment=len(imported.plan["equipment"]))
            )
        main = self.sites[0].site
        for controller in BASELINES:
            words = ["simulate", str(main.folder), "--controller", controller, "--json", *_period_words(self.wish.period)]
            self._baselines[controller] = Child(controller, words, self._log(controller))
        self._witness = Child(
            "witness", ["witness", "--port", "0", "--name", main.group.government, "--state", str(self.wish.state)], self._log("witness")
        )
        url = str(self._witness.object()["url"])
        for each in self.sites:
            self.say(f"{each.site.title}: founding group {each.site.group.name}, {each.site.group.government} joins")
            book = read_points(each.site.points_file, each.graph.points())
            each.founded = found(each.site, each.graph, book, self.state, url)
            if each is self.sites[0]:
                each.parts = assemble(each.site, each.state, self.wish.period, meter_records(each.site, book, self.state))
                if each.parts.plant.note:
                    self.say(f"{each.site.title}: {each.parts.plant.note}")
        self._witness_url = url

    def _start_children(self) -> None:
        for each in self.sites:
            words = ["seal", str(each.site.folder), "--witness", self._witness_url, "--state", str(self.wish.state)]
            self._sealers.append(Child(f"seal-{each.site.name}", words, self._log(f"seal-{each.site.name}")))
        if self.wish.headless:
            return
        main = self.sites[0].site
        owner = ["serve", str(main.folder), "--port", str(self.wish.port), "--state", str(self.wish.state), "--json"]
        inspector = ["serve", "--government", "--port", str(self.wish.inspector_port), "--state", str(self.wish.state), "--json"]
        for name, words in (("control room", owner), ("inspector", inspector)):
            self._pages.append(Child(name, words, self._log(name.replace(" ", "-"))))
        for child in self._pages:
            ready = child.object()
            self.say(f"{child.name}: {ready['url']}  (first sign-in, once: {ready['setup_url']})")

    async def _control(self) -> None:
        """Drive all sites until their periods are over or somebody says stop."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        speed = None if self.wish.headless else self.wish.speed
        self.say(f"controlling over BACnet/IP and Modbus TCP{'' if speed is None else f' at {speed:g}x; Ctrl-C gives the building back'}")
        references = asyncio.create_task(self._await_references(stop))
        minding = asyncio.create_task(self._mind_children())
        try:
            await self._drive_all(speed, stop)
            if not stop.is_set():
                await references
            if not self.wish.headless and not stop.is_set():
                self.say("the simulated period is over; the pages stay until Ctrl-C")
                await stop.wait()
        finally:
            references.cancel()
            minding.cancel()
            for child in self._baselines.values():
                child.interrupt()  # whoever waits for a baseline need not wait for its end

    async def _drive_all(self, speed: float | None, stop: asyncio.Event) -> None:
        """One owner's trouble does not end another's control; it is raised when all have given their buildings back."""
        done = await asyncio.gather(*[self._drive(each, speed, stop) for each in self.sites], return_exceptions=True)
        for error in done:
            if error is not None:
                raise error

    async def _mind_children(self) -> None:
        """Control goes on without its children, but somebody must be told that one is gone."""
        minded = [*self._sealers, *self._pages, *filter(None, [self._witness])]
        while minded:
            for child in [child for child in minded if not child.running]:
                minded.remove(child)
                self.say(f"{child.name} has ended by itself; control goes on without it, start the demo anew to have it back ({child.log})")
            await asyncio.sleep(MIND_S)

    async def _drive(self, each: DemoSite, speed: float | None, stop: asyncio.Event) -> None:
        """The main site is driven here; another owner's site in a process of its own, as it would be in life."""
        if each.parts is None:
            await self._drive_apart(each, speed, stop)
            return
        each.running = RunningSite(each.parts)
        try:
            each.report = await each.running.run(speed=speed, stop=stop)
        finally:
            if each.report is None:
                stop.set()  # without the main site there is nothing more to show
        if release := each.report.release:
            self._say_released(each, release.points, release.seconds, len(release.not_released))

    async def _drive_apart(self, each: DemoSite, speed: float | None, stop: asyncio.Event) -> None:
        words = ["simulate", str(each.site.folder), "--controller", "rules", "--json", "--state", str(self.wish.state)]
        words += _period_words(replace(self.wish.period, engine=None)) + ([] if speed is None else ["--speed", str(speed)])
        child = Child(each.site.name, words, self._log(each.site.name))
        self._others.append(child)
        ending = asyncio.create_task(_stop_with(child, stop))
        try:
            row = await asyncio.to_thread(child.object, None)
        except StateError as error:
            self.say(f"{error}; the other site goes on")
            raise
        finally:
            ending.cancel()
        release = row["release"]
        self._say_released(each, release["points"], release["seconds"], release["held_after"])

    def _say_released(self, each: DemoSite, points: int, seconds: float, held_after: int) -> None:
        self.say(f"{each.site.title}: {points} points given back in {seconds:.1f} s, {held_after} still held")

    async def _await_references(self, stop: asyncio.Event) -> None:
        """Write each baseline into the main site's journal as soon as its process is done."""
        main = self.sites[0]
        for controller, child in self._baselines.items():
            row = await asyncio.to_thread(child.object, BASELINE_TIMEOUT_S)
            if stop.is_set():
                return
            main.references[controller] = reference = Reference.from_row(row)
            while main.running is None:
                await asyncio.sleep(0.05)
            main.running.journal.append([Record("reference", reference.start, reference.journal_body())])

    def _seal_the_rest(self) -> None:
        """Let every sealing process finish what the journal holds, then take the evidence out and verify it."""
        for child in self._sealers:
            code = child.stop()
            if code:
                raise StateError(f"{child.name} ended with {code}; its log is {child.log}")
        for each in self.sites:
            assert each.founded is not None
            each.evidence = gather_evidence(each.founded, self.state, self.wish.state / "evidence")
        self.say("evidence taken out and verified offline")

    def _log(self, name: str) -> Path:
        return self.wish.state / "logs" / f"{name}.log"


def summary(wish: Wish, sites: Sequence[DemoSite], wall_s: float) -> dict[str, Any]:
    """The object that `demo --json` prints (its keys are stable; more may be added). Energy in kWh, emissions in g, shares in percent."""
    main = sites[0]
    assert main.parts is not None
    assert main.report is not None
    assert main.report.score is not None
    runs: dict[str, Reference | Score] = {**main.references, "controlled": main.report.score}
    facts: dict[str, Any] = {
        "site": main.site.name,
        "plant": main.parts.plant.engine,
        "note": main.parts.plant.note,
        "weather": main.parts.plant.weather.name,
        "place": main.site.place,
        "period": {"start": main.report.began.isoformat() if main.report.began else None, "days": wish.period.days},
        "seed": wish.period.seed,
        "twin": {"rooms": main.rooms, "equipment": main.equipment, "points": len(main.parts.book)},
        "wire": _wire(main),
        "ledger": _ledger(sites),
        "state": str(wish.state),
        "stopped": main.report.stopped,
    }
    if set(runs) == {*BASELINES, "controlled"} and not main.report.stopped:
        kwh = {name: run.energy_kwh for name, run in runs.items()}
        comfort = {name: comfort_row(run.comfort) for name, run in runs.items()}
        facts["energy"] = {kind: energy(kwh, kind) for kind in ("whole", "hvac_light")}
        facts["comfort"] = comfort
        facts["failed"] = shortfalls(kwh, comfort) + sized_apart(main.references, main.report.design)
    assert main.evidence is not None
    facts["carbon"] = carbon(main.evidence.claims)
    facts["wall_s"] = round(wall_s, 1)
    return facts


def _wire(main: DemoSite) -> dict[str, Any]:
    assert main.parts is not None
    assert main.report is not None
    protocols = [c.protocol for c in main.site.connections.values()]
    return {
        "bacnet_devices": protocols.count("bacnet"),
        "modbus_devices": protocols.count("modbus"),
        "points": len(main.parts.book.bound),
        "reads": main.report.reads,
        "writes": main.report.writes,
        "outcomes": outcomes(main.report.outcomes),
        "writes_seen_by_devices": main.report.device_writes,
    }


def _ledger(sites: Sequence[DemoSite]) -> dict[str, Any]:
    found = [each.evidence for each in sites if each.evidence]
    return {
        "groups": [e.row for e in found],
        "devices": {"enrolled": sum(e.enrolled for e in found), "revoked": sum(e.revoked for e in found)},
        "control_actions": sum(e.control_actions for e in found),
        "seal_delay_p95_s": max((e.seal_delay_p95_s for e in found), default=0.0),
        "verified": bool(found) and all(e.verified for e in found),
        "failed_steps": [step for e in found for step in e.failed_steps],
    }


def _require_empty(folder: Path) -> None:
    try:
        if folder.exists() and any(folder.iterdir()):
            raise StateError(f"{folder}: not empty; choose an empty folder for --state, a demo never mixes with other state")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)  # journals and histories tell who was in the building, in a folder that was there before too
    except OSError as error:
        raise StateError(f"{folder}: cannot be used as a folder ({error.strerror}); choose another place with --state") from None


async def _stop_with(child: Child, stop: asyncio.Event) -> None:
    """Pass the wish to stop on to a child: it gives its own building back first."""
    await stop.wait()
    child.interrupt()


def _period_words(period: Period) -> list[str]:
    words = ["--days", str(period.days), "--seed", str(period.seed)]
    words += ["--start", period.start] if period.start else []
    return [*words, "--plant", period.engine] if period.engine else words
