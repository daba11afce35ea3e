"""BACnet Secure Connect on the wire: a hub, two devices and our gateway, all with certificates of the site's own authority."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from controls.drivers import WireTimeout
from controls.drivers.connect import make_drivers
from controls.drivers.secure_hub import SecureHub
from ledger.tls import SiteAuthority
from simulators.wire.devices import FieldDevices
from simulators.wire.secure_device import HubInterposer, HubSide, SecureDevice
from twin.addresses import parse_address
from twin.clock import wall_now
from twin.errors import SiteError, WireError
from twin.points import PointBook
from twin.secure_connect import node_uuid, node_vmac, read_members
from twin.site import Connection, SecureConnect
from twin.words import Binding, Limits, Point, Quality

SITE = "test_house"
PATIENCE_S = 12


@pytest.fixture
def authority(tmp_path):
    made = SiteAuthority(tmp_path / "tls", SITE)
    for node in ("hub", "gateway", "ahu_1"):
        made.issue(node, ["127.0.0.1"], wall_now())
    return made


def settings(authority, hub, **more):
    folder = authority.folder
    papers = {"tls_ca": str(authority.certificate), "tls_cert": str(folder / "gateway.pem"), "tls_key": str(folder / "gateway.key")}
    return SecureConnect(hub=hub, **{**papers, **more})


def book():
    sensor = Point(
        "ahu_1.sa_t", "Supply_Air_Temperature_Sensor", "DEG_C", "ahu_1", binding=Binding("ahu_1.sa_t", "bacnet:ahu_1/analog-input,1")
    )
    output = Point(
        "ahu_1.sa_p", "Supply_Air_Static_Pressure_Setpoint", "PA", "ahu_1",
        writable=True, limits=Limits(200, 1200, float("inf"), 400), binding=Binding("ahu_1.sa_p", "bacnet:ahu_1/analog-output,1"),
    )  # fmt: skip
    return PointBook([sensor, output])


def device(authority, points=None):
    things = [(p, parse_address(p.binding.address), p.binding) for p in (points or book()).bound]
    return SecureDevice("ahu_1", 1001, things, lambda *_: None, hub=HubSide(SITE, "", authority.folder))


@asynccontextmanager
async def joined(authority, secure):
    """Our driver for the device, over its own link to the hub."""
    points = book()
    drivers = make_drivers(
        points, {"ahu_1": Connection("bacnet", device=1001, vmac=node_vmac(node_uuid(SITE, "ahu_1")))}, site=SITE, secure=secure
    )
    driver = drivers["ahu_1"]
    await driver.open()
    try:
        yield driver, points
    finally:
        await driver.close()


@asynccontextmanager
async def site(authority):
    """Hub and device; (hub, its URL, the device)."""
    hub = SecureHub(authority.folder, SITE, "127.0.0.1:0")
    url = await hub.start()
    ahu = device(authority)
    host, _, port = url.removeprefix("wss://").partition(":")
    await ahu.start(host, int(port))
    try:
        yield hub, url, ahu
    finally:
        await ahu.stop()
        await hub.stop()


async def until_good(driver, points, patience_s=PATIENCE_S):
    async with asyncio.timeout(patience_s):
        while True:
            samples = await driver.read(points.bound)
            if all(s.quality is Quality.GOOD for s in samples):
                return samples
            await asyncio.sleep(0.2)


def run(story):
    asyncio.run(asyncio.wait_for(story, 60))


def test_points_are_read_written_held_and_released_through_the_hub(authority):
    async def story():
        async with site(authority) as (_, url, ahu), joined(authority, settings(authority, url)) as (driver, points):
            await ahu.publish({"ahu_1.sa_t": 14.5}, wall_now())
            samples = await driver.read(points.bound)
            assert {s.point: s.value for s in samples} == {"ahu_1.sa_t": 14.5, "ahu_1.sa_p": 400.0}
            assert (await driver.identify()).instance == 1001

            await driver.write(points["ahu_1.sa_p"], 650.0, 13)
            (held,) = await driver.hold([points["ahu_1.sa_p"]], 13)
            assert (held.value, held.slot, held.ruling_priority) == (650.0, 650.0, 13)

            await driver.write(points["ahu_1.sa_p"], None, 13)
            (held,) = await driver.hold([points["ahu_1.sa_p"]], 13)
            assert (held.value, held.slot) == (400.0, None)

    run(story())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("ended", "ended"), ("stranger", "was not issued by"), ("other_key", "is not the key of"), ("missing", "cannot be read")],
)
def test_a_wrong_certificate_opens_nothing_and_is_called_what_it_is(authority, tmp_path, wrong, said):
    """F47: expired, or of another authority."""

    folder = authority.folder
    if wrong == "ended":
        SiteAuthority(folder, SITE).issue("late", ["127.0.0.1"], wall_now() - timedelta(days=40), days=10)
        papers = {"tls_cert": str(folder / "late.pem"), "tls_key": str(folder / "late.key")}
    elif wrong == "stranger":
        other = SiteAuthority(tmp_path / "other", SITE)
        other.issue("gateway", ["127.0.0.1"], wall_now())
        papers = {"tls_cert": str(other.folder / "gateway.pem"), "tls_key": str(other.folder / "gateway.key")}
    elif wrong == "other_key":
        papers = {"tls_key": str(folder / "ahu_1.key")}
    else:
        papers = {"tls_cert": str(folder / "none.pem")}

    async def story():
        async with site(authority) as (hub, url, _), joined(authority, settings(authority, url, **papers)) as (driver, points):
            (sample, _) = await driver.read(points.bound)
            assert not sample.answered
            assert said in sample.detail
            with pytest.raises(WireTimeout):
                await driver.write(points["ahu_1.sa_p"], 650.0, 13)
            assert await hub.clients() == 1  # the device alone

    run(story())


def test_a_revoked_gateway_is_shut_out_and_the_device_stays(authority, monkeypatch):
    """F47: revoked."""

    monkeypatch.setattr("controls.drivers.secure_hub.LOOK_S", 0.2)

    async def story():
        async with site(authority) as (hub, url, _), joined(authority, settings(authority, url)) as (driver, points):
            await until_good(driver, points)
            stop = asyncio.Event()
            keeping = asyncio.create_task(hub.keep(stop))
            authority.revoke("gateway", wall_now())
            async with asyncio.timeout(PATIENCE_S):
                while hub.restarts == 0:
                    await asyncio.sleep(0.1)
            for _ in range(5):  # whatever it tries
                assert not (await driver.read(points.bound))[0].answered
                await asyncio.sleep(0.2)
            stop.set()
            await keeping

    run(story())


def test_a_renewed_certificate_is_taken_up_without_losing_the_building(authority, monkeypatch):
    """F47: rotated."""

    monkeypatch.setattr("controls.drivers.bacnet_secure.LOOK_S", 0.0)
    monkeypatch.setattr("controls.drivers.secure_hub.LOOK_S", 0.2)

    async def story():
        async with site(authority) as (hub, url, ahu), joined(authority, settings(authority, url)) as (driver, points):
            stop = asyncio.Event()
            keeping = asyncio.create_task(hub.keep(stop))
            await until_good(driver, points)
            renewed = authority.renew("gateway", wall_now())
            async with asyncio.timeout(PATIENCE_S):
                while hub.restarts == 0:  # the hub takes the new roll up
                    await asyncio.sleep(0.1)
            await ahu.stop()  # a simulated device does not dial again by itself
            host, _, port = url.removeprefix("wss://").partition(":")
            await ahu.start(host, int(port))
            await until_good(driver, points)
            old, new = [m for m in read_members(authority.folder) if m.name == "gateway"]
            assert (new.sha256, new.uuid, new.vmac) == (renewed.sha256, old.uuid, old.vmac)
            assert old.until < new.until
            stop.set()
            await keeping

    run(story())


def test_without_its_hub_the_building_is_found_over_the_failover_hub(authority):
    """F48: the hub fails over."""

    async def story():
        second = SecureHub(authority.folder, SITE, "127.0.0.1:0")
        other = await second.start()
        async with (
            site(authority) as (hub, url, ahu),
            joined(authority, settings(authority, url, failover_hub=other)) as (driver, points),
        ):
            await until_good(driver, points)
            await hub.stop()
            assert not (await driver.read(points.bound))[0].answered
            await ahu.stop()
            host, _, port = other.removeprefix("wss://").partition(":")
            await ahu.start(host, int(port))
            await until_good(driver, points)
        await second.stop()

    run(story())


@pytest.mark.parametrize("frames", [15, pytest.param(1000, marks=pytest.mark.long)])
def test_mutated_frames_from_the_hub_crash_nothing_and_the_building_is_found_again(authority, monkeypatch, frames):
    """F45: SC frames, mutated inside the encryption: a value may be wrong, but nothing crashes, hangs or leaks."""
    monkeypatch.setattr("controls.drivers.bacnet_secure.DIAL_AGAIN_S", 0.1)
    monkeypatch.setattr("controls.drivers.bacnet_secure.DOWN_MOST_S", 0.2)
    monkeypatch.setattr("controls.drivers.bacnet_secure.RETRY_FIRST_MS", 50)

    async def story():
        async with site(authority) as (_, url, ahu):
            host, _, port = url.removeprefix("wss://").partition(":")
            between = HubInterposer((host, int(port)), authority.folder, "gateway", seed=45)
            async with joined(authority, settings(authority, await between.start())) as (driver, points):
                await ahu.publish({"ahu_1.sa_t": 14.5}, wall_now())
                await until_good(driver, points)
                tasks = len(asyncio.all_tasks())
                driver._engine._answer_s, between.mutate = 0.1, 0.5
                while between.mutated < frames:
                    assert len(await driver.read(points.bound)) == 2
                    await asyncio.sleep(0.01)
                between.mutate = 0.0
                samples = await until_good(driver, points, 40)
                assert {s.value for s in samples} == {14.5, 400.0}
                assert len(asyncio.all_tasks()) <= tasks + 2
            await between.stop()

    asyncio.run(asyncio.wait_for(story(), 60 + 5 * frames))


def test_a_hub_that_comes_later_is_joined_then(authority, monkeypatch):
    monkeypatch.setattr("controls.drivers.bacnet_secure.DIAL_AGAIN_S", 0.3)

    async def story():
        hub = SecureHub(authority.folder, SITE, "127.0.0.1:0")
        url = await hub.start()
        await hub.stop()
        async with joined(authority, settings(authority, url)) as (driver, points):
            sample = (await driver.read(points.bound))[0]
            assert (sample.answered, "cannot be joined" in sample.detail) == (False, True)
            await hub.start()
            ahu = device(authority)
            host, _, port = url.removeprefix("wss://").partition(":")
            await ahu.start(host, int(port))
            await until_good(driver, points)
            await ahu.stop()
        await hub.stop()

    run(story())


def test_the_devices_of_a_site_join_the_hub_leave_it_and_come_back(authority):
    async def story():
        hub = SecureHub(authority.folder, SITE, "127.0.0.1:0")
        url = await hub.start()
        points, vmac = book(), node_vmac(node_uuid(SITE, "ahu_1"))
        devices = FieldDevices(points, {"ahu_1": Connection("bacnet", device=1001, vmac=vmac)}, hub=HubSide(SITE, url, authority.folder))
        await devices.start()
        async with joined(authority, settings(authority, url)) as (driver, _):
            await until_good(driver, points)
            await driver.write(points["ahu_1.sa_p"], 650.0, 13)
            assert await devices.held() == {"ahu_1.sa_p": 650.0}
            await devices.kill("ahu_1")
            assert not (await driver.read(points.bound))[0].answered
            await devices.revive("ahu_1")
            await until_good(driver, points)
            assert await devices.held() == {"ahu_1.sa_p": 400.0}  # a power cut ends every command
        await devices.stop()
        await hub.stop()

    run(story())


def test_a_simulated_device_has_the_vmac_of_its_name(authority):
    with pytest.raises(SiteError, match=node_vmac(node_uuid(SITE, "ahu_1"))):
        FieldDevices(
            book(), {"ahu_1": Connection("bacnet", device=1001, vmac="02:00:00:00:00:10")}, hub=HubSide(SITE, "wss://x:1", authority.folder)
        )


def test_a_hub_without_certificates_says_which_command_makes_them(tmp_path):
    with pytest.raises(WireError, match="certificate issue"):
        run(SecureHub(tmp_path, SITE, "127.0.0.1:0").start())


def test_a_node_with_another_ones_vmac_is_not_let_in(authority):
    async def story():
        async with site(authority) as (hub, url, _):
            forged = SecureDevice("gateway", 7, [], lambda *_: None, hub=HubSide(SITE, url, authority.folder))
            forged._identity = node_uuid(SITE, "ahu_1")  # with its own certificate, under the device's identity
            host, _, port = url.removeprefix("wss://").partition(":")
            with pytest.raises(WireError):
                await forged.start(host, int(port))
            assert await hub.clients() == 1

    run(story())
