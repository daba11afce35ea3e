"""Names as design tools write them: spelt plainly, cut into segments, and the word that names the thing found."""

import csv
from pathlib import Path

import pytest

from bim import tables
from bim.named import named, passive_by_name
from bim.naming import mend, segments, spell

DATA = Path(__file__).parents[1] / "data" / "classify"


def means(*names: str) -> str:
    said = named(tuple(part for name in names for part in segments(name)))
    return said.brick.removeprefix("brick:") if said else "-"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("FanCoilUnit_FCU04", "fan coil unit fcu 04"),
        ("Lüftungsgerät-RLT", "lueftungsgeraet rlt"),
        ("CO2-Fühler", "co2 fuehler"),
        ("PM2.5传感器", "pm2.5传感器"),
        ("VAVBox", "vav box"),
        ("７０℃防火阀", "70°c防火阀"),
    ],
)
def test_a_name_is_spelt_plainly(name: str, spelt: str) -> None:
    assert spell(name) == spelt


def test_a_family_comes_before_its_type_and_the_number_is_no_word() -> None:
    assert segments("M_Supply Diffuser - Round:600x600 Face:431201") == ("m supply diffuser", "round", "0 x 0 face")
    assert segments("600x600:123456") == ()
    assert segments("AHU-1 with heat recovery") == ("ahu 0",)


@pytest.mark.parametrize(
    "broken", [r"L\X2\00FC\X0\ftungsger\X2\00E4\X0\t", "LÃ¼ftungsgerÃ¤t", "Lu\u0308ftungsgera\u0308t", "Lueftungsgeraet"]
)
def test_letters_that_an_exporter_broke_are_mended(broken: str) -> None:
    assert means(broken) == "AHU"


def test_a_name_that_is_not_broken_stays_as_it_is() -> None:
    assert mend("Ålesund façade") == "Ålesund façade"


@pytest.mark.parametrize(
    ("name", "thing"),
    [
        ("Fire Damper Actuator", "tw:Damper_Actuator"),  # English: the last word is the thing
        ("Feuchtefühler Abluftkanal", "Humidity_Sensor"),  # German: the first
        ("冷冻水供水温度传感器", "Temperature_Sensor"),  # Chinese: the last
        ("Boiler Room Light", "Luminaire"),
        ("Damper Actuator AHU-2", "tw:Damper_Actuator"),  # a tag behind the thing is its owner
        ("Antrieb BSK 12", "tw:Actuator"),
        ("Boiler Pump 2", "Pump"),
        ("Pump CHWP-2", "Chilled_Water_Pump"),  # a tag that says the same more exactly is its own
        ("Umwälzpumpe für Kessel 2", "Circulator_Pump"),
        ("LE-001", "-"),
    ],
)
def test_the_head_of_the_phrase_names_the_thing(name: str, thing: str) -> None:
    assert means(name) == thing


@pytest.mark.parametrize("row", rows("rule_examples.csv"), ids=lambda row: row["means"])
def test_each_example_means_what_it_says(row: dict[str, str]) -> None:
    names = row["names"].split("|")

    assert {name: means(name) for name in names} == dict.fromkeys(names, row["means"])


def test_every_rule_is_shown_by_an_example() -> None:
    shown = {row["means"] for row in rows("rule_examples.csv")}
    shown |= {means(row["name"], row["object_type"], row["type_name"]) for row in rows("element_names.csv")}
    shown |= {means(row["name"]) for row in rows("library_families.csv")}

    assert {rule.brick.removeprefix("brick:") for rule, _ in tables.name_rules()} <= shown


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("M_RPC Tree - Deciduous:Red Maple", "plant"),
        ("乔木-香樟", "plant"),
        ("Schreibtisch 160", "furniture"),
        ("Model Text:300mm Arial", "text on the drawing"),
        ("Projektnullpunkt", "mark on the drawing"),
        ("AHU_SUPPORT_FRAME", "a support or part of something"),
    ],
)
def test_proxies_that_are_no_equipment_say_why(name: str, why: str) -> None:
    found = passive_by_name(segments(name))

    assert found is not None
    assert found[0] == why
