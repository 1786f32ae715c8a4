"""Zero slope: value and uncertainty against dense least squares, and the honesty of the latter by simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from bench.metrology import (
    ZeroNoise,
    ZeroSegment,
    ZeroSlope,
    estimate_zero_noise,
    interpolate_zero_slope,
    zero_slope,
    zero_slope_covariance_mg2_per_s2,
)

TRUE_SLOPE = -0.002

ZeroRecorder = Callable[..., ZeroSegment]


def slope_at(time_s: float, slope: float, uncertainty: float, dof: float = math.inf) -> ZeroSlope:
    return ZeroSlope(time_s, slope, uncertainty, dof, 600.0, 60)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 40), st.sampled_from([(0.02, 0.002), (0.02, 0.0), (0.0, 0.002)]))
def test_slope_and_uncertainty_are_those_of_dense_generalised_least_squares(
    record_zero: ZeroRecorder, seed: int, n: int, noise: tuple[float, float]
) -> None:
    item = record_zero(np.random.default_rng(seed), n, 20.0, *noise)
    elapsed = item.time_s - item.time_s[0]
    design = np.stack((np.ones(n), elapsed), axis=1)
    start = 1.0  # an unknown start of the walk is no different from the free intercept
    covariance = noise[0] ** 2 * np.eye(n) + noise[1] ** 2 * np.minimum.outer(elapsed, elapsed) + start
    inverse = np.linalg.inv(covariance)
    information = design.T @ inverse @ design
    expected = np.linalg.solve(information, design.T @ inverse @ (item.mass_mg - 3000.0))
    result = zero_slope(item, ZeroNoise(*noise))
    assert result.slope_mg_per_s == pytest.approx(expected[1], rel=1e-5, abs=1e-8)
    assert result.standard_uncertainty_mg_per_s == pytest.approx(math.sqrt(np.linalg.inv(information)[1, 1]), rel=1e-5)
    assert result.dof == math.inf


@pytest.mark.parametrize(
    ("white_mg", "walk", "n"), [(0.02, 0.001, 60), (0.02, 0.0, 10), (0.0, 0.002, 30), (0.01, 0.01, 8)]
)
def test_z_scores_have_unit_variance_under_white_noise_and_random_walk(
    record_zero: ZeroRecorder, white_mg: float, walk: float, n: int
) -> None:
    rng = np.random.default_rng(11)
    noise = ZeroNoise(white_mg, walk)
    results = [zero_slope(record_zero(rng, n, 20.0, white_mg, walk), noise) for _ in range(2000)]
    scores = [(result.slope_mg_per_s - TRUE_SLOPE) / result.standard_uncertainty_mg_per_s for result in results]
    assert np.var(scores) == pytest.approx(1.0, abs=0.11)
    assert np.mean(scores) == pytest.approx(0.0, abs=3.0 / math.sqrt(2000))


@pytest.mark.parametrize(
    ("white_mg", "walk", "n", "n_segments"),
    [(0.02, 0.001, 60, 10), (0.02, 0.0005, 10, 25), (0.01, 0.0, 8, 30), (0.01, 0.002, 12, 4), (0.0, 0.003, 20, 6)],
)
def test_intervals_with_estimated_noise_hold_at_least_what_they_promise(
    record_zero: ZeroRecorder, white_mg: float, walk: float, n: int, n_segments: int
) -> None:
    rng = np.random.default_rng(12)
    held = []
    for _ in range(150):
        session = [record_zero(rng, n, 30.0, white_mg, walk) for _ in range(n_segments)]
        noise = estimate_zero_noise(session)
        for item in session[:2]:
            result = zero_slope(item, noise)
            half_width = stdtrit(result.dof, 0.975) * result.standard_uncertainty_mg_per_s
            held.append(abs(result.slope_mg_per_s - TRUE_SLOPE) <= half_width)
    assert np.mean(held) >= 0.95 - 3.0 * math.sqrt(0.95 * 0.05 / len(held))


def test_ordinary_residuals_are_some_sixty_times_too_sure_on_an_hour_of_readings() -> None:
    rng = np.random.default_rng(13)
    time_s = np.arange(3600.0)
    centred = time_s - time_s.mean()
    scores, ordinary_scores = [], []
    for _ in range(200):
        walk = np.cumsum(0.005 * rng.standard_normal(3600))
        mass_mg = TRUE_SLOPE * time_s + walk + 0.05 * rng.standard_normal(3600)
        ordinary = float(centred @ mass_mg / (centred @ centred))
        residual = mass_mg - mass_mg.mean() - ordinary * centred
        ordinary_error = math.sqrt(float(residual @ residual) / 3598 / float(centred @ centred))
        ordinary_scores.append((ordinary - TRUE_SLOPE) / ordinary_error)
        result = zero_slope(ZeroSegment(time_s, mass_mg), ZeroNoise(0.05, 0.005))
        scores.append((result.slope_mg_per_s - TRUE_SLOPE) / result.standard_uncertainty_mg_per_s)
    assert float(np.std(scores)) == pytest.approx(1.0, abs=0.15)
    assert float(np.std(ordinary_scores)) == pytest.approx(60.0, abs=8.0)


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(-1.0, 1.0), st.floats(0.01, 100.0))
def test_a_line_added_adds_its_slope_and_units_scale(
    record_zero: ZeroRecorder, seed: int, slope: float, factor: float
) -> None:
    item = record_zero(np.random.default_rng(seed), 20, 20.0, 0.02, 0.001)
    moved = ZeroSegment(item.time_s, factor * (item.mass_mg + slope * item.time_s))
    plain = zero_slope(item, ZeroNoise(0.02, 0.001))
    other = zero_slope(moved, ZeroNoise(factor * 0.02, factor * 0.001))
    assert other.slope_mg_per_s == pytest.approx(factor * (plain.slope_mg_per_s + slope), rel=1e-9, abs=1e-10 * factor)
    assert other.standard_uncertainty_mg_per_s == pytest.approx(factor * plain.standard_uncertainty_mg_per_s)
    assert other.time_s == pytest.approx(plain.time_s)


def test_a_bending_slope_is_met_at_the_time_it_is_said_to_stand_for() -> None:
    time_s = np.array([0.0, 10.0, 30.0, 100.0, 130.0, 200.0])
    rate_at = np.polynomial.Polynomial([-0.004, 3e-5])
    result = zero_slope(ZeroSegment(time_s, rate_at.integ()(time_s)), ZeroNoise(0.01, 0.002))
    assert result.slope_mg_per_s == pytest.approx(float(rate_at(result.time_s)), rel=1e-9)


def test_a_slope_between_two_segments_is_weighed_by_its_distance_from_them() -> None:
    before, after = slope_at(0.0, -0.004, 3e-4, 7.0), slope_at(1000.0, -0.002, 4e-4, 5.0)
    middle = interpolate_zero_slope(before, after, 500.0)
    assert middle.slope_mg_per_s == pytest.approx(-0.003)
    assert middle.standard_uncertainty_mg_per_s == pytest.approx(2.5e-4)
    assert middle.dof == 5.0
    assert interpolate_zero_slope(before, after, 0.0).slope_mg_per_s == -0.004
    assert interpolate_zero_slope(before, after, 1000.0).standard_uncertainty_mg_per_s == 4e-4


def test_runs_around_one_zero_segment_share_its_error() -> None:
    first, second, third = (slope_at(time_s, -0.003, 2e-4) for time_s in (0.0, 1000.0, 2000.0))
    runs = [interpolate_zero_slope(first, second, 500.0), interpolate_zero_slope(second, third, 1500.0)]
    covariance = zero_slope_covariance_mg2_per_s2(runs)
    assert covariance == pytest.approx(np.array([[0.5, 0.25], [0.25, 0.5]]) * 4e-8)
    for index, run in enumerate(runs):
        assert covariance[index, index] == pytest.approx(run.standard_uncertainty_mg_per_s**2)


@pytest.mark.parametrize("time_s", [-1.0, 1001.0, math.nan])
def test_a_slope_is_never_extrapolated(time_s: float) -> None:
    with pytest.raises(ValueError, match="a slope is not extrapolated"):
        interpolate_zero_slope(slope_at(0.0, 0.0, 1e-4), slope_at(1000.0, 0.0, 1e-4), time_s)


def test_segments_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="must lie earlier"):
        interpolate_zero_slope(slope_at(1000.0, 0.0, 1e-4), slope_at(0.0, 0.0, 1e-4), 500.0)
