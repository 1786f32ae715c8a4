"""A reservoir that empties under its own pressure, against adaptive quadrature of dt = dV / outflow."""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from firmware_mock.physics.emptying import Emptying
from firmware_mock.physics.propellant import Bellows, PressureCurve, Propellant

CORNERS_UL = (500.0, 20_000.0)


@pytest.fixture(scope="module")
def curve():
    return PressureCurve(
        Propellant(vapour_hpa=1500.0, reference_c=37.0, enthalpy_k=3000.0),
        Bellows(slack_ul=CORNERS_UL[0], full_ul=CORNERS_UL[1], spring_hpa_per_ul=5e-3, stop_hpa_per_ul=2.0),
        temperature_c=37.0,
        atmosphere_hpa=1013.25,
    )


def quadrature_s(curve, from_ul, to_ul, drawn_ul_per_s, conductance, outlet_hpa):
    """Time from one volume to a smaller one, stretch by stretch."""
    edges = [from_ul, *(corner for corner in reversed(CORNERS_UL) if to_ul < corner < from_ul), to_ul]
    return math.fsum(
        quad(
            lambda contents_ul: 1.0 / (drawn_ul_per_s + conductance * (curve.pressure_hpa(contents_ul) - outlet_hpa)),
            low_ul,
            high_ul,
            epsabs=0.0,
            epsrel=1e-12,
        )[0]
        for high_ul, low_ul in pairwise(edges)
    )


@settings(deadline=None)
@given(
    start_ul=st.floats(600.0, 22_000.0),
    share=st.floats(0.02, 0.999),
    drawn_ul_per_s=st.sampled_from([0.0, 1e-3, 0.05]),
    conductance=st.sampled_from([0.0, 1e-9, 1e-5, 1e-2]),
    outlet_hpa=st.sampled_from([-10.0, 0.0, 4.0]),
)
def test_it_takes_as_long_as_quadrature_says(curve, start_ul, share, drawn_ul_per_s, conductance, outlet_hpa):
    assume(drawn_ul_per_s or conductance)
    end_ul = start_ul * share
    assume(drawn_ul_per_s + conductance * (curve.pressure_hpa(end_ul) - outlet_hpa) > 0.0)
    emptying = Emptying(
        curve,
        start_ul,
        drawn_ul_per_s=drawn_ul_per_s,
        conductance_ul_per_s_per_hpa=conductance,
        outlet_hpa=outlet_hpa,
    )
    t_s = quadrature_s(curve, start_ul, end_ul, drawn_ul_per_s, conductance, outlet_hpa)
    assert emptying.reaches_s(end_ul) == pytest.approx(t_s, rel=1e-9)
    assert emptying.contents_ul(t_s) == pytest.approx(end_ul, rel=1e-9)
    assert emptying.left_ul(t_s) == pytest.approx(start_ul - end_ul, rel=1e-9, abs=1e-9 * start_ul)


def test_drawn_empty_it_stays_empty(curve):
    emptying = Emptying(curve, 1000.0, drawn_ul_per_s=0.5, conductance_ul_per_s_per_hpa=0.0, outlet_hpa=0.0)
    assert emptying.reaches_s(0.0) == pytest.approx(2000.0, rel=1e-12)
    assert emptying.contents_ul(1999.0) == pytest.approx(0.5)
    assert emptying.contents_ul(2001.0) == emptying.contents_ul(1e9) == 0.0
    assert emptying.left_ul(1e9) == 1000.0


def test_its_own_pressure_alone_never_quite_empties_it(curve):
    emptying = Emptying(curve, 1000.0, drawn_ul_per_s=0.0, conductance_ul_per_s_per_hpa=1e-3, outlet_hpa=0.0)
    assert emptying.reaches_s(0.0) is None
    assert emptying.contents_ul(1e9) == 0.0


def test_it_comes_to_rest_where_the_pressure_is_the_outlets(curve):
    outlet_hpa = curve.pressure_hpa(5000.0)
    for start_ul in (8000.0, 100.0, 5000.0):
        emptying = Emptying(
            curve, start_ul, drawn_ul_per_s=0.0, conductance_ul_per_s_per_hpa=1e-2, outlet_hpa=outlet_hpa
        )
        assert emptying.contents_ul(1e7) == pytest.approx(5000.0, rel=1e-9)
        assert emptying.reaches_s(4000.0 if start_ul > 4000.0 else 6000.0) is None


def test_a_backflow_that_fills_it_crosses_the_corners_upwards(curve):
    outlet_hpa = curve.pressure_hpa(21_000.0)
    emptying = Emptying(curve, 100.0, drawn_ul_per_s=0.0, conductance_ul_per_s_per_hpa=1e-3, outlet_hpa=outlet_hpa)
    up_s = [emptying.reaches_s(contents_ul) for contents_ul in (100.0, 500.0, 10_000.0, 20_000.0, 20_900.0)]
    assert up_s == sorted(up_s)
    for t_s, contents_ul in zip(up_s, (100.0, 500.0, 10_000.0, 20_000.0, 20_900.0), strict=True):
        assert emptying.contents_ul(t_s) == pytest.approx(contents_ul, rel=1e-9)


def test_a_constant_flow_pump_hardly_notices_how_full_it_is_until_the_bellows_are_slack(curve):
    emptying = Emptying(curve, 20_000.0, drawn_ul_per_s=0.0, conductance_ul_per_s_per_hpa=1e-5, outlet_hpa=0.0)
    day_s = 86_400.0
    first_ul, last_ul = emptying.left_ul(day_s), emptying.left_ul(30.0 * day_s) - emptying.left_ul(29.0 * day_s)
    assert 0.8 < last_ul / first_ul < 1.0
    slack_s = emptying.reaches_s(500.0)
    assert emptying.left_ul(slack_s + 20.0 * day_s) - emptying.left_ul(slack_s + 19.0 * day_s) < 0.1 * last_ul
