"""The commands `read` and `write`: look at points, and ask for a value through the journal and the arbiter, never round them."""

import asyncio
import difflib
import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from controls.arbiter import objection
from controls.commands import POLL_S, JsonOption, SiteArgument, StateOption, mode_of, pause, places, stores, who
from controls.cycle import Cycle
from controls.guard import Refusal
from controls.interlocks import waits
from controls.rows import refusal_row
from twin.check import protected_points
from twin.clock import WallClock, monotonic_s, wall_now
from twin.errors import SiteError, StateError
from twin.grants import commissioned, newest_grant, who_may
from twin.graph import Graph
from twin.history import History
from twin.journal import Journal, Record, Row
from twin.points import PointBook, read_points
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder, lock_is_held, site_lock
from twin.words import Authority, Quality, Reading, Request

DURATION_MAX = timedelta(days=7)  # a longer wish is a change of the schedule, not an override
ANSWER_S = 20.0  # a running controller hears a wish within a second; scan, write and read-back take some more
SETTLE_S = 2.0  # after the cycle that heard the wish: a value that stands already needs no new command
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


def read(
    site: SiteArgument,
    points: Annotated[list[str], typer.Argument(help="points by id, as in points.csv")],
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read points of a site now: from the running controller's newest scan, or from the wire when nobody controls the site."""
    config, graph, book = _open(site)
    _must_be_known(points, book)
    folder = StateFolder(state_root(state, config)).site(config.name)
    with stores(folder) as (journal, history):
        book, _ = commissioned(config, book, journal)
        rights = who_may(book, None if config.simulated else newest_grant(journal))
        if not lock_is_held(folder):
            unbound = [p for p in points if book[p].binding is None]
            if unbound:
                raise SiteError(f"{', '.join(unbound)}: no address; bind it in points.csv")
            with site_lock(folder, "wattproof read"):
                asyncio.run(_scan_once(config, PointBook(book[p] for p in points), folder, journal, history))
        latest, protected = history.latest(), protected_points(graph, config)
    found = [{**_facts(p, book[p].unit, latest.get(p)), "rights": _right(p, rights, protected)} for p in points]
    print(json.dumps({"site": config.name, "readings": found}, ensure_ascii=False) if as_json else "\n".join(map(_line, found)))
    if any(f["quality"] in (Quality.BAD, Quality.STALE) for f in found):
        raise typer.Exit(1)


def write(
    site: SiteArgument,
    point: Annotated[str, typer.Argument(help="the point's id, as in points.csv")],
    value: Annotated[float | None, typer.Argument(help="the value, in the point's unit")] = None,
    why: Annotated[str, typer.Option("--why", help="the reason; it stands in the journal")] = "",
    by: Annotated[str, typer.Option("--by", help="who asks (default: the user of this machine)")] = "",
    for_: Annotated[str, typer.Option("--for", help="how long: 45m, 2h, 1d (at most 7d)")] = "2h",
    release: Annotated[bool, typer.Option("--release", help="take an earlier wish back instead of giving a value")] = False,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the running controller for a value at a writable point, and show what became of it."""
    config, graph, book = _open(site)
    _must_be_known([point], book)
    if (value is None) != release:
        raise SiteError("give a value, or --release to take an earlier wish back: one of them")
    if not why.strip():
        raise SiteError("say why with --why: the reason stands in the journal")
    folder = StateFolder(state_root(state, config)).site(config.name)
    with stores(folder) as (journal, _):
        wish = Request(point, value, by or who(), why.strip(), _site_now(config, journal) + _duration(for_), Authority.OPERATOR)
        _must_be_possible(config, graph, book, journal, folder, wish)
        answer = _asked(journal, wish, config)
    print(json.dumps({"site": config.name, **answer}, ensure_ascii=False) if as_json else _words(answer))
    if answer["result"] not in ("applied", "masked", "standing"):
        raise typer.Exit(1)


def _open(site: str) -> tuple[Site, Graph, PointBook]:
    config = load_site(find_site(site))
    graph = Graph.read(config.twin_file)
    return config, graph, read_points(config.points_file, graph.points())


def _must_be_known(points: Iterable[str], book: PointBook) -> None:
    for point in points:
        if point not in book:
            near = difflib.get_close_matches(point, list(book), 1)
            raise SiteError(f"no point {point!r} at this site" + (f"; did you mean {near[0]}?" if near else "; points.csv lists them"))


async def _scan_once(config: Site, book: PointBook, folder: Path, journal: Journal, history: History) -> None:
    only = PointBook(replace(p, writable=False) for p in book.values())
    graph = Graph.read(config.twin_file)
    cycle = Cycle(config, graph, only, journal, history, places(config, folder), WallClock(), [], read_only=True, interlocks=())
    try:
        await cycle.open()
        await cycle.step()
    finally:
        await cycle.close()


def _facts(point: str, unit: str, reading: Reading | None) -> dict[str, Any]:
    if reading is None:
        return {"point": point, "value": None, "unit": unit, "quality": "bad", "reason": "fault", "at": None}
    value, at = reading.value, reading.at.isoformat()
    return {"point": point, "value": value, "unit": unit, "quality": reading.quality.value, "reason": reading.reason.value, "at": at}


def _right(point: str, rights: Mapping[str, str], protected: Container[str]) -> str:
    return "protected: only read" if point in protected else rights.get(point, "only read")


def _line(facts: Mapping[str, Any]) -> str:
    value = "no value" if facts["value"] is None else f"{facts['value']:g} {facts['unit']}".strip()
    quality = facts["quality"] + (f" ({facts['reason'].replace('_', ' ')})" if facts["reason"] else "")
    return f"{facts['point']}: {value}, {quality}" + (f", {facts['at']}" if facts["at"] else "") + f"; {facts['rights']}"


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|min|h|d)", text.strip())
    length = timedelta(seconds=float(match[1]) * _UNITS[match[2]]) if match and len(match[1]) < 10 else timedelta(0)
    if not timedelta(0) < length <= DURATION_MAX:
        raise SiteError(f"--for takes a time such as 45m, 2h or 1d, at most {DURATION_MAX.days}d; got {text!r}")
    return length


def _site_now(config: Site, journal: Journal) -> datetime:
    """The site's time: the wall's, or on a simulated site that of its newest readings."""
    rows = journal.latest(("readings",)) if config.simulated else []
    return rows[0].at if rows else wall_now()


def _must_be_possible(config: Site, graph: Graph, book: PointBook, journal: Journal, folder: Path, wish: Request) -> None:
    """Refuse before asking what could never be ruled; the refusal stands in the journal like any other."""
    usable, notes = commissioned(config, book, journal)
    because = "" if wish.value is None else objection(wish, usable, _site_now(config, journal))
    if wish.point in protected_points(graph, config):
        because = "the point is protected: it is only read"
    if because:
        journal.append([refusal_row(Refusal(wish.point, wish.by, wish.why, because), _site_now(config, journal))])
        raise SiteError(f"{wish.point}: {because}" + (f" ({notes[0]})" if notes and not usable[wish.point].writable else ""))
    if not lock_is_held(folder):
        raise StateError(f"{config.name}: no controller runs, so nobody would hold or end this; start `wattproof run {config.name}` first")
    if mode_of(journal) == "off":
        raise StateError(f"{config.name}: the optimiser is off and the building is its own; start `wattproof run --automatic` first")


def _asked(journal: Journal, wish: Request, config: Site) -> dict[str, Any]:
    """Write the wish down, and wait for the ruling and its outcome."""
    body = {
        "id": uuid4().hex, "point": wish.point, "value": wish.value, "by": wish.by, "why": wish.why, "until": wish.until.isoformat(),
        "authority": int(wish.authority),
    }  # fmt: skip
    number = journal.append([Record("request", _site_now(config, journal), body)])
    said = {"point": wish.point, "value": wish.value, "until": wish.until.isoformat()}
    deadline, settled = monotonic_s() + ANSWER_S, None
    while monotonic_s() < (settled or deadline):
        if answer := _answer(journal.after(number, ("command", "outcome", "refusal", "alarm")), wish):
            return {**said, **answer}
        if settled is None and len(journal.after(number, ("readings",), most=1)):
            settled = monotonic_s() + SETTLE_S
        pause(POLL_S)
    if settled:
        return {**said, "result": "standing", "detail": "no new command was needed, or the device does not answer; see `wattproof read`"}
    raise StateError(f"{wish.point}: the controller did not take the wish up within {ANSWER_S:g} s; is its process alive?")


def _answer(rows: Iterable[Row], wish: Request) -> dict[str, Any] | None:
    """What became of the wish, if the rows tell: a refusal, or the outcome of the command that came of it."""
    command, note = "", ""
    for row in rows:
        body = row.body
        if row.kind == "refusal" and (body["point"], body["by"], body["why"]) == (wish.point, wish.by, wish.why):
            note = body["refused_because"]  # with a command: the guard held it to something safe
            if not command and not waits(Refusal(wish.point, wish.by, wish.why, note)):
                return {"result": "refused", "detail": note}
        if row.kind == "alarm" and body.get("id") == f"conflict.{wish.point}" and body.get("state") == "raised":
            return {"result": "conflict", "detail": body["message"]}
        if row.kind == "command" and body["point"] == wish.point:
            command = body["id"]
        if row.kind == "outcome" and command and body["command"] == command:
            held = {k: body[k] for k in ("read_back", "slot", "ruling_priority")}
            return {"result": body["result"], "command": command, **held, "detail": body["detail"] or note}
    return None


def _words(answer: Mapping[str, Any]) -> str:
    asked = "let go" if answer["value"] is None else f"{answer['value']:g} until {answer['until'][:16]}"
    held = f"; the device shows {answer['read_back']:g}" if answer.get("read_back") is not None else ""
    return f"{answer['point']}: {asked}: {answer['result']}{held}" + (f" ({answer['detail']})" if answer.get("detail") else "")
