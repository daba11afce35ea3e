"""Property set templates of point addresses, as a model declares them: so that a designer's tool offers the right fields."""

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parent / "data" / "address_properties.csv"
_APPLIES_TO = "IfcDistributionElement"


def declare_templates(make: Callable[..., Any]) -> list[Any]:
    """One IfcPropertySetTemplate for each set of the table, made by `make(ifc_class, **attributes)`."""
    templates = []
    for name in dict.fromkeys(row["pset"] for row in _rows()):
        properties = [
            make(
                "IfcSimplePropertyTemplate",
                Name=row["property"],
                Description=f"{name}: {row['meaning']}",
                TemplateType="P_SINGLEVALUE",
                PrimaryMeasureType=row["measure"],
            )
            for row in _rows()
            if row["pset"] == name
        ]
        templates.append(
            make(
                "IfcPropertySetTemplate",
                Name=name,
                Description="Where the control system finds this point",
                TemplateType="PSET_OCCURRENCEDRIVEN",
                ApplicableEntity=_APPLIES_TO,
                HasPropertyTemplates=properties,
            )
        )
    return templates


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
