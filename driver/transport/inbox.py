"""A bounded byte queue between a reader thread and the one program thread; what does not fit is dropped and counted."""

from __future__ import annotations

import threading

from driver.errors import PortLost, TransportError

CAPACITY_BYTES = 1 << 20


class Inbox:
    """Bytes received and not yet read. All methods may be called from either thread."""

    def __init__(self, port: str, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._port = port
        self._capacity_bytes = capacity_bytes
        self._data = bytearray()
        self._changed = threading.Condition()
        self._failure: str | None = None
        self._closed = False
        self._dropped_bytes = 0

    @property
    def dropped_bytes(self) -> int:
        """Bytes that arrived while the queue was full."""
        return self._dropped_bytes

    @property
    def in_waiting(self) -> int:
        with self._changed:
            if not self._data:
                self._raise_if_over()
            return len(self._data)

    def put(self, data: bytes) -> None:
        with self._changed:
            room = self._capacity_bytes - len(self._data)
            self._data += data[:room]
            self._dropped_bytes += max(0, len(data) - room)
            self._changed.notify()

    def fail(self, reason: str) -> None:
        """The port is lost; what arrived before can still be read."""
        with self._changed:
            self._failure = self._failure or reason
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, timeout_s: float) -> bytes:
        """All bytes, waiting for the first.

        Raises:
            PortLost: nothing is left and the port is gone.
            TransportError: nothing is left and the port was closed here.
        """
        with self._changed:
            if not self._data:
                self._changed.wait_for(self._is_over_or_filled, max(0.0, timeout_s))
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
        with self._changed:
            self._raise_if_over()

    def _is_over_or_filled(self) -> bool:
        return bool(self._data) or self._failure is not None or self._closed

    def _raise_if_over(self) -> None:
        if self._closed:
            raise TransportError(self._port, "the port was closed here and must be opened again before use")
        if self._failure is not None:
            raise PortLost(
                self._port, f"the connection is gone ({self._failure}); check cable and power, then open it again"
            )
