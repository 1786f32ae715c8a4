"""What is said and what is true about the doses of a trial: plain data between host script, simulation and scoring."""

from __future__ import annotations

from dataclasses import dataclass

NOT_STARTED = "not_started"
UNCERTAIN = "uncertain"
RUNNING = "running"
DONE = "done"
ENDED = frozenset({DONE, "stopped", "interrupted", "failed"})


@dataclass(frozen=True, slots=True)
class Claim:
    """What the driver said of a dose at an instant, volumes in µL. NOT_STARTED stands for every refusal to dose."""

    state: str
    low_ul: float = 0.0
    high_ul: float = 0.0
    id: int = 0
    said: str = ""


@dataclass(frozen=True, slots=True)
class DoseStory:
    """One dose: how many motor steps were asked for, what faults acted, and all that the driver said, in order.

    `recovery_s` is from the end of the faults, or from the first try after it, to the first answer. `evidence_lost`:
    the pump was made to forget what became of the dose.
    """

    steps: int
    faults: tuple[str, ...]
    acted: tuple[bool, ...]
    claims: tuple[Claim, ...]
    recovery_s: float
    evidence_lost: bool = False

    @property
    def is_valid(self) -> bool:
        """Whether every fault left evidence."""
        return all(self.acted)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the motor did: for each planned number of steps, how many it made at each start; `unasked` are others."""

    starts: dict[int, tuple[int, ...]]
    step_volume_ul: float
