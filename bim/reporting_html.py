"""report.html: the report of an import as one page for people, in English with Chinese beside it; no script, nothing fetched.

Names in models are hostile input: every text goes through `_t` and numbers are made here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from bim.plan_svg import storey_svg
from bim.proposals import kinds_of

_STYLE = (Path(__file__).parent / "data" / "report.css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
ROWS_MOST = 400  # of one table; the whole list stands in report.json
_SHARE_GOOD, _SHARE_FAIR = 95.0, 80.0  # what the product asks of a model, and what is workable
_KINDS = (("added", "新增"), ("removed", "移除"), ("moved", "移位"), ("changed", "变更"), ("retired", "停用"))
_RUNGS = {
    "containment": "the model says so", "point": "insertion point in the room", "footprint": "footprint covers the room",
    "nearest": "nearest room", "tie": "between two rooms", "none": "no room found", "reviewed": "a person said so",
    "facing": "hangs on a wall and faces the room", "assembly": "where the thing is that it is a part of",
    "ceiling void": "above the room's ceiling", "floor void": "below the room's floor",
}  # fmt: skip


def page(report: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """The whole page; the same report gives the same text."""
    sections = (
        _summary(report),
        _section("review", "For review", "待审核", len(report["review"]), _review(report["review"])),
        _section("changes", "Since the last import", "与上次导入的差异", _total(report["changes"]), _changes(report["changes"])),
        _section("coverage", "Coverage by domain", "分专业覆盖率", None, _coverage(report)),
        _section("placement", "Placement by evidence", "定位依据", None, _placement(report["placement"])),
        _section("plans", "Plans", "平面图", None, _plans(report, plan)),
        _section("points", "Points and bindings", "点位与绑定", len(report["points"]), _points(report)),
        _section("feeds", "Feeds", "供给关系", len(report["feeds"]), _feeds(report["feeds"])),
        _section("readiness", "Readiness of the models (IDS)", "模型就绪度(IDS)", *_readiness(report.get("readiness"))),
        _section("violations", "Rule violations", "规则违反", len(report["violations"]), _violations(report["violations"])),
        _section("warnings", "Warnings", "提示", len(report["warnings"]), _list(report["warnings"])),
    )
    title = f"{_t(report['site'])} · import report"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title><style>{_STYLE}</style></head><body>'
    )
    return head + f"<main>{''.join(sections)}</main></body></html>\n"


def _summary(report: Mapping[str, Any]) -> str:
    counts = report["counts"]
    elements = counts["elements"]
    active = elements["total"] - elements["passive"]
    share = 100 * (elements["mapped"] - elements["generic"]) / active if active else 100.0
    tiles = (
        ("Precise class", "精确分类", f"{share:.1f} %", _grade(share)),
        ("Placed in rooms", "已定位", f"{counts['placed']} / {active}", ""),
        ("Points bound", "已绑定点位", f"{counts['bound']} / {counts['points']}", ""),
        ("Feeds", "供给关系", str(counts["feeds"]), ""),
        ("For review", "待审核", str(counts["review"]), "fair" if counts["review"] else "good"),
        ("Violations", "违反规则", str(counts["violations"]), "poor" if counts["violations"] else "good"),
    )
    made = "".join(
        f'<div class="tile {grade}"><b>{_t(value)}</b><span>{en}<i lang="zh">{zh}</i></span></div>' for en, zh, value, grade in tiles
    )
    rows = [(m["file"], m["schema"], m["sha256"][:16] + "…") for m in report["models"]]
    links = "".join(f'<a href="#{name}">{en}</a>' for name, en in _LINKS)
    return (
        f'<header><h1>{_t(report["site"])}</h1><p class="sub">IFC to Brick: what was found, what is unsure, what a person should decide '
        f'<i lang="zh">从 IFC 到 Brick:找到什么、什么不确定、需要人决定什么</i></p><nav>{links}</nav></header>'
        f'<div class="tiles">{made}</div>' + _table((("model", "模型"), ("schema", "版本"), ("SHA-256", "")), rows)
    )


_LINKS = (
    ("review", "Review"), ("changes", "Changes"), ("coverage", "Coverage"), ("placement", "Placement"), ("plans", "Plans"),
    ("points", "Points"), ("feeds", "Feeds"), ("readiness", "Readiness"), ("violations", "Violations"), ("warnings", "Warnings"),
)  # fmt: skip


def _review(items: Sequence[Mapping[str, Any]]) -> str:
    if not items:
        return _nothing("Nothing waits for a person.", "没有待审核的项目。")
    hint = (
        '<p class="hint">Decide with <code>wattproof review SITE --accept ID --by NAME --why TEXT</code> (<code>--alike</code>: and on '
        "everything of the same row), or copy the table from <code>review.proposals.toml</code> into <code>review.toml</code>; "
        "then import again. "
        '<i lang="zh">用上述命令或把建议复制到 review.toml 后重新导入。</i></p>'
    )
    kinds = kinds_of(items)
    rows = (
        (_Raw(_item(i) + _others(rest)), _Raw(_proposal(i)), _Raw(_bar(100 * i["confidence"], f"{i['confidence']:.2f}")), _Raw(_why(i)))
        for i, *rest in kinds
    )
    return hint + _table((("item", "项目"), ("proposal", "建议"), ("confidence", "置信度"), ("evidence", "依据")), rows, len(kinds))


def _others(rest: Sequence[Mapping[str, Any]]) -> str:
    listed = "".join(f"<li><code>{_t(i['id'])}</code>{' in ' + _t(i['room']) if i['room'] else ''}</li>" for i in rest[:ROWS_MOST])
    more = f"<li>{len(rest) - ROWS_MOST} more in report.json</li>" if len(rest) > ROWS_MOST else ""
    return (
        f'<details><summary>and {len(rest)} alike <i lang="zh">同类 {len(rest)} 项</i></summary><ul>{listed}{more}</ul></details>'
        if rest
        else ""
    )


def _item(item: Mapping[str, Any]) -> str:
    name = f"<br>{_t(item['name'])}" if item["name"] and item["name"] != item["id"] else ""
    kind = f"<br><small>{_t(item['kind'])}{' · ' + _t(item['ifc_type']) if item['ifc_type'] else ''}</small>"
    return f"<code>{_t(item['id'])}</code>{name}{kind}"


def _proposal(item: Mapping[str, Any]) -> str:
    room = f"<br><small>in {_t(item['room'])}</small>" if item["room"] else ""
    return f"{_t(item['proposal'])}{room}"


def _why(item: Mapping[str, Any]) -> str:
    others = ", ".join(f"{_t(name)} ({score:.2f})" for name, score in item["alternatives"])
    return "<br>".join(_t(w) for w in item["why"]) + (f"<br><small>or: {others}</small>" if others else "")


def _changes(changes: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    rows = [
        (_Raw(f'<span class="tag {kind}">{kind} <i lang="zh">{zh}</i></span>'), _Raw(_named(row)), *_ends(kind, row))
        for kind, zh in _KINDS
        for row in changes[kind]
    ]
    if not rows:
        return _nothing("No differences, or no earlier import to compare with.", "没有差异,或没有可比较的上次导入。")
    return _table((("kind", "类别"), ("element", "构件"), ("before", "之前"), ("after", "现在")), rows, len(rows))


def _named(row: Mapping[str, Any]) -> str:
    return f"<code>{_t(row['id'])}</code><br>{_t(row['name'])} <small>{_t(row['class'])}</small>"


def _ends(kind: str, row: Mapping[str, Any]) -> tuple[str, str]:
    if "before" not in row:
        where = _said(row.get("place") or row.get("owner"))
        return ("", where) if kind == "added" else (where, "")
    return tuple(", ".join(f"{key.removesuffix('_m')} {_said(value)}" for key, value in row[end].items()) for end in ("before", "after"))  # type: ignore[return-value]


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(f"{v:g}" for v in value) + ") m"
    return "–" if value in (None, "") else str(value)


def _coverage(report: Mapping[str, Any]) -> str:
    domains = {name: row for name, row in report["domains"].items() if name != "none"}
    rows = []
    for name, row in domains.items():
        precise = row["elements"] - row["generic"]
        share = 100 * precise / row["elements"]
        rows.append((name, row["elements"], row["generic"], _Raw(_bar(share, f"{share:.0f} %"))))
    lost = report["domains"].get("none", {"elements": 0})["elements"]
    columns = (("domain", "专业"), ("mapped", "已映射"), ("general class", "泛类"), ("precise", "精确"))
    told = f"<p>{lost} elements in no domain: no table or name rule knows them; they are kept as general equipment.</p>" if lost else ""
    unmapped = [(row["ifc_type"], row["elements"], row["why"], row["example"]) for row in report["unmapped"]]
    missing = _table((("IFC type", "IFC 类型"), ("elements", "数量"), ("why", "原因"), ("example", "例")), unmapped) if unmapped else ""
    passive = report["counts"]["elements"]["passive"]
    return (
        _table(columns, rows)
        + told
        + missing
        + f"<p><small>{passive} passive elements (walls, slabs, segments, fittings) are not in the twin.</small></p>"
    )


def _placement(rungs: Mapping[str, int]) -> str:
    total = sum(rungs.values()) or 1
    rows = [(_RUNGS.get(name, name), n, _Raw(_bar(100 * n / total, f"{100 * n / total:.0f} %", "plain"))) for name, n in rungs.items()]
    return _table((("evidence", "依据"), ("elements", "数量"), ("share", "占比")), rows)


def _plans(report: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    unsure = set(report["unsure"])
    rooms, things = defaultdict(list), defaultdict(list)
    for room in plan["rooms"]:
        rooms[room["storey"]].append(room)
    for thing in plan["equipment"]:
        things[thing["storey"]].append(thing)
    names = {s["id"]: s["name"] for s in plan["storeys"]}
    drawn = [
        _plan(names.get(storey, "no storey") or str(storey), rooms[storey], things[storey], unsure)
        for storey in [*names, None]
        if rooms[storey] or things[storey]
    ]
    legend = (
        '<p class="legend"><span class="dot sure"></span>placed surely <i lang="zh">位置确定</i> <span class="dot unsure"></span>unsure '
        '<i lang="zh">不确定</i> <span class="dot lost"></span>in no room <i lang="zh">未定位到房间</i></p>'
    )
    return legend + "".join(drawn) if drawn else _nothing("No rooms with a shape.", "没有带几何的房间。")


def _plan(name: str, rooms: Sequence[Mapping[str, Any]], things: Sequence[Mapping[str, Any]], unsure: set[str]) -> str:
    drawing, told = storey_svg(rooms, things, unsure), f"{len(rooms)} rooms, {len(things)} pieces of equipment"
    return f"<figure><figcaption>{_t(name)} <small>{told}</small></figcaption>{drawing}</figure>"


def _points(report: Mapping[str, Any]) -> str:
    binding = report["binding"]
    sources = ", ".join(f"{n} by {_t(source)}" for source, n in binding["by_source"].items()) or "none"
    told = f"<p>Addresses: {sources}.</p>"
    if binding["scan_at"]:
        left = len(binding["objects_left"])
        told += f"<p>Scan of {_t(binding['scan_at'])}: {len(binding['matched'])} matched by it alone, {left} objects left over.</p>"
    alone = f"{len(binding['matched'])} matched by the scan alone (read, never written)"
    told += _details(alone, "仅由扫描匹配(只读)", _matched(binding["matched"]))
    told += _details(f"{len(binding['points_left'])} points of the twin without an address", "无地址的点位", _list(binding["points_left"]))
    told += _details(
        f"{len(binding['objects_left'])} objects on devices that match nothing", "未匹配的设备对象", _list(binding["objects_left"])
    )
    told += _details(
        f"{len(binding['connections_to_add'])} connections to add to site.toml",
        "需加入 site.toml 的连接",
        _list(binding["connections_to_add"]),
    )
    told += _details(f"{len(binding['problems'])} problems of the scan", "扫描中的问题", _list(binding["problems"]))
    rows = ((p["id"], p["class"], p["unit"], p["owner"], p["address"], p["bound_by"]) for p in report["points"])
    columns = (("point", "点位"), ("class", "类别"), ("unit", "单位"), ("of", "所属"), ("address", "地址"), ("bound by", "绑定来源"))
    return told + _details(f"all {len(report['points'])} points", "全部点位", _table(columns, rows, len(report["points"])))


def _matched(rows: Sequence[Mapping[str, Any]]) -> str:
    made = ((r["address"], r["point"], _Raw(_bar(100 * r["confidence"], f"{r['confidence']:.2f}")), r["evidence"]) for r in rows)
    return _table((("object", "对象"), ("point", "点位"), ("confidence", "置信度"), ("evidence", "依据")), made, len(rows)) if rows else ""


def _feeds(feeds: Sequence[Mapping[str, str]]) -> str:
    if not feeds:
        return _nothing("No feeds: the models connect no ports and no terminal serves a room.", "没有供给关系。")
    rows = ((f["from"], f["to"], f["evidence"]) for f in feeds)
    return _details(
        f"all {len(feeds)} feeds", "全部供给关系", _table((("from", "从"), ("to", "到"), ("evidence", "依据")), rows, len(feeds))
    )


def _readiness(checked: Mapping[str, Any] | None) -> tuple[int | None, str]:
    """What the models lack for the product: how many rules fail, these with what to do, and those that hold folded away."""
    if checked is None:
        text = "Not checked: large models are on request only. Import with --readiness; a check of 100 MB takes half a minute."
        return None, _nothing(text, "未检查:大模型请用 --readiness 导入。")
    rules = checked["rules"]
    failed, held = [r for r in rules if not r["holds"]], [r for r in rules if r["holds"]]
    columns = (("rule", "规则"), ("applies to", "适用"), ("failed", "未通过"), ("what to do", "如何改进"), ("examples", "例"))
    rows = [(_rule(r), r["applicable"], r["failed"], r["instructions"], ", ".join(r["examples"])) for r in failed]
    told = _table(columns, rows) if rows else _nothing("Every rule holds.", "全部规则通过。")
    kept = _table((("rule", "规则"), ("applies to", "适用")), [(_rule(r), r["applicable"]) for r in held])
    return len(failed), told + _details(f"{len(held)} rules hold", "已通过的规则", kept if held else "")


def _rule(rule: Mapping[str, Any]) -> str:
    return _Raw(f"{_t(rule['name'])}<br><small>{_t(rule['description'])}</small>")


def _violations(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return _nothing("Every node of the twin keeps the rules.", "孪生的所有节点都符合规则。")
    return _table(
        (("node", "节点"), ("rule", "规则"), ("message", "说明")), ((r["node"], r["rule"], r["message"]) for r in rows), len(rows)
    )


class _Raw(str):
    """A cell that is HTML already, every name in it escaped."""

    __slots__ = ()


def _section(name: str, en: str, zh: str, count: int | None, body: str) -> str:
    number = f" <span class='count'>{count}</span>" if count is not None else ""
    return f'<section id="{name}"><h2>{en} <i lang="zh">{zh}</i>{number}</h2>{body}</section>'


def _details(en: str, zh: str, body: str) -> str:
    return f'<details><summary>{_t(en)} <i lang="zh">{zh}</i></summary>{body}</details>' if body else ""


def _table(columns: Iterable[tuple[str, str]], rows: Iterable[Sequence[Any]], total: int = 0) -> str:
    head = "".join(f"<th>{en}{f' <i lang=zh>{zh}</i>' if zh else ''}</th>" for en, zh in columns)
    shown = [row for _, row in zip(range(ROWS_MOST), rows, strict=False)]
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in shown)
    more = f'<p class="hint">{total - len(shown)} more in report.json</p>' if total > len(shown) else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}'


def _cell(cell: Any) -> str:
    if isinstance(cell, _Raw):
        return f"<td>{cell}</td>"
    return f'<td class="n">{cell}</td>' if isinstance(cell, int) else f"<td>{_t(_said(cell))}</td>"


def _list(texts: Sequence[str]) -> str:
    made = "".join(f"<li>{_t(text)}</li>" for text in texts[:ROWS_MOST])
    more = f"<li>{len(texts) - ROWS_MOST} more in report.json</li>" if len(texts) > ROWS_MOST else ""
    return f"<ul>{made}{more}</ul>" if texts else ""


def _nothing(en: str, zh: str) -> str:
    return f'<p class="nothing">{en} <i lang="zh">{zh}</i></p>'


def _bar(percent: float, text: str, grade: str = "") -> str:
    width = min(max(percent, 0.0), 100.0)
    return f'<div class="bar {grade or _grade(percent)}"><span style="width:{width:.0f}%"></span><b>{_t(text)}</b></div>'


def _grade(percent: float) -> str:
    return "good" if percent >= _SHARE_GOOD else "fair" if percent >= _SHARE_FAIR else "poor"


def _total(changes: Mapping[str, Sequence[Any]]) -> int:
    return sum(len(rows) for rows in changes.values())


def _t(text: Any) -> str:
    """A text as HTML: escaped, and without the control characters that no page may hold."""
    return escape("".join(_visible(str(text))), quote=True)


def _visible(text: str) -> Iterator[str]:
    for character in text:
        yield character if character.isprintable() or character == "\n" else "\ufffd"
