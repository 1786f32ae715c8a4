"""A host process that can be killed at any of its calls to the outside: transport, clock, storage.

Between two calls a process changes nothing that outlives it, so killed after one is killed before the next. What is
left of it is what its calls did, and what of its files had reached the disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from driver.clock import Clock
from driver.storage import Storage
from driver.transport import Transport

AnyT = TypeVar("AnyT")


class Killed(BaseException):
    """The process does not exist any more; no handler of it can do anything to the outside."""


class When(StrEnum):
    """Before a call takes effect, when it has done half of what it does, or after.

    INTERRUPTED: by Ctrl-C before it, once; the process lives on.
    """

    BEFORE = "before"
    INSIDE = "inside"
    AFTER = "after"
    INTERRUPTED = "interrupted"


class Survives(StrEnum):
    """What is found of bytes that were written and not synced: nothing, their first half, their second, or all.

    A disk writes sectors in what order it likes; where only the second half has come beyond the file's end, zeros are
    found before it.
    """

    NOTHING = "nothing"
    HEAD = "head"
    TAIL = "tail"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Kill:
    """At the `nth` call, counted from 0."""

    nth: int
    when: When
    survives: Survives = Survives.ALL


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made: of what, whether it has a middle, and whether bytes waited for a sync when it began."""

    name: str
    has_middle: bool
    is_unsynced: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock of a process that may die: one process at a time lives here, so nobody else ever has it."""

    release: Callable[[], None]


class Disk:
    """What files hold, and what was written to them and would be lost by a cut of power."""

    def __init__(self) -> None:
        self._synced: dict[Path, bytes] = {}
        self._pending: list[tuple[Path, int, bytes]] = []

    @property
    def is_unsynced(self) -> bool:
        """Whether any bytes wait for a sync."""
        return bool(self._pending)

    def exists(self, path: Path) -> bool:
        return path in self._written()

    def read(self, path: Path) -> bytes:
        return self._written()[path]

    def write(self, path: Path, offset: int, data: bytes) -> None:
        """Write from an offset on, so that this program sees it."""
        self._pending.append((path, offset, data))

    def sync(self) -> None:
        """Return when all that was written is on the medium."""
        self._synced = self._written()
        self._pending.clear()

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        self.write(path, offset, data)
        self.sync()

    def lock(self, path: Path, holder: str) -> Lock:
        return Lock(lambda: None)

    def contents(self) -> tuple[bytes, ...]:
        """What the files hold."""
        return tuple(self._written().values())

    def crash(self, survives: Survives) -> None:
        """What the next process finds."""
        if survives is Survives.NOTHING:
            self._pending.clear()
        elif survives is not Survives.ALL:
            self._pending = [_halved(write, survives) for write in self._pending]
        self.sync()

    def _written(self) -> dict[Path, bytes]:
        files = dict(self._synced)
        for path, offset, data in self._pending:
            before = files.get(path, b"").ljust(offset, b"\0")
            files[path] = before[:offset] + data + before[offset + len(data) :]
        return files


def _halved(write: tuple[Path, int, bytes], survives: Survives) -> tuple[Path, int, bytes]:
    path, offset, data = write
    half = (len(data) + 1) // 2
    return (path, offset, data[:half]) if survives is Survives.HEAD else (path, offset + half, data[half:])


class Process:
    """Counts its calls while it is watched, and is killed at one of them."""

    def __init__(self, kill: Kill | None = None, *, is_unsynced: Callable[[], bool] = lambda: False) -> None:
        self.calls: list[Call] = []
        self.is_dead = self.has_struck = False
        self._kill = kill
        self._is_unsynced = is_unsynced

    def call(self, name: str, act: Callable[[], AnyT], half: Callable[[], object] | None = None) -> AnyT:
        """Call the outside.

        Raises:
            Killed: the process is dead, or dies here.
            KeyboardInterrupt: it is interrupted here.
        """
        if self.is_dead:
            raise Killed
        kill, nth = self._kill, len(self.calls)
        self.calls.append(Call(name, half is not None, self._is_unsynced()))
        if kill is None or kill.nth != nth:
            return act()
        self.has_struck = True
        if kill.when is When.INTERRUPTED:
            raise KeyboardInterrupt
        self.is_dead = True
        if kill.when is When.AFTER:
            act()
        elif kill.when is When.INSIDE and half is not None:
            half()
        raise Killed


class ProcessTransport:
    """A simulated transport as a process uses it; half a write is the first half of its bytes."""

    is_simulated = True

    def __init__(self, process: Process, transport: Transport) -> None:
        self._process = process
        self._transport = transport
        self.name = transport.name

    @property
    def in_waiting(self) -> int:
        return self._process.call("Transport.in_waiting", lambda: self._transport.in_waiting)

    def write(self, data: bytes) -> None:
        self._process.call(
            "Transport.write",
            lambda: self._transport.write(data),
            lambda: self._transport.write(data[: len(data) // 2]),
        )

    def read(self, timeout_s: float) -> bytes:
        half = (lambda: self._transport.read(timeout_s / 2.0)) if timeout_s > 0.0 else None
        return self._process.call("Transport.read", lambda: self._transport.read(timeout_s), half)

    def close(self) -> None:
        self._process.call("Transport.close", self._transport.close)


class ProcessClock:
    """A clock as a process uses it."""

    def __init__(self, process: Process, clock: Clock) -> None:
        self._process = process
        self._clock = clock

    def monotonic(self) -> float:
        return self._process.call("Clock.monotonic", self._clock.monotonic)

    def sleep(self, seconds: float) -> None:
        self._process.call("Clock.sleep", lambda: self._clock.sleep(seconds), lambda: self._clock.sleep(seconds / 2.0))


class ProcessStorage:
    """A disk as a process uses it; a write that is killed half-way has written its bytes and not synced them."""

    def __init__(self, process: Process, disk: Disk, storage: Storage | None = None) -> None:
        self._process = process
        self._disk = disk
        self._storage: Storage = storage if storage is not None else disk

    def exists(self, path: Path) -> bool:
        return self._process.call("Storage.exists", lambda: self._storage.exists(path))

    def read(self, path: Path) -> bytes:
        return self._process.call("Storage.read", lambda: self._storage.read(path))

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        self._process.call(
            "Storage.write_and_sync",
            lambda: self._storage.write_and_sync(path, offset, data),
            lambda: self._disk.write(path, offset, data),
        )

    def lock(self, path: Path, holder: str) -> Lock:
        lock = self._process.call("Storage.lock", lambda: self._storage.lock(path, holder))
        return Lock(lambda: self._process.call("Lock.release", lock.release))


def committed_ids(disk: Disk) -> tuple[int, ...]:
    """The ids of which a journal on the disk says that COMMIT was about to be sent, by its lines alone."""
    ids = []
    for line in filter(None, b"\n".join(disk.contents()).split(b"\n")):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("record") == "commit":
            ids.append(int(record["id"]))
    return tuple(ids)
