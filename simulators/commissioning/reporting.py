"""What a commissioning leaves: commissioning.toml, commissioning.json and a page that needs nothing else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from simulators.commissioning.judging import FAILED, PASSED, RULES, UNTRIED, Verdict
from simulators.commissioning.running import Commissioned
from simulators.faults import kinds
from simulators.site_folder import sha256_of, toml_text
from twin.commissioned import points_digest
from twin.points import PointBook
from twin.state import write_all_whole

STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#1c2430}
table{border-collapse:collapse;margin:1rem 0;width:100%}th,td{border-bottom:1px solid #dde1e6;padding:.25rem .5rem;text-align:left}
.failed{color:#b3261e;font-weight:600}.passed{color:#1e7d4f}.not{color:#7a828c}h1 small{font-weight:400;color:#5b6470}"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
WHAT = {
    "read": "good and plausible readings on a day of trials",
    "command": "holds what is asked through guard, arbiter and wire",
    "fail_safe": "back on its own schedule when nobody commands",
    "override": "an operator's wish rules over ours",
    "alarm": "a device off the wire is missed, and found again",
}
HEAD = """# What `wattproof commission` tried on the simulated building of this site, written by it: sign the site's files when you agree.
# A rule is done, failed (so many did not pass), or exempt. points_sha256 is of the writable points that were tried.
"""


def write_report(done: Commissioned, book: PointBook, at: datetime) -> Mapping[str, Path]:
    """All three files into the site's folder, all or none; their paths come back."""
    folder = done.site.folder
    paths = {kind: folder / f"commissioning.{kind}" for kind in ("toml", "json", "html")}
    row = as_row(done)
    contents = {
        paths["toml"]: toml(done, book, at).encode(),
        paths["json"]: json.dumps(row | {"at": at.isoformat()}, ensure_ascii=False, indent=1).encode() + b"\n",
        paths["html"]: page(done, at).encode(),
    }
    write_all_whole(contents)
    return paths


def as_row(done: Commissioned) -> dict[str, Any]:
    """The whole result for `--json`."""
    verdict = done.verdict
    return {
        "site": done.site.name, "passed": verdict.passed, "plant": done.engine, "weather": done.weather, "start": done.began.isoformat(),
        "points": done.points, "steps": done.programme.steps, "seconds": round(done.seconds, 1), "rules": verdict.counted(),
        "alarms": verdict.alarms, "findings": [vars(f) for f in verdict.findings],
        "planted": [vars(f) for f in done.planted],
        "trials": [{"point": p.point, **p.verdicts, "words": p.words} for p in verdict.points],
    }  # fmt: skip


def toml(done: Commissioned, book: PointBook, at: datetime) -> str:
    """commissioning.toml: rule by rule what was done."""
    verdict, site = done.verdict, done.site
    lines = [
        HEAD, f"site = {toml_text(site.name)}", f"at = {toml_text(at.isoformat())}", f"passed = {str(verdict.passed).lower()}",
        f"plant = {toml_text(done.engine)}", f"points = {done.points}", f"twin_sha256 = {toml_text(sha256_of(site.twin_file))}",
        f"points_sha256 = {toml_text(points_digest(site, book))}", "", "[rules]",
    ]  # fmt: skip
    for rule, counts in verdict.counted().items():
        lines.append(f"{rule} = {toml_text(_state(counts))}")
    lines.append(f"alarm = {toml_text(_state(_counted(verdict.alarms.values())))}")
    exempt = _exempt(verdict)
    if exempt:
        lines += ["", "[exempt]", *(f"{toml_text(point)} = {toml_text(why)}" for point, why in exempt)]
    for f in verdict.findings:
        lines += ["", "[[finding]]", *(f"{key} = {toml_text(value)}" for key, value in vars(f).items() if value)]
    return "\n".join(lines) + "\n"


def _state(counts: Mapping[str, int]) -> str:
    return f"failed: {counts[FAILED]}" if counts.get(FAILED) else "done" if counts.get(PASSED) else "exempt: there is nothing to try"


def _counted(verdicts: Iterable[str]) -> dict[str, int]:
    found = list(verdicts)
    return {verdict: found.count(verdict) for verdict in (PASSED, FAILED, UNTRIED)}


def _exempt(verdict: Verdict) -> list[tuple[str, str]]:
    return [(p.point, p.words or f"{rule} is not tried") for p in verdict.points for rule in RULES if p.verdicts.get(rule) == UNTRIED]


def page(done: Commissioned, at: datetime) -> str:
    """commissioning.html as text; every name is escaped, nothing is fetched."""
    verdict = done.verdict
    title = f"{escape(done.site.name)}: commissioning"
    word = "passed" if verdict.passed else "failed"
    parts = [
        f'<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f"<h1>{title} <small>{at:%Y-%m-%d %H:%M}</small></h1>",
        f'<p class="{word}">{word}: {done.points} points, {done.programme.steps} steps of ten minutes on the simulated building '
        f"({escape(done.engine)}, {escape(done.weather)}), {done.seconds:.0f} s.</p>",
        "<h2>Findings</h2>", _findings(verdict), "<h2>Rules</h2>", _rules(verdict), "<h2>Devices</h2>",
        _table(("connection", "missed and found again"), [(c, v) for c, v in sorted(verdict.alarms.items())]),
        "<h2>Points</h2>",
        _table(("point", *RULES, ""), [(p.point, *(p.verdicts.get(rule, "") for rule in RULES), p.words) for p in verdict.points]),
    ]  # fmt: skip
    if done.planted:
        parts += ["<h2>Planted faults</h2>", _table(("fault",), [(f.said,) for f in done.planted])]
    return "\n".join(parts) + "</html>\n"


def _findings(verdict: Verdict) -> str:
    if not verdict.findings:
        return "<p>None.</p>"
    rows = [(f.kind, f.place, f.seen, kinds()[f.kind]["meaning"].replace("`size`", "so many")) for f in verdict.findings]
    return _table(("kind", "where", "seen", "what it is"), rows)


def _rules(verdict: Verdict) -> str:
    counted = {**verdict.counted(), "alarm": _counted(verdict.alarms.values())}
    rows = [(rule, what, *(str(counted[rule].get(v, 0)) for v in (PASSED, FAILED, UNTRIED))) for rule, what in WHAT.items()]
    return _table(("rule", "what", PASSED, FAILED, UNTRIED), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = "".join(
        "<tr>" + "".join(f'<td class="{escape(cell.split(" ")[0])}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr>{body}</table>"
