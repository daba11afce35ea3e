"""Who else is on the bus: double ids, devices that nobody listed, strangers who speak to our sockets, and a BBMD that goes away."""

import asyncio
import socket
import struct
from datetime import timedelta

import pytest
from rusty_bacnet import BACnetServer, Bbmd

from controls.drivers import neighbours
from controls.drivers.neighbours import Claim, Neighbours
from controls.drivers.sockets import Reach
from simulators.wire.ports import free_udp_port
from twin.errors import WireError
from twin.site import BacnetNetwork

SETPOINT = "z00.htg_sp"
EAR = BacnetNetwork(interface="127.0.0.1/8", port=0)
ONE_ENGINE = pytest.mark.parametrize("engine", ["fast"], indirect=True)  # the ear is the same under both


def stranger(host: str = "127.0.0.1") -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    end.setblocking(False)
    end.bind((host, 0))
    return end


def i_am(device: int) -> bytes:
    apdu = b"\x10\x00\xc4" + (8 << 22 | device).to_bytes(4, "big") + b"\x22\x05\xc4\x91\x03\x22\x03\xe7"
    return struct.pack(">BBHBB", 0x81, 0x0B, 6 + len(apdu), 1, 0) + apdu


def alarms(s, kind: str) -> list[tuple[str, str]]:
    return [(b["id"], b["state"]) for _, b in s.house.rows("alarm") if b["kind"] == kind]


def message(s, alarm: str) -> str:
    return next(b["message"] for _, b in s.house.rows("alarm") if b["id"] == alarm)


@ONE_ENGINE
def test_an_id_at_two_addresses_is_an_alarm_and_we_go_on_asking_ours(staged, until):
    """F16, F17: another device announces itself by broadcast under the id of one of ours."""

    async def story():
        async with staged("floor_1", bacnet=EAR) as s:
            ear, ours = s.house.cycle._strangers.ear, s.house.connections["floor_1"]
            await s.step()
            double = stranger("127.0.0.2")
            double.sendto(i_am(ours.device), ("127.255.255.255", ear.port))
            await until(lambda: ear.claims)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step(2)
            assert alarms(s, "double") == [(f"double.{ours.device}", "raised")]
            said = message(s, f"double.{ours.device}")
            assert f"floor_1, 127.0.0.1:{ours.port}" in said
            assert "127.0.0.2:" in said
            with pytest.raises(BlockingIOError):
                double.recvfrom(2000)  # nobody asks it
            assert await s.house.holds(SETPOINT) == 16.0
            assert s.untrue() == []
            assert alarms(s, "unlisted") == []  # what the whole network is told is no attack
            for claim in ear.claims:
                ear.claims[claim] -= 3600
            await s.step()
            assert alarms(s, "double")[-1] == (f"double.{ours.device}", "cleared")
            double.close()

    asyncio.run(story())


@ONE_ENGINE
def test_devices_that_nobody_listed_are_one_alarm_and_known_ones_none(staged, until):
    """F16: ids outside site.toml."""

    async def story():
        async with staged(bacnet=BacnetNetwork(interface="127.0.0.1/8", port=0, known=("4711",))) as s:
            ear, other = s.house.cycle._strangers.ear, stranger("127.0.0.3")
            for instance in (4711, 4712, 4713):
                other.sendto(i_am(instance), ("127.255.255.255", ear.port))
            await until(lambda: len(ear.claims) == 3)
            await s.step(2)
            assert alarms(s, "strangers") == [("strangers.bacnet", "raised")]
            said = message(s, "strangers.bacnet")
            assert "4712 at 127.0.0.3" in said
            assert "4713 at 127.0.0.3" in said
            assert "4711 at" not in said
            other.close()

    asyncio.run(story())


@ONE_ENGINE
def test_a_flood_of_announcements_is_bounded_in_memory_and_in_alarms(staged, until, monkeypatch):
    """F18: I-Am flood at the ear."""
    monkeypatch.setattr(neighbours, "HEARD_MAX", 50)
    monkeypatch.setattr(neighbours, "DECODED_MAX_PER_S", 100)

    async def story():
        async with staged(bacnet=EAR) as s:
            ear = s.house.cycle._strangers.ear
            flooders = [stranger("127.0.0.2"), stranger("127.0.0.3")]
            for n in range(2000):
                flooders[n % 2].sendto(i_am(5000 + n // 2 % 500), ("127.0.0.1", ear.port))
                await asyncio.sleep(0)
            await until(lambda: ear.unlisted.total() > 500)
            await s.step()
            assert len(ear.claims) <= 50
            assert len(alarms(s, "double")) <= 10
            assert alarms(s, "unlisted") == [("unlisted.bacnet", "raised")]
            assert "from 127.0.0.2" in message(s, "unlisted.bacnet")
            assert s.qualities("floor_1") == {"good"}
            for flooder in flooders:
                flooder.close()

    asyncio.run(story())


def test_datagrams_of_senders_that_are_no_devices_are_dropped_counted_and_told(staged):
    """F49: an unlisted address speaks to the socket from which we ask; the kernel keeps it away, and the journal has it."""

    async def story():
        async with staged("floor_1") as s:
            await s.step()
            to, other = s.between["floor_1"].clients[-1], stranger("127.0.0.2")
            for _ in range(25):
                other.sendto(i_am(s.house.connections["floor_1"].device), to)
            s.house.wishes.values = {SETPOINT: 16.0}
            await s.step()
            assert alarms(s, "unlisted") == [("unlisted.bacnet", "raised")]
            assert message(s, "unlisted.bacnet").startswith("25 datagrams were not taken")
            assert await s.house.holds(SETPOINT) == 16.0
            assert s.untrue() == []
            s.house.clock.advance(timedelta(hours=1))
            await s.step()
            assert alarms(s, "unlisted")[-1] == ("unlisted.bacnet", "cleared")
            other.close()

    asyncio.run(story())


@ONE_ENGINE
def test_a_bbmd_is_joined_before_anything_else_its_loss_is_one_alarm_and_it_is_joined_again(staged, monkeypatch):
    """F31: BBMD lost, foreign registration expired."""
    monkeypatch.setattr(neighbours, "JOIN_S", 0.2)
    monkeypatch.setattr(neighbours, "JOIN_AGAIN_S", 0.1)
    monkeypatch.setattr(neighbours, "RENEWALS", 300)
    port = free_udp_port()
    where = f"127.0.0.1:{port}"

    async def bbmd():
        server = BACnetServer(
            50, "bbmd", interface="127.0.0.1", port=port, broadcast_address="127.255.255.255", share_port_by_address=True,
            bbmd=Bbmd(accept_foreign_devices=True),
        )  # fmt: skip
        await server.start()
        return server

    async def story():
        first = await bbmd()
        async with staged(bacnet=BacnetNetwork(bbmd=where, bbmd_lifetime_s=30)) as s:
            ear = s.house.cycle._strangers.ear
            assert ear.registered  # before anything was scanned
            await s.step()
            assert alarms(s, "bbmd") == []
            await first.stop()
            await s.until(lambda: alarms(s, "bbmd"))
            await s.step(3)
            assert alarms(s, "bbmd") == [(f"bbmd.{where}", "raised")]
            assert s.qualities("floor_1") == {"good"}  # devices are asked directly
            second = await bbmd()
            await s.until(lambda: len(alarms(s, "bbmd")) > 1)
            assert ear.registered
            assert alarms(s, "bbmd")[-1] == (f"bbmd.{where}", "cleared")
            await second.stop()

    asyncio.run(story())


@ONE_ENGINE
def test_who_is_asked_by_broadcast_and_answers_is_a_claim_and_garbage_is_none(until):
    """F16, F45: real devices beside us on one port; then datagrams that are no messages."""

    async def story():
        port = free_udp_port()
        devices = [
            BACnetServer(n, f"d{n}", interface=f"127.0.0.{n}", port=port, broadcast_address="127.255.255.255", share_port_by_address=True)
            for n in (2, 3)
        ]
        for device in devices:
            await device.start()
        ear = Neighbours(BacnetNetwork(interface="127.0.0.1/8", port=port), {"127.0.0.2"})
        await ear.open()
        ear.ask(0, 10)
        await until(lambda: len(ear.claims) == 2)
        assert set(ear.claims) == {Claim(2, f"127.0.0.2:{port}"), Claim(3, f"127.0.0.3:{port}")}
        routed = "81 0a 00 19 01 08 00 05 01 07 10 00 c4 02 00 03 e9 22 05 c4 91 03 22 03 e7"
        ear.heard(bytes.fromhex(routed), ("127.0.0.2", 1), to_us=True)
        good = i_am(9)
        for n in range(len(good)):
            for garbage in (good[:n], good[:n] + b"\xff" + good[n + 1 :]):
                ear.heard(garbage, ("127.0.0.2", port), to_us=True)
        assert Claim(1001, "127.0.0.2:1 behind network 5:7") in ear.claims
        await ear.close()
        for device in devices:
            await device.stop()

    asyncio.run(story())


@ONE_ENGINE
def test_our_sockets_stand_on_the_named_interface_and_a_device_beyond_it_is_refused():
    assert Reach("127.0.0.1/8").own("127.0.0.9") == "127.0.0.1"
    assert Reach().own("127.0.0.9") == "127.0.0.1"
    with pytest.raises(WireError, match=r"not over 10\.99\.0\.1/24"):
        Reach("10.99.0.1/24").own("127.0.0.9")


@ONE_ENGINE
def test_an_interface_that_is_not_ours_or_a_taken_port_is_said_before_anything_starts():
    """F42, F43: the ear's own socket."""

    async def story():
        with pytest.raises(WireError, match=r"10\.99\.0\.1: port 47808 cannot be opened .*correct \[bacnet\]"):
            await Neighbours(BacnetNetwork(interface="10.99.0.1/24"), ()).open()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            with pytest.raises(WireError, match="stop the other BACnet program"):
                await Neighbours(BacnetNetwork(interface="127.0.0.1/8", port=port), ()).open()

    asyncio.run(story())
