"""Volumes as the firmware computes them, by counted steps and the calibrated step volume; it has no other sense."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from firmware_mock.firmware.memory import Memory, Run
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from protocol import Mode


class Accounts:
    """Delivered since boot and left in the reservoir, in µL."""

    def __init__(self, nvram: Nvram, motor: Motor) -> None:
        self._nvram = nvram
        self._motor = motor
        self._delivered_ul = 0.0
        self._delivered_at_steps = motor.steps

    @property
    def step_volume_ul(self) -> float:
        """The calibrated step volume."""
        return self._nvram.memory.step_volume_nl * 1e-3

    @property
    def delivered_ul(self) -> float:
        """Counted since boot."""
        return self._delivered_ul + (self._motor.steps - self._delivered_at_steps) * self.step_volume_ul

    @property
    def reservoir_ul(self) -> float:
        """Left in the reservoir, never below 0."""
        memory = self._nvram.memory
        used_ul = (self._motor.steps - memory.reservoir_at_steps) * self.step_volume_ul
        return max(0.0, memory.reservoir_ul - used_ul)

    def is_down_to(self, volume_ul: float) -> bool:
        """Whether no more than a volume is left in the reservoir."""
        return self._motor.steps >= self.reservoir_reaches_steps(volume_ul)

    def reservoir_reaches_steps(self, volume_ul: float) -> int:
        """The step count at which no more than a volume is left in the reservoir."""
        memory = self._nvram.memory
        return memory.reservoir_at_steps + ceil((memory.reservoir_ul - volume_ul) / self.step_volume_ul)

    def delivered_by_ul(self, run: Run) -> tuple[float, float]:
        """Between what volumes lies what a command has delivered, all of it counted."""
        low_steps = run.counted_steps
        return low_steps * self.step_volume_ul, (low_steps + run.doubtful_steps) * self.step_volume_ul

    def calibrated(self, step_volume_nl: float) -> Memory:
        """The memory with a new step volume, to be written; steps made so far keep the volume they counted."""
        self._delivered_ul, self._delivered_at_steps = self.delivered_ul, self._motor.steps
        memory = self._nvram.memory
        return replace(
            memory,
            step_volume_nl=step_volume_nl,
            previous_step_volume_nl=memory.step_volume_nl,
            generation=memory.generation + 1,
            reservoir_ul=self.reservoir_ul,
            reservoir_at_steps=self._motor.steps,
        )

    def refilled(self, volume_ul: float) -> Memory:
        """The memory with a new filling, to be written; it may be primed again unless that is under way."""
        memory = self._nvram.memory
        primed = memory.bolus is not None and memory.bolus.mode is Mode.PRIMING
        return replace(memory, reservoir_ul=volume_ul, reservoir_at_steps=self._motor.steps, primed=primed)

    def reset(self) -> None:
        """The delivered volume begins again at 0."""
        self._delivered_ul, self._delivered_at_steps = 0.0, self._motor.steps
