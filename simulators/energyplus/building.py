"""Read an EnergyPlus model (epJSON) as a building design: everything is found by reference, nothing by name."""

from collections.abc import Iterable, Iterator
from typing import Any

from simulators.design import AirHandlerDesign, Building, ZoneDesign
from twin.errors import SiteError

Model = dict[str, Any]


def read_building(model: Model, name: str) -> Building:
    """The zones with a thermostat and a VAV box with reheat, and the air loops that serve them; SiteError if there is none."""
    loops = list(model.get("AirLoopHVAC", {}))
    boxes = list(_boxes(model))
    if not boxes:
        raise SiteError(f"{name}: no VAV box with reheat found in the model; other systems cannot be controlled yet")
    floors = {zone: _floor(model, zone) for zone, _, _ in boxes}
    storeys = sorted({round(z, 2) for _, z, _ in floors.values()})
    handlers = {loop: f"AHU-{n + 1}" for n, loop in enumerate(loops)}
    zones = []
    for zone, box, loop in boxes:
        polygon, z, height = floors[zone]
        source = {
            "zone": zone,
            "box": box,
            "box_outlet": model["AirTerminal:SingleDuct:VAV:Reheat"][box]["air_outlet_node_name"],
            "people": _in_zone(model, "People", zone),
            "lights": _in_zone(model, "Lights", zone),
            "thermostat": _thermostat(model, zone),
        }
        zones.append(ZoneDesign(zone, storeys.index(round(z, 2)), polygon, z, height, handlers[loop], _has_window(model, zone), source))
    served = {zone.air_handler: zone.storey for zone in zones}
    air_handlers = [AirHandlerDesign(handlers[loop], served.get(handlers[loop], 0), _air_loop(model, loop)) for loop in loops]
    return Building(name, tuple(storeys), tuple(zones), tuple(air_handlers))


def _boxes(model: Model) -> Iterator[tuple[str, str, str]]:
    """(zone, VAV box, air loop): box -> distribution unit -> equipment list -> zone; box inlet -> splitter -> supply path -> loop."""
    units = {o["air_terminal_name"].lower(): n.lower() for n, o in model.get("ZoneHVAC:AirDistributionUnit", {}).items()}
    lists = {
        e["zone_equipment_name"].lower(): n.lower() for n, o in model.get("ZoneHVAC:EquipmentList", {}).items() for e in o["equipment"]
    }
    zone_of = {
        o["zone_conditioning_equipment_list_name"].lower(): o["zone_name"] for o in model.get("ZoneHVAC:EquipmentConnections", {}).values()
    }
    loop_of = _loops_by_terminal_node(model)
    for name, box in model.get("AirTerminal:SingleDuct:VAV:Reheat", {}).items():
        zone = zone_of[lists[units[name.lower()]]]
        yield zone, name, loop_of[box["air_inlet_node_name"].lower()]


def _loops_by_terminal_node(model: Model) -> dict[str, str]:
    nodes = {n.lower(): [x["node_name"].lower() for x in o["nodes"]] for n, o in model.get("NodeList", {}).items()}
    loops = {
        node: loop
        for loop, o in model["AirLoopHVAC"].items()
        for node in nodes.get(o["demand_side_inlet_node_names"].lower(), [o["demand_side_inlet_node_names"].lower()])
    }
    splitters = {n.lower(): o for n, o in model.get("AirLoopHVAC:ZoneSplitter", {}).items()}
    found = {}
    for path in model.get("AirLoopHVAC:SupplyPath", {}).values():
        loop = loops[path["supply_air_path_inlet_node_name"].lower()]
        for part in path["components"]:
            for node in splitters.get(part["component_name"].lower(), {"nodes": []})["nodes"]:
                found[node["outlet_node_name"].lower()] = loop
    return found


def _air_loop(model: Model, loop: str) -> dict[str, str]:
    """Fan, outdoor-air controller, supply setpoint and nodes of one air loop."""
    o = model["AirLoopHVAC"][loop]
    components = list(_components(model, o["branch_list_name"]))
    oa_systems = [name for kind, name in components if kind == "AirLoopHVAC:OutdoorAirSystem"]
    controllers = [name for system in oa_systems for name in _controllers(model, system)]
    fans = [name for kind, name in components if kind.startswith("Fan:")]
    if not fans or not controllers:
        raise SiteError(f"air loop {loop}: no fan or no outdoor-air controller found; it cannot be controlled from outside")
    return {
        "loop": loop,
        "fan": fans[0],
        "oa_controller": controllers[0],
        "return_node": o["supply_side_inlet_node_name"],
        "supply_node": o["supply_side_outlet_node_names"],
    }


def _components(model: Model, branch_list: str) -> Iterator[tuple[str, str]]:
    lists = {n.lower(): o for n, o in model["BranchList"].items()}
    branches = {n.lower(): o for n, o in model["Branch"].items()}
    for branch in lists[branch_list.lower()]["branches"]:
        for part in branches[branch["branch_name"].lower()]["components"]:
            yield part["component_object_type"], part["component_name"]


def _controllers(model: Model, oa_system: str) -> list[str]:
    systems = {n.lower(): o for n, o in model["AirLoopHVAC:OutdoorAirSystem"].items()}
    lists = {n.lower(): o for n, o in model["AirLoopHVAC:ControllerList"].items()}
    entry = lists[systems[oa_system.lower()]["controller_list_name"].lower()]
    return [v for k, v in sorted(entry.items()) if k.endswith("_name") and v in model["Controller:OutdoorAir"]]


def _floor(model: Model, zone: str) -> tuple[tuple[tuple[float, float], ...], float, float]:
    """Polygon, elevation and height of a zone from its surfaces; vertices are relative to the zone's origin."""
    origin = model["Zone"][zone]
    dx, dy, dz = (float(origin.get(f"{a}_origin", 0.0)) for a in "xyz")
    surfaces = [s for s in model["BuildingSurface:Detailed"].values() if s["zone_name"] == zone]
    floor = max((s for s in surfaces if s["surface_type"] == "Floor"), key=lambda s: len(s["vertices"]))
    corners = _vertices(floor)
    top = max(z for s in surfaces for _, _, z in _vertices(s))
    return tuple((x + dx, y + dy) for x, y, _ in reversed(corners)), corners[0][2] + dz, top - corners[0][2]


def _vertices(surface: Model) -> list[tuple[float, float, float]]:
    return [
        (float(v["vertex_x_coordinate"]), float(v["vertex_y_coordinate"]), float(v["vertex_z_coordinate"])) for v in surface["vertices"]
    ]


def _has_window(model: Model, zone: str) -> bool:
    mine = {n.lower() for n, s in model["BuildingSurface:Detailed"].items() if s["zone_name"] == zone}
    return any(w["building_surface_name"].lower() in mine for w in model.get("FenestrationSurface:Detailed", {}).values())


def _in_zone(model: Model, kind: str, zone: str) -> str:
    names: Iterable[str] = (n for n, o in model.get(kind, {}).items() if o.get("zone_or_zonelist_or_space_or_spacelist_name") == zone)
    return next(iter(names), "")


def _thermostat(model: Model, zone: str) -> str:
    return next(str(o["control_1_name"]) for o in model["ZoneControl:Thermostat"].values() if o["zone_or_zonelist_name"] == zone)
