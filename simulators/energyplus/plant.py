"""A simulated building judged by EnergyPlus: the engine owns its loop and calls us, so it runs in a thread and hands over once a step."""

import json
import math
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from simulators.design import Building, ZoneDesign
from simulators.energyplus import engine
from simulators.energyplus.building import read_building
from simulators.energyplus.editing import design_people, edit, needed_pressure_share
from simulators.energyplus.engine import Exchange, RunStopped
from simulators.energyplus.handles import FACILITY, Handles, Sizing, end_uses, find_handles, read_sizing, standard_density
from simulators.energyplus.own import ZoneOwn, read_own
from simulators.people import Occupancy, Presence, simulate_people, simulate_presence
from simulators.plant import STEP_S, STEPS_PER_DAY, Period, Step
from simulators.schedules import VARIANTS
from simulators.score import Score, Tally, ZoneFacts, lamp_lux
from simulators.weather import ForecastHour, read_epw
from twin.errors import SiteError, StateError
from twin.words import slug

ENGINE_WAIT_S = 300  # sizing and warm-up of a big model take under a minute, a step some milliseconds
HELD_WAIT_S = 3600  # a person may look at a paused site for long; then the engine ends by itself
CLOSE_WAIT_S = 60
METER_OF = {meter: use for use, meter in FACILITY.items()}
METER_TOLERANCE = 1e-6  # the meter file has fewer digits than a double
OWN_HANDLER_TAGS = ("sa_t_sp", "oa_f_sp", "sa_p_sp")
NATIVE_TOLERANCE = 1e-3  # a design value that went over the wire as float32 is still the design value


class EnergyPlusPlant:
    """One run over `days` from `start`; made, reset once, stepped to the end and closed."""

    engine = "energyplus"
    step_s = STEP_S

    def __init__(self, model: Path, weather: Path, period: Period, *, seed: int, variant: str = "bau", lux_target: float = 500.0) -> None:
        if variant not in VARIANTS:
            raise SiteError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
        self.note = ""
        self.variant, self._seed, self._period, self._lux_target = variant, seed, period, lux_target
        self._start = period.begin
        self.weather = read_epw(weather)
        self._weather_file = weather
        self._folder = tempfile.TemporaryDirectory(prefix="wattproof-energyplus-")
        try:
            edited = engine.load_model(model, Path(self._folder.name))
            self.building: Building = read_building(edited, model.stem)
            self._people = design_people(edited, self.building)
            self._own = read_own(edited, self.building, variant)
            edit(edited, self.building, self._own, period, self.weather, variant)
            self._model = Path(self._folder.name) / "edited.epJSON"
            self._model.write_text(json.dumps(edited), encoding="utf-8")
        except BaseException:
            self._folder.cleanup()
            raise
        self._zones: dict[str, ZoneDesign] = {slug(z.name): z for z in self.building.zones}
        self._handlers = {slug(h.name): h for h in self.building.air_handlers}
        self._tally = Tally(STEP_S, sum(z.has("zn_t") for z in self._zones.values()), lux_target)
        self._handles: Handles | None = None
        self._sizing: Sizing | None = None
        self._occupancy = self.people(period.start, period.days, seed)
        self._held: Mapping[str, float] = {}
        self._light_now: dict[str, float] = {}
        self._used_j: dict[str, float] = {}
        self._meters_j: dict[str, float] = {}
        self._first_day: int | None = None
        self._step = 0  # the step being computed, 0 the first of the period
        self._done = 0
        self._warmed = False
        self._stopped = self._over = False
        self._outbox: queue.Queue[Step | None] = queue.Queue()
        self._inbox: queue.Queue[Mapping[str, float] | None] = queue.Queue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="energyplus", daemon=True)

    # -- the plant protocol, called by whoever drives the simulation ------------------------------------------------------

    def reset(self) -> Step:
        """Size, warm up under the building's own schedule and stand at the first moment of the period."""
        if self._thread.ident is not None:
            raise StateError("this plant has been started already; open another one")
        self._thread.start()
        first = self._next()
        if first is None:
            raise SiteError("EnergyPlus ended before its first step; the model runs no weather period")
        return first

    def step(self, held: Mapping[str, float]) -> Step | None:
        """Ten minutes with the held values; None when the period is over."""
        if self._thread.ident is None:
            raise StateError("reset the plant before its first step")
        self._inbox.put(dict(held))  # a copy: the engine must not see later changes
        return self._next()

    def own_schedule(self, at: datetime) -> dict[str, float]:
        """The building's own control at a site time; outdoor air is the design minimum (code adds its economizer inside the model)."""
        sizing = self.sizing
        values = self._own.values(at, sizing.lamps_w)
        for key, handler in self._handlers.items():
            share = values.pop(f"{key}.oa_share")
            values[f"{key}.oa_f_sp"] = share * sizing.minimum_outdoor_air_m3_s.get(key, 0.0)
            values[f"{key}.sa_p_sp"] = sizing.fan_pressure_pa.get(key, 0.0)
            for tag in OWN_HANDLER_TAGS:
                if not handler.has(tag):
                    del values[f"{key}.{tag}"]
        return {p: v for p, v in values.items() if not p.endswith(".min_flow") or self._zones[p.removesuffix(".min_flow")].has("min_flow")}

    def people(self, start: date, days: int, seed: int) -> Occupancy:
        """The people of these days: one by one in offices, elsewhere about as many as the model's own schedules say."""
        own = self._own.zones
        office = {k: n for k, n in self._people.items() if own[k].office or not own[k].people}
        others = {k: Presence(self._people[k], _mean_presence(own[k])) for k in self._people if k not in office}
        return simulate_people(office, start, days, seed, STEP_S).joined(simulate_presence(others, start, days, seed, STEP_S))

    def score(self) -> Score:
        """Energy and comfort of the steps done."""
        return self._tally.score()

    def forecast(self, hours: int) -> list[ForecastHour]:
        """Outdoor temperature with a forecast's error, never the file's true future."""
        return self.weather.forecast(self._at(self._done), hours, self._seed)

    def meters(self) -> dict[str, float]:
        """Wh by meter point since reset."""
        j = self._meters_j
        readings = {"em_main": "electricity", "gm_main": "gas", "em_hvac": "hvac_electric", "em_light": "light"}
        return {f"{meter}.energy": float(int(j.get(use, 0.0) / 3600)) for meter, use in readings.items()}

    def close(self) -> None:
        """End the run wherever it stands."""
        if self._thread.is_alive():
            self._inbox.put(None)
            self._thread.join(CLOSE_WAIT_S)
        self._folder.cleanup()
        if self._thread.is_alive():
            raise StateError(f"the EnergyPlus thread did not end within {CLOSE_WAIT_S} s; end this process")

    def design(self) -> dict[str, float]:
        """Fans, outdoor air, people and lights as sized, one number each."""
        return dict(_flat(vars(self.sizing)))

    @property
    def sizing(self) -> Sizing:
        """Design values; known once `reset` has sized the plant."""
        if self._sizing is None:
            raise StateError("the plant is not sized yet; call reset first")
        return self._sizing

    @property
    def counters(self) -> Mapping[str, float]:
        """Points that count people, with the design people of their zones."""
        return {f"{zone}.zn_occ": people for zone, people in self._people.items() if self._zones[zone].people}

    # -- in the engine's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            engine.run(self._model, self._weather_file, Path(self._folder.name), self._begin, self._end)
            expected = self._period.days * STEPS_PER_DAY
            if self._done != expected and not self._stopped:
                raise SiteError(f"EnergyPlus ran {self._done} steps where {expected} were asked for; check the run period")
            if not self._stopped:
                self._check_meters()
        except BaseException as error:  # noqa: BLE001  (carried to the thread that drives the plant)
            self._failure = error
        finally:
            self._outbox.put(None)

    def _check_meters(self) -> None:
        """Our totals against those that the engine added up itself over the run."""
        for meter, joules in engine.run_totals(Path(self._folder.name)).items():
            ours = self._meters_j.get(METER_OF[meter], 0.0)
            if not math.isclose(ours, joules, rel_tol=METER_TOLERANCE, abs_tol=1.0):
                raise SiteError(f"{meter}: {ours:.0f} J added up step by step, {joules:.0f} J by the engine's own meter; the run is void")

    def _begin(self, x: Exchange) -> None:
        """Start of a zone step: decide what is held in it."""
        if not x.ready:
            return
        if self._handles is None:
            handles = find_handles(x, self._zones, self._handlers)
            sizing = read_sizing(x, self._zones, self._handlers, self.weather.elevation_m)
            x.require_all()
            self._handles, self._sizing = handles, sizing
        if not x.in_run_period:
            return
        if self._first_day is None:
            self._first_day = x.day_of_year
        self._step = (x.day_of_year - self._first_day) * STEPS_PER_DAY + x.step_of_day
        if x.warming_up:
            self._hold(x, self._warm_up())
        elif self._done == 0:
            self._held = self._hand_over(Step(self._at(0), self._readings(x)))
            self._hold(x, self._held)
        else:
            self._hold(x, self._held)

    def _warm_up(self) -> dict[str, float]:
        """The building's own schedule, the same for all controllers.

        The engine takes each box's minimum in the very first warm-up step as a floor for the whole run, so that step has none.
        """
        held = self.own_schedule(self._at(self._step))
        if not self._warmed:
            self._warmed = True
            held |= {point: 0.0 for point in held if point.endswith(".min_flow")}
        return held

    def _end(self, x: Exchange) -> None:
        """End of a zone step: what it used and how people felt; then hand over and wait for the next step's values."""
        if self._handles is None or not x.in_run_period or x.warming_up:
            return
        self._measure(x)
        self._done += 1
        self._held = self._hand_over(Step(self._at(self._done), self._readings(x)))

    def _hand_over(self, step: Step) -> Mapping[str, float]:
        self._outbox.put(step)
        try:
            held = self._inbox.get(timeout=HELD_WAIT_S)
        except queue.Empty:
            raise StateError(f"nobody stepped the EnergyPlus plant for {HELD_WAIT_S} s; it has ended") from None
        if held is None:
            self._stopped = True
            raise RunStopped
        return held

    def _next(self) -> Step | None:
        if self._over:
            return None
        try:
            step = self._outbox.get(timeout=ENGINE_WAIT_S)
        except queue.Empty:
            raise StateError(f"EnergyPlus gave no answer for {ENGINE_WAIT_S} s; close the plant") from None
        self._over = step is None
        if self._failure is not None:
            raise self._failure
        return step

    def _at(self, step: int) -> datetime:
        return self._start + timedelta(seconds=step * STEP_S)

    def _hold(self, x: Exchange, held: Mapping[str, float]) -> None:
        """Bring the held values and the people of this step into the model."""
        handles, sizing, occupancy = self._handles, self.sizing, self._occupancy
        assert handles is not None
        for point, handle in handles.schedules.items():
            x.set(handle, held[point] / 100 if point.endswith(".min_flow") else held[point])
        for key in handles.oa_flow:
            self._hold_outdoor_air(x, handles, key, held[f"{key}.oa_f_sp"])
        for key in handles.pressure:
            self._hold_pressure(x, handles, key, held[f"{key}.sa_p_sp"])
        counts = occupancy.at(self._step)
        for key, actuators in handles.people.items():
            for name, handle in actuators.items():
                x.set(handle, float(counts[key]) * sizing.people_share[key][name] / self._zones[key].multiplier)
        own = self._own.values(self._at(self._step), sizing.lamps_w)
        for key, actuators in handles.lights.items():
            level = held[f"{key}.light_level"]
            self._light_now[key] = own[f"{key}.light_level"] if level < 0 else min(100.0, level)  # below 0: the gateway's own schedule
            for name, handle in actuators.items():
                x.set(handle, sizing.lamps_w[key][name] * self._light_now[key] / 100)

    def _hold_outdoor_air(self, x: Exchange, handles: Handles, key: str, flow_m3_s: float) -> None:
        """Up to the design minimum the model's own controller does it (with its economizer, if any); above, the flow is imposed."""
        design = self.sizing.minimum_outdoor_air_m3_s[key]
        flow_m3_s = min(flow_m3_s, max(design, self.sizing.fan_m3_s[key]))  # more than the fan moves would come from nowhere
        if flow_m3_s <= design * (1 + NATIVE_TOLERANCE):
            share = min(1.0, flow_m3_s / design) if design > 0 else 0.0
            x.set(handles.oa_share[key], 1.0 if share > 1 - NATIVE_TOLERANCE else share)
            x.free(handles.oa_flow[key])
        else:
            x.set(handles.oa_flow[key], flow_m3_s * standard_density(self.weather.elevation_m))

    def _hold_pressure(self, x: Exchange, handles: Handles, key: str, pressure_pa: float) -> None:
        """The fan's pressure, not below what the duct needs for the flow of the step that ended."""
        design = self.sizing.fan_pressure_pa[key]
        if pressure_pa >= design * (1 - NATIVE_TOLERANCE) or self.variant == "code":  # the code fan's curve has its reset already
            x.free(handles.pressure[key])
            return
        flow_share = x.read(handles.readings[f"{key}.sa_f"]) / self.sizing.fan_m3_s[key]
        x.set(handles.pressure[key], max(pressure_pa, design * needed_pressure_share(flow_share)))

    def _readings(self, x: Exchange) -> dict[str, float]:
        handles = self._handles
        assert handles is not None
        values = {point: x.read(handle) for point, handle in handles.readings.items()}
        density = standard_density(self.weather.elevation_m)
        for key in handles.oa_flow:
            values[f"{key}.oa_f"] /= density
        counts = self._occupancy.at(max(0, self._done - 1))
        for key in handles.people:
            values[f"{key}.zn_occ"] = float(counts[key]) if self._done else 0.0
        for key in handles.lights:
            values[f"{key}.light_level_now"] = self._light_now.get(key, 0.0)
        values |= self.meters()
        values["em_main.power"] = self._used_j.get("electricity", 0.0) / STEP_S
        return values

    def _measure(self, x: Exchange) -> None:
        handles = self._handles
        assert handles is not None
        used = self._used_j = end_uses({name: x.read_meter(handle) for name, handle in handles.meters.items()})
        for name, joules in used.items():
            self._meters_j[name] = self._meters_j.get(name, 0.0) + joules
        self._tally.add_energy(used)
        self._tally.add_fans([self._held[f"{handler}.fan_run"] > 0 for handler in self._handlers])
        counts = self._occupancy.at(self._step)
        for key, pmv in handles.pmv.items():
            if counts[key] > 0:
                self._tally.add_zone(self._zone_facts(x, handles, key, counts[key], x.read(pmv)))

    def _zone_facts(self, x: Exchange, handles: Handles, key: str, people: int, pmv: float) -> ZoneFacts:
        daylight = handles.readings.get(f"{key}.zn_lux")
        used = people / max(1.0, self.sizing.people[key])
        lux = lamp_lux(self._light_now.get(key, 0.0), used, self._lux_target) + (x.read(daylight) if daylight is not None else 0.0)
        temperature, rh, co2 = (x.read(handles.readings[f"{key}.{tag}"]) for tag in ("zn_t", "zn_rh", "zn_co2"))
        return ZoneFacts(people, pmv, temperature, co2, rh, lux)


def _mean_presence(own: ZoneOwn) -> np.ndarray:
    """The zone's presence over the year: the mean of its People objects' schedules."""
    mean: np.ndarray = np.mean(list(own.people.values()), axis=0)
    return mean


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Numbers in nested mappings by their dotted path."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
