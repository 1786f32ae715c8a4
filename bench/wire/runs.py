"""Cuts a byte stream into runs: each ends behind the zero that closes it, and together they are the stream again."""

from __future__ import annotations

import re

LONGEST_RUN_BYTES = 4096

_CLOSED_RUN = re.compile(rb"\0*[^\0]+\0")


class RunCutter:
    """Bytes in, whole runs out, in any chunking: the zeros before a run, its bytes, and the zero behind it.

    A frame, having a zero on both sides, is one run; so is noise up to the next zero. A run that does not end within
    4096 bytes is given out as it is.
    """

    def __init__(self) -> None:
        self._open = b""

    @property
    def open_bytes(self) -> int:
        """How many bytes wait for the zero that closes them."""
        return len(self._open)

    def feed(self, data: bytes) -> list[bytes]:
        """The runs that `data` completes."""
        waiting = self._open + data
        runs = []
        position = 0
        while match := _CLOSED_RUN.match(waiting, position):
            runs.append(match[0])
            position = match.end()
        self._open = waiting[position:]
        if len(self._open) > LONGEST_RUN_BYTES:
            runs.append(self.take_open())
        return runs

    def take_open(self) -> bytes:
        """What waits, as it is; nothing waits afterwards."""
        data, self._open = self._open, b""
        return data
