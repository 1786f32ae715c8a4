"""What the pump says unasked at intervals: streams, each with a sequence and an overflow count of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.world import Event, World
from protocol import Message, NakReason, Stream, Subscribe, Subscription

SHORTEST_INTERVAL_MS = {Stream.TELEMETRY: 100, Stream.MOTOR: 100, Stream.POWER: 1000}
TIMER_TICK_MS = 10
SEND_BUFFER_BYTES = 1024
_U16 = 0xFFFF
_U32 = 0xFFFF_FFFF


class Streams:
    """The streams that `samples` makes messages for, from sequence and overflow; `send` puts them on the line."""

    def __init__(
        self,
        world: World,
        clock: DeviceClock,
        unsent_bytes: Callable[[], int],
        samples: Mapping[Stream, Callable[[int, int], Message]],
        send: Callable[[Message], None],
    ) -> None:
        self._streams = {
            stream: _SampleStream(world, clock, unsent_bytes, sample, send) for stream, sample in samples.items()
        }

    def subscribe(self, request: Subscribe) -> Subscription:
        """Answer a Subscribe: begin, change or end a stream, at the nearest interval that the timer can do.

        Raises:
            RefusedRequest: the stream is unknown.
        """
        if request.stream not in self._streams:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"stream {int(request.stream)} is unknown")
        stream = Stream(request.stream)
        shortest_ms = SHORTEST_INTERVAL_MS[stream]
        interval_ms = 0
        if request.interval_ms:
            interval_ms = (request.interval_ms + TIMER_TICK_MS // 2) // TIMER_TICK_MS * TIMER_TICK_MS
            interval_ms = min(max(interval_ms, shortest_ms), _U32 // TIMER_TICK_MS * TIMER_TICK_MS)
        self._streams[stream].begin(interval_ms)
        return Subscription(stream, interval_ms, shortest_ms)

    def end(self) -> None:
        """No more samples."""
        for stream in self._streams.values():
            stream.begin(0)

    def reset(self) -> None:
        """End, and count from 0 again."""
        for stream in self._streams.values():
            stream.reset()


class _SampleStream:
    """Takes a sample every interval of the device's clock; drops and counts it where the send buffer is full."""

    def __init__(
        self,
        world: World,
        clock: DeviceClock,
        unsent_bytes: Callable[[], int],
        sample: Callable[[int, int], Message],
        send: Callable[[Message], None],
    ) -> None:
        self._world = world
        self._clock = clock
        self._unsent_bytes = unsent_bytes
        self._sample = sample
        self._send = send
        self._sequence = 0
        self._overflow = 0
        self._interval_ns = 0
        self._due: Event | None = None

    def begin(self, interval_ms: int) -> None:
        """The first sample comes one interval from now; 0 for none."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if interval_ms:
            self._interval_ns = self._clock.true_ns(1000 * interval_ms)
            self._due = self._world.at(self._world.now_ns + self._interval_ns, self._take)

    def reset(self) -> None:
        self.begin(0)
        self._sequence = self._overflow = 0

    def _take(self) -> None:
        self._due = self._world.at(self._world.now_ns + self._interval_ns, self._take)
        self._sequence = (self._sequence + 1) & _U32
        if self._unsent_bytes() > SEND_BUFFER_BYTES:
            self._overflow = min(self._overflow + 1, _U16)
            self._world.ledger.saw("pump.telemetry_overflow")
        else:
            self._send(self._sample(self._sequence, self._overflow))
