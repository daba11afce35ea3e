"""How many elements ifcopenshell's own Brick mapping names, beside ours, in the same model: the peer of the share."""

from dataclasses import dataclass
from pathlib import Path

import ifcopenshell.util.brick

from bim.classifying import Coverage, classify
from bim.inventory import take_inventory
from bim.opening import open_model
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
    model = open_model(path)
    verdicts = ((element, classify(element)) for element in take_inventory([model]).elements.values())
    pairs = [(element, verdict) for element, verdict in verdicts if verdict.coverage is not Coverage.PASSIVE]
    ours = sum(verdict.coverage is Coverage.MAPPED and _says_something(verdict.brick) for _, verdict in pairs)
    theirs = (ifcopenshell.util.brick.get_brick_type(model.file.by_id(element.ref[1])) for element, _ in pairs)
    return Named(len(pairs), ours, sum(_says_something(f"brick:{(name or '').rpartition('#')[2]}") for name in theirs))


def _says_something(name: str) -> bool:
    known = name in brick().classes and name not in brick().deprecated
    return known and name not in general_classes()
