"""A simulated building with faults: sensors, actuators, schedules and meters of whichever plant fail as they were told to."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from simulators.faults import Fault
from simulators.people import Occupancy
from simulators.plant import Plant, Step
from simulators.rc import RcPlant
from simulators.rc_building import RcLayout
from simulators.score import Score
from simulators.weather import ForecastHour
from simulators.wire.devices import FieldDevices
from twin.errors import SiteError

DEAD = -40.0  # where an open sensor stands: the low end of its range
WARM_C = 27.0  # what a box heats up to that fights its own cooling
BY_HAND = 8  # BACnet's manual operator
HELD_C = 22.0  # what somebody sets at the device
FAHRENHEIT = (1.8, 32.0)
IN_THE_BUILDING = ("damper_stuck", "reheat_leak", "cooling_leak", "fan_degraded", "economiser_stuck", "filter_clogged")


class FaultyPlant:
    """The same plant, with faults between it and its devices, and some inside it. `design` schedules stay those of the sound building."""

    def __init__(self, plant: Plant, faults: Sequence[Fault], layout: RcLayout) -> None:
        self.sound, self._layout = plant, layout
        self.engine, self.step_s, self.weather, self.note = plant.engine, plant.step_s, plant.weather, plant.note
        self._faults: dict[str, list[Fault]] = {}
        for fault in faults:
            self._faults.setdefault(fault.kind, []).append(fault)
        self._stuck: dict[str, float] = {}
        for fault in faults:
            if fault.kind in IN_THE_BUILDING:
                self._break(fault)

    async def break_devices(self, devices: FieldDevices) -> None:
        """What is wrong at running devices themselves: some never answer, at some somebody holds a setpoint by hand."""
        for fault in self._of("device_silent"):
            await devices.kill(fault.place)
        for fault in self._of("setpoint_overridden"):
            await devices.hold_slot(fault.place, HELD_C, BY_HAND)

    @property
    def counters(self) -> Mapping[str, float]:
        return self.sound.counters

    def people(self, start: date, days: int, seed: int) -> Occupancy:
        """Nothing is wrong with the people."""
        return self.sound.people(start, days, seed)

    def reset(self) -> Step:
        """Start, as seen through the faults."""
        return self._seen(self.sound.reset())

    def step(self, held: Mapping[str, float]) -> Step | None:
        """One step with what the faulty actuators make of the values held."""
        step = self.sound.step(self._obeyed(held))
        return None if step is None else self._seen(step)

    def own_schedule(self, at: datetime) -> dict[str, float]:
        """What the devices follow, in place of what they should."""
        for fault in self._of("clock_off"):
            at += timedelta(hours=fault.size)
        values = self.sound.own_schedule(at)
        for fault in self._of("schedule_ignored"):
            values[self._layout.air_handlers[fault.place]["fan_run"]] = 1.0
        return values

    def design(self) -> dict[str, float]:
        """As it should be."""
        return self.sound.design()

    def score(self) -> Score:
        """Of what really happened, not of what faulty sensors show."""
        return self.sound.score()

    def forecast(self, hours: int) -> list[ForecastHour]:
        """Nothing is wrong with the weather service."""
        return self.sound.forecast(hours)

    def meters(self) -> dict[str, float]:
        """As the faulty meters tell."""
        return self._metered(self.sound.meters())

    def close(self) -> None:
        """End the plant behind."""
        self.sound.close()

    def _of(self, kind: str) -> list[Fault]:
        return self._faults.get(kind, [])

    def _break(self, fault: Fault) -> None:
        if not isinstance(self.sound, RcPlant):
            raise SiteError(f"{fault.said}: this kind needs the rc plant, got {self.sound.engine}; use --plant rc or leave it out")
        self.sound.building.defects.add(fault.kind, self._number(fault), fault.size / 100)

    def _number(self, fault: Fault) -> int:
        names = (
            [zone.key for zone in self._layout.zones] if fault.kind in ("damper_stuck", "reheat_leak") else list(self._layout.air_handlers)
        )
        return names.index(fault.place)

    def _obeyed(self, held: Mapping[str, float]) -> dict[str, float]:
        values = dict(held)
        for fault in self._of("lights_stuck_on"):
            values[fault.place] = 100.0
        for fault in self._of("simultaneous"):
            zone = next(zone for zone in self._layout.zones if zone.key == fault.place)
            values[zone.points["htg_sp"]] = WARM_C
        return values

    def _seen(self, step: Step) -> Step:
        values = self._metered(step.readings)
        for fault in (*self._of("sensor_drift"), *self._of("co2_offset")):
            values[fault.place] += fault.size
        for fault in self._of("swapped_zones"):
            values[fault.place], values[fault.other] = values[fault.other], values[fault.place]
        for fault in self._of("wrong_unit"):
            values[fault.place] = values[fault.place] * FAHRENHEIT[0] + FAHRENHEIT[1]
        for fault in self._of("sensor_stuck"):
            values[fault.place] = self._stuck.setdefault(fault.place, values[fault.place])
        for fault in self._of("sensor_dead"):
            values[fault.place] = DEAD
        return Step(step.at, values)

    def _metered(self, readings: Mapping[str, float]) -> dict[str, float]:
        values = dict(readings)
        for fault in self._of("meter_swapped"):
            if fault.place in values:
                values[fault.place], values[fault.other] = values[fault.other], values[fault.place]
        for fault in self._of("meter_scale"):
            if fault.place in values:
                values[fault.place] *= fault.size
        return values
