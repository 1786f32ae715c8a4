"""Reading a pump's logs and histories in bulk, through lost replies and resets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from driver.errors import DriverError, LinkTimeout, NakError, TransferBroken, TransportError
from driver.link import Link
from driver.schemas import Layouts
from protocol import (
    BULK_RECORDS,
    BulkData,
    BulkInformation,
    BulkObject,
    BulkOpen,
    CalibrationRecord,
    DecodeError,
    DoseRecord,
    EventRecord,
    NakReason,
)
from protocol.bulk import BulkReader

FAILURES_IN_A_ROW = 5
FAILURES_IN_ALL = 100

RecordT = TypeVar("RecordT", EventRecord, CalibrationRecord, DoseRecord)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class History(Generic[RecordT]):
    """Records in order of their indices, and which are missing.

    `damaged` are indices whose record was unreadable twice, `overwritten` those asked for that the pump no longer had.
    """

    records: tuple[RecordT, ...]
    damaged: tuple[int, ...]
    overwritten: tuple[range, ...]


def read_history(
    link: Link, layouts: Layouts, record: type[RecordT], first_index: int, progress: Progress | None
) -> History[RecordT]:
    """Read all records of a kind from `first_index` on; `progress` is told how many are there, and of how many.

    Lost replies, a reset of the pump and replies that cannot be true are tried again, 5 in a row and 100 in all.

    Raises:
        ValueError: the index is out of range.
        VersionMismatch: the pump lays these records out differently.
        TransferBroken: too many failures, or the port is lost; its `history` holds what was read.
        NakError: the pump refused.
    """
    bulk_object = next(number for number, entry in BULK_RECORDS.items() if entry.record is record)
    layouts.require_records(link.port, bulk_object)
    reader = BulkReader(bulk_object, first_index=first_index)
    in_a_row = in_all = expected = 0
    while (request := reader.request()) is not None:
        failure: LinkTimeout | NakError | TransportError | DecodeError
        try:
            if isinstance(request, BulkOpen):
                information = link.request(request, BulkInformation)
                reader.receive(information)
                expected = _settled(reader) + information.records
            else:
                reader.receive(link.request(request, BulkData))
                in_a_row = 0
        except NakError as refusal:
            if refusal.reason != NakReason.NO_SNAPSHOT:
                raise
            reader.snapshot_lost()
            failure = refusal
        except (LinkTimeout, TransportError, DecodeError) as error:
            failure = error
        else:
            if progress is not None:
                progress(_settled(reader), expected)
            continue
        in_a_row, in_all = in_a_row + 1, in_all + 1
        if isinstance(failure, TransportError) or in_a_row >= FAILURES_IN_A_ROW or in_all >= FAILURES_IN_ALL:
            raise _broken(link.port, bulk_object, _history(reader, record), failure) from failure
    return _history(reader, record)


def _settled(reader: BulkReader) -> int:
    return len(reader.records) + len(reader.damaged)


def _history(reader: BulkReader, record: type[RecordT]) -> History[RecordT]:
    records = tuple(each for each in reader.records if isinstance(each, record))
    assert len(records) == len(reader.records)
    return History(records, reader.damaged, reader.overwritten)


def _broken(
    port: str, bulk_object: BulkObject, history: History[RecordT], failure: DriverError | DecodeError
) -> TransferBroken:
    why = failure.finding if isinstance(failure, DriverError) else str(failure)
    return TransferBroken(
        port,
        f"{bulk_object.name} could not be read to its end ({why}); {len(history.records)} records are in the error's "
        "history, read on behind them with first_index",
        history,
    )
