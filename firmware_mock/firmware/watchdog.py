"""The watchdog: resets a firmware that no longer runs, and what the motor does until then.

The step timer is hardware and goes on by itself, but it is given no more steps than are reserved.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.world import Event, World

TIMEOUT_S = 1.0


class Watchdog:
    """Calls `on_bite` so long after the main loop has hung; the motor stands then. TIMEOUT_S is a design value."""

    def __init__(self, world: World, nvram: Nvram, motor: Motor, on_bite: Callable[[], None]) -> None:
        self._world = world
        self._nvram = nvram
        self._motor = motor
        self._on_bite = on_bite
        self._bite: Event | None = None
        self._steps_used_up: Event | None = None

    @property
    def starves(self) -> bool:
        """Whether the main loop hangs."""
        return self._bite is not None

    def starve(self) -> None:
        """The main loop hangs from now on."""
        self._bite = self._world.after(TIMEOUT_S, self._bites)
        self._motor.forget_run()
        used_up_ns = self._motor.counts_ns(self._nvram.reserved_now)
        if used_up_ns is not None and used_up_ns < self._bite.time_ns:
            self._steps_used_up = self._world.at(max(used_up_ns, self._world.now_ns), self._motor.halt)

    def end(self) -> None:
        """The firmware starts anew, or has no power."""
        for event in (self._bite, self._steps_used_up):
            if event is not None:
                event.cancel()
        self._bite = self._steps_used_up = None

    def _bites(self) -> None:
        self._motor.halt()
        self.end()
        self._on_bite()
