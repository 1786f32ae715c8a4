"""What is said and what is true about the doses of a trial: plain data between host script, simulation and scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

NOT_STARTED = "not_started"
UNCERTAIN = "uncertain"
RUNNING = "running"
DONE = "done"
INTERRUPTED = "interrupted"
ENDED = frozenset({DONE, "stopped", INTERRUPTED, "failed"})


class Moves(StrEnum):
    """What a command moves: a number of steps once, steps until told otherwise, or nothing."""

    ONCE = "once"
    ON = "on"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Turned:
    """A stretch of the motor: when it began in ns, how many steps were planned, None for no end, and how many made."""

    began_ns: int
    planned: int | None
    step_ticks: int
    made: int


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
    the pump was made to forget what became of the dose. `restarts`: how often the pump was reset or lost power
    at most, so it may have taken up a therapy anew as often. `steps` tell a dose from all others, also one that
    moves `ON` or `NOTHING`.
    """

    steps: int
    faults: tuple[str, ...]
    acted: tuple[bool, ...]
    claims: tuple[Claim, ...]
    recovery_s: float
    evidence_lost: bool = False
    moves: Moves = Moves.ONCE
    restarts: int = 0

    @property
    def is_valid(self) -> bool:
        """Whether every fault left evidence."""
        return all(self.acted)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the motor and the memory chip did.

    `starts`: for each planned number of steps, how many were made at each start. `turned` and `times_set`: by the
    number of steps that tells a dose from others, its stretches where it runs on, and how often the setting that it
    asks for came into the memory. `unasked` are stretches at a rate that nobody asked for.
    """

    starts: Mapping[int, tuple[int, ...]]
    step_volume_ul: float
    turned: Mapping[int, Sequence[Turned]] = field(default_factory=dict)
    times_set: Mapping[int, int] = field(default_factory=dict)
    unasked: Sequence[Turned] = ()
