"""What the pump answers: who it is, how it stands, and why it refuses."""

import math

import pytest

import protocol
from protocol import Mode, NakReason, ProposeBolus, ProposeCalibration, ProposeContinuous


def test_hello_says_who_it_is(host):
    hello = host().ask(protocol.HelloRequest(1, 0, 42))
    assert (hello.model, hello.serial_number, hello.boot_id) == ("implantable-20ml", "P-1", 1)
    assert (hello.protocol_major, hello.schema_hash) == (protocol.PROTOCOL_MAJOR, protocol.SCHEMA_HASH)
    assert (hello.last_command_id, hello.mtu) == (0, 512)


def test_a_fresh_pump_stands_still_and_full(host):
    status = host().status()
    assert (status.mode, status.alarms, status.rate_ul_per_h, status.steps) == (Mode.STOPPED, 0, 0.0, 0)
    assert (status.delivered_ul, status.reservoir_ul, status.step_volume_nl) == (0.0, 20_000.0, 10.0)
    assert (status.head_temperature_c, status.battery_mv) == (37.0, 2850)


@pytest.mark.parametrize("rate_ul_per_h", [2.0, 123.4567, 999.9999, 1000.0])
def test_the_canonical_rate_is_the_one_the_timer_gives(host, rate_ul_per_h):
    pump = host()
    canonical, result = pump.do(ProposeContinuous(1, rate_ul_per_h, 0))
    assert canonical.rate_ul_per_h == pytest.approx(rate_ul_per_h, rel=2e-5)
    assert 2.0 <= canonical.rate_ul_per_h <= 1000.0
    assert result.state == protocol.CommandState.RUNNING
    start = pump.status()
    assert (start.mode, start.rate_ul_per_h, start.active_command_id) == (Mode.CONTINUOUS, canonical.rate_ul_per_h, 1)
    pump.world.sleep(7200.0)
    end = pump.status()
    hours = (end.device_time_us - start.device_time_us) / 3.6e9
    assert end.delivered_ul - start.delivered_ul == pytest.approx(canonical.rate_ul_per_h * hours, abs=0.011)
    assert end.delivered_ul == end.steps * 10e-3


def test_what_is_canonical_stays_canonical(host):
    pump = host()
    once, _ = pump.do(ProposeContinuous(1, 777.7, 0))
    twice, _ = pump.do(ProposeContinuous(2, once.rate_ul_per_h, 0))
    assert once.rate_ul_per_h == twice.rate_ul_per_h


def test_a_changed_step_volume_changes_the_step_rate_and_so_the_flow(host):
    pump = host()
    pump.do(ProposeCalibration(1, 9.0))
    pump.do(ProposeContinuous(2, 900.0, 0))
    pump.world.sleep(3600.0)
    assert pump.status().steps == pytest.approx(100_000, abs=2)


def test_a_rate_that_would_be_realised_above_the_limit_is_rounded_below_it(host):
    pump = host()
    pump.do(ProposeCalibration(1, 10.0137))
    highest, _ = pump.do(ProposeContinuous(2, 1000.0, 0))
    assert 999.9 < highest.rate_ul_per_h <= 1000.0


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (ProposeContinuous(1, math.nan, 0), "rate_ul_per_h is no finite number"),
        (ProposeContinuous(1, math.inf, 0), "rate_ul_per_h is no finite number"),
        (ProposeContinuous(1, 1.999, 0), "rate_ul_per_h below the limit 2 uL/h"),
        (ProposeContinuous(1, 0.0, 0), "rate_ul_per_h below the limit 2 uL/h"),
        (ProposeContinuous(1, 1000.1, 0), "rate_ul_per_h above the limit 1000 uL/h"),
        (ProposeContinuous(1, -5.0, 0), "rate_ul_per_h below the limit 2 uL/h"),
        (ProposeBolus(1, math.nan, 0.0), "volume_ul is no finite number"),
        (ProposeBolus(1, -1.0, 0.0), "volume_ul below the limit 0 uL"),
        (ProposeBolus(1, 0.004, 0.0), "volume_ul below one step of 10 nL"),
        (ProposeBolus(1, 1000.1, 0.0), "volume_ul above the limit 1000 uL"),
        (ProposeBolus(1, 10.0, math.nan), "rate_ul_per_h is no finite number"),
        (ProposeBolus(1, 10.0, 1.0), "rate_ul_per_h below the limit 2 uL/h"),
        (ProposeCalibration(1, 7.99), "step_volume_nl below the limit 8 nL"),
        (ProposeCalibration(1, 12.01), "step_volume_nl above the limit 12 nL"),
        (ProposeCalibration(1, -math.inf), "step_volume_nl is no finite number"),
        (protocol.Subscribe(9, 1000), "stream 9 is unknown"),
    ],
)
def test_what_is_out_of_range_is_refused_by_its_limit_and_changes_nothing(host, request_, detail):
    pump = host()
    memory = pump.pump._nvram.memory
    nak = pump.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, detail)
    assert pump.pump._nvram.memory is memory
    status = pump.status()
    assert (status.mode, status.last_command_id, status.steps) == (Mode.STOPPED, 0, 0)


def test_calibration_is_written_read_back_and_keeps_the_one_before(host):
    pump = host()
    pump.do(ProposeCalibration(1, 10.5))
    pump.do(ProposeCalibration(2, 9.75))
    assert pump.ask(protocol.CalibrationRequest()) == protocol.Calibration(9.75, 10.5, 10.0, 2)
    assert pump.status().step_volume_nl == 9.75


def test_delivered_volume_and_reservoir_keep_what_was_counted_before_a_calibration(host):
    pump = host()
    pump.do(ProposeBolus(1, 100.0, 0.0))
    pump.world.sleep(3600.0)
    pump.do(ProposeCalibration(2, 12.0))
    pump.do(ProposeBolus(3, 60.0, 0.0))
    pump.world.sleep(3600.0)
    status = pump.status()
    assert status.steps == 10_000 + 5_000
    assert status.delivered_ul == pytest.approx(160.0)
    assert status.reservoir_ul == pytest.approx(20_000.0 - 160.0)


def test_calibration_is_refused_while_the_motor_runs(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    nak = pump.ask(ProposeCalibration(2, 10.5))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "calibration is written only while stopped")


@pytest.mark.parametrize("request_", [ProposeContinuous(2, 100.0, 0), ProposeBolus(2, 1.0, 0.0)])
def test_nothing_is_proposed_on_top_of_a_bolus(host, request_):
    pump = host()
    pump.do(ProposeBolus(1, 100.0, 0.0))
    nak = pump.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.BUSY, "bolus 1 is under way")


def test_device_time_and_steps_follow_a_fast_crystal(host):
    """A clock 1000 ppm fast counts 1.001 s a second, and the motor steps with it."""
    pump = host(clock_error_ppm=1000.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    start, start_s = pump.status(), pump.world.monotonic()
    pump.world.sleep(36_000.0)
    end = pump.status()
    seconds = pump.world.monotonic() - start_s
    assert (end.device_time_us - start.device_time_us) / 1e6 == pytest.approx(1.001 * seconds, rel=1e-6)
    assert (end.steps - start.steps) * 0.036 == pytest.approx(1.001 * seconds, abs=0.08)


def test_no_bytes_whatever_bring_the_pump_down(host):
    pump = host()
    for data in (b"\x00" * 100, b"garbage", bytes(range(256)) * 20, b"\x00\x01\x00\x02\x03\x00"):
        pump.port.host.write(data)
    pump.world.sleep(1.0)
    assert pump.status().mode == Mode.STOPPED
