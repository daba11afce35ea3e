"""Charts: one configuration for all, so that no chart offers to send its data away and all follow the page's language."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

PLOTLY_ZH = {
    "moduleType": "locale",
    "name": "zh-CN",
    "dictionary": {
        "Zoom": "缩放", "Pan": "平移", "Reset axes": "重置", "Autoscale": "自动缩放",
        "Zoom in": "放大", "Zoom out": "缩小", "Download plot as a PNG": "下载图片",
    },
    "format": {
        "days": [f"星期{d}" for d in "日一二三四五六"],
        "shortDays": list("日一二三四五六"),
        "months": [f"{m}月" for m in range(1, 13)],
        "shortMonths": [f"{m}月" for m in range(1, 13)],
        "date": "%Y-%m-%d",
    },
}  # fmt: skip


def chart_config(lang: str) -> dict[str, Any]:
    """The only chart configuration: nothing leaves the building, words in the page's language."""
    return {
        "showSendToCloud": False,
        "plotlyServerURL": "",
        "displaylogo": False,
        "responsive": True,
        "displayModeBar": "hover",
        "modeBarButtonsToRemove": ["select2d", "lasso2d"],
        "locale": "zh-CN" if lang == "zh" else "en",
        "locales": {"zh-CN": PLOTLY_ZH},
    }


def chart(name: str, label: str, lang: str, height_px: int = 260) -> Any:
    """An empty chart; the page's script fills `<name>` from the lines that the live loop sends."""
    graph = dcc.Graph(id=name, config=chart_config(lang), style={"height": f"{height_px}px"}, figure=empty_figure())
    return html.Figure(html.Div(graph, role="group", **{"aria-label": label}))


def empty_figure() -> Mapping[str, Any]:
    """Axes without lines, in no template: colours come from the page."""
    return {
        "data": [],
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "margin": {"l": 46, "r": 8, "t": 8, "b": 30},
            "xaxis": {"visible": False}, "yaxis": {"visible": False},
        },
    }  # fmt: skip
