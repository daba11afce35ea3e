"""The owner's page: what was used and saved, what it cost, what it emitted, at which comfort, and who vouches for it."""

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboards.building import Building
from dashboards.desk import Desk
from dashboards.parts.charts import chart
from dashboards.parts.frames import panel, table, tile
from dashboards.parts.numbers import MISSING, clock_time, number
from dashboards.texts import texts
from dashboards.views.energy import power_lines
from dashboards.views.owner import MEASURES, Money, OwnerView, owner_view, read_tariff

CLAIMS_SHOWN = 48  # two days of hours; all of them are in the ledger
Words = Mapping[str, str]
TILES = {"used": "whole", "cost": "cost", "emissions": "emissions", "saved-bau": "saved_bau", "saved-code": "saved_code"}


def layout(desk: Desk, lang: str) -> Any:
    """The page without values; the live loop fills it."""
    words = texts(lang)
    return html.Div(
        [
            html.H1(words["owner_title"], className="page-title"),
            html.P(words["owner_note"], className="quiet"),
            html.Div([tile(f"own-{name}", words[label]) for name, label in TILES.items()], className="tiles"),
            html.Div(
                [
                    panel(words["energy_table"], [html.Div(id="own-energy")]),
                    panel(words["power"], [chart("power-chart", words["power_note"], lang, 220)]),
                    panel(words["comfort_table"], [html.Div(id="own-comfort")]),
                    panel(words["claims_table"], [html.Div(id="own-claims", className="tall")]),
                    panel(words["devices"], [html.Div(id="own-devices")], "full"),
                ],
                className="columns even",
            ),
        ]
    )


def live(desk: Desk, lang: str) -> dict[str, Any]:
    """Everything that moves on this page."""
    words, site = texts(lang), desk.building.site
    claims, enrolments = desk.entries(("emission.period",), 2000), desk.entries(("device.enrol", "device.rotate"), 500)
    prices = read_tariff(site.folder / "tariff.csv")
    view, lines = desk.look(lambda facts: (owner_view(facts, desk.building, prices, claims, enrolments), power_lines(facts)))
    drawn = [
        {"key": line.key, "at": [at.astimezone(site.zone).strftime("%Y-%m-%d %H:%M:%S") for at in line.at], "kw": line.kw} for line in lines
    ]
    return {"props": {**_tiles(view, words), **_tables(view, desk.building, words)}, "power": drawn}


def _tiles(view: OwnerView, words: Words) -> dict[str, dict[str, Any]]:
    parts = [f"{words[k]} {number(view.used_kwh[k], 0)}" for k in ("electricity", "gas") if view.used_kwh.get(k) is not None]
    grams = sum(c.scope1_g + c.scope2_g for c in view.claims)
    values = {
        "used": (f"{number(view.used_kwh['whole'], 0)} kWh", " · ".join(parts)),
        "cost": _cost(view.money, words),
        "emissions": (
            (f"{number(grams / 1000, 0)} kg CO₂e", words["claims_note"].format(n=len(view.claims)))
            if view.claims
            else (MISSING, words["claims_none"])
        ),
    }
    for name in ("bau", "code"):
        saving = next((s for s in view.savings if s.baseline == name), None)
        if saving is None:
            values[f"saved-{name}"] = (MISSING, words["against_simulated"])
        else:
            note = words[f"saved_note_{saving.scope}"].format(saved=number(saving.saved_kwh, 0), kwh=number(saving.baseline_kwh, 0))
            values[f"saved-{name}"] = (f"{saving.saved_percent:.1f} %", note)
    return {f"own-{k}-{part}": {"children": v[i]} for k, v in values.items() for i, part in enumerate(("value", "note"))}


def _cost(money: Money | None, words: Words) -> tuple[str, str]:
    if money is None:
        return MISSING, words["tariff_none"]
    saved = [f"{words[name]} {_money(cents, money.currency)}" for name, cents in money.baseline_cents.items()]
    return _money(money.cents, money.currency), " · ".join(saved) or words["tariff_note"]


def _money(cents: float, currency: str) -> str:
    return f"{currency}{number(cents / 100, 0)}"


def _tables(view: OwnerView, building: Building, words: Words) -> dict[str, dict[str, Any]]:
    zone = building.site.zone
    savings = [
        [words[s.baseline], words[s.scope], number(s.baseline_kwh, 0), number(s.baseline_kwh - s.saved_kwh, 0), number(s.saved_kwh, 0),
         f"{s.saved_percent:.1f}"]
        for s in view.savings
    ]  # fmt: skip
    runs = list(view.comfort)
    comfort = [[words[m], *[number(view.comfort[run].get(m), 2) for run in runs]] for m in MEASURES]
    claims = [
        [f"{clock_time(c.start, zone)} – {clock_time(c.end, zone, '%H:%M')}", c.factor + (" *" if c.provisional else ""),
         number(c.scope1_g / 1000, 2), number(c.scope2_g / 1000, 2), f"{c.entry}"]
        for c in view.claims[:CLAIMS_SHOWN]
    ]  # fmt: skip
    devices = [
        [
            d.name,
            words[d.vouched],
            d.identity or MISSING,
            f"{words.get(f'event_{d.event}', MISSING)} {clock_time(d.at, zone) if d.at else ''}",
        ]
        for d in view.devices
    ]
    heads = {
        "energy": ("baseline", "scope", "baseline_kwh", "used_kwh", "saved_kwh", "saved_percent"),
        "claims": ("period", "factor", "scope1", "scope2", "entry"),
        "devices": ("device", "vouched", "identity", "seen_last"),
    }
    made = {
        name: table([words[h] for h in keys], rows) for (name, keys), rows in zip(heads.items(), (savings, claims, devices), strict=True)
    }
    if any(c.provisional for c in view.claims[:CLAIMS_SHOWN]):
        made["claims"] = html.Div([made["claims"], html.P(words["provisional"], className="quiet")])
    made["comfort"] = table([words["run"], *[words[f"run_{run}"] for run in runs]], comfort)
    return {f"own-{name}": {"children": content} for name, content in made.items()}
