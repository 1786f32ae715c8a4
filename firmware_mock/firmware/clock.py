"""The pump's own clock: a crystal a few parts per million off, in integers throughout."""

from __future__ import annotations

from firmware_mock.physics.effects import PumpEffects
from firmware_mock.world import World

_BILLION = 1_000_000_000


class DeviceClock:
    """Microseconds since the last reset, as the crystal counts them; it also times the motor's steps."""

    def __init__(self, world: World, effects: PumpEffects) -> None:
        self._world = world
        drawn_ppm = world.stream("pump.clock").gauss(0.0, effects.clock_error_standard_ppm)
        self._fast_ppb = round(1000.0 * (effects.clock_error_ppm + drawn_ppm))
        self._reset_ns = world.now_ns
        world.ledger.add_fact("pump.clock_error_ppm", self._fast_ppb / 1000.0)
        if self._fast_ppb:
            world.ledger.saw("pump.clock_error")

    def reset(self) -> None:
        """Begin again at 0."""
        self._reset_ns = self._world.now_ns

    def now_us(self) -> int:
        """What the clock shows."""
        return (self._world.now_ns - self._reset_ns) * (_BILLION + self._fast_ppb) // (1000 * _BILLION)

    def true_ns(self, device_us: int) -> int:
        """How long so many of the device's microseconds really take, in ns."""
        return device_us * 1000 * _BILLION // (_BILLION + self._fast_ppb)

    def true_ps(self, device_us: int) -> int:
        """The same in ps."""
        return device_us * 1_000_000 * _BILLION // (_BILLION + self._fast_ppb)
