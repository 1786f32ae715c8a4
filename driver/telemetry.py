"""What the pump sends unasked: a bounded queue per kind of message, and an account of every one it does not hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from protocol import Event, Message, MotorTelemetry, PowerTelemetry, Telemetry

SAMPLES_KEPT = 4096
EVENTS_KEPT = 1024
_U32 = 1 << 32

ItemT = TypeVar("ItemT", Telemetry, MotorTelemetry, PowerTelemetry, Event)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Messages of one kind that are not in a batch.

    `lost` were made and never arrived, by their sequence numbers; `overflowed` of them the device says it dropped
    itself. `dropped` arrived and fell out of our queue because nobody asked for them in time.
    """

    lost: int = 0
    overflowed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class TelemetryBatch:
    """What came since the last batch, each kind in order of arrival, with the gaps of each kind.

    `samples` are of the stream TELEMETRY, `motor` of MOTOR, `power` of POWER. `lost`, `overflowed` and `dropped` are
    sums over all kinds. `ignored` are messages of a kind this version does not know.
    """

    samples: tuple[Telemetry, ...]
    events: tuple[Event, ...]
    motor: tuple[MotorTelemetry, ...]
    power: tuple[PowerTelemetry, ...]
    gaps: dict[type[Message], Gaps]
    ignored: int

    @property
    def lost(self) -> int:
        return sum(gaps.lost for gaps in self.gaps.values())

    @property
    def overflowed(self) -> int:
        return sum(gaps.overflowed for gaps in self.gaps.values())

    @property
    def dropped(self) -> int:
        return sum(gaps.dropped for gaps in self.gaps.values())


class NotificationQueue:
    """Keeps the newest messages of each kind until `drain`. Gaps are counted on arrival: drops are no losses."""

    def __init__(self, samples_kept: int = SAMPLES_KEPT, events_kept: int = EVENTS_KEPT) -> None:
        self._samples: _Row[Telemetry] = _Row(samples_kept)
        self._motor: _Row[MotorTelemetry] = _Row(samples_kept)
        self._power: _Row[PowerTelemetry] = _Row(samples_kept)
        self._events: _Row[Event] = _Row(events_kept)
        self._ignored = 0

    def put(self, message: Message) -> None:
        """Take a notification in. A number that went back tells of a reset of the device, not of a loss."""
        match message:
            case Telemetry():
                self._samples.put(message, message.overflow)
            case MotorTelemetry():
                self._motor.put(message, message.overflow)
            case PowerTelemetry():
                self._power.put(message, message.overflow)
            case Event():
                self._events.put(message, 0)
            case _:
                self._ignored += 1

    @property
    def is_empty(self) -> bool:
        """Whether no message is held."""
        return not any(len(row) for row in (self._samples, self._motor, self._power, self._events))

    def drain(self) -> TelemetryBatch:
        """All that is held, with the counts since the last call; the queues are empty afterwards."""
        gaps: dict[type[Message], Gaps] = {
            Telemetry: self._samples.gaps,
            Event: self._events.gaps,
            MotorTelemetry: self._motor.gaps,
            PowerTelemetry: self._power.gaps,
        }
        ignored, self._ignored = self._ignored, 0
        return TelemetryBatch(
            self._samples.drain(), self._events.drain(), self._motor.drain(), self._power.drain(), gaps, ignored
        )


class _Row(Generic[ItemT]):
    """The newest messages of one kind, with a sequence of their own."""

    def __init__(self, kept: int) -> None:
        self._items: deque[ItemT] = deque(maxlen=kept)
        self._last: tuple[int, int] | None = None
        self.gaps = Gaps()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: ItemT, overflow: int) -> None:
        gaps = self.gaps
        if self._last is not None:
            ahead = (item.sequence - self._last[0]) % _U32
            if 0 < ahead < _U32 // 2:
                overflowed = max(0, overflow - self._last[1])
                gaps = replace(gaps, lost=gaps.lost + ahead - 1, overflowed=gaps.overflowed + overflowed)
        if len(self._items) == self._items.maxlen:
            gaps = replace(gaps, dropped=gaps.dropped + 1)
        self.gaps, self._last = gaps, (item.sequence, overflow)
        self._items.append(item)

    def drain(self) -> tuple[ItemT, ...]:
        items = tuple(self._items)
        self._items.clear()
        self.gaps = Gaps()
        return items
