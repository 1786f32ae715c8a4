"""A bounded byte queue between a reader thread and the one program thread; what does not fit is dropped and counted."""

from __future__ import annotations

import threading

from driver.errors import PortLost, TransportError

CAPACITY_BYTES = 1 << 20


class Inbox:
    """Bytes received and not yet read. All methods may be called from either thread; one thread at a time takes.

    Waiting is by a bare lock that `_wake_up` opens, since a Condition makes a new lock for each wait.
    A wake-up that came after its wait had ended, or was interrupted, is taken back before the next.
    """

    def __init__(self, port: str, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._port = port
        self._capacity_bytes = capacity_bytes
        self._data = bytearray()
        self._lock = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._is_waited_for = False
        self._failure: str | None = None
        self._closed = False
        self._dropped_bytes = 0

    @property
    def dropped_bytes(self) -> int:
        """Bytes that arrived while the queue was full."""
        return self._dropped_bytes

    @property
    def in_waiting(self) -> int:
        with self._lock:
            if not self._data:
                self._raise_if_over()
            return len(self._data)

    def put(self, data: bytes) -> None:
        with self._lock:
            room = self._capacity_bytes - len(self._data)
            self._data += data[:room]
            self._dropped_bytes += max(0, len(data) - room)
            self._wake_up()

    def fail(self, reason: str) -> None:
        """The port is lost; what arrived before can still be read."""
        with self._lock:
            self._failure = self._failure or reason
            self._wake_up()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._wake_up()

    def take(self, timeout_s: float) -> bytes:
        """All bytes, waiting for the first.

        Raises:
            PortLost: nothing is left and the port is gone.
            TransportError: nothing is left and the port was closed here.
        """
        with self._lock:
            waits = timeout_s > 0.0 and not self._is_over_or_filled()
            if waits:
                self._wake.acquire(blocking=False)
                self._is_waited_for = True
        if waits:
            self._wake.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))
        with self._lock:
            self._is_waited_for = False
            if not self._data:
                self._raise_if_over()
            data = bytes(self._data)
            self._data.clear()
            return data

    def raise_if_lost(self) -> None:
        """
        Raises:
            PortLost: the port is gone.
            TransportError: the port was closed here.
        """
        with self._lock:
            self._raise_if_over()

    def _wake_up(self) -> None:
        if self._is_waited_for:
            self._is_waited_for = False
            self._wake.release()

    def _is_over_or_filled(self) -> bool:
        return bool(self._data) or self._failure is not None or self._closed

    def _raise_if_over(self) -> None:
        if self._closed:
            raise TransportError(self._port, "the port was closed here and must be opened again before use")
        if self._failure is not None:
            raise PortLost(
                self._port, f"the connection is gone ({self._failure}); check cable and power, then open it again"
            )
