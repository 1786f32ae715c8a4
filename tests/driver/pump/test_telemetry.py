"""Every sample that does not reach the script is accounted for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import Gaps, LinkTimeout, PortLost
from driver.telemetry import NotificationQueue
from protocol import (
    Event,
    Mode,
    MotorTelemetry,
    PowerTelemetry,
    Stop,
    Stream,
    Subscribe,
    Subscription,
    Telemetry,
)


def sample(sequence, overflow=0):
    return Telemetry(Mode.STOPPED, overflow, sequence, 0, 0, 0.0, 37.0, 2800, 0)


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


def test_an_overflow_counter_that_stands_at_its_end_or_began_again_adds_nothing():
    queue = NotificationQueue()
    queue.put(sample(0, overflow=65_534))
    queue.put(sample(5, overflow=65_535))
    assert queue.drain().overflowed == 1
    queue.put(sample(9, overflow=65_535))
    queue.put(sample(10, overflow=2))
    assert queue.drain().overflowed == 0


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


def motor(sequence, overflow=0):
    return MotorTelemetry(overflow, sequence, 0, 5, 4, 100)


def power(sequence, overflow=0):
    return PowerTelemetry(overflow, sequence, 0, 2800, 1.5, 37.0)


def test_each_stream_has_a_queue_numbers_and_gaps_of_its_own(event):
    queue = NotificationQueue(samples_kept=3)
    for message in (sample(0), motor(50), power(7), motor(53, overflow=1), sample(2), event(0), power(8), event(9)):
        queue.put(message)
    for sequence in range(54, 56):
        queue.put(motor(sequence, overflow=1))
    batch = queue.drain()
    assert [each.sequence for each in batch.samples] == [0, 2]
    assert [each.sequence for each in batch.motor] == [53, 54, 55]
    assert [each.sequence for each in batch.power] == [7, 8]
    assert batch.gaps == {
        Telemetry: Gaps(lost=1),
        MotorTelemetry: Gaps(lost=2, overflowed=1, dropped=1),
        PowerTelemetry: Gaps(),
        Event: Gaps(lost=8),
    }
    assert (batch.lost, batch.overflowed, batch.dropped, batch.ignored) == (11, 1, 1, 0)


def test_messages_of_no_known_kind_are_counted():
    queue = NotificationQueue()
    queue.put(Stop())
    assert queue.drain().ignored == 1
    assert queue.drain().ignored == 0


@given(st.lists(st.tuples(st.sampled_from([sample, motor, power]), st.booleans()), max_size=200))
def test_the_streams_do_not_disturb_one_another(arrivals):
    queue = NotificationQueue(samples_kept=1000)
    made = {sample: 0, motor: 0, power: 0}
    seen = {sample: [], motor: [], power: []}
    for kind, arrives in arrivals:
        if arrives:
            queue.put(kind(made[kind]))
            seen[kind].append(made[kind])
        made[kind] += 1
    batch = queue.drain()
    for kind, got, name in ((sample, batch.samples, Telemetry), (motor, batch.motor, MotorTelemetry)):
        assert [each.sequence for each in got] == seen[kind]
        span = seen[kind][-1] - seen[kind][0] + 1 if seen[kind] else 0
        assert len(got) + batch.gaps[name].lost == span


def test_a_subscription_tells_the_interval_that_the_pump_really_uses(open_pump):
    with open_pump() as pump:
        assert pump.subscribe(0.25) == 0.25
        assert pump.subscribe(0.001, Stream.MOTOR) == 0.02
        assert pump.subscribe(None) is None


def test_leaving_ends_every_stream_that_was_begun_and_not_ended(open_pump, device):
    with open_pump() as pump:
        pump.subscribe(1.0, Stream.POWER)
        pump.subscribe(1.0)
        pump.subscribe(1.0, Stream.MOTOR)
        pump.subscribe(None, Stream.MOTOR)
        device.requests.clear()
    assert [request for request in device.requests if isinstance(request, Subscribe)] == [
        Subscribe(Stream.TELEMETRY, 0),
        Subscribe(Stream.POWER, 0),
    ]


def test_a_stream_whose_subscription_was_never_answered_is_ended_on_leaving(open_pump, wire, device):
    with open_pump() as pump:
        wire.fault("lose", Subscription, times=3)
        with pytest.raises(LinkTimeout):
            pump.subscribe(1.0, Stream.MOTOR)
    asked = [request.interval_ms for request in device.requests if isinstance(request, Subscribe)]
    assert asked == [1000, 0]


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate", "delay"])
@pytest.mark.parametrize("message", [Subscribe, Subscription])
def test_a_bad_frame_subscribes_no_second_time(open_pump, wire, device, kind, message):
    with open_pump() as pump:
        wire.fault(kind, message, delay_s=0.7 if kind == "delay" else 0.0)
        assert pump.subscribe(1.0, Stream.POWER) == 1.0
        assert [type(request) for request in device.requests].count(Subscribe) == 1


def test_a_subscription_is_asked_in_milliseconds(open_pump, device):
    with open_pump() as pump:
        pump.subscribe(0.25)
        with pytest.raises(ValueError, match="at most every millisecond"):
            pump.subscribe(0.0001)
        for interval_s in (5e6, float("inf"), float("nan")):
            with pytest.raises(ValueError, match="at least every 49 days"):
                pump.subscribe(interval_s)
    assert [m.interval_ms for m in device.requests if isinstance(m, Subscribe)] == [250, 0]


def test_telemetry_drains_what_came_since_the_last_call(open_pump, wire, clock):
    with open_pump() as pump:
        for sequence in (0, 1, 3):
            wire.send_unasked(sample(sequence))
        clock.sleep(0.1)
        batch = pump.telemetry()
        assert ([item.sequence for item in batch.samples], batch.lost) == ([0, 1, 3], 1)
        assert pump.telemetry().samples == ()


def test_what_came_before_the_port_was_lost_is_given_before_the_loss_is_told(open_pump, wire, clock):
    with open_pump() as pump:
        wire.send_unasked(sample(0))
        pump.status()
        wire.unplugged = True
        assert [item.sequence for item in pump.telemetry().samples] == [0]
        with pytest.raises(PortLost):
            pump.telemetry()


def test_telemetry_is_taken_in_while_a_bolus_is_waited_for(open_pump, wire, clock):
    with open_pump() as pump:
        for second in range(0, 360, 10):
            clock.after(second, lambda n=second // 10: wire.send_unasked(sample(n)))
        pump.bolus(10.0, rate_ul_per_h=100.0)
        batch = pump.telemetry()
    assert (len(batch.samples), batch.lost) == (36, 0)
