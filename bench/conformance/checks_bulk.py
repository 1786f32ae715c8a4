"""Reading in bulk: whole, in pieces of any size, through a new session, and not beyond the end."""

from __future__ import annotations

import hashlib

from fastcrc import crc32

from bench.conformance.check import NotApplicable, Violation, check
from bench.conformance.device import Device
from protocol import (
    BULK_RECORDS,
    BulkData,
    BulkInformation,
    BulkObject,
    BulkOpen,
    BulkRead,
    Capability,
    DecodeError,
    NakReason,
)
from protocol.registry import DEFINITIONS

USES = (BulkOpen, BulkRead)
CRC_BYTES = 4
MOST_BYTES = 1 << 20
UNKNOWN_OBJECT = 200
ODD_LENGTH = 97
DATA_HEAD_BYTES = DEFINITIONS[BulkData.TYPE].codec.head.size


@check(
    "bulk-read-whole",
    "SHA-256 over all bytes shows that nothing of the transfer is missing or mixed up.",
    uses=USES,
)
def bulk_read_whole(device: Device) -> None:
    for number in _objects(device):
        snapshot = _open(device, number, 0)
        data = _read(device, snapshot, 0, 0xFFFF)
        _hold_records(number, snapshot, data)
        if hashlib.sha256(data).digest() != snapshot.sha256:
            raise Violation(f"{number.name}: the SHA-256 of {len(data)} bytes is not the one announced")


@check(
    "bulk-resumed",
    "After a lost link the snapshot is still there, through a new HELLO too: BulkRead goes on at the offset where it "
    "stood.",
    uses=USES,
)
def bulk_resumed(device: Device) -> None:
    number = _objects(device)[0]
    snapshot = _open(device, number, 0)
    if snapshot.size_bytes < 2 * ODD_LENGTH:
        raise NotApplicable(f"{number.name} has {snapshot.size_bytes} bytes, too few to read in pieces")
    device.line.ask(BulkRead(snapshot.snapshot_id, 0, ODD_LENGTH), BulkData)
    first = device.line.ask(BulkRead(snapshot.snapshot_id, 0, ODD_LENGTH), BulkData)
    device.new_session()
    data = first.data + _read(device, snapshot, len(first.data), ODD_LENGTH)
    if hashlib.sha256(data).digest() != snapshot.sha256:
        raise Violation(f"{number.name}: read in pieces through two sessions it has another SHA-256 than announced")


@check(
    "bulk-bounds",
    "Offset at the end: empty data; beyond it: OUT_OF_RANGE. Another snapshot_id: NO_SNAPSHOT.",
    uses=USES,
)
def bulk_bounds(device: Device) -> None:
    line = device.line
    snapshot = _open(device, _objects(device)[0], 0)
    end = line.ask(BulkRead(snapshot.snapshot_id, snapshot.size_bytes, 64), BulkData)
    if end.data:
        raise Violation(f"there are {len(end.data)} bytes at the end of the snapshot")
    line.refusal(BulkRead(snapshot.snapshot_id, snapshot.size_bytes + 1, 64), NakReason.OUT_OF_RANGE)
    line.refusal(BulkRead(snapshot.snapshot_id ^ 0x8000_0000, 0, 64), NakReason.NO_SNAPSHOT)
    line.refusal(BulkOpen(UNKNOWN_OBJECT, 0), NakReason.OUT_OF_RANGE)
    again = _open(device, _objects(device)[0], 0)
    if again.snapshot_id == snapshot.snapshot_id:
        raise Violation(f"two snapshots have the id {again.snapshot_id}")


@check(
    "bulk-from-an-index",
    "BulkOpen takes the snapshot of an object from first_index on and drops the one before.",
    uses=USES,
)
def bulk_from_an_index(device: Device) -> None:
    line = device.line
    number = _objects(device)[0]
    whole = _open(device, number, 0)
    if whole.records < 2:
        raise NotApplicable(f"{number.name} has {whole.records} records, too few to begin at a later one")
    index = whole.first_index + whole.records - 1
    rest = _open(device, number, index)
    if rest.first_index != index or rest.records < 1:
        raise Violation(f"opened at {index}, it has {rest.records} records from {rest.first_index} on")
    _hold_records(number, rest, _read(device, rest, 0, 0xFFFF))
    line.refusal(BulkRead(whole.snapshot_id, 0, 64), NakReason.NO_SNAPSHOT)


def _objects(device: Device) -> list[BulkObject]:
    """The objects that the device has.

    Raises:
        NotApplicable: it has none.
    """
    found = []
    for number in BulkObject:
        if number not in device.usable_records:
            continue
        if number is BulkObject.EVENT_LOG and not device.can & Capability.EVENT_LOG:
            continue
        if device.supports(BulkOpen(number, 0), BulkInformation, f"BulkOpen of {number.name}"):
            found.append(number)
    if not found:
        raise NotApplicable("it has no bulk object that it lays out as we do")
    return found


def _open(device: Device, number: BulkObject, first_index: int) -> BulkInformation:
    snapshot = device.line.ask(BulkOpen(number, first_index), BulkInformation)
    record_bytes = BULK_RECORDS[number].codec.head.size + CRC_BYTES
    if snapshot.object != number or snapshot.record_bytes != record_bytes:
        raise Violation(f"{number.name} has records of {record_bytes} bytes, it announces {snapshot}")
    if snapshot.size_bytes != snapshot.records * record_bytes or snapshot.first_index < first_index:
        raise Violation(f"{number.name}, asked for from index {first_index} on, contradicts itself: {snapshot}")
    if snapshot.size_bytes > MOST_BYTES:
        raise NotApplicable(f"{number.name} has {snapshot.size_bytes} bytes, too many for a check")
    return snapshot


def _read(device: Device, snapshot: BulkInformation, offset: int, length: int) -> bytes:
    """The snapshot's bytes from an offset on, in pieces of `length` at most."""
    data = b""
    while offset + len(data) < snapshot.size_bytes:
        at = offset + len(data)
        piece = device.line.ask(BulkRead(snapshot.snapshot_id, at, length), BulkData)
        most = min(length, device.hello.mtu - DATA_HEAD_BYTES, snapshot.size_bytes - at)
        if (piece.snapshot_id, piece.offset) != (snapshot.snapshot_id, at) or not 0 < len(piece.data) <= most:
            raise Violation(
                f"asked for {length} bytes at {at} of snapshot {snapshot.snapshot_id}, it gives {len(piece.data)} at "
                f"{piece.offset} of {piece.snapshot_id}"
            )
        data += piece.data
    return data


def _hold_records(number: BulkObject, snapshot: BulkInformation, data: bytes) -> None:
    decode, size = BULK_RECORDS[number].codec.decode, snapshot.record_bytes
    for place in range(snapshot.records):
        octets = data[place * size : (place + 1) * size]
        stated = int.from_bytes(octets[-CRC_BYTES:], "little")
        if crc32.iscsi(octets[:-CRC_BYTES]) != stated:
            raise Violation(f"{number.name}: record {place} has not the CRC-32C it states: {octets.hex()}")
        try:
            record = decode(octets[:-CRC_BYTES])
        except DecodeError as error:
            raise Violation(f"{number.name}: record {place} cannot be read: {error}") from None
        if record.index != snapshot.first_index + place:
            raise Violation(
                f"{number.name}: record {place} has index {record.index}, not {snapshot.first_index + place}"
            )


BULK = (bulk_read_whole, bulk_resumed, bulk_bounds, bulk_from_an_index)
