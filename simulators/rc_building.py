"""The building behind the rc plant: two resistances and two capacities a zone, moisture, CO2 and shared air handlers, in numpy.

It is made from the twin (areas, levels, which box feeds which zone) and, where models told it, what encloses each zone;
class defaults stand where nothing is said.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from simulators.design import METERS, Building, design_points, table
from simulators.enclosures import NO_ENCLOSURES, Enclosure
from simulators.energyplus.editing import FAN_FIXED, FAN_RESET, needed_pressure_share
from simulators.schedules import COOLING_ON_C, SUPPLY_C
from twin.errors import SiteError
from twin.words import slug

Array = np.ndarray

AIR_J_M3K = 1206.0  # heat capacity of a cubic metre of air
AIR_KG_M3 = 1.2
VAPORISATION_J_KG = 2.45e6
OUTDOOR_CO2_PPM = 420.0
PERSON_SENSIBLE_W, PERSON_LATENT_W, PERSON_CO2_M3_S = 70.0, 50.0, 4.6e-6
COIL_RH = 0.95  # air leaves a wet cooling coil nearly saturated
REHEAT_LEAVING_C = 40.0
COIL_STEP_K, COLDEST_C, LEAK_MOST = 12.0, 6.0, 3.0  # of a cooling coil: its design step, its water, and how a leak grows at little flow
BAND_K = 0.6  # proportional band of a box's own controller


@dataclass(frozen=True)
class RcParameters:
    """Class defaults of an office; a site's plant.toml may state its own under [rc]."""

    height_m: float = 2.7
    person_m2: float = 18.6
    light_w_m2: float = 10.8
    plug_w_m2: float = 10.8
    plug_night_share: float = 0.4
    hot_water_w_m2: float = 0.15  # gas
    facade_w_m2k: float = 0.9  # conductance to outdoors per floor area, zones with a window
    core_w_m2k: float = 0.12
    mass_w_m2k: float = 8.0  # between air and mass, per floor area
    mass_j_m2k: float = 165_000.0
    air_capacity_factor: float = 5.0  # furniture
    neighbour_w_m2k: float = 0.4
    window_gain: float = 0.045  # W of sun in a window zone per floor area and W/m2 of global irradiance
    daylight_factor: float = 0.012  # light at mid-room per light outdoors
    infiltration_per_h: float = 0.15
    design_flow_m3_s_m2: float = 0.0045
    design_flow_core_share: float = 0.7
    outdoor_air_m3_s_person: float = 0.0125
    fan_pressure_pa: float = 1110.0
    fan_w_per_m3_s: float = 1880.0  # at design: pressure over efficiency
    cooling_cop: float = 3.1
    gas_efficiency: float = 0.8
    # Zones whose enclosure is known (plant/fabric.csv) use these; usual values of buildings after about 1990.
    wall_w_m2k: float = 0.45
    window_w_m2k: float = 2.0
    roof_w_m2k: float = 0.3
    ground_w_m2k: float = 0.25
    inner_w_m2k: float = 1.8  # walls and floors between rooms
    unheated_share: float = 0.5  # how far a room without heating follows outdoors (ISO 13789)
    glass_gain: float = 0.35  # of the sun on a window: glass, frame and blinds
    window_sun_share: float = 0.5  # sun on an upright window per global irradiance, mean of all directions
    window_daylight: float = 0.07  # daylight factor at mid-room per window area and floor area
    sizing_w_m2: float = 700.0  # global irradiance that air flow is sized for
    sizing_gap_k: float = 10.0  # and how much warmer than the room it is outdoors then

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (isinstance(value, (int, float)) and value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a number above 0, got {value!r}")


@dataclass(frozen=True)
class RcZone:
    """A zone as the twin knows it; `points` by tag of design_points.csv, `enclosure` where it was measured."""

    key: str
    area_m2: float
    level: str
    air_handler: str
    points: Mapping[str, str]
    enclosure: Enclosure | None = None

    @property
    def daylit(self) -> bool:
        return self.enclosure.window_m2 > 0 if self.enclosure is not None else "zn_lux" in self.points


@dataclass(frozen=True)
class RcLayout:
    """Zones, air handlers and meters with the ids of their points."""

    zones: tuple[RcZone, ...]
    air_handlers: Mapping[str, Mapping[str, str]]
    meters: Mapping[str, str]  # place.tag of design_points.csv -> point


class Asks(Protocol):
    """What can answer the twin's named queries (twin.graph.Graph)."""

    def ask(self, query_name: str, **bindings: str) -> list[dict[str, str]]: ...


def layout_from_graph(graph: Asks, enclosures: Mapping[str, Enclosure] = NO_ENCLOSURES) -> RcLayout:
    """Everything from the twin's named queries; SiteError when no box feeds a zone."""
    terminals = {row["zone"]: row["air_handler"] for row in graph.ask("terminals")}
    if not terminals:
        raise SiteError("the twin has no terminal unit that feeds a zone; the rc plant has nothing to simulate")
    of_zone = {r["tag"]: _by(graph.ask("zone_points", brick_class=r["brick"]), "zone") for r in table() if r["place"] in ("zone", "lights")}
    of_handler = {r["tag"]: _by(graph.ask("points_of", brick_class=r["brick"]), "owner") for r in table() if r["place"] == "air_handler"}
    rooms: dict[str, list[Mapping[str, str]]] = {}
    for row in graph.ask("zones"):
        if row["zone"] in terminals:
            rooms.setdefault(row["zone"], []).append(row)
    zones = tuple(
        RcZone(
            key,
            _area(key, rows),
            rows[0].get("level", ""),
            terminals[key],
            {t: p[key] for t, p in of_zone.items() if key in p},
            enclosures.get(key),
        )
        for key, rows in rooms.items()
    )
    handlers = {key: {t: p[key] for t, p in of_handler.items() if key in p} for key in sorted({z.air_handler for z in zones})}
    owners = {row["point"]: row["meter"] for row in graph.ask("meters") if "point" in row}
    meters = {
        f"{place}.{r['tag']}": point
        for place, (name, *_) in METERS.items()
        for r in table()
        if r["place"] == place and r["tag"] != "record"
        for point in owners
        if point == slug(f"{name}.{r['tag']}")
    }
    return RcLayout(zones, handlers, meters)


def layout_from_building(building: Building) -> RcLayout:
    """The same from a simulated site's design, for use before there is a twin."""
    points = design_points(building)

    def of(name: str, places: Sequence[str]) -> dict[str, str]:
        return {p.tag: p.id for p in points if p.of == name and p.place in places}

    zones = tuple(
        RcZone(slug(z.name), z.area_m2, str(z.storey), slug(z.air_handler), of(z.name, ("zone", "lights"))) for z in building.zones
    )
    handlers = {slug(h.name): of(h.name, ("air_handler",)) for h in building.air_handlers}
    return RcLayout(zones, handlers, {f"{p.place}.{p.tag}": p.id for p in points if p.place in METERS and p.tag != "record"})


def _area(zone: str, rooms: Sequence[Mapping[str, str]]) -> float:
    """The area of a zone's rooms, m²."""
    area_m2 = sum(float(room.get("area_m2", 0)) for room in rooms)
    if area_m2 <= 0:
        raise SiteError(f"zone {zone}: the twin knows no area of its rooms; export the model with room quantities (NetFloorArea)")
    return area_m2


def _by(rows: Sequence[Mapping[str, str]], column: str) -> dict[str, str]:
    return {row[column]: row["point"] for row in rows}


@dataclass(frozen=True)
class Outdoors:
    """Outdoor conditions of one inner step."""

    temperature_c: float
    humidity_ratio: float
    global_w_m2: float


@dataclass(frozen=True)
class Held:
    """What is held in one inner step; arrays by zone or by air handler."""

    heating_c: Array
    cooling_c: Array
    minimum_share: Array
    light_share: Array
    people: Array
    plug_share: float
    fan: Array
    supply_c: Array
    outdoor_air_m3_s: Array
    pressure_share: Array
    reset_curve: bool  # the code's fan and economizer
    night_cycle: Array = field(default_factory=lambda: np.zeros(0, dtype=bool))


@dataclass
class Defects:
    """What is broken, as arrays by zone or by air handler; a sound building has neutral values throughout."""

    damper_stuck: Array  # share of the largest flow; NaN: moves
    reheat_leak: Array  # opening below which the valve never comes
    cooling_leak: Array  # share of the design step that the coil always takes
    fan_degraded: Array  # share of the air that is missing
    economiser_stuck: Array  # outdoor share of the supply air; NaN: moves
    filter_clogged: Array  # share of power that the fan needs more

    @classmethod
    def none(cls, zones: int, handlers: int) -> "Defects":
        return cls(
            np.full(zones, np.nan), np.zeros(zones), np.zeros(handlers), np.zeros(handlers), np.full(handlers, np.nan), np.zeros(handlers)
        )

    def add(self, kind: str, number: int, share: float) -> None:
        """Break one thing."""
        getattr(self, kind)[number] = share


@dataclass
class RcState:
    """What a building remembers."""

    air_c: Array
    mass_c: Array
    humidity_ratio: Array
    co2_ppm: Array
    flow_m3_s: Array  # by zone
    handler: dict[str, Array]  # supply and return temperature, flow and outdoor flow by air handler


class RcBuilding:
    """Parameters as arrays, and one inner step of physics."""

    def __init__(self, layout: RcLayout, parameters: RcParameters) -> None:
        p, zones = parameters, layout.zones
        self.layout, self.parameters = layout, p
        handlers = list(layout.air_handlers)
        self.served = np.array([handlers.index(z.air_handler) for z in zones])
        levels = sorted({z.level for z in zones})
        self.level = np.array([levels.index(z.level) for z in zones])
        self.area = np.array([z.area_m2 for z in zones])
        self.daylit = np.array([z.daylit for z in zones])
        self.volume = self.area * np.array([z.enclosure.height_m if z.enclosure else p.height_m for z in zones])
        self.people = self.area / p.person_m2
        self.light_w, self.plug_w = self.area * p.light_w_m2, self.area * p.plug_w_m2
        self.outside_w_k = np.array([_outside_w_k(z, p) for z in zones])
        self.sun_m2 = np.array([_sun_m2(z, p) for z in zones])
        self.daylight_factor = np.array([_daylight_factor(z, p) for z in zones])
        self.infiltration_m3_s = np.where(self.daylit, self.volume * p.infiltration_per_h / 3600, 0.0)
        self.mass_w_k, self.mass_j_k = self.area * p.mass_w_m2k, self.area * p.mass_j_m2k
        self.air_j_k = self.volume * AIR_J_M3K * p.air_capacity_factor
        self.neighbour_w_k = self.area * p.neighbour_w_m2k
        self._between = _between_w_k(zones, p)
        self.flow_max = np.array([_flow_m3_s(z, p) for z in zones])
        self.fan_max = self.by_handler(self.flow_max)
        self.defects = Defects.none(len(zones), len(handlers))
        self.outdoor_air_minimum = self.by_handler(self.people) * p.outdoor_air_m3_s_person
        self.balance_j = {"gains": 0.0, "air": 0.0, "losses": 0.0}
        """Heat into the zones by gains and by air handlers, and out of them, since the start: what conservation is tested on."""

    def by_handler(self, per_zone: Array) -> Array:
        return np.bincount(self.served, per_zone, len(self.layout.air_handlers))

    def start(self, temperature_c: float, humidity_ratio: float) -> RcState:
        zones, handlers = len(self.area), len(self.fan_max)
        full = {name: np.full(handlers, value) for name, value in (("supply_c", temperature_c), ("return_c", temperature_c))}
        nothing = {name: np.zeros(handlers) for name in ("flow", "outdoor_flow")}
        return RcState(
            np.full(zones, temperature_c), np.full(zones, temperature_c), np.full(zones, humidity_ratio),
            np.full(zones, OUTDOOR_CO2_PPM), np.zeros(zones), {**full, **nothing},
        )  # fmt: skip

    def stored_j(self, state: RcState) -> float:
        """Sensible heat in air and mass above 0 °C."""
        return float((self.air_j_k * state.air_c).sum() + (self.mass_j_k * state.mass_c).sum())

    def step(self, s: RcState, held: Held, out: Outdoors, dt_s: float) -> dict[str, float]:
        """Move the state on by `dt_s`; returns the energy used in J by end use."""
        flow, reheat_w = self._boxes(s, held)
        used = self._air_handlers(s, held, out, flow)
        supply_c, supply_w, supply_co2 = (s.handler[n][self.served] for n in ("supply_c", "supply_w", "supply_co2"))
        reheat_w = np.minimum(reheat_w, flow * AIR_J_M3K * np.maximum(0.0, REHEAT_LEAVING_C - supply_c))
        light_w, plug_w = self.light_w * held.light_share, self.plug_w * held.plug_share
        sun_w = self.sun_m2 * out.global_w_m2
        gains = light_w + plug_w + sun_w + held.people * PERSON_SENSIBLE_W
        air = flow * AIR_J_M3K * (supply_c - s.air_c) + reheat_w
        losses = (self.outside_w_k + self.infiltration_m3_s * AIR_J_M3K) * (s.air_c - out.temperature_c)
        across = self._across(s.air_c)
        to_mass = self.mass_w_k * (s.air_c - s.mass_c)
        # a third of the gains is radiant and meets the mass first
        s.air_c = s.air_c + dt_s * (gains * 0.67 + air - losses + across - to_mass) / self.air_j_k
        s.mass_c = s.mass_c + dt_s * (gains * 0.33 + to_mass) / self.mass_j_k
        self._moisture_and_co2(s, held, out, flow, (supply_w, supply_co2), dt_s)
        s.flow_m3_s = flow
        for name, watts in (("gains", gains), ("air", air), ("losses", losses)):
            self.balance_j[name] += float(watts.sum()) * dt_s
        used |= {"light": float(light_w.sum()), "plugs": float(plug_w.sum()), "heating_electric": float(reheat_w.sum())}
        return {name: watts * dt_s for name, watts in used.items()}

    def _across(self, air_c: Array) -> Array:
        """Heat from neighbours, W by zone; it sums to nothing. Where no neighbour is known, all zones of a level are."""
        if self._between is not None:
            return np.asarray(self._between @ air_c - self._between.sum(axis=1) * air_c)
        level_c = np.bincount(self.level, self.neighbour_w_k * air_c) / np.bincount(self.level, self.neighbour_w_k)
        return np.asarray(self.neighbour_w_k * (level_c[self.level] - air_c))

    def _boxes(self, s: RcState, held: Held) -> tuple[Array, Array]:
        """Each box's flow and reheat by its own proportional controller."""
        running = (held.fan | held.night_cycle)[self.served]
        cooling = np.clip((s.air_c - held.cooling_c + BAND_K / 2) / BAND_K, 0.0, 1.0)
        heating = np.clip((held.heating_c + BAND_K / 2 - s.air_c) / BAND_K, 0.0, 1.0)
        share = np.maximum(held.minimum_share, cooling)
        share = np.where(heating > 0, np.maximum(share, 0.3 * heating), share)  # reheat needs air to carry it
        broken = self.defects
        share = np.where(np.isnan(broken.damper_stuck), share, broken.damper_stuck) * (1 - broken.fan_degraded[self.served])
        heating = np.maximum(heating, broken.reheat_leak)
        flow = np.where(running, share * self.flow_max, 0.0)
        return flow, np.where(running, heating * flow * AIR_J_M3K * (REHEAT_LEAVING_C - 12.8), 0.0)

    def _air_handlers(self, s: RcState, held: Held, out: Outdoors, flow: Array) -> dict[str, float]:
        """Mix, heat or cool and blow; updates the air handlers' state. Powers in W."""
        total = self.by_handler(flow)
        running = total > 1e-6
        safe = np.where(running, total, 1.0)
        weights = np.where(running, total, self.by_handler(self.flow_max))
        carried = np.where(running[self.served], flow, self.flow_max)
        back_c, back_w, back_co2 = (self.by_handler(carried * x) / weights for x in (s.air_c, s.humidity_ratio, s.co2_ppm))
        outdoor = np.where(held.night_cycle & ~held.fan, 0.0, np.minimum(held.outdoor_air_m3_s, total))
        if held.reset_curve:
            outdoor = np.maximum(outdoor, _economizer(total, back_c, held.supply_c, out.temperature_c) * held.fan)
        outdoor = np.where(np.isnan(self.defects.economiser_stuck), outdoor, self.defects.economiser_stuck * total)
        share = outdoor / safe
        mixed_c = share * out.temperature_c + (1 - share) * back_c
        mixed_w = share * out.humidity_ratio + (1 - share) * back_w
        fan_share = np.clip(total / self.fan_max, 0.0, 1.0)
        curve = np.array([_curve(FAN_RESET if held.reset_curve else FAN_FIXED, x) for x in fan_share])
        pressure = 1.0 if held.reset_curve else np.maximum(held.pressure_share, [needed_pressure_share(x) for x in fan_share])
        design_w = self.fan_max * self.parameters.fan_w_per_m3_s * (1 + self.defects.filter_clogged)
        fan_w = np.where(running, design_w * np.maximum(0.0, curve) * pressure, 0.0)
        mixed_c = mixed_c + np.where(running, fan_w / (safe * AIR_J_M3K), 0.0)
        leak_k = self.defects.cooling_leak * COIL_STEP_K * np.minimum(self.fan_max / safe, LEAK_MOST)
        supply_c = np.where(leak_k > 0, np.minimum(held.supply_c, np.maximum(mixed_c - leak_k, COLDEST_C)), held.supply_c)
        coil_w = np.minimum(mixed_w, saturation_ratio(supply_c) * COIL_RH)
        cooling = running & (mixed_c > supply_c)
        supply_w = np.where(cooling, coil_w, mixed_w)
        sensible = total * AIR_J_M3K * (mixed_c - supply_c)
        latent = total * AIR_KG_M3 * VAPORISATION_J_KG * (mixed_w - supply_w)
        coil_power = np.where(cooling, sensible + latent, 0.0)
        gas_power = np.where(running & ~cooling, -sensible, 0.0)
        s.handler = {
            "supply_c": np.where(running, supply_c, back_c), "return_c": back_c, "flow": total, "outdoor_flow": outdoor,
            "supply_w": np.where(running, supply_w, back_w),
            "supply_co2": share * OUTDOOR_CO2_PPM + (1 - share) * back_co2,
        }  # fmt: skip
        return {
            "fans": float(fan_w.sum()),
            "cooling": float(coil_power.sum()) / self.parameters.cooling_cop,
            "heating_gas": float(gas_power.sum()) / self.parameters.gas_efficiency,
        }

    def _moisture_and_co2(self, s: RcState, held: Held, out: Outdoors, flow: Array, supply: tuple[Array, Array], dt_s: float) -> None:
        vapour = held.people * PERSON_LATENT_W / VAPORISATION_J_KG / AIR_KG_M3
        leak = self.infiltration_m3_s
        supply_w, supply_co2 = supply
        change = flow * (supply_w - s.humidity_ratio) + leak * (out.humidity_ratio - s.humidity_ratio) + vapour
        s.humidity_ratio = s.humidity_ratio + dt_s * change / self.volume
        exhaled = held.people * PERSON_CO2_M3_S * 1e6
        change = flow * (supply_co2 - s.co2_ppm) + leak * (OUTDOOR_CO2_PPM - s.co2_ppm) + exhaled
        s.co2_ppm = s.co2_ppm + dt_s * change / self.volume


def _outside_w_k(zone: RcZone, p: RcParameters) -> float:
    """Conductance to outdoors: by what encloses the zone, else by its floor area."""
    e = zone.enclosure
    if e is None:
        return zone.area_m2 * (p.facade_w_m2k if zone.daylit else p.core_w_m2k)
    opaque = (e.facade_m2 - e.window_m2) * p.wall_w_m2k + e.roof_m2 * p.roof_w_m2k + e.ground_m2 * p.ground_w_m2k
    return opaque + e.window_m2 * p.window_w_m2k + e.unheated_m2 * p.inner_w_m2k * p.unheated_share


def _sun_m2(zone: RcZone, p: RcParameters) -> float:
    """Sun that comes in, W per W/m² of global irradiance."""
    if zone.enclosure is not None:
        return zone.enclosure.window_m2 * p.glass_gain * p.window_sun_share
    return zone.area_m2 * p.window_gain if zone.daylit else 0.0


def _daylight_factor(zone: RcZone, p: RcParameters) -> float:
    if zone.enclosure is not None:
        return p.window_daylight * zone.enclosure.window_m2 / zone.area_m2
    return p.daylight_factor


def _flow_m3_s(zone: RcZone, p: RcParameters) -> float:
    """The box's largest flow: sized by the zone's own summer load where its enclosure is known, else by floor area; never less."""
    usual = zone.area_m2 * p.design_flow_m3_s_m2 * (1.0 if zone.daylit else p.design_flow_core_share)
    if zone.enclosure is None:
        return usual
    gains = zone.area_m2 * (p.light_w_m2 + p.plug_w_m2 + PERSON_SENSIBLE_W / p.person_m2)
    load_w = gains + _sun_m2(zone, p) * p.sizing_w_m2 + _outside_w_k(zone, p) * p.sizing_gap_k
    return max(usual, load_w / (AIR_J_M3K * (COOLING_ON_C - SUPPLY_C)))


def _between_w_k(zones: Sequence[RcZone], p: RcParameters) -> Array | None:
    """Conductances from zone to zone, the same both ways; None where no enclosure is known."""
    if not any(zone.enclosure for zone in zones):
        return None
    place = {zone.key: n for n, zone in enumerate(zones)}
    between = np.zeros((len(zones), len(zones)))
    for zone in zones:
        for other, area_m2 in (zone.enclosure.shared if zone.enclosure else {}).items():
            if other in place:
                between[place[zone.key], place[other]] = between[place[other], place[zone.key]] = area_m2 * p.inner_w_m2k
    return between


def _economizer(total: Array, back_c: Array, supply_c: Array, outdoor_c: float) -> Array:
    """Outdoor flow that brings the mixed air to the supply setpoint while outdoors is cooler than the return air."""
    gap = np.maximum(back_c - outdoor_c, 0.1)
    return np.where(outdoor_c < back_c, np.clip((back_c - supply_c) / gap, 0.0, 1.0) * total, 0.0)


def _curve(coefficients: Sequence[float], x: float) -> float:
    return sum(c * x**i for i, c in enumerate(coefficients))


def saturation_ratio(temperature_c: Array | float) -> Array:
    """Humidity ratio of saturated air at sea level, kg/kg (Magnus)."""
    pressure = 611.2 * np.exp(17.62 * np.asarray(temperature_c) / (243.12 + np.asarray(temperature_c)))
    return np.asarray(0.622 * pressure / (101325 - pressure))


def relative_humidity(humidity_ratio: Array, temperature_c: Array) -> Array:
    """Percent, from humidity ratio and temperature."""
    vapour = humidity_ratio * 101325 / (0.622 + humidity_ratio)
    return np.asarray(np.clip(100 * vapour / (611.2 * np.exp(17.62 * temperature_c / (243.12 + temperature_c))), 0.0, 100.0))
