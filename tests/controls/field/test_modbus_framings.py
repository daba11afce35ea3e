"""Modbus over every framing, against servers of two libraries and a tool that this project did not write."""

import asyncio
import contextlib
import itertools
import os
import pty
import shutil
import ssl
import subprocess
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from controls.drivers.lanes import Traffic
from controls.drivers.modbus import ModbusDriver
from ledger.tls import SiteAuthority
from simulators.wire.faults import Faults
from simulators.wire.interposer import RtuInterposer, SecureInterposer
from simulators.wire.ports import free_tcp_port
from twin.clock import wall_now
from twin.errors import WireError
from twin.site import Connection
from twin.words import Binding, Limits, Point

MUTATED_FRAMES = 60


def point(name: str, place: str) -> Point:
    limits = Limits(-1e12, 1e12, 1e13, 0)
    return Point(name, "X", "NUM", "o", writable=True, limits=limits, binding=Binding(name, f"modbus:m/{place}"))


POINTS = [point("a", "1/holding/0:uint16"), point("b", "1/holding/2:float32:little"), point("c", "1/holding/10:int32:big")]


def device() -> SimDevice:
    return SimDevice(1, [SimData(address=0, values=[7, 8, 0, 16812, 5] + [0] * 15, datatype=DataType.REGISTERS)])


async def story_of(driver: ModbusDriver) -> None:
    await driver.open()
    try:
        assert [s.value for s in await driver.read(POINTS)] == [7.0, 21.5, 0.0]
        await driver.write(POINTS[2], -70000.0, 13)
        assert [s.value for s in await driver.read(POINTS)] == [7.0, 21.5, -70000.0]
    finally:
        await driver.close()


def test_rtu_frames_travel_over_tcp():
    async def story():
        port = free_tcp_port()
        server = ModbusTcpServer([device()], address=("127.0.0.1", port), framer=FramerType.RTU)
        await server.serve_forever(background=True)
        await story_of(ModbusDriver("m", Connection("modbus", port=port, framing="rtu_over_tcp"), Traffic()))
        await server.shutdown()

    asyncio.run(story())


@asynccontextmanager
async def serial_line() -> AsyncIterator[tuple[str, str]]:
    """Two pseudo-terminals, wired to each other like a null-modem cable."""
    pairs = [pty.openpty(), pty.openpty()]
    loop = asyncio.get_running_loop()
    masters = [master for master, _ in pairs]
    for master, slave in pairs:
        tty.setraw(slave)
        os.set_blocking(master, False)

    def carry(source: int, target: int) -> None:
        with contextlib.suppress(OSError):
            os.write(target, os.read(source, 1024))

    loop.add_reader(masters[0], carry, masters[0], masters[1])
    loop.add_reader(masters[1], carry, masters[1], masters[0])
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        for master, slave in pairs:
            loop.remove_reader(master)
            os.close(slave)
            os.close(master)


def test_a_serial_line_is_read_and_written():
    async def story():
        async with serial_line() as (ours, theirs):
            server = ModbusSerialServer([device()], port=theirs, framer=FramerType.RTU, baudrate=9600)
            await server.serve_forever(background=True)
            await story_of(ModbusDriver("m", Connection("modbus", framing="rtu", serial=ours), Traffic()))
            await server.shutdown()

    asyncio.run(story())


def test_a_serial_line_that_is_not_there_is_silent_and_no_crash():
    async def story():
        driver = ModbusDriver("m", Connection("modbus", framing="rtu", serial="/dev/no_such_line"), Traffic())
        await driver.open()
        samples = await driver.read(POINTS)
        assert not any(s.answered for s in samples)
        assert "/dev/no_such_line" in samples[0].detail

    asyncio.run(story())


class Papers:
    """Certificates of a site's own authority."""

    def __init__(self, folder: Path, name: str = "site") -> None:
        self._site = SiteAuthority(folder / name, name)

    def give(self, node: str, *, ended: bool = False, role: str = "") -> tuple[str, str, str]:
        """Authority, certificate and key of a node."""
        at = wall_now() - timedelta(days=40) if ended else wall_now()
        self._site.found(wall_now() - timedelta(days=50))
        self._site.issue(node, ["127.0.0.1"], at, days=30, role=role)
        folder = self._site.folder
        return str(self._site.certificate), str(folder / f"{node}.pem"), str(folder / f"{node}.key")


@asynccontextmanager
async def tls_server(papers: tuple[str, str, str]) -> AsyncIterator[int]:
    authority, certificate, key = papers
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    port = free_tcp_port()
    server = ModbusTlsServer([device()], address=("127.0.0.1", port), sslctx=context)
    await server.serve_forever(background=True)
    try:
        yield port
    finally:
        await server.shutdown()


def tls(port: int, papers: tuple[str, str, str]) -> Connection:
    authority, certificate, key = papers
    return Connection("modbus", port=port, framing="tls", tls_ca=authority, tls_cert=certificate, tls_key=key)


def test_both_ends_of_tls_show_a_certificate_of_the_sites_own_authority(tmp_path):
    async def story():
        site = Papers(tmp_path)
        async with tls_server(site.give("meter")) as port:
            await story_of(ModbusDriver("m", tls(port, site.give("gateway")), Traffic()))

    asyncio.run(story())


@pytest.mark.parametrize(("ended", "foreign", "words"), [(True, False, "expired"), (False, True, "certificate is refused")])
def test_a_device_whose_certificate_is_not_good_is_not_believed_and_the_reason_is_plain(tmp_path, ended, foreign, words):
    """F47: a certificate that has expired, or of another authority."""

    async def story():
        site, other = Papers(tmp_path), Papers(tmp_path, "other")
        async with tls_server((other if foreign else site).give("meter", ended=ended)) as port:
            driver = ModbusDriver("m", tls(port, site.give("gateway")), Traffic())
            samples = await driver.read(POINTS)
            await driver.close()
            assert not any(s.answered for s in samples)
            assert words in samples[0].detail

    asyncio.run(story())


@pytest.mark.parametrize("role", ["Viewer", ""])
def test_a_gateway_of_another_role_may_read_and_is_told_why_it_may_not_write(tmp_path, role):
    """F47: wrong role: the device refuses the write, the reason is plain, and the right role writes."""

    async def story():
        site = Papers(tmp_path)
        behind = ModbusTcpServer([device()], address=("127.0.0.1", free_tcp_port()))
        await behind.serve_forever(background=True)
        gateway = SecureInterposer(behind.comm_params.source_address, site.give("meter"), ["Operator"])
        port = await gateway.start()
        viewer = ModbusDriver("m", tls(port, site.give("viewer", role=role)), Traffic())
        assert [s.value for s in await viewer.read(POINTS)] == [7.0, 21.5, 0.0]
        with pytest.raises(WireError, match="our certificate's role may not do that there"):
            await viewer.write(POINTS[2], -70000.0, 13)
        assert [s.value for s in await viewer.read(POINTS)] == [7.0, 21.5, 0.0]
        assert gateway.refused == 1
        await viewer.close()
        await story_of(ModbusDriver("m", tls(port, site.give("operator", role="Operator")), Traffic()))
        await gateway.stop()
        await behind.shutdown()

    asyncio.run(story())


def test_mutated_rtu_frames_give_no_wrong_value_and_the_line_is_good_afterwards():
    """F45: RTU frames have a check sum; one that does not fit is no answer."""

    async def story():
        behind = ModbusTcpServer([device()], address=("127.0.0.1", free_tcp_port()), framer=FramerType.RTU)
        await behind.serve_forever(background=True)
        wire = RtuInterposer(behind.comm_params.source_address)
        driver = ModbusDriver("m", Connection("modbus", port=await wire.start(), framing="rtu_over_tcp"), Traffic(), answer_s=0.05)
        await driver.open()
        wire.disturb(Faults(seed=45, mutate=0.7))
        truth, came, bad = [7.0, 21.5, 0.0], 0, 0
        for _ in range(MUTATED_FRAMES):
            values = [s.value for s in await driver.read(POINTS)]
            came += values == truth
            bad += values == [None] * 3
            assert values in (truth, [None] * 3), f"seed 45: {values}"
        assert came > 5
        assert bad > 5
        wire.disturb(Faults())
        assert [s.value for s in await driver.read(POINTS)] == truth
        await driver.close()
        await wire.stop()
        await behind.shutdown()

    asyncio.run(story())


def test_several_links_share_the_blocks_and_a_gateway_that_needs_a_pause_gets_it():
    async def story():
        port, asked, loop = free_tcp_port(), [], asyncio.get_running_loop()

        async def note(*request):
            asked.append(loop.time())

        words = SimDevice(1, [SimData(0, values=list(range(2000)), datatype=DataType.REGISTERS)], action=note)
        server = ModbusTcpServer([words], address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        points = [point(f"p{n}", f"1/holding/{n}:uint16") for n in range(2000)]
        for settings in ({"links": 3}, {"delay_ms": 30}):
            driver = ModbusDriver("m", Connection("modbus", port=port, **settings), Traffic())
            await driver.open()
            asked.clear()
            assert [s.value for s in await driver.read(points)] == list(range(2000))
            assert len(asked) == 16
            await driver.close()
        assert min(b - a for a, b in itertools.pairwise(asked)) >= 0.029
        await server.shutdown()

    asyncio.run(story())


def test_a_device_of_ours_is_read_by_mbpoll(house):
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed (Debian: apt-get install mbpoll)")

    async def story():
        async with house() as h:
            p = next(p for p in h.book.bound if str(p.binding.address).startswith("modbus") and "holding" in str(p.binding.address))
            connection, unit, _, place = str(p.binding.address).removeprefix("modbus:").split("/")
            port, register = h.connections[connection].port, place.split(":")[0]
            command = ["mbpoll", "-1", "-0", "-a", unit, "-r", register, "-t", "4", "-p", str(port), "127.0.0.1"]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"[{register}]:" in done.stdout

    asyncio.run(story())
