"""A mutant of the firmware as data, and which properties a story finds broken with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from firmware_mock.monitors import Monitors
from mutating.stories import STORIES

Act = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """Breaks the property `identifier` in a story; `swaps` are (owner, name, what is done instead).

    What is done instead gets the original first, then its arguments; a property or constant is replaced by a value.
    """

    identifier: str
    story: str
    says: str
    swaps: tuple[tuple[Any, str, Any], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which properties were broken, the first sentence about the mutant's own, and what the firmware died of."""

    broken: frozenset[str]
    sentence: str
    error: str


def of(identifier: str, story: str, says: str, *swaps: tuple[Any, str, Any]) -> Mutant:
    """A mutant."""
    return Mutant(identifier, story, says, swaps)


def run(mutant: Mutant) -> Verdict:
    """The story with the mutant in it. A story that dies of it is judged by what was seen until then."""
    with ExitStack() as swapped:
        for owner, name, instead in mutant.swaps:
            original = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
            swapped.enter_context(patch.object(owner, name, _acting(original, instead)))
        return _told(mutant.story, mutant.identifier)


def control(story: str) -> Verdict:
    """The story without any."""
    return _told(story, "")


def _told(story: str, identifier: str) -> Verdict:
    watched: list[Any] = []
    error = ""
    with patch("mutating.scene.Monitors", lambda firmware: watched.append(Monitors(firmware)) or watched[-1]):
        try:
            STORIES[story]()
        except Exception as fault:
            error = f"{type(fault).__name__}: {fault}"
    violations = [] if not watched else watched[-1].violations
    if watched and not error:
        violations = watched[-1].finish()
    own = next((it.sentence for it in violations if it.identifier == identifier), "")
    return Verdict(frozenset(it.identifier for it in violations), own, error)


def _acting(original: Any, instead: Any) -> Any:
    if not callable(original) or not callable(instead):
        return instead

    def acted(*arguments: Any, **named: Any) -> Any:
        return instead(original, *arguments, **named)

    return acted
