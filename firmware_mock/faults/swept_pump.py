"""A lone pump that can lose power or be reset at any place in what it does: each is counted, and one may be chosen.

A place is where the device can be seen to do something: what is due happens, the motor is told something, the memory
chip works, bytes go out. Between two of them nothing happens but time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from firmware_mock.faults.line import FaultyPort
from firmware_mock.faults.lone_pump import AFTER_SENDING, AT_ONCE, BEFORE_SENDING, IN_A_WRITE, LonePump, PowerCut
from firmware_mock.world import Event, World, to_ns
from protocol.profile import ModelProfile

_LATEST_S = 60
_SENDING_SEAMS = (BEFORE_SENDING, AFTER_SENDING)


class Place(StrEnum):
    """Kinds of places.

    BEFORE_EVENT, AFTER_EVENT: a timer of the firmware runs off, or bytes arrive. MOTOR: before or after an order to it.
    SENDING: before or after a frame is handed to the line. BYTE: when so many bytes are out, which cuts what is not.
    CHIP: before the memory erases or programs. IN_CHIP: half-way through that.
    """

    BEFORE_EVENT = "before-event"
    AFTER_EVENT = "after-event"
    MOTOR = "motor"
    SENDING = "sending"
    BYTE = "byte"
    CHIP = "chip"
    IN_CHIP = "in-chip"


@dataclass(frozen=True, slots=True)
class Blow:
    """At the `nth` place of a kind, counted from 0, the pump resets or loses power; it is gone for `off_s`."""

    place: Place
    nth: int
    resets: bool
    off_s: float


class SweptWorld(World):
    """A world in which `before` is called when something is due, and may cancel it; then it happens in `around`."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self.before: Callable[[], None] = lambda: None
        self.around: Callable[[Callable[[], None]], None] = lambda act: act()

    def at(self, time_ns: int, callback: Callable[[], None]) -> Event:
        def happen() -> None:
            event.callback = happen
            self.before()
            if event.callback is not None:
                event.callback = None
                self.around(callback)

        event = super().at(time_ns, happen)
        return event


class SweptPump(LonePump):
    """Counts from `watch` to `unwatch`; `places` are the counts by kind, `has_struck` whether the blow fell.

    `late_moments` are the events since `receive_late`, `has_heard_late` whether those bytes have arrived.
    `back_ns` is when the pump hears again after the blow.
    """

    def __init__(self, world: SweptWorld, profile: ModelProfile) -> None:
        self.places: Counter[Place] = Counter()
        self.has_struck = False
        self.has_heard_late = False
        self.late_moments = 0
        self.back_ns = 0
        self._blow: Blow | None = None
        self._is_watched = False
        self._resets = False
        self._late: tuple[int, bytes] | None = None
        self.is_cut_short = False
        super().__init__(world, profile)
        world.before = self._before_event
        world.around = self._around

    def watch(self, blow: Blow | None) -> None:
        """Count from here on, and let the blow fall at its place."""
        self._is_watched, self._blow = True, blow

    def unwatch(self) -> None:
        """Count no more; a blow that has not fallen does not fall."""
        self._is_watched = False

    @property
    def turns_now(self) -> bool:
        """Whether the motor was told to turn."""
        return self._turning is not None

    @property
    def runs_on(self) -> bool:
        """Whether the motor turns, and was left to."""
        return self._turning is not None and self._turning.planned is None

    def new_port(self) -> FaultyPort:
        return _SweptPort(self, self._world)

    def at_seam(self, seam: int) -> None:
        super().at_seam(seam)
        self._at(Place.SENDING if seam in _SENDING_SEAMS else Place.MOTOR)

    def receive_late(self, data: bytes, nth: int) -> None:
        """Have bytes arrive just before the nth event from now, counted from 0.

        Something is due every second for a minute, so there is such an instant while nobody says anything, too.
        """
        for second in range(1, _LATEST_S + 1):
            self._world.after(second, lambda: None)
        self._late = (nth, data)

    def bytes_let_out(self, count: int) -> int:
        """How many of the bytes that are handed to the line get out; fewer where the blow falls meanwhile."""
        if self.is_cut_short:
            return 0
        if not self._is_watched:
            return count
        first = self.places[Place.BYTE]
        self.places[Place.BYTE] += count
        blow = self._blow
        if blow is None or blow.place is not Place.BYTE or not first <= blow.nth < first + count:
            return count
        self.is_cut_short = True
        return blow.nth - first

    def strike(self) -> None:
        """The blow falls; inside the firmware by an exception that ends what it does."""
        assert self._blow is not None
        self._resets = self._blow.resets
        self._cut = (AT_ONCE, self._blow.off_s, self._note)
        if self._is_guarded:
            raise PowerCut
        self._lose_power()

    def _before_event(self) -> None:
        if self._late is not None:
            self.late_moments += 1
            left, data = self._late
            self._late = (left - 1, data)
            receive = self.port.on_receive
            if left == 0 and self.is_on and receive is not None:
                self.has_heard_late = True
                self.guarded(lambda: receive(data))
        self._at(Place.BEFORE_EVENT)

    def _around(self, act: Callable[[], None]) -> None:
        self.guarded(act)
        self._at(Place.AFTER_EVENT)

    def before_work(self, begin_ns: int, end_ns: int) -> None:
        self._at(Place.CHIP)
        if self._is_chosen(Place.IN_CHIP):
            assert self._blow is not None
            self._note()
            half_ns = (begin_ns + end_ns) // 2
            self.cut_power(IN_A_WRITE, self._blow.off_s, half_ns - self._world.now_ns, self._note)

    def _at(self, place: Place) -> None:
        if self._is_chosen(place):
            self.strike()

    def _is_chosen(self, place: Place) -> bool:
        if not self._is_watched:
            return False
        nth = self.places[place]
        self.places[place] += 1
        blow = self._blow
        return blow is not None and (blow.place, blow.nth) == (place, nth)

    def _lose_power(self) -> None:
        if not self._resets:
            super()._lose_power()
        elif self._blow is not None:
            self._resets, self._cut = False, None
            self._note()
            self.reset(self._blow.off_s)

    def _note(self) -> None:
        assert self._blow is not None
        self.has_struck = True
        self.is_cut_short = False
        self.back_ns = self._world.now_ns + to_ns(self._blow.off_s)


class _SweptPort(FaultyPort):
    """A cable on which the pump may fall silent in the middle of a frame."""

    def __init__(self, pump: SweptPump, world: World) -> None:
        super().__init__(world, "pump")
        self.pump = pump
        self._swept = pump

    def send(self, data: bytes) -> None:
        if not self._swept.is_on:
            return
        was_cut_short = self._swept.is_cut_short
        out = self._swept.bytes_let_out(len(data))
        out_ns = max(self.world.now_ns, self._device_line_free_ns) + out * self._ns_per_byte
        super().send(data[:out])
        if out < len(data) and not was_cut_short:
            self.world.at(out_ns, self._swept.strike)
