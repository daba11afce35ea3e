"""Owners of points as the twin knows them, with every name by which people may call them."""

from collections import defaultdict
from collections.abc import Iterable

from twin.graph import Graph
from twin.identifying import Owner


def owners_of(graph: Graph) -> list[Owner]:
    """Equipment and rooms with their own names, and the names of what lies around them (storey, room, feeding equipment)."""
    rooms = {row["room"]: row for row in graph.ask("rooms")}
    zones: dict[str, list[str]] = defaultdict(list)
    for row in graph.ask("zones"):
        zones[row["room"]].append(row["name"])
    served: dict[str, list[dict[str, str]]] = defaultdict(list)
    fed_by: dict[str, list[dict[str, str]]] = defaultdict(list)
    names = {row["equipment"]: row["name"] for row in graph.ask("equipment")}
    for row in graph.ask("feeds"):
        (fed_by[row["target"]] if row["target"] in names else served[row["source"]]).append(row)
    zone_names = {row["zone"]: row["name"] for row in graph.ask("zones")}
    found = []
    for row in graph.ask("equipment"):
        key, room = row["equipment"], row.get("room", "")
        own = [row["name"], key, *(zone_names.get(f["target"], "") for f in served[key])]
        if served[key]:  # what serves a zone is often called by its room
            own += _room_names(rooms, zones, room)
        around = [row.get("level", ""), *_room_names(rooms, zones, room), *(names.get(f["source"], "") for f in fed_by[key])]
        found.append(Owner(key, _distinct(own), _distinct(around)))
    found += [
        Owner(key, _distinct([key, *_room_names(rooms, zones, key)]), _distinct([row.get("level", "")])) for key, row in rooms.items()
    ]
    return found


def _room_names(rooms: dict[str, dict[str, str]], zones: dict[str, list[str]], room: str) -> list[str]:
    return [rooms[room]["name"], *zones[room]] if room in rooms else []


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))
