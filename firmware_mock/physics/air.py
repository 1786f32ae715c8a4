"""Moist air in the mock: density of a mixture of two ideal gases, saturation, and the diffusion of vapour."""

from __future__ import annotations

from math import exp, log

_ZERO_C_IN_K = 273.15
_STANDARD_ATMOSPHERE_HPA = 1013.25
_MOLAR_GAS_J_PER_MOL_K = 8.314462618
_MOLAR_MASS_WATER_KG_PER_MOL = 18.015268e-3
_DRY_AIR_J_PER_KG_K = 287.05
_VAPOUR_J_PER_KG_K = _MOLAR_GAS_J_PER_MOL_K / _MOLAR_MASS_WATER_KG_PER_MOL


def saturation_pressure_hpa(temperature_c: float) -> float:
    """Saturated vapour over water, in hPa, −45 to 60 °C (Magnus form after D. Sonntag, Z. Meteorol. 40 (1990) 340)."""
    return 6.112 * exp(17.62 * temperature_c / (243.12 + temperature_c))


def air_density_kg_per_m3(temperature_c: float, pressure_hpa: float, humidity_pct: float) -> float:
    """Density of moist air as dry air and vapour that add up as ideal gases, in kg/m³."""
    temperature_k = temperature_c + _ZERO_C_IN_K
    vapour_hpa = 0.01 * humidity_pct * saturation_pressure_hpa(temperature_c)
    dry = (pressure_hpa - vapour_hpa) / _DRY_AIR_J_PER_KG_K
    return 100.0 * (dry + vapour_hpa / _VAPOUR_J_PER_KG_K) / temperature_k


def vapour_diffusivity_m2_per_s(temperature_c: float, pressure_hpa: float) -> float:
    """Diffusivity of water vapour in air, in m²/s (T. R. Marrero, E. A. Mason, J. Phys. Chem. Ref. Data 1 (1972) 3)."""
    power = float((temperature_c + _ZERO_C_IN_K) ** 2.072)
    return 1.87e-10 * power * _STANDARD_ATMOSPHERE_HPA / pressure_hpa


def stefan_flow_mg_per_mm_s(
    liquid_temperature_c: float, air_temperature_c: float, pressure_hpa: float, humidity_pct: float
) -> float:
    """Vapour that diffuses up a still column of air, times its height and per cross-section: mg·mm/(mm²·s).

    Stefan's law for one-way diffusion, D·p·M/(R·T)·ln((p − e_air)/(p − e_surface)); negative where vapour condenses.
    """
    surface_hpa = saturation_pressure_hpa(liquid_temperature_c)
    vapour_hpa = 0.01 * humidity_pct * saturation_pressure_hpa(air_temperature_c)
    temperature_k = air_temperature_c + _ZERO_C_IN_K
    molar_kg_per_m3 = 100.0 * pressure_hpa * _MOLAR_MASS_WATER_KG_PER_MOL / (_MOLAR_GAS_J_PER_MOL_K * temperature_k)
    diffusivity = vapour_diffusivity_m2_per_s(air_temperature_c, pressure_hpa)
    return 1e3 * diffusivity * molar_kg_per_m3 * log((pressure_hpa - vapour_hpa) / (pressure_hpa - surface_hpa))
