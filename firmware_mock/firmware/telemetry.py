"""What the pump says unasked: a telemetry stream with a sequence and an overflow count, and events."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.proposals import RefusedRequest
from firmware_mock.world import Event, World
from protocol import NakReason, Stream, Subscribe

SHORTEST_INTERVAL_MS = 100
SEND_BUFFER_BYTES = 1024
_U16 = 0xFFFF
_U32 = 0xFFFF_FFFF


class TelemetryStream:
    """Takes a sample every interval of the device's clock; drops and counts it where the send buffer is full."""

    def __init__(
        self,
        world: World,
        clock: DeviceClock,
        unsent_bytes: Callable[[], int],
        send: Callable[[int, int], None],
    ) -> None:
        self._world = world
        self._clock = clock
        self._unsent_bytes = unsent_bytes
        self._send = send
        self._sequence = 0
        self._overflow = 0
        self._interval_ns = 0
        self._due: Event | None = None

    def subscribe(self, request: Subscribe) -> None:
        """Begin, change or end the stream.

        Raises:
            RefusedRequest: the stream is unknown, or the interval too short.
        """
        if request.stream != Stream.TELEMETRY:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"stream {int(request.stream)} is unknown")
        if 0 < request.interval_ms < SHORTEST_INTERVAL_MS:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"interval_ms below the limit {SHORTEST_INTERVAL_MS} ms")
        self.end()
        if request.interval_ms:
            self._interval_ns = self._clock.true_ns(1000 * request.interval_ms)
            self._due = self._world.at(self._world.now_ns + self._interval_ns, self._sample)

    def end(self) -> None:
        """No more samples."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def reset(self) -> None:
        """End, and count from 0 again."""
        self.end()
        self._sequence = self._overflow = 0

    def _sample(self) -> None:
        self._due = self._world.at(self._world.now_ns + self._interval_ns, self._sample)
        self._sequence = (self._sequence + 1) & _U32
        if self._unsent_bytes() > SEND_BUFFER_BYTES:
            self._overflow = min(self._overflow + 1, _U16)
            self._world.ledger.saw("pump.telemetry_overflow")
        else:
            self._send(self._sequence, self._overflow)
