"""What the pump delivers: a therapy that runs on, a bolus on top of it, and how each command ended.

A command is written to memory before the motor makes its first step. A bolus suspends the therapy and hands back to
it, or to standstill. After a reset the therapy resumes with what is left of it, a bridge in its first part too: that
part is the old drug's basal rate, not a dose on top of one. A bolus never resumes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import protocol
from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.logs import Logs
from firmware_mock.firmware.motor import TICK_US, Motor, realised_ul_per_h
from firmware_mock.firmware.nvram import Memory, Nvram, Result, Run
from protocol import CommandResult, CommandState, EventCode, Mode, TherapyRequest


class Therapy:
    """Carries out accepted commands; `announce` is told of starts and ends with the command's id."""

    def __init__(
        self,
        nvram: Nvram,
        motor: Motor,
        accounts: Accounts,
        clock: DeviceClock,
        logs: Logs,
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._nvram = nvram
        self._motor = motor
        self._accounts = accounts
        self._clock = clock
        self._logs = logs
        self._announce = announce

    @property
    def mode(self) -> Mode:
        """What the motor is doing."""
        run = self._run_under_way()
        return Mode.STOPPED if run is None else run.mode

    @property
    def bolus_command_id(self) -> int | None:
        """The bolus under way, of any kind; None without one."""
        bolus = self._nvram.memory.bolus
        return None if bolus is None else bolus.command_id

    @property
    def active_command_id(self) -> int:
        """The bolus under way, or the therapy's command, else 0."""
        run = self._run_under_way()
        return 0 if run is None else run.command_id

    @property
    def rate_ul_per_h(self) -> float:
        """Programmed now; 0 at standstill."""
        run = self._run_under_way()
        return 0.0 if run is None else realised_ul_per_h(run.step_ticks, self._nvram.memory.step_volume_nl)

    @property
    def step_period_us(self) -> int:
        """Between two steps as programmed now; 0 at standstill."""
        run = self._run_under_way()
        return 0 if run is None else run.step_ticks * TICK_US

    def in_force(self, _: TherapyRequest) -> protocol.Therapy:
        """Answer a TherapyRequest: what a bolus hands back to."""
        run = self._nvram.memory.therapy
        return (
            protocol.Therapy(0, 0, b"")
            if run is None
            else protocol.Therapy(run.command_id, run.propose_type, run.canonical)
        )

    def start(self, run: Run) -> None:
        """Carry out a therapy; one before it ends as stopped."""
        memory = self._nvram.memory
        if memory.therapy is not None:
            memory = replace(memory, results=memory.ended(self._ended(memory.therapy, CommandState.STOPPED)))
        run = replace(run, taken_up_at_steps=self._motor.steps)
        self._write(replace(memory, last_command_id=run.command_id, therapy=run, lease_lost=False))
        self.resume()
        self._announce(EventCode.STARTED, run.command_id)

    def start_bolus(self, run: Run) -> None:
        """Give a bolus; the therapy waits."""
        assert run.steps is not None
        memory = self._nvram.memory
        steps = self._motor.steps
        self._write(
            replace(
                memory,
                last_command_id=run.command_id,
                therapy=None if memory.therapy is None else _counted(memory.therapy, steps),
                bolus=replace(run, taken_up_at_steps=steps),
                primed=memory.primed or run.mode is Mode.PRIMING,
                lease_lost=False,
            )
        )
        self._motor.run_steps(run.step_ticks, run.steps, self._bolus_done)
        self._announce(EventCode.STARTED, run.command_id)

    def burn(self, command_id: int) -> None:
        """Mark an id as used without delivering anything: it was proposed when STOP came."""
        memory = self._nvram.memory
        stopped = Result(command_id, CommandState.STOPPED, 0.0)
        self._write(replace(memory, last_command_id=command_id, results=memory.ended(stopped)))

    def stop(self) -> None:
        """Stand still; what ran ends as stopped."""
        active_id = self.active_command_id
        self._motor.halt()
        self._end_bolus(CommandState.STOPPED)
        self._end_therapy(CommandState.STOPPED)
        self._announce(EventCode.STOPPED, active_id)

    def lose_lease(self) -> None:
        """The control lease ran out: a therapy that ends with it ends as by STOP, and a bolus on top of it too."""
        therapy = self._nvram.memory.therapy
        ends = therapy is not None and therapy.ends_with_lease
        if ends:
            self.stop()
        memory = self._nvram.memory
        self._write(replace(memory, leased=False, lease_lost=memory.lease_lost or ends))

    def outlive_lease(self) -> None:
        """The control lease was given back: what runs no longer depends on it."""
        memory = self._nvram.memory
        therapy = memory.therapy
        if therapy is not None:
            therapy = replace(therapy, ends_with_lease=False)
        self._write(replace(memory, leased=False, therapy=therapy))

    def interrupt_bolus(self) -> None:
        """After a reset: a bolus is interrupted, and the therapy knows how far it came."""
        if self._nvram.memory.bolus is not None:
            self._end_bolus(CommandState.INTERRUPTED)
        elif (therapy := self._nvram.memory.therapy) is not None:
            self._write(replace(self._nvram.memory, therapy=_counted(therapy, self._motor.steps)))

    def resume(self) -> None:
        """Take up the therapy with what is left of it, or stand still."""
        therapy = self._nvram.memory.therapy
        if therapy is None:
            self._motor.halt()
        elif therapy.steps is None:
            self._motor.run(therapy.step_ticks)
        else:
            self._motor.run_steps(therapy.step_ticks, therapy.steps, self._part_done)

    def result(self, command_id: int) -> CommandResult:
        """What became of a command."""
        memory = self._nvram.memory
        for run in (memory.therapy, memory.bolus):
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
        self.resume()
        self._announce(EventCode.BOLUS_DONE, bolus.command_id)

    def _part_done(self) -> None:
        """The steps of a bridge's first part, or of a trial, are made."""
        memory = self._nvram.memory
        therapy = memory.therapy
        assert therapy is not None
        if therapy.then_step_ticks is None:
            self._end_therapy(CommandState.DONE)
            self.resume()
            self._announce(EventCode.TRIAL_DONE, therapy.command_id)
            return
        therapy = replace(
            _counted(therapy, self._motor.steps),
            mode=Mode.CONTINUOUS,
            step_ticks=therapy.then_step_ticks,
            steps=None,
            then_step_ticks=None,
        )
        self._write(replace(memory, therapy=therapy))
        self.resume()
        self._announce(EventCode.BRIDGE_DONE, therapy.command_id)

    def _end_bolus(self, state: CommandState) -> None:
        memory = self._nvram.memory
        if memory.bolus is None:
            return
        results = memory.ended(self._ended(memory.bolus, state))
        waiting = memory.therapy
        if waiting is not None:
            waiting = replace(waiting, taken_up_at_steps=self._motor.steps)
        self._write(replace(memory, bolus=None, therapy=waiting, results=results))

    def _end_therapy(self, state: CommandState) -> None:
        memory = self._nvram.memory
        if memory.therapy is not None:
            results = memory.ended(self._ended(memory.therapy, state))
            self._write(replace(memory, therapy=None, results=results))

    def _run_under_way(self) -> Run | None:
        memory = self._nvram.memory
        return memory.therapy if memory.bolus is None else memory.bolus

    def _ended(self, run: Run, state: CommandState) -> Result:
        result = Result(run.command_id, state, self._delivered_ul(run))
        self._logs.add_dose(run, result)
        return result

    def _delivered_ul(self, run: Run) -> float:
        return self._accounts.delivered_by_ul(run, under_way=run is self._run_under_way())

    def _write(self, memory: Memory) -> None:
        stands = memory.therapy is None and memory.bolus is None
        if stands != (memory.stood_since_us is not None):
            memory = replace(memory, stood_since_us=self._clock.running_us() if stands else None)
        self._nvram.write(memory)


def _counted(run: Run, steps: int) -> Run:
    """A run under way with what it has made so far counted, at a step count."""
    made = steps - run.taken_up_at_steps
    left = None if run.steps is None else max(0, run.steps - made)
    return replace(run, counted_steps=run.counted_steps + made, steps=left, taken_up_at_steps=steps)
