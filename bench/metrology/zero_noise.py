"""Noise of the balance without delivery: white noise and a random walk, estimated from all zero segments at once.

A reading is modelled as y(t) = a + b·t + W(t) + e, one line (a, b) per segment, W a random walk of variance walk²·t,
e white. The differences of neighbouring readings are free of a, and their covariance, white²·K + walk²·diag(Δt) with
K = tridiag(−1, 2, −1), is tridiagonal; so likelihood and slopes cost a time proportional to the number of readings.
Only the doubt about the estimates takes eigenvalues: 0.15 s for a segment of 3600 readings, nothing for short ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench.metrology._checks import FloatArray, require_not_negative

LEAST_FREE_DIFFERENCES = 3


@dataclass(frozen=True, slots=True, eq=False)
class ZeroSegment:
    """Balance readings with the outlet closed: times in s, strictly rising, and masses in mg.

    Raises:
        ValueError: fewer than 3 readings, unequal lengths, times that do not rise, a number that is not finite.
    """

    time_s: FloatArray
    mass_mg: FloatArray

    def __post_init__(self) -> None:
        time_s = np.asarray(self.time_s, dtype=np.float64)
        mass_mg = np.asarray(self.mass_mg, dtype=np.float64)
        if time_s.ndim != 1 or time_s.shape != mass_mg.shape or len(time_s) < 3:
            raise ValueError(
                f"a zero segment needs at least 3 readings, each with its time, "
                f"got {time_s.size} times and {mass_mg.size} masses"
            )
        if not (np.isfinite(time_s).all() and np.isfinite(mass_mg).all()):
            raise ValueError("a zero segment needs finite times and masses; leave out readings that failed")
        if (np.diff(time_s) <= 0.0).any():
            raise ValueError("the times of a zero segment must rise from reading to reading")
        object.__setattr__(self, "time_s", time_s)
        object.__setattr__(self, "mass_mg", mass_mg)


@dataclass(frozen=True, slots=True)
class ZeroNoise:
    """White noise of a reading, mg, and the random walk of the zero, mg/√s; at least one of them above zero.

    The last three are the covariance matrix of the estimates of white² and walk²; zeros mean that the noise is known.
    """

    white_mg: float
    walk_mg_per_sqrt_s: float
    variance_of_white2: float = 0.0
    covariance_of_white2_walk2: float = 0.0
    variance_of_walk2: float = 0.0

    def __post_init__(self) -> None:
        require_not_negative("white_mg", self.white_mg)
        require_not_negative("walk_mg_per_sqrt_s", self.walk_mg_per_sqrt_s)
        if self.white_mg == 0.0 and self.walk_mg_per_sqrt_s == 0.0:
            raise ValueError("a balance without any noise is not believable: give white_mg or walk_mg_per_sqrt_s")


def estimate_zero_noise(segments: Sequence[ZeroSegment], *, readability_mg: float = 0.0) -> ZeroNoise:
    """White noise and random walk by restricted maximum likelihood, over all zero segments of a session together.

    Restricted likelihood allows for the line fitted in each segment, so short segments give no bias; either noise may
    come out as zero. The covariance of the estimates is the inverse of the expected information.

    Args:
        segments: the zero segments of a session; times may be unequally spaced.
        readability_mg: the balance's step in mg; white noise is at least that of rounding, readability/√12.

    Raises:
        ValueError: fewer than 3 readings beyond two per segment, segments too short to tell the two noises apart, or
            readings that all lie on straight lines while no readability is given.
    """
    require_not_negative("readability_mg", readability_mg)
    n_readings = sum(len(segment.time_s) for segment in segments)
    if n_readings < 2 * len(segments) + LEAST_FREE_DIFFERENCES:
        raise ValueError(
            f"{len(segments)} zero segments with {n_readings} readings are too few to tell the noise from; "
            f"at least {LEAST_FREE_DIFFERENCES} readings beyond two per segment are needed"
        )
    steps = _Steps(segments)
    rounding2 = readability_mg * readability_mg / 12.0
    if steps.lie_on_lines():
        if rounding2 == 0.0:
            raise ValueError(
                "the readings of all zero segments lie on straight lines exactly, so no noise can be estimated; "
                "give the balance's readability_mg"
            )
        white2, walk2 = rounding2, 0.0
    else:
        white2, walk2 = steps.most_likely()
        white2 = max(white2, rounding2)
    information = steps.information(white2, walk2)
    correlation2 = information[0, 1] ** 2 / (information[0, 0] * information[1, 1])
    if correlation2 > 1.0 - 1e-9:
        raise ValueError(
            "the zero segments are too short to tell a random walk from white noise: take more readings each"
        )
    covariance = np.linalg.inv(information)
    return ZeroNoise(
        math.sqrt(white2),
        math.sqrt(walk2),
        float(covariance[0, 0]),
        float(covariance[0, 1]),
        float(covariance[1, 1]),
    )


def solve_steps(
    diagonal: FloatArray, off_diagonal: FloatArray, right_hand_sides: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Solution, columns as given, of a positive definite tridiagonal system, and the pivots of its factor."""
    from scipy.linalg.lapack import dpttrf, dpttrs

    pivots, multipliers, trouble = dpttrf(diagonal, off_diagonal)
    if trouble:
        raise ArithmeticError(f"the covariance of reading differences is not positive definite (pivot {trouble})")
    solution, _ = dpttrs(pivots, multipliers, right_hand_sides)
    return np.asarray(solution), np.asarray(pivots)


class _Steps:
    """Differences of neighbouring readings of all segments in a row, less each segment's mean slope."""

    def __init__(self, segments: Sequence[ZeroSegment]) -> None:
        counts = [len(segment.time_s) - 1 for segment in segments]
        self.n_free = sum(counts) - len(counts)
        self.starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        self.dt_s = np.concatenate([np.diff(segment.time_s) for segment in segments])
        dm_mg = np.concatenate([np.diff(segment.mass_mg) for segment in segments])
        mean_slope = self._per_segment(dm_mg) / self._per_segment(self.dt_s)
        self.residual_mg = dm_mg - np.repeat(mean_slope, counts) * self.dt_s
        self.resolution_mg = 1e-12 * float(max(np.abs(segment.mass_mg).max() for segment in segments))
        self.coupling = np.ones(len(self.dt_s) - 1)
        self.coupling[self.starts[1:] - 1] = 0.0
        self.typical_dt_s = float(np.median(self.dt_s))
        self.longest = max(counts)

    def lie_on_lines(self) -> bool:
        return bool(np.abs(self.residual_mg).max() <= self.resolution_mg)

    def most_likely(self) -> tuple[float, float]:
        """White² in mg² and walk² in mg²/s; the ratio on a grid wide enough for any record, then refined."""
        ratios = np.exp(np.arange(math.log(1e-3 / self.longest**2), math.log(1e5), 1.0))
        shares = np.concatenate(([0.0], ratios / (1.0 + ratios), [1.0]))
        criteria = [self._criterion(float(share))[0] for share in shares]
        best = int(np.argmin(criteria))
        share = float(shares[best])
        if 1 <= best <= len(ratios):
            centre = math.log(ratios[best - 1])
            log_ratio = _minimum(lambda u: self._criterion(_share(u))[0], centre - 1.0, centre + 1.0)
            share = min((_share(log_ratio), 0.0, 1.0), key=lambda candidate: self._criterion(candidate)[0])
        scale = self._criterion(share)[1]
        return scale * (1.0 - share), scale * share / self.typical_dt_s

    def information(self, white2: float, walk2: float) -> FloatArray:
        """Expected restricted information about (white², walk²): ½·tr(P·V_i·P·V_j), summed over the segments."""
        from scipy.linalg import eigvalsh_tridiagonal

        total = np.zeros((2, 2))
        bounds = [*self.starts.tolist(), len(self.dt_s)]
        for first, end in pairwise(bounds):
            dt_s = self.dt_s[first:end]
            root = np.sqrt(dt_s)
            modes = eigvalsh_tridiagonal(2.0 / dt_s, -1.0 / (root[1:] * root[:-1]), lapack_driver="sterf")
            variances = white2 * modes + walk2
            parts = np.stack((modes / variances, 1.0 / variances))
            trace = parts @ parts.T
            solution, curves = slope_response(dt_s, white2, walk2)
            cross, _ = solve_steps(*_covariance(dt_s, white2, walk2), curves.T)
            weight = float(dt_s @ solution)
            leverage = curves @ solution / weight
            total += 0.5 * (trace - 2.0 * (curves @ cross) / weight + np.outer(leverage, leverage))
        return total

    def _criterion(self, share: float) -> tuple[float, float]:
        """−2·log of the restricted likelihood, its scale profiled out, and that scale, in mg²."""
        diagonal = 2.0 * (1.0 - share) + share * self.dt_s / self.typical_dt_s
        right = np.stack((self.dt_s, self.residual_mg), axis=1)
        solution, pivots = solve_steps(diagonal, -(1.0 - share) * self.coupling, right)
        weights = self._per_segment(self.dt_s * solution[:, 0])
        moments = self._per_segment(self.dt_s * solution[:, 1])
        squares = float(self.residual_mg @ solution[:, 1] - np.sum(moments * moments / weights))
        scale = max(squares, 0.0) / self.n_free
        if scale == 0.0:
            return math.inf, 0.0
        return self.n_free * math.log(scale) + float(np.log(pivots).sum() + np.log(weights).sum()), scale

    def _per_segment(self, values: FloatArray) -> FloatArray:
        return np.add.reduceat(values, self.starts)


def slope_response(dt_s: FloatArray, white2: float, walk2: float) -> tuple[FloatArray, FloatArray]:
    """z = V⁻¹·Δt of one segment, and (K·z, diag(Δt)·z), of which its slope's variance and its derivatives are made."""
    solution, _ = solve_steps(*_covariance(dt_s, white2, walk2), dt_s[:, None])
    z = solution[:, 0]
    white_curve = 2.0 * z
    white_curve[1:] -= z[:-1]
    white_curve[:-1] -= z[1:]
    return z, np.stack((white_curve, dt_s * z))


def _covariance(dt_s: FloatArray, white2: float, walk2: float) -> tuple[FloatArray, FloatArray]:
    return 2.0 * white2 + walk2 * dt_s, np.full(len(dt_s) - 1, -white2)


def _share(log_ratio: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_ratio))


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Golden section; the criterion is flat at its minimum, so a thousandth of a natural unit is enough."""
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-3:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(right)
    return (low + high) / 2.0
