"""Evaporation and resolution: the figures with which the bench refuses what it cannot measure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import (
    balance_time_h,
    evaporation_open_mg_per_h_per_cm2,
    nist_micro_flow_uncertainty_ug_per_s,
    water_density_kg_per_m3,
)


def flow_mg_per_h(ml_per_day: float) -> float:
    return ml_per_day / 24.0 * water_density_kg_per_m3(20.0)


def test_an_open_beaker_loses_seven_and_a_half_milligrams_an_hour_from_a_square_centimetre() -> None:
    assert evaporation_open_mg_per_h_per_cm2(20.0, 50.0, 10.0) == pytest.approx(7.5, rel=0.03)


def test_an_open_square_centimetre_loses_more_than_a_tenth_of_a_millilitre_a_day() -> None:
    assert flow_mg_per_h(0.1) == pytest.approx(4.16, abs=0.005)
    assert evaporation_open_mg_per_h_per_cm2(20.0, 50.0, 10.0) > flow_mg_per_h(0.1)


@given(st.floats(5.0, 45.0), st.floats(0.0, 95.0), st.floats(1.0, 50.0), st.floats(700.0, 1050.0))
def test_drier_warmer_lower_and_shallower_evaporate_more(
    temperature_c: float, humidity_pct: float, column_mm: float, pressure_hpa: float
) -> None:
    loss = evaporation_open_mg_per_h_per_cm2(temperature_c, humidity_pct, column_mm, pressure_hpa=pressure_hpa)
    assert loss > 0.0
    assert (
        evaporation_open_mg_per_h_per_cm2(temperature_c, humidity_pct + 1.0, column_mm, pressure_hpa=pressure_hpa)
        < loss
    )
    assert (
        evaporation_open_mg_per_h_per_cm2(temperature_c + 1.0, humidity_pct, column_mm, pressure_hpa=pressure_hpa)
        > loss
    )
    assert (
        evaporation_open_mg_per_h_per_cm2(temperature_c, humidity_pct, column_mm, pressure_hpa=pressure_hpa + 1) < loss
    )
    doubled = evaporation_open_mg_per_h_per_cm2(temperature_c, humidity_pct, 2.0 * column_mm, pressure_hpa=pressure_hpa)
    assert doubled == pytest.approx(loss / 2.0)


def test_saturated_air_takes_nothing() -> None:
    assert evaporation_open_mg_per_h_per_cm2(20.0, 100.0, 10.0) == 0.0


@pytest.mark.parametrize(
    ("ml_per_day", "reading_mg", "hours", "tolerance"),
    [
        (0.048, 0.1, 14.2, 0.05),
        (0.048, 0.01, 1.42, 0.005),
        (0.5, 0.1, 1.36, 0.005),
        (0.5, 0.01, 0.14, 0.005),
    ],
)
def test_the_time_a_balance_needs_for_one_percent_is_the_published_one(
    ml_per_day: float, reading_mg: float, hours: float, tolerance: float
) -> None:
    assert balance_time_h(flow_mg_per_h(ml_per_day), reading_mg, 0.01) == pytest.approx(hours, abs=tolerance)


def test_the_highest_rate_needs_two_minutes_at_most() -> None:
    assert balance_time_h(flow_mg_per_h(24.0), 0.1, 0.01) <= 0.03


@given(st.floats(1e-6, 1e3), st.floats(1e-3, 1e4), st.floats(1e-4, 0.5))
def test_the_balance_time_gives_back_the_uncertainty_it_was_asked_for(
    reading_mg: float, mass_flow_mg_per_h: float, relative: float
) -> None:
    hours = balance_time_h(mass_flow_mg_per_h, reading_mg, relative)
    difference_mg = (2.0 * reading_mg**2) ** 0.5
    assert 2.0 * difference_mg / (mass_flow_mg_per_h * hours) == pytest.approx(relative)


def test_nist_micro_flow_is_a_floor_and_a_share() -> None:
    assert nist_micro_flow_uncertainty_ug_per_s(0.0) == pytest.approx(0.1)
    assert nist_micro_flow_uncertainty_ug_per_s(100.0) == pytest.approx(0.3)
    at_minimum_rate = nist_micro_flow_uncertainty_ug_per_s(flow_mg_per_h(0.048) / 3.6)
    assert at_minimum_rate / (flow_mg_per_h(0.048) / 3.6) > 0.15


def test_an_open_vessel_without_air_above_is_refused() -> None:
    with pytest.raises(ValueError, match="air_column_mm must be a finite number above zero"):
        evaporation_open_mg_per_h_per_cm2(20.0, 50.0, 0.0)
    with pytest.raises(ValueError, match="mass_flow_mg_per_h must be a finite number above zero"):
        balance_time_h(0.0, 0.1, 0.01)
