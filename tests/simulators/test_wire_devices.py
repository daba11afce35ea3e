"""All devices of a site together: from the design's points, on free ports, killed, revived, refused."""

import asyncio
import math
import socket
from datetime import UTC, datetime

import pytest
from pymodbus.client import AsyncModbusTcpClient
from rusty_bacnet import BACnetClient, BacnetError, ObjectIdentifier, ObjectType, PropertyIdentifier, PropertyValue

from simulators.design import AirHandlerDesign, Building, ZoneDesign, design_points
from simulators.wire.devices import FieldDevices
from simulators.wire.ports import free_tcp_port, free_udp_port, require_free_tcp, require_free_udp
from twin.errors import SiteError, WireError
from twin.points import PointBook
from twin.site import Connection
from twin.words import Binding, Limits, Point

AT = datetime(2026, 7, 14, 8, tzinfo=UTC)
SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
BUILDING = Building(
    "two floors",
    (0.0, 4.0),
    tuple(ZoneDesign(f"Zone {s}{n}", s, SQUARE, 4.0 * s, 3.0, f"AHU-{s + 1}", daylit=n > 0) for s in range(2) for n in range(2)),
    (AirHandlerDesign("AHU-1", 0), AirHandlerDesign("AHU-2", 1)),
)
SITE = {
    **{f"ahu_{n}": Connection("bacnet", device=1000 + n) for n in (1, 2)},
    **{f"floor_{n}": Connection("bacnet", device=2000 + n) for n in (1, 2)},
    **{name: Connection("modbus") for name in ("lights_1", "lights_2", "meters", "main_meter")},
}
PRESENT = PropertyIdentifier.PRESENT_VALUE
SETPOINT = ObjectIdentifier(ObjectType.ANALOG_VALUE, 0)


def point_of(designed):
    row = designed.row
    writable = row["writable"] == "yes"
    limits = Limits(float(row["low"]), float(row["high"]), math.inf, float(row["fallback"])) if writable else None
    binding = Binding(designed.id, designed.address, designed.scale)
    return Point(designed.id, row["brick"], row["unit"], designed.owner, writable=writable, limits=limits, binding=binding)


BOOK = PointBook(point_of(d) for d in design_points(BUILDING))


def run(story):
    async def alone():
        await asyncio.wait_for(story, 30)
        return [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]

    assert asyncio.run(alone()) == [], "tasks left behind"


def require_all_free(connections):
    for name, connection in connections.items():
        (require_free_udp if connection.protocol == "bacnet" else require_free_tcp)(connection.host, connection.port, name)


def test_a_designed_site_comes_up_holds_its_schedule_and_leaves_nothing_behind():
    async def story():
        devices = FieldDevices(BOOK, SITE)
        started = await devices.start()
        assert list(started) == list(SITE)
        assert len({(c.protocol, c.port) for c in started.values()}) == len(SITE)
        assert all(c.port for c in started.values())

        await devices.publish({p.id: 20.0 for p in BOOK.values() if not p.writable}, AT)
        own = {p.id: p.limits.low for p in BOOK.writable}
        await devices.schedule(own)
        assert await devices.held() == own
        assert devices.log == []

        await devices.stop()
        require_all_free(started)
        await devices.stop()

    run(story())


def test_two_sites_run_side_by_side_without_hearing_each_other():
    async def story():
        one, other = FieldDevices(BOOK, SITE), FieldDevices(BOOK, SITE)
        first, second = await asyncio.gather(one.start(), other.start())
        assert {(c.protocol, c.port) for c in first.values()}.isdisjoint({(c.protocol, c.port) for c in second.values()})

        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", apdu_timeout_ms=300) as client:
            await client.write_property(f"127.0.0.1:{first['ahu_1'].port}", SETPOINT, PRESENT, PropertyValue.real(16.0), 13)
            assert (await one.held())["ahu_1.sa_t_sp"] == 16.0
            await client.write_property(f"127.0.0.1:{first['ahu_1'].port}", SETPOINT, PRESENT, PropertyValue.null(), 13)
        assert (await other.held())["ahu_1.sa_t_sp"] == 12.8
        await asyncio.gather(one.stop(), other.stop())
        assert [w.value for w in one.log] == [16.0, None], "the last look is at the stop"
        assert other.log == []

    run(story())


def test_a_killed_bacnet_device_is_silent_and_comes_back_without_its_commands():
    async def story():
        devices = FieldDevices(BOOK, SITE)
        started = await devices.start()
        await devices.publish({"ahu_1.sa_t": 13.5}, AT)
        address = f"127.0.0.1:{started['ahu_1'].port}"
        async with BACnetClient("127.0.0.1", 0, "127.255.255.255", apdu_timeout_ms=50) as client:
            await client.write_property(address, SETPOINT, PRESENT, PropertyValue.real(16.0), 13)
            await devices.kill("ahu_1")
            assert [(w.point, w.value) for w in devices.log] == [("ahu_1.sa_t_sp", 16.0)], "seen before it died"
            with pytest.raises((BacnetError, TimeoutError)):
                await client.read_property(address, SETPOINT, PRESENT)

            await devices.publish({"ahu_1.sa_t": 14.5}, AT)
            await devices.schedule({"ahu_1.sa_t_sp": 15.0})
            assert (await devices.held())["ahu_1.sa_t_sp"] == 15.0
            await devices.kill("ahu_1")

            await devices.revive("ahu_1")
            await devices.revive("ahu_1")
            assert (await client.read_property(address, SETPOINT, PRESENT)).value == 15.0
            assert (await client.read_property(address, ObjectIdentifier(ObjectType.ANALOG_INPUT, 0), PRESENT)).value == 14.5
            assert await devices.held() == {**{p.id: p.limits.fallback for p in BOOK.writable}, "ahu_1.sa_t_sp": 15.0}
            assert len(devices.log) == 1
        await devices.stop()
        require_all_free(started)

    run(story())


def test_a_killed_gateway_cuts_its_clients_and_comes_back_on_auto():
    async def story():
        devices = FieldDevices(BOOK, SITE)
        port = (await devices.start())["lights_1"].port
        await devices.publish({}, AT)
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0, reconnect_delay=0)
        assert await client.connect()
        await client.write_register(0, 400)
        await devices.kill("lights_1")
        await asyncio.sleep(0.05)
        assert not client.connected
        assert not await client.connect()
        assert (await devices.held())["zone_00.light_level"] == 95

        await devices.revive("lights_1")
        assert await client.connect()
        assert (await client.read_holding_registers(0, count=1)).registers == [65535]
        assert (await client.read_input_registers(0, count=1)).registers == [950]
        client.close()
        await devices.stop()

    run(story())


def test_devices_on_loopback_cannot_be_reached_from_outside():
    async def story():
        devices = FieldDevices(BOOK, SITE)
        for connection in (await devices.start()).values():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if connection.protocol == "bacnet" else socket.SOCK_STREAM) as other:
                other.bind(("127.0.0.2", connection.port))  # refused if the device listened on every address
        await devices.stop()

    run(story())


def test_a_port_taken_while_the_device_was_dead_is_told():
    async def story():
        devices = FieldDevices(BOOK, SITE)
        started = await devices.start()
        await devices.kill("ahu_2")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.bind(("127.0.0.1", started["ahu_2"].port))
            with pytest.raises(WireError, match=r"connection ahu_2: UDP port .* is used"):
                await devices.revive("ahu_2")
        await devices.revive("ahu_2")
        await devices.stop()
        with pytest.raises(WireError, match="no connection named 'roof'; this site has ahu_1"):
            await devices.kill("roof")

    run(story())


@pytest.mark.parametrize(("name", "kind"), [("floor_2", socket.SOCK_DGRAM), ("main_meter", socket.SOCK_STREAM)])
def test_a_used_fixed_port_is_refused_before_anything_opens(name, kind):
    async def story():
        with socket.socket(socket.AF_INET, kind) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                other.listen()
            port = other.getsockname()[1]
            fixed = {"ahu_1": Connection("bacnet", port=free_udp_port(), device=1), "meters": Connection("modbus", port=free_tcp_port())}
            site = {**SITE, **fixed, name: Connection(SITE[name].protocol, port=port, device=2)}
            with pytest.raises(WireError, match=f"connection {name}: ... port {port} on 127.0.0.1 is used by another program; end"):
                await FieldDevices(BOOK, site).start()
            require_all_free(fixed)

    run(story())


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("floor_2", socket.SOCK_DGRAM, "connection floor_2: no BACnet device on 127.0.0.1"),
        ("main_meter", socket.SOCK_STREAM, "connection main_meter: no Modbus server on 127.0.0.1"),
    ],
)
def test_a_port_lost_between_probe_and_start_takes_the_others_down_too(monkeypatch, name, kind, words):
    # The second line of defence: the probes are made blind, as if somebody took the port just after them.
    monkeypatch.setattr("simulators.wire.devices._require_free", lambda *_: None)

    async def story():
        with socket.socket(socket.AF_INET, kind) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                other.listen()
            ahu = Connection("bacnet", port=free_udp_port(), device=1)
            site = {**SITE, "ahu_1": ahu, name: Connection(SITE[name].protocol, port=other.getsockname()[1], device=2)}
            with pytest.raises(WireError, match=words):
                await FieldDevices(BOOK, site).start()
            require_all_free({"ahu_1": ahu})

    run(story())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ahu_1": Connection("modbus")}, "is bacnet, but connection 'ahu_1' is modbus; mend one"),
        ({"ahu_1": Connection("bacnet", device=1002)}, "connections ahu_1 and ahu_2 both have device = 1002; give each its own"),
    ],
)
def test_a_connection_that_does_not_fit_is_the_integrators_to_mend(change, words):
    with pytest.raises(SiteError, match=words):
        FieldDevices(BOOK, {**SITE, **change})


def test_a_connection_nobody_described_is_named():
    with pytest.raises(SiteError, match=r"connection 'meters' is not in site.toml; add \[connections.meters\]"):
        FieldDevices(BOOK, {name: c for name, c in SITE.items() if name != "meters"})


def test_two_points_cannot_share_a_place():
    def twin(address, name):
        return Point(name, "Sensor", "W", "em", binding=Binding(name, address))

    with pytest.raises(SiteError, match="both have the address bacnet:ahu_1/analog-input,0; give each its own"):
        FieldDevices(PointBook([twin("bacnet:ahu_1/analog-input,0", "a"), twin("bacnet:ahu_1/analog-input,0", "b")]), SITE)
    with pytest.raises(SiteError, match=r"a \(.*input/0:uint32:big\) and b \(.*input/1:uint16\) overlap"):
        FieldDevices(PointBook([twin("modbus:meters/1/input/0:uint32:big", "a"), twin("modbus:meters/1/input/1:uint16", "b")]), SITE)


def test_two_connections_cannot_share_a_port_and_bacnet_wants_an_address():
    async def story():
        port = free_udp_port()
        site = {**SITE, **{f"ahu_{n}": Connection("bacnet", port=port, device=n) for n in (1, 2)}}
        with pytest.raises(WireError, match=f"connections ahu_1 and ahu_2 both ask for port {port} on 127.0.0.1"):
            await FieldDevices(BOOK, site).start()
        with pytest.raises(WireError, match="connection ahu_1: a BACnet host must be an IPv4 address, got 'localhost'"):
            await FieldDevices(BOOK, {**SITE, "ahu_1": Connection("bacnet", "localhost")}).start()

    run(story())


def test_a_value_that_is_no_number_is_a_mistake_of_the_plant():
    async def story():
        with pytest.raises(ValueError, match=r"ahu_1\.sa_t: a value to show must be a finite number, got nan"):
            await FieldDevices(BOOK, SITE).publish({"ahu_1.sa_t": math.nan}, AT)
        with pytest.raises(ValueError, match=r"ahu_1\.sa_t_sp: a value to show must be a finite number, got inf"):
            await FieldDevices(BOOK, SITE).schedule({"ahu_1.sa_t_sp": math.inf})

    run(story())
