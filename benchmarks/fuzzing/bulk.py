"""Fuzz target: BulkReader against a device that forgets, damages, repeats and lies."""

from __future__ import annotations

from typing import Any

import msgspec

from fuzzing.choices import Choices
from protocol import (
    BULK_RECORDS,
    BulkData,
    BulkInformation,
    BulkObject,
    BulkOpen,
    BulkRead,
    BulkReader,
    BulkRefused,
    DecodeError,
    Record,
    Snapshot,
    decode_payload,
    encode_payload,
)
from protocol.bulk import MOST_DATA_BYTES

MOST_DISTURBED = 100
MOST_RECORDS = 24

Answer = BulkInformation | BulkData


def bulk_reader(data: bytes) -> None:
    """What is delivered is the device's, each record once and none unaccounted for; claims cost no memory."""
    choices = Choices(data)
    device = _Device(list(BulkObject)[choices.below(len(BulkObject))], choices.below(40), choices.below(MOST_RECORDS))
    asked, length = choices.below(70), 10 + choices.below(700)
    reader = BulkReader(device.bulk_object, first_index=asked, length=length)
    replies: list[Answer] = []
    received = 0
    for number in range(MOST_DISTURBED):
        request = reader.request()
        if request is None or not choices.left:
            break
        answer = device.answer(_over_the_wire(request), choices)
        if answer is None:
            reader.snapshot_lost()
            continue
        replies.append(answer)
        answer = _disturbed(choices, answer, replies, device)
        received += _receive(reader, _over_the_wire(answer))
        if number % 16 == 0:
            _check(reader, asked, device, received)
    _check(reader, asked, device, received)
    if device.lied:
        return
    for _ in range(20 * MOST_RECORDS * 36):
        request = reader.request()
        if request is None:
            break
        answer = device.answer(request, Choices(b""))
        if answer is None:
            reader.snapshot_lost()
        else:
            received += _receive(reader, answer)
    assert reader.request() is None, "a device that no longer disturbs is never read to its end"
    _check(reader, asked, device, received)
    assert not device.stop > asked or _told(reader, asked) >= device.opened_stop, "the end was not reached"


class _Device:
    def __init__(self, bulk_object: BulkObject, first: int, count: int) -> None:
        self.bulk_object = bulk_object
        self.definition = BULK_RECORDS[bulk_object]
        self.first = first
        self.stop = first + count
        self.lied = False
        self.damaged = False
        self.opened = 0
        self.opened_stop = 0
        self.snapshot: Snapshot | None = None

    def record(self, index: int) -> Record:
        size = self.definition.codec.head.size
        record: Record = self.definition.codec.decode(index.to_bytes(4, "little") + bytes([index & 0x7F]) * (size - 4))
        return record

    def answer(self, request: Any, choices: Choices) -> Answer | None:
        match choices.below(32):
            case 1:
                self.snapshot = None
            case 2:
                self.stop += choices.below(5)
            case 3:
                self.first = min(self.stop, self.first + choices.below(30))
        if isinstance(request, BulkOpen):
            begin = max(self.first, request.first_index)
            records = [self.record(index) for index in range(begin, self.stop)]
            self.opened += 1
            self.opened_stop = self.stop
            self.snapshot = Snapshot(self.bulk_object, self.opened, records, first_index=self.stop)
            return self.snapshot.information()
        assert isinstance(request, BulkRead), f"the reader asks {request}"
        if self.snapshot is None:
            return None
        try:
            return self.snapshot.read(request, 1 + (choices.number(2) - 1) % MOST_DATA_BYTES)
        except BulkRefused:
            return None


def _disturbed(choices: Choices, answer: Answer, replies: list[Answer], device: _Device) -> Answer:
    fate = choices.below(16)
    if fate == 1:
        earlier = replies[choices.below(len(replies))]
        # The session drops what came earlier, by its seq; an empty snapshot of then would look like one of now.
        device.lied |= isinstance(earlier, BulkInformation) and earlier != answer
        return earlier
    if fate == 2 and isinstance(answer, BulkData) and answer.data:
        device.damaged = True
        octets = bytearray(answer.data)
        octets[choices.below(len(octets))] ^= 1 << choices.below(8)
        return msgspec.structs.replace(answer, data=bytes(octets))
    if fate not in (3, 4):
        return answer
    device.lied = True
    if isinstance(answer, BulkData):
        lies: list[dict[str, Any]] = [
            {"snapshot_id": choices.number(4)},
            {"offset": choices.number(4)},
            {"data": choices.octets(choices.below(MOST_DATA_BYTES + 1))},
            {"data": answer.data + choices.octets(choices.below(8))},
        ]
        return msgspec.structs.replace(answer, **lies[choices.below(len(lies))])
    records = choices.number(4)
    lies = [
        {"object": choices.number()},
        {"snapshot_id": choices.number(4)},
        {"first_index": choices.number(4)},
        {"records": records},
        {"record_bytes": choices.number(2)},
        {"size_bytes": choices.number(4)},
        {"sha256": choices.octets(32)},
        {"records": records, "size_bytes": records * answer.record_bytes & 0xFFFFFFFF},
    ]
    return msgspec.structs.replace(answer, **lies[choices.below(len(lies))])


def _receive(reader: BulkReader, answer: Answer) -> int:
    """Hand the answer over; how many bytes of data it brought, 0 if it was refused."""
    before, records, told = reader.request(), reader.records, (reader.damaged, reader.overwritten)
    try:
        reader.receive(answer)
    except DecodeError as error:
        if "SHA-256" not in str(error):
            assert reader.request() == before, "a refused reply changes the request"
            assert (reader.records, reader.damaged, reader.overwritten) == (records, *told), "a refused reply is used"
        else:
            assert isinstance(reader.request(), BulkOpen), "behind a wrong SHA-256 nothing is opened"
            assert reader.records == records[: len(reader.records)], "a wrong SHA-256 changes older records"
            return len(answer.data) if isinstance(answer, BulkData) else 0
        return 0
    if isinstance(answer, BulkInformation):
        assert isinstance(before, BulkOpen), "an information nobody asked for is taken"
        return 0
    assert isinstance(before, BulkRead), "data nobody asked for are taken"
    place = (answer.snapshot_id, answer.offset)
    assert place == (before.snapshot_id, before.offset), "data of another place are taken"
    assert 1 <= len(answer.data) <= before.length, "more data than asked for, or none, are taken"
    return len(answer.data)


def _check(reader: BulkReader, asked: int, device: _Device, received: int) -> None:
    settled = len(reader.records) + len(reader.damaged)
    assert settled * (device.definition.codec.head.size + 4) <= received, "more records than bytes came"
    told = _told(reader, asked)
    if device.lied:
        return
    assert told <= max(asked, device.stop), "records beyond the device's last"
    assert all(gap.stop <= device.first for gap in reader.overwritten), "a record the device has counts as overwritten"
    assert device.damaged or not reader.damaged, "a record is reported as damaged and never was"
    for record in reader.records:
        assert record == device.record(record.index), "a record is not the device's"


def _told(reader: BulkReader, asked: int) -> int:
    """The index behind the last that is told of; from `asked` on each is told of once."""
    spans = [(gap.start, gap.stop) for gap in reader.overwritten]
    spans += [(index, index + 1) for index in (*reader.damaged, *(record.index for record in reader.records))]
    reached = asked
    for start, stop in sorted(spans):
        assert start == reached, f"index {min(start, reached)} is left out or told twice"
        reached = stop
    return reached


def _over_the_wire(message: Any) -> Any:
    return decode_payload(message.TYPE, encode_payload(message))
