"""Properties of moist air: density by CIPM-2007 and the saturation vapour pressure it is built on."""

from __future__ import annotations

from typing import overload

import numpy as np

from bench.metrology._checks import FloatArray, require_within

GAS_CONSTANT_J_PER_MOL_K = 8.314472
WATER_MOLAR_MASS_KG_PER_MOL = 18.01528e-3
CIPM_RELATIVE_STANDARD_UNCERTAINTY = 22e-6
"""Of the equation itself, without its inputs."""


@overload
def air_density_kg_per_m3(
    temperature_c: float, pressure_hpa: float, humidity_pct: float, *, carbon_dioxide_ppm: float = 400.0
) -> float: ...
@overload
def air_density_kg_per_m3(
    temperature_c: FloatArray,
    pressure_hpa: float | FloatArray,
    humidity_pct: float | FloatArray,
    *,
    carbon_dioxide_ppm: float = 400.0,
) -> FloatArray: ...
def air_density_kg_per_m3(
    temperature_c: float | FloatArray,
    pressure_hpa: float | FloatArray,
    humidity_pct: float | FloatArray,
    *,
    carbon_dioxide_ppm: float = 400.0,
) -> float | FloatArray:
    """Density of moist air by CIPM-2007 (Picard et al., Metrologia 45 (2008) 149), complete.

    With the enhancement factor, the compressibility and the carbon dioxide term. Recommended for 15 to 27 °C and
    600 to 1100 hPa; 0 to 50 °C are accepted, for published check values stand at 10 and 40 °C.

    Args:
        temperature_c: air temperature, in °C.
        pressure_hpa: air pressure at the balance (not reduced to sea level), in hPa.
        humidity_pct: relative humidity, in %.
        carbon_dioxide_ppm: mole fraction of carbon dioxide, in µmol/mol.

    Raises:
        ValueError: a value outside 0 to 50 °C, 600 to 1100 hPa, 0 to 100 % or 0 to 10 000 ppm.
    """
    require_within("temperature_c", temperature_c, 0.0, 50.0, "°C")
    require_within("pressure_hpa", pressure_hpa, 600.0, 1100.0, "hPa")
    require_within("humidity_pct", humidity_pct, 0.0, 100.0, "%")
    require_within("carbon_dioxide_ppm", carbon_dioxide_ppm, 0.0, 10_000.0, "ppm")
    kelvin = temperature_c + 273.15
    pascal = pressure_hpa * 100.0
    enhancement = 1.00062 + 3.14e-8 * pascal + 5.6e-7 * temperature_c * temperature_c
    vapour = humidity_pct / 100.0 * enhancement * _saturation_vapour_pressure_pa(kelvin) / pascal
    ratio = pascal / kelvin
    compressibility = (
        1.0
        - ratio
        * (
            1.58123e-6
            - 2.9331e-8 * temperature_c
            + 1.1043e-10 * temperature_c * temperature_c
            + (5.707e-6 - 2.051e-8 * temperature_c) * vapour
            + (1.9898e-4 - 2.376e-6 * temperature_c) * vapour * vapour
        )
        + ratio * ratio * (1.83e-11 - 0.765e-8 * vapour * vapour)
    )
    dry_molar_mass = (28.96546 + 12.011 * (carbon_dioxide_ppm * 1e-6 - 0.0004)) * 1e-3
    density = (
        ratio
        * dry_molar_mass
        / (compressibility * GAS_CONSTANT_J_PER_MOL_K)
        * (1.0 - vapour * (1.0 - WATER_MOLAR_MASS_KG_PER_MOL / dry_molar_mass))
    )
    return density if isinstance(density, np.ndarray) else float(density)


def saturation_vapour_pressure_pa(temperature_c: float) -> float:
    """Vapour pressure over a flat surface of liquid water, Pa, as CIPM-2007 takes it (Giacomo 1982).

    Raises:
        ValueError: a temperature outside 0 to 50 °C.
    """
    require_within("temperature_c", temperature_c, 0.0, 50.0, "°C")
    return float(_saturation_vapour_pressure_pa(temperature_c + 273.15))


def _saturation_vapour_pressure_pa(kelvin: float | FloatArray) -> float | FloatArray:
    exponent = 1.2378847e-5 * kelvin * kelvin - 1.9121316e-2 * kelvin + 33.93711047 - 6.3431645e3 / kelvin
    pressure: float | FloatArray = np.exp(exponent)
    return pressure
