"""The host's memory of dosing commands: a file on disk, each record durable before the byte that depends on it is sent.

Before a command is proposed, room is kept in the file for all that may have to be noted of it: lines that are empty,
really written and synced, which later records overwrite. So the outcome of a dose can be noted on a full disk, and a
disk without that room refuses the dose before anything is sent. A file system that copies on write, compresses, or is
itself thinly provisioned takes new room even to overwrite; there an outcome may still be refused, and the pump is asked
for it again at the next opening: no dose is lost by it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from driver.dose import DoseState
from driver.errors import JournalError, JournalForeign, JournalLocked
from driver.file_lock import LockHeld
from driver.journal_file import HIGHEST_ID, RESOLVED, VERSION, Contents, Entry, Tail, read_contents
from driver.journal_line import line_of
from driver.resolving import resolution
from driver.storage import Lock, RealStorage, Storage

SUFFIX = ".jsonl"
ROOM_PER_DOSE_BYTES = 1024
ROOM_AT_ONCE_BYTES = 4096
_ROOM_BESIDE_VALUES_BYTES = 512


class Journal:
    """One pump's journal. From `bind` to `release` it is this object's alone; the system ends that with the process.

    `Pump.open` calls `bind` when it knows the serial number; the rest is the driver's.
    """

    def __init__(self, locate: Callable[[str], Path], storage: Storage | None = None) -> None:
        self._locate = locate
        self._storage: Storage = storage if storage is not None else RealStorage()
        self._serial_number: str | None = None
        self._contents = Contents("")
        self._tail = Tail()
        self._is_tail_known = True
        self._lock: Lock | None = None
        self._not_lockable: JournalError | None = None
        self.path = Path()
        self.highest_id = 0
        self.notices: list[str] = []

    @classmethod
    def in_directory(cls, path: str | Path, storage: Storage | None = None) -> Journal:
        """A folder with a file per serial number."""
        return cls(lambda serial_number: Path(path) / f"{quote(serial_number, safe=' ')}{SUFFIX}", storage)

    @classmethod
    def in_file(cls, path: str | Path, storage: Storage | None = None) -> Journal:
        """A file that belongs to one pump."""
        return cls(lambda _: Path(path), storage)

    @classmethod
    def in_default_directory(cls) -> Journal:
        """This user's own: under `$XDG_STATE_HOME` or `~/.local/state`, on Windows under `%LOCALAPPDATA%`."""
        return cls.in_directory(default_directory())

    def bind(self, serial_number: str) -> None:
        """Lock the pump's file and read it, or be ready to begin one.

        A torn end is put into `notices`, nothing else is forgiven. Where no lock can be had because the disk is full
        or may not be written, the journal can be read, and every record is refused.

        Raises:
            JournalLocked: another process, or another `Pump` of this one, has it.
            JournalForeign: this journal, or the file, belongs to another pump.
            JournalError: it cannot be read, or is damaged elsewhere than at a torn end.
        """
        if self._serial_number not in (None, serial_number):
            raise JournalForeign(
                str(self.path), f"this is the journal of pump {self._serial_number}; make another for {serial_number}"
            )
        self._serial_number = serial_number
        self.path = self._locate(serial_number)
        lock = self._locked()
        try:
            self._contents, self._tail = read_contents(self.path, self._read(), serial_number)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        self._lock = lock
        self._is_tail_known = True
        self.highest_id = max(self.highest_id, self._contents.highest_id)
        self.notices = [f"{self.path}: {self._tail.notice}"] if self._tail.notice else []

    def release(self) -> None:
        """Let others have the file; a second call does nothing."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def unresolved(self) -> dict[int, Entry]:
        """The commands that may have been carried out and whose end is not known, by id."""
        return dict(self._contents.open)

    def entry(self, id_: int) -> Entry | None:
        """What is known of a command that this journal saw committed, else None."""
        entry = self._contents.entries.get(id_)
        return entry if entry is not None and entry.values is not None else None

    def values(self, id_: int) -> dict[str, Any]:
        """The canonical values of a command this journal saw committed, else nothing."""
        entry = self.entry(id_)
        return {} if entry is None or entry.values is None else dict(entry.values)

    def state(self, id_: int) -> str | None:
        """The last state known of a command this journal saw committed, empty where none is, else None."""
        entry = self.entry(id_)
        return None if entry is None else entry.state

    def take_id(self, device_last_id: int, kind: str, values: Mapping[str, Any]) -> int:
        """A new command id, above all this journal and the pump have seen, on disk before it is given.

        Raises:
            JournalError: it could not be written, there is no room for what follows, or no id is left; none is to be
                used.
        """
        if max(self.highest_id, device_last_id) >= HIGHEST_ID:
            raise JournalError(
                str(self.path),
                f"no command id is left: the pump, or this journal, names {HIGHEST_ID}, the highest there is, as used; "
                "have the pump's memory looked at",
            )
        self.highest_id = max(self.highest_id, device_last_id) + 1
        commit_bytes = 2 * len(line_of({"values": values})) + _ROOM_BESIDE_VALUES_BYTES
        kept = self._room_for_open() + ROOM_PER_DOSE_BYTES + commit_bytes
        self._append("intent", kept, id=self.highest_id, kind=kind, asked=dict(values))
        return self.highest_id

    def commit(self, id_: int, kind: str, values: Mapping[str, Any], token: int) -> None:
        """Note that COMMIT is about to be sent, under the proposal's token.

        Raises:
            JournalError: it could not be written, or there is no room for the outcome; COMMIT is not to be sent.
        """
        kept = self._room_for_open() + ROOM_PER_DOSE_BYTES
        self._append("commit", kept, id=id_, kind=kind, values=dict(values), token=token)

    def outcome(self, id_: int, state: str, low_ul: float, high_ul: float) -> None:
        """Note what became of a command.

        Raises:
            JournalError: it could not be written; what was known before still holds.
        """
        self._append("outcome", 0, id=id_, state=state, delivered_low_ul=low_ul, delivered_high_ul=high_ul)

    def resolve(
        self,
        id_: int,
        *,
        by: str,
        because: str,
        as_: DoseState | str = DoseState.DELIVERED,
        volume_ul: tuple[float, float] | None = None,
        pump_lost: bool = False,
    ) -> None:
        """Note what an operator, by name, takes a command as whose end is not known, and why.

        Raises:
            ValueError: its end is known, the pump is to be asked, or what the operator says cannot be: `resolution`.
            JournalError: it could not be written; what was known before still holds.
        """
        entry = self._contents.entries.get(id_)
        if entry is None:
            raise ValueError(f"command {id_} is not in {self.path}")
        taken_as, low_ul, high_ul = resolution(
            id_, entry, by=by, because=because, as_=as_, volume_ul=volume_ul, pump_lost=pump_lost
        )
        said: dict[str, Any] = {"as": taken_as.value, "by": by, "because": because, "delivered_low_ul": low_ul}
        if math.isfinite(high_ul):
            said["delivered_high_ul"] = high_ul
        self._append("outcome", self._room_for_open() - ROOM_PER_DOSE_BYTES, id=id_, state=RESOLVED, **said)

    def stop(self, *, confirmed: bool) -> None:
        """Note a STOP that was sent.

        Raises:
            JournalError: it could not be written.
        """
        self._append("stop", self._room_for_open(), confirmed=confirmed)

    def _room_for_open(self) -> int:
        return ROOM_PER_DOSE_BYTES * len(self._contents.open)

    def _locked(self) -> Lock | None:
        """The file's lock; None, and the reason kept, where the disk does not allow one."""
        if self._lock is not None:
            raise self._taken("another pump of this process")
        self._not_lockable = None
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        try:
            return self._storage.lock(self.path, f"process {os.getpid()} since {since}")
        except LockHeld as error:
            raise self._taken(error.holder) from error
        except OSError as error:
            self._not_lockable = JournalError(
                str(self.path),
                f"the journal of dosing commands cannot be locked ({error}), and nothing is dosed without it; mend "
                "that and open the pump again",
            )
            return None

    def _taken(self, holder: str) -> JournalLocked:
        return JournalLocked(
            str(self.path),
            f"this journal is in use by {holder}, and it is for one at a time: end that one first, or open the pump "
            "with observe=True, to watch and to stop; nothing was dosed",
        )

    def _read(self) -> bytes:
        try:
            return self._storage.read(self.path) if self._storage.exists(self.path) else b""
        except OSError as error:
            raise JournalError(str(self.path), f"the journal cannot be read ({error})") from error

    def _append(self, record: str, kept_bytes: int, **fields: Any) -> None:
        """Write a record, so that room is kept behind it."""
        if self._lock is None:
            raise self._not_lockable or JournalError(str(self.path), "this journal was closed; open the pump again")
        if not self._is_tail_known:
            _, self._tail = read_contents(self.path, self._read(), self._serial_number)
            self._is_tail_known = True
        new = [self._stamped(record, **fields)]
        if not self._contents.has_header:
            new.insert(0, self._stamped("journal", version=VERSION))
        if self._tail.torn_line:
            new.insert(0, self._stamped("torn"))
        data = (b"\n" if self._tail.is_line_open else b"") + b"".join(map(line_of, new))
        try:
            self._keep_room(len(data) + kept_bytes)
            self._is_tail_known = False
            self._storage.write_and_sync(self.path, self._tail.end, data)
        except OSError as error:
            raise JournalError(str(self.path), f"the journal of dosing commands cannot be written ({error})") from error
        self._tail = Tail(self._tail.end + len(data), max(0, self._tail.room - len(data)))
        self._is_tail_known = True
        for each in new:
            if each["record"] != "torn":
                self._contents.take(each)

    def _keep_room(self, wanted_bytes: int) -> None:
        room = self._tail.room
        if room < wanted_bytes:
            added = wanted_bytes - room + ROOM_AT_ONCE_BYTES
            self._storage.write_and_sync(self.path, self._tail.end + room, b"\n" * added)
            self._tail.room += added

    def _stamped(self, record: str, **fields: Any) -> dict[str, Any]:
        wall = datetime.now(UTC).isoformat(timespec="milliseconds")
        return {"record": record, "serial_number": self._serial_number, "wall": wall, **fields}


def default_directory() -> Path:
    """Where this user's journals are kept when nothing else is said."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "thecabench" / "journals"
