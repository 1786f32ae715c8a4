"""Power goes while a therapy is being written: the old one, the new one, or a pump that stands and says why."""

import pytest

import protocol
from firmware_mock.firmware.flash import PROGRAM_NS
from firmware_mock.firmware.programming_mark import MARK_BYTES
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    Commit,
    FlexStep,
    Mode,
    NakReason,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePrime,
    ProposeTherapyClock,
    ProposeTrial,
    Severity,
    TherapyRequest,
)

OFF_S = 3.0
IN_THE_FIRST_SLOT_NS = 15_000_000
THERAPIES = {
    "continuous": ProposeContinuous(3, 50.0, 0),
    "minimum rate": ProposeMinimumRate(3, 0.0, 0),
    "flex": ProposeFlex(3, 0, (FlexStep(127, 0, 20.0), FlexStep(127, 720, 30.0))),
    "bridge": ProposeBridge(3, 10.0, 10.0, 20.0, 0),
    "trial": ProposeTrial(3, 10.0, 3600, 0),
}


def cut_in_commit(pump, request, into_ns):
    """Power goes so long after the COMMIT has reached the pump."""
    proposal = pump.propose(request)
    starts_ns = []
    flash, before_work = pump.pump._nvram._flash, pump.pump._nvram._flash.before_work

    def at_work(begin_ns, end_ns):
        if not starts_ns:
            starts_ns.append(begin_ns)
            pump.pump.cut_power_at(begin_ns + into_ns, OFF_S)
        before_work(begin_ns, end_ns)

    flash.before_work = at_work
    pump.send(Commit(proposal.command_id, proposal.token, proposal.digest))
    pump.world.sleep(OFF_S + 1.0)
    flash.before_work = before_work
    pump.forget()
    return proposal


@pytest.fixture
def running(host):
    """A pump that gives 100 µL/h and whose therapy clock is set."""

    def build():
        pump = host()
        pump.do(ProposeTherapyClock(1, 0, 0))
        pump.do(ProposeContinuous(2, 100.0, 0))
        pump.world.sleep(360.0)
        return pump

    return build


@pytest.fixture
def interrupted(running):
    """The same, after power went in the writing of another therapy."""
    pump = running()
    cut_in_commit(pump, THERAPIES["continuous"], IN_THE_FIRST_SLOT_NS)
    return pump


@pytest.mark.parametrize("name", THERAPIES)
def test_the_pump_stands_with_a_critical_alarm_and_runs_neither(running, name):
    pump = running()
    proposal = cut_in_commit(pump, THERAPIES[name], IN_THE_FIRST_SLOT_NS)
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h) == (Mode.STOPPED, 0.0)
    assert status.alarms == Alarm.PROGRAMMING_INTERRUPTED
    entry = pump.alarms()[Alarm.PROGRAMMING_INTERRUPTED]
    assert (entry.severity, entry.active, entry.acknowledged) == (Severity.CRITICAL, 1, 0)
    before = pump.head.counted_steps(pump.world.now_ns)
    pump.world.sleep(3600.0)
    assert pump.head.counted_steps(pump.world.now_ns) == before
    result = pump.result(3)
    assert (result.state, result.delivered_high_ul, result.token) == (CommandState.INTERRUPTED, 0.0, proposal.token)
    codes = [record.code for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]
    assert protocol.EventCode.PROGRAMMING_INTERRUPTED in codes


def test_the_old_therapy_is_known_and_told(interrupted):
    result = interrupted.result(2)
    assert result.state == CommandState.INTERRUPTED
    assert result.delivered_low_ul <= 10.0 + 0.02
    assert result.delivered_high_ul >= 10.0
    assert interrupted.ask(TherapyRequest()).command_id == 0
    doses = interrupted.pull(BulkReader(BulkObject.DOSE_HISTORY))
    assert [(dose.command_id, dose.state) for dose in doses] == [(2, CommandState.INTERRUPTED)]


def test_every_instant_of_the_writing_leaves_the_old_the_new_or_a_pump_that_stands(running):
    seen = []
    for into_ns in [*range(0, (MARK_BYTES + 3) * PROGRAM_NS, 3 * PROGRAM_NS), *range(2_000_000, 80_000_000, 1_000_000)]:
        pump = running()
        cut_in_commit(pump, THERAPIES["continuous"], into_ns)
        status = pump.status()
        seen.append((status.mode, status.active_command_id, status.alarms))
    old, stands, new = (
        (Mode.CONTINUOUS, 2, 0),
        (Mode.STOPPED, 0, Alarm.PROGRAMMING_INTERRUPTED),
        (Mode.CONTINUOUS, 3, 0),
    )
    olds, stood = seen.count(old), seen.count(stands)
    assert 0 < olds <= MARK_BYTES / 3 + 1
    assert stood > 20
    assert seen == [old] * olds + [stands] * stood + [new] * (len(seen) - olds - stood)
    assert seen[-1] == new


def test_it_stays_so_through_resets(interrupted):
    for _ in range(2):
        interrupted.pump.reboot()
        interrupted.forget()
        assert interrupted.status().alarms == Alarm.PROGRAMMING_INTERRUPTED
        interrupted.pump.cut_power(OFF_S)
        interrupted.world.sleep(OFF_S + 1.0)
        interrupted.forget()
        assert interrupted.status().mode == Mode.STOPPED
    assert interrupted.status().alarms == Alarm.PROGRAMMING_INTERRUPTED


def test_the_next_therapy_ends_it(interrupted):
    assert interrupted.ask(ProposeContinuous(3, 50.0, 0)).reason == NakReason.STALE_COMMAND_ID
    interrupted.do(ProposeContinuous(4, 50.0, 0))
    status = interrupted.status()
    assert (status.mode, status.alarms) == (Mode.CONTINUOUS, 0)
    interrupted.pump.reboot()
    interrupted.forget()
    assert interrupted.status().active_command_id == 4


def test_no_bolus_is_given_until_a_therapy_or_stop_ends_it(interrupted):
    for request in (ProposeBolus(4, 1.0, 0.0), ProposePrime(4, 1.0, 0.0)):
        assert interrupted.ask(request).reason == NakReason.WRONG_STATE
    interrupted.stop()
    interrupted.do(ProposeBolus(4, 1.0, 0.0))
    assert interrupted.status().mode == Mode.BOLUS


def test_stop_and_somebody_who_has_seen_it_end_it(interrupted):
    interrupted.ask(AcknowledgeAlarms(Alarm.PROGRAMMING_INTERRUPTED, 0))
    assert interrupted.status().alarms == Alarm.PROGRAMMING_INTERRUPTED
    interrupted.stop()
    assert interrupted.status().alarms == 0
    assert Alarm.PROGRAMMING_INTERRUPTED not in interrupted.alarms()
    interrupted.pump.reboot()
    interrupted.forget()
    assert interrupted.status().alarms == 0


def test_after_stop_alone_it_stays_on_the_list(interrupted):
    interrupted.stop()
    entry = interrupted.alarms()[Alarm.PROGRAMMING_INTERRUPTED]
    assert (entry.active, entry.acknowledged) == (0, 0)


def test_a_bolus_interrupted_in_its_writing_leaves_the_therapy_running(running):
    pump = running()
    cut_in_commit(pump, ProposeBolus(3, 5.0, 0.0), IN_THE_FIRST_SLOT_NS)
    status = pump.status()
    assert (status.mode, status.active_command_id, status.alarms) == (Mode.CONTINUOUS, 2, 0)
    assert pump.result(3).state == CommandState.UNKNOWN


def test_the_first_therapy_of_all_is_no_exception(host):
    pump = host()
    cut_in_commit(pump, ProposeContinuous(1, 50.0, 0), IN_THE_FIRST_SLOT_NS)
    assert (pump.status().mode, pump.status().alarms) == (Mode.STOPPED, Alarm.PROGRAMMING_INTERRUPTED)
