"""What the pump sends unasked: a bounded queue that accounts for every sample it does not hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from protocol import Event, Message, Telemetry

SAMPLES_KEPT = 4096
EVENTS_KEPT = 1024
_U16 = 1 << 16
_U32 = 1 << 32


@dataclass(frozen=True, slots=True)
class TelemetryBatch:
    """What came since the last batch, in order of arrival.

    `lost` samples and events were made and never arrived, by their sequence numbers; `overflowed` of them the device
    says it dropped itself. `dropped` arrived and fell out of our queue because nobody asked for them in time. `ignored`
    are messages of a kind this version does not know.
    """

    samples: tuple[Telemetry, ...]
    events: tuple[Event, ...]
    lost: int
    overflowed: int
    dropped: int
    ignored: int


class NotificationQueue:
    """Keeps the newest samples and events until `drain`. Gaps are counted on arrival: drops are no losses."""

    def __init__(self, samples_kept: int = SAMPLES_KEPT, events_kept: int = EVENTS_KEPT) -> None:
        self._samples: deque[Telemetry] = deque(maxlen=samples_kept)
        self._events: deque[Event] = deque(maxlen=events_kept)
        self._last_sequence: dict[int | str, int] = {}
        self._last_overflow: dict[int, int] = {}
        self._lost = self._overflowed = self._dropped = self._ignored = 0

    def put(self, message: Message) -> None:
        """Take a notification in. A number that went back tells of a reset of the device, not of a loss."""
        if isinstance(message, Telemetry):
            if self._follow(int(message.stream), message.sequence):
                self._overflowed += (message.overflow - self._last_overflow[message.stream]) % _U16
            self._last_overflow[message.stream] = message.overflow
            self._dropped += len(self._samples) == self._samples.maxlen
            self._samples.append(message)
        elif isinstance(message, Event):
            self._follow("events", message.sequence)
            self._dropped += len(self._events) == self._events.maxlen
            self._events.append(message)
        else:
            self._ignored += 1

    def drain(self) -> TelemetryBatch:
        """All that is held, with the counts since the last call; the queue is empty afterwards."""
        batch = TelemetryBatch(
            tuple(self._samples), tuple(self._events), self._lost, self._overflowed, self._dropped, self._ignored
        )
        self._samples.clear()
        self._events.clear()
        self._lost = self._overflowed = self._dropped = self._ignored = 0
        return batch

    def _follow(self, stream: int | str, sequence: int) -> bool:
        last = self._last_sequence.get(stream)
        self._last_sequence[stream] = sequence
        if last is None:
            return False
        ahead = (sequence - last) % _U32
        if not 0 < ahead < _U32 // 2:
            return False
        self._lost += ahead - 1
        return True
