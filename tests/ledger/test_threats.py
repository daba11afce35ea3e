"""The threat table of the architecture names tests: each of them exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_the_threat_table_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split("## Who can lie, and what then")[1].split("\n## ")[0]
    named = re.findall(r"`(test_\w+)`", table)
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}

    assert len(named) > 30
    assert [name for name in named if name not in defined] == []
    assert all("`test_" in line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| who lies"))
