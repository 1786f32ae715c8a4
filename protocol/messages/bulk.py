"""Reading logs and histories in bulk: a frozen snapshot, pulled by offset, a CRC on each record, a hash on the whole.

A record on the wire is its layout followed by the CRC-32C of it (u32), as in a frame.
"""

from __future__ import annotations

from construct import Bytes, Enum, Float64l, GreedyBytes, Int8ul, Int16ul, Int32ul, Int64sl, Int64ul, Struct

from protocol.enums import BulkObject, CommandState, EventCode
from protocol.registry import Message, Record, bulk_record, reply, request

SHA256_BYTES = 32


@request(0x24, Struct("object" / Enum(Int8ul, BulkObject), "first_index" / Int32ul))
class BulkOpen(Message, frozen=True):
    """Takes a snapshot of an object: its records from `first_index` on. One that was open is dropped."""

    object: BulkObject | int
    first_index: int


@reply(
    0xA4,
    Struct(
        "object" / Enum(Int8ul, BulkObject),
        "snapshot_id" / Int32ul,
        "first_index" / Int32ul,
        "records" / Int32ul,
        "record_bytes" / Int16ul,
        "size_bytes" / Int32ul,
        "sha256" / Bytes(SHA256_BYTES),
    ),
    to=[BulkOpen],
)
class BulkInformation(Message, frozen=True):
    """The snapshot. It stays until the next BulkOpen or a reset, so a broken transfer goes on where it stood.

    `first_index` is the first record's, later than asked for where older ones were overwritten; `record_bytes`
    includes the CRC; `sha256` is over all `size_bytes`.
    """

    object: BulkObject | int
    snapshot_id: int
    first_index: int
    records: int
    record_bytes: int
    size_bytes: int
    sha256: bytes


@request(0x25, Struct("snapshot_id" / Int32ul, "offset" / Int32ul, "length" / Int16ul))
class BulkRead(Message, frozen=True):
    """Asks for `length` bytes of a snapshot from byte `offset` on."""

    snapshot_id: int
    offset: int
    length: int


@reply(0xA5, Struct("snapshot_id" / Int32ul, "offset" / Int32ul, "data" / GreedyBytes), to=[BulkRead])
class BulkData(Message, frozen=True):
    """Bytes of a snapshot from `offset` on: as many as were asked for, fewer where the MTU or the end says so."""

    snapshot_id: int
    offset: int
    data: bytes


@bulk_record(
    BulkObject.EVENT_LOG,
    Struct(
        "index" / Int32ul,
        "boot_id" / Int32ul,
        "device_time_us" / Int64ul,
        "code" / Enum(Int16ul, EventCode),
        "argument" / Int64sl,
    ),
)
class EventRecord(Record, frozen=True):
    """One event, as `Event` had it; `index` counts for ever, through resets too."""

    index: int
    boot_id: int
    device_time_us: int
    code: EventCode | int
    argument: int


@bulk_record(
    BulkObject.CALIBRATION_HISTORY,
    Struct(
        "index" / Int32ul,
        "boot_id" / Int32ul,
        "device_time_us" / Int64ul,
        "command_id" / Int64ul,
        "step_volume_nl" / Float64l,
    ),
)
class CalibrationRecord(Record, frozen=True):
    """One calibration write."""

    index: int
    boot_id: int
    device_time_us: int
    command_id: int
    step_volume_nl: float


@bulk_record(
    BulkObject.DOSE_HISTORY,
    Struct(
        "index" / Int32ul,
        "command_id" / Int64ul,
        "propose_type" / Int8ul,
        "state" / Enum(Int8ul, CommandState),
        "delivered_low_ul" / Float64l,
        "delivered_high_ul" / Float64l,
    ),
)
class DoseRecord(Record, frozen=True):
    """One dosing command that has ended; `propose_type` is the type byte of its PROPOSE message."""

    index: int
    command_id: int
    propose_type: int
    state: CommandState | int
    delivered_low_ul: float
    delivered_high_ul: float
