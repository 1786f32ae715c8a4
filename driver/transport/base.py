"""What the driver needs of a cable: the `Transport` protocol, and a guard that gives every loss the port's name."""

from __future__ import annotations

from typing import Protocol

from driver.errors import PortLost


class Transport(Protocol):
    """A byte stream with a finite receive buffer. `firmware_mock.ports.HostEnd` fits it in process."""

    @property
    def name(self) -> str:
        """How people know the port; part of every error."""
        ...

    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived and wait to be read."""
        ...

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them; empty on time-out."""
        ...

    def close(self) -> None:
        """Give the port back; a second call does nothing."""
        ...


class Guarded:
    """A transport whose every OSError becomes `PortLost` with the port's name; the first cause is kept and repeated.

    One that is not `owned` belongs to the caller, who closes it.
    """

    def __init__(self, transport: Transport, *, owned: bool = True) -> None:
        self._transport = transport
        self._owned = owned
        self._lost: PortLost | None = None

    @property
    def name(self) -> str:
        return self._transport.name

    @property
    def in_waiting(self) -> int:
        self._check()
        try:
            return self._transport.in_waiting
        except (OSError, PortLost) as error:
            raise self._keep(error) from error

    def write(self, data: bytes) -> None:
        self._check()
        try:
            self._transport.write(data)
        except (OSError, PortLost) as error:
            raise self._keep(error) from error

    def read(self, timeout_s: float) -> bytes:
        self._check()
        try:
            return self._transport.read(timeout_s)
        except (OSError, PortLost) as error:
            raise self._keep(error) from error

    def close(self) -> None:
        if self._owned:
            self._transport.close()

    def _check(self) -> None:
        if self._lost is not None:
            raise PortLost(self._lost.port, self._lost.sentence)

    def _keep(self, error: OSError | PortLost) -> PortLost:
        if isinstance(error, PortLost):
            self._lost = error
            return PortLost(error.port, error.sentence)
        self._lost = PortLost(self.name, f"the connection is gone ({error}); check cable and power, then open it again")
        return self._lost
