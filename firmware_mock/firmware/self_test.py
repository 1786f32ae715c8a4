"""The self-test: each item looks at something that can be wrong, and none of them moves liquid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.identity import Image
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.thermostat import HeadThermometer
from firmware_mock.world import World
from protocol import EventCode, Mode, NakReason, SelfTestItem, SelfTestReport, SelfTestRequest
from protocol.profile import ModelProfile

PLAUSIBLE_WITHIN_K = 15.0
_ALL = SelfTestItem(sum(SelfTestItem))


class SelfTest:
    """Runs what is asked for at once; a failed item is remembered until it has passed."""

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
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._world = world
        self._profile = profile
        self._image = image
        self._nvram = nvram
        self._clock = clock
        self._battery = battery
        self._thermometer = thermometer
        self._motor = motor
        self._therapy = therapy
        self._announce = announce
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
        failed = SelfTestItem(sum(item for item, passes in self._checks.items() if item & run and not passes()))
        memory = self._nvram.memory
        self._nvram.write(replace(memory, self_test_failed=memory.self_test_failed & ~run | failed))
        self._announce(EventCode.SELF_TEST, 0)
        return SelfTestReport(self._clock.now_us(), passed=run & ~failed, failed=failed, not_run=_ALL & ~run)

    def _image_is_intact(self) -> bool:
        return self._image.is_intact

    def _memory_is_consistent(self) -> bool:
        nvram = self._nvram
        nominal_nl = self._profile.step_volume_nl
        span_nl = nominal_nl * self._profile.calibration_span_pct / 100.0
        return (
            nvram.memory.is_consistent(steps=self._motor.steps, now_us=self._clock.running_us())
            and abs(nvram.memory.step_volume_nl - nominal_nl) <= span_nl
            and all(row.is_consistent() for row in nvram.rows.values())
        )

    def _clock_advances(self) -> bool:
        """Device time is behind neither the newest event of this boot nor its own beginning."""
        newest, now_us = self._nvram.events.newest(), self._clock.now_us()
        is_of_this_boot = newest is not None and newest.boot_id == self._nvram.memory.boot_id
        return now_us >= 0 and not (is_of_this_boot and newest.device_time_us > now_us)

    def _motor_turned(self) -> bool:
        """The encoder saw all of the last run. No step is made: what it would deliver cannot be taken back."""
        return self._motor.missed_steps == 0

    def _battery_is_good(self) -> bool:
        return not self._battery.is_low(self._world.now_ns)

    def _temperature_is_plausible(self) -> bool:
        reading_c = self._thermometer.reading_c(self._world.now_ns)
        return abs(reading_c - self._profile.head_temperature_c) <= PLAUSIBLE_WITHIN_K
