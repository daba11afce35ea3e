"""Every number the strategies use, in one place, each with its reason. None belongs to a building or a climate."""

from dataclasses import dataclass

LEGAL_OUTDOOR_AIR_L_S = {
    # country of the grid region -> (litres per second and person, and per m2 of zones with people)
    "CN": (8.33, 0.0),  # GB 50736: 30 m3/h and person in offices
    "US": (2.5, 0.3),  # ASHRAE 62.1 offices; rooms that stand empty need none (occupied standby)
    "": (7.0, 0.0),  # EN 16798-1 category II, people
}
"""The legal minimum while people are present; '' is for every other country."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Parameters of all strategies; times in minutes or hours, temperatures in degrees Celsius or kelvin, as the names say."""

    # Comfort band: slides with the running mean outdoor temperature, as clothing does (EN 16798-1 annex B, ASHRAE 55 dynamic clothing).
    running_mean_days: float = 4.0
    cold_outdoor_c: float = 10.0
    warm_outdoor_c: float = 18.0
    band_cold_k: tuple[float, float] = (1.3, 1.4)  # inside the site's comfort limits, from below and from above
    band_warm_k: tuple[float, float] = (1.5, 0.3)  # a good loop holds 0.3 K; summer clothes: near the upper limit, and soon cold
    standby_k: float = 1.5  # an empty zone comes back into its band within about a quarter of an hour
    standby_warm_k: float = 0.3  # but not further above the comfort limit: who comes back must not sit in a room that is too warm
    drying_k: float = 1.7  # a coil that runs longer dries: so much lower is the cooling setpoint at the site's limit of humidity
    drying_percent: float = 6.0  # it begins so far below the limit
    evening_h: float = 1.0  # before the last usually leave
    evening_k: float = 0.7  # nobody notices it
    night_cycle_k: float = 0.7  # a night cycle lets a room go so far beyond its setpoint before it serves it
    standby_after_min: float = 30.0  # longer than a meeting's start or a coffee, shorter than lunch
    night_c: tuple[float, float] = (16.0, 29.0)  # above mould, below what damages things; inside the hard limits

    # Start and stop
    arrival_share: float = 0.03  # of the largest number of people: the porter does not start a floor, the counters do
    lead_h_per_k_cold: float = 0.45  # measured on the reference medium office: warms 2.2 K an hour
    lead_h_per_k_warm: float = 0.35
    lead_h_cold_max: float = 2.0
    lead_h_warm_max: float = 1.5
    lead_h_humid_max: float = 2.0  # furniture and carpets give back their damp for an hour or two
    humid_percent: float = 5.0  # the lead grows from so much below the site's limit of humidity to so much above it
    lead_slack_k: float = 0.3  # a gap this small closes by itself once people come
    minimum_on_min: float = 60.0
    minimum_off_min: float = 30.0  # motor starts heat windings; two an hour is what makers of 10-50 kW motors allow
    starts_a_day_max: int = 2
    awaited_h: float = 1.5  # after the first may come, most rooms have their people
    nobody_came_min: float = 120.0  # after the expected arrival: a holiday that the calendar does not know
    quiet_min: float = 20.0  # nobody counted for so long, after hours: the floor is empty

    # Air
    person_m2: float = 20.0  # ASHRAE 62.1 default density of offices; a sparse guess errs to more light and air
    outdoor_air_person_l_s: float = 5.5  # where the law asks for less; CO2 raises it, so that a seated person's stays below 900 ppm
    co2_raise_ppm: float = 800.0
    co2_full_ppm: float = 1000.0
    co2_unknown_ppm: float = 900.0  # a dead sensor: half way up, which is much air
    outdoor_air_raise_max: float = 3.0  # times the need of the people present, at full CO2
    minimum_flow_percent: float = 10.0  # reheat-capable: boxes below it take the heat away (15 000 ppm and cold rooms at 0)
    minimum_flow_empty_percent: float = 5.0
    minimum_flow_raise_percent: float = 40.0  # more at full CO2
    reheat_k: float = 0.5  # a zone this far below its heating setpoint gets more air to carry heat
    reheat_flow_percent: float = 20.0  # 30 carried no more comfort in cold weeks, only a higher morning peak

    # Economiser: differential enthalpy with a fixed dry bulb limit (ASHRAE 90.1 table 6.5.1.1.3); in dry air dry bulb alone
    economiser_outdoor_max_c: float = 24.0
    economiser_humid_percent: float = 12.0  # no moist outdoor air into a room so near the site's limit of humidity
    economiser_gap_kj_kg: float = 3.0  # what sensors of temperature and humidity may be wrong by together
    economiser_room_k: float = 2.5  # without boxes: no free cooling so far below the cooling setpoint, all of it at the setpoint
    economiser_dew_point_max_c: float = 12.8
    economiser_return_gap_k: float = 1.0
    economiser_zone_gap_k: float = 1.0  # no free cooling into a zone that is about to be heated

    # Night air: before people come, where it need not be cooled
    purge_h: float = 2.5
    purge_outdoor_max_c: float = 17.0  # with the fan's heat it stays below the supply temperature at which coils are shut
    purge_gap_k: float = 6.0  # a smaller difference moves more air than the heat is worth
    purge_below_cooling_k: float = 0.8  # rooms so near their cooling setpoint at night will ask for cooling by day
    purge_above_heating_k: float = 2.2  # and not colder than this: the first to come must not be cold
    purge_supply_c: float = 18.0

    # Supply air and pressure
    supply_c_max: float = 16.0
    supply_free_c_max: float = 17.5  # still cools rooms; inside the guard's limit
    supply_free_dew_point_max_c: float = 14.0  # outdoor air is then known to be no moister than the rooms; below the guard's limit
    supply_free_room_k: float = 0.3  # a room that stays so far above its setpoint needs colder air
    supply_free_flow_share: float = 0.75  # fans near their full flow would use up what the machine saves
    supply_free_margin_k: float = 0.2
    fan_heat_k: float = 0.8  # the fan warms the air, so the mixed air may be so much colder than the supply
    supply_step_k: float = 0.5
    supply_warm_gap_k: float = 1.0  # a zone so near its cooling setpoint may soon ask for cold air
    supply_dew_point_max_c: float = 13.0  # below the guard's limit, so that a reset ends before it is refused
    pressure_share_min: float = 0.2
    flow_share_min: float = 0.05

    # Light
    light_full_percent: float = 95.0
    light_empty_percent: float = (
        2.0  # ASHRAE 90.1, 9.4.1.1: what may always burn for the way out is 0.2 W/m2; the lamps follow people within a second
    )
    light_present_min_percent: float = 10.0
    light_group: int = 4
    daylight_trust: float = 0.9  # the sensor sees the ceiling or one desk, not every desk
    light_margin_people: float = 1.0  # who may come in before the next cycle
