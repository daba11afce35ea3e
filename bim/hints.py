"""What a model says of an element beside its class: its systems, the direction of its ports, its property sets and its codes."""

import re
from collections.abc import Iterator
from typing import Any

from bim.tables import hint_properties

_STANDARD_PSET = re.compile(r"Pset_([A-Z][A-Za-z]+?)(?:Type|Occurrence|PHistory)")
_MOST_VALUES = 200  # properties of one set; a longer set is a schedule, not a description


class Hints:
    """Gathered while the relations are read; `of` gives what belongs to one element."""

    def __init__(self) -> None:
        self._systems: dict[int, dict[tuple[str, str], None]] = {}
        self._flows: dict[int, list[str]] = {}
        self._classes: dict[int, dict[str, None]] = {}
        self._codes: dict[int, dict[tuple[str, str], None]] = {}
        self._titles: dict[int, dict[str, None]] = {}
        self._read: dict[int, tuple[tuple[str, str], ...]] = {}  # property set -> its hints; one set often serves many elements

    def system(self, item: int, name: str, predefined: str) -> None:
        """The element belongs to a system, or a port of it carries a medium."""
        self._systems.setdefault(item, {})[name, predefined] = None

    def port(self, item: int, flow: str) -> None:
        """The element has a port with this direction."""
        self._flows.setdefault(item, []).append(flow)

    def property_set(self, item: int, definition: Any) -> None:
        """A standard set names the class it is made for; a few properties name the system or the category."""
        if fits := _STANDARD_PSET.match(str(definition.Name or "")):
            self._classes.setdefault(item, {})[f"Ifc{fits[1]}"] = None
        if definition.id() not in self._read:
            self._read[definition.id()] = tuple(_said(definition))
        for means, text in self._read[definition.id()]:
            if means == "system":
                self.system(item, text, "")
            else:
                self._titles.setdefault(item, {})[text] = None

    def code(self, item: int, system: str, code: str, title: str) -> None:
        """A code of a classification, with its title."""
        if code:
            self._codes.setdefault(item, {})[system, code] = None
        if title:
            self._titles.setdefault(item, {})[title] = None

    def of(self, item: int, kind: int | None) -> dict[str, Any]:
        """The fields of an Element: its own hints and those of its type."""
        both = [ref for ref in (item, kind) if ref is not None]
        return {
            "systems": tuple(self._systems.get(item, ())),
            "flows": tuple(self._flows.get(item, ())),
            "pset_classes": tuple(dict.fromkeys(name for ref in both for name in self._classes.get(ref, ()))),
            "codes": tuple(dict.fromkeys(code for ref in both for code in self._codes.get(ref, ()))),
            "titles": tuple(dict.fromkeys(title for ref in both for title in self._titles.get(ref, ()))),
        }


def _said(definition: Any) -> Iterator[tuple[str, str]]:
    listed = hint_properties()
    for prop in (getattr(definition, "HasProperties", None) or ())[:_MOST_VALUES]:
        means = listed.get(str(getattr(prop, "Name", "")))
        value = getattr(prop, "NominalValue", None) if means else None
        if means and value is not None and isinstance(value.wrappedValue, str) and value.wrappedValue:
            yield means, value.wrappedValue
