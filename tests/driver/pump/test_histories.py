"""Logs and histories in bulk: whole, through lost replies, resets and damage, or with what is missing named."""

from __future__ import annotations

from itertools import chain, repeat

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import DriverError, NakError, TransferBroken
from protocol import (
    BulkData,
    BulkInformation,
    BulkObject,
    BulkOpen,
    BulkRead,
    CalibrationRecord,
    DoseRecord,
    EventRecord,
    Nak,
    NakReason,
)


def events(count, first=0):
    return [EventRecord(index, 1, index * 1000, 2, -index) for index in range(first, first + count)]


@pytest.fixture
def device(device):
    device.records = {
        BulkObject.EVENT_LOG: events(40),
        BulkObject.CALIBRATION_HISTORY: [CalibrationRecord(0, 1, 17, 3, 10.5)],
        BulkObject.DOSE_HISTORY: [DoseRecord(0, 1, 0x10, 3, 0.0, 1.0), DoseRecord(1, 2, 0x11, 4, 1.0, 2.0)],
    }
    return device


def test_each_object_is_read_whole(open_pump, device):
    with open_pump() as pump:
        assert pump.event_log().records == tuple(device.records[BulkObject.EVENT_LOG])
        assert pump.calibration_history().records == tuple(device.records[BulkObject.CALIBRATION_HISTORY])
        assert pump.dose_history().records == tuple(device.records[BulkObject.DOSE_HISTORY])
        device.records.clear()
        assert pump.dose_history().records == ()


def test_reading_goes_on_behind_an_index_and_says_what_was_overwritten(open_pump, device):
    with open_pump() as pump:
        assert pump.event_log(35).records == tuple(events(5, 35))
        device.records[BulkObject.EVENT_LOG] = events(10, 100)
        history = pump.event_log(40)
    assert history.records == tuple(events(10, 100))
    assert history.overwritten == (range(40, 100),)


def test_progress_is_told(open_pump):
    told = []
    with open_pump() as pump:
        pump.event_log(progress=lambda done, of: told.append((done, of)))
    assert told[0] == (0, 40)
    assert told[-1] == (40, 40)
    assert told == sorted(told)


@pytest.mark.parametrize("kind", ["lose", "corrupt", "duplicate", "delay"])
@pytest.mark.parametrize("message", [BulkOpen, BulkInformation, BulkRead, BulkData])
def test_bad_frames_cost_no_record(open_pump, wire, device, kind, message):
    with open_pump() as pump:
        wire.fault(kind, message, times=4, delay_s=0.7 if kind == "delay" else 0.0)
        history = pump.event_log()
    assert history.records == tuple(events(40))
    assert (history.damaged, history.overwritten) == ((), ())


def test_a_reset_in_the_middle_costs_a_new_snapshot_and_no_record(open_pump, device, clock):
    for moment in (0.010, 0.020, 0.030):
        clock.after(moment, device.reset)
    with open_pump() as pump:
        history = pump.event_log()
    assert history.records == tuple(events(40))
    assert device.snapshots == 4


def test_a_record_that_is_damaged_twice_is_named_and_the_others_are_there(open_pump, device):
    read = device._on_BulkRead

    def damaged(request):
        reply = read(request)
        size = device.snapshot.information().record_bytes
        data = bytearray(reply.data)
        for place in range(len(data)):
            if (reply.offset + place) // size == 7:
                data[place] ^= 0xFF
        return msgspec.structs.replace(reply, data=bytes(data))

    device._on_BulkRead = damaged
    with open_pump() as pump:
        history = pump.event_log()
    assert history.damaged == (7,)
    assert history.records == tuple(each for each in events(40) if each.index != 7)


def test_a_pump_that_stops_answering_leaves_what_was_read(open_pump, wire, device):
    def stop_answering(done, _):
        if done >= 10:
            wire.fault("lose", BulkData, times=1000)

    with open_pump() as pump:
        with pytest.raises(
            TransferBroken,
            match=r"EVENT_LOG could not be read to its end \(the pump did not answer BulkRead\); \d+ rec",
        ) as caught:
            pump.event_log(progress=stop_answering)
        read = caught.value.history.records
        assert read == tuple(events(len(read)))
        assert len(read) >= 10
        assert len([each for each in device.requests if isinstance(each, BulkRead)]) < 100
        wire.faults.clear()
        assert read + pump.event_log(len(read)).records == tuple(events(40))


def test_time_outs_with_progress_in_between_do_not_add_up(open_pump, wire):
    with open_pump() as pump:
        history = pump.event_log(progress=lambda done, _: wire.fault("lose", BulkData, times=4))
    assert history.records == tuple(events(40))


def test_a_lost_port_leaves_what_was_read(open_pump, wire):
    with open_pump() as pump, pytest.raises(TransferBroken, match="the connection is gone") as caught:
        pump.event_log(progress=lambda done, _: setattr(wire, "unplugged", done >= 10))
    assert len(caught.value.history.records) >= 10


def test_a_snapshot_that_is_always_gone_is_not_asked_for_for_ever(open_pump, device):
    device.refuse[BulkRead] = Nak(NakReason.NO_SNAPSHOT, "gone")
    with open_pump() as pump, pytest.raises(TransferBroken, match="refused BulkRead with NO_SNAPSHOT"):
        pump.event_log()
    assert device.snapshots == 5


def test_a_pump_that_contradicts_itself_is_not_asked_for_ever(open_pump, device):
    device._on_BulkRead = lambda request: BulkData(request.snapshot_id, request.offset + 1, b"x")
    with open_pump() as pump, pytest.raises(TransferBroken, match="BulkData begins at byte 1, 0 was asked for"):
        pump.event_log()


def test_an_object_the_pump_does_not_keep_is_a_refusal(open_pump, device):
    device.refuse[BulkOpen] = Nak(NakReason.UNSUPPORTED, "no event log")
    with open_pump() as pump:
        with pytest.raises(NakError, match="UNSUPPORTED"):
            pump.event_log()
        with pytest.raises(ValueError, match="first_index must be 0 to"):
            pump.event_log(-1)


@pytest.mark.parametrize("carrier", ["bytes"], indirect=True)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fates=st.lists(st.booleans(), max_size=60),
    count=st.integers(0, 30),
    first=st.integers(0, 40),
    resets_s=st.lists(st.floats(0.0, 0.5), max_size=3),
)
def test_what_is_read_is_what_the_pump_has_whatever_is_lost(
    open_pump, wire, device, clock, fates, count, first, resets_s
):
    device.records[BulkObject.EVENT_LOG] = events(count, 10)
    wire.lottery = None
    with open_pump() as pump:
        wire.lottery = chain(fates, repeat(False))
        for moment in resets_s:
            clock.after(moment, device.reset)
        try:
            history = pump.event_log(first)
        except TransferBroken as broken:
            history = broken.history
            assert len(fates) + len(resets_s) > 5
        except DriverError as error:
            pytest.fail(str(error))
        wire.lottery = None
    wanted = tuple(each for each in events(count, 10) if each.index >= first)
    assert history.records == wanted[: len(history.records)]
    assert history.damaged == ()
