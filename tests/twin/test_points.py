"""points.csv completes what the twin says, and every wrong line is named."""

import pytest

from twin.errors import SiteError
from twin.points import read_points
from twin.words import Binding, Point

TWIN = [
    Point("z.t", "Zone_Air_Temperature_Sensor", "DEG_C", "vav", binding=Binding("z.t", "bacnet:f/analog-input,0")),
    Point("z.sp", "Heating_Zone_Air_Temperature_Setpoint", "DEG_C", "vav", binding=Binding("z.sp", "bacnet:f/analog-value,0")),
    Point("z.light", "Luminance_Command", "PERCENT", "lamp"),
]
HEADER = "point,address,unit,scale,writable,low,high,step,fallback\n"


def book(tmp_path, lines):
    path = tmp_path / "points.csv"
    path.write_text(HEADER + lines, encoding="utf-8")
    return read_points(path, TWIN)


def test_limits_make_a_point_writable(tmp_path):
    points = book(tmp_path, "z.sp,,,,yes,12,24,,20\nz.light,modbus:l/1/holding/0:int16,,0.1,yes,0,100,,95\n")

    assert [p.id for p in points.writable] == ["z.light", "z.sp"]
    assert points["z.light"].binding == Binding("z.light", "modbus:l/1/holding/0:int16", 0.1)
    assert points["z.sp"].limits.step == float("inf")
    assert {c: [p.id for p in ps] for c, ps in points.by_connection().items()} == {"f": ["z.sp", "z.t"], "l": ["z.light"]}


def test_a_point_may_rest_between_changes_and_keep_minimum_times(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("point,writable,low,high,fallback,interval_s,on_min_s,off_min_s\nz.sp,yes,12,24,20,600,900,\n", encoding="utf-8")
    limits = read_points(path, TWIN)["z.sp"].limits

    assert (limits.interval_s, limits.on_min_s, limits.off_min_s) == (600.0, 900.0, 0.0)
    path.write_text("point,writable,low,high,fallback,interval_s\nz.sp,yes,12,24,20,90000\n", encoding="utf-8")
    with pytest.raises(SiteError, match="interval_s must be 0 to 86400 seconds, got 90000"):
        read_points(path, TWIN)


def test_a_point_may_be_read_at_another_rate_than_its_class(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("point,rate\nz.t,Fast\nz.sp,\n", encoding="utf-8")
    points = read_points(path, TWIN)

    assert (points["z.t"].rate, points["z.sp"].rate) == ("fast", "")
    path.write_text("point,rate\nz.t,hourly\n", encoding="utf-8")
    with pytest.raises(SiteError, match="line 2: rate must be fast, normal, slow or empty, got 'hourly'"):
        read_points(path, TWIN)


@pytest.mark.parametrize(
    "brick", ["Fire_Alarm_Control_Panel", "Smoke_Detector", "Emergency_Power_Off_System_Activated_By_High_Temperature_Status", "Sprinkler"]
)
def test_life_safety_is_never_listed(tmp_path, brick):
    path = tmp_path / "points.csv"
    path.write_text("point,writable,low,high,fallback\nsafe,yes,0,1,0\n", encoding="utf-8")
    point = Point("safe", brick, "NUM", "panel", binding=Binding("safe", "bacnet:f/binary-output,1"))

    with pytest.raises(SiteError, match=r"line 2: .*life safety is never written; set writable to no"):
        read_points(path, [point])
    path.write_text("point,writable\nsafe,no\n", encoding="utf-8")
    assert not read_points(path, [point]).writable


def test_without_a_file_the_twin_stands_alone(tmp_path):
    assert not read_points(tmp_path / "points.csv", TWIN).writable


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("z.sp,,,,yes,24,12,,20\n", "line 2: limit low 24 is above high 12; swap them"),
        ("z.sp,,,,yes,12,24,,\n", "line 2: fallback must be a number, got ''"),
        ("z.sp,,,,perhaps,,,,\n", "line 2: writable must be yes or no, got 'perhaps'"),
        ("z.t,,,,yes,12,24,,20\n", "line 2: bacnet:f/analog-input,0 is an input and takes no command"),
        ("z.light,modbus:l/1/input/0:int16,,,yes,0,100,,95\n", "line 2: .* cannot be written"),
        ("z.other,,,,,,,,\n", "line 2: point 'z.other' is not in the twin"),
        ("z.t,,,,,,,,\nz.t,,,,,,,,\n", "line 3: z.t stands already in line 2"),
        ("z.t,,\n", "line 2: expected 9 cells"),
        ("z.t,tcp://host,,,,,,,\n", "line 2: address 'tcp://host'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, lines, said):
    with pytest.raises(SiteError, match=said):
        book(tmp_path, lines)


def test_an_unknown_column_is_named(tmp_path):
    (tmp_path / "points.csv").write_text("point,adress\nz.t,x\n", encoding="utf-8")

    with pytest.raises(SiteError, match="columns must be among"):
        read_points(tmp_path / "points.csv", TWIN)
