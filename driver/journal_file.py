"""What a journal of dosing commands says: lines of JSON, read into what is known of each command.

journal  whose pump this file is about
intent   an id is taken, before PROPOSE
commit   the canonical values and the proposal's token, before COMMIT: from here on it may have been carried out
outcome  what is known to have become of it
stop     a STOP, after it was sent
torn     the line before was cut short by a crash or a full disk

Each line ends in a CRC-32C over its bytes before that, so every flip of one or two bits in it, and every burst of up to
32, is noticed. Empty lines at the end are room kept for what is to come. How what a crash leaves is told from damage is
in `driver.journal_line`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from driver.dose import DoseState, ended_early, most_ul
from driver.errors import JournalError, JournalForeign
from driver.journal_line import is_cut_short, mended, parsed, without_crc

VERSION = 2
HIGHEST_ID = 2**64 - 1
RESOLVED = "resolved"
FINAL_STATES = frozenset({"done", "stopped", "interrupted", "failed", "refused", "not_started", RESOLVED})

_Values = dict[str, int | float | list[dict[str, int | float]]]


@dataclass(slots=True)
class Entry:
    """A dosing command: its kind, when its id was taken, what was asked for, and the last that is known of it.

    `values`, the canonical ones, and `token` are None where it was never committed. `low_ul` and `high_ul` are the last
    bounds noted. `by`, `because` and `taken_as` are an operator's.
    """

    kind: str
    wall: str
    asked: dict[str, Any]
    values: dict[str, Any] | None = None
    token: int | None = None
    state: str = ""
    low_ul: float = 0.0
    high_ul: float | None = None
    by: str = ""
    because: str = ""
    taken_as: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may have been carried out and its end is not known."""
        return self.values is not None and self.state not in FINAL_STATES

    @property
    def dose_state(self) -> DoseState:
        """What became of it, as far as this journal knows."""
        if self.values is None or self.state in ("refused", "not_started"):
            return DoseState.NOT_DELIVERED
        if self.state == RESOLVED:
            return DoseState(self.taken_as)
        if self.is_open:
            return DoseState.PENDING if self.state == "running" else DoseState.UNCERTAIN
        return DoseState.DELIVERED if self.state == "done" else ended_early(self.bounds_ul[1])

    @property
    def bounds_ul(self) -> tuple[float, float]:
        """The volumes in µL between which what it delivered lies; the upper is infinite where nothing bounds it."""
        if self.values is None:
            return 0.0, 0.0
        if self.is_open or self.high_ul is None:
            return self.low_ul, max(self.low_ul, most_ul(self.kind, self.values))
        return self.low_ul, self.high_ul


@dataclass(slots=True)
class Tail:
    """Where the next record goes, in bytes, and how much room is kept behind.

    `torn_line` counts from 1 and is 0 where the file's end is whole; `is_torn_line_told` where what it lacks follows
    from the rest of it, so that it counts.
    """

    end: int = 0
    room: int = 0
    torn_line: int = 0
    is_torn_line_told: bool = False
    is_line_open: bool = False

    @property
    def notice(self) -> str:
        """What is to be said of the file's end, empty where it is whole."""
        if not self.torn_line:
            return ""
        if self.is_torn_line_told:
            return f"line {self.torn_line} lacks a few characters at its start or end; nothing that it tells is lost"
        return f"line {self.torn_line} was cut short; what it would have told was never acted on"


@dataclass(slots=True)
class Contents:
    """A pump's journal: its commands by id, and those of them that are open."""

    serial_number: str
    entries: dict[int, Entry] = field(default_factory=dict)
    open: dict[int, Entry] = field(default_factory=dict)
    highest_id: int = 0
    has_header: bool = False

    def take(self, record: Mapping[str, Any]) -> None:
        """Learn what a record says.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        kind = record["record"]
        if kind == "journal":
            if record["version"] != VERSION:
                raise ValueError(f"journal version {record['version']}, this program writes {VERSION}")
            self.has_header = True
        elif not self.has_header:
            raise ValueError("the file does not begin with a journal record")
        elif kind == "intent":
            self._entry(record).asked = _values(record["asked"])
        elif kind == "commit":
            entry = self._entry(record)
            entry.values = _values(record["values"])
            entry.token = int(record["token"])
            self._sort(_id(record), entry)
        elif kind == "outcome":
            self._end(record)
        elif kind != "stop":
            raise ValueError(f"unknown record {kind!r}")

    def _entry(self, record: Mapping[str, Any]) -> Entry:
        id_ = _id(record)
        self.highest_id = max(self.highest_id, id_)
        return self.entries.setdefault(id_, Entry(str(record["kind"]), str(record["wall"]), {}))

    def _end(self, record: Mapping[str, Any]) -> None:
        id_, state = _id(record), str(record["state"])
        self.highest_id = max(self.highest_id, id_)
        if (entry := self.entries.get(id_)) is None:
            return
        low_ul, high_ul = float(record["delivered_low_ul"]), record.get("delivered_high_ul")
        if not 0.0 <= low_ul <= (low_ul if high_ul is None else float(high_ul)):
            raise ValueError(f"no volume lies between {low_ul:g} and {high_ul} µL")
        entry.state, entry.low_ul = state, low_ul
        entry.high_ul = None if high_ul is None else float(high_ul)
        entry.by, entry.because = str(record.get("by", "")), str(record.get("because", ""))
        entry.taken_as = DoseState(record["as"]).value if state == RESOLVED else ""
        self._sort(id_, entry)

    def _sort(self, id_: int, entry: Entry) -> None:
        if entry.is_open:
            self.open[id_] = entry
        else:
            self.open.pop(id_, None)


def read_contents(path: Path, data: bytes, serial_number: str | None = None) -> tuple[Contents, Tail]:
    """A journal's contents, of the pump that is given, else of whichever it is about.

    Raises:
        JournalForeign: a line is about another pump.
        JournalError: it is damaged elsewhere than at a torn end, or no journal.
    """
    written = data.rstrip(b"\n")
    is_line_open = len(written) == len(data) and bool(data)
    end = len(written) + (bool(written) and not is_line_open)
    contents: Contents | None = None
    torn = damaged = gap = 0
    is_told = False
    for number, line in enumerate(written.split(b"\n"), start=1):
        if not line:
            gap += 1
            continue
        record = parsed(line)
        if record is None:
            record = mended(line, gap)
            if not torn:
                torn, is_told = number, record is not None
            if record is None and not is_cut_short(line, gap):
                damaged = damaged or number
        elif torn and (damaged or record.get("record") != "torn"):
            raise _damaged(path, damaged or torn)
        else:
            torn = 0
        if record is not None and record.get("record") != "torn" and not damaged:
            contents = contents or Contents(_owner(record) if serial_number is None else serial_number)
            _take(path, contents, record, number)
        gap = 0
    if damaged:
        _refuse_older(path, written)
        raise _damaged(path, damaged)
    return contents or Contents(serial_number or ""), Tail(end, len(data) - end, torn, is_told, is_line_open)


def _take(path: Path, contents: Contents, record: Mapping[str, Any], number: int) -> None:
    if (owner := _owner(record)) != contents.serial_number:
        raise JournalForeign(
            str(path),
            f"line {number} is about pump {owner}, this one is {contents.serial_number}; each needs its own journal",
        )
    try:
        contents.take(record)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(
            str(path), f"line {number} is no journal record ({error!r}); restore the file or move it away by hand"
        ) from error


def _refuse_older(path: Path, written: bytes) -> None:
    """
    Raises:
        JournalError: the journal is of a version whose lines have no CRC.
    """
    head = without_crc(written.partition(b"\n")[0])
    if head.get("record") == "journal" and "version" in head and "crc32c" not in head:
        raise JournalError(
            str(path),
            f"line 1 says journal version {head['version']!r}, and this program reads version {VERSION} alone: settle "
            "the open doses with the program that wrote it, then move the file away by hand",
        )


def _damaged(path: Path, number: int) -> JournalError:
    return JournalError(str(path), f"line {number} is damaged; restore the file or move it away by hand")


def _owner(record: Mapping[str, Any]) -> str:
    return str(record.get("serial_number"))


def _id(record: Mapping[str, Any]) -> int:
    id_ = record["id"]
    if not isinstance(id_, int) or not 1 <= id_ <= HIGHEST_ID:
        raise ValueError(f"a command's id is a number from 1 to {HIGHEST_ID}, not {id_!r}")
    return id_


def _values(values: object) -> dict[str, Any]:
    return dict(msgspec.convert(values, _Values))
