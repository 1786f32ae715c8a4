"""Device time for exchanges, and the therapy clock that only a command sets."""

import math

import pytest

import protocol
from protocol import ClockRequest, EventCode, NakReason, ProposeTherapyClock, TherapyClockRequest

STARTS_UTC_S = 1_795_132_800


def test_an_exchange_shows_the_device_clock_and_repeats_the_hosts(host):
    pump = host(clock_error_ppm=1000.0)
    pump.world.sleep(1000.0)
    before_s = pump.world.monotonic()
    reply = pump.ask(ClockRequest(123_456_789))
    after_s = pump.world.monotonic()
    assert (reply.host_time_us, reply.boot_id) == (123_456_789, 1)
    assert 1.001 * before_s * 1e6 < reply.received_us <= reply.sent_us < 1.001 * after_s * 1e6
    pump.pump.reboot()
    reply = pump.ask(ClockRequest(1))
    assert reply.boot_id == 2
    assert reply.sent_us < 20_000


def test_the_therapy_clock_runs_on_the_crystal_from_the_day_the_world_began(host):
    pump = host(clock_error_ppm=1000.0)
    clock = pump.ask(TherapyClockRequest())
    assert (clock.utc_s, clock.utc_offset_s, clock.generation) == (STARTS_UTC_S, 0, 0)
    pump.world.sleep(100_000.0)
    assert pump.ask(TherapyClockRequest()).utc_s == STARTS_UTC_S + 100_100


def test_a_set_therapy_clock_survives_resets_with_its_generation(host):
    pump = host()
    pump.world.sleep(500.0)
    canonical, result = pump.do(ProposeTherapyClock(1, 2_000_000_000, -12_600))
    assert canonical == ProposeTherapyClock(1, 2_000_000_000, -12_600)
    assert result.state == protocol.CommandState.DONE
    pump.world.sleep(100.0)
    pump.pump.reboot()
    pump.world.sleep(200.0)
    clock = pump.ask(TherapyClockRequest())
    assert (clock.utc_offset_s, clock.generation) == (-12_600, 1)
    assert clock.utc_s == 2_000_000_300
    assert math.isclose(clock.device_time_us, 200e6, abs_tol=50_000)
    pump.do(ProposeTherapyClock(2, 0, 50_400))
    clock = pump.ask(TherapyClockRequest())
    assert (clock.utc_s, clock.utc_offset_s, clock.generation) == (0, 50_400, 2)
    codes = [(event.code, event.argument) for event in pump.hear(0.1) if event.code == EventCode.CLOCK_SET]
    assert codes == [(EventCode.CLOCK_SET, 1), (EventCode.CLOCK_SET, 2)]


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (ProposeTherapyClock(1, -1, 0), "utc_s below the limit 0 s"),
        (ProposeTherapyClock(1, 1 << 40, 0), "utc_s above the limit 2.53402e+11 s"),
        (ProposeTherapyClock(1, 0, -43_201), "utc_offset_s below the limit -43200 s"),
        (ProposeTherapyClock(1, 0, 50_401), "utc_offset_s above the limit 50400 s"),
    ],
)
def test_a_therapy_clock_that_no_calendar_has_is_refused(host, request_, detail):
    nak = host().ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, detail)
