"""The emissions engine: grams from watt-hours, exact to the end and rounded half-even once, at the report line.

kg per kWh is g per Wh, so grams = Wh x factor. Gas: the meter's Wh count the lower heating value, so with the fuel's constants
m3 = Wh x 3600 J / NCV, and grams = J x carbon content x oxidation x 44/12 (Provincial Greenhouse Gas Inventory Guide, data/fuels.csv).
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction

from ledger.carbon.factors import Factor, FactorError, Fuel, potential, require_use

J_PER_WH = 3600
CO2_PER_CARBON = Fraction(44, 12)  # molar mass of CO2 over that of carbon, as the inventory guide rounds it
_J_PER_GJ = 10**9
_J_PER_TJ = 10**12
_G_PER_T = 10**6
NCV_QUANTITY = {"GJ/t": 1, "GJ/1e4Nm3": 10_000}  # how many of the fuel's units the calorific value speaks of: tonnes or normal cubic metres


@dataclass(frozen=True, slots=True)
class Certificate:
    """A green-power certificate matched with consumption; it may be used once in the life of the ledger."""

    id: str
    wh: int


def rounded(amount: Fraction) -> int:
    """To whole units, half to even: done once, where a line is reported."""
    return round(amount)


def scope2_location(wh: int, factor: Factor) -> Fraction:
    """Exact grams of purchased electricity by the grid's average."""
    require_use(factor, "scope2_location")
    return _energy(wh) * factor.exact


def scope2_market(wh: int, certificates: Iterable[Certificate], retired: Set[str], factor: Factor) -> Fraction:
    """Exact grams of what certificates do not cover, by the residual mix; a certificate used before is refused."""
    require_use(factor, "scope2_market")
    used: set[str] = set(retired)
    matched = 0
    for certificate in certificates:
        if certificate.id in used:
            raise FactorError(f"certificate {certificate.id} was retired already; each may be used once")
        used.add(certificate.id)
        matched += _energy(certificate.wh)
    return max(0, _energy(wh) - matched) * factor.exact


def scope1_fuel(quantity: Fraction, fuel: Fuel) -> Fraction:
    """Exact grams of CO2 from burning `quantity` of the fuel, in tonnes or normal cubic metres as its calorific value says."""
    return _grams_per_joule(fuel) * quantity * _joules_per_unit(fuel)


def scope1_gas(wh: int, fuel: Fuel) -> Fraction:
    """Exact grams of CO2 from metered heat of combustion (lower heating value)."""
    return _grams_per_joule(fuel) * _energy(wh) * J_PER_WH


def volume_m3(wh: int, fuel: Fuel) -> Fraction:
    """The gas volume that the metered heat stands for, by the fuel's net calorific value."""
    if fuel.ncv_unit != "GJ/1e4Nm3":
        raise FactorError(f"{fuel.name} is metered in {fuel.ncv_unit}; it has no volume here")
    return Fraction(_energy(wh) * J_PER_WH) / _joules_per_unit(fuel)


def refrigerant(lost_g: int, gas: str, gwp_set: str) -> Fraction:
    """Exact grams CO2e of refrigerant lost (charged minus recovered, or topped up)."""
    return _energy(lost_g) * potential(gas, gwp_set)


def report_line(parts: Iterable[Fraction]) -> int:
    """Whole grams of a line made of many exact parts: summed first, rounded once."""
    return rounded(sum(parts, Fraction(0)))


def split(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Share out whole units by largest remainder, so that the parts add up exactly; ties go to the smaller name."""
    whole = sum(weights.values())
    if whole <= 0 or min(weights.values()) < 0:
        raise FactorError(f"a split needs weights above 0, got {dict(weights)}")
    shares = {name: total * weight // whole for name, weight in weights.items()}
    remainders = sorted(weights, key=lambda name: (-(total * weights[name] % whole), name))
    for name in remainders[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def _joules_per_unit(fuel: Fuel) -> Fraction:
    return Fraction(fuel.ncv) * _J_PER_GJ / NCV_QUANTITY[fuel.ncv_unit]


def _grams_per_joule(fuel: Fuel) -> Fraction:
    tonnes_per_tj = Fraction(fuel.carbon_content_tc_per_tj) * Fraction(fuel.oxidation) * CO2_PER_CARBON
    return tonnes_per_tj * _G_PER_T / _J_PER_TJ


def _energy(amount: int) -> int:
    if type(amount) is not int or amount < 0:
        raise FactorError(f"an amount in the ledger is a whole number not below 0, got {amount!r}")
    return amount
