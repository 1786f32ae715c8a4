"""Virtual time: one heap of events in integer nanoseconds, a random stream per component, a hash of the trace."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from itertools import count

from firmware_mock.ledger import Ledger
from firmware_mock.scenario import Scenario

NS_PER_S = 1_000_000_000
ZERO_TIMEOUT_POLL_NS = 100_000
_FEW_EVENTS = 1024


def to_ns(seconds: float) -> int:
    """Seconds as integer nanoseconds, rounded to nearest."""
    return round(seconds * NS_PER_S)


class Event:
    """A callback due at an instant; `cancel` makes it a no-op."""

    __slots__ = ("callback", "time_ns")

    def __init__(self, time_ns: int, callback: Callable[[], None]) -> None:
        self.time_ns = time_ns
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class World:
    """A discrete-event simulation that fits the driver's `Clock` (`monotonic`, `sleep`) structurally.

    One thread, no ticks: between events every quantity is a formula of time. `served_speed` is how many virtual
    seconds pass in one wall second while the world is served; link-facing time-outs are multiplied by it. `observers`
    are called after each event; they look and change nothing.
    """

    def __init__(self, *, seed: int = 0, scenario: Scenario | None = None) -> None:
        self.seed = seed
        self.scenario = scenario if scenario is not None else Scenario()
        self.now_ns = 0
        self.served_speed = 1.0
        self.ledger = Ledger()
        self.observers: list[Callable[[], None]] = []
        self._heap: list[tuple[int, int, Event]] = []
        self._most_events = _FEW_EVENTS
        self._order = count()
        self._trace = hashlib.sha256(b"thecabench trace 1")
        self._closed = False
        self._at_close: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return self.now_ns / NS_PER_S

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass, with all that happens in them."""
        self.run_until(self.now_ns + to_ns(seconds))

    def stream(self, name: str) -> random.Random:
        """A random stream of its own for a component: seeded by SHA-256 of the world's seed and the name."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return random.Random(int.from_bytes(digest, "big"))

    def at(self, time_ns: int, callback: Callable[[], None]) -> Event:
        """Call `callback` at an instant; one in the past is an error, equal instants keep their order.

        Raises:
            ValueError: `time_ns` lies before now.
        """
        if time_ns < self.now_ns:
            raise ValueError(f"an event at {time_ns} ns lies before now, {self.now_ns} ns")
        if len(self._heap) >= self._most_events:
            self._drop_cancelled()
        event = Event(time_ns, callback)
        heapq.heappush(self._heap, (time_ns, next(self._order), event))
        return event

    def _drop_cancelled(self) -> None:
        """Those far ahead would never come to the top; called whenever the heap has doubled."""
        self._heap[:] = [entry for entry in self._heap if entry[2].callback is not None]
        heapq.heapify(self._heap)
        self._most_events = max(_FEW_EVENTS, 2 * len(self._heap))

    def after(self, seconds: float, callback: Callable[[], None]) -> Event:
        """Call `callback` when `seconds` have passed."""
        return self.at(self.now_ns + to_ns(seconds), callback)

    def next_event_ns(self) -> int | None:
        """The instant of the next live event, None where nothing is due."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def run_until(self, time_ns: int, *, until: Callable[[], bool] | None = None) -> bool:
        """Run events up to and including an instant, or until the condition holds after an event.

        Returns whether the condition held (False without one); time then stands at that event, else at `time_ns`.
        """
        observers = self.observers
        while (due_ns := self.next_event_ns()) is not None and due_ns <= time_ns:
            event = heapq.heappop(self._heap)[2]
            callback, event.callback = event.callback, None
            self.now_ns = due_ns
            if callback is not None:
                callback()
            for look in observers:
                look()
            if until is not None and until():
                return True
        self.now_ns = max(self.now_ns, time_ns)
        return False

    def trace(self, label: str, value: bytes | int = b"") -> None:
        """Add wire bytes or an integer to the trace; floats never enter it."""
        data = value if isinstance(value, bytes) else b"%d" % value
        self._trace.update(b"%d %s %d " % (self.now_ns, label.encode(), len(data)))
        self._trace.update(data)

    def trace_hash(self) -> str:
        """SHA-256 over all that was traced so far."""
        return self._trace.hexdigest()

    def at_close(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the world closes: the physics writes its last segment."""
        self._at_close.append(callback)

    def close(self) -> None:
        """End the simulation and unseal the ledger; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for callback in self._at_close:
            callback()
        self._heap.clear()
        self.ledger.unseal()
