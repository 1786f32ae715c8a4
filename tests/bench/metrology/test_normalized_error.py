"""E_n: agreement of two results within their expanded uncertainties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import e_n

VALUES = st.floats(-1e3, 1e3)
UNCERTAINTIES = st.floats(1e-3, 1e3)


def test_three_four_five() -> None:
    assert e_n(12.5, 3.0, 10.0, 4.0) == pytest.approx(0.5)
    assert e_n(5.0, 3.0, 10.0, 4.0) == pytest.approx(-1.0)


@given(VALUES, UNCERTAINTIES, VALUES, UNCERTAINTIES)
def test_exchanging_the_results_changes_the_sign_alone(one: float, u_one: float, other: float, u_other: float) -> None:
    assert e_n(one, u_one, other, u_other) == pytest.approx(-e_n(other, u_other, one, u_one))


@given(VALUES, UNCERTAINTIES, VALUES, UNCERTAINTIES, st.floats(0.01, 100.0))
def test_the_unit_does_not_matter(one: float, u_one: float, other: float, u_other: float, unit: float) -> None:
    scaled = e_n(unit * one, unit * u_one, unit * other, unit * u_other)
    assert scaled == pytest.approx(e_n(one, u_one, other, u_other), rel=1e-6, abs=1e-9)


def test_what_two_results_share_does_not_excuse_their_difference() -> None:
    shared, own_one, own_other = 0.3, 0.2, 0.1
    u_one, u_other = math.hypot(shared, own_one), math.hypot(shared, own_other)
    result = e_n(1.0, 2.0 * u_one, 0.0, 2.0 * u_other, shared**2)
    assert result == pytest.approx(1.0 / (2.0 * math.hypot(own_one, own_other)))
    assert result > e_n(1.0, 2.0 * u_one, 0.0, 2.0 * u_other)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((math.nan, 1.0, 0.0, 1.0), "value must be a finite number"),
        ((0.0, -1.0, 0.0, 1.0), "expanded_uncertainty must be a finite number, zero or above"),
        ((0.0, 0.0, 0.0, 0.0), "no uncertainty left"),
        ((0.0, 1.0, 0.0, 1.0, 1.0), "no uncertainty left .*: check the covariance"),
    ],
)
def test_results_without_a_usable_uncertainty_are_refused(arguments: tuple[float, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        e_n(*arguments)
