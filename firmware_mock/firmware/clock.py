"""The pump's own clock: a crystal a few parts per million off, in integers throughout; and the therapy clock on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_mock.physics.effects import PumpEffects
from firmware_mock.world import World
from protocol import ClockReply, ClockRequest, TherapyClock, TherapyClockRequest

if TYPE_CHECKING:
    from firmware_mock.firmware.nvram import Nvram

_BILLION = 1_000_000_000
_MILLION = 1_000_000


class DeviceClock:
    """Microseconds since the last reset, as the crystal counts them; it also times the motor's steps."""

    def __init__(self, world: World, effects: PumpEffects) -> None:
        self._world = world
        drawn_ppm = world.stream("pump.clock").gauss(0.0, effects.clock_error_standard_ppm)
        self._fast_ppb = round(1000.0 * (effects.clock_error_ppm + drawn_ppm))
        self._made_ns = self._reset_ns = world.now_ns
        world.ledger.add_fact("pump.clock_error_ppm", self._fast_ppb / 1000.0)
        if self._fast_ppb:
            world.ledger.saw("pump.clock_error")

    def reset(self) -> None:
        """Begin again at 0."""
        self._reset_ns = self._world.now_ns

    def now_us(self) -> int:
        """What the clock shows."""
        return (self._world.now_ns - self._reset_ns) * (_BILLION + self._fast_ppb) // (1000 * _BILLION)

    def running_us(self) -> int:
        """What a counter on the same crystal shows that runs since manufacture, through resets."""
        return (self._world.now_ns - self._made_ns) * (_BILLION + self._fast_ppb) // (1000 * _BILLION)

    def reaches_ns(self, running_us: int) -> int:
        """The world's instant at which that counter first shows a value."""
        return self._made_ns - (-running_us * 1000 * _BILLION // (_BILLION + self._fast_ppb))

    def true_ns(self, device_us: int) -> int:
        """How long so many of the device's microseconds really take, in ns."""
        return device_us * 1000 * _BILLION // (_BILLION + self._fast_ppb)

    def true_ps(self, device_us: int) -> int:
        """The same in ps."""
        return device_us * 1_000_000 * _BILLION // (_BILLION + self._fast_ppb)


class Clocks:
    """Answers for both clocks. The therapy clock goes on counting through resets; only a command sets it."""

    def __init__(self, nvram: Nvram, clock: DeviceClock) -> None:
        self._nvram = nvram
        self._clock = clock

    def exchange(self, request: ClockRequest) -> ClockReply:
        """Answer a ClockRequest; nothing takes time between receiving it and handing over the reply."""
        received_us = self._clock.now_us()
        return ClockReply(request.host_time_us, received_us, self._clock.now_us(), self._nvram.memory.boot_id)

    def therapy_clock(self, _: TherapyClockRequest) -> TherapyClock:
        """Answer a TherapyClockRequest."""
        memory = self._nvram.memory
        passed_s = (self._clock.running_us() - memory.clock_set_at_us) // _MILLION
        return TherapyClock(
            utc_s=memory.clock_utc_s + passed_s,
            utc_offset_s=memory.clock_offset_s,
            device_time_us=self._clock.now_us(),
            generation=memory.clock_generation,
        )
