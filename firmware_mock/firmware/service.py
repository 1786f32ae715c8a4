"""How long an implanted pump serves: the replacement indicator, and the end of service, after which nothing runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.service_life import S_PER_DAY, S_PER_YEAR
from firmware_mock.world import Event, World
from protocol.profile import ModelProfile

_US_PER_S = 1_000_000


class Service:
    """Raises the indicator and ends service at their instants; both stay, whatever the battery does later.

    The indicator comes when the battery is down to the model's share, or early enough before the cap. Service ends so
    long after it, and sooner where the cap is reached or the battery is spent. `served_s` is how long the pump was
    implanted before its counter began. `stop` is called when service ends. A pump without a sealed cell has no end.

    Call `watch` whenever the load of the battery changes, and `end` when nobody is there to look.
    """

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        clock: DeviceClock,
        battery: Battery,
        profile: ModelProfile,
        served_s: float,
        stop: Callable[[], None],
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._clock = clock
        self._battery = battery
        self._stop = stop
        self._due: Event | None = None
        life, cells = profile.service_life, profile.cells
        self._serves_for_good = life is None or cells is None
        if life is not None and cells is not None:
            self._cap_us = round((life.life_cap_years * S_PER_YEAR - served_s) * _US_PER_S)
            self._after_us = round(life.end_of_service_after_eri_days * S_PER_DAY * _US_PER_S)
            self._low_fraction = life.eri_remaining_pct / 100.0
            self._spent_fraction = cells.battery_spent_pct / 100.0

    def watch(self) -> None:
        """Note what is due now, and come back when the next is."""
        self.end()
        if self._serves_for_good or self._nvram.is_lost or self._nvram.memory.conditions.service_over:
            return
        due_ns = self._next_ns()
        self._due = self._world.at(max(due_ns, self._world.now_ns), self._nvram.guarded(self._come_due))

    def end(self) -> None:
        """Look no longer."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _next_ns(self) -> int:
        since_us = self._nvram.memory.conditions.replacement_since_us
        if since_us is None:
            cap_ns = self._clock.reaches_ns(self._cap_us - self._after_us)
            return min(cap_ns, self._battery.reaches_ns(self._low_fraction))
        end_ns = self._clock.reaches_ns(min(since_us + self._after_us, self._cap_us))
        return min(end_ns, self._battery.reaches_ns(self._spent_fraction))

    def _come_due(self) -> None:
        self._due = None
        memory = self._nvram.memory
        if memory.conditions.replacement_since_us is None:
            conditions = replace(memory.conditions, replacement_since_us=self._clock.running_us())
            self._nvram.write(replace(memory, conditions=conditions))
        else:
            self._nvram.write(replace(memory, conditions=replace(memory.conditions, service_over=True)))
            self._stop()
        self.watch()
