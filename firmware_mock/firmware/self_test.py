"""The self-test: each item looks at something that can be wrong, and none of them moves liquid.

It runs when it is asked for, at each start, and at intervals from then on. Of those at intervals only such are events
that may find something: where nothing has gone wrong since the one before, there is nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.identity import Image
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.tokens import Tokens
from firmware_mock.physics.battery import NEVER_NS, Battery
from firmware_mock.physics.thermostat import HeadThermometer
from firmware_mock.world import Event, World
from protocol import EventCode, Mode, NakReason, SelfTestItem, SelfTestReport, SelfTestRequest
from protocol.profile import ModelProfile

PLAUSIBLE_WITHIN_K = 15.0
_ALL = SelfTestItem(sum(SelfTestItem))
_US_PER_H = 3_600_000_000


class SelfTest:
    """Runs what is asked for at once; a failed item is remembered until it has passed.

    Until then nothing is infused, and what ran ends as by STOP; only decayed records of the logs, which nothing that is
    infused depends on, leave it running. `broken`: what a scenario has broken of what the items look at.

    Call `suspect` when something may have gone wrong, `watch` when the load of the battery changes, and `end` when
    nobody is there to look.
    """

    def __init__(
        self,
        world: World,
        profile: ModelProfile,
        image: Image,
        nvram: Nvram,
        clock: DeviceClock,
        battery: Battery,
        thermometer: HeadThermometer,
        motor: Motor,
        therapy: Therapy,
        tokens: Tokens,
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self.broken = SelfTestItem(0)
        self._world = world
        self._profile = profile
        self._image = image
        self._nvram = nvram
        self._clock = clock
        self._battery = battery
        self._thermometer = thermometer
        self._motor = motor
        self._therapy = therapy
        self._tokens = tokens
        self._announce = announce
        self._interval_ns = clock.true_ns(round(profile.self_test_interval_h * _US_PER_H))
        self._began_ns = world.now_ns
        self._is_suspect = False
        self._due: Event | None = None
        self._checks: dict[SelfTestItem, Callable[[], bool]] = {
            SelfTestItem.FIRMWARE_IMAGE: self._image_is_intact,
            SelfTestItem.MEMORY: self._memory_is_consistent,
            SelfTestItem.CLOCK: self._clock_advances,
            SelfTestItem.BATTERY: self._battery_is_good,
            SelfTestItem.THERMOMETER: self._temperature_is_plausible,
            SelfTestItem.MOTOR: self._motor_turned,
        }

    def run(self, request: SelfTestRequest) -> SelfTestReport:
        """Answer a SelfTestRequest.

        Raises:
            RefusedRequest: an item is unknown, or MOTOR was asked for by name while the pump is running.
        """
        unknown = int(request.items) & ~int(_ALL)
        if unknown:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"items 0x{unknown:X} are unknown")
        stands = self._therapy.mode is Mode.STOPPED
        if request.items & SelfTestItem.MOTOR and not stands:
            raise RefusedRequest(NakReason.WRONG_STATE, "MOTOR is tested only while the pump is stopped")
        run = SelfTestItem(request.items) or (_ALL if stands else _ALL & ~SelfTestItem.MOTOR)
        failed = self._failing(run)
        self._note(run, failed)
        if run & SelfTestItem.MOTOR:
            self._motor.forgive()
        return SelfTestReport(self._clock.now_us(), passed=run & ~failed, failed=failed, not_run=_ALL & ~run)

    def start(self) -> None:
        """The test at a start, before anything is infused; a motor that is in order is not part of it."""
        self._began_ns = self._world.now_ns
        if not self._nvram.is_lost:
            self._run_by_itself(_ALL & ~SelfTestItem.MOTOR | self.broken & SelfTestItem.MOTOR)

    def suspect(self) -> None:
        """The next test at an interval may find something."""
        self._is_suspect = True
        self.watch()

    def watch(self) -> None:
        """Come back at the next test that may find something; one that is due at this very instant is still to come."""
        if self._due is not None and self._due.time_ns <= self._world.now_ns:
            return
        self.end()
        if self._nvram.is_lost:
            return
        from_ns = self._world.now_ns if self._is_suspect else max(self._world.now_ns, self._spent_ns())
        number = (from_ns - self._began_ns) // self._interval_ns + 1
        due_ns = self._began_ns + number * self._interval_ns
        self._due = self._world.at(due_ns, self._nvram.guarded(self._come_due))

    def end(self) -> None:
        """Test no longer."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _come_due(self) -> None:
        self._due = None
        self._run_by_itself(_ALL if self._therapy.mode is Mode.STOPPED else _ALL & ~SelfTestItem.MOTOR)

    def _run_by_itself(self, items: SelfTestItem) -> None:
        """Of the motor only its coils; nothing is written where nothing is new."""
        failed = self._failing(items & ~SelfTestItem.MOTOR) | self.broken & items & SelfTestItem.MOTOR
        if failed != self._nvram.memory.self_test_failed & items:
            self._note(items, failed)
        self._is_suspect = bool(failed)
        self.watch()

    def _failing(self, items: SelfTestItem) -> SelfTestItem:
        asked = {item: passes for item, passes in self._checks.items() if item & items}
        return SelfTestItem(sum(item for item, passes in asked.items() if item & self.broken or not passes()))

    def _note(self, run: SelfTestItem, failed: SelfTestItem) -> None:
        memory = self._nvram.memory
        barring = failed
        if not self.broken & SelfTestItem.MEMORY and self._settings_are_consistent():
            barring &= ~SelfTestItem.MEMORY
        conditions = replace(memory.conditions, barred_by=memory.conditions.barred_by & ~run | barring)
        failed = memory.self_test_failed & ~run | failed
        self._nvram.write(replace(memory, self_test_failed=failed, conditions=conditions))
        if barring:
            self._tokens.kill()
            if memory.in_hand is not None:
                self._therapy.stop()
        self._announce(EventCode.SELF_TEST, 0)

    def _image_is_intact(self) -> bool:
        return self._image.is_intact

    def _memory_is_consistent(self) -> bool:
        return self._settings_are_consistent() and all(row.is_consistent() for row in self._nvram.rows.values())

    def _settings_are_consistent(self) -> bool:
        memory = self._nvram.memory
        nominal_nl = self._profile.step_volume_nl
        span_nl = nominal_nl * self._profile.calibration_span_pct / 100.0
        is_consistent = memory.is_consistent(steps=self._motor.steps, now_us=self._clock.running_us())
        return is_consistent and abs(memory.step_volume_nl - nominal_nl) <= span_nl

    def _clock_advances(self) -> bool:
        """Device time is behind neither the newest event of this boot nor its own beginning."""
        newest, now_us = self._nvram.events.newest(), self._clock.now_us()
        is_of_this_boot = newest is not None and newest.boot_id == self._nvram.memory.boot_id
        return now_us >= 0 and not (is_of_this_boot and newest.device_time_us > now_us)

    def _motor_turned(self) -> bool:
        """The encoder saw all of the last run. No step is made: what it would deliver cannot be taken back."""
        return self._motor.missed_steps == 0

    def _battery_is_good(self) -> bool:
        return self._world.now_ns < self._spent_ns()

    def _spent_ns(self) -> int:
        """When the battery can no longer be relied on."""
        cells = self._profile.cells
        return NEVER_NS if cells is None else self._battery.reaches_ns(cells.battery_spent_pct / 100.0)

    def _temperature_is_plausible(self) -> bool:
        reading_c = self._thermometer.reading_c(self._world.now_ns)
        return abs(reading_c - self._profile.head_temperature_c) <= PLAUSIBLE_WITHIN_K
