"""When the pump has power: cuts now, or at an instant that may lie in the middle of a write to the chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firmware_mock.firmware.flash import Flash
from firmware_mock.world import Event, World, to_ns
from protocol import ResetCause

DIP_S = 1.0


@dataclass(slots=True)
class _Cut:
    at_ns: int
    off_s: float
    told: Callable[[], None]
    due: Event | None = None


class Power:
    """`on_fail` is called when power goes, `on_return` with the cause of the reset when it is back.

    A cut that is due while power is off anyway does nothing.
    """

    def __init__(
        self, world: World, flash: Flash, on_fail: Callable[[], None], on_return: Callable[[ResetCause], None]
    ) -> None:
        self.is_on = True
        self._world = world
        self._flash = flash
        self._on_fail = on_fail
        self._on_return = on_return
        self._cuts: list[_Cut] = []
        self._is_flat = False

    def cut(self, off_s: float) -> None:
        """Power goes now, and is back `off_s` later."""
        self._cuts.append(cut := _Cut(self._world.now_ns, off_s, lambda: None))
        self._fail(cut)

    def cut_at(self, time_ns: int, off_s: float, told: Callable[[], None]) -> None:
        """Power goes at an instant, and is back `off_s` later; `told` is called when it goes.

        What the chip is asked for before that and cannot finish in time ends there, and so does the firmware.
        """
        cut = _Cut(time_ns, off_s, told)
        cut.due = self._world.at(time_ns, lambda: self._fail(cut))
        self._cuts.append(cut)
        self._cuts.sort(key=lambda cut: cut.at_ns)
        self._flash.fails_ns = self._cuts[0].at_ns

    def lost_in_write(self) -> None:
        """The chip was stopped short by the next cut."""
        self._fail(self._cuts[0])

    def end(self) -> None:
        """The battery is flat: power goes for good."""
        self._is_flat = True
        if self.is_on:
            self.is_on = False
            self._on_fail()

    def _fail(self, cut: _Cut) -> None:
        if cut.due is not None:
            cut.due.cancel()
        self._cuts.remove(cut)
        self._flash.fails_ns = self._cuts[0].at_ns if self._cuts else None
        if not self.is_on:
            return
        self.is_on = False
        self._on_fail()
        cut.told()
        self._world.at(cut.at_ns + to_ns(cut.off_s), lambda: self._return(cut))

    def _return(self, cut: _Cut) -> None:
        if self._is_flat:
            return
        self.is_on = True
        self._on_return(ResetCause.BROWN_OUT if cut.off_s < DIP_S else ResetCause.POWER_ON)
