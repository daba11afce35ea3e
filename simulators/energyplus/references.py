"""Follow the references of an EnergyPlus model: its names ignore case, and lists of zones stand for their members."""

from collections.abc import Iterator
from typing import Any

Model = dict[str, Any]

ZONE_FIELDS = ("zone_or_zonelist_or_space_or_spacelist_name", "zone_or_zonelist_name", "zone_or_zonelist_or_space_name", "zone_name")
ONE_FOR_EACH_ZONE = ("People", "Lights", "ZoneControl:Thermostat")
"""Objects that may stand for a whole list of zones; split, so that each zone has its own to be moved."""


def named(model: Model, kind: str, name: str) -> Model:
    """The object of a kind by its name in any case; an empty one where the model has none."""
    objects = model.get(kind, {})
    if name in objects:
        return dict(objects[name])
    return next((dict(o) for n, o in objects.items() if n.lower() == name.lower()), {})


def exact(model: Model, kind: str, name: str) -> str:
    """A name as its object writes it; the name itself where there is no such object."""
    return next((n for n in model.get(kind, {}) if n.lower() == name.lower()), name)


def kind_of(model: Model, prefix: str, name: str) -> str:
    """The kind, among those that begin with `prefix`, of which an object has this name; empty if there is none."""
    return next((k for k in sorted(model) if k.startswith(prefix) and any(n.lower() == name.lower() for n in model[k])), "")


def zone_of(model: Model, name: str) -> list[str]:
    """The zones that a name of a zone, zone list, space or space list stands for, as the zones write themselves."""
    zones = {n.lower(): n for n in model["Zone"]}
    if name.lower() in zones:
        return [zones[name.lower()]]
    if members := named(model, "ZoneList", name).get("zones"):
        return [z for m in members for z in zone_of(model, m["zone_name"])]
    if space := named(model, "Space", name):
        return zone_of(model, space["zone_name"])
    if members := named(model, "SpaceList", name).get("spaces"):
        return list(dict.fromkeys(z for m in members for z in zone_of(model, m["space_name"])))
    return []


def zones_of(model: Model, thing: Model) -> list[str]:
    """The zones that an object names in whichever field it has for it."""
    return next((zone_of(model, str(thing[f])) for f in ZONE_FIELDS if f in thing), [])


def in_zone(model: Model, kind: str) -> dict[str, list[str]]:
    """Names of the objects of a kind by zone, in the model's order."""
    found: dict[str, list[str]] = {}
    for name, thing in model.get(kind, {}).items():
        for zone in zones_of(model, thing):
            found.setdefault(zone, []).append(name)
    return found


def split_lists(model: Model) -> None:
    """One object for each zone where one stood for a list of zones; the model is changed in place."""
    for kind in ONE_FOR_EACH_ZONE:
        for name, thing in list(model.get(kind, {}).items()):
            zones = zones_of(model, thing)
            if len(zones) < 2:
                continue
            place = next(f for f in ZONE_FIELDS if f in thing)
            del model[kind][name]
            model[kind].update({f"{zone} {name}": {**thing, place: zone} for zone in zones})


def nodes_of(model: Model, name: str) -> list[str]:
    """The nodes, in lower case, that a name of a node or of a node list stands for."""
    listed = named(model, "NodeList", name).get("nodes")
    return [n["node_name"].lower() for n in listed] if listed else [name.lower()]


def branch_components(model: Model, branch_list: str) -> Iterator[tuple[str, str]]:
    """(kind, name) of all components on the branches of a list."""
    for branch in named(model, "BranchList", branch_list).get("branches", []):
        for part in named(model, "Branch", branch["branch_name"]).get("components", []):
            yield part["component_object_type"], part["component_name"]
