"""What is known of a dosing command: its state in words for people, and the bounds of what it delivered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from protocol import CommandState

_GIVES_ITS_VOLUME_ONCE = frozenset({"bolus", "patient_bolus", "prime"})
_DELIVERS_NOTHING = frozenset({"patient_bolus_limits", "calibration", "refill", "therapy_clock"})


class DoseState(StrEnum):
    """What became of a dosing command, by the pump's evidence, or by the word of an operator who is named.

    PENDING: it runs. PARTLY: it ended early, by STOP, a reset or a fault of the pump, and something was or may have
    been delivered. NOT_DELIVERED: it was never begun, or ended before the first step. UNCERTAIN: the pump cannot tell;
    it counts as delivered.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    PARTLY = "partly"
    NOT_DELIVERED = "not delivered"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Dose:
    """A dosing command and what became of it; what it delivered lies between the two volumes in µL.

    For a therapy that runs on the volumes are so far; the upper one is infinite where nothing bounds it. `canonical`
    are the values the pump really uses, by field name, flex steps as a list of such; empty where they are not known.
    `command_state` is the pump's own last word, None where it said nothing.
    """

    id: int
    state: DoseState
    delivered_low_ul: float
    delivered_high_ul: float
    canonical: dict[str, Any]
    command_state: CommandState | int | None

    @property
    def said(self) -> str:
        """The pump's own last word, as text."""
        return "nothing" if self.command_state is None else getattr(self.command_state, "name", str(self.command_state))


def state_of(said: CommandState, high_ul: float) -> DoseState:
    """The state of a command that the pump says is running or has ended, at most `high_ul` being delivered."""
    if said == CommandState.RUNNING:
        return DoseState.PENDING
    if said == CommandState.DONE:
        return DoseState.DELIVERED
    return ended_early(high_ul)


def ended_early(high_ul: float) -> DoseState:
    """The state of a command that was not carried out to its end, at most `high_ul` being delivered."""
    return DoseState.PARTLY if high_ul > 0.0 else DoseState.NOT_DELIVERED


def most_ul(kind: str, canonical: Mapping[str, Any]) -> float:
    """The most that a command of a kind can deliver, by its canonical values; infinite where they do not bound it."""
    if kind in _GIVES_ITS_VOLUME_ONCE:
        return float(canonical.get("volume_ul", math.inf))
    return 0.0 if kind in _DELIVERS_NOTHING else math.inf
