"""From readings to the error of each run: pure functions of the recorded data and the station's facts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.result import RunResult
from bench.metrology import (
    ZeroNoise,
    ZeroSegment,
    ZeroSlope,
    air_density_kg_per_m3,
    buoyancy_correction_mg,
    estimate_zero_noise,
    immersion_factor,
    interpolate_zero_slope,
    trapped_liquid_ul,
    volume_at_head_ul,
    water_density_kg_per_m3,
    zero_slope,
)
from bench.recording import Segment
from bench.rigfile import RigFile

FloatArray = NDArray[np.float64]
EXPANSION_STEP_K = 0.5
MG_PER_MM3 = 1.0


@dataclass(frozen=True, slots=True)
class Corrections:
    """Which corrections are made. All of them, but for the checker that shows what each is worth."""

    zero_slope: bool = True
    immersion: bool = True
    buoyancy: bool = True
    head_temperature: bool = True
    common_covariance: bool = True


ALL_CORRECTIONS = Corrections()


@dataclass(frozen=True, slots=True)
class AirSeries:
    """Air at the balance, read at times in s and taken as linear between them."""

    time_s: FloatArray
    temperature_c: FloatArray
    humidity_pct: FloatArray
    pressure_hpa: FloatArray

    @classmethod
    def of(cls, data: Data) -> AirSeries:
        columns = np.array([(air.time_s, air.temperature_c, air.humidity_pct, air.pressure_hpa) for air in data.air])
        return cls(*columns.T)

    def temperature_at_c(self, time_s: float) -> float:
        return float(np.interp(time_s, self.time_s, self.temperature_c))

    def density_at_kg_per_m3(self, time_s: FloatArray) -> FloatArray:
        at_readings: FloatArray = air_density_kg_per_m3(self.temperature_c, self.pressure_hpa, self.humidity_pct)
        return np.interp(time_s, self.time_s, at_readings)


@dataclass(frozen=True, slots=True)
class Reduced:
    """All runs of a session, and the noise of the balance that its zero segments show."""

    runs: tuple[RunResult, ...]
    noise: ZeroNoise


def reduce_session(data: Data, file: RigFile, corrections: Corrections = ALL_CORRECTIONS) -> Reduced:
    """Correct all readings for buoyancy, take the zero slopes, and compute each run's delivered volume.

    Raises:
        ValueError: a run without a zero segment before and after it, or without telemetry of the head temperature.
    """
    air = AirSeries.of(data)
    time_s = np.array([reading.time_s for reading in data.readings])
    mass_mg = np.array([reading.mass_mg for reading in data.readings])
    cut = {segment: within(time_s, segment) for segment in data.segments}
    if corrections.buoyancy:
        first_zero = next(segment for segment in data.segments if segment.kind == "zero")
        mass_mg = corrected_for_buoyancy(time_s, mass_mg, float(mass_mg[cut[first_zero]].mean()), air, file)
    slopes, noise = zero_slopes(time_s, mass_mg, data.segments, file.balance.readability_mg)
    ends = {
        (segment.stage, segment.rate_ul_per_h, segment.repeat): segment
        for segment in data.segments
        if segment.kind == "last end"
    }
    runs = []
    for first in (segment for segment in data.segments if segment.kind == "first end"):
        last = ends.get((first.stage, first.rate_ul_per_h, first.repeat))
        if last is not None:
            ends_s = (float(time_s[cut[first]].mean()), float(time_s[cut[last]].mean()))
            ends_mg = (float(mass_mg[cut[first]].mean()), float(mass_mg[cut[last]].mean()))
            half_width_s = float(np.mean([reading.half_width_s for reading in data.readings[cut[first]]]))
            runs.append(_run(first, ends_s, half_width_s, ends_mg, slopes, air, data, file, corrections))
    return Reduced(tuple(runs), noise)


def corrected_for_buoyancy(
    time_s: FloatArray, mass_mg: FloatArray, first_mg: float, air: AirSeries, file: RigFile
) -> FloatArray:
    """Readings in mg as in air of their mean density; at `first_mg` the vessel held its first contents."""
    volume_ml = file.vessel.glass_volume_ml + file.vessel.contents_ml + (mass_mg - first_mg) / 1000.0
    density = air.density_at_kg_per_m3(time_s)
    return mass_mg + buoyancy_correction_mg(density, float(density.mean()), volume_ml)


def zero_slopes(
    time_s: FloatArray, mass_mg: FloatArray, segments: Sequence[Segment], readability_mg: float
) -> tuple[tuple[ZeroSlope, ...], ZeroNoise]:
    """The slope of every zero segment, under the noise that all of them together show, and that noise.

    Raises:
        ValueError: too few zero segments or readings to tell the noise from.
    """
    cuts = [within(time_s, segment) for segment in segments if segment.kind == "zero"]
    series = [ZeroSegment(time_s[cut], mass_mg[cut]) for cut in cuts]
    noise = estimate_zero_noise(series, readability_mg=readability_mg)
    return tuple(zero_slope(one, noise) for one in series), noise


def pinned_share(file: RigFile) -> float:
    """How much too steep a pinned meniscus makes the zero slope, relative to it.

    While nothing is delivered the level sinks by less than a pitch: the contact line stays pinned on the needle, and
    pulls like a spring of one jump per pitch. In a flow window it slips many times and its mean pull stays the same.
    """
    per_level_mg_per_mm = file.outlet.meniscus_jump_mg / (file.outlet.meniscus_pitch_um / 1000.0)
    area_mm2 = math.pi / 4.0 * (file.vessel.inner_diameter_mm**2 - file.outlet.needle_diameter_mm**2)
    return per_level_mg_per_mm / (area_mm2 * MG_PER_MM3)


def within(time_s: FloatArray, segment: Segment) -> slice:
    """Which of the rising times lie in a segment."""
    start, end = np.searchsorted(time_s, [segment.start_s, segment.end_s])
    return slice(int(start), int(end))


def liquid_density_kg_per_m3(file: RigFile, temperature_c: float) -> float:
    """Density of the rig's liquid."""
    return water_density_kg_per_m3(temperature_c, air_saturated=file.liquid.name == "water, air-saturated")


def liquid_expansion_per_k(file: RigFile, temperature_c: float) -> float:
    """Volume expansion of the rig's liquid, from its density."""
    warm = liquid_density_kg_per_m3(file, temperature_c + EXPANSION_STEP_K)
    cold = liquid_density_kg_per_m3(file, temperature_c - EXPANSION_STEP_K)
    return (cold - warm) / (2.0 * EXPANSION_STEP_K) / liquid_density_kg_per_m3(file, temperature_c)


def _run(
    first: Segment,
    ends_s: tuple[float, float],
    half_width_s: float,
    ends_mg: tuple[float, float],
    slopes: Sequence[ZeroSlope],
    air: AirSeries,
    data: Data,
    file: RigFile,
    corrections: Corrections,
) -> RunResult:
    duration_s = ends_s[1] - ends_s[0]
    middle_s = (ends_s[0] + ends_s[1]) / 2.0
    before = [slope for slope in slopes if slope.time_s < ends_s[0]]
    after = [slope for slope in slopes if slope.time_s > ends_s[1]]
    if not before or not after:
        raise ValueError(
            f"the run at {first.rate_ul_per_h:g} µL/h from {ends_s[0]:.0f} s lacks a zero segment beside it"
        )
    zero = interpolate_zero_slope(before[-1], after[0], middle_s)
    freed = 1.0 + (pinned_share(file) if file.outlet.kind == "immersed" else 0.0)
    air_temperature_c = air.temperature_at_c(middle_s)
    head_temperature_c = _head_temperature_c(data, first, ends_s)
    immersed = file.outlet.kind == "immersed" and corrections.immersion
    apparent_ul = volume_at_head_ul(
        ends_mg[1] - ends_mg[0],
        duration_s,
        zero_slope_mg_per_s=zero.slope_mg_per_s / freed if corrections.zero_slope else 0.0,
        liquid_temperature_c=air_temperature_c,
        head_temperature_c=head_temperature_c if corrections.head_temperature else air_temperature_c,
        pressure_hpa=float(air.pressure_hpa.mean()),
        humidity_pct=float(air.humidity_pct.mean()),
        immersion=immersion_factor(file.outlet.needle_diameter_mm, file.vessel.inner_diameter_mm) if immersed else 1.0,
    )
    warming_k = air.temperature_at_c(ends_s[1]) - air.temperature_at_c(ends_s[0])
    expelled_ul = trapped_liquid_ul(
        file.tubing.trapped_volume_ul / 1000.0,
        warming_k,
        liquid_expansion_per_k=liquid_expansion_per_k(file, air_temperature_c),
        wall_expansion_per_k=file.tubing.wall_expansion_per_k,
    )
    delivered_ul = apparent_ul - expelled_ul
    commanded_ul = first.rate_ul_per_h * duration_s / 3600.0
    return RunResult(
        stage=first.stage,
        rate_ul_per_h=first.rate_ul_per_h,
        repeat=first.repeat,
        start_s=ends_s[0],
        end_s=ends_s[1],
        time_half_width_s=half_width_s,
        mass_change_mg=ends_mg[1] - ends_mg[0],
        zero_slope_mg_per_h=zero.slope_mg_per_s / freed * 3600.0,
        zero_slope_standard_uncertainty_mg_per_h=zero.standard_uncertainty_mg_per_s * 3600.0,
        air_temperature_c=air_temperature_c,
        air_temperature_change_k=warming_k,
        head_temperature_c=head_temperature_c,
        commanded_ul=commanded_ul,
        delivered_ul=delivered_ul,
        error_pct=100.0 * (delivered_ul / commanded_ul - 1.0),
    )


def _head_temperature_c(data: Data, first: Segment, ends_s: tuple[float, float]) -> float:
    seen = [sample.head_temperature_c for sample in data.pump if ends_s[0] <= sample.time_s <= ends_s[1]]
    if not seen:
        raise ValueError(
            f"no telemetry of the head temperature in the run at {first.rate_ul_per_h:g} µL/h from {ends_s[0]:.0f} s"
        )
    return float(np.mean(seen))
