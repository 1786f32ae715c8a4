"""The mock's own formulas for water and air, held against the published tables."""

import pytest

from firmware_mock.physics.air import (
    air_density_kg_per_m3,
    saturation_pressure_hpa,
    stefan_flow_mg_per_mm_s,
    vapour_diffusivity_m2_per_s,
)
from firmware_mock.physics.water import surface_tension_n_per_m, water_density_mg_per_ul

HPA_PER_MMHG = 1.333224


@pytest.mark.parametrize(
    ("temperature_c", "published_kg_per_m3"),
    [(0, 999.8395), (10, 999.7026), (20, 998.2071), (25, 997.047022), (30, 995.6502)],
)
def test_water_agrees_with_the_published_table_within_four_parts_in_a_million(temperature_c, published_kg_per_m3):
    assert 1e3 * water_density_mg_per_ul(temperature_c) == pytest.approx(published_kg_per_m3, rel=4e-6)


def test_water_is_densest_near_four_degrees():
    temperatures = [0.01 * step for step in range(801)]
    assert max(temperatures, key=water_density_mg_per_ul) == pytest.approx(3.98, abs=0.03)


def test_surface_tension_at_room_temperature_is_the_published_one():
    assert surface_tension_n_per_m(20.0) == pytest.approx(72.74e-3, abs=0.03e-3)
    assert surface_tension_n_per_m(25.0) == pytest.approx(71.97e-3, abs=0.03e-3)


@pytest.mark.parametrize(
    ("temperature_c", "pressure_mmhg", "humidity_pct", "published_g_per_cm3"),
    [(10, 730, 40, 1.19569e-3), (40, 760, 40, 1.11497e-3)],
)
def test_air_agrees_with_the_published_values_as_well_as_ideal_gases_can(
    temperature_c, pressure_mmhg, humidity_pct, published_g_per_cm3
):
    density = air_density_kg_per_m3(temperature_c, pressure_mmhg * HPA_PER_MMHG, humidity_pct)
    assert density == pytest.approx(1e3 * published_g_per_cm3, rel=6e-4)


def test_moist_air_is_lighter_than_dry_air():
    assert air_density_kg_per_m3(20.0, 1013.25, 90.0) < air_density_kg_per_m3(20.0, 1013.25, 10.0)


@pytest.mark.parametrize(("temperature_c", "published_hpa"), [(0.0, 6.112), (20.0, 23.39), (30.0, 42.47)])
def test_vapour_saturates_at_the_published_pressure(temperature_c, published_hpa):
    assert saturation_pressure_hpa(temperature_c) == pytest.approx(published_hpa, rel=4e-3)


def test_vapour_diffuses_faster_in_thin_air():
    assert vapour_diffusivity_m2_per_s(20.0, 500.0) == pytest.approx(2.0 * vapour_diffusivity_m2_per_s(20.0, 1000.0))
    assert vapour_diffusivity_m2_per_s(20.0, 1013.25) == pytest.approx(2.42e-5, rel=0.01)


def test_no_vapour_flows_from_a_surface_in_saturated_air_and_it_condenses_on_a_cold_one():
    assert stefan_flow_mg_per_mm_s(20.0, 20.0, 1013.25, 100.0) == 0.0
    assert stefan_flow_mg_per_mm_s(10.0, 20.0, 1013.25, 80.0) < 0.0
