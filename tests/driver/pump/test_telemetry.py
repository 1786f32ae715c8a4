"""Every sample that does not reach the script is accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver.telemetry import NotificationQueue
from protocol import Event, Mode, Stream, Subscribe, Telemetry


def sample(sequence, overflow=0):
    return Telemetry(Stream.TELEMETRY, Mode.STOPPED, overflow, sequence, 0, 0, 0.0, 37.0, 2800, 0)


def test_gaps_are_counted_and_the_devices_own_share_named():
    queue = NotificationQueue()
    for message in (sample(0), sample(1), sample(4, overflow=1), sample(5, overflow=1)):
        queue.put(message)
    batch = queue.drain()
    assert [item.sequence for item in batch.samples] == [0, 1, 4, 5]
    assert (batch.lost, batch.overflowed, batch.dropped) == (2, 1, 0)
    assert queue.drain().lost == 0


def test_what_falls_out_of_the_queue_is_dropped_and_not_lost():
    queue = NotificationQueue(samples_kept=10)
    for sequence in range(25):
        queue.put(sample(sequence))
    batch = queue.drain()
    assert [item.sequence for item in batch.samples] == list(range(15, 25))
    assert (batch.lost, batch.dropped) == (0, 15)


def test_numbers_that_wrap_are_no_gap_and_numbers_that_restart_are_a_reset():
    queue = NotificationQueue()
    for sequence in (2**32 - 1, 0, 1, 0, 1):
        queue.put(sample(sequence))
    assert queue.drain().lost == 0


def test_the_overflow_counter_wraps_at_sixteen_bits():
    queue = NotificationQueue()
    queue.put(sample(0, overflow=65_534))
    queue.put(sample(5, overflow=2))
    assert queue.drain().overflowed == 4


def test_events_have_numbers_of_their_own(event):
    queue = NotificationQueue()
    for message in (sample(7), event(0), sample(8), event(3)):
        queue.put(message)
    batch = queue.drain()
    assert batch.lost == 2
    assert [type(item) for item in batch.events] == [Event, Event]


@given(st.lists(st.booleans(), min_size=2, max_size=300))
def test_received_lost_and_dropped_add_up_to_what_was_made(arrives):
    queue = NotificationQueue(samples_kept=20)
    made = [index for index, arrived in enumerate(arrives) if arrived]
    for index in made:
        queue.put(sample(index))
    batch = queue.drain()
    span = made[-1] - made[0] + 1 if made else 0
    assert len(batch.samples) + batch.lost + batch.dropped == span


def test_a_subscription_is_asked_in_milliseconds(open_pump, device):
    with open_pump() as pump:
        pump.subscribe(0.25)
        with pytest.raises(ValueError, match="at most every millisecond"):
            pump.subscribe(0.0001)
    assert [m.interval_ms for m in device.requests if isinstance(m, Subscribe)] == [250, 0]


def test_telemetry_drains_what_came_since_the_last_call(open_pump, wire, clock):
    with open_pump() as pump:
        for sequence in (0, 1, 3):
            wire.send_unasked(sample(sequence))
        clock.sleep(0.1)
        batch = pump.telemetry()
        assert ([item.sequence for item in batch.samples], batch.lost) == ([0, 1, 3], 1)
        assert pump.telemetry().samples == ()


def test_telemetry_is_taken_in_while_a_bolus_is_waited_for(open_pump, wire, clock):
    with open_pump() as pump:
        for second in range(0, 360, 10):
            clock.after(second, lambda n=second // 10: wire.send_unasked(sample(n)))
        pump.bolus(10.0, rate_ul_per_h=100.0)
        batch = pump.telemetry()
    assert (len(batch.samples), batch.lost) == (36, 0)
