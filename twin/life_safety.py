"""Life safety: what is never written, by Brick class, by IFC class and value, or by words in a name (English, German, Chinese)."""

import csv
import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from twin.graph import Graph, brick, class_name

TABLE = Path(__file__).parent / "life_safety.csv"
TOPS = (
    "Fire_Safety_Equipment", "Fire_Safety_System", "Fire_Sensor", "Pressurization_Fan", "Smoke_Alarm", "Emergency_Alarm", "Emergency_Phone",
    "Emergency_Generator_Status", "Emergency_Push_Button_Status", "Emergency_Air_Flow_System", "Emergency_Air_Flow_System_Status",
    "Emergency_Power_Off_System", "Emergency_Power_Off_System_Status", "Emergency_Wash_Station", "Fire_Sprinkler_Water_Storage_Tank",
    "Fire_Sprinkler_Thermal_Expansion_Tank", "Natural_Gas_Seismic_Shutoff_Valve",
    "Emergency_Luminaire", "Emergency_Stop", "Fire_Damper", "Gas_Detection_Panel", "Smoke_Damper",
)  # fmt: skip
"""The classes of Brick 1.5 and, in the last line, of our own at the top of life safety; all classes below are too, places are not."""
_WORD = re.compile(r"(^|_)(Fire|Smoke|Emergency|Life_Safety|Sprinkler|Evacuation|Escape|Seismic)(_|$)")
_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_CAMEL = re.compile(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])|(?<=[A-ZÄÖÜ])(?=[A-ZÄÖÜ][a-zäöüß])")
_APART = re.compile(r"[^a-z\u3400-\u9fff]+")  # everything else, numbers too, only parts words


def by_class(name: str) -> str:
    """Why a Brick class is life safety, or empty: it stands below one of TOPS, or its name says so (older Brick, others' classes)."""
    local = name.rpartition(":")[2]
    if any(brick().is_a(class_name(local), class_name(top)) for top in TOPS) or _WORD.search(local):
        return f"{local} is life safety by its class"
    return ""


def by_ifc(ifc_type: str) -> str:
    """Why an IFC class with its value, such as IfcDamper.FIREDAMPER or IfcDamperType.FIREDAMPER, is life safety; or empty."""
    ifc_class, _, value = ifc_type.partition(".")
    family = ifc_class.removesuffix("Type")
    return next((r["reason"] for r in rows() if r["ifc_class"] == family and r["predefined"] in ("", value)), "")


@lru_cache(50_000)
def by_name(name: str) -> str:
    """Why a thing of this name is life safety, with the words that say it; or empty."""
    spelt = _spelt(name)
    found = ((hit[0].strip(), reason) for pattern, reason in _patterns() if (hit := pattern.search(spelt)))
    return next((f"{reason} ({words})" for words, reason in found), "")


def life_safety(graph: Graph) -> set[str]:
    """Keys of the equipment and points of a twin that are life safety, whatever says so; parts of such equipment too.

    Names count where no importer weighed them: in models that others made.
    """
    found = {row["equipment"] for row in graph.ask("protected")} | {row["node"] for row in graph.ask("life_safety")}
    for row in graph.ask("equipment"):
        said = by_ifc(row["ifc_type"]) if row.get("ifc_type") else by_name(row["name"]) or by_name(row["equipment"])
        if said or by_class(row["class"]):
            found.add(row["equipment"])
    parts = graph.ask("parts")
    while more := {row["part"] for row in parts if row["whole"] in found} - found:
        found |= more
    return found


@cache
def rows() -> tuple[Mapping[str, str], ...]:
    """The table: an IFC class with its value (empty: any), or words of three languages; and the reason."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _spelt(name: str) -> str:
    """Lower case, ae for ä, camel case opened, one blank between words, no numbers."""
    plain = _CAMEL.sub(" ", unicodedata.normalize("NFKC", name)).lower().translate(_LETTERS)
    return _APART.sub(" ", plain).strip()


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """English words are whole, German ones may end a compound, a blank may be missing."""
    found = []
    for row in rows():
        kinds = [(row["en"], r"(?<![a-z])(?:", r")(?:s|es)?(?![a-z])"), (row["de"], "(?:", r")(?:e|en|n|s|er|es)?(?![a-z])")]
        kinds.append((row["zh"], "(?:", ")"))
        parts = [before + re.sub(r" (?![?*])", " ?", text.translate(_LETTERS)) + after for text, before, after in kinds if text]
        if parts:
            found.append((re.compile("|".join(parts)), row["reason"]))
    return tuple(found)
