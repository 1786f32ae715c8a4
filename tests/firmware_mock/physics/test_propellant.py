"""Propellant and bellows: pressure by temperature, nearly flat over the fill, steep at the stops."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.propellant import Bellows, PressureCurve, Propellant

DESIGN = Propellant(vapour_hpa=1500.0, reference_c=37.0, enthalpy_k=3000.0)
BELLOWS = Bellows(slack_ul=500.0, full_ul=20_000.0, spring_hpa_per_ul=1e-3, stop_hpa_per_ul=2.0)


def curve(temperature_c=37.0, atmosphere_hpa=1013.25, bellows=BELLOWS):
    return PressureCurve(DESIGN, bellows, temperature_c=temperature_c, atmosphere_hpa=atmosphere_hpa)


def test_vapour_pressure_follows_clausius_and_clapeyron():
    assert DESIGN.absolute_hpa(37.0) == 1500.0
    at_27 = 1500.0 * math.exp(3000.0 * (1 / 310.15 - 1 / 300.15))
    assert DESIGN.absolute_hpa(27.0) == pytest.approx(at_27, rel=1e-12)
    slope_per_k = (DESIGN.absolute_hpa(37.001) - DESIGN.absolute_hpa(36.999)) / 0.002 / 1500.0
    assert slope_per_k == pytest.approx(3000.0 / 310.15**2, rel=1e-6)


def test_between_the_stops_the_pressure_is_the_propellants_and_a_spring():
    assert curve().pressure_hpa(10_000.0) == pytest.approx(1500.0 - 1013.25 + 10.0, rel=1e-12)
    assert curve(atmosphere_hpa=800.0).pressure_hpa(10_000.0) == pytest.approx(710.0, rel=1e-12)


def test_an_overfill_raises_it_steeply_and_an_empty_reservoir_has_none():
    full_hpa = curve().pressure_hpa(20_000.0)
    assert curve().pressure_hpa(21_000.0) == pytest.approx(full_hpa + 2000.0, rel=1e-12)
    assert curve().pressure_hpa(250.0) == pytest.approx(curve().pressure_hpa(500.0) / 2.0, rel=1e-12)
    assert curve().pressure_hpa(0.0) == curve().pressure_hpa(-1.0) == 0.0


@given(st.floats(0.0, 30_000.0), st.floats(0.0, 1000.0), st.floats(30.0, 40.0))
def test_more_contents_never_press_less_and_the_curve_has_no_step(contents_ul, more_ul, temperature_c):
    there = curve(temperature_c)
    assert there.pressure_hpa(contents_ul + more_ul) >= there.pressure_hpa(contents_ul)
    for corner_ul in (500.0, 20_000.0):
        below_hpa, above_hpa = (there.pressure_hpa(corner_ul + side_ul) for side_ul in (-1e-6, 1e-6))
        assert above_hpa - below_hpa == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ((0.0, 100.0, 1.0, 2.0), "slack_ul = 0.0 must be above 0 and below full_ul = 100.0"),
        ((100.0, 100.0, 1.0, 2.0), "slack_ul = 100.0 must be above 0 and below full_ul = 100.0"),
        ((1.0, 100.0, 2.0, 2.0), "spring_hpa_per_ul = 2.0 must be at least 0 and below stop_hpa_per_ul = 2.0"),
    ],
)
def test_bellows_that_cannot_be_are_refused(figures, sentence):
    with pytest.raises(ValueError, match=sentence):
        Bellows(*figures)
