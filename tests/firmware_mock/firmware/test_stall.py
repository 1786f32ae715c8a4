"""A stalled motor: no step that the encoder did not see counts, what was to be given has failed, and all are told."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firmware_mock.world import to_ns
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    FlexStep,
    Mode,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposePrime,
    ProposeTherapyClock,
    ProposeTrial,
    Severity,
)

CHECK_S = 1200.0
BASAL = ProposeContinuous(1, 100.0, 0)
ENDING = {
    "bolus": ProposeBolus(2, 10.0, 0.0),
    "prime": ProposePrime(2, 10.0, 0.0),
    "bridge": ProposeBridge(2, 10.0, 1000.0, 10.0, 0),
    "trial": ProposeTrial(2, 1000.0, 36, 0),
}
PER_EXAMPLE = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def events(pump):
    return [(record.code, record.argument) for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]


def codes(pump):
    return [code for code, _ in events(pump)]


@pytest.mark.parametrize("request_", ENDING.values(), ids=ENDING)
def test_a_dose_whose_steps_were_not_all_seen_has_failed_with_those_that_were(host, truth, request_):
    pump = host()
    made = truth(pump)
    pump.do(request_)
    pump.world.sleep(20.0)
    pump.head.stall()
    pump.world.sleep(30.0)
    result = pump.result(2)
    assert result.state == CommandState.FAILED
    steps = made.steps()[2]
    assert 0 < steps < 1000
    assert result.delivered_low_ul == result.delivered_high_ul == pytest.approx(steps * 0.01)
    assert pump.status().steps == pump.head.counted_steps(pump.world.now_ns) == steps
    entry = pump.alarms()[Alarm.MOTOR_STALL]
    assert (entry.severity, entry.active, entry.times) == (Severity.CRITICAL, 1, 1)
    assert events(pump)[2:] == [(EventCode.MOTOR_STALL, Alarm.MOTOR_STALL), (EventCode.COMMAND_FAILED, 2)]
    [dose] = pump.pull(BulkReader(BulkObject.DOSE_HISTORY))
    assert (dose.command_id, dose.state) == (2, CommandState.FAILED)
    assert pump.status().mode == Mode.STOPPED


def test_a_failed_bolus_hands_back_to_the_therapy_and_the_alarm_ends_when_that_was_seen_to_turn(host):
    pump = host()
    pump.do(BASAL)
    pump.do(ENDING["bolus"])
    pump.world.sleep(20.0)
    pump.head.stall()
    pump.world.sleep(30.0)
    status = pump.status()
    assert (status.mode, status.active_command_id, status.alarms) == (Mode.CONTINUOUS, 1, Alarm.MOTOR_STALL)
    pump.world.sleep(CHECK_S - 60.0)
    assert pump.status().alarms == Alarm.MOTOR_STALL
    pump.world.sleep(60.0)
    assert pump.status().alarms == 0
    assert codes(pump)[-3:] == [EventCode.MOTOR_STALL, EventCode.COMMAND_FAILED, EventCode.MOTOR_RESTARTED]


def test_a_bolus_seen_to_its_end_ends_the_alarm_of_the_one_before(host):
    pump = host()
    pump.do(ENDING["bolus"])
    pump.head.stall()
    pump.world.sleep(60.0)
    assert pump.status().alarms == Alarm.MOTOR_STALL
    pump.pump.reboot()
    pump.forget()
    assert pump.status().alarms == Alarm.MOTOR_STALL
    pump.do(ProposeBolus(3, 1.0, 0.0))
    pump.world.sleep(60.0)
    assert (pump.result(3).state, pump.status().alarms) == (CommandState.DONE, 0)


def test_a_held_rotor_turns_for_nobody_until_it_is_freed(host):
    pump = host()
    pump.head.stall(held=True)
    pump.do(BASAL)
    pump.do(ENDING["bolus"])
    pump.world.sleep(60.0)
    assert pump.result(2).state == CommandState.FAILED
    pump.world.sleep(3 * CHECK_S)
    assert (pump.status().steps, pump.status().alarms) == (0, Alarm.MOTOR_STALL)
    pump.head.free()
    pump.world.sleep(CHECK_S)
    assert (pump.status().alarms, pump.status().mode) == (0, Mode.CONTINUOUS)
    assert pump.result(1).delivered_high_ul == pytest.approx(CHECK_S / 3600.0 * 100.0, abs=0.02)


@PER_EXAMPLE
@example(after_s=1783.0, lasts_s=1800.0, rate=2.0)
@given(st.floats(0.5, 5000.0), st.floats(1.0, 9000.0), st.sampled_from([2.0, 20.0, 1000.0]))
def test_a_stall_of_basal_is_found_after_one_to_two_looks_and_its_end_by_the_next(host, after_s, lasts_s, rate):
    """Against a firmware that really looks at every interval."""
    pump = host()
    began_s = pump.world.monotonic()
    pump.do(ProposeContinuous(1, rate, 0))
    began_ns = pump.pump._motor.began_ns
    pump.world.at(to_ns(began_s + after_s), lambda: pump.head.stall(held=True))
    pump.world.at(to_ns(began_s + after_s + lasts_s), pump.head.free)
    seen, stalled, told = 0, False, []
    for number in range(1, 15):
        pump.world.run_until(began_ns + number * to_ns(CHECK_S))
        steps = pump.head.counted_steps(pump.world.now_ns)
        if (steps == seen) != stalled:
            stalled = not stalled
            told.append(stalled)
        assert pump.status().alarms & Alarm.MOTOR_STALL == (Alarm.MOTOR_STALL if stalled else 0)
        seen = steps
    log = [code for code in codes(pump) if code in (EventCode.MOTOR_STALL, EventCode.MOTOR_RESTARTED)]
    assert log == [EventCode.MOTOR_STALL if was else EventCode.MOTOR_RESTARTED for was in told]
    assert bool(told) or lasts_s < 2 * CHECK_S
    assert pump.result(1).delivered_high_ul == pytest.approx(pump.status().steps * 0.01, abs=0.011)


def test_a_step_of_flex_that_ends_while_the_rotor_stands_ends_no_stall(host):
    """It made steps for the first ten minutes of the hour, and stands into the next and beyond."""
    pump = host()
    pump.do(ProposeTherapyClock(1, 0, 0))
    pump.do(ProposeFlex(2, 0, tuple(FlexStep(127, 60 * hour, 50.0 + hour) for hour in range(24))))
    pump.world.sleep(600.0)
    pump.head.stall(held=True)
    pump.world.sleep(2 * CHECK_S)
    assert pump.status().alarms == Alarm.MOTOR_STALL
    for _ in range(4):
        pump.world.sleep(1800.0)
        assert pump.status().alarms == Alarm.MOTOR_STALL
    assert EventCode.MOTOR_RESTARTED not in codes(pump)
    pump.head.free()
    pump.world.sleep(CHECK_S)
    assert (pump.status().alarms, codes(pump)[-1]) == (0, EventCode.MOTOR_RESTARTED)


def test_a_bolus_that_stalls_and_turns_again_lacks_what_it_missed(host):
    pump = host()
    pump.do(ENDING["bolus"])
    pump.world.sleep(10.0)
    pump.head.stall()
    pump.world.sleep(5.0)
    pump.head.free()
    pump.world.sleep(60.0)
    result = pump.result(2)
    assert result.state == CommandState.FAILED
    assert result.delivered_low_ul == result.delivered_high_ul == pytest.approx(10.0 * 31.0 / 36.0, abs=0.02)
    assert pump.status().steps == round(100 * result.delivered_high_ul)


def test_a_stop_while_it_stalls_tells_what_was_seen(host):
    pump = host()
    pump.do(ENDING["bolus"])
    pump.world.sleep(10.0)
    pump.head.stall()
    pump.world.sleep(5.0)
    steps = pump.stop().steps
    result = pump.result(2)
    assert (result.state, round(100 * result.delivered_high_ul)) == (CommandState.STOPPED, steps)


def test_the_reservoir_is_watched_again_when_the_rotor_turns_again(host):
    pump = host(filled_ul=2_100.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    pump.world.sleep(180.0)
    pump.head.stall(held=True)
    pump.world.sleep(600.0)
    pump.head.free()
    pump.world.sleep(175.0)
    assert pump.status().alarms == 0
    pump.world.sleep(10.0)
    assert EventCode.LOW_RESERVOIR in codes(pump)


def test_a_motor_that_turns_costs_no_event_for_being_looked_at(host):
    pump = host()
    pump.do(ProposeContinuous(1, 50.0, 0))
    pump.hear(1.0)
    assert pump.world.next_event_ns() > to_ns(7 * 86_400.0)
