"""The crash sweep: host and pump struck at every yield point of every dosing command, and STOP with all in its way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import StrEnum

from bench.campaign.scoring import Finding
from bench.campaign.sweep_commands import SweptCommand, commands
from bench.campaign.sweep_host import When
from bench.campaign.sweep_points import (
    Point,
    host_points,
    interrupt_points,
    pair_points,
    pump_points,
    way_points,
)
from bench.campaign.sweep_stop import IN_DOUBT, INTERRUPTED_BOLUS, RUNNING_BOLUS, InTheWay, Trouble, stop_commands
from bench.campaign.sweep_trial import SweptRun, run_point

POINTS_PER_TASK = 50
FINDINGS_KEPT = 100
NEVER = 1 << 30

RunPoint = Callable[[SweptCommand, Point], SweptRun]


class Part(StrEnum):
    """HOST, PUMP: struck alone, at every yield point. PAIRS: both, sampled. STOP: what may be in its way."""

    HOST = "host"
    PUMP = "pump"
    PAIRS = "pairs"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is swept: commands by name, parts of the sweep, one point in `every` by the seed, pairs for each command."""

    commands: tuple[str, ...] = tuple(commands())
    parts: tuple[Part, ...] = tuple(Part)
    every: int = 1
    pairs: int = 500
    seed: int = 1


@dataclass(slots=True)
class SweepTally:
    """What some runs have shown.

    `there` is how many yield points a command has, by kind, and `struck` which of them were, alone. `missed` runs never
    came to their point; of `pairs_struck` both sides were struck. `findings` holds the first hundred with command and
    point; `counts` all of them.
    """

    there: Counter[tuple[str, str]] = field(default_factory=Counter)
    struck: set[tuple[str, str, int]] = field(default_factory=set)
    runs: Counter[tuple[str, Part]] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, str, Finding]] = field(default_factory=list)
    missed: list[tuple[str, str]] = field(default_factory=list)
    pairs_struck: int = 0
    simulated_h: float = 0.0

    def struck_of(self, command: str, kind: str) -> int:
        """How many of a command's yield points of a kind were struck."""
        return sum(struck[:2] == (command, kind) for struck in self.struck)

    def add(self, other: SweepTally) -> None:
        """Count what another has counted."""
        self.there += other.there
        self.struck |= other.struck
        self.runs += other.runs
        self.said += other.said
        self.counts += other.counts
        self.findings = (self.findings + other.findings)[:FINDINGS_KEPT]
        self.missed += other.missed
        self.pairs_struck += other.pairs_struck
        self.simulated_h += other.simulated_h

    def add_run(self, command: str, part: Part, point: Point, run: SweptRun) -> None:
        """Count a run."""
        self.runs[command, part] += 1
        self.simulated_h += run.simulated_s / 3600.0
        if run.claims:
            self.said[run.claims[-1].state] += 1
        for finding in run.findings:
            self.counts[finding.kind.value] += 1
            self.findings.append((command, str(point), finding))
        if part is Part.PAIRS:
            self.pairs_struck += run.has_struck
        elif run.has_struck:
            self.struck.update((command, kind, nth) for kind, nth in _places(point, run))
        else:
            self.missed.append((command, str(point)))


@dataclass(frozen=True, slots=True)
class Task:
    """Some runs of a command."""

    command: str
    part: Part
    points: tuple[Point, ...]


def run_sweep(
    executor: Executor,
    selection: Selection,
    *,
    run: RunPoint = run_point,
    progress: Callable[[int, int], None] | None = None,
) -> SweepTally:
    """Every point of a selection; `run` must be picklable where the executor's workers are processes.

    `progress` is told how many tasks of how many are done.
    """
    total, tasks = planned(selection, run)
    for done, part in enumerate(executor.map(run_task, tasks, [run] * len(tasks)), start=1):
        total.add(part)
        if progress is not None:
            progress(done, len(tasks))
    return total


def planned(selection: Selection, run: RunPoint = run_point) -> tuple[SweepTally, list[Task]]:
    """The yield points that there are, and the runs that strike them."""
    tally, tasks = SweepTally(), []
    for command, part, points in _points(selection, run, tally):
        chosen = _chosen(points, selection, command)
        for first in range(0, len(chosen), POINTS_PER_TASK):
            tasks.append(Task(command, part, tuple(chosen[first : first + POINTS_PER_TASK])))
    return tally, tasks


def run_task(task: Task, run: RunPoint = run_point) -> SweepTally:
    """The runs of a task."""
    tally = SweepTally()
    command = any_command(task.command)
    for point in task.points:
        tally.add_run(task.command, task.part, point, run(command, point))
    return tally


def any_command(name: str) -> SweptCommand:
    """A swept command or a script of STOP, by name."""
    return (commands() | stop_commands())[name]


def _points(
    selection: Selection, run: RunPoint, tally: SweepTally
) -> Iterator[tuple[str, Part, Iterator[Point] | list[Point]]]:
    for name in selection.commands:
        undisturbed = run(any_command(name), Point()).undisturbed
        yield name, Part.HOST, [Point()]
        if Part.HOST in selection.parts:
            for call in undisturbed.calls:
                tally.there[name, call.name.partition(".")[0]] += 1
            yield name, Part.HOST, host_points(undisturbed)
        if Part.PUMP in selection.parts:
            tally.there.update({(name, place): times for place, times in undisturbed.places.items() if times})
            yield name, Part.PUMP, pump_points(undisturbed)
        if Part.PAIRS in selection.parts:
            stream = random.Random(f"{selection.seed} {name} pairs")
            yield name, Part.PAIRS, pair_points(undisturbed, selection.pairs, stream)
    if Part.STOP in selection.parts:
        yield from ((name, Part.STOP, points) for name, points in _stop_points(run))


def _stop_points(run: RunPoint) -> Iterator[tuple[str, Iterator[Point]]]:
    for command in (RUNNING_BOLUS, IN_DOUBT):
        calls = run(command, Point()).undisturbed.calls
        writes = sum(call.name == "Storage.write_and_sync" for call in calls)
        yield command.name, way_points(Trouble.JOURNAL_FULL, writes)
        yield command.name, way_points(Trouble.JOURNAL_UNWRITABLE, writes)
        yield command.name, way_points(Trouble.LEASE_ELSEWHERE, sum(call.name == "Transport.write" for call in calls))
    yield INTERRUPTED_BOLUS.name, interrupt_points(run(INTERRUPTED_BOLUS, Point()).undisturbed)
    for trouble in (Trouble.LATE_COMMIT, Trouble.COMMIT_AGAIN):
        moments = run(INTERRUPTED_BOLUS, Point(way=InTheWay(trouble, NEVER))).undisturbed.late_moments
        yield INTERRUPTED_BOLUS.name, way_points(trouble, moments)


def _chosen(points: Iterator[Point] | Sequence[Point], selection: Selection, command: str) -> list[Point]:
    """One in `every`, by the seed and the point alone."""
    if selection.every == 1:
        return list(points)
    return [
        point
        for point in points
        if random.Random(f"{selection.seed} {command} {point}").randrange(selection.every) == 0
    ]


def _places(point: Point, run: SweptRun) -> Iterator[tuple[str, int]]:
    """The yield points that a run has struck alone."""
    if point.host is not None and point.pump is None and point.host.when is not When.INTERRUPTED:
        yield run.undisturbed.calls[point.host.nth].name.partition(".")[0], point.host.nth
    if point.pump is not None and point.host is None:
        yield point.pump.place, point.pump.nth
