"""Clocks and deadlines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import Deadline, ScaledClock, SystemClock


class NanosecondClock:
    """Virtual time as a simulation keeps it."""

    def __init__(self, start_ns):
        self._now_ns = start_ns

    def monotonic(self):
        return self._now_ns / 1_000_000_000

    def sleep(self, seconds):
        self._now_ns += round(seconds * 1_000_000_000)


def test_a_deadline_counts_down_and_never_below_zero(clock):
    deadline = Deadline(clock, 10.0)
    clock.sleep(4.0)
    assert deadline.remaining_s == pytest.approx(6.0)
    assert not deadline.expired
    clock.sleep(6.5)
    assert deadline.remaining_s == 0.0
    assert deadline.expired


@given(start_ns=st.integers(0, 10**17), timeout_s=st.floats(0.0, 1e6))
def test_sleeping_what_remains_ends_a_deadline_on_a_clock_of_whole_nanoseconds(start_ns, timeout_s):
    clock = NanosecondClock(start_ns)
    deadline = Deadline(clock, timeout_s)
    for _ in range(100):
        if deadline.expired:
            return
        clock.sleep(deadline.remaining_s)
    pytest.fail(f"{deadline.remaining_s} s remain")


def test_a_deadline_without_a_time_out_never_comes(clock):
    deadline = Deadline(clock, None)
    clock.sleep(1e9)
    assert deadline.remaining_s == float("inf")
    assert not deadline.expired


def test_a_scaled_clock_runs_that_many_times_faster_and_sleeps_that_much_shorter(clock):
    clock.sleep(3.0)
    scaled = ScaledClock(60.0, clock)
    clock.sleep(1.0)
    assert scaled.monotonic() == pytest.approx(60.0)
    scaled.sleep(60.0)
    assert clock.monotonic() == pytest.approx(5.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_clock_that_stands_or_runs_backwards_is_refused(speed):
    with pytest.raises(ValueError, match="speed must be above 0"):
        ScaledClock(speed)


def test_the_system_clock_never_sleeps_a_negative_time():
    clock = SystemClock()
    before_s = clock.monotonic()
    clock.sleep(-1.0)
    assert clock.monotonic() >= before_s
