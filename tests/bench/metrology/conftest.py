"""Balance records that the zero tests need."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.metrology import ZeroSegment

ZERO_SLOPE_MG_PER_S = -0.002


@pytest.fixture(scope="session")
def record_zero() -> Callable[..., ZeroSegment]:
    """Called with (rng, n, interval_s, white_mg, walk_mg_per_sqrt_s): n readings at uneven times on −0.002 mg/s."""

    def record(rng: np.random.Generator, n: int, interval_s: float, white_mg: float, walk: float) -> ZeroSegment:
        time_s = np.cumsum(interval_s * rng.uniform(0.3, 1.7, n))
        steps = walk * np.sqrt(np.diff(time_s)) * rng.standard_normal(n - 1)
        wander = np.concatenate(([0.0], np.cumsum(steps)))
        line = 3000.0 + ZERO_SLOPE_MG_PER_S * time_s
        return ZeroSegment(time_s, line + wander + white_mg * rng.standard_normal(n))

    return record
