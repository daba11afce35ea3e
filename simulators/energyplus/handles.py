"""What the plant reads and moves inside EnergyPlus: handles of every point, lever and meter, design values after sizing, end uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulators.design import AirHandlerDesign, ZoneDesign
from simulators.energyplus.engine import Exchange

FACILITY = {"electricity": "Electricity:Facility", "gas": "NaturalGas:Facility"}
OTHER_FUELS = (
    "DistrictCooling:Facility", "DistrictHeatingWater:Facility", "DistrictHeatingSteam:Facility", "Propane:Facility",
    "FuelOilNo1:Facility", "FuelOilNo2:Facility", "Coal:Facility", "Diesel:Facility", "Gasoline:Facility", "OtherFuel1:Facility",
)  # fmt: skip
HVAC_ELECTRIC = (
    "Fans:Electricity", "Cooling:Electricity", "Heating:Electricity", "Pumps:Electricity",
    "HeatRejection:Electricity", "HeatRecovery:Electricity", "Humidification:Electricity",
)  # fmt: skip
HVAC_GAS = ("Heating:NaturalGas",)
LIGHTS = "InteriorLights:Electricity"
PLUGS = "InteriorEquipment:Electricity"
ZONE_VARIABLES = {"zn_t": "Zone Mean Air Temperature", "zn_rh": "Zone Air Relative Humidity", "zn_co2": "Zone Air CO2 Concentration"}
AIR = "Outdoor Air Controller"


@dataclass(frozen=True)
class Sizing:
    """Design values after sizing, by equipment; runs that are compared must have equal ones."""

    fan_m3_s: Mapping[str, float]
    minimum_outdoor_air_m3_s: Mapping[str, float]
    fan_pressure_pa: Mapping[str, float]
    people: Mapping[str, float]
    light_w: Mapping[str, float]
    area_m2: Mapping[str, float]
    lamps_w: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by zone and Lights object
    people_share: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by zone and People object, of one room's people


@dataclass
class Handles:
    """Handles by point, equipment or meter."""

    readings: dict[str, int] = field(default_factory=dict)  # point -> variable
    schedules: dict[str, int] = field(default_factory=dict)  # writable point -> Schedule Value
    oa_share: dict[str, int] = field(default_factory=dict)  # air handler -> share of the design minimum
    oa_flow: dict[str, int] = field(default_factory=dict)  # air handler -> outdoor air mass flow
    pressure: dict[str, int] = field(default_factory=dict)
    people: dict[str, dict[str, int]] = field(default_factory=dict)  # zone -> People object -> actuator
    lights: dict[str, dict[str, int]] = field(default_factory=dict)  # zone -> Lights object -> actuator
    pmv: dict[str, int] = field(default_factory=dict)
    meters: dict[str, int] = field(default_factory=dict)


def find_handles(x: Exchange, zones: Mapping[str, ZoneDesign], handlers: Mapping[str, AirHandlerDesign]) -> Handles:
    """All handles, once; what is missing is kept by the exchange, whose `require_all` then refuses the run."""
    found = Handles()
    for key, zone in zones.items():
        _find_zone(x, found, key, zone)
    for key, handler in handlers.items():
        _find_air_handler(x, found, key, handler)
    _find_meters(x, found)
    return found


def _find_air_handler(x: Exchange, found: Handles, key: str, handler: AirHandlerDesign) -> None:
    source = handler.source
    found.readings |= {
        f"{key}.sa_t": x.variable("System Node Temperature", source["supply_node"]),
        f"{key}.ra_t": x.variable("System Node Temperature", source["return_node"]),
        f"{key}.sa_f": x.variable("System Node Standard Density Volume Flow Rate", source["supply_node"]),
        f"{key}.oa_t": x.variable("Site Outdoor Air Drybulb Temperature", "Environment"),
        f"{key}.oa_rh": x.variable("Site Outdoor Air Relative Humidity", "Environment"),
    }
    for tag in ("fan_run", "sa_t_sp"):
        if handler.has(tag):
            found.schedules[f"{key}.{tag}"] = x.actuator("Schedule:Constant", "Schedule Value", f"{key}.{tag}")
    if handler.has("oa_f_sp"):
        found.readings[f"{key}.oa_f"] = x.variable("Air System Outdoor Air Mass Flow Rate", source["loop"])
        found.oa_share[key] = x.actuator("Schedule:Constant", "Schedule Value", f"{key}.oa_share")
        found.oa_flow[key] = x.actuator(AIR, "Air Mass Flow Rate", source["oa_controller"])
    if handler.has("sa_p_sp"):
        found.pressure[key] = x.actuator("Fan", "Fan Pressure Rise", source["fan"])


def _find_zone(x: Exchange, found: Handles, key: str, zone: ZoneDesign) -> None:
    name = zone.source["zone"]
    found.readings |= {f"{key}.{tag}": x.variable(variable, name) for tag, variable in ZONE_VARIABLES.items() if zone.has(tag)}
    if zone.has("sa_f"):
        found.readings[f"{key}.sa_f"] = x.variable("System Node Standard Density Volume Flow Rate", zone.source["box_outlet"])
    if zone.has("zn_lux"):
        found.readings[f"{key}.zn_lux"] = x.variable("Daylighting Reference Point 1 Illuminance", f"{key}.daylight")
    for tag in ("htg_sp", "clg_sp", "min_flow"):
        if zone.has(tag):
            found.schedules[f"{key}.{tag}"] = x.actuator("Schedule:Constant", "Schedule Value", f"{key}.{tag}")
    if zone.people:
        found.people[key] = {p: x.actuator("People", "Number of People", p) for p in zone.people}
    if zone.people and zone.has("zn_t"):
        found.pmv[key] = x.variable("Zone Thermal Comfort Fanger Model PMV", zone.people[0])
    if zone.lamps:
        found.lights[key] = {lamp: x.actuator("Lights", "Electricity Rate", lamp) for lamp in zone.lamps}


def _find_meters(x: Exchange, found: Handles) -> None:
    found.meters = {name: x.meter(name) for name in ("Electricity:Facility", "Fans:Electricity")}
    for name in (*FACILITY.values(), *OTHER_FUELS, *HVAC_ELECTRIC, *HVAC_GAS, LIGHTS, PLUGS):
        handle = x.meter_if_any(name)
        if handle is not None:
            found.meters[name] = handle


def read_sizing(x: Exchange, zones: Mapping[str, ZoneDesign], handlers: Mapping[str, AirHandlerDesign], elevation_m: float) -> Sizing:
    """Design values after sizing."""
    density = standard_density(elevation_m)
    people = {k: {p: x.internal("People Count Design Level", p) for p in z.people} for k, z in zones.items()}
    lamps = {k: {lamp: x.internal("Lighting Power Design Level", lamp) for lamp in z.lamps} for k, z in zones.items()}
    outdoor = {k: h for k, h in handlers.items() if h.has("oa_f_sp")}
    return Sizing(
        {k: x.internal("Fan Maximum Mass Flow Rate", h.source["fan"]) / density for k, h in handlers.items()},
        {k: x.internal(f"{AIR} Minimum Mass Flow Rate", h.source["oa_controller"]) / density for k, h in outdoor.items()},
        {k: x.internal("Fan Nominal Pressure Rise", h.source["fan"]) for k, h in handlers.items() if h.has("sa_p_sp")},
        {k: zones[k].multiplier * sum(part.values()) for k, part in people.items()},
        {k: sum(part.values()) for k, part in lamps.items()},
        {k: x.internal("Zone Floor Area", z.source["zone"]) for k, z in zones.items()},
        lamps,
        {k: {p: n / (sum(part.values()) or 1.0) for p, n in part.items()} for k, part in people.items()},
    )


def end_uses(j: Mapping[str, float]) -> dict[str, float]:
    """End uses in J from the engine's meters; `electricity`, `gas` and `other` together are the whole facility."""
    hvac_electric = sum(j.get(name, 0.0) for name in HVAC_ELECTRIC)
    return {
        **{name: j.get(meter, 0.0) for name, meter in FACILITY.items()},
        "other": sum(j.get(name, 0.0) for name in OTHER_FUELS),
        "hvac_electric": hvac_electric,
        "hvac": hvac_electric + sum(j.get(name, 0.0) for name in HVAC_GAS),
        "light": j.get(LIGHTS, 0.0),
        "fans": j.get("Fans:Electricity", 0.0),
        "cooling": j.get("Cooling:Electricity", 0.0),
        "heating_electric": j.get("Heating:Electricity", 0.0),
        "heating_gas": j.get("Heating:NaturalGas", 0.0),
        "plugs": j.get(PLUGS, 0.0),
    }


def standard_density(elevation_m: float) -> float:
    """Dry air at 20 °C and the site's standard pressure, kg/m³: what the engine means by standard density."""
    return float(101325 * (1 - 2.25577e-5 * elevation_m) ** 5.25588 / (287.0 * 293.15))
