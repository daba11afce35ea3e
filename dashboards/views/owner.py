"""The owner's page: energy, money, carbon, comfort and devices."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from dashboards.building import Building
from dashboards.follow import Facts
from dashboards.views.energy import BASELINES, Saving, energy, used_kwh

CURRENCY: Final = {"CN": "¥", "US": "$", "GB": "£", "DE": "€", "FR": "€"}  # by the first part of the grid region
MEASURES: Final = (
    "ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent",
)  # fmt: skip
RUNS: Final = ("controlled", *BASELINES)
HOURS = 24


@dataclass(frozen=True, slots=True)
class Money:
    """What electricity cost so far, and what it would have cost on each baseline; in cents."""

    currency: str
    cents: float
    baseline_cents: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Claim:
    """One sealed emission claim of the site."""

    entry: int
    start: datetime
    end: datetime
    factor: str
    provisional: bool
    scope1_g: int
    scope2_g: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device: what it says of itself and who vouches for it."""

    name: str
    event: str
    at: datetime | None
    identity: str
    vouched: str  # own_certificate, gateway_fingerprint or not_enrolled


@dataclass(frozen=True, slots=True)
class OwnerView:
    """All that the page shows."""

    used_kwh: Mapping[str, float | None]  # whole, electricity, gas, hvac_light
    savings: tuple[Saving, ...]
    money: Money | None
    claims: tuple[Claim, ...]
    comfort: Mapping[str, Mapping[str, float]]  # run -> measure -> value
    devices: tuple[DeviceRow, ...]


def owner_view(facts: Facts, building: Building, prices: Sequence[float], claims: Iterable[Any], enrolments: Iterable[Any]) -> OwnerView:
    """Put the page together from the journal's facts, the tariff and the ledger's entries."""
    zone = building.site.zone
    scopes = ("whole", "electricity", "gas", "hvac_light")
    return OwnerView(
        {scope: used_kwh(facts, scope) if scope == "whole" else facts.score.get("energy_kwh", {}).get(scope) for scope in scopes},
        energy(facts).savings,
        money(facts, prices, zone, building.site.grid_region) if prices else None,
        tuple(_claim(e) for e in claims if isinstance(e.body, Mapping) and e.body.get("site") == building.site.name),
        {run: body for run in RUNS if (body := _comfort(facts, run))},
        device_rows(facts, enrolments, building),
    )


def read_tariff(path: Path) -> tuple[float, ...]:
    """The price of each hour of the day in cents per kWh; empty when the site has no readable tariff."""
    prices = [-1.0] * HOURS
    try:
        for row in csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()):
            for hour in range(int(row["from_hour"]), int(row["to_hour"])):
                prices[hour] = float(row["cents_per_kwh"])
    except (OSError, KeyError, ValueError, IndexError, TypeError):
        return ()
    return tuple(prices) if min(prices) >= 0 else ()


def money(facts: Facts, prices: Sequence[float], zone: tzinfo, grid_region: str) -> Money | None:
    """Electricity so far times the price of its hour, for the controlled building and each baseline over the same steps."""
    samples = list(facts.power)
    if len(samples) < 2:
        return None
    step_s = (samples[1][0] - samples[0][0]).total_seconds()
    cents = sum(kw * step_s / 3600 * _price(prices, at, step_s, zone) for at, kw in samples)
    baseline = {
        name: sum(_baseline_cents(facts.references[name], prices, zone, samples[-1][0])) for name in BASELINES if name in facts.references
    }
    return Money(CURRENCY.get(grid_region.partition("-")[0], ""), cents, baseline)


def device_rows(facts: Facts, enrolments: Iterable[Any], building: Building) -> tuple[DeviceRow, ...]:
    """Every connection of the site, with its newest event and who vouches for it in the ledger."""
    vouched: dict[str, str] = {}
    for entry in enrolments:
        body = entry.body if isinstance(entry.body, Mapping) else {}
        for name in filter(None, (body.get("connection"), body.get("device"), entry.source, body.get("source"))):
            vouched[str(name).rpartition(":")[2]] = vouching(entry, body)
    names = sorted({*building.site.connections, *facts.devices, *(name for name in vouched if name == "gateway")})
    return tuple(_device(name, facts, vouched) for name in names)


def vouching(entry: Any, body: Mapping[str, Any]) -> str:
    """Whether a device signs for itself or is known by its fingerprint only."""
    own = body.get("certificate") or "certificate" in str(entry.vouched_by)
    return "own_certificate" if own else "gateway_fingerprint"


def _device(name: str, facts: Facts, vouched: Mapping[str, str]) -> DeviceRow:
    row = facts.devices.get(name)
    fingerprint = row.body.get("fingerprint", {}) if row else {}
    identity = " · ".join(str(v) for k, v in sorted(fingerprint.items()) if v not in ("", None, 0) and k != "connection")
    return DeviceRow(name, row.body["event"] if row else "", row.at if row else None, identity, vouched.get(name, "not_enrolled"))


def _comfort(facts: Facts, run: str) -> Mapping[str, float]:
    body: Mapping[str, Any] = facts.score if run == "controlled" else facts.references.get(run, {})
    comfort: Mapping[str, float] = body.get("comfort", {})
    return comfort


def _claim(entry: Any) -> Claim:
    b = entry.body
    return Claim(
        entry.number,
        datetime.fromtimestamp(b["from_ms"] / 1000, UTC),
        datetime.fromtimestamp(b["to_ms"] / 1000, UTC),
        str(b["factor"]),
        bool(b.get("provisional")),
        int(b["scope1_g"]),
        int(b["scope2_location_g"]),
    )


def _price(prices: Sequence[float], at: datetime, step_s: float, zone: tzinfo) -> float:
    """The price at the middle of the step that ended at `at`."""
    return prices[(at - timedelta(seconds=step_s / 2)).astimezone(zone).hour]


def _baseline_cents(reference: Mapping[str, Any], prices: Sequence[float], zone: tzinfo, until: datetime) -> Iterable[float]:
    start, step_s = datetime.fromisoformat(reference["start"]), float(reference["step_s"])
    for i, kw in enumerate(reference["power_kw"]):
        at = start + timedelta(seconds=step_s * (i + 1))
        if at > until:
            return
        yield float(kw) * step_s / 3600 * _price(prices, at, step_s, zone)
