"""Properties of pure water at atmospheric pressure: density, thermal expansion, surface tension."""

from __future__ import annotations

from typing import overload

from bench.metrology._checks import FloatArray, require_within

TANAKA_A1_C = -3.983035
TANAKA_A2_C = 301.797
TANAKA_A3_C2 = 522528.9
TANAKA_A4_C = 69.34881
TANAKA_A5_KG_PER_M3 = 999.974950

AIR_SATURATION_KG_PER_M3 = -4.612e-3
AIR_SATURATION_KG_PER_M3_PER_C = 1.06e-4


@overload
def water_density_kg_per_m3(temperature_c: float, *, air_saturated: bool = False) -> float: ...
@overload
def water_density_kg_per_m3(temperature_c: FloatArray, *, air_saturated: bool = False) -> FloatArray: ...
def water_density_kg_per_m3(temperature_c: float | FloatArray, *, air_saturated: bool = False) -> float | FloatArray:
    """Density of pure water at 101 325 Pa, by Tanaka et al., Metrologia 38 (2001) 301, for 0 to 40 °C.

    Args:
        temperature_c: temperature of the water, in °C.
        air_saturated: add the paper's correction for dissolved air, which it gives up to 25 °C; at 40 °C it has
            shrunk to −0.4 g/m³, so nothing is lost by using it throughout.

    Raises:
        ValueError: a temperature outside 0 to 40 °C.
    """
    require_within("temperature_c", temperature_c, 0.0, 40.0, "°C")
    density = TANAKA_A5_KG_PER_M3 * (1.0 - _tanaka_deficit(temperature_c))
    if air_saturated:
        density = density + AIR_SATURATION_KG_PER_M3 + AIR_SATURATION_KG_PER_M3_PER_C * temperature_c
    return density


@overload
def water_expansion_per_k(temperature_c: float) -> float: ...
@overload
def water_expansion_per_k(temperature_c: FloatArray) -> FloatArray: ...
def water_expansion_per_k(temperature_c: float | FloatArray) -> float | FloatArray:
    """Thermal expansion −(1/ρ)·dρ/dT of water, 1/K, the derivative of Tanaka's density; negative below 3.98 °C.

    Raises:
        ValueError: a temperature outside 0 to 40 °C.
    """
    require_within("temperature_c", temperature_c, 0.0, 40.0, "°C")
    from_maximum = temperature_c + TANAKA_A1_C
    far = temperature_c + TANAKA_A2_C
    near = temperature_c + TANAKA_A4_C
    slope = from_maximum * (2.0 * far + from_maximum - from_maximum * far / near) / (TANAKA_A3_C2 * near)
    return slope / (1.0 - _tanaka_deficit(temperature_c))


def water_surface_tension_mn_per_m(temperature_c: float) -> float:
    """Surface tension of clean water against air, mN/m, by IAPWS R1-76(2014); 72.74 at 20 °C.

    Raises:
        ValueError: a temperature outside 0 to 100 °C.
    """
    require_within("temperature_c", temperature_c, 0.0, 100.0, "°C")
    distance = 1.0 - (temperature_c + 273.15) / 647.096
    return float(235.8 * distance**1.256 * (1.0 - 0.625 * distance))


def _tanaka_deficit(temperature_c: float | FloatArray) -> float | FloatArray:
    from_maximum = temperature_c + TANAKA_A1_C
    return from_maximum * from_maximum * (temperature_c + TANAKA_A2_C) / (TANAKA_A3_C2 * (temperature_c + TANAKA_A4_C))
