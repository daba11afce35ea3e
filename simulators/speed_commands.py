"""The command `speed`: the product's speed and memory figures, each measured in this very run."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from simulators.speed import ledgers, models, running, twins
from simulators.speed.figures import Figure, Measure
from twin.errors import SiteError

MUTATED = 20_000  # frames; by command as many as wanted


def speed(
    only: Annotated[str, typer.Option(help="only the measurements whose title holds this text")] = "",
    mutated: Annotated[int, typer.Option(min=1000, help="mutated frames fed to a gateway; the full test is 1000000")] = MUTATED,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Measure speed and memory on this machine, peers beside it in the same run; medians and p95, since machines are noisy."""
    everything = measures(mutated)
    chosen = [m for m in everything if only.lower() in m.title.lower()]
    if not chosen:
        raise SiteError(f"no measurement holds {only!r}; there are: {'; '.join(m.title for m in everything)}")
    figures = []
    for figure in measure(chosen):
        figures.append(figure)
        if not as_json:
            _tell(figure)
    if as_json:
        print(json.dumps({"rows": [figure.row() for figure in figures]}))


def measure(chosen: list[Measure]) -> Iterator[Figure]:
    """The figures of these measurements as they come, each measurement in a folder of its own."""
    for one in chosen:
        with tempfile.TemporaryDirectory(prefix="wattproof-speed-") as name:
            yield from one.run(Path(name))


def measures(mutated: int) -> tuple[Measure, ...]:
    """Everything that can be measured, in the order of the table; `mutated` frames are fed to a gateway."""
    return (
        Measure("help page", running.help_page),
        Measure("demo office: import, questions, cycle", running.demo_site),
        Measure("field bus: points and registers", running.bus_reading),
        Measure("field bus: commands", running.bus_sending),
        Measure("field bus: recovery", running.bus_recovery),
        Measure("field bus: lies and mutated frames", lambda _: running.bus_lies(mutated)),
        Measure("IFC import, usual size", models.imports),
        Measure("elements named", models.named),
        Measure("IFC import, a real building", models.real_import),
        Measure("IFC import, very large", models.large_import),
        Measure("questions at 10,000 points", twins.questions_10k),
        Measure("questions at 100,000 points", twins.questions_100k),
        Measure("own shapes", twins.shapes),
        Measure("ledger: durable ingest", ledgers.ingest),
        Measure("ledger: a meter-year verified", ledgers.meter_year),
        Measure("ledger: proofs at ten million entries", ledgers.proofs),
    )


def _tell(figure: Figure) -> None:
    verdict = "holds " if figure.holds else "MISSES"
    print(f"{verdict}  {figure.name:<72} {figure.value:>10.3f} {figure.unit:<3} (target {figure.target:g})", flush=True)
    for name, value in figure.peers.items():
        print(f"        {'beside it: ' + name:<72} {value:>10.3f} {figure.unit}", flush=True)
