"""The telemetry switch: infusion waits for a magnet and is handed back to what ran, or an alarm says it was not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    Mode,
    NakReason,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeTherapyClock,
    ProposeTrial,
    Severity,
)
from protocol.profile import load_model

RETURN_S = 60.0 * load_model("implantable-20ml").telemetry_return_min
HOUR_S = 3600.0
BASAL = ProposeContinuous(1, 100.0, 0)
RUNS = {
    "continuous": BASAL,
    "bolus": ProposeBolus(2, 10.0, 100.0),
    "bridge": ProposeBridge(2, 10.0, 100.0, 50.0, 0),
    "trial": ProposeTrial(2, 100.0, 360, 0),
}
PER_EXAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes(pump):
    return [(record.code, record.argument) for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]


def test_a_magnet_suspends_infusion_and_its_going_hands_it_back(host):
    pump = host()
    pump.do(BASAL)
    pump.world.sleep(600.0)
    pump.pump.upkeep.close_switch()
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.active_command_id) == (Mode.TELEMETRY, 0.0, 1)
    pump.world.sleep(600.0)
    assert pump.status().steps == status.steps
    pump.pump.upkeep.open_switch()
    assert (pump.status().mode, pump.status().rate_ul_per_h) == (Mode.CONTINUOUS, 100.0)
    pump.world.sleep(600.0)
    assert pump.result(1).delivered_high_ul == pytest.approx(100.0 / 3.0, abs=0.05)
    assert codes(pump)[-2:] == [(EventCode.SUSPENDED, 1), (EventCode.RESUMED, 1)]


@pytest.mark.parametrize("name", RUNS)
@PER_EXAMPLE
@given(waits=st.lists(st.tuples(st.floats(0.0, 200.0), st.floats(0.0, 400.0)), min_size=1, max_size=5))
def test_what_was_suspended_gives_its_volume_no_more_and_no_less(host, name, waits):
    pump = host()
    pump.do(RUNS[name])
    for runs_s, waits_s in waits:
        pump.world.sleep(runs_s)
        pump.pump.upkeep.close_switch()
        pump.world.sleep(waits_s)
        pump.pump.upkeep.open_switch()
    pump.world.sleep(400.0)
    least_ul = pump.head.counted_steps(pump.world.now_ns) * 0.01
    result = pump.result(RUNS[name].command_id)
    truth_ul = pump.head.counted_steps(pump.world.now_ns) * 0.01
    assert least_ul - 1e-9 <= result.delivered_low_ul == result.delivered_high_ul <= truth_ul + 1e-9
    if name in ("bolus", "trial"):
        assert (result.state, truth_ul) == (CommandState.DONE, pytest.approx(10.0))


def test_a_bolus_and_what_waits_beneath_it_are_both_handed_back(host):
    pump = host()
    pump.do(BASAL)
    pump.do(ProposeBolus(2, 10.0, 1000.0))
    pump.world.sleep(10.0)
    pump.pump.upkeep.close_switch()
    pump.world.sleep(100.0)
    assert pump.result(2).state == CommandState.RUNNING
    pump.pump.upkeep.open_switch()
    assert pump.status().mode == Mode.BOLUS
    pump.world.sleep(30.0)
    assert (pump.result(2).state, pump.status().mode) == (CommandState.DONE, Mode.CONTINUOUS)


def test_while_it_waits_nothing_else_is_started(host):
    pump = host()
    pump.do(BASAL)
    proposal = pump.propose(ProposeBolus(2, 10.0, 0.0))
    pump.pump.upkeep.close_switch()
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    nak = pump.propose(ProposeBolus(3, 10.0, 0.0))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "infusion is suspended for telemetry")
    pump.do(ProposeTherapyClock(3, 1_800_000_000, 3600))
    assert pump.status().mode == Mode.TELEMETRY


def test_a_switch_that_sticks_is_an_alarm_in_time_and_then_a_pump_that_stood_too_long(host):
    pump = host()
    pump.do(BASAL)
    pump.pump.upkeep.let_switch_stick(True)
    pump.pump.upkeep.close_switch()
    pump.pump.upkeep.open_switch()
    pump.world.sleep(RETURN_S - 1.0)
    assert (pump.status().mode, pump.status().alarms) == (Mode.TELEMETRY, 0)
    pump.world.sleep(2.0)
    assert pump.alarms()[Alarm.NOT_RESUMED].severity == Severity.CRITICAL
    pump.world.sleep(48 * HOUR_S)
    assert pump.status().alarms == Alarm.NOT_RESUMED | Alarm.STOPPED_TOO_LONG
    assert [code for code, _ in codes(pump)][-3:] == [
        EventCode.SUSPENDED,
        EventCode.NOT_RESUMED,
        EventCode.STOPPED_TOO_LONG,
    ]


@pytest.mark.parametrize("reset", ["reboot", "hang", "power"])
def test_a_reset_in_telemetry_mode_resumes_infusion(host, reset):
    pump = host()
    pump.do(BASAL)
    pump.world.sleep(60.0)
    pump.pump.upkeep.let_switch_stick(True)
    pump.pump.upkeep.close_switch()
    pump.world.sleep(2 * RETURN_S)
    steps = pump.status().steps
    if reset == "reboot":
        pump.pump.reboot()
    elif reset == "hang":
        pump.pump.hang()
    else:
        pump.pump.cut_power(5.0)
    pump.world.sleep(10.0)
    pump.forget()
    status = pump.status()
    assert (status.mode, status.alarms) == (Mode.CONTINUOUS, 0)
    assert steps < status.steps < steps + 100
    result = pump.result(1)
    assert result.delivered_low_ul == result.delivered_high_ul


def test_stop_ends_what_waits_and_the_switch_does_nothing_then(host):
    pump = host()
    pump.do(BASAL)
    pump.world.sleep(60.0)
    pump.pump.upkeep.close_switch()
    pump.stop()
    assert (pump.status().mode, pump.result(1).state) == (Mode.STOPPED, CommandState.STOPPED)
    pump.pump.upkeep.open_switch()
    pump.pump.upkeep.close_switch()
    assert pump.status().mode == Mode.STOPPED
    pump.world.sleep(2 * RETURN_S)
    assert pump.status().alarms == 0
