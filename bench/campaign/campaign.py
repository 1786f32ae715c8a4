"""Many trials over many processes: which, in what order, and the counts, whatever the number of workers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import combinations, count, islice
from queue import SimpleQueue

from bench.campaign.claims import DoseStory
from bench.campaign.scoring import Finding
from bench.campaign.trial import TrialOutcome, run_drawn
from bench.errors import SetupRefused

TRIALS_PER_TASK = 10
TASKS_AHEAD = 16
FINDINGS_KEPT = 100

RunTrial = Callable[[int, Sequence[str]], TrialOutcome]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a campaign draws from: a seed, kinds of faults, and whether they come in pairs as well as singly.

    Trial `t` takes the set `t` modulo their number, so each comes equally often.
    """

    seed: int
    kinds: tuple[str, ...]
    pairs: bool = True

    @property
    def sets(self) -> tuple[tuple[str, ...], ...]:
        """Each kind alone, then each pair."""
        alone = tuple((kind,) for kind in self.kinds)
        return alone + tuple(combinations(self.kinds, 2)) if self.pairs else alone

    def kinds_of(self, trial: int) -> tuple[str, ...]:
        """The set of faults of a trial."""
        sets = self.sets
        return sets[trial % len(sets)]

    def seed_of(self, trial: int) -> int:
        """The seed of a trial."""
        digest = hashlib.sha256(f"campaign {self.seed} trial {trial}".encode()).digest()
        return int.from_bytes(digest[:6], "big")


@dataclass(slots=True)
class Tally:
    """The counts of some trials.

    `faulted` doses are those whose faults all acted, by set; `idle` those where one did not, so that the dose was drawn
    again. `findings` holds the first hundred with their trial; `counts` all of them.
    """

    trials: int = 0
    faulted: Counter[tuple[str, ...]] = field(default_factory=Counter)
    idle: Counter[tuple[str, ...]] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, Finding]] = field(default_factory=list)
    simulated_h: float = 0.0
    slowest_recovery_s: float = 0.0

    @property
    def doses(self) -> int:
        """Faulted doses."""
        return self.faulted.total()

    def add_trial(self, trial: int, kinds: tuple[str, ...], outcome: TrialOutcome) -> None:
        """Count a trial."""
        self.trials += 1
        for story in outcome.stories:
            self._add_story(kinds, story)
        for finding in outcome.findings:
            self.counts[finding.kind.value] += 1
            self.findings.append((trial, finding))
        self.simulated_h += outcome.simulated_s / 3600.0

    def add(self, other: Tally) -> None:
        """Count what another has counted."""
        self.trials += other.trials
        self.faulted += other.faulted
        self.idle += other.idle
        self.said += other.said
        self.counts += other.counts
        self.findings = (self.findings + other.findings)[:FINDINGS_KEPT]
        self.simulated_h += other.simulated_h
        self.slowest_recovery_s = max(self.slowest_recovery_s, other.slowest_recovery_s)

    def never_acted(self, selection: Selection) -> tuple[tuple[str, ...], ...]:
        """The sets that no dose of the campaign has had."""
        return tuple(kinds for kinds in selection.sets if not self.faulted[kinds])

    def _add_story(self, kinds: tuple[str, ...], story: DoseStory) -> None:
        if story.is_valid:
            self.faulted[kinds] += 1
        else:
            self.idle[kinds] += 1
        self.said[story.claims[-1].state] += 1
        self.slowest_recovery_s = max(self.slowest_recovery_s, story.recovery_s)


def run_campaign(
    executor: Executor,
    selection: Selection,
    doses: int,
    *,
    run_trial: RunTrial = run_drawn,
    progress: Callable[[int], None] | None = None,
) -> Tally:
    """Trials from the first on until so many doses were faulted; they end with a whole task.

    `run_trial` must be picklable where the executor's workers are processes. A set of faults that acts in no dose of
    a task at all would go on for ever, so a task without one faulted dose is an error.

    Raises:
        SetupRefused: no fault of a task acted.
    """
    total = Tally()
    for part in _in_order(executor, selection, run_trial):
        if not part.doses:
            raise SetupRefused(f"none of the faults {', '.join(selection.kinds)} acted; nothing was tested")
        total.add(part)
        if progress is not None:
            progress(total.doses)
        if total.doses >= doses:
            break
    return total


def run_task(selection: Selection, first_trial: int, run_trial: RunTrial = run_drawn) -> Tally:
    """Some trials in a row."""
    tally = Tally()
    for trial in range(first_trial, first_trial + TRIALS_PER_TASK):
        kinds = selection.kinds_of(trial)
        tally.add_trial(trial, kinds, run_trial(selection.seed_of(trial), kinds))
    return tally


def _in_order(executor: Executor, selection: Selection, run_trial: RunTrial) -> Iterator[Tally]:
    """Tasks in order, some ahead, none left over."""
    waiting: SimpleQueue[Future[Tally]] = SimpleQueue()
    firsts = count(0, TRIALS_PER_TASK)

    def submit(first: int) -> None:
        waiting.put(executor.submit(run_task, selection, first, run_trial))

    for first in islice(firsts, TASKS_AHEAD):
        submit(first)
    try:
        while True:
            yield waiting.get().result()
            submit(next(firsts))
    finally:
        while not waiting.empty():
            waiting.get().cancel()
