"""Water in the mock: density after Kell 1975, surface tension after IAPWS, and the liquid that a seed really pours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_mock.physics.certificates import draw_error, rig_number
from firmware_mock.world import World

_KELL_NUMERATOR = (999.83952, 16.945176, -7.9870401e-3, -46.170461e-6, 105.56302e-9, -280.54253e-12)
_KELL_DENOMINATOR = 16.879850e-3
_KELL_MAXIMUM_KG_PER_M3 = 999.972
_SMOW_MAXIMUM_KG_PER_M3 = 999.975
_IPTS68_PER_ITS90 = 1.00024
_CRITICAL_TEMPERATURE_K = 647.096


def water_density_mg_per_ul(temperature_c: float) -> float:
    """Density of air-free water at 1 atm, in mg/µL, 0 to 100 °C.

    G. S. Kell, J. Chem. Eng. Data 20 (1975) 97, table I; his maximum of 999.972 kg/m³ set to that of standard mean
    ocean water, his IPTS-68 temperatures reached from ITS-90 by t68 = 1.00024 t90.
    """
    t = _IPTS68_PER_ITS90 * temperature_c
    c0, c1, c2, c3, c4, c5 = _KELL_NUMERATOR
    kell = (c0 + t * (c1 + t * (c2 + t * (c3 + t * (c4 + t * c5))))) / (1.0 + _KELL_DENOMINATOR * t)
    return kell * (_SMOW_MAXIMUM_KG_PER_M3 / _KELL_MAXIMUM_KG_PER_M3) * 1e-3


def surface_tension_n_per_m(temperature_c: float) -> float:
    """Surface tension of clean water against air, in N/m (IAPWS R1-76(2014))."""
    tau = 1.0 - (temperature_c + 273.15) / _CRITICAL_TEMPERATURE_K
    return 0.2358 * float(tau**1.256) * (1.0 - 0.625 * tau)


def liquid_relative_density(world: World, rig: Mapping[str, Any]) -> float:
    """True density of the rig's liquid over that of pure water: 1 plus the error this seed draws.

    Every caller in one world gets the same number; its error is in the ledger as `liquid.relative_density_error`.

    Raises:
        RigFactMissing: the rig file states no standard uncertainty of the liquid's relative density.
    """
    standard_uncertainty = rig_number(rig, "liquid", "relative_density_standard_uncertainty")
    return 1.0 + draw_error(world, "liquid.relative_density_error", standard_uncertainty)
