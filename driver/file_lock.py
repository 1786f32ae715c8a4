"""A lock between processes that the operating system takes back when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

HOLDER_BYTES = 200

if sys.platform == "win32":
    import msvcrt

    _FAR_AWAY = 1 << 30  # Windows keeps others from reading what is locked, and the holder's name is to be read.

    def _try_lock(file: BinaryIO) -> None:
        file.seek(_FAR_AWAY)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

    _TAKEN: tuple[type[OSError], ...] = (PermissionError,)

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    _TAKEN: tuple[type[OSError], ...] = (BlockingIOError,)


class LockHeld(OSError):
    """Another process, or another part of this one, holds the lock; `holder` is what that one calls itself."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


class FileLock:
    """A lock on a file that is there for nothing else; it stays there, emptied, when the lock is given back.

    Raises:
        LockHeld: somebody else has it.
        OSError: the file cannot be made or locked.
    """

    def __init__(self, path: Path, holder: str) -> None:
        self._path = path
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b", 0)
        try:
            _try_lock(self._file)
        except _TAKEN as error:
            named = self._file.read(HOLDER_BYTES).decode(errors="replace").strip()
            self._file.close()
            raise LockHeld(named or "another process") from error
        except BaseException:
            self._file.close()
            raise
        self._write(holder)

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still the one that others would lock; not so when somebody has removed it."""
        try:
            return self._file.closed or os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        if not self._file.closed:
            self._write("")
            self._file.close()

    def _write(self, holder: str) -> None:
        """The name is for people; a disk without room for it has the lock all the same."""
        try:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(holder.encode()[:HOLDER_BYTES])
        except OSError:
            return
