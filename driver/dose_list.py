"""The doses of every pump as this host's journals tell them, without a pump and without a lock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from driver.dose import DoseState
from driver.errors import JournalError
from driver.journal import SUFFIX
from driver.journal_file import Entry, read_contents


@dataclass(frozen=True, slots=True)
class NotedDose:
    """A dosing command as its journal tells it. `wall` is when its id was taken, UTC in ISO 8601.

    `values` are what the pump agreed to, or, where it never came to that, what was asked for. What it delivered lies
    between the two volumes in µL; the upper one is infinite where nothing bounds it. `by` and `because` are those of
    the operator who resolved it, empty where nobody had to.
    """

    id: int
    wall: str
    kind: str
    values: dict[str, Any]
    state: DoseState
    delivered_low_ul: float
    delivered_high_ul: float
    by: str
    because: str

    @property
    def is_open(self) -> bool:
        """Whether its end is not known here."""
        return self.state in (DoseState.UNCERTAIN, DoseState.PENDING)


@dataclass(frozen=True, slots=True)
class NotedPump:
    """A pump's journal: its doses by id, and what is to be said of the file."""

    serial_number: str
    path: Path
    doses: tuple[NotedDose, ...]
    notices: tuple[str, ...]


def journals_at(path: Path) -> tuple[Path, ...]:
    """The journals in a folder, or the one that the path is itself; none where there is nothing.

    Raises:
        JournalError: the folder cannot be read.
    """
    try:
        if path.is_dir():
            return tuple(sorted(each for each in path.iterdir() if each.name.endswith(SUFFIX)))
        return (path,) if path.exists() else ()
    except OSError as error:
        raise JournalError(str(path), f"this place of journals cannot be read ({error.strerror})") from error


def read_doses(path: Path) -> NotedPump:
    """A pump's doses from its journal.

    Raises:
        JournalError: it cannot be read, or is damaged elsewhere than at a torn end.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(str(path), f"the journal cannot be read ({error.strerror})") from error
    contents, tail = read_contents(path, data)
    return NotedPump(
        contents.serial_number or unquote(path.stem),
        path,
        tuple(_noted(id_, entry) for id_, entry in sorted(contents.entries.items())),
        (tail.notice,) if tail.notice else (),
    )


def _noted(id_: int, entry: Entry) -> NotedDose:
    values = entry.asked if entry.values is None else entry.values
    return NotedDose(
        id_, entry.wall, entry.kind, values, entry.dose_state, *entry.bounds_ul, entry.by, entry.because
    )  # fmt: skip
