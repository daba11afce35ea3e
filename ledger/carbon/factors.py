"""The factor registry: every emission factor is a record with kind, region, data year, authority and source; a doubtful choice is refused.

FactorError is raised when nothing fits, when two records fit, or when a factor of the wrong kind is asked for.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from pathlib import Path

from ledger.errors import LedgerError

DATA = Path(__file__).parent / "data"
KINDS_OF_USE = {
    # what the factor is used for -> the only kind that may be used for it (GHG Protocol Scope 2 guidance; notices in data/README.md)
    "scope2_location": "average",
    "scope2_market": "residual",
    "ets_report": "ets_reporting",
    "product_footprint": "lifecycle_footprint",
}
OFFICIAL = "MEE+NBS"  # who publishes the factors that Chinese buildings report with


class FactorError(LedgerError):
    """No factor, two factors or a factor of the wrong kind; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Factor:
    """One published emission factor; `value` is the exact text in kg per kWh, which is g per Wh."""

    kind: str
    region: str
    year: int
    authority: str
    value: str
    published: date
    source: str
    confidence: str

    def __post_init__(self) -> None:
        try:
            if Decimal(self.value) < 0:
                raise FactorError(f"{self.id}: a factor cannot be negative, got {self.value}")
        except InvalidOperation:
            raise FactorError(f"{self.id}: a factor is an exact decimal number, got {self.value!r}") from None

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.region}/{self.year}/{self.authority}"

    @property
    def exact(self) -> Fraction:
        """Grams per watt-hour, exactly."""
        return Fraction(self.value)


@dataclass(frozen=True, slots=True)
class Fuel:
    """A fuel's constants as exact texts; see data/fuels.csv for units and source."""

    name: str
    ncv: str
    ncv_unit: str
    carbon_content_tc_per_tj: str
    oxidation: str
    source: str
    confidence: str

    @property
    def id(self) -> str:
        return f"fuel/{self.name}/inventory-guide-2025"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A factor with what must stand beside it in a report: whether newer data may still come, and which fall-back was taken."""

    factor: Factor
    provisional: bool  # the data year lies before the activity year: restate when the right year is published
    fallback_for: str = ""  # the region that has no value of its own


@cache
def all_factors() -> Mapping[str, Factor]:
    """Every grid factor by id; a second row with the same id is a mistake in the table."""
    published = {(r["kind"], r["authority"], r["year"]): date.fromisoformat(r["published"]) for r in _rows("publications.csv")}
    factors: dict[str, Factor] = {}
    for row in _rows("china_grid_factors.csv"):
        day = published[row["kind"], row["authority"], row["year"]]
        value = row["value_kgco2_per_kwh"]
        factor = Factor(
            row["kind"], row["region_code"], int(row["year"]), row["authority"], value, day, row["source"], row["confidence"]
        )  # fmt: skip
        if factor.id in factors:
            raise FactorError(f"{factor.id} stands twice in china_grid_factors.csv; keep one row")
        factors[factor.id] = factor
    return factors


@cache
def all_fuels() -> Mapping[str, Fuel]:
    """Every fuel by name."""
    keys = ("fuel", "ncv", "ncv_unit", "carbon_content_tc_per_tj", "oxidation", "source", "confidence")
    return {row["fuel"]: Fuel(*(row[key] for key in keys)) for row in _rows("fuels.csv")}


@cache
def _potentials() -> Mapping[tuple[str, str], str]:
    return {(row["gas"], row["gwp_set"]): row["gwp100"] for row in _rows("gwp.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def factor_by_id(factor_id: str) -> Factor:
    """The record with this id; FactorError when the registry has none."""
    try:
        return all_factors()[factor_id]
    except KeyError:
        raise FactorError(f"{factor_id}: no such factor record; the registry is ledger/carbon/data/china_grid_factors.csv") from None


def fuel_by_name(name: str) -> Fuel:
    """The fuel's constants; FactorError for an unknown fuel."""
    try:
        return all_fuels()[name]
    except KeyError:
        raise FactorError(f"{name}: no such fuel; known are {', '.join(sorted(all_fuels()))}") from None


def potential(gas: str, gwp_set: str) -> Fraction:
    """The warming potential of `gas` in the named set (AR5 or AR6: never both in one report)."""
    try:
        return Fraction(_potentials()[gas, gwp_set])
    except KeyError:
        raise FactorError(f"{gas} in set {gwp_set or '(none named)'}: no such value; name AR5 or AR6 and a gas of gwp.csv") from None


def exactly(kind: str, region: str, year: int, authority: str = "") -> Factor:
    """The one factor of this kind, region and data year; two authorities without a choice are refused, never guessed."""
    found = [f for f in all_factors().values() if (f.kind, f.region, f.year) == (kind, region, year) and authority in ("", f.authority)]
    if not found:
        raise FactorError(f"no {kind} factor for {region}, data year {year}{f' by {authority}' if authority else ''}")
    if len(found) > 1:
        raise FactorError(
            f"{kind} {region} {year} has {len(found)} values ({', '.join(f'{f.authority} {f.value}' for f in found)}); name the authority"
        )
    return found[0]


def choose(use: str, region: str, activity_year: int, report_day: date, *, authority: str = "", fallback_region: str = "") -> Chosen:
    """The factor a report must use: newest data year not after the activity, published by the day of the report.

    A region without a value of its own is refused unless `fallback_region` is named; the choice then says so.
    """
    if use not in KINDS_OF_USE:
        raise FactorError(f"{use!r} is not a use of factors; expected one of {', '.join(KINDS_OF_USE)}")
    kind = KINDS_OF_USE[use]
    ours = [f for f in all_factors().values() if f.kind == kind and f.region == region]
    if not ours and fallback_region:
        chosen = choose(use, fallback_region, activity_year, report_day, authority=authority)
        return Chosen(chosen.factor, chosen.provisional, fallback_for=region)
    if not ours:
        raise FactorError(f"{region} has no published {kind} factor; name a fall-back region openly or report no figure")
    usable = [f for f in ours if f.year <= activity_year and f.published <= report_day and authority in ("", f.authority)]
    if not usable:
        by = f" by {authority}" if authority else ""
        raise FactorError(f"{region}: no {kind} factor{by} for activity in {activity_year} was published by {report_day}")
    factor = exactly(kind, region, max(f.year for f in usable), authority)
    return Chosen(factor, provisional=factor.year < activity_year)


def require_use(factor: Factor, use: str) -> None:
    """FactorError unless the factor is of the kind that this use demands."""
    wanted = KINDS_OF_USE[use]
    if factor.kind != wanted:
        raise FactorError(f"{factor.id} is of kind {factor.kind}; {use} takes {wanted} factors only")
