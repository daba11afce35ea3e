"""Read an EnergyPlus model (epJSON) as a building design: everything is found by reference, nothing by name.

What can be moved from outside becomes points; what cannot is left to the model's own control and named in `Building.left_alone`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulators.design import BOX, LIGHTS, NOTHING, OUTLET, UNIT, AirHandlerDesign, Building, ZoneDesign
from simulators.energyplus.geometry import footprint, has_window
from simulators.energyplus.references import branch_components, exact, in_zone, kind_of, named, nodes_of, split_lists
from twin.errors import SiteError

Model = dict[str, Any]

VARIABLE = ("AirTerminal:SingleDuct:VAV:Reheat", "AirTerminal:SingleDuct:VAV:NoReheat")
INLETS = ("air_inlet_node_name", "supply_air_inlet_node_name", "primary_air_inlet_node_name", "air_inlet_node")
OUTLETS = ("air_outlet_node_name", "outlet_node_name", "air_outlet_node")
SENSORS = frozenset({"zn_t", "zn_rh", "zn_co2"})
AIR_HANDLER = frozenset({"sa_t", "ra_t", "oa_t", "oa_rh", "sa_f", "fan_run"})
OUTDOOR_AIR = frozenset({"oa_f", "oa_f_sp"})
VARIABLE_AIR = frozenset({"sa_t_sp", "sa_p_sp"})
SETPOINTS = {
    # thermostat object -> (tag, field) of each setpoint
    "ThermostatSetpoint:DualSetpoint": (
        ("htg_sp", "heating_setpoint_temperature_schedule_name"), ("clg_sp", "cooling_setpoint_temperature_schedule_name"),
    ),
    "ThermostatSetpoint:SingleHeating": (("htg_sp", "setpoint_temperature_schedule_name"),),
    "ThermostatSetpoint:SingleCooling": (("clg_sp", "setpoint_temperature_schedule_name"),),
}  # fmt: skip
LEFT_ALONE = {
    # beginning of an object's kind -> why nobody outside moves it
    "EnergyManagementSystem:Program": "programs of the model's own are taken out: they would fight the points",
    "Daylighting:Controls": "the model's own dimming is taken out: lamps follow the lighting points",
    "PlantLoop": "hot, chilled and service water keep their own control",
    "Controller:MechanicalVentilation": "the model's own demand-controlled ventilation is taken out: outdoor air follows the points",
    "ZoneControl:Humidistat": "humidifiers and humidistats keep their own control",
    "ZoneHVAC:EnergyRecoveryVentilator": "energy recovery ventilators keep their own control",
    "Fan:ZoneExhaust": "exhaust fans keep their own schedule",
    "ZoneVentilation": "window and natural ventilation keep their own schedule",
    "Refrigeration:CompressorRack": "refrigeration keeps its own control",
}


@dataclass
class _Served:
    """What brings air to one zone."""

    kind: str = NOTHING
    terminal: str = ""
    terminal_kind: str = ""
    loop: str = ""
    units: list[str] = field(default_factory=list)  # kinds of the units in the zone itself


def read_building(model: Model, name: str) -> Building:
    """Zones with their terminals, lights and people, and the air loops that serve them; SiteError where there is nothing to control.

    Objects that stand for a list of zones are split in the model, in place.
    """
    split_lists(model)
    left = Counter(note for note in _left_alone(model))
    served = _served(model)
    lamps, people, thermostats = in_zone(model, "Lights"), in_zone(model, "People"), _thermostats(model)
    rooms = [zone for zone in _order(model, served) if zone in thermostats or lamps.get(zone) or people.get(zone)]
    if not any(zone in thermostats or lamps.get(zone) for zone in rooms):
        raise SiteError(f"{name}: the model has no zone with a thermostat or with lights; there is nothing to control")
    floors = {zone: footprint(model, zone) for zone in rooms}
    storeys = sorted({round(z, 2) for _, z, _ in floors.values()})
    handlers, loops = _air_handlers(model, served, rooms, left)
    zones = []
    for zone in rooms:
        polygon, z, height = floors[zone]
        mine, windows = served.get(zone, _Served()), has_window(model, zone)
        kind = mine.kind if zone in thermostats else NOTHING
        tags = _zone_tags(kind, thermostats.get(zone, {}), windows, bool(people.get(zone)), bool(lamps.get(zone)))
        handler = handlers.get(mine.loop, "") if kind != NOTHING else ""
        source = {"zone": zone, **_sources(model, mine, thermostats.get(zone, {}))}
        source |= {"people": (people.get(zone) or [""])[0], "lights": (lamps.get(zone) or [""])[0]}
        zones.append(
            ZoneDesign(
                zone, storeys.index(round(z, 2)), polygon, z, height, handler, windows, source,
                kind, tags, _multiplier(model, zone), tuple(people.get(zone, ())), tuple(lamps.get(zone, ())),
            )
        )  # fmt: skip
        left.update(f"{unit}: its fan and coils keep their own control; setpoints move it" for unit in mine.units)
    storey = {zone.air_handler: zone.storey for zone in reversed(zones)}
    designs = [AirHandlerDesign(handlers[n], storey.get(handlers[n], 0), loop.source, loop.tags) for n, loop in loops.items()]
    gas = any("NaturalGas" in str(o.get("fuel_type", "")) for kind in model for o in model[kind].values())
    notes = tuple(f"{note} ({n} in the model)" for note, n in sorted(left.items()))
    return Building(name, tuple(storeys), tuple(zones), tuple(designs), gas, notes)


# Zones


def _served(model: Model) -> dict[str, _Served]:
    """Equipment connections -> equipment list -> distribution unit -> terminal -> supply path -> air loop, for every zone that has any."""
    loops = _loops_by_terminal_node(model)
    found = {}
    for connection in model.get("ZoneHVAC:EquipmentConnections", {}).values():
        zone = exact(model, "Zone", connection["zone_name"])
        served = found[zone] = _Served()
        for entry in named(model, "ZoneHVAC:EquipmentList", connection["zone_conditioning_equipment_list_name"]).get("equipment", []):
            kind, name = entry["zone_equipment_object_type"], entry["zone_equipment_name"]
            if kind == "ZoneHVAC:AirDistributionUnit":
                unit = named(model, kind, name)
                served.terminal_kind, served.terminal = unit["air_terminal_object_type"], unit["air_terminal_name"]
                served.kind = BOX if served.terminal_kind in VARIABLE else OUTLET
                served.loop = loops.get(_node(named(model, served.terminal_kind, served.terminal), INLETS), "")
            elif kind.startswith("ZoneHVAC:") and kind != "ZoneHVAC:EnergyRecoveryVentilator":
                served.units.append(kind)
        if served.units and served.kind != BOX:
            served.kind = UNIT
    return found


def _order(model: Model, served: Mapping[str, _Served]) -> list[str]:
    """Zones with boxes in the order of the boxes, then all others in the order of the zones."""
    boxes = {name.lower(): n for n, name in enumerate(n for kind in VARIABLE for n in model.get(kind, {}))}
    first = [z for z, s in served.items() if s.kind == BOX]
    first.sort(key=lambda z: boxes[served[z].terminal.lower()])
    return first + [z for z in model["Zone"] if z not in first]


def _loops_by_terminal_node(model: Model) -> dict[str, str]:
    loops = {node: loop for loop, o in model.get("AirLoopHVAC", {}).items() for node in nodes_of(model, o["demand_side_inlet_node_names"])}
    found = {}
    for path in model.get("AirLoopHVAC:SupplyPath", {}).values():
        loop = loops[path["supply_air_path_inlet_node_name"].lower()]
        for part in path["components"]:
            for node in named(model, part["component_object_type"], part["component_name"]).get("nodes", []):
                found[node["outlet_node_name"].lower()] = loop
    return found


def _node(thing: Model, fields: tuple[str, ...]) -> str:
    return next((str(thing[f]).lower() for f in fields if thing.get(f)), "")


def _thermostats(model: Model) -> dict[str, dict[str, str]]:
    """By zone: the control's name, and by tag the schedule of each setpoint that its thermostat has."""
    found = {}
    for zone, controls in in_zone(model, "ZoneControl:Thermostat").items():
        control = model["ZoneControl:Thermostat"][controls[0]]
        setpoints: dict[str, str] = {}
        for n in range(1, 5):
            kind, name = control.get(f"control_{n}_object_type", ""), control.get(f"control_{n}_name", "")
            setpoint = named(model, kind, name)
            setpoints |= {tag: setpoint[field] for tag, field in SETPOINTS.get(kind, ()) if field in setpoint}
        if setpoints:
            found[zone] = {"control": controls[0], **setpoints}
    return found


def _zone_tags(kind: str, thermostat: Mapping[str, str], windows: bool, people: bool, lamps: bool) -> frozenset[str]:
    tags = set(SENSORS) if thermostat else set()
    tags |= {tag for tag in ("htg_sp", "clg_sp") if tag in thermostat}
    tags |= {"sa_f", "min_flow"} if kind == BOX else set()
    tags |= {"zn_occ"} if people else set()
    tags |= LIGHTS if lamps else set()
    tags |= {"zn_lux"} if windows and lamps else set()
    return frozenset(tags)


def _sources(model: Model, served: _Served, thermostat: Mapping[str, str]) -> dict[str, str]:
    source = {"thermostat": thermostat.get("control", ""), "heating": thermostat.get("htg_sp", ""), "cooling": thermostat.get("clg_sp", "")}
    if served.kind == BOX:
        box = exact(model, served.terminal_kind, served.terminal)
        source |= {"box": box, "box_kind": served.terminal_kind}
        source["box_outlet"] = next(str(model[served.terminal_kind][box][f]) for f in OUTLETS if f in model[served.terminal_kind][box])
    return source


def _multiplier(model: Model, zone: str) -> int:
    """How many equal zones stand behind this one: its own multiplier times that of its zone group."""
    groups = (
        int(g.get("zone_list_multiplier", 1))
        for g in model.get("ZoneGroup", {}).values()
        if zone in [exact(model, "Zone", z["zone_name"]) for z in named(model, "ZoneList", g["zone_list_name"]).get("zones", [])]
    )
    return int(model["Zone"][zone].get("multiplier", 1)) * next(groups, 1)


# Air loops


@dataclass(frozen=True)
class _Loop:
    """One air loop: what it is made of by role, and the points it can have."""

    source: Mapping[str, str]
    tags: frozenset[str]


def _air_handlers(
    model: Model, served: Mapping[str, _Served], rooms: list[str], left: Counter[str]
) -> tuple[dict[str, str], dict[str, _Loop]]:
    """Names of the loops that can be controlled (AHU-1, ...), and the loops; the others are named in `left`."""
    found: dict[str, _Loop] = {}
    for loop in model.get("AirLoopHVAC", {}):
        variable = any(s.kind == BOX and s.loop == loop for z, s in served.items() if z in rooms)
        source = _air_loop(model, loop, variable)
        if source is None:
            left[f"air loop {loop}: no fan found on its branches; it keeps its own control"] += 1
            continue
        tags = set(AIR_HANDLER) | (VARIABLE_AIR if variable else set())
        if source["oa_controller"] and not _all_outdoor_air(model, loop):
            tags |= OUTDOOR_AIR
        found[loop] = _Loop(source, frozenset(tags))
    return {loop: f"AHU-{n + 1}" for n, loop in enumerate(found)}, found


def _air_loop(model: Model, loop: str, variable: bool) -> dict[str, str] | None:
    """Fan, outdoor-air controller and nodes of one air loop, and the schedule by which its fan runs; None without a fan."""
    o = model["AirLoopHVAC"][loop]
    components = list(branch_components(model, o["branch_list_name"]))
    oa_systems = [name for kind, name in components if kind == "AirLoopHVAC:OutdoorAirSystem"]
    controllers = [name for system in oa_systems for name in _controllers(model, system)]
    unit_kind, unit = next(((k, n) for k, n in components if k.startswith("AirLoopHVAC:Unitary")), ("", ""))
    fans = [name for kind, name in components if kind.startswith("Fan:")]
    if unit:
        unitary = named(model, unit_kind, unit)
        fans = [str(unitary[f]) for f in ("supply_fan_name", "supply_air_fan_name") if unitary.get(f)] or fans
    if not fans:
        return None
    return {
        "loop": loop,
        "fan": exact(model, kind_of(model, "Fan:", fans[0]), fans[0]),
        "fan_kind": kind_of(model, "Fan:", fans[0]),
        "unit": exact(model, unit_kind, unit) if unit else "",
        "unit_kind": unit_kind,
        "oa_controller": controllers[0] if controllers else "",
        "return_node": o["supply_side_inlet_node_name"],
        "supply_node": nodes_of(model, o["supply_side_outlet_node_names"])[0]
        if named(model, "NodeList", o["supply_side_outlet_node_names"])
        else o["supply_side_outlet_node_names"],
        "variable": "yes" if variable else "",
    }


def _controllers(model: Model, oa_system: str) -> list[str]:
    entry = named(
        model, "AirLoopHVAC:ControllerList", named(model, "AirLoopHVAC:OutdoorAirSystem", oa_system).get("controller_list_name", "")
    )
    names = [str(v) for k, v in sorted(entry.items()) if k.endswith("_name")]
    names += [str(c["controller_name"]) for c in entry.get("controllers", [])]
    own = {n.lower(): n for n in model.get("Controller:OutdoorAir", {})}
    return [own[n.lower()] for n in names if n.lower() in own]


def _all_outdoor_air(model: Model, loop: str) -> bool:
    """A loop of outdoor air alone: there is no share to choose."""
    sizing: Model = next((s for s in model.get("Sizing:System", {}).values() if s["airloop_name"].lower() == loop.lower()), {})
    return sizing.get("100_outdoor_air_in_cooling") == "Yes" and sizing.get("100_outdoor_air_in_heating") == "Yes"


def _left_alone(model: Model) -> Iterator[str]:
    for begin, why in LEFT_ALONE.items():
        for kind in model:
            if kind == begin or (begin == "ZoneVentilation" and kind.startswith(begin)):
                yield from [f"{kind}: {why}"] * len(model[kind])
