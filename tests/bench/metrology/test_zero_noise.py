"""Noise without delivery: restricted likelihood against dense matrices, and against noise that was put in."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrology import ZeroNoise, ZeroSegment, estimate_zero_noise

FloatArray = npt.NDArray[np.float64]
ZeroRecorder = Callable[..., ZeroSegment]


def dense(item: ZeroSegment, white2: float, walk2: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Design, white and walk covariance of the readings themselves, and REML's projection P, by plain matrices."""
    elapsed = item.time_s - item.time_s[0]
    design = np.stack((np.ones(len(elapsed)), elapsed), axis=1)
    white = np.eye(len(elapsed))
    walk = np.minimum.outer(elapsed, elapsed)
    inverse = np.linalg.inv(white2 * white + walk2 * walk)
    projection = inverse - inverse @ design @ np.linalg.inv(design.T @ inverse @ design) @ design.T @ inverse
    return design, white, walk, projection


def dense_criterion(items: list[ZeroSegment], white2: float, walk2: float) -> float:
    """−2·log of the restricted likelihood of all readings, by plain matrices."""
    total = 0.0
    for item in items:
        design, white, walk, projection = dense(item, white2, walk2)
        covariance = white2 * white + walk2 * walk
        information = design.T @ np.linalg.inv(covariance) @ design
        residual = item.mass_mg - item.mass_mg.mean()
        total += float(np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1])
        total += float(residual @ projection @ residual)
    return total


def test_the_estimate_is_where_the_restricted_likelihood_of_dense_matrices_is_highest(
    record_zero: ZeroRecorder,
) -> None:
    rng = np.random.default_rng(7)
    items = [record_zero(rng, n, 20.0, 0.02, 0.002) for n in (12, 20, 31)]
    noise = estimate_zero_noise(items)
    best = dense_criterion(items, noise.white_mg**2, noise.walk_mg_per_sqrt_s**2)
    for white_factor in (0.95, 1.0, 1.05):
        for walk_factor in (0.95, 1.0, 1.05):
            other = dense_criterion(
                items, (white_factor * noise.white_mg) ** 2, (walk_factor * noise.walk_mg_per_sqrt_s) ** 2
            )
            assert other >= best - 1e-4


def test_the_doubt_about_the_noise_is_the_inverse_of_the_dense_information(record_zero: ZeroRecorder) -> None:
    rng = np.random.default_rng(8)
    items = [record_zero(rng, n, 20.0, 0.02, 0.002) for n in (12, 20, 31)]
    noise = estimate_zero_noise(items)
    information = np.zeros((2, 2))
    for item in items:
        _, white, walk, projection = dense(item, noise.white_mg**2, noise.walk_mg_per_sqrt_s**2)
        parts = (projection @ white, projection @ walk)
        information += [[0.5 * np.trace(one @ other) for other in parts] for one in parts]
    covariance = np.linalg.inv(information)
    assert noise.variance_of_white2 == pytest.approx(covariance[0, 0], rel=1e-6)
    assert noise.covariance_of_white2_walk2 == pytest.approx(covariance[0, 1], rel=1e-6)
    assert noise.variance_of_walk2 == pytest.approx(covariance[1, 1], rel=1e-6)


@pytest.mark.parametrize(
    ("white_mg", "walk", "n", "n_segments"), [(0.02, 0.002, 12, 20), (0.01, 0.0, 8, 30), (0.0, 0.003, 8, 30)]
)
def test_noise_that_was_put_in_comes_out_unless_held_at_zero(
    record_zero: ZeroRecorder, white_mg: float, walk: float, n: int, n_segments: int
) -> None:
    rng = np.random.default_rng(9)
    estimates = [
        estimate_zero_noise([record_zero(rng, n, 60.0, white_mg, walk) for _ in range(n_segments)]) for _ in range(60)
    ]
    whites = np.mean([estimate.white_mg**2 for estimate in estimates])
    walks = np.mean([estimate.walk_mg_per_sqrt_s**2 for estimate in estimates])
    held_at_zero = 0.1 * (white_mg**2 + walk**2 * 60.0)
    assert whites == pytest.approx(white_mg**2, rel=0.05, abs=held_at_zero if white_mg == 0.0 else 0.0)
    assert walks == pytest.approx(walk**2, rel=0.12, abs=held_at_zero / 60.0 if walk == 0.0 else 0.0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(-1.0, 1.0), st.floats(0.01, 100.0), st.floats(0.1, 100.0))
def test_noise_does_not_depend_on_lines_order_or_units(
    record_zero: ZeroRecorder, seed: int, slope: float, masses: float, times: float
) -> None:
    rng = np.random.default_rng(seed)
    items = [record_zero(rng, n, 20.0, 0.02, 0.004) for n in (15, 25, 20)]
    moved = [
        ZeroSegment(times * item.time_s + 1e3, masses * (item.mass_mg + slope * item.time_s + 50.0))
        for item in items[::-1]
    ]
    plain, other = estimate_zero_noise(items), estimate_zero_noise(moved)
    assert other.white_mg == pytest.approx(masses * plain.white_mg, rel=2e-3, abs=1e-3 * masses * 0.02)
    expected_walk = masses / math.sqrt(times) * plain.walk_mg_per_sqrt_s
    assert other.walk_mg_per_sqrt_s == pytest.approx(expected_walk, rel=2e-3, abs=1e-5 * masses / math.sqrt(times))


def test_a_frozen_display_has_at_least_the_noise_of_rounding() -> None:
    frozen = [ZeroSegment(np.arange(20.0) * 10.0, np.full(20, 3000.25))] * 3
    noise = estimate_zero_noise(frozen, readability_mg=0.01)
    assert noise.white_mg == pytest.approx(0.01 / math.sqrt(12.0))
    assert noise.walk_mg_per_sqrt_s == 0.0
    with pytest.raises(ValueError, match="give the balance's readability_mg"):
        estimate_zero_noise(frozen)


def test_segments_that_cannot_tell_walk_from_white_are_refused() -> None:
    rng = np.random.default_rng(1)
    even = np.arange(3.0) * 10.0
    with pytest.raises(ValueError, match="too short to tell a random walk from white noise"):
        estimate_zero_noise([ZeroSegment(even, rng.standard_normal(3)) for _ in range(5)])
    with pytest.raises(ValueError, match="1 zero segments with 4 readings are too few"):
        estimate_zero_noise([ZeroSegment(np.arange(4.0), rng.standard_normal(4))])
    with pytest.raises(ValueError, match="0 zero segments with 0 readings are too few"):
        estimate_zero_noise([])


@pytest.mark.parametrize(
    ("time_s", "mass_mg", "named"),
    [
        ([0.0, 1.0], [0.0, 0.0], "at least 3 readings"),
        ([0.0, 1.0, 2.0], [0.0, 0.0], "each with its time"),
        ([0.0, 1.0, 1.0], [0.0, 0.0, 0.0], "must rise from reading to reading"),
        ([0.0, 1.0, 2.0], [0.0, math.nan, 0.0], "finite times and masses"),
    ],
)
def test_a_segment_that_is_none_is_refused(time_s: list[float], mass_mg: list[float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ZeroSegment(np.array(time_s), np.array(mass_mg))


def test_a_balance_without_noise_is_not_believed() -> None:
    with pytest.raises(ValueError, match="without any noise is not believable"):
        ZeroNoise(0.0, 0.0)
    with pytest.raises(ValueError, match="white_mg must be a finite number, zero or above"):
        ZeroNoise(-0.1, 0.0)
