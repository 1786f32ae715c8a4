"""The pump's clock on the host's: never further off than said, whatever the line and the oscillators do."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from driver import LinkTimeout, ReplyInvalid
from driver.device_clock import Synchroniser
from protocol import ClockReply, ClockRequest


class Line:
    """A host's clock and a link to a pump whose clock is ahead by `ahead_us` and fast by `drift`; delays as given."""

    port = "hand:pump"

    def __init__(self, ahead_us: int, drift: float, delays_s: list[tuple[float, float, float]], start_s: float = 0.0):
        self.now_s = start_s
        self._ahead_us = ahead_us
        self._drift = drift
        self._delays_s = iter(delays_s)

    def monotonic(self) -> float:
        return self.now_s

    def device_us(self, host_s: float) -> int:
        return self._ahead_us + int(host_s * 1e6 * (1.0 + self._drift))

    def host_s(self, device_us: int) -> float:
        """When the device's clock came to this microsecond."""
        return (device_us - self._ahead_us) / (1e6 * (1.0 + self._drift))

    def request(self, message: ClockRequest, _: type[ClockReply]) -> ClockReply:
        there_s, working_s, back_s = next(self._delays_s)
        self.now_s += there_s
        received_us = self.device_us(self.now_s)
        self.now_s += working_s
        sent_us = self.device_us(self.now_s)
        self.now_s += back_s
        return ClockReply(message.host_time_us, received_us, sent_us, 1)


delay = st.floats(0.0, 0.2) | st.just(0.0)
delays = st.tuples(delay, st.floats(0.0, 0.5), delay)


@settings(max_examples=400, deadline=None)
@given(
    ahead_us=st.integers(0, 10**15),
    drift=st.floats(-1e-4, 1e-4),
    rounds=st.lists(st.lists(delays, min_size=1, max_size=6), min_size=1, max_size=6),
    pauses_s=st.lists(st.floats(0.0, 5_000.0), min_size=6, max_size=6),
    start_s=st.floats(0.0, 1e6),
    asked_s=st.lists(st.floats(-20_000.0, 20_000.0), min_size=1, max_size=5),
)
def test_the_error_never_exceeds_the_stated_uncertainty(ahead_us, drift, rounds, pauses_s, start_s, asked_s):
    line = Line(ahead_us, drift, [each for one in rounds for each in one], start_s)
    synchroniser = Synchroniser(line, line)
    for one, pause_s in zip(rounds, pauses_s, strict=False):
        clock = synchroniser.round(len(one))
        line.now_s += pause_s
    assert abs(clock.drift_ppm) <= 200.0
    for offset_s in asked_s:
        host_s = line.now_s + offset_s
        if host_s < 0.0:
            continue
        device_us = line.device_us(host_s)
        mapped = clock.to_host(device_us)
        assert abs(mapped.time_s - line.host_s(device_us)) <= mapped.uncertainty_s


@given(st.lists(delays, min_size=1, max_size=12))
@example([(0.0, 0.46875, 0.055872517397802315)])
def test_right_after_a_round_the_uncertainty_is_half_the_shortest_round_trip(exchanges):
    line = Line(5_000_000, 0.0, exchanges)
    clock = Synchroniser(line, line).round(len(exchanges))
    shortest_s = min(there_s + back_s for there_s, _, back_s in exchanges)
    (kept,) = clock.exchanges
    assert clock.drift_ppm == 0.0
    mapped = clock.to_host(kept.received_us)
    assert clock.round_trip_s == pytest.approx(shortest_s, abs=3e-6)
    assert mapped.uncertainty_s == pytest.approx(shortest_s / 2.0, abs=5e-6 + 2e-4 * 0.5)


@given(drift=st.floats(-1e-4, 1e-4), jitter=st.lists(st.floats(0.0, 0.002), min_size=20, max_size=20))
def test_rounds_over_an_hour_find_the_drift(drift, jitter):
    line = Line(0, drift, [(0.001 + extra, 0.0, 0.001) for extra in jitter])
    synchroniser = Synchroniser(line, line)
    for _ in range(20):
        clock = synchroniser.round(1)
        line.now_s += 180.0
    assert clock.drift_ppm == pytest.approx(-drift * 1e6, abs=2.5)
    early = Synchroniser(Line(0, drift, [(0.001, 0.0, 0.001)]), Line(0, drift, []))
    assert clock.to_host(line.device_us(7200.0)).uncertainty_s < 0.01
    assert early.round(1).to_host(7_200_000_000).uncertainty_s > 1.0


def test_a_clock_whose_drift_changes_loses_its_past_and_not_its_bound():
    line = Line(0, 1e-4, [(0.001, 0.0, 0.001)] * 20)
    synchroniser = Synchroniser(line, line)
    for number in range(20):
        if number == 10:
            line._ahead_us, line._drift = line.device_us(line.now_s) - int(line.now_s * 1e6 * (1 - 1e-4)), -1e-4
        clock = synchroniser.round(1)
        line.now_s += 600.0
    assert len(clock.exchanges) == 10
    assert clock.drift_ppm == pytest.approx(100.0, abs=1.0)


def test_the_pumps_time_is_mapped_through_the_wire(open_pump, device, clock):
    device.ahead_s, device.drift = 1000.0, 5e-5
    with open_pump() as pump:
        assert pump.device_clock is None
        pump.synchronise()
        clock.sleep(3600.0)
        mapping = pump.synchronise(exchanges=3)
        assert pump.device_clock is mapping
        mapped = mapping.to_host(pump.status().device_time_us)
        assert mapped.time_s == pytest.approx(clock.monotonic(), abs=mapped.uncertainty_s + 0.002)
        assert mapped.uncertainty_s < 0.002
        assert mapping.drift_ppm == pytest.approx(-50.0, abs=1.0)


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate", "delay"])
@pytest.mark.parametrize("message", [ClockRequest, ClockReply])
def test_bad_frames_widen_one_exchange_and_the_quickest_is_kept(open_pump, wire, clock, kind, message):
    with open_pump() as pump:
        wire.fault(kind, message, delay_s=0.7 if kind == "delay" else 0.0)
        mapping = pump.synchronise(exchanges=3)
        assert mapping.round_trip_s < 0.005
        mapped = mapping.to_host(pump.status().device_time_us)
        assert abs(mapped.time_s - clock.monotonic()) <= mapped.uncertainty_s + 0.002


def test_exchanges_that_are_never_answered_are_left_out_unless_all_are(open_pump, wire):
    with open_pump() as pump:
        wire.fault("lose", ClockReply, times=6)
        assert pump.synchronise(exchanges=3).round_trip_s < 0.005
        wire.fault("lose", ClockReply, times=6)
        with pytest.raises(LinkTimeout, match="did not answer ClockRequest"):
            pump.synchronise(exchanges=2)
        with pytest.raises(ValueError, match="at least 1 exchange, not 0"):
            pump.synchronise(exchanges=0)


def test_a_reset_makes_the_mapping_void(open_pump, device, clock):
    with open_pump() as pump:
        old = pump.synchronise()
        device.reset()
        pump.status()
        assert pump.device_clock is None
        device.ahead_s = -clock.monotonic()
        clock.sleep(5.0)
        new = pump.synchronise()
        assert (old.boot_id, new.boot_id, len(new.exchanges)) == (1, 2, 1)
        assert pump.device_clock is new
        assert new.to_host(0, boot_id=2).time_s == pytest.approx(clock.monotonic() - 5.0, abs=0.1)
        with pytest.raises(ValueError, match="a device time of boot 2 cannot be mapped with the clock of boot 1"):
            old.to_host(0, boot_id=2)


def test_a_reset_in_the_middle_of_a_round_leaves_the_new_boot_alone(open_pump, device, clock):
    with open_pump() as pump:
        clock.after(0.007, device.reset)
        mapping = pump.synchronise(exchanges=8)
        assert mapping.boot_id == 2
        assert pump.device_clock is mapping


@pytest.mark.parametrize(("received_us", "sent_us"), [(2_000_000, 1_000_000), (0, 90_000_000)])
def test_time_stamps_that_cannot_be_true_are_refused(open_pump, device, received_us, sent_us):
    device._on_ClockRequest = lambda m: ClockReply(m.host_time_us, received_us, sent_us, 1)
    with (
        open_pump() as pump,
        pytest.raises(ReplyInvalid, match=r"says that it took .* its clock cannot be used"),
    ):
        pump.synchronise()


@pytest.mark.parametrize("carrier", ["bytes"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra_s=st.lists(st.floats(0.0, 0.4), min_size=4, max_size=4), lost=st.integers(0, 2))
def test_uneven_delays_and_losses_on_the_wire_stay_within_the_bound(open_pump, wire, device, clock, extra_s, lost):
    device.ahead_s = 77.0
    with open_pump() as pump:
        for number, extra in enumerate(extra_s):
            wire.fault("delay", (ClockRequest, ClockReply)[number % 2], delay_s=extra)
        wire.fault("lose", ClockReply, times=lost)
        mapping = pump.synchronise(exchanges=4)
        wire.faults.clear()
        clock.sleep(100.0)
    truth_s = clock.monotonic()
    mapped = mapping.to_host(device.device_us)
    assert abs(mapped.time_s - truth_s) <= mapped.uncertainty_s + 1e-6
