"""The command `review`: what waits for a person, and decisions made or withdrawn without editing a file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from bim.commands import write_down
from bim.deciding import decisions_in, with_decision, without_decision
from bim.proposals import FIRST_REVIEW
from bim.review import is_address, parse_decisions
from twin.errors import SiteError, StateError
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder, read_json, write_whole

_EVIDENCE_CHARS = 200  # of a line in a terminal; the report has the whole


@dataclass(frozen=True)
class _Desk:
    """Where decisions are made: a site, or a folder that `import --out` filled."""

    folder: Path
    site: Site | None
    items: Sequence[Mapping[str, Any]]
    text: str


def review(
    where: Annotated[str, typer.Argument(metavar="SITE | DIR", help="a site's name or folder, or the folder of an import with --out")],
    listed: Annotated[bool, typer.Option("--list", help="what waits, and what is decided")] = False,
    accept: Annotated[
        list[str] | None, typer.Option(help="accept the proposal on this id (* stands for any part), or ID=POINT for another point")
    ] = None,
    reject: Annotated[
        list[str] | None, typer.Option(help="this scanned object is ignored, or this element is nothing to read or move")
    ] = None,
    withdraw: Annotated[list[str] | None, typer.Option(help="take the decision on this id back")] = None,
    by: Annotated[str, typer.Option(help="who decides")] = "",
    why: Annotated[str, typer.Option(help="on what grounds")] = "",
    state: Annotated[str | None, typer.Option("--state", help="where the site's state lives")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """List what an import is unsure of, and decide; the next import applies it. Nothing is changed if one id is wrong."""
    desk = _open(where)
    if not (accept or reject or withdraw):
        _tell(desk, as_json)
        return
    if not by or not why:
        raise SiteError("say who decides (--by) and on what grounds (--why); both are kept with the decision")
    text = desk.text
    done: list[dict[str, object]] = []
    for header, values in _decisions(desk, accept or [], reject or [], withdraw or []):
        signed = None if values is None else {**values, "by": by, "why": why}
        text = without_decision(text, header) if signed is None else with_decision(text, header, signed)
        done.append({"header": header, "decision": values, "by": by, "why": why})
    write_whole(desk.folder / "review.toml", text.encode())
    if desk.site is not None:
        folder = StateFolder(state_root(state, desk.site)).site(desk.site.name)
        for row in done:
            write_down(desk.site, folder, "review", row)
    if as_json:
        print(json.dumps({"decided": done}, ensure_ascii=False))
    else:
        print(f"{len(done)} decision{'s' if len(done) > 1 else ''} written down; they take effect with the next `wattproof import`")
    if listed:
        _tell(_open(where), as_json=False)


def _decisions(
    desk: _Desk, accept: Sequence[str], reject: Sequence[str], withdraw: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """(header, what is decided), None for a decision taken back."""
    for name, other, item in ((n, o, i) for words in accept for n, o in [_split(words)] for i in _items(desk, n)):
        decision = dict(item["decision"])
        if other and item["kind"] != "binding":
            raise SiteError(f"{name}: ID=POINT is for scanned objects that may be several points; edit review.toml for this one")
        if not decision:
            raise SiteError(
                f"{name}: nothing is proposed that could be accepted ({'; '.join(item['why'])}); write what it is into review.toml"
            )
        yield item["header"], decision | ({"point": other} if other else {})
    for item in (i for name in reject for i in _items(desk, name)):
        yield item["header"], {"ignore": True} if is_address(item["header"]) else {"passive": True}
    for name in withdraw:
        header = next((str(i["header"]) for i in desk.items if name in (i["id"], i["header"])), name)
        yield header, None


def _split(words: str) -> tuple[str, str]:
    """ID=POINT, or the id alone."""
    name, _, other = words.partition("=")
    return name, other


def _items(desk: _Desk, name: str) -> list[Mapping[str, Any]]:
    """The items of an id, or of a pattern such as 'bacnet:ahu_1/*'."""
    found = [i for i in desk.items if name in (i["id"], i["header"]) or ("*" in name and fnmatchcase(i["id"], name))]
    if not found:
        raise SiteError(f"{name}: nothing of this id waits for a decision; `wattproof review SITE --list` shows what does")
    if "*" in name:
        found = [item for item in found if item["decision"]]
    return found


def _open(where: str) -> _Desk:
    site = None
    folder = Path(where)
    if not (folder / "report.json").is_file() or (folder / "site.toml").is_file():
        folder = find_site(where)
        site = load_site(folder)
    try:
        report = read_json(folder / "report.json")
    except StateError:
        raise SiteError(f"{folder}: no report of an import there; run `wattproof import` first") from None
    path = folder / "review.toml"
    try:
        text = path.read_bytes().decode("utf-8-sig") if path.exists() else FIRST_REVIEW
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: not readable as UTF-8 text ({error})") from None
    parse_decisions(text, str(path))
    return _Desk(folder, site, report.get("review", []), text)


def _tell(desk: _Desk, as_json: bool) -> None:
    decided = decisions_in(desk.text)
    waiting = [item for item in desk.items if item["header"] not in decided or item["kind"] == "element"]
    if as_json:
        print(json.dumps({"waiting": waiting, "decided": decided}, ensure_ascii=False))
        return
    for item in waiting:
        print(f"{item['id']}  [{item['kind']}]  {item['proposal']}  confidence {item['confidence']:.2f}")
        print(f"    {'; '.join(item['why'])}"[:_EVIDENCE_CHARS])
        if item["alternatives"]:
            print("    or: " + ", ".join(f"{name} ({score:.2f})" for name, score in item["alternatives"]))
    for header, values in decided.items():
        said = ", ".join(f"{key} {value}" for key, value in values.items() if key not in ("by", "why"))
        print(f"decided  {header}: {said} (by {values.get('by')}: {values.get('why')})")
    print(f"{len(waiting)} waiting, {len(decided)} decided")
