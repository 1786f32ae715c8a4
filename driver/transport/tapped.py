"""A tap on a cable: everything passes unchanged, and a listener is told of each chunk, with its direction."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from driver.transport.base import Transport


class Direction(Enum):
    """Which way bytes cross a cable; the host is the side that opened the port."""

    TO_DEVICE = "host to device"
    TO_HOST = "device to host"


Tap = Callable[[Direction, bytes], None]


class Tapped:
    """A transport that tells `tap(direction, data)` of each chunk, in the thread that writes or reads it.

    The tap hears of a chunk just before it is written, because a write that fails may have sent some of it, and just
    after it was read. A tap must return at once and raise nothing.
    """

    def __init__(self, transport: Transport, tap: Tap) -> None:
        self._transport = transport
        self._tap = tap

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def is_simulated(self) -> bool:
        """Whether the transport behind it says so of itself."""
        return getattr(self._transport, "is_simulated", False) is True

    @property
    def in_waiting(self) -> int:
        return self._transport.in_waiting

    def write(self, data: bytes) -> None:
        if data:
            self._tap(Direction.TO_DEVICE, data)
        self._transport.write(data)

    def read(self, timeout_s: float) -> bytes:
        data = self._transport.read(timeout_s)
        if data:
            self._tap(Direction.TO_HOST, data)
        return data

    def close(self) -> None:
        self._transport.close()
