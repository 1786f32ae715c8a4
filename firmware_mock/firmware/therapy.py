"""What the pump delivers: continuous infusion, a bolus on top of it, and how each command ended.

A command is written to memory before the motor makes its first step. A bolus suspends the continuous infusion and
hands back to it, or to standstill. After a reset the infusion resumes, a bolus never.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.motor import Motor, realised_ul_per_h
from firmware_mock.firmware.nvram import Nvram, Result, Run
from protocol import CommandResult, CommandState, EventCode, Mode


class Therapy:
    """Carries out accepted commands; `announce` is told of starts and ends with the command's id."""

    def __init__(
        self, nvram: Nvram, motor: Motor, accounts: Accounts, announce: Callable[[EventCode, int], None]
    ) -> None:
        self._nvram = nvram
        self._motor = motor
        self._accounts = accounts
        self._announce = announce

    @property
    def mode(self) -> Mode:
        """What the motor is doing."""
        memory = self._nvram.memory
        if memory.bolus is not None:
            return Mode.BOLUS
        return Mode.STOPPED if memory.continuous is None else Mode.CONTINUOUS

    @property
    def active_command_id(self) -> int:
        """The bolus under way, or the continuous infusion's command, else 0."""
        run = self._run_under_way()
        return 0 if run is None else run.command_id

    @property
    def rate_ul_per_h(self) -> float:
        """Programmed now; 0 at standstill."""
        run = self._run_under_way()
        return 0.0 if run is None else realised_ul_per_h(run.step_ticks, self._nvram.memory.step_volume_nl)

    def start_continuous(self, command_id: int, step_ticks: int) -> None:
        """Infuse until told otherwise; an infusion before it ends as stopped."""
        memory = self._nvram.memory
        results = memory.results
        if memory.continuous is not None:
            results = memory.ended(self._ended(memory.continuous, CommandState.STOPPED))
        run = Run(command_id, step_ticks, None, 0, self._motor.steps)
        self._nvram.write(replace(memory, last_command_id=command_id, continuous=run, results=results))
        self._motor.run(step_ticks)
        self._announce(EventCode.STARTED, command_id)

    def start_bolus(self, command_id: int, steps: int, step_ticks: int) -> None:
        """Give a bolus; the continuous infusion waits."""
        memory = self._nvram.memory
        waiting = memory.continuous
        if waiting is not None:
            counted = waiting.counted_steps + self._motor.steps - waiting.taken_up_at_steps
            waiting = replace(waiting, counted_steps=counted)
        run = Run(command_id, step_ticks, steps, 0, self._motor.steps)
        self._nvram.write(replace(memory, last_command_id=command_id, continuous=waiting, bolus=run))
        self._motor.run_steps(step_ticks, steps, self._bolus_done)
        self._announce(EventCode.STARTED, command_id)

    def calibrate(self, command_id: int, step_volume_nl: float) -> None:
        """Write a step volume; the motor stands still."""
        memory = self._accounts.calibrated(step_volume_nl)
        done = Result(command_id, CommandState.DONE, 0.0)
        self._nvram.write(replace(memory, last_command_id=command_id, results=memory.ended(done)))
        self._announce(EventCode.CALIBRATION_WRITTEN, command_id)

    def burn(self, command_id: int) -> None:
        """Mark an id as used without delivering anything: it was proposed when STOP came."""
        memory = self._nvram.memory
        stopped = Result(command_id, CommandState.STOPPED, 0.0)
        self._nvram.write(replace(memory, last_command_id=command_id, results=memory.ended(stopped)))

    def stop(self) -> None:
        """Stand still; what ran ends as stopped."""
        active_id = self.active_command_id
        self._motor.halt()
        self._end_bolus(CommandState.STOPPED)
        memory = self._nvram.memory
        if memory.continuous is not None:
            stopped = self._ended(memory.continuous, CommandState.STOPPED)
            self._nvram.write(replace(memory, continuous=None, results=memory.ended(stopped)))
        if active_id:
            self._announce(EventCode.STOPPED, active_id)

    def recover(self) -> None:
        """After a reset: a bolus is interrupted, the continuous infusion resumes."""
        self._end_bolus(CommandState.INTERRUPTED)
        self._resume()

    def result(self, command_id: int) -> CommandResult:
        """What became of a command."""
        memory = self._nvram.memory
        for run in (memory.continuous, memory.bolus):
            if run is not None and run.command_id == command_id:
                delivered_ul = self._delivered_ul(run)
                return CommandResult(command_id, CommandState.RUNNING, delivered_ul, delivered_ul)
        for result in memory.results:
            if result.command_id == command_id:
                return CommandResult(command_id, result.state, result.delivered_ul, result.delivered_ul)
        known = 0 < command_id <= memory.last_command_id
        return CommandResult(command_id, CommandState.FORGOTTEN if known else CommandState.UNKNOWN, 0.0, 0.0)

    def _bolus_done(self) -> None:
        bolus = self._nvram.memory.bolus
        assert bolus is not None
        self._end_bolus(CommandState.DONE)
        self._resume()
        self._announce(EventCode.BOLUS_DONE, bolus.command_id)

    def _end_bolus(self, state: CommandState) -> None:
        memory = self._nvram.memory
        if memory.bolus is None:
            return
        results = memory.ended(self._ended(memory.bolus, state))
        waiting = memory.continuous
        if waiting is not None:
            waiting = replace(waiting, taken_up_at_steps=self._motor.steps)
        self._nvram.write(replace(memory, bolus=None, continuous=waiting, results=results))

    def _resume(self) -> None:
        continuous = self._nvram.memory.continuous
        if continuous is None:
            self._motor.halt()
        else:
            self._motor.run(continuous.step_ticks)

    def _run_under_way(self) -> Run | None:
        memory = self._nvram.memory
        return memory.continuous if memory.bolus is None else memory.bolus

    def _ended(self, run: Run, state: CommandState) -> Result:
        return Result(run.command_id, state, self._delivered_ul(run))

    def _delivered_ul(self, run: Run) -> float:
        return self._accounts.delivered_by_ul(run, under_way=run is self._run_under_way())
