"""The whole product once: import, bind, simulate, control over the real wires, seal, verify, show.

The parent drives the controlled sites and owns the order of ending: release first, then devices, then sealing, pages and the witness.
Baselines, sealing, witness and pages are child processes, each in its own process session.
"""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.children import Child
from simulators.founding import Founded, found
from simulators.preparing import Period, assemble, make_twin, work_copy
from simulators.reporting import Evidence, Reference, gather_evidence, summary
from simulators.running import RunningSite, RunReport, SiteParts
from simulators.wire.ports import require_free_tcp, require_free_udp
from twin.clock import monotonic_s, wall_now
from twin.errors import StateError
from twin.journal import Record
from twin.site import Site, find_site, load_site
from twin.state import StateFolder

SECOND_SITE = "corner_clinic"  # the second owner, so that isolation can be seen
BASELINES = ("bau", "code")
BASELINE_TIMEOUT_S = 600  # a month of EnergyPlus takes under a minute; ten mean trouble
LIVE_DAYS = 30


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
    rooms: int = 0
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
        self._sealers: list[Child] = []
        self._pages: list[Child] = []

    def run(self) -> dict[str, Any]:
        """Everything from checking the wish to the summary; children are ended whatever happens."""
        begun_s = monotonic_s()
        self._check()
        try:
            self._prepare()
            self._start_children()
            asyncio.run(self._control())
            self._seal_the_rest()
            main = self.sites[0]
            return summary(self.wish.period, self.sites, monotonic_s() - begun_s, main.references)
        finally:
            for child in [*self._pages, *self._baselines.values(), *self._sealers, *filter(None, [self._witness])]:
                child.stop()

    def _check(self) -> None:
        """Refuse what cannot work before anything is written."""
        folders = list(dict.fromkeys([find_site(self.wish.site), find_site(SECOND_SITE)]))
        for site in map(load_site, folders):
            for name, connection in site.connections.items():
                if connection.port:
                    require = require_free_udp if connection.protocol == "bacnet" else require_free_tcp
                    require(connection.host, connection.port, f"connection {name}")
        if not self.wish.headless:
            require_free_tcp("127.0.0.1", self.wish.port, "the control room")
            require_free_tcp("127.0.0.1", self.wish.inspector_port, "the inspector's pages")
        if self.wish.state.exists() and any(self.wish.state.iterdir()):
            raise StateError(f"{self.wish.state}: not empty; choose an empty folder for --state, a demo never mixes with other state")
        self._folders = folders

    def _prepare(self) -> None:
        for folder in self._folders:
            site = work_copy(folder, self.wish.state / "work")
            state = self.state.site(site.name)
            self.say(f"{site.title}: reading the model")
            imported = make_twin(site, state, wall_now())
            self.sites.append(DemoSite(site, state, rooms=imported.rooms))
        main = self.sites[0].site
        for controller in BASELINES:
            words = ["simulate", str(main.folder), "--controller", controller, "--json", *_period_words(self.wish.period)]
            self._baselines[controller] = Child(controller, words, self._log(controller))
        self._witness = Child("witness", ["witness", "--port", "0", "--state", str(self.wish.state)], self._log("witness"))
        url = str(self._witness.object()["url"])
        for each in self.sites:
            self.say(f"{each.site.title}: founding group {each.site.group.name}, {each.site.group.government} joins")
            each.founded = found(each.site, self.state, url)
            each.parts = assemble(each.site, each.state, self.wish.period, each.founded.records)
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
        try:
            await asyncio.gather(*[self._drive(each, speed, stop) for each in self.sites])
            if not stop.is_set():
                await references
            if not self.wish.headless and not stop.is_set():
                self.say("the simulated period is over; the pages stay until Ctrl-C")
                await stop.wait()
        finally:
            references.cancel()

    async def _drive(self, each: DemoSite, speed: float | None, stop: asyncio.Event) -> None:
        assert each.parts is not None
        each.running = RunningSite(each.parts)
        each.report = await each.running.run(speed=speed, stop=stop)
        release = each.report.release
        if release:
            self.say(f"{each.site.title}: {release.points} points given back in {release.seconds:.1f} s, {release.held_after} still held")

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


def _period_words(period: Period) -> list[str]:
    words = ["--days", str(period.days), "--seed", str(period.seed)]
    words += ["--start", period.start] if period.start else []
    return [*words, "--plant", period.engine] if period.engine else words
