"""The command `benchmark`: buildings, weathers, periods and controllers, one row of key figures each."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from simulators.benchmark import COMFORT, CONTROLLERS, RULES, plan_cases, run_cases, summarise
from simulators.benchmark_page import write_files
from twin.clock import monotonic_s
from twin.errors import SiteError

HEAD = f"{'model':<22.22}{'weather':<16.16}{'period':<8.8}{'controller':<22}{'seeds':>5}{'whole kWh':>12}{'HVAC+light':>12}{'peak kW':>9}"
HEAD += f"{'PPD %':>7}{'PMV>.7':>8}{'K.h':>7}{'CO2 %':>7}{'RH %':>7}{'lux %':>7}{'vs bau':>8}{'vs code':>8}  "


def benchmark(
    model: Annotated[list[str], typer.Option(help="a model's name in the EnergyPlus wheel, or a path; may be given several times")],
    weather: Annotated[list[str], typer.Option(help="a weather file's name in the wheel, or a path; may be given several times")],
    period: Annotated[list[str], typer.Option(help="winter, spring, summer (weeks), year, or MM-DD..MM-DD; several times")],
    controllers: Annotated[str, typer.Option(help=f"some of {','.join(CONTROLLERS)}, separated by commas")] = "bau,code,rules",
    without: Annotated[str, typer.Option(help="strategies, separated by commas: for each, rows of the rules without it")] = "",
    seeds: Annotated[int | None, typer.Option(min=1, help="run seeds 1 to N")] = None,
    seed: Annotated[int, typer.Option(min=0, help="run this one seed, if --seeds is not given")] = 1,
    jobs: Annotated[int | None, typer.Option(min=1, help="runs side by side; default: one for each core")] = None,
    out: Annotated[str | None, typer.Option(help="a folder for benchmark.csv, means.csv and benchmark.html")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of the table of means")] = False,
) -> None:
    """The table of key figures: every run, and means over seeds with what was saved against bau and code."""
    begun_s = monotonic_s()
    wanted = [range(1, seeds + 1)] if seeds else [[seed]]
    chosen = _names([controllers]) + [f"{RULES}-{name}" for name in _names([without])]
    cases = plan_cases(_names(model), _names(weather), _names(period), chosen, [s for part in wanted for s in part])
    if not cases:
        raise SiteError("nothing to run: give at least one model, weather, period and controller")
    rows = run_cases(cases, jobs or os.cpu_count() or 1, lambda line: typer.echo(line, err=True))
    means = summarise(rows)
    if out is not None:
        write_files(rows, means, Path(out).expanduser())
    wall_s = round(monotonic_s() - begun_s, 1)
    if as_json:
        typer.echo(json.dumps({"rows": rows, "means": means, "wall_s": wall_s}))
        return
    typer.echo(HEAD)
    for mean in means:
        typer.echo(_line(mean))
    typer.echo(f"{len(rows)} runs in {wall_s:.0f} s" + ("; * used in development, no score" if any(not m["score"] for m in means) else ""))


def _names(given: list[str]) -> list[str]:
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def _line(mean: dict[str, float | str | bool]) -> str:
    head = f"{mean['model']!s:<22.22}{mean['weather']!s:<16.16}{mean['period']!s:<8.8}{mean['controller']!s:<22}{mean['seeds']:>5}"
    energy = f"{mean['total_kwh']:>12.1f}{mean['hvac_light_kwh']:>12.1f}{mean['peak_kw']:>9.1f}"
    widths = (7, 8, 7, 7, 7, 7)
    comfort = "".join(f"{mean[n]:>{w}.2f}" for n, w in zip(COMFORT, widths, strict=True))
    saved = "".join(f"{mean.get(f'whole_saved_vs_{r}_percent', '')!s:>8}" for r in ("bau", "code"))
    return head + energy + comfort + saved + ("  " if mean["score"] else " *")
