"""The share of a model that the twin names: (mapped - generic) / (total - passive), for each trade."""

from collections import Counter
from collections.abc import Iterable, Iterator

from bim.classifying import Classified, Coverage
from bim.inventory import Group, Place
from bim.tables import mapping

TRADES = {  # domain of the tables -> trade that the share is told for; safety, transport and communication are in `all` only
    "air": "hvac",
    "water": "hvac",
    "sensor": "hvac",
    "control": "hvac",
    "lighting": "lighting",
    "electrical": "electrical",
    "meter": "electrical",
    "spatial": "spatial",
}


def shares(verdicts: Iterable[Classified], places: Iterable[Place], zones: Iterable[Group]) -> dict[str, float | None]:
    """Percent by trade and over all elements; None where the model holds nothing of a trade. Places and zones make up `spatial`."""
    named: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for trade, is_named in _elements(verdicts):
        total.update((trade, "all"))
        named.update((trade, "all") if is_named else ())
    for is_named in (*_places(places), *_zones(zones)):
        total["spatial"] += 1
        named["spatial"] += is_named
    return {trade: _percent(named[trade], total[trade]) for trade in ("hvac", "lighting", "electrical", "spatial", "all")}


def _elements(verdicts: Iterable[Classified]) -> Iterator[tuple[str, bool]]:
    """Trade of each element that is not passive, and whether it has a class that says more than a family."""
    for verdict in verdicts:
        if verdict.coverage is not Coverage.PASSIVE:
            named = verdict.coverage is Coverage.MAPPED and verdict.match != "generic"
            yield TRADES.get(verdict.domain, "other"), named


def _places(places: Iterable[Place]) -> Iterator[bool]:
    for place in places:
        row = mapping().get((place.ifc_class, place.predefined)) or mapping().get((place.ifc_class, ""))
        if row is None or row.match != "skip":
            yield row is not None and row.match != "generic"


def _zones(zones: Iterable[Group]) -> Iterator[bool]:
    for zone in zones:
        row = mapping().get((zone.ifc_class, zone.predefined)) or mapping().get((zone.ifc_class, ""))
        yield row is not None and row.match != "generic"


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None
