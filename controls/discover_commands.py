"""The command `discover`: devices and objects on the site's buses, matched with the twin; the scan is kept for the next import."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from controls.commands import JsonOption, SiteArgument, StateOption, with_ports
from controls.discover import Where, discover
from twin.binding import Bound, bind
from twin.clock import wall_now
from twin.errors import SiteError
from twin.graph import Graph, brick
from twin.owners import owners_of
from twin.points import PointBook, read_points
from twin.scans import FILE_NAME, Scan, read_scan, write_scan
from twin.site import Connection, Site, find_site, load_site, state_root
from twin.state import StateFolder, read_json
from twin.weighing import Wanted


def discover_(
    site: SiteArgument,
    state: StateOption = None,
    network: Annotated[str, typer.Option(help="our own address with its mask (10.0.0.5/24): ask everybody there by broadcast")] = "",
    address: Annotated[list[str] | None, typer.Option(help="HOST or HOST:PORT of a BACnet device that site.toml does not name")] = None,
    bbmd: Annotated[str, typer.Option(help="HOST or HOST:PORT of a BBMD: ask everybody on its subnet, as its foreign device")] = "",
    as_json: JsonOption = False,
) -> None:
    """Find devices and objects, match them with the twin, and keep the scan for `wattproof import`. Nothing is written to any device."""
    config = load_site(find_site(site))
    folder = StateFolder(state_root(state, config)).site(config.name)
    graph = Graph.read(config.twin_file) if config.twin_file.exists() else None
    book = read_points(config.points_file, graph.points()) if graph else PointBook([])
    if network and bbmd:
        raise SiteError("give --network for our own subnet or --bbmd for another one: one of them at a time")
    joined = "{}:{}".format(*_address(bbmd, "--bbmd")) if bbmd else ""
    where = Where(network, tuple(_address(text) for text in address or ()), joined)
    earlier = read_scan(folder / FILE_NAME)
    connections = _connections(config, folder / "connections.json")
    scan = asyncio.run(discover(connections, book, where, wall_now(), earlier, lambda text: print(f"  {text}", file=sys.stderr)))
    write_scan(folder / FILE_NAME, scan)
    outcome = match(scan, graph, book) if graph else Bound()
    for problem in scan.problems:
        print(f"  alarm: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(_printed(scan, outcome, book), ensure_ascii=False))
    else:
        _tell(config.name, scan, outcome, book)


def match(scan: Scan, graph: Graph, book: PointBook) -> Bound:
    """The scan's free BACnet objects against the points that have no address yet."""
    used = {p.binding.address for p in book.bound if p.binding}
    free = [pair for pair in scan.objects if pair[1].address.startswith("bacnet:") and pair[1].address not in used]
    wanted = [
        Wanted(p.id, p.brick, p.unit, p.owner, p.label, _takes_commands(p.brick)) for p in book.values() if not (p.binding or p.retired)
    ]
    return bind(free, wanted, owners_of(graph))


def _takes_commands(kind: str) -> bool:
    return any(brick().is_a(f"brick:{kind}", f"brick:{name}") for name in ("Command", "Setpoint", "Parameter"))


def _connections(config: Site, running: Any) -> Mapping[str, Connection]:
    """Where the devices are: a simulated site wrote it down when it started them; a real one has the protocols' own ports."""
    if not config.simulated:
        return with_ports(config.connections)
    if not running.exists():
        raise SiteError(
            f"{config.name} is a simulated site and its devices do not run; start it with `wattproof demo --site {config.name} --state DIR`"
        )
    ports = {name: Connection(**settings) for name, settings in read_json(running).items()}
    return {name: replace(c, port=ports[name].port) for name, c in config.connections.items() if name in ports}


def _address(text: str, option: str = "--address") -> tuple[str, int]:
    host, _, port = text.partition(":")
    if not host or (port and not port.isdigit()):
        raise SiteError(f"{option} {text!r}: expected HOST or HOST:PORT, for example 10.0.0.20:47808")
    return host, int(port or 47808)


def _printed(scan: Scan, outcome: Bound, book: PointBook) -> dict[str, Any]:
    devices = [{"protocol": d.protocol, "address": d.address, "id": d.id, "name": d.name, "points": len(d.objects)} for d in scan.devices]
    matched = [{"address": a, "point": p, "confidence": 1.0, "by": "address"} for a, p in _known(scan, book).items()]
    matched += [{"address": m.address, "point": m.point, "confidence": m.score, "by": "scan"} for m in outcome.bound]
    review = [{"address": m.address, "point": m.point, "confidence": m.score, "why": m.why, "evidence": m.evidence} for m in outcome.review]
    review += [
        {"address": n.address, "point": None, "confidence": n.score, "why": f"new point: {n.brick} of {n.owner}", "evidence": n.evidence}
        for n in outcome.new_points
    ]
    left = {"objects_left": list(outcome.objects_left), "points_left": list(outcome.points_left)}
    return {"devices": devices, "matched": matched, "review": review, **left, "problems": list(scan.problems)}


def _known(scan: Scan, book: PointBook) -> dict[str, str]:
    """Objects that a point of the twin names already."""
    named = {p.binding.address: p.id for p in book.bound if p.binding}
    return {thing.address: named[thing.address] for _, thing in scan.objects if thing.address in named and thing.answered}


def _tell(name: str, scan: Scan, outcome: Bound, book: PointBook) -> None:
    objects = sum(len(d.objects) for d in scan.devices)
    print(f"{name}: {len(scan.devices)} devices with {objects} objects, {len(scan.problems)} alarms")
    for device in scan.devices:
        told = ", ".join(text for text in (device.name, device.vendor, device.model, device.firmware) if text)
        new = "" if device.known else f"  (add [connections.{device.connection}] to site.toml)"
        print(f"  {device.protocol} {device.address}  {device.id or ''} {told}: {len(device.objects)} objects{new}")
    print(f"  known by address {len(_known(scan, book))}, matched by name {len(outcome.bound)}, for review {len(outcome.review)}")
    print(
        f"  new points proposed {len(outcome.new_points)}, objects left {len(outcome.objects_left)}, points left {len(outcome.points_left)}"
    )
    print(f"  kept in the site's state; `wattproof import {name}` uses it")
