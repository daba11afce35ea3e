"""The checks of a real site's files that keep its devices apart and its protected points out of reach."""

import shutil
from pathlib import Path

import pytest

from twin.check import check_site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clinic(tmp_path):
    """The clinic as if it were real."""
    folder = tmp_path / "corner_clinic"
    shutil.copytree(ROOT / "sites" / "corner_clinic", folder)
    (folder / "plant.toml").unlink()
    return folder


def test_a_device_id_at_two_connections_is_found(clinic):
    """F16: a duplicated device id, in the site's own files."""
    toml = (clinic / "site.toml").read_text()
    (clinic / "site.toml").write_text(toml + '\n[connections.twin_of_floor]\nprotocol = "bacnet"\ndevice = 2001\n')

    assert "connections floor_1, twin_of_floor all name BACnet device 2001; give each device an id of its own" in [
        f.message for f in check_site(clinic)
    ]


def test_a_protected_point_listed_as_writable_is_found_at_a_real_site_only(clinic):
    said = [f.message for f in check_site(clinic)]

    assert "surgery_1.htg_sp is protected and never written; set writable to no" in said
    assert not [m for m in (f.message for f in check_site(ROOT / "sites" / "corner_clinic")) if "protected" in m]
