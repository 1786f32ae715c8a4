"""What the pump remembers through a reset: one frozen image, replaced whole at every write."""

from __future__ import annotations

from dataclasses import dataclass

from protocol import CommandState

RESULTS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Run:
    """A dosing command under way: a step every `step_ticks`, `steps` of them, or None for continuous infusion.

    `counted_steps` were made before the motor last took it up, at the step count `taken_up_at_steps`.
    """

    command_id: int
    step_ticks: int
    steps: int | None
    counted_steps: int
    taken_up_at_steps: int


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and what it delivered by counted steps, in µL."""

    command_id: int
    state: CommandState
    delivered_ul: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The image. The reservoir held `reservoir_ul` at the step count `reservoir_at_steps`."""

    step_volume_nl: float
    previous_step_volume_nl: float
    reservoir_ul: float
    reservoir_at_steps: int
    generation: int = 0
    boot_id: int = 0
    last_command_id: int = 0
    continuous: Run | None = None
    bolus: Run | None = None
    results: tuple[Result, ...] = ()

    def ended(self, result: Result) -> tuple[Result, ...]:
        """The stored results with one more; the oldest are forgotten."""
        return (*self.results, result)[-RESULTS_KEPT:]


class Nvram:
    """Holds the image; a write replaces it at once, so readers see the old one or the new one."""

    def __init__(self, factory: Memory) -> None:
        self.memory = factory

    def write(self, memory: Memory) -> None:
        """Replace the image."""
        self.memory = memory
