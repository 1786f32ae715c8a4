"""Inputs that all runs share: what one standard uncertainty of each does to the error at a rate, in percent, signed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.flow_calibration.reduction import liquid_density_kg_per_m3, liquid_expansion_per_k, pinned_share
from bench.flow_calibration.result import RunResult
from bench.metrology import z_factor_ul_per_mg
from bench.rigfile import RigFile


@dataclass(frozen=True, slots=True)
class CommonInput:
    """An input with its effect, in percent of the delivered volume per standard uncertainty."""

    name: str
    effect_pct: float


def common_inputs(file: RigFile, runs: Sequence[RunResult]) -> tuple[CommonInput, ...]:
    """The inputs that the runs at one rate share with each other and with all other rates, in a fixed order."""
    count = len(runs)
    air_c = math.fsum(run.air_temperature_c for run in runs) / count
    head_c = math.fsum(run.head_temperature_c for run in runs) / count
    volume_ul = math.fsum(run.delivered_ul for run in runs) / count
    air = file.environment.certificate
    balance = file.balance.certificate
    immersed = [
        CommonInput("immersion, needle diameter", -100.0 * _immersion_effect(file, needle=True)),
        CommonInput("immersion, vessel diameter", 100.0 * _immersion_effect(file, needle=False)),
        CommonInput("zero slope, pinned meniscus", 100.0 * _pinned_effect(file, runs)),
    ]
    return (
        CommonInput("balance sensitivity", 1e-4 * balance.sensitivity_standard_uncertainty_ppm),
        CommonInput(
            "balance linearity",
            100.0 * 2.0 * math.pi * balance.linearity_standard_uncertainty_mg / (file.balance.capacity_g * 1000.0),
        ),
        CommonInput("liquid density", -100.0 * file.liquid.relative_density_standard_uncertainty),
        CommonInput(
            "head temperature",
            100.0 * liquid_expansion_per_k(file, head_c) * file.pump.head_thermometer.standard_uncertainty_k,
        ),
        CommonInput(
            "air and liquid temperature",
            100.0 * _weighing_effect(file, air_c, temperature_k=air.temperature_standard_uncertainty_k),
        ),
        CommonInput(
            "air pressure", 100.0 * _weighing_effect(file, air_c, pressure_hpa=air.pressure_standard_uncertainty_hpa)
        ),
        CommonInput(
            "air humidity", 100.0 * _weighing_effect(file, air_c, humidity_pct=air.humidity_standard_uncertainty_pct)
        ),
        *(immersed if file.outlet.kind == "immersed" else []),
        CommonInput("trapped liquid", -100.0 * _trapped_effect_ul(file, runs) / volume_ul),
    )


def _weighing_effect(
    file: RigFile, air_c: float, *, temperature_k: float = 0.0, pressure_hpa: float = 0.0, humidity_pct: float = 0.0
) -> float:
    def volume_per_mg(temperature: float, pressure: float, humidity: float) -> float:
        z = z_factor_ul_per_mg(temperature, pressure_hpa=pressure, humidity_pct=humidity)
        return z * liquid_density_kg_per_m3(file, temperature)

    nominal = volume_per_mg(air_c, 1013.25, 50.0)
    return volume_per_mg(air_c + temperature_k, 1013.25 + pressure_hpa, 50.0 + humidity_pct) / nominal - 1.0


def _immersion_effect(file: RigFile, *, needle: bool) -> float:
    ratio = file.outlet.needle_diameter_mm / file.vessel.inner_diameter_mm
    relative = (
        file.outlet.needle_standard_uncertainty_mm / file.outlet.needle_diameter_mm
        if needle
        else file.vessel.diameter_standard_uncertainty_mm / file.vessel.inner_diameter_mm
    )
    return 2.0 * ratio**2 / (1.0 - ratio**2) * relative


def _pinned_effect(file: RigFile, runs: Sequence[RunResult]) -> float:
    """Half of the correction for the pinned meniscus: jumps and pitches seen are rough figures."""
    lost_mg = math.fsum(run.zero_slope_mg_per_h * (run.end_s - run.start_s) / 3600.0 for run in runs)
    return pinned_share(file) / 2.0 * lost_mg / math.fsum(run.mass_change_mg for run in runs)


def _trapped_effect_ul(file: RigFile, runs: Sequence[RunResult]) -> float:
    warming_k = math.fsum(run.air_temperature_change_k for run in runs) / len(runs)
    expansion = liquid_expansion_per_k(file, runs[0].air_temperature_c) - file.tubing.wall_expansion_per_k
    return file.tubing.trapped_standard_uncertainty_ul * expansion * warming_k
