"""Discovery on a real broadcast domain: a whole network asked by Who-Is on BACnet's own port. Needs a network namespace."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controls.discover import Where, discover
from simulators.wire.devices import FieldDevices
from twin.clock import wall_now
from twin.points import PointBook
from twin.site import Connection

ROOT = Path(__file__).parents[3]
DEVICES = 39
OURS = "ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip addr add 10.9.0.100/24 brd 10.9.0.255 dev v0; "
THEIRS = "read go; ip link set lo up; ip link set v1 up; " + "".join(
    f"ip addr add 10.9.0.{n}/24 brd 10.9.0.255 dev v1; " for n in range(1, DEVICES + 1)
)


@pytest.mark.wire
def test_a_whole_network_is_found_by_broadcast_and_what_site_toml_lacks_gets_a_name():
    if not shutil.which("unshare") or not shutil.which("ip") or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("no right to make a network namespace (unshare -n) here: discovery by broadcast stays untested")
    child = ["unshare", "-n", "sh", "-c", f'{OURS} exec "$0" "$1"', sys.executable, __file__]
    done = subprocess.run(
        child, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["39", "1", "known", "device_39"], done.stderr


def connections():
    return {f"d{n}": Connection("bacnet", f"10.9.0.{n}", 47808, n) for n in range(1, DEVICES + 1)}


async def _be_the_devices():
    devices = FieldDevices(PointBook([]), connections())
    await devices.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)  # until the asker has closed our input
    await devices.stop()


async def _ask_the_network():
    """The devices live at the far end of the cable: on one machine they would share our broadcast socket."""
    far = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", f'{THEIRS} exec "$0" "$1" devices', sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    await asyncio.sleep(0.5)  # unshare has made its namespace
    subprocess.run(["ip", "link", "set", "v1", "netns", str(far.pid)], check=True)
    far.stdin.write("go\n")
    far.stdin.flush()
    try:
        assert far.stdout.readline() == "ready\n"
        known = {"d1": connections()["d1"]}
        scan = await discover(known, PointBook([]), Where("10.9.0.100/24"), wall_now(), None, lambda text: sys.stderr.write(f"{text}\n"))
    finally:
        far.stdin.close()
        far.wait(20)
    names = {d.id: d.connection for d in scan.devices}
    sys.stderr.write(f"{scan.problems}\n")
    sys.stdout.write(f"{len(scan.devices)} {sum(d.known for d in scan.devices)} known {names.get(DEVICES)}\n")


if __name__ == "__main__":
    asyncio.run(_be_the_devices() if sys.argv[1:] == ["devices"] else _ask_the_network())
