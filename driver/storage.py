"""Where the driver keeps what must survive: a protocol, and the real disk behind it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """Files that are only ever appended to. Every failure is an OSError; a failed append may leave a part behind."""

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path) -> bytes:
        """The whole file."""
        ...

    def append_and_sync(self, path: Path, data: bytes) -> None:
        """Append, creating file and folders, and return only when the bytes are on the medium."""
        ...


class RealStorage:
    """The file system of this machine."""

    def exists(self, path: Path) -> bool:
        return path.exists()

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def append_and_sync(self, path: Path, data: bytes) -> None:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The name of a new file is durable only when its folder is; Windows cannot open one and does not need it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
