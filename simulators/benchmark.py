"""The benchmark: buildings, weathers, periods, controllers and seeds, one row of key figures each, judged by EnergyPlus.

Every case runs alone in a process of its own. The development register keeps what was used to tune out of everything called a score.
"""

import asyncio
import hashlib
import logging
import multiprocessing
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from controls.strategies import NAMES
from ledger.carbon import engine as carbon
from ledger.carbon.factors import choose, fuel_by_name
from simulators.baselines import run_baseline
from simulators.energyplus import engine
from simulators.energyplus.plant import EnergyPlusPlant
from simulators.energyplus.site import make_site
from simulators.plant import SIMULATED_YEAR, STEP_S, Period
from simulators.preparing import Period as SitePeriod
from simulators.preparing import assemble, make_twin, work_copy
from simulators.running import RunningSite, RunReport, SiteParts
from simulators.schedules import VARIANTS
from simulators.score import Score
from simulators.weather import month_day
from twin.clock import monotonic_s, wall_now
from twin.errors import SiteError
from twin.site import product_root
from twin.state import StateFolder

RULES = "rules"
CONTROLLERS = (*VARIANTS, RULES)
WEEK_DAYS = 7
PERIODS = {"winter": ("01-13", WEEK_DAYS), "spring": ("04-14", WEEK_DAYS), "summer": ("07-14", WEEK_DAYS), "year": ("01-01", 365)}
"""Name -> first day and length; the weeks begin on a Monday of the simulated year."""
LUX_TARGET = 500.0
RULE_FILES = {
    # controller -> what decides its rules, below the product's root
    RULES: ("controls/strategies/*.py", "controls/forecast.py", "controls/guard.py", "controls/arbiter.py"),
    **dict.fromkeys(VARIANTS, ("simulators/schedules.py", "simulators/energyplus/own.py", "simulators/energyplus/editing.py")),
}
MEMORY = Path("/dev/shm")  # noqa: S108  (a journal of a study is no evidence: it need not reach a disk)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """One run: a building in a weather over a period under a controller, with one seed of people."""

    names: tuple[str, str]  # model and weather as they were asked for; a path by its file's name
    model: Path
    weather: Path
    period: str
    start: str
    days: int
    controller: str
    seed: int
    development: bool = False
    site: Path | None = None  # made for controllers that act through the twin

    @property
    def through_twin(self) -> bool:
        """Whether our own control acts, whole or without one of its strategies."""
        return self.controller.startswith(RULES)

    @property
    def without(self) -> tuple[str, ...]:
        """The strategies left out."""
        return tuple(self.controller.split("-")[1:])

    @property
    def label(self) -> str:
        return f"{', '.join(self.names)}, {self.period}, {self.controller}, seed {self.seed}"


def plan_cases(
    models: Sequence[str], weathers: Sequence[str], periods: Sequence[str], controllers: Sequence[str], seeds: Sequence[int]
) -> list[Case]:
    """Every combination, in order; SiteError for a name, period or controller that does not exist, before anything runs."""
    for controller in controllers:
        if controller not in CONTROLLERS and controller not in {f"{RULES}-{name}" for name in NAMES}:
            raise SiteError(
                f"--controllers: expected some of {', '.join(CONTROLLERS)}, or {RULES}-STRATEGY with one of {', '.join(NAMES)} "
                f"left out; got {controller!r}"
            )
    found = {name: engine.find_file("models", name) for name in models}
    climates = {name: engine.find_file("weather", name) for name in weathers}
    spans = {name: _span(name) for name in periods}
    return [
        Case((_plain(name), _plain(place)), model, weather, period, *span, controller, seed, in_development(model, weather, seed))
        for name, model in found.items()
        for place, weather in climates.items()
        for period, span in spans.items()
        for seed in seeds
        for controller in controllers
    ]


def _plain(name: str) -> str:
    return Path(name).stem if "/" in name else name


def _span(period: str) -> tuple[str, int]:
    if period in PERIODS:
        return PERIODS[period]
    first, dots, last = period.partition("..")
    if not dots:
        raise SiteError(f"--period must be one of {', '.join(PERIODS)} or MM-DD..MM-DD, got {period!r}")
    begin, end = month_day(first, SIMULATED_YEAR), month_day(last, SIMULATED_YEAR)
    if end < begin:
        raise SiteError(f"--period {period}: the last day lies before the first; a period stays within one year")
    return first, (end - begin).days + 1


@cache
def settings() -> Mapping[str, Any]:
    """benchmark.toml: tariff, emission factor and the register of development."""
    return tomllib.loads((Path(__file__).parent / "benchmark.toml").read_text(encoding="utf-8"))


def in_development(model: Path, weather: Path, seed: int) -> bool:
    """Whether the case was looked at while something was tuned; files are known by their content, whatever they are called."""
    for entry in settings()["development"]:
        models = {sha256(engine.shipped("models", name)) for name in entry["models"]}
        weathers = {sha256(engine.shipped("weather", name)) for name in entry["weathers"]}
        if sha256(model) in models and sha256(weather) in weathers and seed in entry["seeds"]:
            return True
    return False


@cache
def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rule_hash(controller: str) -> str:
    """SHA-256 over the files that decide a controller's rules: rows with different ones are different controllers."""
    digest = hashlib.sha256()
    for pattern in RULE_FILES[controller.partition("-")[0]]:
        for path in sorted(product_root().glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def run_cases(cases: Sequence[Case], jobs: int, progress: Progress) -> list[dict[str, Any]]:
    """The rows of all cases, in their order. Sites are made first, each once; a failed case ends the benchmark with its words."""
    with tempfile.TemporaryDirectory(prefix="wattproof-benchmark-") as folder:
        pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1)
        try:
            cases = _with_sites(pool, cases, Path(folder), progress)
            waiting = {pool.submit(run_case, case): n for n, case in enumerate(cases)}
            rows: dict[int, dict[str, Any]] = {}
            for future in as_completed(waiting):
                row = rows[waiting[future]] = future.result()
                done = f"{len(rows)}/{len(cases)} {cases[waiting[future]].label}"
                progress(f"{done}: {row['total_kwh']:.1f} kWh, PPD {row['ppd_mean']:.1f} %, {row['wall_s']:.1f} s")
        finally:
            pool.shutdown(cancel_futures=True)
    return [rows[n] for n in range(len(cases))]


def _with_sites(pool: ProcessPoolExecutor, cases: Sequence[Case], folder: Path, progress: Progress) -> list[Case]:
    pairs = dict.fromkeys((c.model, c.weather) for c in cases if c.through_twin)
    made = {pair: pool.submit(make_site, *pair, folder / f"site_{n}") for n, pair in enumerate(pairs)}
    sites = {}
    for n, (pair, future) in enumerate(made.items()):
        site = future.result()
        sites[pair] = site.folder
        progress(f"site {n + 1}/{len(made)} {pair[0].stem}, {pair[1].stem}: {site.zones} zones, {site.points} points")
    return [Case(**(vars(c) | {"site": sites[c.model, c.weather]})) if c.through_twin else c for c in cases]


def run_case(case: Case) -> dict[str, Any]:
    """One row; runs in a process of its own."""
    logging.disable(logging.WARNING)
    begun_s = monotonic_s()
    score, violations, cycle_s, person_hours = _controlled(case) if case.through_twin else _own(case)
    lux = score.comfort["lux_deficit_percent"] / 100 * LUX_TARGET * person_hours
    row = {
        "model": case.names[0], "weather": case.names[1], "period": case.period, "controller": case.controller, "seed": case.seed,
        "development": case.development, "engine": f"energyplus {engine.version()}", "model_hash": sha256(case.model),
        "weather_hash": sha256(case.weather), "rule_hash": rule_hash(case.controller),
        "total_kwh": score.energy_kwh["whole"], "hvac_light_kwh": score.energy_kwh["hvac_light"], "peak_kw": score.peak_kw,
        "cost_cents": cost_cents(score), "emissions_g": emissions_g(score),
        **{name: score.comfort[name] for name in COMFORT}, "lux_deficit_lux_person_hours": lux,
        "person_hours": person_hours, "fan_starts": score.fan_starts, "guard_violations": violations,
    }  # fmt: skip
    row = {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}
    return row | {"step_p95_s": round(_p95(cycle_s), 5), "wall_s": round(monotonic_s() - begun_s, 2)}


COMFORT = ("ppd_mean", "pmv_over_07_percent", "kelvin_hours_per_zone", "co2_over_1000_percent", "rh_over_65_percent", "lux_deficit_percent")
Run = tuple[Score, int, Sequence[float], float]


def _own(case: Case) -> Run:
    """The building under its own control."""
    period = Period(month_day(case.start, SIMULATED_YEAR), case.days, UTC)
    plant = EnergyPlusPlant(case.model, case.weather, period, seed=case.seed, variant=case.controller, lux_target=LUX_TARGET)
    _, score, _ = run_baseline(plant)
    return score, 0, (), score.person_hours


def _controlled(case: Case) -> Run:
    """Our own control, through the twin of the site that was made, over values in memory."""
    assert case.site is not None
    folder = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="wattproof-benchmark-", dir=folder) as name:
        site, state = work_copy(case.site, Path(name) / "work"), StateFolder(Path(name) / "state")
        make_twin(site, state.site(site.name), wall_now())
        report = asyncio.run(_driven(assemble(site, state.site(site.name), SitePeriod(case.start, case.days, case.seed), {}, case.without)))
    assert report.score is not None
    return report.score, report.violations, report.cycle_s, report.score.person_hours


async def _driven(parts: SiteParts) -> RunReport:
    parts = SiteParts(**(vars(parts) | {"direct": True}))
    return await RunningSite(parts).run(speed=None, stop=asyncio.Event())


def cost_cents(score: Score) -> float:
    """Electricity by the hour of the day (site clock) and gas at one price, from benchmark.toml."""
    tariff = settings()["tariff"]
    prices = [0.0] * 24
    for band in tariff["electricity"]:
        prices[band["from_hour"] : band["to_hour"]] = [float(band["cents_per_kwh"])] * (band["to_hour"] - band["from_hour"])
    hours = STEP_S / 3600
    electricity = sum(kw * hours * prices[int(n * hours) % 24] for n, kw in enumerate(score.power_kw))
    return float(electricity + score.energy_kwh["gas"] * tariff["gas_cents_per_kwh"])


def emissions_g(score: Score) -> int:
    """Location-based electricity and burnt gas, by the product's emissions engine and the factor named in benchmark.toml."""
    named = settings()["emissions"]
    chosen = choose("scope2_location", named["region"], named["year"], named["report_day"], authority=named.get("authority", "MEE+NBS"))
    electricity = carbon.scope2_location(round(1000 * score.energy_kwh["electricity"]), chosen.factor)
    return carbon.rounded(electricity + carbon.scope1_gas(round(1000 * score.energy_kwh["gas"]), fuel_by_name("natural_gas")))


def summarise(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds of each case and controller with what was saved, paired by seed; `score` only where no seed is development."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["weather"], row["period"], row["controller"]), []).append(row)
    return [_summary(key, members, groups) for key, members in groups.items()]


def _summary(
    key: tuple[str, ...], members: list[Mapping[str, Any]], groups: Mapping[tuple[str, ...], list[Mapping[str, Any]]]
) -> dict[str, Any]:
    model, weather, period, controller = key
    means = {name: round(fmean(m[name] for m in members), 3) for name in ("total_kwh", "hvac_light_kwh", "peak_kw", *COMFORT)}
    saved = {}
    for reference in VARIANTS:
        partners = {r["seed"]: r for r in groups.get((model, weather, period, reference), [])}
        pairs = [(m, partners[m["seed"]]) for m in members if m["seed"] in partners]
        if pairs and controller != reference:
            for kind, name in (("whole", "total_kwh"), ("hvac_light", "hvac_light_kwh")):
                saved[f"{kind}_saved_vs_{reference}_percent"] = round(fmean(100 * (1 - m[name] / r[name]) for m, r in pairs), 2)
    development = any(m["development"] for m in members)
    head = {"model": model, "weather": weather, "period": period, "controller": controller, "seeds": len(members)}
    return {**head, "score": not development, **means, **saved}


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1))] if times else 0.0
