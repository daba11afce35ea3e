"""Edit an EnergyPlus model so that every lever of the building's points is an actuator; all objects are found by reference.

Each writable point becomes a Schedule:Constant named after the point, to which the model's own fields then refer.
The values written here are what SIZING sees: they are the same for every controller, so all share one sized plant.
"""

import math
from collections.abc import Iterable
from typing import Any

from simulators.design import BOX, AirHandlerDesign, Building, ZoneDesign
from simulators.energyplus.own import OwnControl, managers_of
from simulators.plant import Period
from simulators.weather import DesignConditions, Weather
from twin.errors import SiteError
from twin.words import slug

Model = dict[str, Any]

STEPS_PER_HOUR = 6
OUTDOOR_CO2_PPM = 420
CO2_M3_S_W = 3.82e-8  # a person's CO2 per W of activity (ASHRAE 62.1)
WORK_PLANE_M = 0.76
HEATING_ONLY, COOLING_ONLY, DUAL = 1, 2, 4  # the engine's numbers of thermostat kinds
ALWAYS = "wattproof.always_on"
THERMOSTAT_KIND = "wattproof.thermostat_kind_"
FAN_FIXED = (0.0013, 0.1470, 0.9506, -0.0998, 0.0)
"""Fan power share by flow share at a fixed static pressure (ASHRAE 90.1 appendix G)."""
FAN_RESET = (0.040759894, 0.08804497, -0.07292612, 0.943739823, 0.0)
"""With a good static-pressure reset (the DOE reference model's curve)."""
FAN_EFFICIENCY, FAN_MOTOR_EFFICIENCY, FAN_PRESSURE_PA = 0.5915, 0.91, 1109.648  # where the model's fan does not say

REMOVED = (
    # own outputs only; no tariffs; no clock changes; no controls of the model's own that would fight the actuators
    # (of EMS the calls, and what reads or moves: an idle actuator takes ours away. Programs that nobody calls stay: others name them)
    "Output", "UtilityCost", "RunPeriodControl:", "EnergyManagementSystem:ProgramCallingManager", "EnergyManagementSystem:Sensor",
    "EnergyManagementSystem:Actuator", "PythonPlugin:",
    "Daylighting:", "SizingPeriod:",
)  # fmt: skip
VARIABLES = (
    "Zone Mean Air Temperature", "Zone Air Relative Humidity", "Zone Air CO2 Concentration", "Zone Thermal Comfort Fanger Model PMV",
    "Daylighting Reference Point 1 Illuminance", "System Node Temperature", "System Node Standard Density Volume Flow Rate",
    "Air System Outdoor Air Mass Flow Rate", "Site Outdoor Air Drybulb Temperature", "Site Outdoor Air Relative Humidity",
)  # fmt: skip

CHECKED_METERS = ("Electricity:Facility", "NaturalGas:Facility")
"""What the engine adds up itself over the run: our totals must be the same."""


def edit(model: Model, building: Building, own: OwnControl, period: Period, weather: Weather, variant: str) -> None:
    """Change the model in place. `variant` code keeps the model's economizer and has a good fan curve; all else is equal for all."""
    _silence_programs(model)
    for kind in [k for k in model if k.startswith(REMOVED)]:
        del model[kind]
    _set_period(model, period)
    _set_place(model, weather)
    for handler in building.air_handlers:
        _edit_air_handler(model, handler, own, variant)
    for zone in building.zones:
        _edit_zone(model, zone, own)
    _add_comfort(model)
    _add_co2(model)
    model["Output:Variable"] = {
        f"v{i}": {"key_value": "*", "variable_name": name, "reporting_frequency": "Annual"} for i, name in enumerate(VARIABLES)
    }
    model["Output:Meter:MeterFileOnly"] = {
        f"m{i}": {"key_name": name, "reporting_frequency": "RunPeriod"} for i, name in enumerate(CHECKED_METERS)
    }


def _silence_programs(model: Model) -> None:
    """The outputs of programs that show a sensor or actuator go with it; the engine refuses an output without its source."""
    gone = {name.lower() for kind in ("Sensor", "Actuator") for name in model.get(f"EnergyManagementSystem:{kind}", {})}
    outputs = model.get("EnergyManagementSystem:OutputVariable", {})
    for name in [n for n, o in outputs.items() if o.get("ems_variable_name", "").lower() in gone]:
        del outputs[name]
    if not outputs:
        model.pop("EnergyManagementSystem:OutputVariable", None)


def lever(point: str, model: Model, value: float) -> str:
    """A Schedule:Constant named after the point; returns its name."""
    model.setdefault("Schedule:Constant", {})[point] = {"hourly_value": value}
    return point


def _set_period(model: Model, period: Period) -> None:
    control = next(iter(model["SimulationControl"].values()))
    control.update(run_simulation_for_sizing_periods="No", run_simulation_for_weather_file_run_periods="Yes")
    last = period.last
    model["RunPeriod"] = {
        "period": {
            "begin_month": period.start.month, "begin_day_of_month": period.start.day,
            "end_month": last.month, "end_day_of_month": last.day,
            "day_of_week_for_start_day": period.start.strftime("%A"),
            "apply_weekend_holiday_rule": "No",
            "use_weather_file_daylight_saving_period": "No", "use_weather_file_holidays_and_special_days": "No",
            "use_weather_file_rain_indicators": "Yes", "use_weather_file_snow_indicators": "Yes",
        }
    }  # fmt: skip
    model["Timestep"] = {"Timestep 1": {"number_of_timesteps_per_hour": STEPS_PER_HOUR}}


def _set_place(model: Model, weather: Weather) -> None:
    """Location and sizing days of the weather actually used; ground temperatures stay the model's own."""
    if weather.design is None:
        raise SiteError(
            f"{weather.name}: the weather file has no DESIGN CONDITIONS in line 2; take one that has, equipment is sized by them"
        )
    model["Site:Location"] = {
        weather.name: {
            "latitude": weather.latitude,
            "longitude": weather.longitude,
            "time_zone": weather.zone_h,
            "elevation": weather.elevation_m,
        }
    }
    model["Site:WaterMainsTemperature"] = {"mains": {"calculation_method": "CorrelationFromWeatherFile"}}
    model["SizingPeriod:DesignDay"] = dict(_design_days(weather.design, weather.elevation_m))


def _design_days(design: DesignConditions, elevation_m: float) -> Iterable[tuple[str, Model]]:
    pressure = 101325 * (1 - 2.25577e-5 * elevation_m) ** 5.25588  # standard atmosphere
    common = {
        "barometric_pressure": pressure, "day_of_month": 21, "humidity_condition_type": "WetBulb",
        "solar_model_indicator": "ASHRAEClearSky", "daylight_saving_time_indicator": "No", "rain_indicator": "No", "snow_indicator": "No",
    }  # fmt: skip
    heating = {
        "month": design.heating_month, "day_type": "WinterDesignDay", "sky_clearness": 0.0, "daily_dry_bulb_temperature_range": 0.0,
        "maximum_dry_bulb_temperature": design.heating_c, "wetbulb_or_dewpoint_at_maximum_dry_bulb": design.heating_c,
        "wind_speed": design.heating_wind_m_s, "wind_direction": design.heating_wind_degrees,
    }  # fmt: skip
    cooling = {
        "month": design.cooling_month, "day_type": "SummerDesignDay", "sky_clearness": 1.0,
        "daily_dry_bulb_temperature_range": design.cooling_range_k,
        "wind_speed": design.cooling_wind_m_s, "wind_direction": design.cooling_wind_degrees,
    }  # fmt: skip
    yield "heating 99.6 %", {**common, **heating}
    for name, dry, wet in (
        ("cooling 0.4 % dry bulb", design.cooling_c, design.cooling_wet_bulb_c),
        ("cooling 0.4 % wet bulb", design.humid_c, design.humid_wet_bulb_c),
    ):
        yield name, {**common, **cooling, "maximum_dry_bulb_temperature": dry, "wetbulb_or_dewpoint_at_maximum_dry_bulb": wet}


def _edit_air_handler(model: Model, handler: AirHandlerDesign, own: OwnControl, variant: str) -> None:
    key, source = slug(handler.name), handler.source
    running = lever(f"{key}.fan_run", model, 1)
    if source["variable"]:
        _own_fan(model, source["fan"], running, FAN_RESET if variant == "code" else FAN_FIXED)
        _own_supply_setpoint(model, source["supply_node"], lever(f"{key}.sa_t_sp", model, float(own.air_handlers[key].supply_c[0])))
    elif source["unit"] and source["fan_kind"] != "Fan:ConstantVolume":
        _own_unit(model, handler, running)
    else:
        model[source["fan_kind"]][source["fan"]]["availability_schedule_name"] = running
    if not source["unit"]:
        _serve_at_night(model, handler, running)
    if handler.has("oa_f_sp"):
        controller = model["Controller:OutdoorAir"][source["oa_controller"]]
        for field in ("mechanical_ventilation_controller_name", "minimum_fraction_of_outdoor_air_schedule_name"):
            controller.pop(field, None)
        if variant != "code":
            controller["economizer_control_type"] = "NoEconomizer"
        controller["minimum_outdoor_air_schedule_name"] = lever(f"{key}.oa_share", model, 1)


def _own_unit(model: Model, handler: AirHandlerDesign, running: str) -> None:
    """A packaged unit: its fan runs through while the lever is on, else only when the thermostat calls, as its own `auto` does."""
    source = handler.source
    always = lever(ALWAYS, model, 1)
    model[source["unit_kind"]][source["unit"]].update(
        supply_air_fan_operating_mode_schedule_name=running, availability_schedule_name=always
    )
    model[source["fan_kind"]][source["fan"]]["availability_schedule_name"] = always
    for manager in managers_of(model, source["loop"], "AvailabilityManager:NightCycle"):
        manager["fan_schedule_name"] = always
    for manager in managers_of(model, source["loop"], "AvailabilityManager:Scheduled"):
        manager["schedule_name"] = always


def _serve_at_night(model: Model, handler: AirHandlerDesign, running: str) -> None:
    """A night cycle for any zone beside the fan's lever; a loop without one gets it."""
    loop = handler.source["loop"]
    cycles = managers_of(model, loop, "AvailabilityManager:NightCycle")
    for manager in managers_of(model, loop, "AvailabilityManager:Scheduled"):
        manager["schedule_name"] = running
    for manager in cycles:
        manager["fan_schedule_name"] = running
    if cycles:
        return
    name = f"{slug(handler.name)}.night_cycle"
    model.setdefault("AvailabilityManager:NightCycle", {})[name] = {
        "applicability_schedule_name": lever(ALWAYS, model, 1), "fan_schedule_name": running, "control_type": "CycleOnAny",
        "thermostat_tolerance": 1.0, "cycling_run_time_control_type": "FixedRunTime", "cycling_run_time": 1800,
    }  # fmt: skip
    model.setdefault("AvailabilityManagerAssignmentList", {})[f"{name}.list"] = {
        "managers": [{"availability_manager_object_type": "AvailabilityManager:NightCycle", "availability_manager_name": name}]
    }
    model["AirLoopHVAC"][loop]["availability_manager_list_name"] = f"{name}.list"


def _own_fan(model: Model, name: str, running: str, curve: tuple[float, ...]) -> None:
    """Whatever the fan was, a variable-volume fan with our switch and curve, so that one code path serves all models."""
    kind, name = next((k, n) for k in model if k.startswith("Fan:") for n in model[k] if n.lower() == name.lower())
    old = model[kind].pop(name)
    if not model[kind]:
        del model[kind]
    model.setdefault("Fan:VariableVolume", {})[name] = {
        "air_inlet_node_name": old["air_inlet_node_name"],
        "air_outlet_node_name": old["air_outlet_node_name"],
        "availability_schedule_name": running,
        "fan_total_efficiency": old.get("fan_total_efficiency", FAN_EFFICIENCY),
        "motor_efficiency": old.get("motor_efficiency", FAN_MOTOR_EFFICIENCY),
        "motor_in_airstream_fraction": 1.0,
        "pressure_rise": old.get("pressure_rise", old.get("design_pressure_rise", FAN_PRESSURE_PA)),
        "maximum_flow_rate": "Autosize",
        "fan_power_minimum_flow_rate_input_method": "FixedFlowRate",
        "fan_power_minimum_air_flow_rate": 0.0,
        **{f"fan_power_coefficient_{i + 1}": c for i, c in enumerate(curve)},
    }
    for branch in model["Branch"].values():
        for part in branch["components"]:
            if part["component_name"].lower() == name.lower() and part["component_object_type"] == kind:
                part["component_object_type"] = "Fan:VariableVolume"


def _own_supply_setpoint(model: Model, node: str, schedule: str) -> None:
    """One scheduled manager on the supply node, in place of any other that sets it."""
    nodes = {node.lower()} | {
        n.lower() for n, o in model.get("NodeList", {}).items() if [x["node_name"].lower() for x in o["nodes"]] == [node.lower()]
    }
    for kind in [k for k in model if k.startswith("SetpointManager:") and "Humidity" not in k]:
        for name in [n for n, o in model[kind].items() if _sets_temperature(o, nodes)]:
            del model[kind][name]
        if not model[kind]:
            del model[kind]
    model.setdefault("SetpointManager:Scheduled", {})[schedule] = {
        "control_variable": "Temperature",
        "schedule_name": schedule,
        "setpoint_node_or_nodelist_name": node,
    }


def _sets_temperature(manager: Model, nodes: set[str]) -> bool:
    return manager.get("setpoint_node_or_nodelist_name", "").lower() in nodes and "Humidity" not in manager.get("control_variable", "")


def _edit_zone(model: Model, zone: ZoneDesign, own: OwnControl) -> None:
    key, mine = slug(zone.name), own.zones[slug(zone.name)]
    _own_thermostat(model, zone, own)
    if zone.terminal == BOX:
        box = model[zone.source["box_kind"]][zone.source["box"]]
        box.pop("constant_minimum_air_flow_fraction", None)
        box.pop("fixed_minimum_air_flow_rate", None)
        box.update(
            zone_minimum_air_flow_input_method="Scheduled",
            minimum_air_flow_fraction_schedule_name=lever(f"{key}.min_flow", model, mine.minimum_flow_percent / 100),
        )
    if zone.has("zn_lux"):
        _add_light_sensor(model, zone)


def _own_thermostat(model: Model, zone: ZoneDesign, own: OwnControl) -> None:
    """A thermostat of the zone's own in place of one that it may share, with the setpoints that it had."""
    key, mine = slug(zone.name), own.zones[slug(zone.name)]
    name = f"{key}.thermostat"
    levers = {}
    if mine.heating_c is not None:
        levers["heating"] = lever(f"{key}.htg_sp", model, float(mine.heating_c.max()))
    if mine.cooling_c is not None:
        levers["cooling"] = lever(f"{key}.clg_sp", model, float(mine.cooling_c.min()))
    if not levers:
        return
    if len(levers) == 2:
        kind, number = "ThermostatSetpoint:DualSetpoint", DUAL
        setpoint = {f"{what}_setpoint_temperature_schedule_name": schedule for what, schedule in levers.items()}
    else:
        what, schedule = next(iter(levers.items()))
        kind, number = f"ThermostatSetpoint:Single{what.capitalize()}", HEATING_ONLY if what == "heating" else COOLING_ONLY
        setpoint = {"setpoint_temperature_schedule_name": schedule}
    model.setdefault(kind, {})[name] = setpoint
    control = model["ZoneControl:Thermostat"][zone.source["thermostat"]]
    for n in range(2, 5):
        control.pop(f"control_{n}_object_type", None)
        control.pop(f"control_{n}_name", None)
    control.update(
        control_1_object_type=kind,
        control_1_name=name,
        control_type_schedule_name=lever(f"{THERMOSTAT_KIND}{number}", model, number),
    )


def _add_light_sensor(model: Model, zone: ZoneDesign) -> None:
    """A daylight point over the middle of the floor. It controls 1 % of the lamps only: we want its reading, not its dimming."""
    key, name = slug(zone.name), zone.source["zone"]
    origin = model["Zone"][name]
    x, y = (sum(corner[i] for corner in zone.polygon) / len(zone.polygon) for i in (0, 1))
    point = f"{key}.daylight_point"
    model.setdefault("Daylighting:ReferencePoint", {})[point] = {
        "zone_or_space_name": name,
        # relative to the zone's origin
        "x_coordinate_of_reference_point": x - float(origin.get("x_origin", 0.0)),
        "y_coordinate_of_reference_point": y - float(origin.get("y_origin", 0.0)),
        "z_coordinate_of_reference_point": zone.floor_z_m + WORK_PLANE_M - float(origin.get("z_origin", 0.0)),
    }
    model.setdefault("Daylighting:Controls", {})[f"{key}.daylight"] = {
        "zone_or_space_name": name, "daylighting_method": "SplitFlux", "lighting_control_type": "Continuous",
        "minimum_input_power_fraction_for_continuous_or_continuousoff_dimming_control": 0.1,
        "minimum_light_output_fraction_for_continuous_or_continuousoff_dimming_control": 0.05,
        "number_of_stepped_control_steps": 1, "probability_lighting_will_be_reset_when_needed_in_manual_stepped_control": 1.0,
        "glare_calculation_daylighting_reference_point_name": point,
        "glare_calculation_azimuth_angle_of_view_direction_clockwise_from_zone_y_axis": 0, "maximum_allowable_discomfort_glare_index": 22,
        "control_data": [{
            "daylighting_reference_point_name": point,
            "fraction_of_lights_controlled_by_reference_point": 0.01, "illuminance_setpoint_at_reference_point": 500,
        }],
    }  # fmt: skip


def _add_comfort(model: Model) -> None:
    """Fanger comfort for all people, dressed by the morning's weather: a calendar of clothing makes PMV meaningless in warm winters."""
    work = lever("comfort.no_external_work", model, 0.0)
    air = lever("comfort.air_speed", model, 0.2)
    for people in model["People"].values():
        people.setdefault("work_efficiency_schedule_name", work)
        people.setdefault("air_velocity_schedule_name", air)
        people["thermal_comfort_model_1_type"] = "Fanger"
        people["clothing_insulation_calculation_method"] = "DynamicClothingModelASHRAE55"
        people.pop("clothing_insulation_schedule_name", None)


def _add_co2(model: Model) -> None:
    for people in model["People"].values():
        people["carbon_dioxide_generation_rate"] = CO2_M3_S_W
    outdoor = lever("outdoor.co2", model, OUTDOOR_CO2_PPM)
    model["ZoneAirContaminantBalance"] = {"co2": {"carbon_dioxide_concentration": "Yes", "outdoor_carbon_dioxide_schedule_name": outdoor}}


def design_people(model: Model, building: Building) -> dict[str, float]:
    """Design people of each zone by its key, from the model's People objects, all its equal rooms together; 0 where a zone has none."""
    return {slug(zone.name): zone.multiplier * sum(_people(model["People"][p], zone) for p in zone.people) for zone in building.zones}


def _people(people: Model, zone: ZoneDesign) -> float:
    method = people.get("number_of_people_calculation_method", "People")
    if method == "Area/Person":
        return zone.area_m2 / float(people["floor_area_per_person"])
    if method == "People/Area":
        return zone.area_m2 * float(people["people_per_floor_area"])
    return float(people.get("number_of_people", 0.0))


def fan_share(curve: tuple[float, ...], flow_share: float) -> float:
    """Fan power share of a curve at a flow share."""
    return math.fsum(c * flow_share**i for i, c in enumerate(curve))


def needed_pressure_share(flow_share: float) -> float:
    """The least fan pressure, as a share of design, that still brings this flow: what a good static reset reaches.

    There is no duct model; without this floor a controller could save fan energy that no duct would give.
    """
    share = min(1.0, max(0.05, flow_share))
    return min(1.0, max(0.2, fan_share(FAN_RESET, share) / fan_share(FAN_FIXED, share)))
