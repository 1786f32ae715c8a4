"""A bridge keeps to its volume, a flex therapy to the clock: each breach from the smallest course that deserves it."""

import pytest

from bench.campaign.claims import Turned
from bench.campaign.conduct import Span
from bench.campaign.courses import wrong_bridge, wrong_flex

STEP_UL = 0.01
STEPS = 100
TICKS = round(36_000_000 / 540)
S = 1_000_000_000
NOON = Span(200 * S, 201 * S)


def first(made, *, planned=None, at_s=0):
    return Turned(at_s * S, planned, TICKS, made)


def then(made, *, planned=None, at_s=0):
    return Turned(at_s * S, planned, 2 * TICKS, made)


def bridge(*turned, restarts=0):
    return list(wrong_bridge(turned, STEPS, STEP_UL, restarts=restarts))


def flex(*turned, restarts=0):
    return list(wrong_flex(turned, STEPS, STEP_UL, noon=NOON, restarts=restarts))


def test_a_bridge_gives_its_volume_and_goes_on():
    assert bridge() == []
    assert bridge(first(40, planned=100)) == []
    assert bridge(first(100, planned=100), then(7)) == []


def test_steps_that_a_restart_left_in_doubt_are_not_owed():
    course = first(40, planned=100), first(55, planned=55), then(7)
    assert bridge(*course, restarts=1) == []
    assert "after 95 of 100 steps" in bridge(*course)[0]


@pytest.mark.parametrize(
    ("turned", "says"),
    [
        ([first(40)], "no end"),
        ([first(100, planned=100), then(7, planned=50)], "an end"),
        ([first(99, planned=99), then(7)], "after 99 of 100"),
        ([then(7)], "after 0 of 100"),
        ([first(100, planned=100), then(7), first(0, planned=0)], "went back"),
    ],
)
def test_a_bridge_at_a_rate_that_is_not_its_turn_is_found(turned, says):
    assert [says in sentence for sentence in bridge(*turned)] == [True]


def test_a_flex_therapy_changes_its_rate_at_noon():
    assert flex() == []
    assert flex(first(1000, at_s=100)) == []
    assert flex(first(1490, at_s=100), then(9, at_s=200)) == []
    assert flex(then(9, at_s=201)) == []


@pytest.mark.parametrize(
    ("turned", "says"),
    [
        ([first(40, planned=40, at_s=100)], "was to end"),
        ([then(9, at_s=199)], "was ahead"),
        ([first(9, at_s=202)], "was behind"),
        ([first(1550, at_s=100)], "outlasted"),
    ],
)
def test_a_flex_therapy_at_the_rate_of_another_time_is_found(turned, says):
    assert says in flex(*turned)[0]


def test_the_timer_of_a_pump_that_hangs_may_outlast_noon():
    assert flex(first(1550, at_s=100), restarts=1) == []
