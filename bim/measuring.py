"""Lengths, areas and volumes of a model in metres: by the project's units, or by a quantity's own unit, which counts before them."""

from collections.abc import Iterator
from typing import Any

import ifcopenshell.util.unit

_KINDS = {
    "IfcQuantityLength": ("LengthValue", 1),
    "IfcQuantityArea": ("AreaValue", 2),
    "IfcQuantityVolume": ("VolumeValue", 3),
}
_NAMES = ("LENGTHUNIT", "AREAUNIT", "VOLUMEUNIT")


class Units:
    """Factors from a model's units to metres, square metres and cubic metres; `notes` says what was missing and assumed."""

    def __init__(self, file: Any) -> None:
        stated = {unit.UnitType: unit for unit in assigned_units(file) if getattr(unit, "UnitType", None) in _NAMES}
        self.notes: list[str] = []
        length = _factor(stated.get("LENGTHUNIT"))
        if length is None:
            self.notes.append("the model states no unit of length; metres are assumed, so check one room's size")
        self.m = length or 1.0
        self.m2 = self._power(stated.get("AREAUNIT"), 2)
        self.m3 = self._power(stated.get("VOLUMEUNIT"), 3)

    def measures(self, definition: Any) -> Iterator[tuple[str, float]]:
        """Name and value of each quantity of a set, in metres; values that are missing or no numbers are left out."""
        for quantity in definition.Quantities or ():
            if quantity.is_a() not in _KINDS:
                continue
            attribute, power = _KINDS[quantity.is_a()]
            own = _factor(quantity.Unit) if quantity.Unit is not None else None
            factor = own if own is not None else (self.m, self.m2, self.m3)[power - 1]
            value = getattr(quantity, attribute, None)
            if isinstance(value, (int, float)):
                yield str(quantity.Name), float(value) * factor

    def _power(self, unit: Any, power: int) -> float:
        factor = _factor(unit)
        if factor is None:
            kind = "area" if power == 2 else "volume"
            self.notes.append(f"the model states no unit of {kind}; the one of its length is used")
            return float(self.m**power)
        return factor


def assigned_units(file: Any) -> Iterator[Any]:
    """The units that a model assigns to its project."""
    for assignment in file.by_type("IfcUnitAssignment")[:1]:
        yield from (unit for unit in assignment.Units or () if hasattr(unit, "is_a"))


def _factor(unit: Any) -> float | None:
    """Factor to the coherent SI unit; conversion units (foot, inch) by their own measure."""
    if unit is None:
        return None
    try:
        return _si_factor(unit)
    except (AttributeError, TypeError, ValueError, KeyError):
        return None


def _si_factor(unit: Any) -> float:
    factor = 1.0
    while unit.is_a("IfcConversionBasedUnit"):
        factor *= float(unit.ConversionFactor.ValueComponent.wrappedValue)
        unit = unit.ConversionFactor.UnitComponent
    dimension = {"SQUARE_METRE": 2, "CUBIC_METRE": 3}.get(unit.Name, 1)
    prefix = ifcopenshell.util.unit.prefixes.get(unit.Prefix, 1.0) if unit.Prefix else 1.0
    return factor * float(prefix) ** dimension
