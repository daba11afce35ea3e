"""What equipment is rated for: powers, flows, pressures, voltages of its property sets, from project units to SI."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ifcopenshell.util.unit

from bim.inventory import Inventory
from bim.measuring import assigned_units
from bim.opening import DAMAGED, Model
from bim.placements import Ref
from bim.tables import measures

RATINGS_MOST = 40  # of one piece of equipment; more is a schedule, not a name plate


@dataclass(frozen=True, slots=True)
class Rating:
    """One property: its name, the set it stands in, the value in an SI unit and that unit in QUDT."""

    name: str
    pset: str
    value: float
    unit: str


def ratings_of(
    models: Sequence[Model], inventory: Inventory, equipment: Collection[Ref]
) -> tuple[dict[Ref, tuple[Rating, ...]], list[str]]:
    """The ratings of each piece of equipment, its own before its type's; and what was left out, for want of a unit."""
    sheets = [_Sheets(model.file) for model in models]
    found = {}
    for ref in equipment:
        named: dict[str, Rating] = {}
        for number in inventory.sets.get(ref, ()):
            for rating in sheets[ref[0]].ratings(number):
                named.setdefault(rating.name, rating)
        if named:
            found[ref] = tuple(sorted(named.values(), key=lambda r: (r.pset, r.name))[:RATINGS_MOST])
    notes = [
        f"{model.path.name}: {sheet.without_unit} property values have no unit ({', '.join(sorted(sheet.missing))}) and were left out; "
        "assign these units to the project and export it again"
        for model, sheet in zip(models, sheets, strict=True)
        if sheet.without_unit
    ]
    return found, notes


class _Sheets:
    """The property sets of one model, each read once: one set often serves many elements."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._read: dict[int, tuple[Rating, ...]] = {}
        self._units = {unit.UnitType: unit for unit in assigned_units(file) if getattr(unit, "UnitType", None)}
        self.without_unit, self.missing = 0, set[str]()

    def ratings(self, number: int) -> tuple[Rating, ...]:
        """The ratings in the property set of this entity number; a damaged property is left out."""
        if number not in self._read:
            definition = self._file.by_id(number)
            self._read[number] = tuple(self._of(definition, measures()))
        return self._read[number]

    def _of(self, definition: Any, known: Mapping[str, tuple[str, str, float]]) -> Iterator[Rating]:
        for prop in getattr(definition, "HasProperties", None) or ():
            try:
                value = prop.NominalValue if prop.is_a("IfcPropertySingleValue") else None
                if value is None or value.is_a() not in known or not isinstance(value.wrappedValue, (int, float)):
                    continue
                kind, qudt, factor = known[value.is_a()]
                unit = prop.Unit or self._units.get(kind)
                if unit is None:
                    self.without_unit += 1
                    self.missing.add(kind)
                    continue
                converted = float(value.wrappedValue) * float(ifcopenshell.util.unit.get_unit_scale(unit)) * factor
                if math.isfinite(converted):
                    yield Rating(str(prop.Name), str(definition.Name or ""), converted, qudt)
            except DAMAGED:
                continue
