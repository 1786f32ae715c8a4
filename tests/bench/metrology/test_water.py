"""Water: Tanaka's density against its published values, and what follows from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import water_density_kg_per_m3, water_expansion_per_k, water_surface_tension_mn_per_m

TEMPERATURES_C = st.floats(0.0, 40.0)


@pytest.mark.parametrize(
    ("temperature_c", "published", "tolerance"),
    [
        (0.0, 999.8395, 0.004),
        (10.0, 999.7026, 0.0003),
        (20.0, 998.2071, 0.0005),
        (25.0, 997.047021671824, 1e-9),
        (30.0, 995.6502, 0.0016),
    ],
)
def test_density_of_water_is_the_published_one(temperature_c: float, published: float, tolerance: float) -> None:
    assert water_density_kg_per_m3(temperature_c) == pytest.approx(published, abs=tolerance)


def test_water_is_densest_at_four_degrees() -> None:
    assert water_density_kg_per_m3(3.983035) == pytest.approx(999.974950, abs=1e-9)
    assert water_expansion_per_k(3.983035) == pytest.approx(0.0, abs=1e-15)
    assert water_expansion_per_k(1.0) < 0.0 < water_expansion_per_k(7.0)


def test_dissolved_air_makes_water_lighter_by_a_few_ppm() -> None:
    difference = water_density_kg_per_m3(20.0, air_saturated=True) - water_density_kg_per_m3(20.0)
    assert difference == pytest.approx(-4.612e-3 + 1.06e-4 * 20.0, abs=1e-9)


def test_an_array_gives_what_its_elements_give() -> None:
    temperatures_c = np.array([0.0, 4.0, 22.5, 40.0])
    for function in (water_density_kg_per_m3, water_expansion_per_k):
        assert function(temperatures_c).tolist() == [function(float(t)) for t in temperatures_c]
        assert type(function(22.5)) is float


@given(st.floats(0.1, 39.9))
def test_expansion_is_the_relative_slope_of_the_density(temperature_c: float) -> None:
    step = 1e-3
    slope = (water_density_kg_per_m3(temperature_c + step) - water_density_kg_per_m3(temperature_c - step)) / (2 * step)
    expected = -slope / water_density_kg_per_m3(temperature_c)
    assert water_expansion_per_k(temperature_c) == pytest.approx(expected, abs=1e-9)


@given(TEMPERATURES_C, TEMPERATURES_C)
def test_surface_tension_falls_as_water_warms(one_c: float, other_c: float) -> None:
    low, high = sorted((one_c, other_c))
    assert water_surface_tension_mn_per_m(low) >= water_surface_tension_mn_per_m(high)


def test_surface_tension_is_the_tabulated_one() -> None:
    assert water_surface_tension_mn_per_m(20.0) == pytest.approx(72.74, abs=0.005)
    assert water_surface_tension_mn_per_m(25.0) == pytest.approx(71.97, abs=0.02)


@pytest.mark.parametrize("temperature_c", [-0.1, 40.1, math.nan, math.inf])
def test_a_temperature_outside_the_formula_is_refused_with_its_bounds(temperature_c: float) -> None:
    with pytest.raises(ValueError, match=r"temperature_c must lie between 0 and 40 °C, got"):
        water_density_kg_per_m3(temperature_c)
    with pytest.raises(ValueError, match="temperature_c must lie between 0 and 40 °C"):
        water_density_kg_per_m3(np.array([20.0, temperature_c]))
