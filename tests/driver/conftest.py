"""A clock that tests turn by hand, and a disk that fails on demand."""

from __future__ import annotations

import errno
import heapq
from collections.abc import Callable
from itertools import count
from math import ceil
from pathlib import Path

import pytest

NS_PER_S = 1_000_000_000
POLL_NS = 100_000


class HandClock:
    """Virtual time in whole nanoseconds, rounded up; whatever is due happens while someone sleeps or waits."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.now_ns / NS_PER_S

    def sleep(self, seconds: float) -> None:
        self._run(ceil(seconds * NS_PER_S), lambda: False)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ns + round(seconds * NS_PER_S), next(self._order), action))

    def wait(self, seconds: float, until: Callable[[], bool]) -> None:
        """As a port waits: even a poll takes 100 µs."""
        self._run(max(round(seconds * NS_PER_S), POLL_NS), until)

    def _run(self, length_ns: int, until: Callable[[], bool]) -> None:
        end_ns = self.now_ns + length_ns
        while not until():
            if not self._due or self._due[0][0] > end_ns:
                self.now_ns = end_ns
                return
            due_ns, _, action = heapq.heappop(self._due)
            self.now_ns = max(self.now_ns, due_ns)
            action()


class Disk:
    """Files in memory; `room` bytes are left on it. A write that does not fit leaves what fitted, as real disks do."""

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}
        self.room: int | None = None
        self.log: list[str] = []

    def exists(self, path: Path) -> bool:
        return path in self.files

    def read(self, path: Path) -> bytes:
        return self.files[path]

    def append_and_sync(self, path: Path, data: bytes) -> None:
        fits = data if self.room is None else data[: self.room]
        self.files[path] = self.files.get(path, b"") + fits
        if self.room is not None:
            self.room -= len(fits)
        if fits != data:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.log.append(f"disk {data.decode()}")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def disk() -> Disk:
    return Disk()
