"""The large model for speed figures is a valid IFC model whose storeys are all its own."""

from pathlib import Path

import ifcopenshell
import ifcopenshell.validate

from bim.importing import import_models
from simulators.large_model import ROOMS, write_large_model


def test_two_storeys_are_valid_and_nothing_stands_twice(tmp_path: Path) -> None:
    storeys = write_large_model(tmp_path / "large.ifc", 3)
    model = ifcopenshell.open(str(tmp_path / "large.ifc"))
    log = ifcopenshell.validate.json_logger()
    ifcopenshell.validate.validate(model, log)

    roots = [root.GlobalId for root in model.by_type("IfcRoot")]
    assert log.statements == []
    assert len(set(roots)) == len(roots)
    assert (tmp_path / "large.ifc").stat().st_size >= 3e6
    assert [storey.Elevation for storey in model.by_type("IfcBuildingStorey")] == [4.0 * n for n in range(storeys)]

    counts = import_models([tmp_path / "large.ifc"], tmp_path / "out", "large").counts
    assert (counts["rooms"], counts["points"], counts["violations"]) == (ROOMS * storeys, 4 * ROOMS * storeys, 0)
    assert counts["placed_low_confidence"] == 0
