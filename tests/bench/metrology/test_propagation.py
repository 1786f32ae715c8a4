"""Propagation through a model: the end gauge of the GUM to second order, GTC, and Monte Carlo as oracles."""

import math

import GTC
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrology import Quantity, propagate

END_GAUGE = [
    Quantity("standard", 50_000_623.0, 25.0, 18.0),
    Quantity("repeated observations", 215.0, 5.8, 24.0),
    Quantity("comparator, random", 0.0, 3.9, 5.0),
    Quantity("comparator, systematic", 0.0, 6.7, 8.0),
    Quantity("difference of expansions", 0.0, 1e-6 / math.sqrt(3.0), 50.0, "rectangular"),
    Quantity("temperature deviation", -0.1, 0.41),
    Quantity("expansion", 11.5e-6, 2e-6 / math.sqrt(3.0), math.inf, "rectangular"),
    Quantity("difference of temperatures", 0.0, 0.05 / math.sqrt(3.0), 2.0, "rectangular"),
]


def end_gauge_nm(
    standard: float,
    observed: float,
    random: float,
    systematic: float,
    difference_of_expansions: float,
    deviation: float,
    expansion: float,
    difference_of_temperatures: float,
) -> float:
    return (
        standard
        + observed
        + random
        + systematic
        - standard * (difference_of_expansions * deviation + expansion * difference_of_temperatures)
    )


def test_the_end_gauge_of_the_gum_to_first_order() -> None:
    result = propagate(end_gauge_nm, END_GAUGE)
    assert result.value == pytest.approx(50_000_838.0)
    assert result.standard_uncertainty == result.first_order.standard_uncertainty == pytest.approx(31.66, abs=0.01)
    assert result.first_order.effective_dof == pytest.approx(16.7, abs=0.1)
    assert result.second_order_variance == 0.0


def test_the_end_gauge_of_the_gum_to_second_order() -> None:
    result = propagate(end_gauge_nm, END_GAUGE, second_order=True)
    assert result.first_order.standard_uncertainty == pytest.approx(31.66, abs=0.01)
    assert result.standard_uncertainty == pytest.approx(34.0, abs=0.5)
    assert math.sqrt(result.second_order_variance) == pytest.approx(math.hypot(11.7, 1.7), abs=0.3)
    assert result.expanded_uncertainty == result.first_order.coverage_factor * result.standard_uncertainty


@settings(deadline=None)
@given(st.floats(0.5, 50.0), st.floats(0.5, 50.0), st.floats(1e-4, 1e-3), st.floats(1e-4, 1e-3))
def test_a_quotient_agrees_with_gtc(numerator: float, denominator: float, u_above: float, u_below: float) -> None:
    above, below = GTC.ureal(numerator, u_above, 7), GTC.ureal(denominator, u_below, 9)
    expected = GTC.log(above) / below
    result = propagate(
        lambda a, b: math.log(a) / b,
        [Quantity("a", numerator, u_above, 7.0), Quantity("b", denominator, u_below, 9.0)],
    )
    assert result.value == pytest.approx(expected.x)
    assert result.standard_uncertainty == pytest.approx(expected.u, rel=1e-4)
    assert result.first_order.effective_dof == pytest.approx(expected.df, rel=1e-3)


@pytest.mark.parametrize("at", [0.0, 0.5, 2.0])
def test_second_order_terms_of_a_square_and_a_product_are_exact_for_normal_inputs(at: float) -> None:
    square = propagate(lambda x: x * x, [Quantity("x", at, 0.3)], second_order=True)
    assert square.standard_uncertainty == pytest.approx(math.sqrt(4.0 * at**2 * 0.09 + 2.0 * 0.09**2))
    product = propagate(lambda x, y: x * y, [Quantity("x", at, 0.3), Quantity("y", 1.0, 0.2)], second_order=True)
    assert product.standard_uncertainty == pytest.approx(math.sqrt((at * 0.2) ** 2 + 0.3**2 + (0.3 * 0.2) ** 2))


def test_second_order_terms_bring_a_cubic_nearer_to_monte_carlo() -> None:
    draws = np.random.default_rng(3).normal(1.0, 0.1, 400_000) ** 3
    result = propagate(lambda x: x**3, [Quantity("x", 1.0, 0.1)], second_order=True)
    assert result.standard_uncertainty == pytest.approx(float(np.std(draws)), rel=0.005)


def test_an_exact_quantity_has_a_sensitivity_and_no_share() -> None:
    result = propagate(lambda x, y: x * y, [Quantity("x", 3.0, 0.0), Quantity("y", 2.0, 0.1)], second_order=True)
    exact, other = result.first_order.rows
    assert (exact.share, other.share) == (0.0, 1.0)
    assert exact.input.sensitivity == pytest.approx(2.0)
    assert result.standard_uncertainty == pytest.approx(0.3)


def test_a_model_too_curved_for_its_uncertainties_is_refused() -> None:
    with pytest.raises(ValueError, match="too curved over these uncertainties"):
        propagate(math.sin, [Quantity("angle", 0.3, 1.5)], second_order=True)


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="value of 'x' must be a finite number"):
        propagate(lambda x: x, [Quantity("x", math.nan, 1.0)])
    with pytest.raises(ValueError, match="the function's value must be a finite number"):
        propagate(lambda x: math.inf, [Quantity("x", 1.0, 1.0)])
