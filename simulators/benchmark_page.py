"""The benchmark's files: rows and means as CSV, and one HTML page with tables and bars that needs nothing else."""

import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twin.state import write_whole

Row = Mapping[str, Any]
COLOURS = {"bau": "#8a8f98", "code": "#4a7fb5", "rules": "#2f9e6b"}
BAR_HEIGHT, BAR_WIDTH, LABEL_WIDTH = 16, 460, 250  # px
STYLE = """body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#1c2430}
table{border-collapse:collapse;font-size:12px;margin:1rem 0;display:block;overflow-x:auto}
th,td{border-bottom:1px solid #dde1e6;padding:.25rem .5rem;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}tr.development td{color:#7a828c}svg{display:block;margin:1rem 0}"""


def write_files(rows: Sequence[Row], means: Sequence[Row], out: Path) -> None:
    """benchmark.csv (every row), means.csv (over seeds) and benchmark.html into the folder."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "benchmark.csv", _csv(rows).encode())
    write_whole(out / "means.csv", _csv(means).encode())
    write_whole(out / "benchmark.html", page(rows, means).encode())


def page(rows: Sequence[Row], means: Sequence[Row]) -> str:
    """The whole page as text."""
    marked = sum(bool(row["development"]) for row in rows)
    note = f"{len(rows)} runs. {marked} of them were used in development: they are shown in grey and enter no mean that is called a score."
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>wattproof benchmark</title>", f"<style>{STYLE}</style>",
        "<h1>Benchmark</h1>", f"<p>{html.escape(note)}</p>",
        "<h2>Energy of the whole building, kWh (mean over seeds)</h2>", _bars(means, "total_kwh"),
        "<h2>HVAC and lighting, kWh (mean over seeds)</h2>", _bars(means, "hvac_light_kwh"),
        "<h2>Mean share of dissatisfied people (PPD), percent</h2>", _bars(means, "ppd_mean"),
        "<h2>Means over seeds</h2>", _table(means), "<h2>Every run</h2>", _table(rows), "</html>",
    ]  # fmt: skip
    return "\n".join(parts)


def _bars(means: Sequence[Row], name: str) -> str:
    most = max((float(m[name]) for m in means), default=0.0) or 1.0
    lines = []
    for n, mean in enumerate(means):
        y, width = n * (BAR_HEIGHT + 4), BAR_WIDTH * float(mean[name]) / most
        label = html.escape(f"{mean['model']}, {mean['weather']}, {mean['period']}")[-44:]
        colour = COLOURS.get(str(mean["controller"]), "#b0722f")
        lines += [
            f'<text x="0" y="{y + 12}" font-size="10">{label}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{colour}"/>',
            f'<text x="{LABEL_WIDTH + width + 6:.1f}" y="{y + 12}" font-size="11">{mean["controller"]} {float(mean[name]):,.1f}</text>',
        ]
    size = f'width="{LABEL_WIDTH + BAR_WIDTH + 160}" height="{len(means) * (BAR_HEIGHT + 4)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>' + "".join(lines) + "</svg>"


def _table(rows: Sequence[Row]) -> str:
    names = _names(rows)
    head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    body = []
    for row in rows:
        cells = "".join(f"<td>{html.escape(_cell(row.get(n, '')))}</td>" for n in names)
        marked = row.get("development") or row.get("score") is False
        body.append(f'<tr class="{"development" if marked else "score"}">{cells}</tr>')
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    sheet = csv.DictWriter(out, _names(rows), lineterminator="\n", restval="")
    sheet.writeheader()
    sheet.writerows(rows)
    return out.getvalue()


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> str:
    text = f"{value:,.2f}" if isinstance(value, float) else str(value)
    return text[:12] + "…" if len(text) == 64 else text  # a SHA-256: its head tells rows apart
