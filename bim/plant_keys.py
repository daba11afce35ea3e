"""Plant keys read as words: KKS codes of power and process plants, and the dotted keys (AKS) of German building automation."""

import re
from collections.abc import Iterator

from bim.tables import PlantCode, plant_codes

_KKS = re.compile(r"=?\d{0,2}(?P<system>[A-Z]{3})\d{2} ?-?(?P<thing>[A-Z]{2})\d{3}[A-Z]?")
_AKS = re.compile(r"=?[A-Z0-9ÄÖÜ]{1,6}(?:[._'+-][A-Z0-9ÄÖÜ]{1,6}){3,}")
_LETTERS = re.compile(r"[A-ZÄÖÜ]+")


def words_of_key(text: str) -> str:
    """What a name that is nothing but a plant key says in words, or empty: "0SAC10AN001" is a fan, "B1.RLT.01.ZUL.VEN.01" a supply fan."""
    name = text.strip()
    if kks := _KKS.fullmatch(name):
        return _of_kks(kks["system"], kks["thing"])
    return _of_aks(_LETTERS.findall(name)) if _AKS.fullmatch(name) else ""


def _of_kks(system: str, thing: str) -> str:
    """The equipment code names the thing ("AA" is a valve, in ventilation a damper); the system names the medium."""
    found = [row for row in plant_codes("KKS") if row.code == thing and system.startswith(row.system)]
    if not found:
        return ""
    medium = (row.says for row in plant_codes("KKS-system") if system.startswith(row.code))
    return " ".join([*medium, max(found, key=lambda row: len(row.system)).says])


def _of_aks(blocks: list[str]) -> str:
    """A key goes from the site to the part: the last known block is the thing, what stands before it tells the medium."""
    things = list(_known(blocks, "AKS"))
    return " ".join([things[-1].says, *(row.says for row in _known(blocks, "AKS-medium"))]) if things else ""


def _known(blocks: list[str], scheme: str) -> Iterator[PlantCode]:
    codes = {row.code: row for row in plant_codes(scheme)}
    return (codes[block] for block in blocks if block in codes)
