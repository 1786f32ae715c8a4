"""Reading in bulk, without I/O: the device's frozen snapshot, and the host's reader that pulls it by offset.

A record on the wire is its layout followed by the CRC-32C of it (u32). Records carry consecutive indices, so the place
of a record in a snapshot says which index it must have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastcrc import crc32

from protocol.enums import BulkObject, NakReason
from protocol.errors import DecodeError, EncodeError, ProtocolError
from protocol.framing import MAX_PAYLOAD_BYTES
from protocol.messages import BulkData, BulkInformation, BulkOpen, BulkRead
from protocol.registry import BULK_RECORDS, DEFINITIONS, Record

MOST_DATA_BYTES = MAX_PAYLOAD_BYTES - DEFINITIONS[BulkData.TYPE].codec.head.size

_CRC_BYTES = 4
_INDICES = 1 << 32


class BulkRefused(ProtocolError):
    """A snapshot cannot answer a request; `reason` and `detail` are those of the NAK to send."""

    def __init__(self, reason: NakReason, detail: str) -> None:
        super().__init__(f"{reason.name}: {detail}")
        self.reason = reason
        self.detail = detail


def seal_record(bulk_object: BulkObject, record: Record) -> bytes:
    """A record as it is stored and sent: its layout, with the CRC-32C of that behind it.

    Raises:
        EncodeError: the record is of another object, or a field holds a value that the layout cannot carry.
    """
    definition = BULK_RECORDS[bulk_object]
    if type(record) is not definition.record:
        wanted, found = definition.record.__name__, type(record).__name__
        raise EncodeError(f"{bulk_object.name} holds {wanted}, this is a {found}")
    octets = definition.codec.encode(record)
    return octets + crc32.iscsi(octets).to_bytes(_CRC_BYTES, "little")


def unseal_record(bulk_object: BulkObject, octets: bytes) -> Record:
    """The record that `seal_record` made these bytes of.

    Raises:
        DecodeError: the CRC-32C differs, or the bytes are no such record.
    """
    payload, crc = octets[:-_CRC_BYTES], octets[-_CRC_BYTES:]
    if crc32.iscsi(payload).to_bytes(_CRC_BYTES, "little") != crc:
        raise DecodeError(f"a record of {bulk_object.name} is damaged: its CRC-32C differs")
    record: Record = BULK_RECORDS[bulk_object].codec.decode(payload)
    return record


class Snapshot:
    """The records of one object as they were when it was opened; the device's side.

    `first_index` is announced where there are no records: the index that the next one will have.

    Raises:
        EncodeError: a record is of another object, cannot be encoded, or does not follow the one before it.
    """

    def __init__(
        self, bulk_object: BulkObject, snapshot_id: int, records: Sequence[Record], *, first_index: int = 0
    ) -> None:
        first = _index(records[0]) if records else first_index
        for place, record in enumerate(records):
            if _index(record) != first + place:
                raise EncodeError(
                    f"record {place} of {bulk_object.name} has the index {_index(record)}, {first + place} follows"
                )
        self._freeze(bulk_object, snapshot_id, [seal_record(bulk_object, record) for record in records], first)

    @classmethod
    def of_sealed(
        cls, bulk_object: BulkObject, snapshot_id: int, sealed: Sequence[bytes], *, first_index: int
    ) -> Snapshot:
        """Of records that `seal_record` made when they were stored, the first with `first_index`.

        What has become of them in memory since then is sent as it is: the reader finds it by the CRC.
        """
        snapshot = cls(bulk_object, snapshot_id, ())
        snapshot._freeze(bulk_object, snapshot_id, sealed, first_index)
        return snapshot

    def _freeze(self, bulk_object: BulkObject, snapshot_id: int, sealed: Sequence[bytes], first_index: int) -> None:
        self._octets = b"".join(sealed)
        self._information = BulkInformation(
            object=bulk_object,
            snapshot_id=snapshot_id,
            first_index=first_index,
            records=len(sealed),
            record_bytes=BULK_RECORDS[bulk_object].codec.head.size + _CRC_BYTES,
            size_bytes=len(self._octets),
            sha256=hashlib.sha256(self._octets).digest(),
        )

    def information(self) -> BulkInformation:
        """The answer to the BulkOpen that took this snapshot."""
        return self._information

    def read(self, request: BulkRead, most_bytes: int = MOST_DATA_BYTES) -> BulkData:
        """The answer to a BulkRead: at most `most_bytes` of data, which must fit the payload behind `BulkData`'s head.

        Raises:
            BulkRefused: the request is for another snapshot, or begins beyond the end.
        """
        if request.snapshot_id != self._information.snapshot_id:
            raise BulkRefused(NakReason.NO_SNAPSHOT, f"snapshot {request.snapshot_id} is gone")
        if request.offset > len(self._octets):
            raise BulkRefused(NakReason.OUT_OF_RANGE, f"the snapshot has {len(self._octets)} bytes")
        end = request.offset + min(request.length, most_bytes)
        return BulkData(request.snapshot_id, request.offset, self._octets[request.offset : end])


@dataclass(frozen=True, slots=True)
class _Kept:
    """What stood when the open snapshot was taken, for the case that its hash does not match."""

    records: int
    overwritten: tuple[range, ...]
    next_index: int


class BulkReader:
    """Pulls one object, record by record; the host's side.

    Send what `request` gives, hand the answer to `receive`, call `snapshot_lost` after a NAK NO_SNAPSHOT; a lost answer
    needs nothing but sending `request` again. Only good records are delivered: the CRC holds, and the index is that of
    the place. A bad one is read a second time at once, then its index is in `damaged` and reading goes on behind it.
    """

    def __init__(self, bulk_object: BulkObject, *, first_index: int = 0, length: int = MOST_DATA_BYTES) -> None:
        if not 0 <= first_index < _INDICES:
            raise ValueError(f"first_index must be 0 to {_INDICES - 1}, not {first_index}")
        if not 1 <= length <= 0xFFFF:
            raise ValueError(f"length must be 1 to 65535 bytes, not {length}")
        self._object = bulk_object
        self._length = length
        self._record_bytes = BULK_RECORDS[bulk_object].codec.head.size + _CRC_BYTES
        self._next_index = first_index
        self._records: list[Record] = []
        self._damaged: list[int] = []
        self._overwritten: tuple[range, ...] = ()
        self._open: BulkInformation | None = None
        self._complete = False
        self._begin_snapshot()

    @property
    def records(self) -> tuple[Record, ...]:
        """The good records so far, in order of their indices.

        Until `request` gives None those of the open snapshot stand on their own CRC alone.
        """
        return tuple(self._records)

    @property
    def damaged(self) -> tuple[int, ...]:
        """The indices of the records that were bad twice; they are not in `records`."""
        return tuple(self._damaged)

    @property
    def overwritten(self) -> tuple[range, ...]:
        """The indices asked for that the device no longer had."""
        return self._overwritten

    def request(self) -> BulkOpen | BulkRead | None:
        """What to send next, the same until it is answered; None when all is read and the SHA-256 is checked."""
        if self._complete:
            return None
        if self._open is None:
            return BulkOpen(self._object, self._next_index)
        return BulkRead(self._open.snapshot_id, self._offset, self._asked_bytes(self._open))

    def receive(self, reply: BulkInformation | BulkData) -> None:
        """Take the answer to `request`.

        Raises:
            DecodeError: the reply contradicts itself or does not answer `request`, and is not used at all; or it is
                the last, no record was bad, and the SHA-256 differs: the snapshot's records are dropped, and `request`
                opens a new one.
        """
        if isinstance(reply, BulkInformation):
            self._take_information(reply)
        else:
            self._take_data(reply)
        if self._open is not None and self._offset == self._open.size_bytes:
            self._finish(self._open)

    def snapshot_lost(self) -> None:
        """The device has no such snapshot (any more): `request` opens a new one behind the last record read."""
        self._begin_snapshot()

    def _begin_snapshot(self) -> None:
        self._open = None
        self._offset = 0
        self._partial = b""
        self._second_reading = False
        self._hash = hashlib.sha256()
        self._damaged_before = len(self._damaged)
        self._kept = _Kept(len(self._records), self._overwritten, self._next_index)

    def _asked_bytes(self, information: BulkInformation) -> int:
        return min(self._length, information.size_bytes - self._offset)

    def _take_information(self, reply: BulkInformation) -> None:
        if self._complete or self._open is not None:
            raise DecodeError("BulkInformation came although no BulkOpen was waiting for it")
        if reply.object != self._object:
            raise DecodeError(f"BulkInformation is of object {reply.object!r}, {self._object!r} was asked for")
        if reply.record_bytes != self._record_bytes:
            raise DecodeError(
                f"BulkInformation has records of {reply.record_bytes} bytes, ours have {self._record_bytes}"
            )
        if reply.size_bytes != reply.records * reply.record_bytes:
            raise DecodeError(
                f"BulkInformation has {reply.size_bytes} bytes, {reply.records} records of "
                f"{reply.record_bytes} bytes make {reply.records * reply.record_bytes}"
            )
        if reply.records and reply.first_index < self._next_index:
            raise DecodeError(f"BulkInformation begins at index {reply.first_index}, {self._next_index} was asked for")
        if reply.first_index + reply.records > _INDICES:
            raise DecodeError(f"BulkInformation has {reply.records} records from index {reply.first_index} on, "
                              f"which is more than 32 bits can number")  # fmt: skip
        if reply.first_index > self._next_index:
            self._overwritten = _with_gap(self._overwritten, self._next_index, reply.first_index)
            self._next_index = reply.first_index
        self._open = reply

    def _take_data(self, reply: BulkData) -> None:
        information = self._open
        if self._complete or information is None:
            raise DecodeError("BulkData came although no BulkRead was waiting for it")
        if reply.snapshot_id != information.snapshot_id:
            raise DecodeError(f"BulkData is of snapshot {reply.snapshot_id}, {information.snapshot_id} was asked for")
        if reply.offset != self._offset:
            raise DecodeError(f"BulkData begins at byte {reply.offset}, {self._offset} was asked for")
        if not 1 <= len(reply.data) <= self._asked_bytes(information):
            raise DecodeError(
                f"BulkData has {len(reply.data)} bytes, 1 to {self._asked_bytes(information)} were asked for"
            )
        octets = self._partial + reply.data
        start = self._offset - len(self._partial)
        end = 0
        for end in range(self._record_bytes, len(octets) + 1, self._record_bytes):
            octets_of_record = octets[end - self._record_bytes : end]
            if not self._settle(octets_of_record):
                self._offset = start + end - self._record_bytes
                self._partial = b""
                return
        self._offset += len(reply.data)
        self._partial = octets[end:]

    def _settle(self, octets: bytes) -> bool:
        """Deliver or report one record; False where it is to be read again."""
        record = self._good_record(octets)
        if record is None and not self._second_reading:
            self._second_reading = True
            return False
        if record is None:
            self._damaged.append(self._next_index)
        else:
            self._records.append(record)
        self._hash.update(octets)
        self._next_index += 1
        self._second_reading = False
        return True

    def _good_record(self, octets: bytes) -> Record | None:
        try:
            record = unseal_record(self._object, octets)
        except DecodeError:
            return None
        return record if _index(record) == self._next_index else None

    def _finish(self, information: BulkInformation) -> None:
        computed = self._hash.digest()
        if computed != information.sha256 and len(self._damaged) == self._damaged_before:
            del self._records[self._kept.records :]
            self._overwritten, self._next_index = self._kept.overwritten, self._kept.next_index
            self._begin_snapshot()
            raise DecodeError(
                f"the {information.records} records of snapshot {information.snapshot_id} have the SHA-256 "
                f"{computed.hex()}, the device announced {information.sha256.hex()}"
            )
        self._complete = True


def _index(record: Any) -> int:
    index: int = record.index
    return index


def _with_gap(gaps: tuple[range, ...], start: int, stop: int) -> tuple[range, ...]:
    if gaps and gaps[-1].stop == start:
        return (*gaps[:-1], range(gaps[-1].start, stop))
    return (*gaps, range(start, stop))
