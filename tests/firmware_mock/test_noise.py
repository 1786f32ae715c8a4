"""Noise whose statistics do not depend on how often it is looked at."""

from itertools import pairwise
from math import exp
from random import Random
from statistics import fmean, variance

import pytest

from firmware_mock.physics.noise import Flicker, OrnsteinUhlenbeck, RandomWalk, ShotNoise


def increments(process, *, lag_s, steps, count):
    """Changes over successive lags, each reached in a number of steps."""
    values = [process.advance(lag_s)]
    for _ in range(count):
        for _ in range(steps):
            value = process.advance(lag_s / steps)
        values.append(value)
    return [after - before for before, after in pairwise(values)]


@pytest.mark.parametrize("steps", [1, 25])
def test_a_random_walk_spreads_with_the_root_of_time_whether_looked_at_often_or_seldom(steps):
    changes = increments(RandomWalk(Random(1), 0.01), lag_s=900.0, steps=steps, count=3000)
    assert variance(changes) == pytest.approx(0.01**2 * 0.25, rel=0.1)


@pytest.mark.parametrize("steps", [1, 25])
def test_flicker_changes_by_the_same_amount_whether_looked_at_often_or_seldom(steps):
    changes = increments(Flicker(Random(2), 0.006), lag_s=60.0, steps=steps, count=4000)
    expected = fmean(2.0 * 0.006**2 * (1.0 - exp(-60.0 / (4.0 * 4.0**k))) for k in range(6))
    assert variance(changes) == pytest.approx(expected, rel=0.12)


def test_the_allan_deviation_of_flicker_is_flat_over_its_decades():
    flicker = Flicker(Random(3), 0.006)
    values = [flicker.advance(8.0) for _ in range(60_000)]

    def allan(samples):
        means = [fmean(values[i : i + samples]) for i in range(0, len(values) - samples + 1, samples)]
        return (0.5 * fmean((b - a) ** 2 for a, b in pairwise(means))) ** 0.5

    deviations = [allan(samples) for samples in (2, 8, 32, 128)]
    assert max(deviations) / min(deviations) < 1.35


def test_white_noise_behind_a_filter_is_correlated_over_the_filter_time_only():
    noise = OrnsteinUhlenbeck(Random(4), 0.008)
    values = [noise.advance(1.0, 1.0) for _ in range(20_000)]
    assert variance(values) == pytest.approx(0.008**2, rel=0.05)
    assert fmean(a * b for a, b in pairwise(values)) == pytest.approx(0.008**2 / exp(1), rel=0.1)


def test_white_noise_without_a_filter_is_independent():
    noise = OrnsteinUhlenbeck(Random(5), 1.0)
    values = [noise.advance(0.01, 0.0) for _ in range(20_000)]
    assert fmean(a * b for a, b in pairwise(values)) == pytest.approx(0.0, abs=0.03)


def test_disturbances_are_the_same_whether_looked_at_often_or_seldom_and_count_only_where_seen():
    def shots():
        return ShotNoise(Random(6), per_h=60.0, amplitude_mg=0.1, decay_s=5.0, visible_mg=0.001)

    often, seldom = shots(), shots()
    for _ in range(36_000):
        last_often = often.advance(0.1)
    for _ in range(10):
        last_seldom = seldom.advance(360.0)
    assert last_seldom == pytest.approx(last_often, abs=1e-6)
    assert often.acted == pytest.approx(60, abs=25)
    assert seldom.acted < often.acted
