"""What the pump keeps for later: events, calibrations and doses, written to memory and read in bulk."""

from __future__ import annotations

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.memory import Memory, Result
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from protocol import (
    BulkData,
    BulkInformation,
    BulkOpen,
    BulkRead,
    BulkRefused,
    CalibrationRecord,
    DoseRecord,
    EventCode,
    EventRecord,
    NakReason,
    ProposeCalibration,
    ProposePatientBolusLimits,
    ProposeRefill,
    ProposeTherapyClock,
    Snapshot,
)

_IDS_PER_BOOT = 1 << 16
_IDS = 1 << 32
_MOST_AT_ONCE = 2
_USED_UP = 0
_SETTINGS = (ProposeCalibration, ProposePatientBolusLimits, ProposeRefill, ProposeTherapyClock)
_NO_DOSES = frozenset((_USED_UP, *(proposed.TYPE for proposed in _SETTINGS)))


class Logs:
    """Writes the rows of records, and serves a snapshot of one of them to who has the pump's key and one to all others.

    So nobody in the open takes the holder's away. `is_in_the_open` says of the request in hand whose it is; a pump
    without a key has one snapshot. A reset drops both.
    """

    def __init__(self, nvram: Nvram, clock: DeviceClock) -> None:
        self._nvram = nvram
        self._clock = clock
        self.is_in_the_open = False
        self._snapshots: dict[bool, Snapshot] = {}
        self._opened = 0

    def add_event(self, code: EventCode, argument: int) -> EventRecord:
        """An event now; returned as it was written."""
        row = self._nvram.events
        record = EventRecord(row.next_index, self._nvram.memory.boot_id, self._clock.now_us(), code, argument)
        row.append(record)
        return record

    def add_calibration(self, command_id: int, step_volume_nl: float) -> None:
        """A calibration write now."""
        row, boot_id = self._nvram.calibrations, self._nvram.memory.boot_id
        row.append(CalibrationRecord(row.next_index, boot_id, self._clock.now_us(), command_id, step_volume_nl))

    def add_dose(self, result: Result) -> None:
        """A dosing command that has ended."""
        row, command_id = self._nvram.doses, result.command_id
        volumes_ul = (result.delivered_low_ul, result.delivered_high_ul)
        row.append(DoseRecord(row.next_index, command_id, result.propose_type, result.state, *volumes_ul))

    def complete(self, memory: Memory) -> None:
        """After a reset: add what a loss of power has kept out of the histories."""
        doses = {record.command_id for record in self._nvram.doses.newest_few(_MOST_AT_ONCE)}
        calibrations = {record.command_id for record in self._nvram.calibrations.newest_few(1)}
        for result in memory.results[-_MOST_AT_ONCE:]:
            if result.propose_type == ProposeCalibration.TYPE and result.command_id not in calibrations:
                self.add_calibration(result.command_id, memory.step_volume_nl)
            elif result.propose_type not in _NO_DOSES and result.command_id not in doses:
                self.add_dose(result)

    def open(self, request: BulkOpen) -> BulkInformation:
        """Answer a BulkOpen; the snapshot that the same readers had before is dropped.

        Raises:
            RefusedRequest: there is no such object.
        """
        row = self._nvram.rows.get(request.object)
        if row is None:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"bulk object {int(request.object)} is unknown")
        first_index, sealed = row.since(request.first_index)
        self._opened = (self._opened + 1) % _IDS_PER_BOOT
        snapshot_id = (self._nvram.memory.boot_id * _IDS_PER_BOOT + self._opened) % _IDS
        snapshot = Snapshot.of_sealed(row.bulk_object, snapshot_id, sealed, first_index=first_index)
        self._snapshots[self.is_in_the_open] = snapshot
        return snapshot.information()

    def read(self, request: BulkRead) -> BulkData:
        """Answer a BulkRead.

        Raises:
            RefusedRequest: the snapshot is gone, or the offset lies beyond its end.
        """
        snapshot = self._snapshots.get(self.is_in_the_open)
        if snapshot is None:
            raise RefusedRequest(NakReason.NO_SNAPSHOT, f"snapshot {request.snapshot_id} is gone")
        try:
            return snapshot.read(request)
        except BulkRefused as refusal:
            raise RefusedRequest(refusal.reason, refusal.detail) from None

    def reset(self) -> None:
        """Drop the snapshots."""
        self._snapshots.clear()
        self._opened = 0
