"""The host's end of a line that faults are done to: its handle on the port, and its clock, which some of them hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from firmware_mock.ports import PortUnplugged
from firmware_mock.world import NS_PER_S, World, to_ns

if TYPE_CHECKING:
    from firmware_mock.faults.line import FaultyPort


class HostClock:
    """The host's monotonic clock: world time plus what jumps and sleeps of the host have made of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ahead_ns = 0
        self._suspended_until_ns = 0
        self._on_sleep: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return (self._world.now_ns + self._ahead_ns) / NS_PER_S

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, and whatever the host sleeps through."""
        self._world.sleep(seconds)
        self.catch_up()

    def jump(self, seconds: float) -> None:
        """Be so much ahead from now on."""
        self._ahead_ns += to_ns(seconds)

    def suspend(self, seconds: float, *, counted: bool, on_sleep: Callable[[], None]) -> None:
        """Let the host do nothing from its next step on until then; its clock counts that, or stands still."""
        self._suspended_until_ns = self._world.now_ns + to_ns(seconds)
        self._on_sleep = on_sleep
        self._counts = counted

    def catch_up(self) -> None:
        """Sleep as long as the host is suspended."""
        until_ns, self._suspended_until_ns = self._suspended_until_ns, 0
        slept_ns = until_ns - self._world.now_ns
        if slept_ns > 0:
            self._on_sleep()
            self._world.run_until(until_ns)
            if not self._counts:
                self._ahead_ns -= slept_ns


class Handle:
    """The port as the host opened it once: fits the driver's `Transport` structurally."""

    is_simulated = True

    def __init__(self, port: FaultyPort, opening: int) -> None:
        self._port = port
        self._opening = opening
        self.name = f"sim:{port.name}"

    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived and wait to be read."""
        self._check()
        return self._port.waiting_bytes

    def write(self, data: bytes) -> None:
        """Send bytes to the device.

        Raises:
            PortUnplugged: the cable is or was out since the port was opened.
            TimeoutError: the write was blocked too long.
        """
        self._check()
        self._port.host_writes(data)

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them in virtual time; empty on time-out.

        Raises:
            PortUnplugged: the cable is or was out since the port was opened.
        """
        self._check()
        return self._port.host_reads(timeout_s)

    def close(self) -> None:
        self._opening = -1

    def _check(self) -> None:
        if self._opening != self._port.opening or not self._port.plugged:
            raise PortUnplugged(f"port {self.name} is gone")
