"""Rotten memory: one slot is made good from the other, and with neither the pump stands still and says so."""

import pytest

import protocol
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    Commit,
    EventCode,
    Mode,
    NakReason,
    ProposeBolus,
    ProposeCalibration,
    ProposeContinuous,
    ProposeRefill,
    ProposeTherapyClock,
    SelfTestItem,
)


def rot(pump, *slots, octet=40):
    for slot in slots:
        pump.pump._nvram._slots[slot][octet] ^= 0x04


def restart(pump, *, with_power):
    if with_power:
        pump.pump.reboot()
    else:
        pump.pump.cut_power(10.0)
        pump.world.sleep(11.0)
        pump.forget()


@pytest.mark.parametrize("with_power", [True, False])
@pytest.mark.parametrize("slot", [0, 1])
def test_one_rotten_slot_costs_nothing_and_is_made_good(host, slot, with_power):
    pump = host()
    pump.do(ProposeCalibration(1, 10.5))
    pump.do(ProposeBolus(2, 1.0, 0.0))
    pump.world.sleep(60.0)
    for _ in range(2):
        rot(pump, slot)
        restart(pump, with_power=with_power)
        slot = 1 - slot
        status = pump.status()
        assert (status.alarms, status.last_command_id, status.step_volume_nl) == (0, 2, 10.5)
        assert pump.result(2).state == CommandState.DONE
        assert pump.ask(ProposeBolus(2, 1.0, 0.0)).reason == NakReason.STALE_COMMAND_ID


@pytest.mark.parametrize("slot", [0, 1])
def test_a_rotten_slot_is_found_before_the_other_is_erased(host, slot):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(60.0)
    rot(pump, slot)
    proposal = pump.propose(ProposeRefill(2, 10_000.0))
    pump.pump.cut_power_at(pump.world.now_ns + 10_000_000, 10.0)
    pump.send(Commit(2, proposal.token, proposal.digest))
    pump.world.sleep(20.0)
    pump.forget()
    status = pump.status()
    assert (status.mode, status.last_command_id, status.alarms) == (Mode.CONTINUOUS, 1, 0)


@pytest.fixture(params=[True, False], ids=["reset", "power cut"])
def lost(host, request):
    """A pump that ran, and whose memory is gone since."""
    pump = host()
    pump.do(ProposeContinuous(5, 100.0, 0))
    pump.do(ProposeBolus(6, 50.0, 0.0))
    pump.world.sleep(60.0)
    rot(pump, 0, 1)
    restart(pump, with_power=request.param)
    return pump


def test_with_both_slots_bad_it_stands_still_and_gives_alarm(lost):
    steps = lost.head.counted_steps(lost.world.now_ns)
    lost.world.sleep(86_400.0)
    assert lost.head.counted_steps(lost.world.now_ns) == steps
    status = lost.status()
    assert (status.mode, status.rate_ul_per_h, status.alarms) == (Mode.STOPPED, 0.0, Alarm.MEMORY_ERROR)
    entry = lost.alarms()[Alarm.MEMORY_ERROR]
    assert (entry.severity, entry.active) == (protocol.Severity.CRITICAL, 1)
    records = lost.pull(BulkReader(BulkObject.EVENT_LOG))
    assert [r.code for r in records[-2:]] == [EventCode.BOOT, EventCode.MEMORY_ERROR]
    assert records[-1].argument == Alarm.MEMORY_ERROR


def test_with_both_slots_bad_nothing_is_made_up(lost):
    status = lost.status()
    assert (status.step_volume_nl, status.reservoir_ul, status.last_command_id) == (0.0, 0.0, 0)
    assert lost.ask(protocol.CalibrationRequest()).step_volume_nl == 0.0
    assert lost.ask(protocol.TherapyRequest()) == protocol.Therapy(0, 0, b"")
    assert lost.ask(protocol.SelfTestRequest(SelfTestItem.MEMORY)).failed == SelfTestItem.MEMORY


@pytest.mark.parametrize(
    "request_",
    [
        ProposeContinuous(7, 100.0, 0),
        ProposeBolus(7, 1.0, 0.0),
        ProposeCalibration(7, 10.0),
        ProposeRefill(7, 20_000.0),
        ProposeTherapyClock(7, 0, 0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_with_both_slots_bad_it_doses_nothing_and_takes_no_setting(lost, request_):
    nak = lost.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "memory lost; the pump must be programmed anew")


def test_with_both_slots_bad_any_dose_is_uncertain(lost):
    for command_id in (1, 6, 10**12):
        assert lost.result(command_id).state == CommandState.FORGOTTEN
        assert lost.ask(Commit(command_id, 1, bytes(8))).state == CommandState.FORGOTTEN
    assert lost.result(0).state == CommandState.UNKNOWN
    assert lost.stop().steps == lost.status().steps


def test_with_both_slots_bad_it_stays_so_with_boot_ids_that_differ(lost):
    boots = [lost.ask(protocol.HelloRequest(1, 0, 1)).boot_id]
    for with_power in (True, False):
        restart(lost, with_power=with_power)
        boots.append(lost.ask(protocol.HelloRequest(1, 0, 1)).boot_id)
        assert lost.status().alarms == Alarm.MEMORY_ERROR
    assert boots == [2, 3, 4]
