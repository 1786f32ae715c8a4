"""Where the driver keeps what must survive: a protocol, and the real disk behind it."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import Protocol

from driver.file_lock import FileLock


class Lock(Protocol):
    """A lock that is held until it is released, or until the process ends in whatever way."""

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        ...


class Storage(Protocol):
    """Files that grow and are overwritten in place. Every failure is an OSError."""

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path) -> bytes:
        """The whole file."""
        ...

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        """Write from an offset on, at most the file's length, and return only when the bytes are on the medium.

        Creates file and folders. A failed write may leave a part of the bytes behind.
        """
        ...

    def lock(self, path: Path, holder: str) -> Lock:
        """Keep a file, which need not be there yet, for this holder alone; reading stays free.

        Raises:
            LockHeld: somebody else has it.
        """
        ...


class RealStorage:
    """The file system of this machine. What was locked here is written only while the lock keeps others away."""

    def __init__(self) -> None:
        self._locks: dict[Path, FileLock] = {}

    def exists(self, path: Path) -> bool:
        return path.exists()

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def write_and_sync(self, path: Path, offset: int, data: bytes) -> None:
        if path in self._locks and not self._locks[path].is_in_place:
            raise OSError(errno.ESTALE, "the lock file beside it was removed, so somebody else may write it", str(path))
        if not path.exists() or not path.stat().st_size:
            _create(path)
        with path.open("r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) < offset:
                raise OSError(errno.EIO, "the file was cut short by somebody else", str(path))
            file.seek(offset)
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())

    def lock(self, path: Path, holder: str) -> FileLock:
        beside = Path(f"{path.resolve()}.lock")
        if not beside.exists():
            _create(beside)
        self._locks[path] = FileLock(beside, holder)
        return self._locks[path]


def replace_file(path: Path, data: bytes) -> None:
    """Write a whole file, folders included, so that whoever reads it sees all of the old one or all of the new one.

    Raises:
        OSError: it could not be written; what was there is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(path.parent)


def _create(path: Path) -> None:
    """An empty file whose name survives a power cut, and those of its folders."""
    holding = [path.parent, *(folder.parent for folder in path.parents if not folder.exists())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    for folder in holding:
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """A new name is durable only when the folder that holds it is; Windows cannot open one and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
