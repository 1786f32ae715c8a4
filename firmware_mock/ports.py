"""Simulated cables: byte streams with finite buffers, transmission time and unplugging."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.world import ZERO_TIMEOUT_POLL_NS, World, to_ns

BITS_PER_BYTE = 10
BUFFER_BYTES = 65_536


class PortUnplugged(OSError):
    """The cable is out, or the port was closed."""


class HostEnd:
    """The host's end: fits the driver's `Transport` structurally, and says that nothing real is behind it."""

    is_simulated = True

    def __init__(self, port: Port) -> None:
        self._port = port
        self.name = f"sim:{port.name}"

    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived and wait to be read."""
        return self._port.waiting_bytes

    def write(self, data: bytes) -> None:
        """Send bytes to the device.

        Raises:
            PortUnplugged: the cable is out.
        """
        self._port.host_writes(data)

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them in virtual time; empty on time-out.

        Raises:
            PortUnplugged: the cable is out and nothing that arrived before is left.
        """
        return self._port.host_reads(timeout_s)

    def close(self) -> None:
        self._port.open = False


class Port:
    """A cable between host and device. The device sets `on_receive` and calls `send`."""

    def __init__(self, world: World, name: str, *, baud: int = 115_200) -> None:
        self.world = world
        self.name = name
        self.open = True
        self.plugged = True
        self.dropped_bytes = 0
        self.on_receive: Callable[[bytes], None] | None = None
        self.on_arrival: Callable[[], None] | None = None
        self.host = HostEnd(self)
        self._ns_per_byte = to_ns(BITS_PER_BYTE / baud)
        self._to_host = bytearray()
        self._host_line_free_ns = 0
        self._device_line_free_ns = 0
        self._pluggings = 1

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait for the host."""
        return len(self._to_host)

    @property
    def unsent_bytes(self) -> int:
        """How many bytes the device has handed over that are not yet through the wire."""
        return max(0, self._device_line_free_ns - self.world.now_ns) // self._ns_per_byte

    def take_arrived(self) -> bytes:
        """The bytes that have arrived at the host's end, without waiting."""
        data = bytes(self._to_host)
        self._to_host.clear()
        return data

    def unplug(self) -> None:
        """Pull the cable; what is under way is lost."""
        self.plugged = False
        self._host_line_free_ns = self._device_line_free_ns = 0
        self.world.ledger.saw(f"port.{self.name}.unplugged")

    def plug(self) -> None:
        """Put the cable back."""
        if not self.plugged:
            self.plugged = True
            self._pluggings += 1

    def send(self, data: bytes) -> None:
        """The device sends bytes; they arrive one transmission time later."""
        if not self.plugged:
            return
        start_ns = max(self.world.now_ns, self._device_line_free_ns)
        self._device_line_free_ns = start_ns + len(data) * self._ns_per_byte
        plugging = self._pluggings
        self.world.at(self._device_line_free_ns, lambda: self._arrive_at_host(data, plugging))

    def host_writes(self, data: bytes) -> None:
        if not (self.open and self.plugged):
            raise PortUnplugged(f"port {self.host.name} is gone")
        start_ns = max(self.world.now_ns, self._host_line_free_ns)
        self._host_line_free_ns = start_ns + len(data) * self._ns_per_byte
        plugging = self._pluggings
        self.world.at(self._host_line_free_ns, lambda: self._arrive_at_device(data, plugging))

    def host_reads(self, timeout_s: float) -> bytes:
        if not self._to_host:
            if not (self.open and self.plugged):
                raise PortUnplugged(f"port {self.host.name} is gone")
            wait_ns = max(to_ns(timeout_s), ZERO_TIMEOUT_POLL_NS)
            self.world.run_until(self.world.now_ns + wait_ns, until=lambda: bool(self._to_host) or not self.plugged)
        return self.take_arrived()

    def _arrive_at_device(self, data: bytes, plugging: int) -> None:
        if self.plugged and plugging == self._pluggings and self.on_receive is not None:
            self.world.trace(f"{self.name}<", data)
            self.on_receive(data)

    def _arrive_at_host(self, data: bytes, plugging: int) -> None:
        if not self.plugged or plugging != self._pluggings:
            return
        self.world.trace(f"{self.name}>", data)
        room = BUFFER_BYTES - len(self._to_host)
        self._to_host += data[:room]
        self.dropped_bytes += max(0, len(data) - room)
        if self.on_arrival is not None:
            self.on_arrival()
