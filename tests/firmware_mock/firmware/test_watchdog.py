"""A firmware that hangs: the watchdog starts it anew, and until then the motor makes no step that is not reserved."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from firmware_mock.firmware.watchdog import TIMEOUT_S
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    Mode,
    ProposeBolus,
    ProposeContinuous,
    ResetCause,
    StatusRequest,
)

BLOCK = 100
BASAL = ProposeContinuous(1, 1000.0, 0)
PER_EXAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def after_reset(pump):
    pump.world.sleep(TIMEOUT_S + 0.01)
    pump.forget()


def test_it_hears_and_says_nothing_until_it_is_reset_and_says_why(host):
    pump = host()
    boot_id = pump.status().boot_id
    pump.pump.hang()
    pump.send(StatusRequest())
    pump.world.sleep(TIMEOUT_S - 0.01)
    assert pump.port.host.read(0.0) == b""
    pump.world.sleep(0.02)
    pump.forget()
    assert pump.status().boot_id == boot_id + 1
    assert pump.ask(protocol.FirmwareInformationRequest()).reset_cause == ResetCause.WATCHDOG
    newest = pump.pull(BulkReader(BulkObject.EVENT_LOG))[-1]
    assert (newest.code, newest.argument) == (EventCode.BOOT, ResetCause.WATCHDOG)


@PER_EXAMPLE
@given(st.floats(0.0, 20.0), st.sampled_from([10.0, 300.0, 1000.0]))
def test_a_bolus_is_interrupted_and_every_step_made_while_it_hung_is_counted(host, truth, after_s, rate):
    pump = host()
    made = truth(pump)
    pump.do(ProposeContinuous(1, 10.0, 0))
    pump.do(ProposeBolus(2, 3.0, rate))
    pump.world.sleep(after_s)
    was_done = pump.result(2).state == CommandState.DONE
    hung_ns = pump.world.now_ns
    reserved = pump.pump._nvram.reserved_now
    pump.pump.hang()
    pump.world.run_until(hung_ns + round(TIMEOUT_S * 1e9) - 1)
    assert pump.head.counted_steps(pump.world.now_ns) <= reserved
    after_reset(pump)
    result = pump.result(2)
    assert result.state == (CommandState.DONE if was_done else CommandState.INTERRUPTED)
    assert result.delivered_low_ul == result.delivered_high_ul
    assert round(100 * result.delivered_low_ul) == made.steps()[2] <= 300
    assert (pump.status().mode, pump.status().active_command_id) == (Mode.CONTINUOUS, 1)


@pytest.mark.parametrize("steps_left", [1, 5, 20])
def test_the_motor_stands_where_its_reservation_ends(host, steps_left):
    pump = host()
    pump.do(BASAL)
    pump.world.run_until(pump.head.counts_ns(3 * BLOCK - steps_left))
    pump.pump.hang()
    pump.world.sleep(TIMEOUT_S - 0.01)
    assert pump.head.counted_steps(pump.world.now_ns) == 3 * BLOCK
    after_reset(pump)
    assert pump.status().mode == Mode.CONTINUOUS
    assert pump.head.steps_per_s(pump.world.now_ns) > 0.0


def test_a_bolus_that_ends_while_it_hangs_gave_all_and_was_interrupted(host):
    pump = host()
    pump.do(ProposeBolus(1, 0.2, 1000.0))
    pump.pump.hang()
    after_reset(pump)
    result = pump.result(1)
    assert (result.state, result.delivered_low_ul) == (CommandState.INTERRUPTED, pytest.approx(0.2))
    pump.world.sleep(60.0)
    assert pump.status().steps == 20


def test_a_lease_and_a_token_do_not_outlive_the_reset(host):
    pump = host()
    pump.ask(protocol.LeaseRequest(0, 60_000, "test"))
    pump.do(ProposeContinuous(1, 100.0, 1))
    proposal = pump.propose(ProposeBolus(2, 1.0, 0.0))
    pump.pump.hang()
    after_reset(pump)
    assert pump.commit(proposal).reason == protocol.NakReason.BAD_TOKEN
    assert (pump.status().mode, pump.status().alarms) == (Mode.STOPPED, Alarm.LEASE_LOST)


@pytest.mark.parametrize("with_power", [True, False])
def test_a_reset_or_a_power_cut_is_quicker_than_the_watchdog(host, with_power):
    pump = host()
    pump.do(BASAL)
    pump.pump.hang()
    pump.world.sleep(0.2)
    if with_power:
        pump.pump.reboot()
    else:
        pump.pump.cut_power(0.1)
        pump.world.sleep(0.2)
    after_reset(pump)
    assert pump.status().boot_id == 2
    cause = pump.ask(protocol.FirmwareInformationRequest()).reset_cause
    assert cause == (ResetCause.SOFTWARE if with_power else ResetCause.BROWN_OUT)
    assert pump.status().mode == Mode.CONTINUOUS


def test_what_hangs_already_or_has_no_power_does_not_hang(host):
    pump = host()
    pump.pump.hang()
    pump.world.sleep(0.5 * TIMEOUT_S)
    pump.pump.hang()
    pump.world.sleep(0.5 * TIMEOUT_S)
    pump.pump.cut_power(1.0)
    pump.pump.hang()
    after_reset(pump)
    assert pump.status().boot_id == 3


def test_telemetry_and_alarms_are_silent_while_it_hangs(host):
    pump = host(filled_ul=2_000.2)
    pump.do(BASAL)
    pump.ask(protocol.Subscribe(protocol.Stream.TELEMETRY, 100))
    pump.world.sleep(0.05)
    pump.port.host.read(0.0)
    pump.pump.hang()
    pump.world.sleep(TIMEOUT_S - 0.01)
    assert pump.port.host.read(0.0) == b""
    after_reset(pump)
    assert pump.status().alarms == Alarm.LOW_RESERVOIR
