"""The simulated sites: authored anew they give the committed bytes, and imported they hold every point of their design."""

import importlib.util
import tomllib
from pathlib import Path

import ifcopenshell
import ifcopenshell.validate
import pytest

from bim.importing import Imported, import_models
from simulators.author import (
    CLINIC_LIMITS,
    NO_LIMITS,
    Limits,
    author_connections,
    author_model,
    author_points,
    corner_clinic,
    energyplus_building,
)
from simulators.design import Building, design_points
from twin.addresses import parse_address
from twin.points import PointBook, read_points
from twin.site import Site, find_site, load_site

SITES = {"demo_office": (15, 3, 198), "corner_clinic": (5, 1, 69)}  # rooms, air handlers, points


def design(name: str) -> tuple[Building, Limits]:
    if name == "corner_clinic":
        return corner_clinic(), CLINIC_LIMITS
    if importlib.util.find_spec("pyenergyplus") is None:
        pytest.skip("EnergyPlus is not installed: the demo office cannot be authored anew here")
    return energyplus_building(), NO_LIMITS


@pytest.fixture(params=sorted(SITES))
def site(request: pytest.FixtureRequest) -> Site:
    return load_site(find_site(request.param))


@pytest.fixture
def imported(site: Site, tmp_path: Path) -> Imported:
    return import_models(site.models, tmp_path, site.name)


@pytest.fixture
def book(site: Site, imported: Imported) -> PointBook:
    return read_points(site.points_file, imported.graph.points())


def test_authored_anew_a_site_has_the_committed_bytes(site: Site) -> None:
    building, limits = design(site.name)

    assert author_model(building) == (site.folder / "models" / f"{site.name}.ifc").read_bytes()
    assert author_points(building, limits) == site.points_file.read_text()


def test_imported_anew_a_site_has_the_committed_twin_and_plan(site: Site, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for model in site.models:
        (tmp_path / "models" / model.name).write_bytes(model.read_bytes())
    import_models([tmp_path / "models" / m.name for m in site.models], tmp_path, site.name)

    assert (tmp_path / "twin.ttl").read_bytes() == site.twin_file.read_bytes()
    assert (tmp_path / "plan.json").read_bytes() == site.plan_file.read_bytes()


@pytest.mark.parametrize("schema", ["IFC4", "IFC4X3"])
@pytest.mark.parametrize("name", sorted(SITES))
def test_an_authored_model_has_no_schema_issue(tmp_path: Path, name: str, schema: str) -> None:
    building, _ = design(name)
    (tmp_path / "site.ifc").write_bytes(author_model(building, schema))
    logger = ifcopenshell.validate.json_logger()

    ifcopenshell.validate.validate(str(tmp_path / "site.ifc"), logger)

    assert logger.statements == []


def test_a_site_is_mapped_whole_and_needs_no_review(site: Site, imported: Imported) -> None:
    rooms, handlers, points = SITES[site.name]
    counts, graph = imported.counts, imported.graph

    assert (counts["rooms"], counts["points"], counts["bound"]) == (rooms, points, points)
    assert (counts["violations"], counts["review"], counts["placed_low_confidence"]) == (0, 0, 0)
    assert (counts["elements"]["unmapped"], counts["elements"]["generic"]) == (0, 0)
    assert len(graph.ask("zones")) == len(graph.ask("terminals")) == len(graph.ask("lighting")) == rooms
    assert len(graph.ask("air_handlers")) == handlers
    assert counts["feeds"] == 3 * rooms  # handler to box, box to diffuser, box to zone
    assert len(graph.ask("protected")) == rooms + handlers  # an emergency light a room, a fire damper an air handler


def test_every_design_point_is_there_with_class_unit_owner_address_and_limits(site: Site, book: PointBook) -> None:
    building, limits = design(site.name)
    names = {row["equipment"]: row["name"] for row in import_names(site)}

    for wanted in design_points(building):
        point = book[wanted.id]
        assert (point.brick, point.unit) == (wanted.row["brick"], wanted.row["unit"])
        assert point.binding is not None
        assert (point.binding.address, point.binding.scale) == (str(parse_address(wanted.address)), wanted.scale)
        assert point.writable == (wanted.row["writable"] == "yes") == (point.limits is not None)
        assert names[point.owner] == wanted.owner
    assert len(book) == len(design_points(building))
    if site.name == "corner_clinic":
        assert book["ahu_1.oa_f_sp"].limits is not None
        assert book["ahu_1.oa_f_sp"].limits.high == float(limits["oa_f_sp"]["high"])


def import_names(site: Site) -> list[dict[str, str]]:
    from twin.graph import Graph

    return Graph.read(site.twin_file).ask("equipment")


def test_each_zone_is_asked_as_a_strategy_would(imported: Imported) -> None:
    zones = {row["zone"] for row in imported.graph.ask("zones")}

    for name in (
        "Zone_Air_Temperature_Sensor",
        "Zone_CO2_Level_Sensor",
        "Occupancy_Count_Sensor",
        "Luminance_Command",
        "Min_Air_Flow_Setpoint_Limit",
    ):
        rows = imported.graph.ask("zone_points", brick_class=name)
        assert {row["zone"] for row in rows} == zones
        assert len(rows) == len(zones)


def test_site_toml_holds_the_connections_of_the_design(site: Site, book: PointBook) -> None:
    building, _ = design(site.name)
    wanted = tomllib.loads(author_connections(building))["connections"]
    stated = tomllib.loads((site.folder / "site.toml").read_text())["connections"]

    assert stated == wanted
    assert set(book.by_connection()) == set(site.connections)
    assert all(connection.port == 0 for connection in site.connections.values())


def test_the_plant_names_what_is_installed_with_its_hash(site: Site) -> None:
    import hashlib

    pytest.importorskip("pyenergyplus", reason="EnergyPlus is not installed")
    from pyenergyplus.dataset import ref_models, weather_files

    plant = tomllib.loads(site.plant_file.read_text())
    for key, known in (("model", ref_models), ("weather", weather_files)):
        if key in plant:
            assert hashlib.sha256(Path(known[plant[key]]).read_bytes()).hexdigest() == plant[f"{key}_sha256"]


def test_each_hour_has_one_price(site: Site) -> None:
    lines = (site.folder / "tariff.csv").read_text().splitlines()
    hours = [hour for line in lines[1:] for hour in range(*map(int, line.split(",")[:2]))]

    assert lines[0] == "from_hour,to_hour,cents_per_kwh"
    assert sorted(hours) == list(range(24))
