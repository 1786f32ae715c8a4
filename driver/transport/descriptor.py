"""Reads a file descriptor: whoever waits reads it himself, and while nobody does a thread moves the bytes to a queue.

Handing each answer from a thread to the program would cost more than all the rest of an exchange. So the thread takes
the descriptor only after `IDLE_S` without a reader, which a system's buffer of 4 KiB bridges even at 1 Mbit/s.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading

from driver.transport.inbox import Inbox

IDLE_S = 0.02
LONGEST_WAIT_S = 1e6
CHUNK_BYTES = 65_536


class DescriptorReader:
    """What arrives at `descriptor`, in order. The descriptor stays the caller's to close, after `close` here."""

    def __init__(self, descriptor: int, port: str) -> None:
        self._descriptor = descriptor
        self._inbox = Inbox(port)
        self._turn = threading.Lock()
        self._read_lately = False
        self._stopping = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        self._thread = threading.Thread(target=self._move_bytes, name=f"reader of {port}", daemon=True)
        self._thread.start()

    @property
    def dropped_bytes(self) -> int:
        """Bytes lost because nobody read them in time."""
        return self._inbox.dropped_bytes

    @property
    def in_waiting(self) -> int:
        """How many bytes the queue holds, once what has arrived is in it."""
        self._read_lately = True
        if self._turn.acquire(blocking=False):
            try:
                self._fetch([self._descriptor], 0.0)
            finally:
                self._turn.release()
        return self._inbox.in_waiting

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them; empty on time-out.

        Raises:
            PortLost: the port is gone and nothing that arrived before is left.
            TransportError: the port was closed here.
        """
        self._read_lately = True
        if self._inbox.in_waiting:
            return self._inbox.take(0.0)
        if not self._turn.acquire(blocking=False):
            if timeout_s <= 0.0:
                return self._inbox.take(0.0)
            os.write(self._wake_writer, b"\0")
            self._turn.acquire()
        try:
            if not self._inbox.in_waiting:
                self._fetch([self._descriptor], min(timeout_s, LONGEST_WAIT_S))
        finally:
            self._turn.release()
        return self._inbox.take(0.0)

    def fail(self, reason: str) -> None:
        """The port is lost; what arrived before can still be read."""
        self._inbox.fail(reason)

    def raise_if_lost(self) -> None:
        """
        Raises:
            PortLost: the port is gone.
            TransportError: the port was closed here.
        """
        self._inbox.raise_if_lost()

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._inbox.close()
        os.write(self._wake_writer, b"\0")
        self._thread.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _move_bytes(self) -> None:
        while not self._stopping.wait(IDLE_S):
            if self._read_lately:
                self._read_lately = False
            elif self._turn.acquire(blocking=False):
                try:
                    if not self._fetch([self._descriptor, self._wake_reader], None):
                        return
                    # Only now: what was written before the wait must end it.
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_reader, CHUNK_BYTES)
                finally:
                    self._turn.release()

    def _fetch(self, descriptors: list[int], timeout_s: float | None) -> bool:
        """Move what arrives to the queue, once one of `descriptors` has something; whether the port is still there.

        Needs the turn.
        """
        try:
            ready, _, _ = select.select(descriptors, [], [], timeout_s)
            if self._descriptor in ready:
                data = os.read(self._descriptor, CHUNK_BYTES)
                if not data:
                    raise OSError("the port reports bytes and gives none")
                self._inbox.put(data)
        except OSError as error:
            self._inbox.fail(str(error))
            return False
        return True
