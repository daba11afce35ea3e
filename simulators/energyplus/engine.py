"""One run of the EnergyPlus library, with its silent failures made loud.

The engine swallows exceptions of callbacks, gives handle -1 for a thing it does not have (which then reads 0 and drops what is written),
and ends with success after running sizing days only. Here each of these ends the run with an error.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twin.errors import MissingError, SiteError

MODEL_VERSION = "25.2"  # what the engine in the wheel reads
RUN_PERIOD = 3  # kind_of_sim of a weather-file run period; the others are sizing


class RunStopped(Exception):  # noqa: N818  (not an error: the owner of the run asked for the end)
    """Raised inside a callback to end the run early."""


def load_api() -> Any:
    """The library's entry; MissingError where the wheel is not installed."""
    try:
        from pyenergyplus.api import EnergyPlusAPI
    except (ImportError, OSError) as error:
        raise MissingError(
            f"EnergyPlus is not usable on this machine ({error}); pyenergyplus-lbnl has wheels for Linux x86-64, elsewhere use plant rc"
        ) from None
    return EnergyPlusAPI()


def version() -> str:
    """The engine's own version and build."""
    return str(load_api().functional.ep_version()).split("\\")[0]


def shipped(kind: str, name: str) -> Path:
    """A building model ('models') or weather file ('weather') that comes inside the wheel, by its name there."""
    load_api()
    from pyenergyplus import dataset

    tables = {"models": {**dataset.ashrae_models, **dataset.ref_models}, "weather": dataset.weather_files}
    if name not in tables[kind]:
        raise SiteError(f"{name!r} is not among the {kind} in the EnergyPlus wheel; choose one of {', '.join(sorted(tables[kind]))}")
    return Path(tables[kind][name])


def find_file(kind: str, name: str) -> Path:
    """A model ('models') or weather file ('weather') by path, by its name in the wheel, or by its file's name there."""
    if Path(name).expanduser().is_file():
        return Path(name).expanduser().resolve()
    from_wheel = {path.stem: path for path in _in_wheel(kind)}
    if name in from_wheel:
        return from_wheel[name]
    if "/" in name or Path(name).suffix.lower() in (".idf", ".epjson", ".epw"):
        raise SiteError(f"{name}: no such file; give a path that exists, or a name in the EnergyPlus wheel")
    return shipped(kind, name)


def _in_wheel(kind: str) -> list[Path]:
    load_api()
    from pyenergyplus import dataset

    tables = {"models": [*dataset.ref_models.values(), *dataset.ashrae_models.values()], "weather": dataset.weather_files.values()}
    return [Path(path) for path in tables[kind]]


def load_model(path: Path, folder: Path) -> dict[str, Any]:
    """A model as epJSON; an IDF is converted by the engine itself into `folder`."""
    if not path.is_file():
        raise SiteError(f"{path}: no such building model; check plant.toml")
    if path.suffix.lower() == ".idf":
        api = load_api()
        state = api.state_manager.new_state()
        try:
            api.runtime.set_console_output_status(state, False)
            code = api.runtime.run_energyplus(state, ["--convert-only", "-d", str(folder), str(path)])
        finally:
            api.state_manager.delete_state(state)
        path = folder / (path.stem + ".epJSON")
        if code or not path.is_file():
            raise SiteError(f"{path.stem}: EnergyPlus could not convert the model (code {code}); is it of version 25.2?")
    try:
        model: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SiteError(f"{path}: not readable as epJSON ({error}); give an .idf or .epJSON file of version {MODEL_VERSION}") from None
    stated: list[dict[str, Any]] = list(model.get("Version", {}).values()) if isinstance(model, dict) else []
    found = stated[0].get("version_identifier") if stated else None
    if found != MODEL_VERSION:
        raise SiteError(f"{path}: the model is of EnergyPlus version {found or '(none said)'}, expected {MODEL_VERSION}; update it first")
    return model


class Exchange:
    """Values of the running engine, by handles that are all checked before the run may go on."""

    def __init__(self, api: Any, state: Any) -> None:
        self._x, self._state = api.exchange, state
        self._missing: list[str] = []

    def actuator(self, kind: str, control: str, key: str) -> int:
        return self._checked(self._x.get_actuator_handle(self._state, kind, control, key), f"actuator {kind} / {control} / {key}")

    def variable(self, name: str, key: str) -> int:
        return self._checked(self._x.get_variable_handle(self._state, name, key), f"variable {name} / {key}")

    def meter(self, name: str) -> int:
        handle = self.meter_if_any(name)
        return self._checked(-1 if handle is None else handle, f"meter {name}")

    def meter_if_any(self, name: str) -> int | None:
        """Handle of a meter that a model may lack because it has no such use of energy."""
        handle = int(self._x.get_meter_handle(self._state, name))
        if handle < 0 and name.lower() == self._first_meter():
            return 0  # engine 25.2 says -1 for its first meter (mostly Electricity:Facility), yet reads it at 0
        return handle if handle >= 0 else None

    def internal(self, name: str, key: str) -> float:
        """An internal variable's value, for example a sized design flow."""
        handle = self._x.get_internal_variable_handle(self._state, name, key)
        return float(self._x.get_internal_variable_value(self._state, self._checked(handle, f"internal variable {name} / {key}")))

    def require_all(self) -> None:
        """SiteError if anything asked for does not exist."""
        if self._missing:
            raise SiteError(f"the EnergyPlus model has no {'; no '.join(self._missing)}; the model editor and the model do not fit")

    def read(self, handle: int) -> float:
        return float(self._x.get_variable_value(self._state, handle))

    def read_meter(self, handle: int) -> float:
        return float(self._x.get_meter_value(self._state, handle))

    def set(self, handle: int, value: float) -> None:
        self._x.set_actuator_value(self._state, handle, value)

    def free(self, handle: int) -> None:
        """Give an actuated thing back to the model's own control."""
        self._x.reset_actuator(self._state, handle)

    @property
    def ready(self) -> bool:
        return bool(self._x.api_data_fully_ready(self._state))

    @property
    def in_run_period(self) -> bool:
        return bool(self._x.kind_of_sim(self._state) == RUN_PERIOD)

    @property
    def warming_up(self) -> bool:
        return bool(self._x.warmup_flag(self._state))

    @property
    def step_of_day(self) -> int:
        """0-based ten-minute step. Not by minutes(): that is the step's start at one callback and its end at the other."""
        return int(self._x.hour(self._state)) * 6 + int(self._x.zone_time_step_number(self._state)) - 1

    @property
    def day_of_year(self) -> int:
        return int(self._x.day_of_year(self._state))

    def _first_meter(self) -> str:
        listing = self._x.list_available_api_data_csv(self._state).decode()
        return str(next((line.split(",")[1] for line in listing.splitlines() if line.startswith("OutputMeter,")), "")).lower()

    def _checked(self, handle: int, what: str) -> int:
        if handle < 0:
            self._missing.append(what)
        return int(handle)


Callback = Callable[[Exchange], None]


def run(model: Path, weather: Path, folder: Path, begin: Callback, end: Callback) -> None:
    """Run the engine; `begin` opens and `end` closes each zone step. A callback's first error is raised; RunStopped ends quietly."""
    api = load_api()
    state = api.state_manager.new_state()
    exchange = Exchange(api, state)
    failures: list[BaseException] = []

    def guarded(call: Callback) -> Callable[[Any], None]:
        def wrapped(_: Any) -> None:
            if failures:
                return
            try:
                call(exchange)
            except BaseException as error:  # noqa: BLE001  (ctypes would swallow it and the run would go on)
                failures.append(error)
                api.runtime.stop_simulation(state)

        return wrapped

    try:
        api.runtime.set_console_output_status(state, False)
        api.runtime.callback_begin_zone_timestep_before_set_current_weather(state, guarded(begin))
        api.runtime.callback_end_zone_timestep_after_zone_reporting(state, guarded(end))
        code = api.runtime.run_energyplus(state, ["-w", str(weather), "-d", str(folder), str(model)])
    finally:
        api.state_manager.delete_state(state)
    if failures and not isinstance(failures[0], RunStopped):
        raise failures[0]
    if code and not failures:
        raise SiteError(f"EnergyPlus ended with code {code}: {_severe(folder)}")


def _severe(folder: Path) -> str:
    """The engine's own words on what went wrong."""
    path = folder / "eplusout.err"
    text = path.read_text(encoding="latin-1") if path.is_file() else ""
    lines = [line.strip(" *") for line in text.splitlines() if "Severe" in line or "Fatal" in line]
    return "; ".join(lines[:3]) or "no message"


def run_totals(folder: Path) -> dict[str, float]:
    """Joules of the whole run period by meter, as the engine's own meter file has them; empty where it wrote none."""
    path = folder / "eplusout.mtr"
    lines = path.read_text(encoding="latin-1").splitlines() if path.is_file() else []
    names: dict[str, str] = {}
    totals = {}
    for line in lines:
        number, _, rest = line.partition(",")
        if "!RunPeriod" in rest and "[J]" in rest:
            names[number] = rest.split(",", 1)[1].split(" [J]")[0]
        elif number in names:
            totals[names[number]] = float(rest.split(",", 1)[0])
    return totals
