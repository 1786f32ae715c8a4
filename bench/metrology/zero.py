"""The slope of the balance without delivery, evaporation and drift together, with an uncertainty one can believe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.metrology._checks import FloatArray
from bench.metrology.zero_noise import ZeroNoise, ZeroSegment, slope_response


@dataclass(frozen=True, slots=True)
class ZeroSlope:
    """Signed slope b₀ of one zero segment, mg/s, negative when the pan loses mass.

    `time_s` is the moment for which it stands when the slope changes linearly. `dof` tells how well the noise behind
    the standard uncertainty is known; infinite for noise given as known.
    """

    time_s: float
    slope_mg_per_s: float
    standard_uncertainty_mg_per_s: float
    dof: float
    duration_s: float
    n_readings: int


@dataclass(frozen=True, slots=True)
class InterpolatedZeroSlope:
    """Zero slope at a moment between two zero segments, mg/s, with the weights that tie it to them."""

    time_s: float
    slope_mg_per_s: float
    standard_uncertainty_mg_per_s: float
    dof: float
    before: ZeroSlope
    after: ZeroSlope
    weight_before: float
    weight_after: float


def zero_slope(segment: ZeroSegment, noise: ZeroNoise) -> ZeroSlope:
    """Slope of one zero segment by generalised least squares under white noise and a random walk.

    The residuals of an ordinary line do not show the walk that the line has followed: a standard error taken from
    them is some 60 times too small on an hour of readings. Degrees of freedom are Satterthwaite's, 2u⁴/Var(u²).

    Args:
        segment: the readings.
        noise: as `estimate_zero_noise` gives it for the whole session.
    """
    white2 = noise.white_mg**2
    walk2 = noise.walk_mg_per_sqrt_s**2
    dt_s = np.diff(segment.time_s)
    response, curves = slope_response(dt_s, white2, walk2)
    information = float(dt_s @ response)
    weights = response / information
    variance = 1.0 / information
    gradient = curves @ response * variance * variance
    covariance = np.array(
        [
            [noise.variance_of_white2, noise.covariance_of_white2_walk2],
            [noise.covariance_of_white2_walk2, noise.variance_of_walk2],
        ]
    )
    doubt = float(gradient @ covariance @ gradient)
    middles_s = 0.5 * (segment.time_s[1:] + segment.time_s[:-1]) - segment.time_s[0]
    return ZeroSlope(
        time_s=float(segment.time_s[0] + weights @ (dt_s * middles_s)),
        slope_mg_per_s=float(weights @ np.diff(segment.mass_mg)),
        standard_uncertainty_mg_per_s=math.sqrt(variance),
        dof=max(1.0, 2.0 * variance * variance / doubt) if doubt > 0.0 else math.inf,
        duration_s=float(segment.time_s[-1] - segment.time_s[0]),
        n_readings=len(segment.time_s),
    )


def interpolate_zero_slope(before: ZeroSlope, after: ZeroSlope, time_s: float) -> InterpolatedZeroSlope:
    """Slope between two zero segments, linear in time. At the middle of a run it is the run's mean slope.

    Its degrees of freedom are the smaller of the two: both rest on one estimate of the noise, so they do not add up.

    Args:
        before: slope of the zero segment before the run.
        after: slope of the one after it.
        time_s: the moment wanted, usually the run's middle, on the clock of the segments, in s.

    Raises:
        ValueError: a moment that does not lie between the two; a slope is never extrapolated.
    """
    if not before.time_s < after.time_s:
        raise ValueError(
            f"the zero segment before the run (at {before.time_s:g} s) must lie earlier than the one after it "
            f"(at {after.time_s:g} s)"
        )
    if not before.time_s <= time_s <= after.time_s:
        raise ValueError(
            f"a zero slope is wanted at {time_s:g} s, outside its zero segments at {before.time_s:g} and "
            f"{after.time_s:g} s; a slope is not extrapolated, measure a zero segment on either side"
        )
    weight_after = (time_s - before.time_s) / (after.time_s - before.time_s)
    weight_before = 1.0 - weight_after
    return InterpolatedZeroSlope(
        time_s=time_s,
        slope_mg_per_s=weight_before * before.slope_mg_per_s + weight_after * after.slope_mg_per_s,
        standard_uncertainty_mg_per_s=math.hypot(
            weight_before * before.standard_uncertainty_mg_per_s, weight_after * after.standard_uncertainty_mg_per_s
        ),
        dof=min(before.dof, after.dof),
        before=before,
        after=after,
        weight_before=weight_before,
        weight_after=weight_after,
    )


def zero_slope_covariance_mg2_per_s2(slopes: Sequence[InterpolatedZeroSlope]) -> FloatArray:
    """Covariance matrix of interpolated slopes, mg²/s²: runs that share a zero segment share its error."""
    segments = list(dict.fromkeys(segment for slope in slopes for segment in (slope.before, slope.after)))
    column = {segment: index for index, segment in enumerate(segments)}
    weights = np.zeros((len(slopes), len(segments)))
    for row, slope in enumerate(slopes):
        weights[row, column[slope.before]] += slope.weight_before * slope.before.standard_uncertainty_mg_per_s
        weights[row, column[slope.after]] += slope.weight_after * slope.after.standard_uncertainty_mg_per_s
    covariance: FloatArray = weights @ weights.T
    return covariance
