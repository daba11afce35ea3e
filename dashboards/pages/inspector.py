"""The government inspector's page."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards.archive import Archive
from dashboards.pages.frame import ledger_text
from dashboards.parts.frames import button, panel, table
from dashboards.parts.grids import column, grid, numeric
from dashboards.parts.numbers import MISSING, number
from dashboards.texts import texts
from dashboards.views.inspector import (
    AlarmLine,
    CheckStep,
    EntryRow,
    GroupRow,
    body_lines,
    check_steps,
    entry_rows,
    group_row,
    overload_lines,
)

ENTRIES_SHOWN = 200
ALARMS_READ = 500
KINDS = (
    "reading.batch", "control.action", "control.mode", "control.refusal", "control.release", "control.grant", "emission.period",
    "saving.period",
    "comfort.period", "baseline.reference", "alarm.raised", "alarm.acknowledged", "alarm.cleared", "device.enrol", "device.rotate",
    "device.revoke", "device.seen", "twin.import", "twin.review", "policy.install", "group.found", "member.join", "key.rotate", "state",
    "gap", "refused",
)  # fmt: skip
ALARM_KINDS = ("alarm.raised", "alarm.acknowledged", "alarm.escalated", "alarm.cleared")
DEVICE_KINDS = ("device.enrol", "device.rotate", "device.suspend", "device.resume", "device.revoke", "device.replace")
Words = Mapping[str, str]
TIME = "%Y-%m-%d %H:%M:%S"


def layout(lang: str) -> Any:
    """The page without values; the live loop fills it."""
    words = texts(lang)
    kinds = [{"value": "", "label": words["all_kinds"]}, *[{"value": k, "label": k} for k in KINDS]]
    chooser = dmc.Select(id="kind", data=kinds, value="", allowDeselect=False, size="xs", **{"aria-label": words["kinds_filter"]})
    return html.Div(
        [
            html.H1(words["inspector_title"], className="only-read"),
            panel(words["groups"], [html.Div(id="audit-groups")], "above"),
            html.Div(
                [
                    panel(
                        words["entries"], [grid("entries-grid", _columns(words), words, height_px=430, selectable=True)], "wide", [chooser]
                    ),
                    panel(words["entry_detail"], [html.Div(words["entry_choose"], id="entry-detail", className="detail")]),
                    panel(words["verify"], _verify(words), "full"),
                    panel(words["overloads"], [html.Div(id="audit-overloads", className="tall")], "wide"),
                    panel(words["by_kind"], [html.Div(id="audit-kinds", className="tall")]),
                    panel(words["devices"], [html.Div(id="audit-devices", className="tall")], "full"),
                ],
                className="columns",
            ),
        ]
    )


def live(archive: Archive, group: str, kind: str, lang: str) -> dict[str, Any]:
    """Everything that moves: all groups, and the chosen one's entries, alarms and devices."""
    words = texts(lang)
    overviews = {name: archive.overview(name) for name in archive.groups()}
    rows = [group_row(name, overview) for name, overview in overviews.items() if overview is not None]
    chosen = group if group in overviews else next(iter(overviews), "")
    props: dict[str, Any] = {"audit-groups": {"children": _groups(rows, words)}}
    if chosen:
        entries = archive.entries(chosen, (kind,) if kind else (), ENTRIES_SHOWN)
        alarms = archive.entries(chosen, ALARM_KINDS, ALARMS_READ)
        devices = archive.entries(chosen, DEVICE_KINDS, ALARMS_READ)
        mine = next((row for row in rows if row.name == chosen), None)
        props |= {
            "entries-grid": {"rowData": [_entry(row) for row in entry_rows(entries)]},
            "audit-overloads": {"children": _overloads(overload_lines(alarms), words)},
            "audit-devices": {"children": _devices(entry_rows(devices), words)},
            "audit-kinds": {
                "children": table([words["kind"], words["size"]], [[k, number(n, 0)] for k, n in mine.by_kind]) if mine else ""
            },
            "head-site": {"children": chosen},
            "head-ledger": {"children": ledger_text(mine.glance, words), "className": f"ledger ledger-{mine.glance.state}"} if mine else {},
        }
    return {"props": props}


def entry_detail(archive: Archive, group: str, number_: int, kind: str, lang: str) -> Any:
    """One entry with its body as this member can read it."""
    words = texts(lang)
    entries = archive.entries(group, (kind,) if kind else (), ENTRIES_SHOWN)
    row = next((r for r in entry_rows(entries) if r.number == number_), None)
    if row is None:
        return words["entry_choose"]
    body = next(e.body for e in entries if e.number == number_)
    mark = f" ({words['simulated']})" if row.simulated else ""
    facts = [
        [words["number"], str(row.number)], [words["kind"], row.kind], [words["source"], row.source], [words["vouched"], row.vouched_by],
        [words["signed_with"], row.key_name], [words["site_time_word"], _time(row.at) + mark],
        [words["wall_time_word"], _time(row.wall)], [words["summary"], row.summary], [words["hash"], html.Span(row.hash, className="mono")],
    ]  # fmt: skip
    lines = [[name, html.Span(text, className="mono")] for name, text in body_lines(body)]
    content = table([words["field"], words["value"]], lines) if lines else html.P(words["body_sealed"], className="quiet")
    return html.Div([table(["", ""], facts), html.H3(words["body"]), content])


def check_result(archive: Archive, group: str, lang: str) -> Any:
    """The numbered verification, made now."""
    return steps_table(check_steps(archive.check(group)), texts(lang))


def steps_table(steps: Sequence[CheckStep], words: Words) -> Any:
    """The steps with their results in words and signs, and the verdict above them."""
    signs = {"ok": "✓", "failed": "✗", "na": "–"}
    failed = [s.number for s in steps if s.result == "failed"]
    verdict = words["verify_failed"].format(n=", ".join(failed)) if failed else words["verify_ok"].format(n=len(steps))
    rows = [
        [
            s.number,
            s.what,
            html.Span(f"{signs[s.result]} {words[f'step_{s.result}']}", className=f"step-{s.result}"),
            html.Div(s.detail, className="clip"),
        ]
        for s in steps
    ]
    heads = [words["step"], words["what"], words["result"], words["finding"]]
    return html.Div([html.P(verdict, className="verdict-failed" if failed else "verdict-ok"), table(heads, rows, "steps")])


def _verify(words: Words) -> list[Any]:
    return [
        html.P(words["verify_explain"], className="quiet"),
        html.Div([button(words["verify"], "verify", "filled"), html.Span("", id="verify-said", role="status")], className="form-end"),
        html.Div(id="verify-steps", role="status"),
    ]


def _columns(words: Words) -> list[Any]:
    return [
        numeric("number", words["number"], 66),
        column("kind", words["kind"], 140),
        column("at", words["site_time_word"], 126),
        column("source", words["source"], 160),
        column("summary", words["summary"], minWidth=200),
    ]


def _entry(row: EntryRow) -> dict[str, Any]:
    tone = "alert" if row.kind == "alarm.raised" or row.kind in ("refused", "gap") else "quiet" if row.kind == "state" else ""
    return {
        "id": str(row.number), "number": row.number, "kind": row.kind, "at": row.at.strftime("%m-%d %H:%M") if row.at else "",
        "source": row.source, "summary": row.summary, "tone": tone,
    }  # fmt: skip


def _groups(rows: Sequence[GroupRow], words: Words) -> Any:
    if not rows:
        return html.P(words["groups_none"], className="quiet")
    heads = ("group", "owner_word", "size", "final_size", "sealed_at", "cosigned_by", "cosigned_at", "seal_delay", "root")
    lines = [
        [
            r.name, r.owner, number(r.glance.size, 0), number(r.glance.final_size, 0), _time(r.glance.sealed_at), r.cosigned_by or MISSING,
            _time(r.cosigned_at), MISSING if r.glance.delay_p95_s is None else f"{r.glance.delay_p95_s:.1f} s",
            html.Span(r.root[:16] + "…", className="mono", title=r.root),
        ]
        for r in rows
    ]  # fmt: skip
    return html.Div([table([words[h] for h in heads], lines), html.P(words["times_utc"], className="quiet")])


def _overloads(lines: Sequence[AlarmLine], words: Words) -> Any:
    if not lines:
        return html.P(words["overloads_none"], className="quiet")
    rows = [[str(a.number), _time(a.at), words.get(f"alarm_{a.state}", a.state), a.message] for a in lines]
    return table([words["entry"], words["site_time_word"], words["state"], words["message"]], rows)


def _devices(rows: Sequence[EntryRow], words: Words) -> Any:
    lines = [[r.source, r.kind, r.vouched_by, r.summary, str(r.number)] for r in rows]
    return table([words["source"], words["kind"], words["vouched"], words["summary"], words["entry"]], lines)


def _time(at: Any) -> str:
    return at.strftime(TIME) if at else MISSING
