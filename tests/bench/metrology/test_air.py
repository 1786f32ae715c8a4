"""Air: CIPM-2007 against published values, and its directions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import air_density_kg_per_m3, saturation_vapour_pressure_pa

HPA_PER_MMHG = 1.33322387415
TEMPERATURES_C = st.floats(0.0, 49.0)
PRESSURES_HPA = st.floats(600.0, 1099.0)
HUMIDITIES_PCT = st.floats(0.0, 99.0)


@pytest.mark.parametrize(
    ("temperature_c", "pressure_mmhg", "humidity_pct", "published_g_per_cm3"),
    [(10.0, 730.0, 40.0, 1.19569e-3), (40.0, 760.0, 40.0, 1.11497e-3)],
)
def test_density_of_air_is_the_published_one(
    temperature_c: float, pressure_mmhg: float, humidity_pct: float, published_g_per_cm3: float
) -> None:
    density = air_density_kg_per_m3(temperature_c, pressure_mmhg * HPA_PER_MMHG, humidity_pct)
    assert round(density / 1000.0, 7) == round(published_g_per_cm3, 7)


def test_density_of_ordinary_room_air_is_the_customary_one() -> None:
    assert air_density_kg_per_m3(20.0, 1013.25, 50.0) == pytest.approx(1.1993, abs=5e-5)


@given(TEMPERATURES_C, PRESSURES_HPA, HUMIDITIES_PCT)
def test_air_is_close_to_a_mixture_of_ideal_gases(
    temperature_c: float, pressure_hpa: float, humidity_pct: float
) -> None:
    kelvin = temperature_c + 273.15
    vapour_pa = humidity_pct / 100.0 * 611.2 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
    ideal = (100.0 * pressure_hpa - vapour_pa) / (287.05 * kelvin) + vapour_pa / (461.5 * kelvin)
    assert air_density_kg_per_m3(temperature_c, pressure_hpa, humidity_pct) == pytest.approx(ideal, rel=1.5e-3)


@given(TEMPERATURES_C, PRESSURES_HPA, HUMIDITIES_PCT)
def test_air_is_denser_under_pressure_and_lighter_when_warm_or_moist(
    temperature_c: float, pressure_hpa: float, humidity_pct: float
) -> None:
    density = air_density_kg_per_m3(temperature_c, pressure_hpa, humidity_pct)
    assert air_density_kg_per_m3(temperature_c, pressure_hpa + 1.0, humidity_pct) > density
    assert air_density_kg_per_m3(temperature_c + 1.0, pressure_hpa, humidity_pct) < density
    assert air_density_kg_per_m3(temperature_c, pressure_hpa, humidity_pct + 1.0) < density
    assert air_density_kg_per_m3(temperature_c, pressure_hpa, humidity_pct, carbon_dioxide_ppm=500.0) > density


def test_arrays_give_what_their_elements_give() -> None:
    temperatures_c = np.array([15.0, 20.0, 27.0])
    pressures_hpa = np.array([980.0, 1000.0, 1020.0])
    together = air_density_kg_per_m3(temperatures_c, pressures_hpa, 45.0)
    singly = [
        air_density_kg_per_m3(float(t), float(p), 45.0) for t, p in zip(temperatures_c, pressures_hpa, strict=True)
    ]
    assert together.tolist() == pytest.approx(singly, rel=1e-15)
    assert type(air_density_kg_per_m3(20.0, 1000.0, 45.0)) is float


def test_saturation_vapour_pressure_is_the_tabulated_one() -> None:
    assert saturation_vapour_pressure_pa(20.0) == pytest.approx(2339.0, abs=1.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1.0, 1000.0, 50.0), "temperature_c must lie between 0 and 50 °C, got -1"),
        ((20.0, 101325.0, 50.0), "pressure_hpa must lie between 600 and 1100 hPa, got 101325"),
        ((20.0, 1000.0, 101.0), "humidity_pct must lie between 0 and 100 %, got 101"),
        ((20.0, math.nan, 50.0), "pressure_hpa must lie between 600 and 1100 hPa, got nan"),
    ],
)
def test_air_that_no_room_has_is_refused(arguments: tuple[float, float, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        air_density_kg_per_m3(*arguments)
