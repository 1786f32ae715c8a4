"""What the pump delivers: a therapy that runs on, a bolus on top of it, and how each command ended.

A command is written to memory before the motor makes its first step. A bolus suspends the therapy and hands back to it,
or to standstill. One whose steps are all due and not all seen by the encoder has FAILED with those that were, and hands
back as well; a bridge or trial then stands still, for where the old drug's end is nobody can tell any more. After a
reset the therapy resumes with what is left of it, a bridge in its first part too: that part is the old drug's basal
rate, not a dose on top of one. A bolus never resumes. Each change is one write of the image, so a loss of power leaves
it done or not begun. Where that was to be a therapy in place of another, neither runs then: the pump stands. A flex
therapy is taken up with the rate that the therapy clock says, and again whenever that says another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import protocol
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.conditions import Conditions
from firmware_mock.firmware.flex import FlexTimer
from firmware_mock.firmware.memory import Memory, Result, Run
from firmware_mock.firmware.motor import TICK_US, Motor, realised_ul_per_h
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.outcomes import Outcomes
from firmware_mock.world import World
from protocol import CommandState, EventCode, Mode, TherapyRequest


class Therapy:
    """Carries out accepted commands; `announce` is told of starts and ends with the command's id.

    `seen_to_turn` is called when all steps of a run were due and seen.
    """

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        motor: Motor,
        clock: DeviceClock,
        outcomes: Outcomes,
        announce: Callable[[EventCode, int], None],
        seen_to_turn: Callable[[], None],
    ) -> None:
        self.flex = FlexTimer(world, nvram, clock, self.follow_clock)
        self._nvram = nvram
        self._motor = motor
        self._clock = clock
        self._outcomes = outcomes
        self._announce = announce
        self._seen_to_turn = seen_to_turn

    @property
    def mode(self) -> Mode:
        """What the motor is doing."""
        memory = self._nvram.memory
        if memory.in_hand is None:
            return Mode.STOPPED
        return Mode.TELEMETRY if memory.under_way is None else memory.in_hand.mode

    @property
    def bolus_command_id(self) -> int | None:
        """The bolus under way, of any kind; None without one."""
        bolus = self._nvram.memory.bolus
        return None if bolus is None else bolus.command_id

    @property
    def active_command_id(self) -> int:
        """The bolus under way, or the therapy's command, else 0; while it is suspended too."""
        run = self._nvram.memory.in_hand
        return 0 if run is None else run.command_id

    @property
    def rate_ul_per_h(self) -> float:
        """Programmed now; 0 at standstill."""
        run = self._nvram.memory.under_way
        if run is None or not run.step_ticks:
            return 0.0
        return realised_ul_per_h(run.step_ticks, self._nvram.memory.step_volume_nl)

    @property
    def step_period_us(self) -> int:
        """Between two steps as programmed now; 0 at standstill."""
        run = self._nvram.memory.under_way
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
        self._stand_for_the_write()
        memory = self._nvram.memory
        ended = () if memory.therapy is None else (self._outcomes.of(memory.therapy, CommandState.STOPPED),)
        run = replace(self.flex.now(run), taken_up_at_steps=self._motor.steps)
        memory = replace(
            memory, last_command_id=run.command_id, therapy=run, lease_lost=False, programming_interrupted=False
        )
        self._nvram.mark_programming(run.command_id, run.token)
        self._outcomes.write(memory, *ended)
        self.resume()
        self._announce(EventCode.STARTED, run.command_id)

    def start_bolus(self, run: Run) -> None:
        """Give a bolus; the therapy waits."""
        assert run.steps is not None
        self.flex.end()
        self._stand_for_the_write()
        memory = self._nvram.memory
        steps = self._motor.steps
        self._outcomes.write(
            replace(
                memory,
                last_command_id=run.command_id,
                therapy=None if memory.therapy is None else memory.therapy.counted(steps, steps),
                bolus=replace(run, taken_up_at_steps=steps),
                primed=memory.primed or run.mode is Mode.PRIMING,
                lease_lost=False,
                patient_starts_us=self._outcomes.patient_starts_us(run),
            )
        )
        self._motor.run_steps(run.step_ticks, run.steps, self._nvram.guarded(self._bolus_done))
        self._announce(EventCode.STARTED, run.command_id)

    def burn(self, command_id: int, token: int) -> None:
        """Mark an id as used without delivering anything: it was proposed when STOP came."""
        stopped = Result(command_id, token, 0, CommandState.STOPPED)
        self._outcomes.write(replace(self._nvram.memory, last_command_id=command_id), stopped)

    def stop(self) -> None:
        """Stand still; what ran ends as stopped."""
        self._stop(self._nvram.memory)

    def lose_lease(self) -> None:
        """The control lease ran out: a therapy that ends with it ends as by STOP, and a bolus on top of it too."""
        memory = replace(self._nvram.memory, leased=False)
        if memory.therapy is not None and memory.therapy.ends_with_lease:
            self._stop(replace(memory, lease_lost=True))
        else:
            self._outcomes.write(memory)

    def outlive_lease(self) -> None:
        """The control lease was given back: what runs no longer depends on it."""
        memory = self._nvram.memory
        therapy = memory.therapy
        if therapy is not None:
            therapy = replace(therapy, ends_with_lease=False)
        self._outcomes.write(replace(memory, leased=False, therapy=therapy))

    def after_reset(self, boot_id: int, low_steps: int, high_steps: int) -> None:
        """A bolus is interrupted, and the therapy knows how far it came; the step count is from low to high.

        A therapy whose writing was begun and is not there ends the one before it: which of the two was meant to run
        only people can tell.
        """
        memory = self._nvram.memory
        memory = replace(memory, boot_id=boot_id, conditions=_not_waiting(memory))
        therapy, bolus = memory.therapy, memory.bolus
        begun = self._nvram.programming_begun()
        if begun is not None:
            command_id, token = begun
            ended = [Result(command_id, token, 0, CommandState.INTERRUPTED)]
            if therapy is not None:
                ended.insert(
                    0, self._outcomes.of_counted(therapy.counted(low_steps, high_steps), CommandState.INTERRUPTED)
                )
            memory = replace(memory, last_command_id=command_id, therapy=None, programming_interrupted=True)
            self._outcomes.write(memory, *ended)
        elif bolus is not None:
            if therapy is not None:
                therapy = replace(therapy, taken_up_at_steps=high_steps)
            interrupted = self._outcomes.of_counted(bolus.counted(low_steps, high_steps), CommandState.INTERRUPTED)
            self._outcomes.write(replace(memory, bolus=None, therapy=therapy), interrupted)
        else:
            therapy = None if therapy is None else therapy.counted(low_steps, high_steps)
            self._outcomes.write(replace(memory, therapy=therapy))

    def resume(self) -> None:
        """Take up the therapy with what is left of it and at the rate it has now, or stand still."""
        self.flex.end()
        memory = self._nvram.memory
        therapy = memory.therapy
        if therapy is None:
            self._motor.halt()
            return
        now = self.flex.now(therapy)
        if now is not therapy:
            therapy = now.counted(self._motor.steps, self._motor.steps)
            self._outcomes.write(replace(memory, therapy=therapy))
        if not therapy.step_ticks:
            self._motor.halt()
        elif therapy.steps is None:
            self._motor.run(therapy.step_ticks)
        else:
            self._motor.run_steps(therapy.step_ticks, therapy.steps, self._nvram.guarded(self._part_done))
        self.flex.watch(therapy)

    def follow_clock(self) -> None:
        """The therapy clock says another time than was thought, or a flex therapy's next step is due."""
        memory = self._nvram.memory
        therapy = memory.therapy
        if therapy is None or memory.under_way is not therapy:
            return
        if self.flex.now(therapy) is therapy:
            self.flex.watch(therapy)
            return
        if self._motor.has_missed_all:
            self._nvram.write(replace(memory, motor_stalled=True))
        elif self._motor.has_made_some and self._motor.unseen_since_ns is None:
            self._seen_to_turn()
        self.resume()

    def suspend(self) -> None:
        """Stand still until it is handed back; what is in hand has not ended."""
        self.flex.end()
        self._motor.halt()
        memory, steps = self._nvram.memory, self._motor.steps
        therapy, bolus = memory.therapy, memory.bolus
        if bolus is not None:
            bolus = bolus.counted(steps, steps)
        elif therapy is not None:
            therapy = therapy.counted(steps, steps)
        conditions = replace(memory.conditions, suspended_since_us=self._clock.running_us())
        self._outcomes.write(replace(memory, therapy=therapy, bolus=bolus, conditions=conditions))

    def give_up_bolus(self) -> None:
        """What waits of a bolus is not given; the therapy beneath it goes on waiting."""
        memory = self._nvram.memory
        bolus, waiting = memory.bolus, memory.therapy
        assert bolus is not None
        if waiting is not None:
            waiting = replace(waiting, taken_up_at_steps=self._motor.steps)
        interrupted = self._outcomes.of(bolus, CommandState.INTERRUPTED)
        self._outcomes.write(replace(memory, bolus=None, therapy=waiting), interrupted)

    def hand_back(self) -> None:
        """Go on with what is in hand."""
        memory = self._nvram.memory
        self._outcomes.write(replace(memory, conditions=replace(memory.conditions, suspended_since_us=None)))
        bolus = memory.bolus
        if bolus is None:
            self.resume()
        else:
            assert bolus.steps is not None
            self._motor.run_steps(bolus.step_ticks, bolus.steps, self._nvram.guarded(self._bolus_done))

    def _stand_for_the_write(self) -> None:
        """So that no step made for one command is counted for the next, should the firmware get no further."""
        if self._nvram.memory.under_way is not None:
            self._motor.halt()

    def _stop(self, memory: Memory) -> None:
        active_id = self.active_command_id
        self.flex.end()
        self._motor.halt()
        ended = [
            self._outcomes.of(run, CommandState.STOPPED) for run in (memory.bolus, memory.therapy) if run is not None
        ]
        if ended or memory.programming_interrupted:
            memory = replace(
                memory, bolus=None, therapy=None, programming_interrupted=False, conditions=_not_waiting(memory)
            )
            self._outcomes.write(memory, *ended)
        self._announce(EventCode.STOPPED, active_id)

    def _bolus_done(self) -> None:
        """The steps of a bolus are due."""
        memory = self._nvram.memory
        bolus, waiting = memory.bolus, memory.therapy
        assert bolus is not None
        if waiting is not None:
            waiting = replace(self.flex.now(waiting), taken_up_at_steps=self._motor.steps)
        memory = replace(memory, bolus=None, therapy=waiting)
        if self._stalled(bolus):
            self._fail(memory, bolus)
            return
        self._outcomes.write(memory, self._outcomes.of(bolus, CommandState.DONE))
        self.resume()
        self._announce(EventCode.BOLUS_DONE, bolus.command_id)
        self._seen_to_turn()

    def _part_done(self) -> None:
        """The steps of a bridge's first part, or of a trial, are due."""
        memory = self._nvram.memory
        therapy = memory.therapy
        assert therapy is not None
        if self._stalled(therapy):
            self._fail(replace(memory, therapy=None), therapy)
            return
        self._go_on_from(memory, therapy)
        self._seen_to_turn()

    def _go_on_from(self, memory: Memory, therapy: Run) -> None:
        if therapy.then_step_ticks is None:
            self._outcomes.write(replace(memory, therapy=None), self._outcomes.of(therapy, CommandState.DONE))
            self.resume()
            self._announce(EventCode.TRIAL_DONE, therapy.command_id)
            return
        therapy = replace(
            therapy.counted(self._motor.steps, self._motor.steps),
            mode=Mode.CONTINUOUS,
            step_ticks=therapy.then_step_ticks,
            steps=None,
            then_step_ticks=None,
        )
        self._outcomes.write(replace(memory, therapy=therapy))
        self.resume()
        self._announce(EventCode.BRIDGE_DONE, therapy.command_id)

    def _stalled(self, run: Run) -> bool:
        """Whether the encoder missed some of the steps that are all due."""
        assert run.last_steps is not None
        return self._motor.steps < run.last_steps

    def _fail(self, memory: Memory, run: Run) -> None:
        """A command ends for a stalled motor; what waited for its end is tried again."""
        self._outcomes.write(replace(memory, motor_stalled=True), self._outcomes.of(run, CommandState.FAILED))
        self.resume()
        self._announce(EventCode.COMMAND_FAILED, run.command_id)


def _not_waiting(memory: Memory) -> Conditions:
    """Nothing waits to be handed back any more."""
    return replace(memory.conditions, suspended_since_us=None)
