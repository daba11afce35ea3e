"""Weather files, forecasts and the synthetic stand-in."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from simulators.weather import month_day, read_epw, synthetic_weather
from twin.errors import SiteError

NOON = datetime(2025, 7, 14, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
DESIGN = (
    "DESIGN CONDITIONS,1,Handbook,,Heating,1,8.7,10.9,-0.1,3.8,12.4,3,4.7,13.6,10.6,20.2,9.3,21.7,3.8,340,"
    "Cooling,7,6.7,33.2,25.3,32.6,25.3,32.1,25.2,26.8,30.5,26.4,30.4,26.1,30.1,4.5,140,Extremes,9.2"
)


@pytest.fixture
def epw(tmp_path):
    """Writes a year of plain weather; `edit` changes the list of lines first."""

    def write(edit=lambda lines: None):
        row = ["2025", "1", "1", "1", "60", "?", "25.0", "20.0", "74", "101325", *["0"] * 3, "500", "400", "100", *["0"] * 5, "3.0"]
        header = ["LOCATION,Here,-,-,-,-,22.5,114.0,8.0,5.0", DESIGN, *["COMMENT"] * 6]
        lines = header + [",".join([*row[:3], str(n % 24 + 1), *row[4:]]) for n in range(8760)]
        edit(lines)
        path = tmp_path / "here.epw"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_a_file_is_read_with_its_place_and_its_sizing_conditions(epw):
    weather = read_epw(epw())

    assert (weather.name, weather.latitude, weather.zone_h, weather.elevation_m) == ("Here", 22.5, 8.0, 5.0)
    assert weather.at("dry_bulb_c", NOON) == 25.0
    design = weather.design
    assert (design.heating_c, design.heating_wind_m_s, design.heating_wind_degrees) == (8.7, 3.8, 340)
    assert (design.cooling_c, design.cooling_wet_bulb_c, design.humid_wet_bulb_c, design.humid_c) == (33.2, 25.3, 26.8, 30.5)
    assert (design.cooling_range_k, design.cooling_wind_m_s) == (6.7, 4.5)


def test_temperature_moves_evenly_between_hours(epw):
    def warm_noon(lines):
        row = lines[8 + 194 * 24 + 12].split(",")
        lines[8 + 194 * 24 + 12] = ",".join([*row[:6], "31.0", *row[7:]])  # the hour that ends at 13:00

    weather = read_epw(epw(warm_noon))

    assert [weather.at("dry_bulb_c", NOON.replace(hour=h, minute=m)) for h, m in ((12, 0), (12, 30), (13, 0))] == [25.0, 28.0, 31.0]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda lines: lines.pop(), "expected 8760 hourly rows, got 8759"),
        (lambda lines: lines.__setitem__(0, "PLACE,Here"), "not an EPW file"),
        (lambda lines: lines.__setitem__(20, lines[20].replace("25.0", "99.9")), "line 21: dry_bulb_c is 99.9"),
        (lambda lines: lines.__setitem__(20, lines[20].replace("25.0", "")), "line 21: no number for dry_bulb_c in column 7"),
        (lambda lines: lines.__setitem__(20, ",".join(lines[20].split(",")[:10])), "line 21: no number for global_w_m2"),
        (lambda lines: lines.__setitem__(1, "DESIGN CONDITIONS,1,x,Heating,1"), "line 2"),
        (lambda lines: lines.__setitem__(0, lines[0].replace("22.5", "north")), "line 1"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(epw, edit, says):
    with pytest.raises(SiteError, match=says):
        read_epw(epw(edit))


def test_a_missing_file_is_an_error_of_the_site(tmp_path):
    with pytest.raises(SiteError, match=r"nowhere\.epw"):
        read_epw(tmp_path / "nowhere.epw")


def test_a_forecast_is_never_the_true_future_and_grows_less_sure():
    weather = synthetic_weather()
    runs = [[h.temperature_c - weather.at("dry_bulb_c", h.at) for h in weather.forecast(NOON, 24, seed)] for seed in range(200)]
    errors = np.std(runs, axis=0)
    hours = weather.forecast(NOON, 24, 1)

    assert np.abs(runs).min(axis=0).max() > 0
    assert errors[23] == pytest.approx(hours[23].spread_k, rel=0.15)
    assert errors[0] < errors[23]
    assert hours == weather.forecast(NOON, 24, 1)
    assert hours[0].at == NOON.replace(hour=13)


def test_the_synthetic_weather_says_so_and_is_hot_and_humid_in_summer():
    weather = synthetic_weather()

    assert weather.synthetic
    assert "synthetic" in weather.name
    assert 26 < weather.at("dry_bulb_c", NOON) < 36
    assert weather.at("dew_point_c", NOON) > 20
    assert weather.hours["rh_percent"].max() <= 100


def test_a_start_is_a_month_and_a_day():
    assert month_day("07-14", 2025) == date(2025, 7, 14)
    for wrong in ("14 July", "13-40", "07-14-2025"):
        with pytest.raises(SiteError, match="MM-DD"):
            month_day(wrong, 2025)
