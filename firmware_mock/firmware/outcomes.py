"""How commands end, and the writes that say so; with each, a note of what the motor is driven at."""

from __future__ import annotations

from dataclasses import replace

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.logs import Logs
from firmware_mock.firmware.memory import Memory, Result, Run
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.stretches import DAY_US, Stretch, with_stretch
from protocol import CommandResult, CommandState, Mode

_US_PER_S = 1_000_000


class Outcomes:
    """What the motor was driven at is remembered for at least `window_s`."""

    def __init__(
        self, nvram: Nvram, motor: Motor, accounts: Accounts, clock: DeviceClock, logs: Logs, window_s: float
    ) -> None:
        self._nvram = nvram
        self._motor = motor
        self._accounts = accounts
        self._clock = clock
        self._logs = logs
        self._kept_us = round(window_s * _US_PER_S)

    def told(self, command_id: int) -> CommandResult:
        """What became of a command."""
        memory = self._nvram.memory
        for run in (memory.therapy, memory.bolus):
            if run is not None and run.command_id == command_id:
                return _as_message(self.of(run, CommandState.RUNNING))
        for result in memory.results:
            if result.command_id == command_id:
                return _as_message(result)
        may_be_forgotten = self._nvram.is_lost or command_id <= memory.forgotten_command_id
        state = CommandState.FORGOTTEN if may_be_forgotten and command_id > 0 else CommandState.UNKNOWN
        return CommandResult(command_id, state, 0.0, 0.0, 0)

    def of(self, run: Run, state: CommandState) -> Result:
        """How a command of the present memory ends, or stands."""
        if run is self._nvram.memory.under_way:
            run = run.counted(self._motor.steps, self._motor.steps)
        return self.of_counted(run, state)

    def of_counted(self, run: Run, state: CommandState) -> Result:
        """The same of one whose steps are all counted."""
        return Result(run.command_id, run.token, run.propose_type, state, *self._accounts.delivered_by_ul(run))

    def write(self, memory: Memory, *ended: Result) -> None:
        """Write the image with more results, and then the records of those.

        Raises:
            PowerLost: power failed meanwhile.
        """
        stands, now_us = memory.under_way is None, self._clock.running_us()
        if stands != (memory.stood_since_us is not None):
            memory = replace(memory, stood_since_us=now_us if stands else None)
        self._nvram.write(self._with_stretch(memory, now_us).ended(*ended))
        for result in ended:
            if result.propose_type:
                self._logs.add_dose(result)

    def patient_starts_us(self, run: Run) -> tuple[int, ...]:
        """When patient boluses of the last day began, with one more where that is what begins."""
        starts_us, now_us = self._nvram.memory.patient_starts_us, self._clock.running_us()
        if run.mode is not Mode.PATIENT_BOLUS:
            return starts_us
        return (*(start_us for start_us in starts_us if start_us > now_us - DAY_US), now_us)

    def _with_stretch(self, memory: Memory, now_us: int) -> Memory:
        """With what the motor is to be driven at from now on, where that is new or was overrun, or after a reset."""
        ticks = 0 if memory.under_way is None else memory.under_way.step_ticks
        newest = memory.stretches[-1] if memory.stretches else None
        is_after_reset = memory.boot_id != self._nvram.memory.boot_id
        goes_on = newest is not None and newest.step_ticks == ticks and not is_after_reset
        if goes_on and newest is not None and not newest.excess_steps(now_us, self._motor.steps):
            return memory
        stretch = Stretch(now_us, self._motor.steps, ticks, memory.step_volume_nl)
        return replace(memory, stretches=with_stretch(memory.stretches, stretch, kept_us=self._kept_us))


def _as_message(result: Result) -> CommandResult:
    return CommandResult(
        result.command_id, result.state, result.delivered_low_ul, result.delivered_high_ul, result.token
    )
