"""What the pump keeps for later: events, calibrations and doses, frozen for reading, through resets and overwriting."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from protocol import (
    BulkObject,
    BulkOpen,
    BulkRead,
    BulkReader,
    CommandState,
    EventCode,
    NakReason,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeTherapyClock,
)


def log(pump, *, first_index=0):
    return pump.pull(BulkReader(BulkObject.EVENT_LOG, first_index=first_index))


def test_the_log_holds_what_was_announced(host):
    pump = host(filled_ul=2_000.5)
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.do(ProposeBolus(2, 1.0, 0.0))
    pump.world.sleep(60.0)
    pump.stop()
    pump.pump.reboot()
    announced = [note for note in pump.hear(1.0) if isinstance(note, protocol.Event)]
    records = log(pump)
    assert [(r.device_time_us, r.code, r.argument) for r in records] == [
        (event.device_time_us, event.code, event.argument) for event in announced
    ]
    assert (EventCode.LOW_RESERVOIR, protocol.Alarm.LOW_RESERVOIR) in [(r.code, r.argument) for r in records]
    assert [r.index for r in records] == list(range(len(records)))
    assert [r.boot_id for r in records] == [1] * (len(records) - 2) + [2, 2]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 700), min_size=1, max_size=4), st.integers(0, 1500), st.data())
def test_no_event_is_lost_before_a_thousand_newer_ones_and_none_comes_twice(host, bursts, first_index, data):
    """Bursts of self-tests with resets in between, read in pieces, one of them interrupted by a reset."""
    pump = host()
    written = 1
    for burst in bursts:
        for _ in range(burst):
            assert pump.ask(protocol.SelfTestRequest(protocol.SelfTestItem.BATTERY)).failed == 0
            pump.notes.clear()
        pump.pump.reboot()
        written += burst + 1
    reader = BulkReader(BulkObject.EVENT_LOG, first_index=min(first_index, written))
    for _ in range(data.draw(st.integers(0, 60))):
        if (request := reader.request()) is not None:
            pump.take(reader, request)
    is_complete = reader.request() is None
    if not is_complete:
        pump.pump.reboot()
        written += 1
    records = pump.pull(reader)
    indices = [record.index for record in records]
    if indices:
        assert indices == list(range(indices[0], written))
        assert indices[0] <= max(min(first_index, written), written - 1000)
    assert [r.index for r in log(pump, first_index=max(0, written - 5))] == list(range(max(0, written - 5), written))
    boots = sum(record.code == EventCode.BOOT for record in log(pump))
    assert boots == len(bursts) + 1 + (not is_complete) or written > 1024


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 9), st.integers(0, 29), st.integers(0, 7))
def test_damage_in_memory_costs_one_record_and_shows_which(host, index, octet, bit):
    """The CRC is of what was stored, not of what has become of it."""
    pump = host()
    for command_id in range(1, 10):
        pump.do(ProposeTherapyClock(command_id, command_id, 0))
    sound = log(pump)
    sealed = bytearray(pump.pump._nvram.events._sealed[index])
    sealed[octet] ^= 1 << bit
    pump.pump._nvram.events._sealed[index] = bytes(sealed)
    reader = BulkReader(BulkObject.EVENT_LOG)
    assert pump.pull(reader) == sound[:index] + sound[index + 1 :]
    assert reader.damaged == (index,)


def test_a_snapshot_stays_as_it_was_while_the_log_goes_on(host):
    pump = host()
    for command_id in range(1, 30):
        pump.do(ProposeTherapyClock(command_id, command_id, 0))
    information = pump.ask(BulkOpen(BulkObject.EVENT_LOG, 0))
    first = pump.ask(BulkRead(information.snapshot_id, 0, 500))
    pump.do(ProposeTherapyClock(100, 0, 0))
    pump.hello(99)
    assert pump.ask(BulkRead(information.snapshot_id, 0, 500)) == first
    assert information.records == 30


def test_a_snapshot_is_gone_after_a_reset_and_after_another_was_opened(host):
    pump = host()
    seen = set()
    for _ in range(3):
        for _ in range(2):
            information = pump.ask(BulkOpen(BulkObject.EVENT_LOG, 0))
            assert information.snapshot_id not in seen
            for gone in seen:
                assert pump.ask(BulkRead(gone, 0, 10)).reason == NakReason.NO_SNAPSHOT
            seen.add(information.snapshot_id)
        pump.pump.reboot()
        nak = pump.ask(BulkRead(information.snapshot_id, 0, 10))
        assert (nak.reason, nak.detail) == (NakReason.NO_SNAPSHOT, f"snapshot {information.snapshot_id} is gone")


def test_what_lies_beyond_the_end_is_refused_and_at_the_end_is_nothing(host):
    pump = host()
    information = pump.ask(BulkOpen(BulkObject.EVENT_LOG, 0))
    assert pump.ask(BulkRead(information.snapshot_id, information.size_bytes, 10)).data == b""
    assert pump.ask(BulkRead(information.snapshot_id, information.size_bytes + 1, 10)).reason == NakReason.OUT_OF_RANGE
    nothing = pump.ask(BulkOpen(BulkObject.EVENT_LOG, 50))
    assert (nothing.records, nothing.first_index) == (0, 1)
    nak = pump.ask(BulkOpen(9, 0))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, "bulk object 9 is unknown")


def test_calibrations_and_doses_have_histories_of_their_own(host):
    pump = host()
    pump.do(ProposeCalibration(1, 10.5))
    pump.do(ProposeCalibration(2, 10.0))
    pump.do(ProposeBridge(3, 10.0, 100.0, 50.0, 0))
    pump.world.sleep(3600.0)
    pump.do(ProposeBolus(4, 5.0, 500.0))
    pump.world.sleep(60.0)
    pump.do(ProposeBolus(5, 5.0, 500.0))
    pump.pump.reboot()
    pump.propose(ProposeContinuous(6, 100.0, 0))
    pump.stop()
    calibrations = pump.pull(BulkReader(BulkObject.CALIBRATION_HISTORY))
    assert [(r.index, r.boot_id, r.command_id, r.step_volume_nl) for r in calibrations] == [
        (0, 1, 1, 10.5),
        (1, 1, 2, 10.0),
    ]
    doses = pump.pull(BulkReader(BulkObject.DOSE_HISTORY))
    assert [(r.index, r.command_id, r.propose_type, r.state) for r in doses] == [
        (0, 4, ProposeBolus.TYPE, CommandState.DONE),
        (1, 5, ProposeBolus.TYPE, CommandState.INTERRUPTED),
        (2, 3, ProposeBridge.TYPE, CommandState.STOPPED),
    ]
    for record in doses:
        result = pump.result(record.command_id)
        assert (record.delivered_low_ul, record.delivered_high_ul) == (
            result.delivered_low_ul,
            result.delivered_high_ul,
        )
    assert doses[2].delivered_high_ul == pytest.approx(10.0 + (3600.0 - 360.0 + 24.0) * 50.0 / 3600.0, abs=0.05)
