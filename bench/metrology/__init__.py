"""Metrology of flow by weighing: pure functions from arrays to numbers, without input or output.

Masses are in mg, volumes in µL, times in s, rates in µL/h, temperatures in °C, pressures in hPa, humidities in %; names
say so. Slopes and corrections are signed. Expanded uncertainties are for 95 %.
"""

from bench.metrology.air import CIPM_RELATIVE_STANDARD_UNCERTAINTY, air_density_kg_per_m3, saturation_vapour_pressure_pa
from bench.metrology.allan import AllanDeviation, allan_deviation
from bench.metrology.budget import Combined, Input, Row, combine, coverage_factor, welch_satterthwaite
from bench.metrology.evaporation import (
    balance_time_h,
    evaporation_open_mg_per_h_per_cm2,
    nist_micro_flow_uncertainty_ug_per_s,
)
from bench.metrology.fit import CalibrationFit, LackOfFit, OffsetTest, Prediction, RateModel, fit_calibration
from bench.metrology.gravimetry import (
    buoyancy_correction_mg,
    drop_standard_uncertainty_ul,
    immersion_factor,
    meniscus_mg,
    pulsation_truncation_ul,
    trapped_liquid_ul,
    volume_at_head_ul,
    z_factor_ul_per_mg,
)
from bench.metrology.normalized_error import e_n
from bench.metrology.numbers import format_decimals, format_value, round_to_uncertainty
from bench.metrology.propagation import Propagated, Quantity, propagate
from bench.metrology.verdict import GUARD_BAND_FACTOR, Verdict, combine_verdicts, guard_band, judge
from bench.metrology.water import water_density_kg_per_m3, water_expansion_per_k, water_surface_tension_mn_per_m
from bench.metrology.zero import (
    InterpolatedZeroSlope,
    ZeroSlope,
    interpolate_zero_slope,
    zero_slope,
    zero_slope_covariance_mg2_per_s2,
)
from bench.metrology.zero_noise import ZeroNoise, ZeroSegment, estimate_zero_noise

__all__ = [
    "CIPM_RELATIVE_STANDARD_UNCERTAINTY",
    "GUARD_BAND_FACTOR",
    "AllanDeviation",
    "CalibrationFit",
    "Combined",
    "Input",
    "InterpolatedZeroSlope",
    "LackOfFit",
    "OffsetTest",
    "Prediction",
    "Propagated",
    "Quantity",
    "RateModel",
    "Row",
    "Verdict",
    "ZeroNoise",
    "ZeroSegment",
    "ZeroSlope",
    "air_density_kg_per_m3",
    "allan_deviation",
    "balance_time_h",
    "buoyancy_correction_mg",
    "combine",
    "combine_verdicts",
    "coverage_factor",
    "drop_standard_uncertainty_ul",
    "e_n",
    "estimate_zero_noise",
    "evaporation_open_mg_per_h_per_cm2",
    "fit_calibration",
    "format_decimals",
    "format_value",
    "guard_band",
    "immersion_factor",
    "interpolate_zero_slope",
    "judge",
    "meniscus_mg",
    "nist_micro_flow_uncertainty_ug_per_s",
    "propagate",
    "pulsation_truncation_ul",
    "round_to_uncertainty",
    "saturation_vapour_pressure_pa",
    "trapped_liquid_ul",
    "volume_at_head_ul",
    "water_density_kg_per_m3",
    "water_expansion_per_k",
    "water_surface_tension_mn_per_m",
    "welch_satterthwaite",
    "z_factor_ul_per_mg",
    "zero_slope",
    "zero_slope_covariance_mg2_per_s2",
]
