"""Allan deviation: what cancels in it, what shows, and how far it may be read."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import allan_deviation


def test_a_record_of_five_readings_by_hand() -> None:
    result = allan_deviation(np.array([0.0, 1.0, 4.0, 9.0, 20.0]), sample_interval_s=2.0)
    assert result.tau_s.tolist() == [2.0]
    assert result.n_differences == (3,)
    assert result.deviation_mg_per_s[0] == pytest.approx(math.sqrt((4.0 + 4.0 + 36.0) / 3.0 / (2.0 * 2.0**2)))


@given(st.floats(-1e3, 1e3), st.floats(-10.0, 10.0), st.integers(0, 100))
def test_offset_and_linear_drift_cancel(offset_mg: float, drift_mg_per_s: float, seed: int) -> None:
    noise_mg = np.random.default_rng(seed).standard_normal(64)
    drifting_mg = noise_mg + offset_mg + drift_mg_per_s * np.arange(64) * 5.0
    plain = allan_deviation(noise_mg, sample_interval_s=5.0)
    assert allan_deviation(drifting_mg, sample_interval_s=5.0).deviation_mg_per_s == pytest.approx(
        plain.deviation_mg_per_s, rel=1e-8
    )


def test_white_noise_falls_with_time_and_a_random_walk_with_its_root() -> None:
    rng = np.random.default_rng(4)
    white_mg = 0.02 * rng.standard_normal(40_000)
    walk_mg = np.cumsum(0.003 * math.sqrt(2.0) * rng.standard_normal(40_000))
    taus_s = (2.0, 20.0, 60.0)
    white = allan_deviation(white_mg, sample_interval_s=2.0, taus_s=taus_s).deviation_mg_per_s
    walk = allan_deviation(walk_mg, sample_interval_s=2.0, taus_s=taus_s).deviation_mg_per_s
    assert white == pytest.approx([math.sqrt(3.0) * 0.02 / tau_s for tau_s in taus_s], rel=0.05)
    assert walk == pytest.approx([0.003 / math.sqrt(tau_s) for tau_s in taus_s], rel=0.08)


def test_default_times_double_up_to_a_quarter_of_the_record() -> None:
    result = allan_deviation(np.arange(101.0) ** 2, sample_interval_s=3.0)
    assert result.tau_s.tolist() == [3.0, 6.0, 12.0, 24.0, 48.0]


@pytest.mark.parametrize(
    ("tau_s", "named"), [(30.0, "longer than a quarter of the record; at most 25 s"), (7.5, "no multiple")]
)
def test_a_time_that_the_record_cannot_tell_is_refused(tau_s: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        allan_deviation(np.zeros(101), sample_interval_s=1.0, taus_s=[tau_s])


def test_a_record_with_a_hole_or_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="finite readings without gaps"):
        allan_deviation(np.array([0.0, 1.0, math.nan, 2.0, 3.0, 4.0]), sample_interval_s=1.0)
    with pytest.raises(ValueError, match="at least 5 readings"):
        allan_deviation(np.zeros(4), sample_interval_s=1.0)
