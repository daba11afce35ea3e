"""Discovery of another subnet through its BBMD, as a foreign device. Needs network namespaces: our subnet, a router, and theirs."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rusty_bacnet import BACnetServer, Bbmd

from controls.discover import Where, discover
from simulators.wire.devices import FieldDevices
from twin.clock import wall_now
from twin.errors import WireError
from twin.points import PointBook
from twin.site import Connection

ROOT = Path(__file__).parents[3]
DEVICES = 5
BBMD, BBMD_INSTANCE = "10.9.0.50", 50
OURS = (
    "ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; "
    "ip addr add 10.8.0.100/24 dev v0; ip route add 10.9.0.0/24 via 10.8.0.1; "
)
THEIRS = (
    "read go; ip link set lo up; ip link set v1 up; ip addr add 10.8.0.1/24 dev v1; "
    "ip link add v2 type veth peer name v3; ip link set v2 up; ip link set v3 up; "
    + "".join(f"ip addr add 10.9.0.{n}/24 brd 10.9.0.255 dev v2; " for n in (*range(1, DEVICES + 1), 50))
)


@pytest.mark.wire
def test_a_subnet_behind_a_router_is_found_through_its_bbmd_and_one_that_takes_nobody_says_so():
    if not shutil.which("unshare") or not shutil.which("ip") or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("no right to make a network namespace (unshare -n) here: discovery through a BBMD stays untested")
    child = ["unshare", "-n", "sh", "-c", f'{OURS} exec "$0" "$1"', sys.executable, __file__]
    done = subprocess.run(
        child, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["alone 0", "joined [1, 2, 3, 4, 5, 50]", "refused"], done.stderr


def connections():
    return {f"d{n}": Connection("bacnet", f"10.9.0.{n}", 47808, n) for n in range(1, DEVICES + 1)}


async def _be_the_devices():
    devices = FieldDevices(PointBook([]), connections())
    await devices.start()
    bbmd = BACnetServer(
        BBMD_INSTANCE, "bbmd", interface=BBMD, port=47808, broadcast_address="10.9.0.255", share_port_by_address=True,
        bbmd=Bbmd(accept_foreign_devices=True),
    )  # fmt: skip
    await bbmd.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)  # until the asker has closed our input
    await bbmd.stop()
    await devices.stop()


async def _ask(where):
    return await discover({}, PointBook([]), where, wall_now(), None, lambda text: sys.stderr.write(f"{text}\n"))


async def _ask_the_other_subnet():
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
        sys.stdout.write(f"alone {len((await _ask(Where('10.8.0.100/24'))).devices)}\n")
        scan = await _ask(Where(bbmd=f"{BBMD}:47808"))
        sys.stdout.write(f"joined {sorted(d.id for d in scan.devices)}\n")
        try:
            await _ask(Where(bbmd="10.9.0.1:47808"))  # a device, no BBMD
        except WireError as error:
            sys.stdout.write("refused\n" if "does not register us" in str(error) else f"{error}\n")
    finally:
        far.stdin.close()
        far.wait(20)


if __name__ == "__main__":
    asyncio.run(_be_the_devices() if sys.argv[1:] == ["devices"] else _ask_the_other_subnet())
