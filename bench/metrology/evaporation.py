"""What a bench can resolve: evaporation of an open vessel, the time a balance needs, the published state of the art."""

from __future__ import annotations

import math

from bench.metrology._checks import require_not_negative, require_positive, require_within
from bench.metrology.air import GAS_CONSTANT_J_PER_MOL_K, WATER_MOLAR_MASS_KG_PER_MOL, saturation_vapour_pressure_pa

NIST_MICRO_FLOW_FLOOR_UG_PER_S = 0.1
NIST_MICRO_FLOW_RELATIVE = 0.002


def evaporation_open_mg_per_h_per_cm2(
    temperature_c: float, humidity_pct: float, air_column_mm: float, *, pressure_hpa: float = 1013.25
) -> float:
    """Loss of an open vessel by diffusion through the still air above the water, mg/h per cm² of surface; positive.

    Stefan's law, D·p·M/(R·T·L) · ln((p − p_far)/(p − p_surface)), with D = 1.87e-10·T^2.072/p m²/s (p in atm) by
    Marrero and Mason (1972). Draughts make it more.

    Args:
        temperature_c: temperature of water and air, in °C.
        humidity_pct: relative humidity at the vessel's rim, in %.
        air_column_mm: height of still air from the surface to the rim, in mm.
        pressure_hpa: air pressure, in hPa.

    Raises:
        ValueError: a value outside 0 to 50 °C, 0 to 100 %, 600 to 1100 hPa, or a column that is not above zero.
    """
    require_within("humidity_pct", humidity_pct, 0.0, 100.0, "%")
    require_within("pressure_hpa", pressure_hpa, 600.0, 1100.0, "hPa")
    require_positive("air_column_mm", air_column_mm)
    surface_pa = saturation_vapour_pressure_pa(temperature_c)
    far_pa = humidity_pct / 100.0 * surface_pa
    pascal = pressure_hpa * 100.0
    kelvin = temperature_c + 273.15
    diffusivity_m2_per_s = 1.87e-10 * math.pow(kelvin, 2.072) * 101_325.0 / pascal
    kg_per_s_per_m2 = (
        diffusivity_m2_per_s
        * pascal
        * WATER_MOLAR_MASS_KG_PER_MOL
        / (GAS_CONSTANT_J_PER_MOL_K * kelvin * air_column_mm / 1000.0)
        * math.log((pascal - far_pa) / (pascal - surface_pa))
    )
    return kg_per_s_per_m2 * 1e6 * 3600.0 / 1e4


def balance_time_h(
    mass_flow_mg_per_h: float, reading_standard_deviation_mg: float, relative_expanded_uncertainty: float
) -> float:
    """Hours between two readings until their scatter alone gives a flow of the wanted uncertainty: 2√2·s/(U·ṁ).

    Args:
        mass_flow_mg_per_h: the flow ṁ, in mg/h.
        reading_standard_deviation_mg: standard deviation s of one reading, in mg.
        relative_expanded_uncertainty: wanted U (k = 2) as a fraction: 0.01 for 1 %.

    Raises:
        ValueError: a flow or an uncertainty that is not above zero, or a negative standard deviation.
    """
    require_positive("mass_flow_mg_per_h", mass_flow_mg_per_h)
    require_not_negative("reading_standard_deviation_mg", reading_standard_deviation_mg)
    require_positive("relative_expanded_uncertainty", relative_expanded_uncertainty)
    return 2.0 * math.sqrt(2.0) * reading_standard_deviation_mg / (relative_expanded_uncertainty * mass_flow_mg_per_h)


def nist_micro_flow_uncertainty_ug_per_s(mass_flow_ug_per_s: float) -> float:
    """Expanded uncertainty (k = 2), µg/s, of NIST's gravimetric micro-flow standard: 0.1 µg/s + 0.2 %. To compare with.

    Args:
        mass_flow_ug_per_s: the flow, in µg/s.

    Raises:
        ValueError: a flow below zero.
    """
    require_not_negative("mass_flow_ug_per_s", mass_flow_ug_per_s)
    return NIST_MICRO_FLOW_FLOOR_UG_PER_S + NIST_MICRO_FLOW_RELATIVE * mass_flow_ug_per_s
