"""Sites from real IFC models: rooms and equipment as found, points as designed, everything assumed named; and then simulated."""

import csv
import json
from pathlib import Path

import pytest

from bim.writing import ModelWriter, Spot
from simulators.ifc_site import make_ifc_site
from twin.cli import main
from twin.errors import ModelError, SiteError
from twin.graph import Graph

ROOT = Path(__file__).parents[2]
PUBLIC = [folder / "shared" / "data" / "ifc" for folder in ROOT.parents[:2]]


@pytest.fixture
def public():
    """A public model by name; skipped where they are not at hand."""

    def path(name):
        found = [folder / name for folder in PUBLIC if (folder / name).exists()]
        return found[0] if found else pytest.skip(f"public model {name} is not at hand")

    return path


@pytest.fixture
def miami(energyplus):
    return energyplus.shipped("weather", "usa_fl_miami")


@pytest.fixture
def make(tmp_path, miami):
    """A site of models, called `site`."""
    return lambda *models: make_ifc_site(models, miami, tmp_path / "site", lambda _: None)


@pytest.fixture
def served_house(tmp_path):
    """A model with an air handler, ducts and a box for the hall, none for the den, and not one point."""
    writer = ModelWriter("house")
    storey = writer.storey("Ground", 0.0)
    hall = writer.room("Hall", storey, [(0, 0), (8, 0), (8, 6), (0, 6)], 3.0)
    writer.room("Den", storey, [(8.2, 0), (12, 0), (12, 6), (8.2, 6)], 3.0)
    writer.room("Lift shaft", storey, [(0, 6.2), (3, 6.2), (3, 9), (0, 9)], 3.0)
    ahu = writer.element("IfcUnitaryEquipment", "Air handler", "AIRHANDLER", Spot(storey, -3.0, 1.0, 0.5))
    box = writer.element("IfcAirTerminalBox", "Box 7", "VARIABLEFLOWPRESSUREDEPENDANT", Spot(hall, 4.0, 3.0, 3.2))
    diffuser = writer.element("IfcAirTerminal", "SD", "DIFFUSER", Spot(hall, 5.0, 4.0, 2.9))
    writer.run(ahu, box, storey)
    writer.run(box, diffuser, storey)
    path = tmp_path / "house.ifc"
    writer.write(path)
    return path


def owners(folder):
    with (folder / "designed.csv").open() as file:
        return {row["point"]: (row["owner"], row["owner_is"]) for row in csv.DictReader(file)}


def test_points_go_to_found_equipment_and_only_what_is_missing_is_assumed(make, served_house, tmp_path):
    made = make(served_house)

    owner = owners(made.folder)
    assert owner["zone_hall.zn_t"] == ("Box 7", "found")
    assert owner["air_handler.fan_run"] == ("Air handler", "found")
    assert owner["zone_den.zn_t"] == ("VAV Zone den", "assumed")
    assert owner["ahu_ground.fan_run"] == ("AHU ground", "assumed")
    assert made.unserved == ("Lift shaft: a shaft",)
    assert any("1 rooms: den" in line and "AHU ground" in line for line in made.assumed)
    terminals = {row["zone"]: (row["terminal"], row["air_handler"]) for row in Graph.read(made.folder / "twin.ttl").ask("terminals")}
    assert terminals == {"zone_hall": ("box_7", "air_handler"), "zone_den": ("vav_zone_den", "ahu_ground")}


def test_the_duplex_keeps_its_lamps_and_names_what_it_lacks(make, public):
    made = make(public("duplex_arch_ifc2x3.ifc"), public("duplex_electrical_ifc2x3.ifc"))

    lamps = [row for row in Graph.read(made.folder / "twin.ttl").ask("equipment") if row["class"] == "Luminaire"]
    assert len(lamps) == 18  # 14 of the model, one assumed in each of four rooms
    assert made.found_equipment == 10
    assert any(line.startswith("one group of luminaires in each of 4 rooms") for line in made.assumed)
    assert any(line.startswith("2 x Natural_Gas_Boiler") for line in made.left_alone)
    assert "R301 Roof: a roof space" in made.unserved


def test_a_made_site_is_simulated_and_controlled_over_its_own_wires(served_house, tmp_path, miami, capsys):
    out = tmp_path / "villa"
    with pytest.raises(SystemExit) as done:
        main(["site-from-ifc", str(served_house), "--weather", str(miami), "--out", str(out), "--json"])
    assert done.value.code == 0
    assert json.loads(capsys.readouterr().out)["violations"] == 0

    energy = {}
    for controller in ("bau", "rules"):
        with pytest.raises(SystemExit) as done:
            main(["simulate", str(out), "--controller", controller, "--json"])
        assert done.value.code == 0
        row = json.loads(capsys.readouterr().out)
        energy[controller] = row["energy_kwh"]["whole"]
        assert row["plant"] == "rc"
    assert set(row["wire"]["outcomes"]) <= {"applied"}
    assert 0 < energy["rules"] < energy["bau"]


def test_nothing_is_left_where_a_model_or_the_weather_is_bad(tmp_path, served_house, miami):
    gap = tmp_path / "gap.epw"
    lines = miami.read_text(encoding="latin-1").splitlines()
    gap.write_text("\n".join(lines[:99] + lines[100:]), encoding="latin-1")
    out = tmp_path / "out" / "site"

    with pytest.raises(SiteError, match="expected 8760 hourly rows, got 8759"):
        make_ifc_site([served_house], gap, out, lambda _: None)
    with pytest.raises(ModelError, match="no such file"):
        make_ifc_site([tmp_path / "no.ifc"], miami, out, lambda _: None)
    with pytest.raises(ModelError, match="two models have this file name"):
        make_ifc_site([served_house, served_house], miami, out, lambda _: None)
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_a_folder_that_exists_is_never_overwritten(make, served_house, tmp_path):
    (tmp_path / "site").mkdir()

    with pytest.raises(SiteError, match="exists already"):
        make(served_house)
