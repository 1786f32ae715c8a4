"""All mutants, by property."""

from __future__ import annotations

from mutating import of_alarms, of_commands, of_delivery, of_resets, stories_of_conditions
from mutating.mutant import Mutant
from mutating.stories import STORIES

assert stories_of_conditions.pressed.__name__ in STORIES

MUTANTS: tuple[Mutant, ...] = tuple(
    sorted(
        (*of_delivery.MUTANTS, *of_commands.MUTANTS, *of_resets.MUTANTS, *of_alarms.MUTANTS),
        key=lambda mutant: mutant.identifier,
    )
)
