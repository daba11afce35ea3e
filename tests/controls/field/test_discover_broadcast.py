"""Discovery on a real broadcast domain: a whole network asked by Who-Is on BACnet's own port. Needs a network namespace."""

import asyncio
import sys
from collections.abc import Callable

import pytest

from controls.discover import Where, discover
from simulators.wire.devices import FieldDevices
from twin.clock import wall_now
from twin.points import PointBook
from twin.site import Connection

DEVICES = 39
CONNECTIONS = {f"d{n}": Connection("bacnet", f"10.9.0.{n}", 47808, n) for n in range(1, DEVICES + 1)}
OURS = "ip addr add 10.9.0.100/24 brd 10.9.0.255 dev v0; "
THEIRS = "".join(f"ip addr add 10.9.0.{n}/24 brd 10.9.0.255 dev v1; " for n in range(1, DEVICES + 1))


@pytest.mark.wire
def test_a_whole_network_is_found_by_broadcast_and_what_site_toml_lacks_gets_a_name(over_a_cable: Callable[[str, str], list[str]]) -> None:
    assert over_a_cable(OURS, THEIRS) == ["39 1 known device_39"]


async def _be_the_devices():
    devices = FieldDevices(PointBook([]), CONNECTIONS)
    await devices.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)  # until the asker has gone
    await devices.stop()


async def _ask_the_network():
    known = {"d1": CONNECTIONS["d1"]}
    scan = await discover(known, PointBook([]), Where("10.9.0.100/24"), wall_now(), None, lambda text: sys.stderr.write(f"{text}\n"))
    names = {d.id: d.connection for d in scan.devices}
    sys.stderr.write(f"{scan.problems}\n")
    sys.stdout.write(f"{len(scan.devices)} {sum(d.known for d in scan.devices)} known {names.get(DEVICES)}\n")


if __name__ == "__main__":
    asyncio.run(_be_the_devices() if sys.argv[1:] == ["devices"] else _ask_the_network())
