"""Other people's clients on our devices (BAC0, node-bacnet, mbpoll), and tshark over a normal cycle: no frame of ours is malformed."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulators.wire.devices import FieldDevices
from simulators.wire.ports import free_udp_port
from twin.clock import wall_now
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Limits, Point

BAC0_READS = Path(__file__).parent / "bac0_client.py"


@pytest.fixture
def devices():
    """One BACnet and one Modbus device of ours that show 21.5 and hold 40; `devices(story)` runs `story(ports)` beside them."""

    def beside(story):
        async def run():
            limits = Limits(0, 100, 100, 40)
            book = PointBook(
                Point(f"{c}.{name}", "", "", c, writable=name == "dmp", limits=limits if name == "dmp" else None, binding=Binding(name, a))
                for c, name, a in (
                    ("b", "zn_t", "bacnet:b/analog-input,1"),
                    ("b", "dmp", "bacnet:b/analog-output,2"),
                    ("m", "zn_t", "modbus:m/1/holding/10:float32"),
                    ("m", "dmp", "modbus:m/1/holding/100:float32"),
                )
            )
            field = FieldDevices(book, {"b": Connection("bacnet", device=1001), "m": Connection("modbus")})
            connections = await field.start()
            await field.schedule({"b.dmp": 40.0, "m.dmp": 40.0})
            await field.publish({"b.zn_t": 21.5, "m.zn_t": 21.5}, wall_now())
            try:
                return await asyncio.to_thread(story, connections["b"].port, connections["m"].port)
            finally:
                await field.stop()

        return asyncio.run(run())

    return beside


def said(words):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_bac0_reads_our_device_writes_a_slot_and_lets_it_go(devices):
    pytest.importorskip("BAC0", reason="BAC0 is not installed here (requirements-dev.lock has it)")
    out = devices(lambda bacnet, _: said([sys.executable, BAC0_READS, free_udp_port(), bacnet]))
    assert json.loads(out.splitlines()[-1]) == [21.5, 40.0, 55.0, 40.0]


def test_node_bacnet_reads_value_and_flags_of_our_device(devices, node):
    out = devices(lambda bacnet, _: said(node("node_client.js", free_udp_port(), bacnet, 0, 1)))
    value, flags = json.loads(out)
    assert (value, flags["bitsUsed"]) == (21.5, 4)


def test_mbpoll_reads_and_writes_our_registers(devices):
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is missing here (wattproof doctor --install)")

    def story(_, modbus):
        words = ["mbpoll", "-m", "tcp", "-p", modbus, "-a", "1", "-0", "-t", "4:float", "-B", "-1"]
        return (
            said([*words, "-r", "10", "127.0.0.1"]),
            said([*words, "-r", "100", "127.0.0.1", "55"]),
            said([*words, "-r", "100", "127.0.0.1"]),
        )

    temperature, written, after = devices(story)
    assert "[10]: \t21.5" in temperature
    assert "Written 1 references" in written
    assert "[100]: \t55" in after


def test_tshark_finds_nothing_malformed_in_a_normal_cycle(house, tmp_path):
    if shutil.which("tshark") is None:
        pytest.skip("tshark is missing here (wattproof doctor --install)")
    file = tmp_path / "cycle.pcap"

    async def story():
        async with house(zones=3) as home:
            capture = await asyncio.create_subprocess_exec(
                "tshark", "-q", "-i", "lo", "-f", "udp or tcp", "-w", str(file), stderr=asyncio.subprocess.PIPE
            )
            if b"Capturing" not in (line := await capture.stderr.readline()) and b"Capturing" not in (
                line + await capture.stderr.readline()
            ):
                pytest.skip(f"tshark may not capture on the loopback here ({line.decode()}): what is on the wire stays undissected")
            home.wishes.values = {p.id: p.limits.fallback + 1 for p in home.book.writable if p.limits and p.limits.fallback < p.limits.high}
            await asyncio.sleep(0.5)  # it says «capturing» a little before it does
            report = await home.step()
            await asyncio.sleep(1.0)
            capture.terminate()
            await capture.wait()
            return report, home.connections

    report, connections = asyncio.run(story())
    assert report.writes > 0
    bacnet = [c.port for c in connections.values() if c.protocol == "bacnet"]
    modbus = [c.port for c in connections.values() if c.protocol == "modbus"]
    read = ["tshark", "-r", file]
    for port in bacnet:
        read += ["-d", f"udp.port=={port},bvlc"]
    for port in modbus:
        read += ["-d", f"tcp.port=={port},mbtcp"]
    fields = ["-T", "fields", "-e", "frame.protocols"]
    ours = " or ".join([f"udp.port=={p}" for p in bacnet] + [f"tcp.port=={p}" for p in modbus])
    protocols = said([*read, "-Y", f"({ours}) and (bacapp or modbus)", *fields]).split()
    assert sum("bacapp" in p for p in protocols) >= 10
    assert sum("mbtcp" in p for p in protocols) >= 2
    wrong = said([*read, "-Y", f"({ours}) and (_ws.malformed or _ws.expert.severity == error)"])
    assert wrong == ""
