"""Bulk reading: whatever is lost, repeated, damaged or claimed, the host holds the device's records or says why not."""

import hashlib
import tracemalloc
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import (
    BulkData,
    BulkInformation,
    BulkObject,
    BulkOpen,
    BulkRead,
    BulkReader,
    BulkRefused,
    CalibrationRecord,
    DecodeError,
    DoseRecord,
    EncodeError,
    EventRecord,
    NakReason,
    Record,
    Snapshot,
    seal_record,
    unseal_record,
)
from protocol.bulk import MOST_DATA_BYTES

RECORD_BYTES = 30  # of an event: 26 and the CRC


def event(index: int) -> EventRecord:
    return EventRecord(index, 7, 1_000_000 * index, 1 + index % 18, -index)


def dose(index: int) -> DoseRecord:
    return DoseRecord(index, 100 + index, 0x10, 3, 0.25 * index, 0.25 * index + 0.125)


def calibration(index: int) -> CalibrationRecord:
    return CalibrationRecord(index, 7, 1_000_000 * index, 100 + index, 20.0 + index)


MAKERS = {
    BulkObject.EVENT_LOG: event,
    BulkObject.DOSE_HISTORY: dose,
    BulkObject.CALIBRATION_HISTORY: calibration,
}


@dataclass
class Log:
    """A device with one log that grows, and forgets its oldest records; a reset loses the snapshot."""

    bulk_object: BulkObject
    first: int
    stop: int
    most_bytes: int = MOST_DATA_BYTES
    opened: int = 0
    snapshot: Snapshot | None = None
    stored_badly: set[int] = field(default_factory=set)

    def answer(self, request: BulkOpen | BulkRead) -> BulkInformation | BulkData | NakReason:
        if isinstance(request, BulkOpen):
            begin = max(self.first, request.first_index)
            records = [MAKERS[self.bulk_object](index) for index in range(begin, self.stop)]
            self.opened += 1
            self.snapshot = Snapshot(self.bulk_object, self.opened, records, first_index=self.stop)
            return self.snapshot.information()
        if self.snapshot is None:
            return NakReason.NO_SNAPSHOT
        try:
            data = self.snapshot.read(request, self.most_bytes)
        except BulkRefused as refused:
            return refused.reason
        return self._as_stored(data)

    def _as_stored(self, data: BulkData) -> BulkData:
        assert self.snapshot is not None
        information = self.snapshot.information()
        octets = bytearray(data.data)
        for index in self.stored_badly:
            place = (index - information.first_index) * information.record_bytes + 5 - data.offset
            if 0 <= place < len(octets):
                octets[place] ^= 0x10
        return BulkData(data.snapshot_id, data.offset, bytes(octets))


def read_all(log: Log, reader: BulkReader, most: int = 10_000) -> BulkReader:
    for _ in range(most):
        request = reader.request()
        if request is None:
            return reader
        reply = log.answer(request)
        if isinstance(reply, NakReason):
            assert reply is NakReason.NO_SNAPSHOT
            reader.snapshot_lost()
        else:
            reader.receive(reply)
    pytest.fail(f"the reader did not finish within {most} requests")


FATES = st.sampled_from(
    ["arrives", "arrives", "arrives", "arrives", "lost", "twice", "stale", "reset", "grown", "trimmed", "flipped"]
)


@settings(max_examples=300)
@given(
    bulk_object=st.sampled_from(list(BulkObject)),
    first=st.integers(0, 40),
    count=st.integers(0, 40),
    asked=st.integers(0, 90),
    length=st.sampled_from([1, 7, 29, 30, 31, 60, 100, 504, 65535]),
    most_bytes=st.integers(1, 504),
    stored_badly=st.sets(st.integers(0, 90), max_size=3),
    fates=st.lists(FATES, max_size=60),
    data=st.data(),
)
def test_a_transfer_through_losses_resets_and_growth_gives_each_record_once_or_says_why_not(
    bulk_object: BulkObject,
    first: int,
    count: int,
    asked: int,
    length: int,
    most_bytes: int,
    stored_badly: set[int],
    fates: list[str],
    data: st.DataObject,
) -> None:
    log = Log(bulk_object, first, first + count, most_bytes, stored_badly=stored_badly)
    reader = BulkReader(bulk_object, first_index=asked, length=length)
    replies: list[BulkInformation | BulkData] = []
    waiting = iter(fates)
    for _ in range(20_000):
        request = reader.request()
        if request is None:
            break
        fate = next(waiting, "arrives")
        match fate:
            case "lost":
                continue
            case "reset":
                log.snapshot = None
            case "grown":
                log.stop += data.draw(st.integers(1, 5))
            case "trimmed":
                log.first = min(log.first + data.draw(st.integers(1, 30)), log.stop)
        reply = log.answer(request)
        if isinstance(reply, NakReason):
            reader.snapshot_lost()
            continue
        replies.append(reply)
        if fate == "stale":
            reply = data.draw(st.sampled_from(replies))
        if fate == "flipped" and isinstance(reply, BulkData):
            place = data.draw(st.integers(0, len(reply.data) - 1))
            octets = bytearray(reply.data)
            octets[place] ^= 1 << data.draw(st.integers(0, 7))
            reply = BulkData(reply.snapshot_id, reply.offset, bytes(octets))
        for _ in range(2 if fate == "twice" else 1):
            before = (reader.request(), reader.records)
            try:
                reader.receive(reply)
            except DecodeError:
                assert (reader.request(), reader.records) == before
    assert reader.request() is None

    indices = [record.index for record in reader.records]
    assert list(reader.records) == [MAKERS[bulk_object](index) for index in indices]
    overwritten = [index for gap in reader.overwritten for index in gap]
    told = sorted([*indices, *reader.damaged, *overwritten])
    assert told == list(range(asked, asked + len(told)))
    assert all(index < log.first for index in overwritten)
    if log.snapshot is not None and told:
        information = log.snapshot.information()
        assert told[-1] + 1 >= information.first_index + information.records
    if "flipped" not in fates:
        assert set(reader.damaged) == stored_badly.intersection(told).difference(overwritten)


def test_an_undisturbed_transfer_asks_for_each_byte_once() -> None:
    log = Log(BulkObject.EVENT_LOG, 0, 100)
    reader = BulkReader(BulkObject.EVENT_LOG)
    requests = []
    while (request := reader.request()) is not None:
        requests.append(request)
        reply = log.answer(request)
        assert not isinstance(reply, NakReason)
        reader.receive(reply)
    offsets = range(0, 100 * RECORD_BYTES, 504)
    assert requests == [
        BulkOpen(BulkObject.EVENT_LOG, 0),
        *(BulkRead(1, offset, min(504, 3000 - offset)) for offset in offsets),
    ]
    assert reader.records == tuple(event(index) for index in range(100))
    assert (reader.damaged, reader.overwritten) == ((), ())


@pytest.mark.parametrize("place", range(3 * RECORD_BYTES))
def test_a_byte_that_was_flipped_once_costs_one_more_request_and_no_record(place: int) -> None:
    log = Log(BulkObject.EVENT_LOG, 0, 3)
    reader = BulkReader(BulkObject.EVENT_LOG)
    reader.receive(log.answer(reader.request()))
    (whole,) = [log.answer(reader.request())]
    octets = bytearray(whole.data)
    octets[place] ^= 0x01
    reader.receive(BulkData(whole.snapshot_id, 0, bytes(octets)))
    assert reader.request() == BulkRead(1, place // RECORD_BYTES * RECORD_BYTES, (3 - place // RECORD_BYTES) * 30)
    read_all(log, reader, most=2)
    assert reader.records == (event(0), event(1), event(2))
    assert reader.damaged == ()


def test_each_bad_record_has_its_own_second_reading() -> None:
    log = Log(BulkObject.EVENT_LOG, 0, 3)
    reader = BulkReader(BulkObject.EVENT_LOG)
    reader.receive(log.answer(reader.request()))
    for index in range(3):
        log.stored_badly = {index}
        reader.receive(log.answer(reader.request()))
    log.stored_badly = set()
    read_all(log, reader, most=2)
    assert reader.records == (event(0), event(1), event(2))
    assert reader.damaged == ()


@pytest.mark.parametrize("length", [1, 13, 30, 504])
def test_a_record_that_is_bad_in_the_device_is_read_twice_and_reported(length: int) -> None:
    log = Log(BulkObject.EVENT_LOG, 10, 15, stored_badly={12, 14})
    reader = read_all(log, BulkReader(BulkObject.EVENT_LOG, first_index=10, length=length))
    assert reader.records == (event(10), event(11), event(13))
    assert reader.damaged == (12, 14)


def test_what_was_read_behind_a_bad_record_is_not_asked_for_again_after_a_reset() -> None:
    log = Log(BulkObject.EVENT_LOG, 0, 6, most_bytes=90, stored_badly={1})
    reader = BulkReader(BulkObject.EVENT_LOG)
    for _ in range(3):
        reader.receive(log.answer(reader.request()))
    reader.snapshot_lost()
    assert reader.request() == BulkOpen(BulkObject.EVENT_LOG, 4)
    read_all(log, reader)
    assert [record.index for record in reader.records] == [0, 2, 3, 4, 5]
    assert reader.damaged == (1,)


def test_records_overwritten_between_two_snapshots_are_named() -> None:
    log = Log(BulkObject.EVENT_LOG, 3, 8, most_bytes=60)
    reader = BulkReader(BulkObject.EVENT_LOG, first_index=1)
    for _ in range(2):
        reader.receive(log.answer(reader.request()))
    log.first, log.stop, log.snapshot = 9, 11, None
    read_all(log, reader)
    assert [record.index for record in reader.records] == [3, 4, 9, 10]
    assert reader.overwritten == (range(1, 3), range(5, 9))


def test_a_gap_that_grows_while_no_record_gets_through_is_one_gap() -> None:
    log = Log(BulkObject.EVENT_LOG, 3, 8)
    reader = BulkReader(BulkObject.EVENT_LOG, first_index=1)
    reader.receive(log.answer(reader.request()))
    log.first, log.snapshot = 5, None
    read_all(log, reader)
    assert reader.overwritten == (range(1, 5),)


def test_a_log_with_nothing_new_is_read_with_one_request() -> None:
    log = Log(BulkObject.EVENT_LOG, 3, 8)
    reader = read_all(log, BulkReader(BulkObject.EVENT_LOG, first_index=8), most=2)
    assert (reader.records, reader.damaged, reader.overwritten) == ((), (), ())


def test_a_record_with_a_good_crc_in_another_ones_place_is_reported() -> None:
    honest = Snapshot(BulkObject.EVENT_LOG, 1, [event(0), event(1), event(2)])
    octets = honest.read(BulkRead(1, 0, 90)).data
    exchanged = octets[:30] + octets[60:] + octets[30:60]
    reader = BulkReader(BulkObject.EVENT_LOG)
    reader.receive(msgspec.structs.replace(honest.information(), sha256=hashlib.sha256(exchanged).digest()))
    while (request := reader.request()) is not None:
        assert isinstance(request, BulkRead)
        reader.receive(BulkData(1, request.offset, exchanged[request.offset :]))
    assert reader.records == (event(0),)
    assert reader.damaged == (1, 2)


def test_records_that_pass_their_own_crc_and_not_the_hash_are_dropped_and_asked_for_again() -> None:
    kept = Log(BulkObject.EVENT_LOG, 0, 4, most_bytes=30)
    reader = BulkReader(BulkObject.EVENT_LOG)
    for _ in range(2):
        reader.receive(kept.answer(reader.request()))
    reader.snapshot_lost()
    log = Log(BulkObject.EVENT_LOG, 2, 4)
    information = log.answer(reader.request())
    reader.receive(msgspec.structs.replace(information, sha256=bytes(32)))
    with pytest.raises(
        DecodeError, match=r"^the 2 records of snapshot 1 have the SHA-256 [0-9a-f]{64}, the device ann"
    ):
        reader.receive(log.answer(reader.request()))
    assert reader.records == (event(0),)
    assert reader.request() == BulkOpen(BulkObject.EVENT_LOG, 1)
    assert reader.overwritten == ()
    read_all(log, reader)
    assert reader.records == (event(0), event(2), event(3))
    assert reader.overwritten == (range(1, 2),)


def honest_information(**changes: object) -> BulkInformation:
    information = Snapshot(BulkObject.EVENT_LOG, 5, [event(3), event(4)]).information()
    return msgspec.structs.replace(information, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"object": 2}, "is of object 2"),
        ({"object": 200}, "is of object 200"),
        ({"record_bytes": 31, "size_bytes": 62}, "has records of 31 bytes, ours have 30"),
        ({"record_bytes": 0, "size_bytes": 0}, "has records of 0 bytes, ours have 30"),
        ({"size_bytes": 61}, "has 61 bytes, 2 records of 30 bytes make 60"),
        ({"size_bytes": 0xFFFFFFFF}, "has 4294967295 bytes, 2 records of 30 bytes make 60"),
        ({"records": 0xFFFFFFFF}, "has 60 bytes, 4294967295 records"),
        ({"first_index": 1}, "begins at index 1, 2 was asked for"),
        ({"first_index": 0xFFFFFFFF}, "has 2 records from index 4294967295 on, which is more than 32 bits"),
    ],
)
def test_an_information_that_contradicts_itself_is_not_used(changes: dict[str, int], says: str) -> None:
    reader = BulkReader(BulkObject.EVENT_LOG, first_index=2)
    with pytest.raises(DecodeError, match=says):
        reader.receive(honest_information(**changes))
    assert reader.request() == BulkOpen(BulkObject.EVENT_LOG, 2)
    assert reader.overwritten == ()


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (BulkData(6, 0, bytes(30)), "is of snapshot 6, 5 was asked for"),
        (BulkData(5, 30, bytes(30)), "begins at byte 30, 0 was asked for"),
        (BulkData(5, 0, bytes(31)), "has 31 bytes, 1 to 30 were asked for"),
        (BulkData(5, 0, b""), "has 0 bytes, 1 to 30 were asked for"),
        (honest_information(), "no BulkOpen was waiting"),
    ],
)
def test_data_that_were_not_asked_for_are_not_used(reply: BulkInformation | BulkData, says: str) -> None:
    reader = BulkReader(BulkObject.EVENT_LOG, first_index=3, length=30)
    reader.receive(honest_information())
    with pytest.raises(DecodeError, match=says):
        reader.receive(reply)
    assert reader.request() == BulkRead(5, 0, 30)
    assert reader.records == ()


def test_data_before_an_information_and_behind_the_end_are_refused() -> None:
    reader = BulkReader(BulkObject.EVENT_LOG, first_index=3)
    with pytest.raises(DecodeError, match="BulkData came although no BulkRead was waiting"):
        reader.receive(BulkData(5, 0, bytes(30)))
    read_all(Log(BulkObject.EVENT_LOG, 3, 5), reader)
    with pytest.raises(DecodeError, match="BulkData came although no BulkRead was waiting"):
        reader.receive(BulkData(1, 60, bytes(30)))
    with pytest.raises(DecodeError, match="BulkInformation came although no BulkOpen was waiting"):
        reader.receive(honest_information())
    reader.snapshot_lost()
    assert reader.request() is None
    assert reader.records == (event(3), event(4))


def test_a_claim_of_four_gigabytes_costs_no_memory_until_they_come() -> None:
    records = 0xFFFFFFFF // RECORD_BYTES
    reader = BulkReader(BulkObject.EVENT_LOG, length=0xFFFF)
    claim = honest_information(first_index=0, records=records, size_bytes=records * RECORD_BYTES)
    tracemalloc.start()
    try:
        reader.receive(claim)
        assert reader.request() == BulkRead(5, 0, 0xFFFF)
        reader.snapshot_lost()
        reader.receive(honest_information(first_index=0xFFFFFFFF, records=0, size_bytes=0))
    except DecodeError:
        assert reader.request() == BulkOpen(BulkObject.EVENT_LOG, 0)
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 100_000


@given(st.lists(st.builds(BulkData, st.just(5), st.just(0), st.binary(max_size=90)), max_size=20))
def test_a_device_that_sends_nonsense_gets_no_record_in_and_each_record_is_read_at_most_twice(
    replies: list[BulkData],
) -> None:
    reader = BulkReader(BulkObject.EVENT_LOG, length=90)
    claim = honest_information(first_index=0, records=1000, size_bytes=1000 * RECORD_BYTES)
    reader.receive(claim)
    received = 0
    for reply in replies:
        request = reader.request()
        assert isinstance(request, BulkRead)
        received += len(reply.data)
        try:
            reader.receive(BulkData(5, request.offset, reply.data))
        except DecodeError:
            assert not reply.data
    assert reader.records == ()
    assert len(reader.damaged) <= received // RECORD_BYTES


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([event(1), event(3)], r"record 1 of EVENT_LOG has the index 3, 2 follows"),
        ([event(1), event(1)], r"record 1 of EVENT_LOG has the index 1, 2 follows"),
        ([dose(1)], r"EVENT_LOG holds EventRecord, this is a DoseRecord"),
        ([event(1 << 32)], r"EventRecord.index cannot carry 4294967296"),
    ],
)
def test_a_snapshot_refuses_records_that_no_reader_would_take(records: list[Record], says: str) -> None:
    with pytest.raises(EncodeError, match=says):
        Snapshot(BulkObject.EVENT_LOG, 1, records)


def test_a_snapshot_answers_within_its_bytes_and_refuses_the_rest_by_name() -> None:
    snapshot = Snapshot(BulkObject.EVENT_LOG, 9, [event(0), event(1)])
    assert snapshot.information().size_bytes == 60
    assert snapshot.read(BulkRead(9, 60, 10)) == BulkData(9, 60, b"")
    assert len(snapshot.read(BulkRead(9, 10, 0xFFFF)).data) == 50
    assert len(snapshot.read(BulkRead(9, 10, 0xFFFF), 20).data) == 20
    with pytest.raises(BulkRefused, match="OUT_OF_RANGE: the snapshot has 60 bytes") as beyond:
        snapshot.read(BulkRead(9, 61, 1))
    assert beyond.value.reason is NakReason.OUT_OF_RANGE
    with pytest.raises(BulkRefused, match="NO_SNAPSHOT: snapshot 8 is gone") as gone:
        snapshot.read(BulkRead(8, 0, 1))
    assert gone.value.reason is NakReason.NO_SNAPSHOT


def test_what_was_sealed_when_it_was_stored_is_sent_as_it_has_become() -> None:
    sealed = [seal_record(BulkObject.DOSE_HISTORY, dose(index)) for index in (4, 5, 6)]
    assert [unseal_record(BulkObject.DOSE_HISTORY, octets) for octets in sealed] == [dose(4), dose(5), dose(6)]
    fresh = Snapshot(BulkObject.DOSE_HISTORY, 1, [dose(4), dose(5), dose(6)])
    assert Snapshot.of_sealed(BulkObject.DOSE_HISTORY, 1, sealed, first_index=4).information() == fresh.information()
    sealed[1] = sealed[1][:-1] + bytes([sealed[1][-1] ^ 1])
    with pytest.raises(DecodeError, match="a record of DOSE_HISTORY is damaged: its CRC-32C differs"):
        unseal_record(BulkObject.DOSE_HISTORY, sealed[1])
    snapshot = Snapshot.of_sealed(BulkObject.DOSE_HISTORY, 2, sealed, first_index=4)
    reader = BulkReader(BulkObject.DOSE_HISTORY)
    while (request := reader.request()) is not None:
        reader.receive(snapshot.information() if isinstance(request, BulkOpen) else snapshot.read(request))
    assert (reader.records, reader.damaged, reader.overwritten) == ((dose(4), dose(6)), (5,), (range(4),))


def test_an_empty_snapshot_names_the_index_that_the_next_record_will_have() -> None:
    information = Snapshot(BulkObject.DOSE_HISTORY, 1, [], first_index=17).information()
    assert (information.first_index, information.records, information.size_bytes) == (17, 0, 0)
    reader = BulkReader(BulkObject.DOSE_HISTORY, first_index=4)
    reader.receive(information)
    assert reader.request() is None
    assert reader.overwritten == (range(4, 17),)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"first_index": -1}, "first_index must be 0 to 4294967295, not -1"),
        ({"first_index": 1 << 32}, "first_index must be 0 to 4294967295"),
        ({"length": 0}, "length must be 1 to 65535 bytes, not 0"),
        ({"length": 65536}, "length must be 1 to 65535 bytes"),
    ],
)
def test_a_reader_refuses_what_the_wire_cannot_carry(options: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BulkReader(BulkObject.EVENT_LOG, **options)
