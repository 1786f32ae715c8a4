"""A feed-through short: resets at instants drawn from a stream of the world's."""

from itertools import islice, pairwise

import pytest

from firmware_mock import World
from firmware_mock.physics.feed_through import DAY_NS, FeedThroughShort


def test_the_resets_are_those_of_the_seed_in_order_and_within_the_short():
    short = FeedThroughShort(from_ns=3 * DAY_NS, until_ns=40 * DAY_NS, load_uw=50.0, resets_per_day=2.0)
    resets = list(short.resets_ns(World(seed=5).stream("pump.feed_through")))
    assert resets == list(short.resets_ns(World(seed=5).stream("pump.feed_through")))
    assert resets != list(short.resets_ns(World(seed=6).stream("pump.feed_through")))
    assert all(before < after for before, after in pairwise(resets))
    assert short.from_ns < resets[0]
    assert resets[-1] < short.until_ns
    assert all(type(t_ns) is int for t_ns in resets)


def test_they_come_as_often_as_stated_and_independently():
    short = FeedThroughShort(from_ns=0, until_ns=None, load_uw=0.0, resets_per_day=4.0)
    resets = list(islice(short.resets_ns(World(seed=1).stream("pump.feed_through")), 4000))
    gaps = [(after - before) / DAY_NS for before, after in pairwise(resets)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.25, rel=0.06)
    assert sum((gap - mean) ** 2 for gap in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.15)


def test_a_short_that_resets_nothing_has_no_instants():
    short = FeedThroughShort(from_ns=0, until_ns=None, load_uw=50.0, resets_per_day=0.0)
    assert list(short.resets_ns(World().stream("pump.feed_through"))) == []
