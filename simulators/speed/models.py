"""Speed of the import: a model of usual size and a very large one, each in a process of its own, beside peers on the same files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bim.peers import named_in
from simulators.large_model import write_large_model
from simulators.speed.figures import Figure, in_child
from twin.site import product_root

USUAL_MB, LARGE_MB = 4, 100
_IMPORT = "from pathlib import Path\nfrom bim.importing import import_models"
_OPEN = "import ifcopenshell"
_WALK = """
import ifcopenshell, ifcopenshell.util.brick as brick
"""
_WALKED = """
model = ifcopenshell.open(sys.argv[2])
for element in model.by_type("IfcElement"):
    brick.get_brick_type(element)
    brick.get_element_feeds(element)
"""


def imports(folder: Path) -> Iterator[Figure]:
    """From IFC file to twin.ttl, plan and report, rules and readiness checked."""
    usual = folder / "usual.ifc"
    write_large_model(usual, USUAL_MB)
    times = sorted(_import([usual], folder / f"out_{n}")[0] for n in range(3))
    peers = {
        "ifcopenshell.open alone": in_child(_OPEN, "ifcopenshell.open(sys.argv[2])", str(usual))[0],
        "ifcopenshell.util.brick, classes and feeds": in_child(_WALK, _WALKED, str(usual))[0],
    }
    yield Figure(f"IFC of {_megabytes(usual)} MB to twin, with rules and readiness", times[1], "s", 3.0, peers)


def real_import(folder: Path) -> Iterator[Figure]:
    """The public duplex, architecture and electrical services as one building: a real model of usual size, bodies meshed."""
    models = sorted((product_root() / "tests" / "data" / "ifc").glob("duplex_*.ifc"))
    if models:  # only where the checkout holds them
        times = sorted(_import(models, folder / f"out_{n}")[0] for n in range(3))
        peer = sum(in_child(_OPEN, "ifcopenshell.open(sys.argv[2])", str(model))[0] for model in models)
        megabytes = round(sum(model.stat().st_size for model in models) / 1e6)
        yield Figure(f"duplex, {len(models)} IFC files of {megabytes} MB to twin", times[1], "s", 3.0, {"ifcopenshell.open alone": peer})


def large_import(folder: Path) -> Iterator[Figure]:
    """The same for a model of many storeys; rooms are meshed for the plan, equipment is not."""
    large = folder / "large.ifc"
    write_large_model(large, LARGE_MB)
    seconds, megabytes = _import([large], folder / "out")
    open_s, open_mb = in_child(_OPEN, "ifcopenshell.open(sys.argv[2])", str(large))
    yield Figure(f"IFC of {_megabytes(large)} MB to twin", seconds, "s", 60.0, {"ifcopenshell.open alone": open_s})
    yield Figure(f"IFC of {_megabytes(large)} MB to twin, peak memory", megabytes, "MB", 1500.0, {"ifcopenshell.open alone": open_mb})


def named(_: Path) -> Iterator[Figure]:
    """Elements of the public models that get no class of their own, the peer's beside ours; only where the checkout holds the models."""
    for path in sorted((product_root() / "tests" / "data" / "ifc").glob("*.ifc")):
        found = named_in(path)
        if found.of:
            value, peer = (100 * (found.of - count) / found.of for count in (found.ours, found.peer))
            yield Figure(f"{path.stem}: {found.of} elements, without a class", value, "%", 5.0, {"ifcopenshell.util.brick": peer})


def _import(models: Sequence[Path], out: Path) -> tuple[float, float]:
    out.mkdir()
    return in_child(_IMPORT, "import_models([*map(Path, sys.argv[3:])], Path(sys.argv[2]), 'speed')", str(out), *map(str, models))


def _megabytes(path: Path) -> int:
    return round(path.stat().st_size / 1e6)
