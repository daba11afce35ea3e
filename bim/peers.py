"""How many elements ifcopenshell's own Brick mapping names, beside ours, in the same model: the peer of the share."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import ifcopenshell.util.brick

from bim.classifying import Coverage, classify
from bim.inventory import take_inventory
from bim.opening import open_model
from bim.shares import TRADES
from bim.tables import general_classes
from twin.graph import brick


@dataclass(frozen=True, slots=True)
class Named:
    """Of the elements that are not passive: how many get a class that says more than a family."""

    of: int
    ours: int
    peer: int


def named_in(path: Path) -> Named:
    """Both mappings on one model; the elements are those that our closed lists leave."""
    return named_by_trade(path)["all"]


def named_by_trade(path: Path) -> dict[str, Named]:
    """The same for each trade that the model holds (hvac, lighting, electrical, other) and for `all`."""
    model = open_model(path)
    of, ours, theirs = Counter({"all": 0}), Counter[str](), Counter[str]()
    for element in take_inventory([model]).elements.values():
        verdict = classify(element)
        if verdict.coverage is Coverage.PASSIVE:
            continue
        peer = ifcopenshell.util.brick.get_brick_type(model.file.by_id(element.ref[1])) or ""
        for trade in (TRADES.get(verdict.domain, "other"), "all"):
            of[trade] += 1
            ours[trade] += verdict.coverage is Coverage.MAPPED and _says_something(verdict.brick)
            theirs[trade] += _says_something(f"brick:{peer.rpartition('#')[2]}")
    return {trade: Named(of[trade], ours[trade], theirs[trade]) for trade in of}


def _says_something(name: str) -> bool:
    known = name in brick().classes and name not in brick().deprecated
    return known and name not in general_classes()
