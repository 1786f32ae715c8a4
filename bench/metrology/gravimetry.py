"""From balance readings to delivered volume: Z factor, needle immersion, buoyancy, and what disturbs them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import overload

from bench.metrology._checks import FloatArray, require_finite, require_not_negative, require_positive
from bench.metrology.air import air_density_kg_per_m3
from bench.metrology.water import water_density_kg_per_m3

STANDARD_GRAVITY_M_PER_S2 = 9.80665
CONVENTIONAL_WEIGHTS_DENSITY_KG_PER_M3 = 8000.0


def z_factor_ul_per_mg(
    liquid_temperature_c: float,
    *,
    pressure_hpa: float = 1013.25,
    humidity_pct: float = 50.0,
    air_temperature_c: float | None = None,
    weights_density_kg_per_m3: float = CONVENTIONAL_WEIGHTS_DENSITY_KG_PER_M3,
) -> float:
    """Volume of water per balance reading, µL/mg: (1 − ρ_air/ρ_weights) / (ρ_water − ρ_air), as in ISO/TR 20461.

    Args:
        liquid_temperature_c: temperature of the water on the pan, in °C.
        pressure_hpa: air pressure at the balance, in hPa.
        humidity_pct: relative humidity at the balance, in %.
        air_temperature_c: temperature of the air, in °C; that of the liquid when None.
        weights_density_kg_per_m3: density of the weights the balance was adjusted with, in kg/m³.

    Raises:
        ValueError: a value outside the ranges of the density formulas, or weights no denser than air.
    """
    air = air_density_kg_per_m3(
        liquid_temperature_c if air_temperature_c is None else air_temperature_c, pressure_hpa, humidity_pct
    )
    if not air < weights_density_kg_per_m3 < math.inf:
        raise ValueError(f"weights_density_kg_per_m3 must be a density of metal, got {weights_density_kg_per_m3}")
    liquid = water_density_kg_per_m3(liquid_temperature_c)
    return 1000.0 * (1.0 - air / weights_density_kg_per_m3) / (liquid - air)


def immersion_factor(needle_diameter_mm: float, vessel_diameter_mm: float) -> float:
    """Share of the apparent mass that was delivered, 1 − (d/D)², for a straight needle dipping into a straight vessel.

    The level rises around a needle that stands still, and the needle's growing displacement adds false mass.

    Args:
        needle_diameter_mm: outer diameter d of the immersed needle, in mm; 0 for none.
        vessel_diameter_mm: inner diameter D of the vessel, in mm.

    Raises:
        ValueError: a diameter that is no length, or a needle that does not fit into the vessel.
    """
    require_not_negative("needle_diameter_mm", needle_diameter_mm)
    require_positive("vessel_diameter_mm", vessel_diameter_mm)
    if needle_diameter_mm >= vessel_diameter_mm:
        raise ValueError(
            f"a needle of {needle_diameter_mm:g} mm does not fit into a vessel of {vessel_diameter_mm:g} mm: "
            "give outer diameter of the needle and inner diameter of the vessel, both in mm"
        )
    return 1.0 - (needle_diameter_mm / vessel_diameter_mm) ** 2


@overload
def buoyancy_correction_mg(
    air_density_kg_per_m3: float, reference_air_density_kg_per_m3: float, volume_ml: float
) -> float: ...
@overload
def buoyancy_correction_mg(
    air_density_kg_per_m3: FloatArray, reference_air_density_kg_per_m3: float, volume_ml: float | FloatArray
) -> FloatArray: ...
def buoyancy_correction_mg(
    air_density_kg_per_m3: float | FloatArray,
    reference_air_density_kg_per_m3: float,
    volume_ml: float | FloatArray,
) -> float | FloatArray:
    """What to add to a reading, mg, so that it reads as in air of the reference density; signed.

    (ρ_air − ρ_ref)·V, with 1 kg/m³ · 1 mL = 1 mg. Denser air lifts the load, so it is added back. After this, take the
    Z factor at the reference density.

    Args:
        air_density_kg_per_m3: density of the air at the reading, in kg/m³.
        reference_air_density_kg_per_m3: density that all readings are brought to, in kg/m³.
        volume_ml: volume of all that is on the pan at the reading, vessel wall and liquid, in mL.
    """
    return (air_density_kg_per_m3 - reference_air_density_kg_per_m3) * volume_ml


def volume_at_head_ul(
    mass_change_mg: float,
    duration_s: float,
    *,
    zero_slope_mg_per_s: float,
    liquid_temperature_c: float,
    head_temperature_c: float,
    pressure_hpa: float,
    humidity_pct: float,
    air_temperature_c: float | None = None,
    immersion: float = 1.0,
    weights_density_kg_per_m3: float = CONVENTIONAL_WEIGHTS_DENSITY_KG_PER_M3,
) -> float:
    """Volume that the pump head displaced, µL, at the head's temperature.

    V = Z(T_liquid) · ρ(T_liquid)/ρ(T_head) · (1 − (d/D)²) · (Δm − b₀·t). Buoyancy belongs to the balance's side, the
    volume to the head's; b₀ is seen through the same needle and carries the same factor.

    Args:
        mass_change_mg: difference Δm of the readings, brought to one air density, in mg.
        duration_s: time t between them, in s.
        zero_slope_mg_per_s: signed slope b₀ without delivery, negative when liquid evaporates, in mg/s.
        liquid_temperature_c: temperature of the water on the pan, in °C.
        head_temperature_c: temperature of the water in the pump head, in °C.
        pressure_hpa: air pressure at the balance, in hPa.
        humidity_pct: relative humidity at the balance, in %.
        air_temperature_c: temperature of the air at the balance, in °C; that of the liquid when None.
        immersion: `immersion_factor(…)` of an immersed outlet, 1 otherwise.
        weights_density_kg_per_m3: density of the weights the balance was adjusted with, in kg/m³.

    Raises:
        ValueError: a value outside the ranges of the density formulas, a duration of zero or less, or an immersion
            factor outside (0, 1].
    """
    require_positive("duration_s", duration_s)
    if not 0.0 < immersion <= 1.0:
        raise ValueError(f"immersion must lie above 0 and at most at 1, got {immersion}")
    z = z_factor_ul_per_mg(
        liquid_temperature_c,
        pressure_hpa=pressure_hpa,
        humidity_pct=humidity_pct,
        air_temperature_c=air_temperature_c,
        weights_density_kg_per_m3=weights_density_kg_per_m3,
    )
    expansion = water_density_kg_per_m3(liquid_temperature_c) / water_density_kg_per_m3(head_temperature_c)
    return z * expansion * immersion * (mass_change_mg - zero_slope_mg_per_s * duration_s)


def meniscus_mg(needle_diameter_mm: float, *, surface_tension_mn_per_m: float = 72.74) -> float:
    """Pull of the meniscus on a wetted needle as the balance sees it, mg: πdγ/g, at full wetting.

    Args:
        needle_diameter_mm: outer diameter d at the surface, in mm.
        surface_tension_mn_per_m: surface tension γ in mN/m; clean water at 20 °C by default, and
            `water_surface_tension_mn_per_m` gives other temperatures.

    Raises:
        ValueError: a diameter below zero, or a surface tension that is not above zero.
    """
    require_not_negative("needle_diameter_mm", needle_diameter_mm)
    require_positive("surface_tension_mn_per_m", surface_tension_mn_per_m)
    return math.pi * needle_diameter_mm * surface_tension_mn_per_m / STANDARD_GRAVITY_M_PER_S2


def trapped_liquid_ul(
    trapped_volume_ml: float,
    temperature_change_k: float,
    *,
    liquid_expansion_per_k: float,
    wall_expansion_per_k: float = 0.0,
) -> float:
    """Liquid that leaves the line because it warmed up, µL, signed: V·(β_liquid − β_wall)·ΔT.

    Args:
        trapped_volume_ml: volume between pump head and outlet, in mL.
        temperature_change_k: end minus start, in K.
        liquid_expansion_per_k: volume expansion of the liquid, in 1/K (`water_expansion_per_k`).
        wall_expansion_per_k: volume expansion of the bore, in 1/K.

    Raises:
        ValueError: a volume below zero, or a number that is not finite.
    """
    require_not_negative("trapped_volume_ml", trapped_volume_ml)
    require_finite("temperature_change_k", temperature_change_k)
    require_finite("liquid_expansion_per_k", liquid_expansion_per_k)
    require_finite("wall_expansion_per_k", wall_expansion_per_k)
    return 1000.0 * trapped_volume_ml * (liquid_expansion_per_k - wall_expansion_per_k) * temperature_change_k


def pulsation_truncation_ul(revolution_volume_ul: float, amplitudes: Sequence[float], rollers: int) -> float:
    """Half-width, µL, of the rectangular error of a run that does not span whole revolutions: V_rev·Σ|a_k|/(πkN).

    Args:
        revolution_volume_ul: volume of one rotor revolution, in µL.
        amplitudes: relative amplitudes a_1, a_2, … of the flow's harmonics of the roller frequency.
        rollers: number N of rollers.

    Raises:
        ValueError: a volume that is not above zero, or no roller.
    """
    require_positive("revolution_volume_ul", revolution_volume_ul)
    if rollers < 1:
        raise ValueError(f"rollers must be at least 1, got {rollers}")
    harmonics = math.fsum(abs(amplitude) / order for order, amplitude in enumerate(amplitudes, start=1))
    return revolution_volume_ul * harmonics / (math.pi * rollers)


def drop_standard_uncertainty_ul(drop_volume_ul: float) -> float:
    """Standard uncertainty, µL, of a volume delivered through a dripping outlet: V_drop/√6.

    At each end an unknown share of a drop hangs; the difference of two rectangular shares is triangular.

    Raises:
        ValueError: a volume below zero.
    """
    require_not_negative("drop_volume_ul", drop_volume_ul)
    return drop_volume_ul / math.sqrt(6.0)
