"""Discovery over real sockets: every device and object of the sample sites is found, and names alone bring them back to their points."""

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from controls.discover import Where, discover
from controls.discover_commands import discover_, match
from simulators.wire.devices import FieldDevices
from twin.errors import WireError
from twin.graph import Graph
from twin.points import PointBook, read_points
from twin.scans import Scan, read_scan, write_scan
from twin.site import Connection, find_site, load_site

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
Kept = tuple[Scan, Graph, PointBook, Mapping[str, Connection]]


@pytest.fixture
def scanned() -> Callable[..., Kept]:
    """The devices of a sample site on loopback, scanned; `change` alters what the scan is told of them."""

    def make(name: str, change: Callable[[dict[str, Connection]], dict[str, Connection]] = dict, earlier: Scan | None = None) -> Kept:
        site = load_site(find_site(name))
        graph = Graph.read(site.twin_file)
        book = read_points(site.points_file, graph.points())

        async def run() -> tuple[Scan, Mapping[str, Connection]]:
            devices = FieldDevices(book, site.connections)
            running = await devices.start()
            try:
                await devices.publish({p.id: 21.5 for p in book.bound if not p.writable and not p.id.endswith(("record", "level_now"))}, AT)
                return await discover(change(dict(running)), book, Where(), AT, earlier, lambda _: None), running
            finally:
                await devices.stop()

        scan, running = asyncio.run(run())
        return scan, graph, book, running

    return make


@pytest.mark.parametrize(("name", "bacnet", "objects"), [("demo_office", 6, 162), ("corner_clinic", 2, 54)])
def test_every_device_and_object_of_a_sample_site_is_found_and_names_alone_bind_it(
    scanned: Callable[..., Kept], name: str, bacnet: int, objects: int
) -> None:
    scan, graph, book, _ = scanned(name)
    devices = [d for d in scan.devices if d.protocol == "bacnet"]
    addresses = {p.binding.address: p for p in book.bound if p.binding}

    assert (len(devices), sum(len(d.objects) for d in devices), scan.problems) == (bacnet, objects, ())
    assert all(thing.address in addresses for _, thing in scan.objects)
    temperature = next(t for _, t in scan.objects if t.address == "bacnet:ahu_1/analog-input,0")
    fan = next(t for _, t in scan.objects if t.address == "bacnet:ahu_1/binary-output,0")
    assert (temperature.name, temperature.units, temperature.commandable) == ("ahu_1.sa_t", "degrees-celsius", False)
    assert fan.commandable

    hidden = PointBook([replace(p, binding=None) if p.binding and p.binding.address.startswith("bacnet") else p for p in book.values()])
    outcome = match(scan, graph, hidden)

    found = {m.address: m.point for m in (*outcome.bound, *outcome.review)}
    right = sum(addresses[a].id == p for a, p in found.items())
    surely_wrong = [m for m in outcome.bound if addresses[m.address].id != m.point]
    assert right >= 0.9 * objects
    assert len(surely_wrong) <= 0.02 * objects
    assert all(not book[m.point].writable for m in outcome.bound)  # what takes commands waits for a person


def test_a_silent_device_another_instance_and_a_lost_one_are_told(scanned: Callable[..., Kept]) -> None:
    first, *_ = scanned("corner_clinic")

    def change(running: dict[str, Connection]) -> dict[str, Connection]:
        return running | {"floor_1": replace(running["floor_1"], port=9), "ahu_1": replace(running["ahu_1"], device=1999)}

    scan, *_ = scanned("corner_clinic", change, earlier=first)

    told = " | ".join(scan.problems)
    assert "floor_1: no BACnet device answers at 127.0.0.1:9" in told
    assert re.search(r"ahu_1: expected device 1999 at [\d.:]+, device 1001 answers", told)
    assert "device 2001 (floor_1) was there" in told
    assert re.search(r"device 1001 was at [\d.:]+ and is now at", told)  # the simulated site chose other ports


def test_two_devices_of_one_instance_are_an_alarm(scanned: Callable[..., Kept]) -> None:
    site = load_site(find_site("corner_clinic"))
    book = read_points(site.points_file, Graph.read(site.twin_file).points())

    async def run() -> Scan:
        one, two = FieldDevices(book, site.connections), FieldDevices(book, site.connections)
        here, there = await one.start(), await two.start()
        try:
            both = {"ahu_1": here["ahu_1"], "again": there["ahu_1"]}
            return await discover(both, PointBook([]), Where(), AT, None, lambda _: None)
        finally:
            await one.stop()
            await two.stop()

    assert "device 1001 answers from 2 addresses" in asyncio.run(run()).problems[0]


def test_registers_that_give_nothing_are_counted(scanned: Callable[..., Kept]) -> None:
    scan, _, book, _ = scanned(
        "corner_clinic",
        lambda c: (
            {n: s for n, s in c.items() if s.protocol == "bacnet"}
            | {"lights_1": c["lights_1"], "meters": c["meters"], "main_meter": c["main_meter"]}
        ),
    )

    modbus = [d for d in scan.devices if d.protocol == "modbus"]
    assert {d.connection for d in modbus} == {"lights_1", "main_meter", "meters"}
    assert all(t.answered for d in modbus for t in d.objects)
    assert sum(len(d.objects) for d in modbus) + 1 == sum(
        p.binding.address.startswith("modbus") for p in book.bound
    )  # the record is no value


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATTPROOF_STATE", str(tmp_path / "state"))
    shutil.copytree(find_site("corner_clinic"), tmp_path / "clinic")
    return tmp_path / "clinic"


def test_the_command_prints_the_keys_of_the_design_and_keeps_the_scan(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clinic / "plant.toml").unlink()  # a real site now, whose devices do not answer
    text = (clinic / "site.toml").read_text()
    (clinic / "site.toml").write_text(text.replace("port = 0", "port = 9"))
    app = typer.Typer()
    app.command()(discover_)

    result = CliRunner().invoke(app, [str(clinic), "--json"], catch_exceptions=False)

    printed = json.loads(result.stdout)
    assert {"devices", "matched", "review"} <= printed.keys()
    assert sum("answer" in p or "connect" in p.lower() for p in printed["problems"]) >= 2
    assert read_scan(tmp_path / "state" / "sites" / "corner_clinic" / "scan.json").problems == tuple(printed["problems"])


def test_every_row_of_the_printed_object_has_its_keys(clinic: Path, tmp_path: Path) -> None:
    """The devices answer; one sensor and one actuator have lost their rows, so that all lists have something to say."""
    site = load_site(clinic)
    whole = read_points(site.points_file, Graph.read(site.twin_file).points())
    sheet = [line for line in site.points_file.read_text().splitlines() if not line.startswith(("surgery_1.zn_t,", "ahu_1.fan_run,"))]
    site.points_file.write_text("\n".join(sheet) + "\n")
    unsaid = re.sub(r"site:(surgery_1\.zn_t|ahu_1\.fan_run)-address a .*? \.\n", "", site.twin_file.read_text(), flags=re.DOTALL)
    site.twin_file.write_text(unsaid)
    state = tmp_path / "state" / "sites" / "corner_clinic"
    state.mkdir(parents=True)
    app = typer.Typer()
    app.command()(discover_)

    async def run() -> str:
        devices = FieldDevices(whole, site.connections)
        running = await devices.start()
        (state / "connections.json").write_text(json.dumps({name: asdict(settings) for name, settings in running.items()}))
        try:
            await devices.publish({p.id: 21.5 for p in whole.bound if not p.writable and not p.id.endswith(("record", "level_now"))}, AT)
            result = await asyncio.to_thread(CliRunner().invoke, app, [str(clinic), "--json"], catch_exceptions=False)
            return result.stdout
        finally:
            await devices.stop()

    printed = json.loads(asyncio.run(run()))

    assert list(printed) == ["devices", "matched", "review", "objects_left", "points_left", "problems"]
    assert {tuple(row) for row in printed["devices"]} == {("protocol", "address", "id", "name", "points")}
    assert {tuple(row) for row in printed["matched"]} == {("address", "point", "confidence", "by")}
    assert {tuple(row) for row in printed["review"]} == {("address", "point", "confidence", "why", "evidence")}
    assert {row["by"] for row in printed["matched"]} == {"address", "scan"}
    assert sum(row["points"] for row in printed["devices"]) > 54
    assert all(isinstance(text, str) for name in ("objects_left", "points_left", "problems") for text in printed[name])


def test_a_network_that_is_none_is_refused_in_one_line() -> None:
    with pytest.raises(WireError, match="expected our own address with its mask"):
        asyncio.run(discover({}, PointBook([]), Where("10.0.0"), AT, None, lambda _: None))


def test_a_scan_comes_back_from_its_file_as_it_was(tmp_path: Path, scanned: Callable[..., Kept]) -> None:
    scan, *_ = scanned("corner_clinic")
    write_scan(tmp_path / "scan.json", scan)

    assert read_scan(tmp_path / "scan.json") == scan
    assert read_scan(tmp_path / "none.json") is None
