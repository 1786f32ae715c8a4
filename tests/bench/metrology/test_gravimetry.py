"""Gravimetry: the published Z table, the figures of the field, and a balance rebuilt from forces as the oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import (
    air_density_kg_per_m3,
    buoyancy_correction_mg,
    drop_standard_uncertainty_ul,
    immersion_factor,
    meniscus_mg,
    pulsation_truncation_ul,
    trapped_liquid_ul,
    volume_at_head_ul,
    water_density_kg_per_m3,
    water_expansion_per_k,
    z_factor_ul_per_mg,
)

Z_TABLE = {
    15.0: (1.0018, 1.0019, 1.0020, 1.0020),
    20.0: (1.0026, 1.0027, 1.0029, 1.0029),
    25.0: (1.0038, 1.0039, 1.0040, 1.0041),
    30.0: (1.0052, 1.0053, 1.0054, 1.0055),
}
Z_PRESSURES_HPA = (800.0, 907.0, 1013.0, 1067.0)


@pytest.mark.parametrize("temperature_c", Z_TABLE)
def test_z_factors_are_those_of_the_published_table(temperature_c: float) -> None:
    for pressure_hpa, published in zip(Z_PRESSURES_HPA, Z_TABLE[temperature_c], strict=True):
        assert z_factor_ul_per_mg(temperature_c, pressure_hpa=pressure_hpa) == pytest.approx(published, abs=6e-5)


def test_z_takes_the_air_at_its_own_temperature() -> None:
    assert z_factor_ul_per_mg(22.0, air_temperature_c=22.0) == z_factor_ul_per_mg(22.0)
    assert z_factor_ul_per_mg(22.0, air_temperature_c=30.0) < z_factor_ul_per_mg(22.0)


def test_density_alone_errs_by_a_thousandth() -> None:
    assert 1000.0 / water_density_kg_per_m3(20.0) / z_factor_ul_per_mg(20.0) - 1.0 == pytest.approx(-1e-3, abs=1e-4)


def test_density_differs_between_bench_and_body_by_nearly_half_a_percent() -> None:
    assert water_density_kg_per_m3(22.0) / water_density_kg_per_m3(37.0) - 1.0 == pytest.approx(0.0045, abs=1e-4)


def test_ten_hectopascal_on_thirty_millilitre_are_a_third_of_a_milligram() -> None:
    low = air_density_kg_per_m3(20.0, 1003.25, 50.0)
    high = air_density_kg_per_m3(20.0, 1013.25, 50.0)
    assert buoyancy_correction_mg(high, low, 30.0) == pytest.approx(0.35, abs=0.01)
    assert buoyancy_correction_mg(low, high, 30.0) == -buoyancy_correction_mg(high, low, 30.0)
    assert buoyancy_correction_mg(np.array([low, high]), low, 30.0).tolist() == [
        0.0,
        buoyancy_correction_mg(high, low, 30.0),
    ]


@given(
    volume_ul=st.floats(20.0, 5000.0),
    start_ml=st.floats(5.0, 40.0),
    needle_mm=st.floats(0.0, 2.0),
    vessel_mm=st.floats(15.0, 60.0),
    bench_c=st.floats(17.0, 25.0),
    head_c=st.floats(17.0, 38.0),
    hpa=st.tuples(st.floats(950.0, 1050.0), st.floats(950.0, 1050.0)),
    evaporation_mg_per_s=st.floats(0.0, 1e-3),
    duration_s=st.floats(60.0, 1e5),
)
def test_volume_of_the_head_is_recovered_from_the_forces_on_a_pan(
    volume_ul: float,
    start_ml: float,
    needle_mm: float,
    vessel_mm: float,
    bench_c: float,
    head_c: float,
    hpa: tuple[float, float],
    evaporation_mg_per_s: float,
    duration_s: float,
) -> None:
    glass_ml, weights = 10.0, 8000.0
    liquid = water_density_kg_per_m3(bench_c)
    airs = [air_density_kg_per_m3(bench_c, pressure, 50.0) for pressure in hpa]
    around_needle = 1.0 - (needle_mm / vessel_mm) ** 2

    def reading_mg(delivered_mg: float, evaporated_mg: float, air: float) -> tuple[float, float]:
        """Bottom pressure times area: the needle stands in the liquid and so counts as liquid."""
        displaced_ml = (start_ml + (delivered_mg - evaporated_mg) / liquid) / around_needle
        force = displaced_ml * (liquid - air) + glass_ml * (2500.0 - air)
        return force / (1.0 - airs[0] / weights), displaced_ml

    delivered_mg = volume_ul * water_density_kg_per_m3(head_c) / 1000.0
    evaporated_mg = evaporation_mg_per_s * duration_s
    start_mg, start_displaced_ml = reading_mg(0.0, 0.0, airs[0])
    end_mg, end_displaced_ml = reading_mg(delivered_mg, evaporated_mg, airs[1])
    without_delivery_mg, _ = reading_mg(0.0, evaporated_mg, airs[0])
    start_mg += buoyancy_correction_mg(airs[0], airs[0], glass_ml + start_displaced_ml)
    end_mg += buoyancy_correction_mg(airs[1], airs[0], glass_ml + end_displaced_ml)
    measured_ul = volume_at_head_ul(
        end_mg - start_mg,
        duration_s,
        zero_slope_mg_per_s=(without_delivery_mg - start_mg) / duration_s,
        liquid_temperature_c=bench_c,
        head_temperature_c=head_c,
        pressure_hpa=hpa[0],
        humidity_pct=50.0,
        immersion=immersion_factor(needle_mm, vessel_mm),
    )
    correction_in_conventional_mass_ul = 2e-4 * abs(airs[1] - airs[0]) * (glass_ml + end_displaced_ml)
    assert measured_ul == pytest.approx(volume_ul, rel=2e-5, abs=1e-6 + correction_in_conventional_mass_ul)


def test_an_evaporating_vessel_has_a_negative_slope_and_lost_volume_is_given_back() -> None:
    conditions = {
        "liquid_temperature_c": 20.0,
        "head_temperature_c": 20.0,
        "pressure_hpa": 1013.25,
        "humidity_pct": 50.0,
    }
    still = volume_at_head_ul(100.0, 3600.0, zero_slope_mg_per_s=0.0, **conditions)
    assert volume_at_head_ul(90.0, 3600.0, zero_slope_mg_per_s=-10.0 / 3600.0, **conditions) == pytest.approx(still)


@given(st.floats(0.01, 5.0), st.floats(0.01, 5.0), st.floats(6.0, 80.0))
def test_a_thicker_needle_leaves_a_smaller_share(one_mm: float, other_mm: float, vessel_mm: float) -> None:
    thin, thick = sorted((one_mm, other_mm))
    assert 0.0 < immersion_factor(thick, vessel_mm) <= immersion_factor(thin, vessel_mm) < 1.0
    assert immersion_factor(2.0 * thin, 2.0 * vessel_mm) == pytest.approx(immersion_factor(thin, vessel_mm), rel=1e-12)


def test_no_needle_has_no_immersion_factor() -> None:
    assert immersion_factor(0.0, 20.0) == 1.0


def test_needle_and_vessel_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a needle of 30 mm does not fit into a vessel of 0\.8 mm"):
        immersion_factor(30.0, 0.8)


def test_the_meniscus_pulls_nineteen_milligrams_on_a_needle_of_eight_tenths() -> None:
    assert meniscus_mg(0.8) == pytest.approx(18.6, abs=0.05)
    assert meniscus_mg(0.3) < 7.0


def test_five_millilitres_in_the_line_breathe_half_an_hour_of_minimum_flow_a_kelvin() -> None:
    per_kelvin = trapped_liquid_ul(5.0, 1.0, liquid_expansion_per_k=water_expansion_per_k(21.5))
    assert per_kelvin == pytest.approx(1.1, abs=0.02)
    assert per_kelvin / (48.0 / 24.0 / 60.0) == pytest.approx(33.0, abs=0.5)
    assert trapped_liquid_ul(5.0, -1.0, liquid_expansion_per_k=2e-4, wall_expansion_per_k=1e-4) == pytest.approx(-0.5)


@given(
    st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=3),
    st.integers(1, 4),
    st.floats(0.0, 6.28),
    st.floats(0.0, 6.28),
)
def test_no_run_errs_by_more_than_the_truncation_of_pulsation(
    amplitudes: list[float], rollers: int, start: float, end: float
) -> None:
    revolution_ul = 50.0

    def excess_ul(angle: float) -> float:
        waves = (a / (k * rollers) * math.sin(k * rollers * angle) for k, a in enumerate(amplitudes, start=1))
        return revolution_ul / (2.0 * math.pi) * math.fsum(waves)

    bound = pulsation_truncation_ul(revolution_ul, amplitudes, rollers)
    assert abs(excess_ul(end) - excess_ul(start)) <= bound * (1.0 + 1e-9) + 1e-12


def test_one_harmonic_reaches_its_truncation_bound() -> None:
    bound = pulsation_truncation_ul(50.0, [0.2], 2)
    quarter = math.pi / 4.0
    wave = 50.0 / (2.0 * math.pi) * 0.2 / 2.0 * (math.sin(2.0 * quarter) - math.sin(-2.0 * quarter))
    assert wave == pytest.approx(bound)


def test_a_dripping_outlet_scatters_as_the_difference_of_two_hanging_shares() -> None:
    rng = np.random.default_rng(20)
    shares = rng.uniform(0.0, 30.0, (2, 100_000))
    assert drop_standard_uncertainty_ul(30.0) == pytest.approx(float(np.std(shares[1] - shares[0])), rel=0.01)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"duration_s": 0.0}, "duration_s must be a finite number above zero"),
        ({"immersion": 1.2}, "immersion must lie above 0 and at most at 1"),
        ({"weights_density_kg_per_m3": 0.0}, "weights_density_kg_per_m3 must be a density of metal"),
        ({"head_temperature_c": 60.0}, "temperature_c must lie between 0 and 40"),
    ],
)
def test_conditions_that_no_bench_has_are_refused(change: dict[str, float], named: str) -> None:
    arguments = {
        "mass_change_mg": 10.0,
        "duration_s": 60.0,
        "zero_slope_mg_per_s": 0.0,
        "liquid_temperature_c": 20.0,
        "head_temperature_c": 20.0,
        "pressure_hpa": 1000.0,
        "humidity_pct": 50.0,
    }
    with pytest.raises(ValueError, match=named):
        volume_at_head_ul(**(arguments | change))
