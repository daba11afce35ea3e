"""The speed table measures what it prints and says whether each target holds."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_has_a_measured_value_its_unit_and_its_target():
    done = subprocess.run(
        [sys.executable, "-m", "twin", "speed", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=True
    )
    rows = json.loads(done.stdout)["rows"]

    assert len(rows) >= 5
    assert all(row["value"] > 0 and row["unit"] and row["holds"] == (row["value"] <= row["target"]) for row in rows)
