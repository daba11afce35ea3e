"""Devices on a real broadcast domain: addresses of one network, all on BACnet's own port, found by Who-Is. Needs a network namespace."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rusty_bacnet import BACnetClient

from simulators.wire.devices import FieldDevices
from simulators.wire.ports import broadcast_of
from twin.points import PointBook
from twin.site import Connection

ROOT = Path(__file__).parents[2]
DEVICES = 4
NETWORK = "".join(
    ["ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; "]
    + [f"ip addr add 10.9.0.{n}/24 brd 10.9.0.255 dev v0; " for n in (*range(1, DEVICES + 1), 100)]
)


def test_a_broadcast_address_is_that_of_the_network_or_of_everybody():
    assert broadcast_of("127.0.0.1") == "127.255.255.255"
    assert broadcast_of("203.0.113.7") == "255.255.255.255"  # a network for documents only: no machine stands in it


@pytest.mark.wire
def test_who_is_finds_every_device_of_the_network_on_the_standard_port():
    if not shutil.which("unshare") or not shutil.which("ip") or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("no right to make a network namespace (unshare -n) here: discovery by broadcast stays untested")
    child = ["unshare", "-n", "sh", "-c", f'{NETWORK} exec "$0" "$1"', sys.executable, __file__]
    done = subprocess.run(
        child, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["10.9.0.255", "1", "2", "3", "4"], done.stderr


async def _ask_the_network():
    devices = FieldDevices(PointBook([]), {f"d{n}": Connection("bacnet", f"10.9.0.{n}", 47808, n) for n in range(1, DEVICES + 1)})
    await devices.start()
    broadcast = broadcast_of("10.9.0.100")
    async with BACnetClient("10.9.0.100", 47808, broadcast, apdu_timeout_ms=300, share_port_by_address=True) as client:
        await client.who_is()
        await asyncio.sleep(0.5)
        found = sorted(d.object_identifier.instance for d in await client.discovered_devices())
    await devices.stop()
    sys.stdout.write(f"{broadcast} {' '.join(map(str, found))}\n")


if __name__ == "__main__":
    asyncio.run(_ask_the_network())
