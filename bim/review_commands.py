"""The command `review`: what waits for a person, and decisions made or withdrawn without editing a file."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from bim.commands import write_down
from bim.deciding import decisions_in, with_decisions, without_decisions
from bim.proposals import FIRST_REVIEW, kinds_of
from bim.review import is_address, parse_decisions
from twin.errors import SiteError, StateError
from twin.site import Site, find_site, load_site, state_root
from twin.state import StateFolder, read_json, write_whole

_ALIKE_SHOWN = 3  # ids of a kind in a terminal; the report has all
_EVIDENCE_CHARS = 200  # of a line in a terminal; the report has the whole


@dataclass(frozen=True)
class _Desk:
    """Where decisions are made: a site, or a folder that `import --out` filled."""

    folder: Path
    site: Site | None
    items: Sequence[Mapping[str, Any]]
    decided: Mapping[str, str]  # header of a decision -> the element's id in the twin, as of the last import
    text: str

    def alike(self, items: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The items and all that are like one of them."""
        kinds = {item["alike"] for item in items}
        return [item for item in self.items if item["alike"] in kinds]


_Widen = Callable[[list[Mapping[str, Any]]], list[Mapping[str, Any]]]


def review(
    where: Annotated[str, typer.Argument(metavar="SITE | DIR", help="a site's name or folder, or the folder of an import with --out")],
    listed: Annotated[bool, typer.Option("--list", help="what waits, and what is decided")] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(help="accept the proposal on this id (* stands for any part); ID=POINT or ID=CLASS: it is another point or class"),
    ] = None,
    reject: Annotated[
        list[str] | None, typer.Option(help="this scanned object is ignored, or this element is nothing to read or move")
    ] = None,
    withdraw: Annotated[list[str] | None, typer.Option(help="take the decision on this id back")] = None,
    alike: Annotated[
        bool, typer.Option("--alike", help="and decide so on all that is like it: same type, same proposal, same grounds")
    ] = False,
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
    widen = desk.alike if alike else _alone
    decisions = dict(_decisions(desk, widen, accept or [], reject or [], withdraw or []))
    text = without_decisions(desk.text, [header for header, values in decisions.items() if values is None])
    text = with_decisions(text, {header: {**values, "by": by, "why": why} for header, values in decisions.items() if values is not None})
    done: list[dict[str, object]] = [{"header": header, "decision": values, "by": by, "why": why} for header, values in decisions.items()]
    write_whole(desk.folder / "review.toml", text.encode())
    if desk.site is not None:
        folder = StateFolder(state_root(state, desk.site)).site(desk.site.name)
        write_down(desk.site, folder, "review", *done)
    if as_json:
        print(json.dumps({"decided": done}, ensure_ascii=False))
    else:
        print(f"{len(done)} decision{'s' if len(done) > 1 else ''} written down; they take effect with the next `wattproof import`")
    if listed:
        _tell(_open(where), as_json=False)


def _decisions(
    desk: _Desk, widen: _Widen, accept: Sequence[str], reject: Sequence[str], withdraw: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """(header, what is decided), None for a decision taken back."""
    for name, other, found in ((n, o, widen(_items(desk, n))) for words in accept for n, o in [_split(words)]):
        yield from ((item["header"], _accepted(name, other, item)) for item in found)
    for item in (i for name in reject for i in widen(_items(desk, name))):
        yield item["header"], {"ignore": True} if is_address(item["header"]) else {"passive": True}
    for header in (h for name in withdraw for h in _headers(desk, name, widen is not _alone)):
        yield header, None


def _accepted(name: str, other: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """What accepting writes; `other` is the point or class that a person says instead of the proposed one."""
    decision = dict(item["decision"])
    if other:
        if item["kind"] == "new point":
            raise SiteError(f"{name}: it is proposed as a new point; edit review.toml to make it another one")
        return decision | {"point" if item["kind"] == "binding" else "brick": other}
    if not decision:
        raise SiteError(
            f"{name}: nothing is proposed that could be accepted ({'; '.join(item['why'])}); say what it is with --accept {name}=CLASS, "
            "or reject it"
        )
    return decision


def _headers(desk: _Desk, name: str, alike: bool) -> list[str]:
    """The header of a decision by its id or header; with `alike` all that say the same, by the same person on the same grounds."""
    decided, called = decisions_in(desk.text), {key: header for header, key in desk.decided.items()}
    header = called.get(name) or next((str(i["header"]) for i in desk.items if name in (i["id"], i["header"])), name)
    same = [other for other, values in decided.items() if values == decided.get(header)] if alike else []
    return same or [header]


def _alone(items: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return items


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
    return _Desk(folder, site, report.get("review", []), report.get("decided", {}), text)


def _tell(desk: _Desk, as_json: bool) -> None:
    decided = decisions_in(desk.text)
    # An element that was decided on before the last import and is still unsure waits again, for what that decision left open.
    waiting = [item for item in desk.items if item["header"] not in decided or item["header"] in desk.decided]
    if as_json:
        print(json.dumps({"waiting": waiting, "decided": decided}, ensure_ascii=False))
        return
    for item, *rest in kinds_of(waiting):
        print(f"{item['id']}  [{item['kind']}]  {item['proposal']}  confidence {item['confidence']:.2f}")
        print(f"    {'; '.join(item['why'])}"[:_EVIDENCE_CHARS])
        if rest:
            ids = ", ".join(other["id"] for other in rest[:_ALIKE_SHOWN]) + (", ..." if len(rest) > _ALIKE_SHOWN else "")
            print(f"    and {len(rest)} alike, decided with it by --alike: {ids}")
        if item["alternatives"]:
            print("    or: " + ", ".join(f"{name} ({score:.2f})" for name, score in item["alternatives"]))
    names = {**{item["header"]: item["id"] for item in desk.items}, **desk.decided}
    same: dict[str, list[str]] = {}
    for header, values in decided.items():
        said = ", ".join(f"{key} {value}" for key, value in values.items() if key not in ("by", "why"))
        same.setdefault(f"{said} (by {values.get('by')}: {values.get('why')})", []).append(names.get(header, header))
    for said, things in same.items():
        print(f"decided  {', '.join(things[:_ALIKE_SHOWN])}{f' and {n} more' if (n := len(things) - _ALIKE_SHOWN) > 0 else ''}: {said}")
    print(f"{len(waiting)} waiting, {len(decided)} decided")
