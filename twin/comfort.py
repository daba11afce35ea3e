"""Thermal comfort after ISO 7730: PMV, PPD and the clothing people put on for the morning's weather."""

import math

WATER_VAPOUR_A, WATER_VAPOUR_B, WATER_VAPOUR_C = 16.6536, 4030.183, 235.0  # saturation pressure in kPa (ISO 7730, annex D)
MET_W_M2 = 58.15
CLO_M2K_W = 0.155
SURFACE_STEPS_MAX = 150  # the standard's own limit; about ten are needed
SURFACE_TOLERANCE = 0.00015  # in hundreds of kelvin, the standard's own


def pmv(air_c: float, radiant_c: float, speed_m_s: float, rh_percent: float, met: float, clo: float) -> float:
    """Predicted mean vote, -3 cold to 3 hot (ISO 7730, equation 1, no external work)."""
    vapour_pa = rh_percent * 10 * math.exp(WATER_VAPOUR_A - WATER_VAPOUR_B / (air_c + WATER_VAPOUR_C))
    insulation = CLO_M2K_W * clo
    heat = met * MET_W_M2
    area_factor = 1 + 1.29 * insulation if insulation <= 0.078 else 1.05 + 0.645 * insulation
    surface_c, convection = _clothing_surface(air_c, radiant_c, speed_m_s, heat, insulation, area_factor)
    losses = (
        3.05e-3 * (5733 - 6.99 * heat - vapour_pa)
        + max(0.0, 0.42 * (heat - MET_W_M2))
        + 1.7e-5 * heat * (5867 - vapour_pa)
        + 0.0014 * heat * (34 - air_c)
        + 3.96e-8 * area_factor * ((surface_c + 273) ** 4 - (radiant_c + 273) ** 4)
        + area_factor * convection * (surface_c - air_c)
    )
    return (0.303 * math.exp(-0.036 * heat) + 0.028) * (heat - losses)


def _clothing_surface(
    air_c: float, radiant_c: float, speed_m_s: float, heat: float, insulation: float, factor: float
) -> tuple[float, float]:
    """Temperature of the clothing's surface (°C) and the convection there (W/m²K), by the standard's own iteration."""
    forced = 12.1 * math.sqrt(speed_m_s)
    air, radiant = air_c + 273, radiant_c + 273
    p1 = insulation * factor
    p2, p3, p4 = p1 * 3.96, p1 * 100, p1 * air
    p5 = 308.7 - 0.028 * heat + p2 * (radiant / 100) ** 4
    before, now = 0.0, (air + (35.5 - air_c) / (3.5 * (6.45 * insulation + 0.1))) / 100
    convection = forced
    for _ in range(SURFACE_STEPS_MAX):
        if abs(now - before) <= SURFACE_TOLERANCE:
            break
        before = (before + now) / 2 if before else now
        convection = max(forced, 2.38 * abs(100 * before - air) ** 0.25)
        now = (p5 + p4 * convection - p2 * before**4) / (100 + p3 * convection)
    return 100 * now - 273, convection


def ppd(vote: float) -> float:
    """Predicted percentage of dissatisfied people for a mean vote (ISO 7730, equation 5)."""
    return 100 - 95 * math.exp(-0.03353 * vote**4 - 0.2179 * vote**2)


def clothing_clo(outdoor_at_six_c: float) -> float:
    """What people wear by the outdoor temperature at 06:00 (ASHRAE 55 dynamic clothing)."""
    if outdoor_at_six_c < -5:
        return 1.0
    if outdoor_at_six_c < 5:
        return 0.818 - 0.0364 * outdoor_at_six_c
    if outdoor_at_six_c < 26:
        return 10 ** (-0.1635 - 0.0066 * outdoor_at_six_c)
    return 0.46
