"""The host's memory of dosing commands: JSON lines on disk, each durable before the byte that depends on it is sent.

journal  whose pump this file is about
intent   an id is taken, before PROPOSE
commit   the canonical values, before COMMIT: from here on the command may have been carried out
outcome  what is known to have become of it
stop     a STOP, after it was sent
torn     the line before was cut short by a crash or a full disk; what it would have told was never acted on
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from driver.errors import JournalError, JournalForeign
from driver.storage import RealStorage, Storage

VERSION = 1
FINAL_STATES = frozenset({"done", "stopped", "interrupted", "refused", "not_started", "resolved"})


@dataclass(slots=True)
class Entry:
    """A dosing command that was committed: its kind, its canonical values, and the last state known."""

    kind: str
    values: dict[str, Any]
    state: str = ""


class Journal:
    """One pump's journal, for one program at a time.

    `Pump.open` calls `bind` when it knows the serial number; the rest is the driver's.
    """

    def __init__(self, locate: Callable[[str], Path], storage: Storage | None = None) -> None:
        self._locate = locate
        self._storage: Storage = storage if storage is not None else RealStorage()
        self._serial_number: str | None = None
        self._entries: dict[int, Entry] = {}
        self._needs_newline = False
        self._needs_torn_mark = False
        self._has_header = False
        self.path = Path()
        self.highest_id = 0
        self.notices: list[str] = []

    @classmethod
    def in_directory(cls, path: str | Path, storage: Storage | None = None) -> Journal:
        """A folder with a file per serial number."""
        return cls(lambda serial_number: Path(path) / f"{quote(serial_number, safe=' ')}.jsonl", storage)

    @classmethod
    def in_file(cls, path: str | Path, storage: Storage | None = None) -> Journal:
        """A file that belongs to one pump."""
        return cls(lambda _: Path(path), storage)

    @classmethod
    def in_default_directory(cls) -> Journal:
        """This user's own: under `$XDG_STATE_HOME` or `~/.local/state`, on Windows under `%LOCALAPPDATA%`."""
        return cls.in_directory(default_directory())

    def bind(self, serial_number: str) -> None:
        """Read the pump's file, or be ready to begin one. A torn end is put into `notices`, nothing else is forgiven.

        Raises:
            JournalForeign: this journal, or the file, belongs to another pump.
            JournalError: it cannot be read, or is damaged elsewhere than at a torn end.
        """
        if self._serial_number not in (None, serial_number):
            raise JournalForeign(
                str(self.path), f"this is the journal of pump {self._serial_number}; make another for {serial_number}"
            )
        self._serial_number = serial_number
        self.path = self._locate(serial_number)
        self._entries, self.notices = {}, []
        self._needs_newline = self._needs_torn_mark = self._has_header = False
        try:
            data = self._storage.read(self.path) if self._storage.exists(self.path) else b""
        except OSError as error:
            raise JournalError(str(self.path), f"the journal cannot be read ({error})") from error
        self._load(data)

    def unresolved(self) -> dict[int, Entry]:
        """The commands that may have been carried out and whose end is not known, by id."""
        return {id_: entry for id_, entry in self._entries.items() if entry.state not in FINAL_STATES}

    def values(self, id_: int) -> dict[str, Any]:
        """The canonical values of a command this journal saw committed, else nothing."""
        return dict(self._entries[id_].values) if id_ in self._entries else {}

    def kind(self, id_: int) -> str:
        """What kind of command this journal saw committed, else nothing."""
        return self._entries[id_].kind if id_ in self._entries else ""

    def state(self, id_: int) -> str | None:
        """The last state known of a command this journal saw committed, empty where none is, else None."""
        return self._entries[id_].state if id_ in self._entries else None

    def take_id(self, device_last_id: int, kind: str, values: Mapping[str, Any]) -> int:
        """A new command id, above all this journal and the pump have seen, on disk before it is given.

        Raises:
            JournalError: it could not be written; the id is not to be used.
        """
        self.highest_id = max(self.highest_id, device_last_id) + 1
        self._append("intent", id=self.highest_id, kind=kind, asked=dict(values))
        return self.highest_id

    def commit(self, id_: int, kind: str, values: Mapping[str, Any]) -> None:
        """Note that COMMIT is about to be sent.

        Raises:
            JournalError: it could not be written; COMMIT is not to be sent.
        """
        self._append("commit", id=id_, kind=kind, values=dict(values))
        self._entries[id_] = Entry(kind, dict(values))

    def outcome(
        self, id_: int, state: str, low_ul: float | None, high_ul: float | None, *, by: str | None = None
    ) -> None:
        """Note what became of a command; `by` names the operator who said so, where the pump could not.

        Volumes that are not known are None and left out.

        Raises:
            JournalError: it could not be written; what was known before still holds.
        """
        said = {"delivered_low_ul": low_ul, "delivered_high_ul": high_ul, "by": by}
        known = {name: value for name, value in said.items() if value is not None}
        self._append("outcome", id=id_, state=state, **known)
        if id_ in self._entries:
            self._entries[id_].state = state

    def stop(self, *, confirmed: bool) -> None:
        """Note a STOP that was sent.

        Raises:
            JournalError: it could not be written.
        """
        self._append("stop", confirmed=confirmed)

    def _append(self, record: str, **fields: Any) -> None:
        lines = []
        if self._needs_torn_mark:
            lines.append(self._line("torn"))
        if not self._has_header:
            lines.append(self._line("journal", version=VERSION))
        lines.append(self._line(record, **fields))
        data = ("\n" if self._needs_newline else "") + "".join(lines)
        self._needs_newline = self._needs_torn_mark = True
        try:
            self._storage.append_and_sync(self.path, data.encode())
        except OSError as error:
            raise JournalError(str(self.path), f"the journal of dosing commands cannot be written ({error})") from error
        self._needs_newline = self._needs_torn_mark = False
        self._has_header = True

    def _line(self, record: str, **fields: Any) -> str:
        wall = datetime.now(UTC).isoformat(timespec="milliseconds")
        content = {"record": record, "serial_number": self._serial_number, "wall": wall, **fields}
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"

    def _load(self, data: bytes) -> None:
        lines = data.split(b"\n")
        self._needs_newline = bool(lines[-1])
        unreadable: int | None = None
        for number, line in enumerate(lines, start=1):
            record = _parse(line) if line else {}
            if record is None:
                unreadable = unreadable or number
            elif record.get("record") == "torn":
                unreadable = None
            elif record and unreadable is not None:
                raise JournalError(
                    str(self.path), f"line {unreadable} is damaged; restore the file or move it away by hand"
                )
            elif record:
                self._take(record, number)
        if unreadable is not None:
            self._needs_torn_mark = True
            self.notices.append(
                f"{self.path}: line {unreadable} was cut short; what it would have told was never acted on"
            )

    def _take(self, record: dict[str, Any], number: int) -> None:
        owner = record.get("serial_number")
        if owner != self._serial_number:
            raise JournalForeign(
                str(self.path),
                f"line {number} is about pump {owner}, this one is {self._serial_number}; each needs its own journal",
            )
        try:
            self._apply(record)
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(str(self.path), f"line {number} is no journal record ({error!r})") from error

    def _apply(self, record: dict[str, Any]) -> None:
        kind = record["record"]
        if kind == "journal":
            if record["version"] != VERSION:
                raise ValueError(f"journal version {record['version']}, this program writes {VERSION}")
            self._has_header = True
            return
        if not self._has_header:
            raise ValueError("the file does not begin with a journal record")
        if kind in ("intent", "commit", "outcome"):
            id_ = int(record["id"])
            self.highest_id = max(self.highest_id, id_)
            if kind == "commit":
                self._entries[id_] = Entry(str(record["kind"]), dict(record["values"]))
            elif kind == "outcome" and id_ in self._entries:
                self._entries[id_].state = str(record["state"])
        elif kind != "stop":
            raise ValueError(f"unknown record {kind!r}")


def default_directory() -> Path:
    """Where this user's journals are kept when nothing else is said."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "thecabench" / "journals"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
