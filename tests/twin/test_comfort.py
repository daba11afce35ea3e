"""PMV and PPD against published rows."""

import pytest

from twin.comfort import clothing_clo, pmv, ppd

ROWS = [  # air, radiant, speed, RH, met, clo -> PMV, PPD: ISO 7730 table D.1
    (22, 22, 0.1, 60, 1.2, 0.5, -0.75, 17),
    (27, 27, 0.1, 60, 1.2, 0.5, 0.77, 17),
    (23.5, 25.5, 0.1, 60, 1.2, 0.5, -0.01, 5),
    (19, 19, 0.1, 40, 1.2, 1.0, -0.60, 13),
    (23, 21, 0.1, 40, 1.2, 1.0, 0.05, 5),
    (23, 21, 0.3, 40, 1.2, 1.0, -0.16, 6),
    (27, 27, 0.1, 60, 1.6, 0.5, 1.17, 34),
]


@pytest.mark.parametrize(("air", "radiant", "speed", "rh", "met", "clo", "vote", "dissatisfied"), ROWS)
def test_the_vote_is_that_of_the_standard(air, radiant, speed, rh, met, clo, vote, dissatisfied):
    assert pmv(air, radiant, speed, rh, met, clo) == pytest.approx(vote, abs=0.1)
    assert ppd(pmv(air, radiant, speed, rh, met, clo)) == pytest.approx(dissatisfied, abs=1.5)


def test_nobody_pleases_everybody():
    assert ppd(0.0) == pytest.approx(5.0)
    assert ppd(1.0) == ppd(-1.0) > 20


@pytest.mark.parametrize(("outdoor", "clo"), [(-10, 1.0), (-5, 1.0), (5, 0.636), (26, 0.46), (35, 0.46)])
def test_people_dress_for_the_morning(outdoor, clo):
    assert clothing_clo(outdoor) == pytest.approx(clo, abs=0.005)
