"""A planted bug as data, how it is swapped in, and how long the campaign looks before it finds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from bench.campaign.campaign import Selection
from bench.campaign.scoring import Finding, FindingKind
from bench.campaign.trial import TrialOutcome, run_drawn

Swap = AbstractContextManager[Any]


@dataclass(frozen=True, slots=True)
class Bug:
    """What is wrong, in one sentence; what swaps it in; kinds of faults, alone and in pairs; what it may be found as.

    `swaps` makes the context managers afresh for each trial. `quick`: found within a few hundred doses, so CI runs it.
    """

    name: str
    says: str
    swaps: Callable[[], Iterable[Swap]]
    faults: tuple[str, ...]
    found_as: frozenset[FindingKind]
    quick: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What the first trial that tells found, which trial that is, after how many faulted doses and seconds of CPU."""

    kinds: tuple[FindingKind, ...]
    sentence: str
    trial: int
    doses: int
    cpu_s: float


def bug(
    name: str, says: str, faults: str, *found_as: FindingKind, quick: bool = True
) -> Callable[[Callable[[], Iterable[Swap]]], Bug]:
    """Makes a bug of the function that gives its swaps; `faults` are kinds separated by spaces."""

    def make(swaps: Callable[[], Iterable[Swap]]) -> Bug:
        return Bug(name, says, swaps, tuple(faults.split()), frozenset(found_as), quick)

    return make


def instead(owner: Any, name: str, act: Callable[..., Any]) -> Swap:
    """Has `act(original, *arguments)` done instead of a function of a class or module."""
    original = getattr(owner, name)

    def acted(*arguments: Any, **named: Any) -> Any:
        return act(original, *arguments, **named)

    return patch.object(owner, name, acted)


def run_planted(planted: Bug | None, seed: int, kinds: Iterable[str]) -> TrialOutcome:
    """A trial with the bug in it; without any for None."""
    with ExitStack() as swapped:
        for swap in planted.swaps() if planted is not None else ():
            swapped.enter_context(swap)
        return run_drawn(seed, kinds)


def search(planted: Bug, selection: Selection, most_doses: int) -> Found | None:
    """Trials from the first on until one finds what the bug may be found as; None if so many doses show nothing."""
    began_s = time.process_time()
    doses = trial = 0
    while doses < most_doses:
        outcome = run_planted(planted, selection.seed_of(trial), selection.kinds_of(trial))
        doses += sum(story.is_valid for story in outcome.stories)
        rightly = [finding for finding in outcome.findings if finding.kind in planted.found_as]
        if rightly:
            kinds = tuple(dict.fromkeys(finding.kind for finding in (*rightly, *outcome.findings)))
            return Found(kinds, rightly[0].sentence, trial, doses, time.process_time() - began_s)
        trial += 1
    return None


def control(selection: Selection, last_trial: int) -> list[Finding]:
    """What the same trials find without a bug: nothing, or the finding is worth nothing."""
    return [
        finding
        for trial in range(last_trial + 1)
        for finding in run_planted(None, selection.seed_of(trial), selection.kinds_of(trial)).findings
    ]
