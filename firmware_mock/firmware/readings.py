"""The pump at one instant, as the messages that say so: status, samples of the streams, calibration, a stop."""

from __future__ import annotations

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.alarms import Alarms
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.physics.battery import Battery
from firmware_mock.physics.thermostat import HeadThermometer
from firmware_mock.world import World
from protocol import (
    Calibration,
    CalibrationRequest,
    MotorTelemetry,
    PowerTelemetry,
    Status,
    StatusRequest,
    Stopped,
    Telemetry,
)


class Readings:
    """Reads all that the pump knows of itself; `nominal_step_volume_nl` is the model's."""

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        clock: DeviceClock,
        motor: Motor,
        accounts: Accounts,
        therapy: Therapy,
        alarms: Alarms,
        battery: Battery,
        thermometer: HeadThermometer,
        nominal_step_volume_nl: float,
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._clock = clock
        self._motor = motor
        self._accounts = accounts
        self._therapy = therapy
        self._alarms = alarms
        self._battery = battery
        self._thermometer = thermometer
        self._nominal_step_volume_nl = nominal_step_volume_nl

    def status(self, _: StatusRequest) -> Status:
        """Answer a StatusRequest."""
        now_ns, memory = self._world.now_ns, self._nvram.memory
        return Status(
            device_time_us=self._clock.now_us(),
            boot_id=memory.boot_id,
            mode=self._therapy.mode,
            alarms=self._alarms.active(),
            rate_ul_per_h=self._therapy.rate_ul_per_h,
            steps=self._motor.steps,
            delivered_ul=self._accounts.delivered_ul,
            reservoir_ul=self._accounts.reservoir_ul,
            battery_mv=self._battery.millivolts(now_ns),
            head_temperature_c=self._thermometer.reading_c(now_ns),
            step_volume_nl=memory.step_volume_nl,
            last_command_id=memory.last_command_id,
            active_command_id=self._therapy.active_command_id,
        )

    def calibration(self, _: CalibrationRequest) -> Calibration:
        """Answer a CalibrationRequest."""
        memory = self._nvram.memory
        return Calibration(
            step_volume_nl=memory.step_volume_nl,
            previous_step_volume_nl=memory.previous_step_volume_nl,
            nominal_step_volume_nl=self._nominal_step_volume_nl,
            generation=memory.generation,
        )

    def stopped(self) -> Stopped:
        """The counts at which the motor stands."""
        return Stopped(self._clock.now_us(), self._motor.steps, self._accounts.delivered_ul)

    def delivery(self, sequence: int, overflow: int) -> Telemetry:
        """A sample of the stream TELEMETRY."""
        now_ns = self._world.now_ns
        return Telemetry(
            mode=self._therapy.mode,
            overflow=overflow,
            sequence=sequence,
            device_time_us=self._clock.now_us(),
            steps=self._motor.steps,
            rate_ul_per_h=self._therapy.rate_ul_per_h,
            head_temperature_c=self._thermometer.reading_c(now_ns),
            battery_mv=self._battery.millivolts(now_ns),
            alarms=self._alarms.active(),
        )

    def motor(self, sequence: int, overflow: int) -> MotorTelemetry:
        """A sample of the stream MOTOR."""
        return MotorTelemetry(
            overflow=overflow,
            sequence=sequence,
            device_time_us=self._clock.now_us(),
            steps=self._motor.commanded_steps,
            encoder_steps=self._motor.steps,
            step_period_us=self._therapy.step_period_us,
        )

    def power(self, sequence: int, overflow: int) -> PowerTelemetry:
        """A sample of the stream POWER."""
        now_ns = self._world.now_ns
        return PowerTelemetry(
            overflow=overflow,
            sequence=sequence,
            device_time_us=self._clock.now_us(),
            battery_mv=self._battery.millivolts(now_ns),
            battery_used_j=self._battery.used_j(now_ns),
            head_temperature_c=self._thermometer.reading_c(now_ns),
        )
