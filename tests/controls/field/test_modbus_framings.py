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
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from controls.drivers.lanes import Traffic
from controls.drivers.modbus import ModbusDriver
from simulators.wire.ports import free_tcp_port
from twin.site import Connection
from twin.words import Binding, Limits, Point


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


class Authority:
    """A site's own authority, and the certificates it gave out."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate(self.subject, self.key, days=30, ca=True).public_bytes(serialization.Encoding.PEM))

    def give(self, name: str, days: int = 30) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, days=days, ca=False)
        cert_file, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return str(cert_file), str(key_file)

    def _certificate(self, subject, key, *, days: int, ca: bool):
        end = datetime.now(UTC) + timedelta(days=days)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(end - timedelta(days=60)).not_valid_after(end)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@asynccontextmanager
async def tls_server(authority: Authority, certificate: tuple[str, str]) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    port = free_tcp_port()
    server = ModbusTlsServer([device()], address=("127.0.0.1", port), sslctx=context)
    await server.serve_forever(background=True)
    try:
        yield port
    finally:
        await server.shutdown()


def tls(port: int, authority: Authority, certificate: tuple[str, str]) -> Connection:
    cert, key = certificate
    return Connection("modbus", port=port, framing="tls", tls_ca=str(authority.file), tls_cert=cert, tls_key=key)


def test_both_ends_of_tls_show_a_certificate_of_the_sites_own_authority(tmp_path):
    async def story():
        site = Authority(tmp_path, "site")
        async with tls_server(site, site.give("meter")) as port:
            await story_of(ModbusDriver("m", tls(port, site, site.give("gateway")), Traffic()))

    asyncio.run(story())


@pytest.mark.parametrize(("days", "foreign", "words"), [(-1, False, "expired"), (30, True, "certificate is refused")])
def test_a_device_whose_certificate_is_not_good_is_not_believed_and_the_reason_is_plain(tmp_path, days, foreign, words):
    """F47: a certificate that has expired, or of another authority."""

    async def story():
        site, other = Authority(tmp_path, "site"), Authority(tmp_path, "other")
        async with tls_server(site, (other if foreign else site).give("meter", days)) as port:
            driver = ModbusDriver("m", tls(port, site, site.give("gateway")), Traffic())
            samples = await driver.read(POINTS)
            await driver.close()
            assert not any(s.answered for s in samples)
            assert words in samples[0].detail

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
