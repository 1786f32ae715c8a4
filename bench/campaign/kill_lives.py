"""The process that host processes are forked from, seen from outside: an order in, the words of one life out."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import msgspec

from bench.campaign.kill_words import Gone, Order, Word, read_word
from bench.errors import SetupRefused

LONGEST_LIFE_S = 60.0


class Hosts:
    """Started by a command; a context manager that ends it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if error is not None:
            self._process.kill()
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def life(self, order: Order) -> Iterator[Word]:
        """Have a process carry out an order; what it and its parent say, until it is gone.

        Raises:
            SetupRefused: it hangs, or its parent has ended.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then nothing comes back either
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        end_s = time.monotonic() + LONGEST_LIFE_S
        while True:
            word = read_word(self._line(end_s))
            yield word
            if isinstance(word, Gone):
                return

    def _line(self, end_s: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end_s - time.monotonic()))
            if not ready:
                raise SetupRefused(f"a host process has not ended within {LONGEST_LIFE_S:.0f} s")
            data = os.read(descriptor, 65_536)
            if not data:
                raise SetupRefused("the process that host processes are forked from has ended")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line
