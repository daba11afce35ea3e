"""Discovery of another subnet through its BBMD, as a foreign device. Needs network namespaces: our subnet, a router, and theirs."""

import asyncio
import sys
from collections.abc import Callable

import pytest
from rusty_bacnet import BACnetServer, Bbmd

from controls.discover import Where, discover
from simulators.wire.devices import FieldDevices
from twin.clock import wall_now
from twin.errors import WireError
from twin.points import PointBook
from twin.site import Connection

DEVICES = 5
BBMD, BBMD_INSTANCE = "10.9.0.50", 50
OURS = "ip addr add 10.8.0.100/24 dev v0; ip route add 10.9.0.0/24 via 10.8.0.1; "
THEIRS = "ip addr add 10.8.0.1/24 dev v1; ip link add v2 type veth peer name v3; ip link set v2 up; ip link set v3 up; " + "".join(
    f"ip addr add 10.9.0.{n}/24 brd 10.9.0.255 dev v2; " for n in (*range(1, DEVICES + 1), 50)
)


@pytest.mark.wire
def test_a_subnet_behind_a_router_is_found_through_its_bbmd_and_one_that_takes_nobody_says_so(
    over_a_cable: Callable[[str, str], list[str]],
) -> None:
    assert over_a_cable(OURS, THEIRS) == ["alone 0", "joined [1, 2, 3, 4, 5, 50]", "refused"]


async def _be_the_devices():
    devices = FieldDevices(PointBook([]), {f"d{n}": Connection("bacnet", f"10.9.0.{n}", 47808, n) for n in range(1, DEVICES + 1)})
    await devices.start()
    bbmd = BACnetServer(
        BBMD_INSTANCE, "bbmd", interface=BBMD, port=47808, broadcast_address="10.9.0.255", share_port_by_address=True,
        bbmd=Bbmd(accept_foreign_devices=True),
    )  # fmt: skip
    await bbmd.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)  # until the asker has gone
    await bbmd.stop()
    await devices.stop()


async def _ask(where):
    return await discover({}, PointBook([]), where, wall_now(), None, lambda text: sys.stderr.write(f"{text}\n"))


async def _ask_the_other_subnet():
    sys.stdout.write(f"alone {len((await _ask(Where('10.8.0.100/24'))).devices)}\n")
    scan = await _ask(Where(bbmd=f"{BBMD}:47808"))
    sys.stdout.write(f"joined {sorted(d.id for d in scan.devices)}\n")
    try:
        await _ask(Where(bbmd="10.9.0.1:47808"))  # a device, no BBMD
    except WireError as error:
        sys.stdout.write("refused\n" if "does not register us" in str(error) else f"{error}\n")


if __name__ == "__main__":
    asyncio.run(_be_the_devices() if sys.argv[1:] == ["devices"] else _ask_the_other_subnet())
