"""Emission factors and emissions, against the worked figures of the inventory guide and the ministry's notices."""

from datetime import date
from fractions import Fraction

import pytest

from ledger.carbon import engine
from ledger.carbon.engine import Certificate
from ledger.carbon.factors import FactorError, all_factors, choose, exactly, factor_by_id, fuel_by_name, potential

TODAY = date(2026, 11, 23)
TONNE = 1_000_000


def test_ten_thousand_cubic_metres_of_gas_are_21_62188809_tonnes() -> None:
    assert engine.scope1_fuel(Fraction(10_000), fuel_by_name("natural_gas")) == Fraction("21.62188809") * TONNE


@pytest.mark.parametrize(("fuel", "tonnes"), [("diesel", "3.0959096373"), ("gasoline", "2.92505598"), ("lpg", "3.1013298213")])
def test_a_tonne_of_fuel_burns_to_the_published_carbon(fuel: str, tonnes: str) -> None:
    # The guide prints ten decimals of a value that goes on.
    assert abs(engine.scope1_fuel(Fraction(1), fuel_by_name(fuel)) - Fraction(tonnes) * TONNE) < Fraction(1, 10_000)


def test_metered_gas_heat_gives_the_same_grams_as_its_volume() -> None:
    gas = fuel_by_name("natural_gas")
    wh = 1_234_567
    assert engine.scope1_gas(wh, gas) == engine.scope1_fuel(engine.volume_m3(wh, gas), gas)
    assert engine.rounded(engine.scope1_gas(1_000_000, gas)) == 199_940  # 199.9 g per kWh of lower heating value


@pytest.mark.parametrize(
    ("region", "year", "tonnes"),
    [
        ("CN-SC", 2021, "313.75"), ("CN-SC", 2022, "351.00"), ("CN-SC", 2023, "391.00"),
        ("CN", 2021, "1392.0"), ("CN", 2022, "1341.5"), ("CN", 2023, "1326.5"),
    ],
)  # fmt: skip
def test_two_and_a_half_gigawatt_hours_emit_what_the_year_and_region_say(region: str, year: int, tonnes: str) -> None:
    factor = exactly("average", region, year, "MEE+NBS")
    assert engine.scope2_location(2_500_000_000, factor) == Fraction(tonnes) * TONNE


def test_a_product_footprint_factor_is_refused_for_scope_2() -> None:
    footprint = factor_by_id("lifecycle_footprint/CN/2024/MEE+NBS+NEA")
    assert footprint.value == "0.5777"
    with pytest.raises(FactorError, match="takes average factors only"):
        engine.scope2_location(2_500_000_000, footprint)
    with pytest.raises(FactorError, match="takes residual factors only"):
        engine.scope2_market(1, [], set(), footprint)


def test_china_2021_without_an_authority_is_refused() -> None:
    with pytest.raises(FactorError, match=r"2 values .*IEA 0\.6093.*name the authority"):
        exactly("average", "CN", 2021)
    with pytest.raises(FactorError, match="name the authority"):
        choose("scope2_location", "CN", 2021, TODAY)
    assert choose("scope2_location", "CN", 2021, TODAY, authority="MEE+NBS").factor.value == "0.5568"


@pytest.mark.parametrize(("kind", "year", "wrong"), [("average", 2021, "0.5366"), ("average", 2022, "0.5703"), ("average", 2022, "0.5568")])
def test_values_that_circulate_under_the_wrong_year_or_kind_are_not_ours(kind: str, year: int, wrong: str) -> None:
    assert exactly(kind, "CN", year, "MEE+NBS").value != wrong


def test_xinjiang_has_no_0_5312_in_any_year() -> None:
    assert not [f for f in all_factors().values() if f.region == "CN-XJ" and f.value == "0.5312"]


def test_tibet_needs_an_open_fallback() -> None:
    with pytest.raises(FactorError, match="CN-XZ has no published average factor"):
        choose("scope2_location", "CN-XZ", 2025, TODAY)
    chosen = choose("scope2_location", "CN-XZ", 2025, TODAY, fallback_region="CN-GRID-SW")
    assert (chosen.factor.region, chosen.fallback_for, chosen.provisional) == ("CN-GRID-SW", "CN-XZ", True)


def test_a_report_uses_only_what_was_published_by_its_day() -> None:
    before = choose("scope2_location", "CN-GD", 2025, date(2025, 12, 30))
    after = choose("scope2_location", "CN-GD", 2025, date(2025, 12, 31))
    assert (before.factor.id, after.factor.id) == ("average/CN-GD/2022/MEE+NBS", "average/CN-GD/2023/MEE+NBS")
    with pytest.raises(FactorError, match="was published by 2024-01-01"):
        choose("scope2_location", "CN-GD", 2025, date(2024, 1, 1))


def test_activity_never_takes_a_factor_of_a_later_year_and_older_data_are_provisional() -> None:
    assert choose("scope2_location", "CN-GD", 2022, TODAY).factor.year == 2022
    assert not choose("scope2_location", "CN-GD", 2022, TODAY).provisional
    assert choose("scope2_location", "CN-GD", 2025, TODAY).provisional


def test_a_certificate_counts_once() -> None:
    residual = choose("scope2_market", "CN", 2023, TODAY).factor
    green = [Certificate("GEC-1", 400), Certificate("GEC-2", 100)]
    assert engine.scope2_market(1_000, green, set(), residual) == 500 * Fraction("0.6096")
    assert engine.scope2_market(300, green, set(), residual) == 0
    with pytest.raises(FactorError, match="GEC-1 was retired already"):
        engine.scope2_market(1_000, green, {"GEC-1"}, residual)
    with pytest.raises(FactorError, match="GEC-2 was retired already"):
        engine.scope2_market(1_000, [green[1], green[1]], set(), residual)


def test_a_line_is_summed_exactly_and_rounded_once_half_to_even() -> None:
    half = Fraction(1, 2)
    assert [engine.rounded(n + half) for n in range(4)] == [0, 2, 2, 4]
    assert engine.report_line([half] * 24) == 12


def test_amounts_in_the_ledger_are_whole_and_not_negative() -> None:
    factor = factor_by_id("average/CN-GD/2023/MEE+NBS")
    for amount in (-1, 1.0, True):
        with pytest.raises(FactorError, match="a whole number"):
            engine.scope2_location(amount, factor)  # type: ignore[arg-type]


def test_refrigerant_needs_a_named_set() -> None:
    assert engine.refrigerant(1_000, "R-32", "AR6") == 771_000
    assert potential("R-410A", "AR5") == 1924
    with pytest.raises(FactorError, match="name AR5 or AR6"):
        engine.refrigerant(1_000, "R-32", "")


def test_split_shares_add_up_exactly() -> None:
    assert engine.split(100, {"a": 1, "b": 1, "c": 1}) == {"a": 34, "b": 33, "c": 33}
    assert sum(engine.split(1_000_003, {"owner": 7, "tenant": 5, "bank": 2}).values()) == 1_000_003


def test_every_factor_is_an_exact_text_with_source_and_confidence() -> None:
    assert len(all_factors()) == 125
    for factor in all_factors().values():
        assert factor.source
        assert factor.confidence in ("confirmed", "single_source", "memory")
        assert factor.exact > 0
