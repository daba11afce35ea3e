"""What encloses zones: the two files of a site, and what the rc plant makes of them."""

import numpy as np
import pytest

from simulators.enclosures import FABRIC, NEIGHBOURS, Enclosure, fabric_text, neighbours_text, read_enclosures
from simulators.rc_building import RcBuilding, RcLayout, RcParameters, RcZone
from twin.errors import SiteError

HALL = Enclosure(3.0, 10.0, 40.0, 0.0, 50.0, 5.0, {"den": 12.0})
DEN = Enclosure(2.5, 0.0, 0.0, 20.0, 0.0, 0.0, {"hall": 12.0})


@pytest.fixture
def folder(tmp_path):
    """Both zones as files; `folder(old, new)` changes a text in them."""

    def write(old="", new=""):
        both = {"hall": HALL, "den": DEN}
        for name, text in ((FABRIC, fabric_text(both, dict.fromkeys(both, "measured"))), (NEIGHBOURS, neighbours_text(both))):
            (tmp_path / name).write_text(text.replace(old, new) if old else text)
        return tmp_path

    return write


def test_what_is_written_is_read_again(folder):
    assert read_enclosures(folder()) == {"hall": HALL, "den": DEN}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10.00", "ten", "fabric.csv line 3: window_m2 must be a number, 0 or above, got 'ten'"),
        ("10.00", "-1", "window_m2 must be a number"),
        ("10.00", "41", "line 3: window_m2 must lie within facade_m2, got 41 of 40"),
        ("3.00,", "0,", "line 3: height_m must be above 0"),
        ("12.00", "", "neighbours.csv line 2: no area_m2"),
    ],
)
def test_a_figure_that_cannot_be_is_named_with_its_line(folder, old, new, said):
    with pytest.raises(SiteError) as caught:
        read_enclosures(folder(old, new))
    assert said in str(caught.value)


def test_a_missing_file_says_what_names_it(tmp_path):
    with pytest.raises(SiteError, match=r"fabric\.csv: cannot be read .*plant\.toml names its folder|neighbours\.csv: cannot be read"):
        read_enclosures(tmp_path)


@pytest.fixture
def house():
    zones = tuple(RcZone(key, 20.0, "1", "ahu", {}, enclosure) for key, enclosure in (("hall", HALL), ("den", DEN)))
    return RcBuilding(RcLayout(zones, {"ahu": {}}, {}), RcParameters())


def test_windows_walls_and_roof_make_the_loss_and_the_window_lets_the_sun_in(house):
    p = RcParameters()

    assert house.outside_w_k[0] == pytest.approx(30 * p.wall_w_m2k + 10 * p.window_w_m2k + 50 * p.ground_w_m2k + 5 * p.inner_w_m2k / 2)
    assert house.outside_w_k[1] == pytest.approx(20 * p.roof_w_m2k)
    assert house.sun_m2.tolist() == pytest.approx([10 * p.glass_gain * p.window_sun_share, 0.0])
    assert house.volume.tolist() == [60.0, 50.0]
    assert house.flow_max[0] > house.flow_max[1]  # sized by the sun


def test_heat_between_zones_leaves_one_and_arrives_in_the_other(house):
    across = house._across(np.array([24.0, 20.0]))

    assert across.tolist() == pytest.approx([-4 * 12 * RcParameters().inner_w_m2k, 4 * 12 * RcParameters().inner_w_m2k])
