"""An import in a process of its own: a body that crashes the geometry library ends that process, and becomes a sentence here."""

import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bim.importing import Beside, import_models
from twin.errors import ModelError


@dataclass(frozen=True)
class Outcome:
    """What is left of an import when its process has ended: everything but the graph, which stands in twin.ttl."""

    site: str
    counts: Mapping[str, Any]
    report: Mapping[str, Any]
    models: Sequence[Mapping[str, str]]
    journal_body: Mapping[str, object]


def import_apart(
    paths: Sequence[Path], out: Path, site_name: str, mesh: bool = False, beside: Beside | None = None, readiness: bool = False
) -> Outcome:
    """`import_models` in a child. Nothing is written when it dies; ModelError says so."""
    # A fork has the libraries loaded already; elsewhere than on Linux it is not safe, and a fresh process costs a second.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_import, tuple(paths), out, site_name, mesh, beside, readiness).result()
        except BrokenProcessPool:
            names = ", ".join(path.name for path in paths)
            raise ModelError(
                f"{names}: reading it crashed the IFC library, so a body or a reference in it is damaged; export it again, "
                "several models one by one to see which it is. Nothing was written"
            ) from None


def _import(paths: Sequence[Path], out: Path, site_name: str, mesh: bool, beside: Beside | None, readiness: bool) -> Outcome:
    done = import_models(paths, out, site_name, mesh, beside, readiness)
    return Outcome(done.graph.site, done.counts, done.report, done.models, done.journal_body())
