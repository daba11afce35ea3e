"""site.toml: every key known, every error names what to mend."""

import pytest

from twin.errors import SiteError
from twin.site import find_site, load_site, state_root

GOOD = """
name = "shed"
title = "The shed"
place = "Nowhere"
jurisdiction = "CN-GD"
timezone = "Asia/Shanghai"
area_m2 = 120
use = "office"
grid_region = "CN-GD"
[group]
name = "shed-group"
owner = "Shed Ltd"
government = "District energy office"
[cycle]
step_s = 300
[connections.ahu_1]
protocol = "bacnet"
device = 1001
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site.toml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def change(folder, old, new):
    text = GOOD.replace(old, new)
    assert text != GOOD
    (folder / "site.toml").write_text(text, encoding="utf-8")


def test_a_good_site_reads(folder):
    site = load_site(folder)

    assert site.connections["ahu_1"].device == 1001
    assert site.cycle.step_s == 300
    assert site.cycle.lease_s == 900
    assert site.area_m2 == 120.0
    assert not site.simulated


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("timezone", "timezon", r"unknown key 'timezon'; did you mean 'timezone'\?"),
        ("[cycle]\nstep_s", "[cycle]\nstep", r"\[cycle\]: unknown key 'step'; did you mean 'step_s'\?"),
        ("area_m2 = 120", 'area_m2 = "big"', "area_m2: expected a number, got 'big'"),
        ("area_m2 = 120", "", "missing area_m2"),
        ("Asia/Shanghai", "Asia/Shangai", "timezone 'Asia/Shangai' is not known"),
        ("step_s = 300", "step_s = 3000", "lease_s must be between step_s and 900"),
        ('protocol = "bacnet"', 'protocol = "knx"', "protocol must be one of bacnet, modbus, got 'knx'"),
        ("[group]", "[[group]]", r"\[group\] must be a table"),
        ('name = "shed"', "name = shed", "not readable as TOML"),
    ],
)
def test_a_wrong_site_says_what_to_mend(folder, old, new, said):
    change(folder, old, new)

    with pytest.raises(SiteError, match=said):
        load_site(folder)


def test_a_folder_without_site_toml_is_no_site(tmp_path):
    with pytest.raises(SiteError, match="no folder with a site"):
        find_site(str(tmp_path))


def test_the_option_rules_over_the_environment_and_that_over_the_site(monkeypatch, tmp_path, folder):
    change(folder, 'use = "office"', 'use = "office"\nstate_directory = "/of/the/site"')
    site = load_site(folder)
    monkeypatch.delenv("WATTPROOF_STATE", raising=False)

    assert str(state_root(None, site)) == "/of/the/site"
    monkeypatch.setenv("WATTPROOF_STATE", "/somewhere")
    assert str(state_root(None, site)) == "/somewhere"
    assert state_root(str(tmp_path), site) == tmp_path


@pytest.mark.parametrize("name", ["", "../../elsewhere", "Shed", "a b", "x" * 64])
def test_a_name_that_cannot_be_a_folder_is_refused(folder, name):
    change(folder, 'name = "shed"', f'name = "{name}"')
    with pytest.raises(SiteError, match="name must be lower-case"):
        load_site(folder)

    change(folder, 'name = "shed-group"', f'name = "{name}"')
    with pytest.raises(SiteError, match=r"\[group\]: name must be lower-case"):
        load_site(folder)


@pytest.mark.parametrize("area", ["-5", "0", "nan", "inf"])
def test_an_area_that_is_none_is_refused(folder, area):
    change(folder, "area_m2 = 120", f"area_m2 = {area}")

    with pytest.raises(SiteError, match="area_m2 must be a number above 0"):
        load_site(folder)


def test_half_a_timezone_is_refused(folder):
    change(folder, "Asia/Shanghai", "Asia")

    with pytest.raises(SiteError, match="timezone 'Asia' is not known"):
        load_site(folder)
