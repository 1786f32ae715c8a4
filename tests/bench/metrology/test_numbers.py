"""Numbers in reports: no more digits than the uncertainty carries, and a true minus sign."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import format_decimals, format_value, round_to_uncertainty

VALUES = st.floats(-1e9, 1e9)
UNCERTAINTIES = st.floats(1e-9, 1e9)


def number(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


@pytest.mark.parametrize(
    ("value", "expanded_uncertainty", "text"),
    [
        (1.23456, 0.0448, "(1.235 ± 0.045) %"),
        (-1.23456, 0.45, "(−1.23 ± 0.45) %"),
        (56789.0, 1234.0, "(56800 ± 1200) %"),
        (0.5, 0.0996, "(0.50 ± 0.10) %"),
        (99.96, 9.96, "(100 ± 10) %"),
        (-0.001, 0.25, "(0.00 ± 0.25) %"),
        (1e-7, 2.5e-8, "(0.000000100 ± 0.000000025) %"),
        (12.0, 1.0, "(12.0 ± 1.0) %"),
    ],
)
def test_a_value_is_written_as_far_as_its_uncertainty_reaches(
    value: float, expanded_uncertainty: float, text: str
) -> None:
    assert format_value(value, expanded_uncertainty, "%") == text


def test_without_a_unit_there_are_no_brackets() -> None:
    assert format_value(-1.5, 0.25, "") == "−1.50 ± 0.25"


@given(VALUES, UNCERTAINTIES)
def test_the_uncertainty_carries_two_digits_and_the_value_ends_where_it_does(value: float, uncertainty: float) -> None:
    value_text, uncertainty_text = round_to_uncertainty(value, uncertainty)
    significant = uncertainty_text.replace(".", "").lstrip("0")
    assert len(significant.rstrip("0")) <= 2 <= len(significant)
    assert len(value_text.partition(".")[2]) == len(uncertainty_text.partition(".")[2])
    assert abs(number(uncertainty_text) / Decimal(uncertainty) - 1) <= Decimal("0.05")
    place = number(uncertainty_text).adjusted() - 1
    assert abs(number(value_text) - Decimal(repr(value))) <= Decimal((0, (5,), place - 1))


@given(VALUES, UNCERTAINTIES)
def test_rounding_twice_changes_nothing(value: float, uncertainty: float) -> None:
    texts = round_to_uncertainty(value, uncertainty)
    assert round_to_uncertainty(*(float(number(text)) for text in texts)) == texts


@given(VALUES, UNCERTAINTIES)
def test_a_minus_is_never_a_hyphen_and_never_stands_before_zero(value: float, uncertainty: float) -> None:
    value_text, _ = round_to_uncertainty(value, uncertainty)
    assert "-" not in value_text
    assert value_text.startswith("−") == (number(value_text) != 0 and value < 0)


@given(VALUES, UNCERTAINTIES)
def test_opposite_values_differ_by_their_sign_alone(value: float, uncertainty: float) -> None:
    text, opposite = (round_to_uncertainty(sign * value, uncertainty)[0] for sign in (1.0, -1.0))
    assert text.lstrip("−") == opposite.lstrip("−")


def test_plain_numbers_get_the_same_minus() -> None:
    assert format_decimals(-14.5, 1) == "−14.5"
    assert format_decimals(-0.04, 1) == "0.0"
    assert format_decimals(2.5, 0) == "3"


@pytest.mark.parametrize("uncertainty", [0.0, -1.0, math.nan, math.inf])
def test_a_value_without_uncertainty_is_not_rounded_to_one(uncertainty: float) -> None:
    with pytest.raises(ValueError, match="expanded_uncertainty must be a finite number above zero"):
        format_value(1.0, uncertainty, "mg")
    with pytest.raises(ValueError, match="value must be a finite number"):
        format_value(math.nan, 1.0, "mg")
