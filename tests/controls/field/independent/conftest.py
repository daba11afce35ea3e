"""Devices and clients that this project did not write, each in a process of its own; what is not installed here is skipped, and said."""

import contextlib
import importlib.util
import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ledger.site_commands import grant, sign
from simulators.speed.peers import install_node_bacnet
from simulators.wire.ports import free_tcp_port, free_udp_port
from twin import cli
from twin.clock import monotonic_s
from twin.graph import Graph, Text
from twin.journal import Journal

HERE = Path(__file__).parent
READY_S = 20
TOML = """name = "house"
title = "House"
place = "Wuhan"
jurisdiction = "CN-42"
timezone = "Asia/Shanghai"
area_m2 = 800.0
use = "office"
grid_region = "CN-HB"
[group]
name = "g"
owner = "o"
government = "x"
[cycle]
step_s = 30
lease_s = 60
"""
Answer = tuple[int, str, str]


class SmallSite:
    """A commissioned site of one connection, as its integrator wrote it, and its commands."""

    def __init__(self, folder: Path, connection: str, points: Sequence[tuple[str, str, str]]) -> None:
        self.folder, self._state = folder / "house", folder / "state"
        self.folder.mkdir()
        (self.folder / "site.toml").write_text(f"{TOML}[connections.box]\n{connection}", encoding="utf-8")
        rows = [f'{name},"{address}",{"yes,0,100,100,10" if kind.endswith("Command") else "no,,,,"}' for name, kind, address in points]
        (self.folder / "points.csv").write_text("\n".join(["point,address,writable,low,high,step,fallback", *rows]), encoding="utf-8")
        triples = [("site:box", "rdf:type", "brick:Equipment"), ("site:box", "rdfs:label", Text("box"))]
        for name, kind, _ in points:
            triples += [(f"site:{name}", "rdf:type", f"brick:{kind}"), (f"site:{name}", "brick:isPointOf", "site:box")]
        Graph.from_triples("house", triples).write(self.folder / "twin.ttl", [])
        sign(str(self.folder), folder / "engineer.pem", "chen", new_key=True, days=9)
        grant(str(self.folder), str(self._state))

    def ask(self, command: str, *words: str) -> Answer:
        """A command of ours as the command line runs it: exit code, output, errors."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main([command, str(self.folder), *words, "--state", str(self._state)])
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return code, out.getvalue(), err.getvalue()

    @property
    def journal(self) -> Journal:
        return Journal(self._state / "sites" / "house" / "journal.db")

    @contextlib.contextmanager
    def controlled(self) -> Iterator[None]:
        """`wattproof run` in a process of its own, until its first scan stands in the journal and after that until the block ends."""
        before = self.journal.size()
        words = [sys.executable, "-m", "twin", "run", str(self.folder), "--state", str(self._state)]
        controller = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            deadline = monotonic_s() + READY_S
            while not self.journal.after(before, ("readings",)):
                assert controller.poll() is None, controller.communicate()[1]
                assert monotonic_s() < deadline, "the controller never read the device"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    controller.wait(0.2)
            yield
        finally:
            controller.terminate()
            controller.communicate(timeout=READY_S)


@pytest.fixture
def start() -> Iterator[Callable[..., None]]:
    """`start(words, cwd)`: a device's process, ready; ended by closing its input."""
    running: list[subprocess.Popen[str]] = []

    def started(words: Sequence[str], cwd: Path = HERE) -> None:
        process = subprocess.Popen(words, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout
        said = process.stdout.readline()
        while said and said != "ready\n":  # BAC0 greets first
            said = process.stdout.readline()
        assert said == "ready\n", f"{words}: the device did not start"

    yield started
    for process in running:
        process.communicate(timeout=READY_S)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """`node("node_device.js", ...)`: the words that run a program of this folder with node-bacnet."""
    folder = tmp_path_factory.mktemp("node")
    runtime = install_node_bacnet(folder)
    if runtime is None:
        pytest.skip("node, npm or the way to npm's registry is missing here: node-bacnet stays unasked (wattproof doctor --install)")

    def words(program: str, *more: object) -> list[str]:
        shutil.copy(HERE / program, folder)
        return [runtime, str(folder / program), *map(str, more)]

    return words


@pytest.fixture
def bac0_port(start: Callable[..., None]) -> int:
    """A device by BAC0, instance 3001."""
    if importlib.util.find_spec("BAC0") is None:
        pytest.skip("BAC0 is not installed here: its device stays unasked (requirements-dev.lock has it)")
    port = free_udp_port()
    start([sys.executable, str(HERE / "bac0_device.py"), str(port), "3001"])
    return port


@pytest.fixture
def node_port(start: Callable[..., None], node: Callable[..., list[str]]) -> int:
    """A device by node-bacnet, instance 3002."""
    port = free_udp_port()
    start(node("node_device.js", port, 3002))
    return port


@pytest.fixture
def modbus_port(start: Callable[..., None], tmp_path: Path) -> int:
    """A server by libmodbus, compiled here."""
    if shutil.which("gcc") is None or not Path("/usr/include/modbus/modbus.h").exists():
        pytest.skip("gcc or libmodbus-dev is missing here: the server by libmodbus stays unasked (wattproof doctor --install)")
    program, port = tmp_path / "modbus_server", free_tcp_port()
    subprocess.run(["gcc", "-I/usr/include/modbus", "-o", program, HERE / "modbus_server.c", "-lmodbus"], check=True)
    start([str(program), str(port)])
    return port


@pytest.fixture
def small_site(tmp_path: Path) -> Callable[..., SmallSite]:
    """`small_site(connection, points)`: a commissioned site."""
    return lambda connection, points: SmallSite(tmp_path, connection, points)
