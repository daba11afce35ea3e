"""The rc plant: a building of resistances and capacities made from the twin, for machines without EnergyPlus and for quick runs.

Savings are scored on EnergyPlus; this plant runs the same loop anywhere.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import numpy as np

from simulators.people import Occupancy, simulate_people
from simulators.plant import STEP_S, STEPS_PER_DAY, Period, Step
from simulators.rc_building import Held, Outdoors, RcBuilding, RcLayout, RcParameters, relative_humidity, saturation_ratio
from simulators.schedules import MINIMUM_FLOW_PERCENT, SUPPLY_C, operating
from simulators.score import Score, Tally, ZoneFacts, lamp_lux
from simulators.weather import GLOBAL_LUX_PER_W_M2, ForecastHour, Weather
from twin.comfort import clothing_clo, pmv
from twin.errors import StateError

INNER_S = 60
WARM_UP_DAYS = 2
NIGHT_CYCLE_K, NIGHT_CYCLE_S = 0.5, 1800
AIR_SPEED_M_S, ACTIVITY_MET = 0.15, 1.2
PLUG_HOURS = (8, 18)


class RcPlant:
    """One period of an rc building; steps of ten minutes, one minute inside."""

    engine = "rc"
    step_s = STEP_S

    def __init__(
        self, layout: RcLayout, weather: Weather, period: Period, *, seed: int, variant: str = "bau",
        parameters: RcParameters | None = None, lux_target: float = 500.0,
    ) -> None:  # fmt: skip
        self.note = ""
        self.weather, self.variant = weather, variant
        self.building = RcBuilding(layout, parameters or RcParameters())
        self._layout, self._period, self._seed, self._lux_target = layout, period, seed, lux_target
        self._start = period.begin
        self._people = {z.key: float(n) for z, n in zip(layout.zones, self.building.people, strict=True)}
        self._occupancy = self.people(period.start, period.days, seed)
        self._tally = Tally(STEP_S, len(layout.zones), lux_target)
        self._state = self.building.start(24.0, 0.009)
        self._meters_j: dict[str, float] = {}
        self._power_w = 0.0
        self._light_now = np.zeros(len(layout.zones))
        self._night_left_s = np.zeros(len(layout.air_handlers))
        self._done: int | None = None

    def people(self, start: date, days: int, seed: int) -> Occupancy:
        """Office people, one by one."""
        return simulate_people(self._people, start, days, seed, STEP_S)

    @property
    def counters(self) -> Mapping[str, float]:
        """Points that count people, with the design people of their zones."""
        return {z.points["zn_occ"]: self._people[z.key] for z in self._layout.zones if "zn_occ" in z.points}

    def reset(self) -> Step:
        """Warm up under the building's own schedule on the first day, repeated."""
        if self._done is not None:
            raise StateError("this plant has been started already; open another one")
        for _ in range(WARM_UP_DAYS):
            for n in range(STEPS_PER_DAY):
                self._run_step(self.own_schedule(self._at(n)), n)
        self.building.balance_j = dict.fromkeys(self.building.balance_j, 0.0)
        self._done, self._power_w = 0, 0.0
        return Step(self._at(0), self._readings(0))

    def step(self, held: Mapping[str, float]) -> Step | None:
        """Ten minutes with the held values; None when the period is over."""
        if self._done is None:
            raise StateError("reset the plant before its first step")
        if self._done == self._period.days * STEPS_PER_DAY:
            return None
        used = self._run_step(held, self._done)
        for name, joules in used.items():
            self._meters_j[name] = self._meters_j.get(name, 0.0) + joules
        self._power_w = used["electricity"] / STEP_S
        self._tally.add_energy(used)
        self._tally.add_fans([held[points["fan_run"]] > 0 for points in self._layout.air_handlers.values()])
        self._add_comfort(self._done)
        self._done += 1
        return Step(self._at(self._done), self._readings(self._done - 1))

    def design(self) -> dict[str, float]:
        """Fans and outdoor air as the parameters give them."""
        handlers = enumerate(self._layout.air_handlers)
        fan_w = self.building.fan_max * self.building.parameters.fan_w_per_m3_s
        flows = {"fan_m3_s": self.building.fan_max, "outdoor_air_m3_s": self.building.outdoor_air_minimum, "fan_w": fan_w}
        return {f"{kind}.{name}": float(values[n]) for n, name in handlers for kind, values in flows.items()}

    def own_schedule(self, at: datetime) -> dict[str, float]:
        """The building's own control at a site time."""
        now, building = operating(self.variant, at), self.building
        values: dict[str, float] = {}
        for points, outdoor in zip(self._layout.air_handlers.values(), building.outdoor_air_minimum, strict=True):
            own = {
                "fan_run": float(now.fan_on), "sa_t_sp": SUPPLY_C, "oa_f_sp": float(outdoor) if now.outdoor_air_on else 0.0,
                "sa_p_sp": building.parameters.fan_pressure_pa,
            }  # fmt: skip
            values |= {points[tag]: value for tag, value in own.items() if tag in points}
        for zone in self._layout.zones:
            own = {"htg_sp": now.heating_c, "clg_sp": now.cooling_c, "min_flow": MINIMUM_FLOW_PERCENT, "level": now.light_percent}
            values |= {zone.points[tag]: value for tag, value in own.items() if tag in zone.points}
        return values

    def score(self) -> Score:
        """Energy and comfort of the steps done."""
        return self._tally.score()

    def forecast(self, hours: int) -> list[ForecastHour]:
        """Outdoor temperature with a forecast's error."""
        return self.weather.forecast(self._at(self._done or 0), hours, self._seed)

    def meters(self) -> dict[str, float]:
        """Wh by meter point since reset."""
        uses = {"main_meter": "electricity", "gas_meter": "gas", "hvac_meter": "hvac_electric", "lighting_meter": "light"}
        points = self._layout.meters
        return {
            points[f"{place}.energy"]: float(int(self._meters_j.get(use, 0.0) / 3600))
            for place, use in uses.items()
            if f"{place}.energy" in points
        }

    def close(self) -> None:
        """Nothing to end: no thread, no folder."""

    def _at(self, step: int) -> datetime:
        return self._start + timedelta(seconds=step * STEP_S)

    def _run_step(self, held: Mapping[str, float], n: int) -> dict[str, float]:
        values = self._held(held, n)
        used: dict[str, float] = {}
        out = self._outdoors(self._at(n) + timedelta(seconds=STEP_S / 2))
        for _ in range(STEP_S // INNER_S):
            self._night_cycle(values)
            for name, joules in self.building.step(self._state, values, out, INNER_S).items():
                used[name] = used.get(name, 0.0) + joules
        return self._end_uses(used)

    def _held(self, held: Mapping[str, float], n: int) -> Held:
        zones, handlers = self._layout.zones, self._layout.air_handlers.values()
        own = self.own_schedule(self._at(n))

        def of(owners: list[Mapping[str, str]], tag: str) -> np.ndarray:
            return np.array([held.get(points[tag], own[points[tag]]) for points in owners])

        zone_points, handler_points = [z.points for z in zones], list(handlers)
        level = of(zone_points, "level")
        own_level = np.array([own[points["level"]] for points in zone_points])
        self._light_now = np.where(level < 0, own_level, np.minimum(level, 100.0))
        counts = self._occupancy.at(n)
        hour = self._at(n).hour
        busy = self._at(n).weekday() < 5 and PLUG_HOURS[0] <= hour < PLUG_HOURS[1]
        p = self.building.parameters
        return Held(
            of(zone_points, "htg_sp"), of(zone_points, "clg_sp"), of(zone_points, "min_flow") / 100, self._light_now / 100,
            np.array([float(counts[z.key]) for z in zones]), 1.0 if busy else p.plug_night_share,
            of(handler_points, "fan_run") > 0, of(handler_points, "sa_t_sp"), of(handler_points, "oa_f_sp"),
            np.clip(of(handler_points, "sa_p_sp") / p.fan_pressure_pa, 0.0, 1.0), self.variant == "code",
            self._night_left_s > 0,
        )  # fmt: skip

    def _night_cycle(self, held: Held) -> None:
        """A stopped air handler runs half an hour, without outdoor air, when one of its zones leaves the setpoints held."""
        air = self._state.air_c
        outside = (air < held.heating_c - NIGHT_CYCLE_K) | (air > held.cooling_c + NIGHT_CYCLE_K)
        called = self.building.by_handler(outside.astype(float)) > 0
        self._night_left_s = np.where(called & ~held.fan, NIGHT_CYCLE_S, np.maximum(0.0, self._night_left_s - INNER_S))
        held.night_cycle[:] = (self._night_left_s > 0) & ~held.fan

    def _outdoors(self, at: datetime) -> Outdoors:
        at_point = self.weather.at
        dew = at_point("dew_point_c", at)
        return Outdoors(at_point("dry_bulb_c", at), float(saturation_ratio(dew)), at_point("global_w_m2", at))

    def _end_uses(self, used: Mapping[str, float]) -> dict[str, float]:
        """End uses and facility meters; a building without a gas meter heats its coils and its water by electricity."""
        water = float(self.building.area.sum()) * self.building.parameters.hot_water_w_m2 * STEP_S
        uses = dict(used)
        if "gas_meter.energy" in self._layout.meters:
            gas, water_electric = uses["heating_gas"] + water, 0.0
        else:
            uses["heating_electric"] += uses.pop("heating_gas") * self.building.parameters.gas_efficiency
            gas, water_electric = 0.0, water
        hvac_electric = uses["fans"] + uses["cooling"] + uses["heating_electric"]
        return {
            **uses, "electricity": hvac_electric + uses["light"] + uses["plugs"] + water_electric, "gas": gas, "other": 0.0,
            "hvac_electric": hvac_electric, "hvac": hvac_electric + uses.get("heating_gas", 0.0),
        }  # fmt: skip

    def _daylight_lux(self, at: datetime) -> np.ndarray:
        return np.asarray(self.weather.at("global_w_m2", at) * GLOBAL_LUX_PER_W_M2 * self.building.daylight_factor)

    def _readings(self, n: int) -> dict[str, float]:
        state, at, counts = self._state, self._at(self._done or 0), self._occupancy.at(n)
        humidity = relative_humidity(state.humidity_ratio, state.air_c)
        values: dict[str, float] = {}
        daylight = self._daylight_lux(at)
        for i, zone in enumerate(self._layout.zones):
            seen = {
                "zn_t": state.air_c[i], "zn_rh": humidity[i], "zn_co2": state.co2_ppm[i], "sa_f": state.flow_m3_s[i],
                "zn_occ": counts[zone.key] if self._done else 0, "zn_lux": daylight[i], "level_now": self._light_now[i],
            }  # fmt: skip
            values |= {zone.points[tag]: float(value) for tag, value in seen.items() if tag in zone.points}
        outdoors = {"oa_t": self.weather.at("dry_bulb_c", at), "oa_rh": self.weather.at("rh_percent", at)}
        for i, points in enumerate(self._layout.air_handlers.values()):
            h = state.handler
            seen = {"sa_t": h["supply_c"][i], "ra_t": h["return_c"][i], "sa_f": h["flow"][i], "oa_f": h["outdoor_flow"][i], **outdoors}
            values |= {points[tag]: float(value) for tag, value in seen.items() if tag in points}
        values |= self.meters()
        if "main_meter.power" in self._layout.meters:
            values[self._layout.meters["main_meter.power"]] = self._power_w
        return values

    def _add_comfort(self, n: int) -> None:
        state, at, counts = self._state, self._at(n), self._occupancy.at(n)
        humidity = relative_humidity(state.humidity_ratio, state.air_c)
        clo = clothing_clo(self.weather.at("dry_bulb_c", at.replace(hour=6, minute=0)))
        daylight = self._daylight_lux(at)
        for i, zone in enumerate(self._layout.zones):
            people = counts[zone.key]
            if people:
                air, radiant = float(state.air_c[i]), float((state.air_c[i] + state.mass_c[i]) / 2)
                vote = pmv(air, radiant, AIR_SPEED_M_S, float(humidity[i]), ACTIVITY_MET, clo)
                used = people / max(1.0, float(self.building.people[i]))
                lux = lamp_lux(float(self._light_now[i]), used, self._lux_target) + (float(daylight[i]) if zone.daylit else 0.0)
                self._tally.add_zone(ZoneFacts(people, vote, air, float(state.co2_ppm[i]), float(humidity[i]), lux))
