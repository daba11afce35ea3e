"""What stands in other models already when a design is drawn beside them: storeys, rooms and equipment, each under its own GlobalId."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bim.placements import Xyz
from bim.writing import KnownRoom


@dataclass(frozen=True)
class KnownElement:
    """A piece of equipment found in a model."""

    global_id: str
    ifc_class: str
    name: str
    position: Xyz


@dataclass(frozen=True)
class Known:
    """Storeys as (GlobalId, name) in the design's order; rooms by zone; equipment by the name that the design gives its part.

    `zones` names the zones of the design that another model states itself.
    """

    storeys: tuple[tuple[str, str], ...] = ()
    rooms: Mapping[str, tuple[KnownRoom, ...]] = field(default_factory=dict)
    equipment: Mapping[str, KnownElement] = field(default_factory=dict)
    zones: frozenset[str] = frozenset()


NOTHING_KNOWN = Known()
