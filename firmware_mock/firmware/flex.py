"""Flex therapy: the rate by time of day and day of the week, on the therapy clock.

The rate in force is a function of local time alone: that of the step that began last, back over midnight and days
without a step, round the week if need be. So a clock that is set changes which step is in force and nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf

from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.memory import Memory, Run
from firmware_mock.firmware.motor import nearest_ticks
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.world import Event, World
from protocol import Day, FlexStep, Mode, NakReason, ProposeFlex, decode_payload

MOST_STEPS = 43
MINUTES_PER_DAY = 24 * 60
_US_PER_S = 1_000_000
_US_PER_MIN = 60 * _US_PER_S
_MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
_MONDAY_BEFORE_1970_MIN = -3 * MINUTES_PER_DAY
_ALL_DAYS = sum(Day)


class Programme:
    """A week of steps as step periods in ticks, 0 for a pause. Local time is µs since 1970-01-01 0:00."""

    def __init__(self, steps: Sequence[tuple[Day | int, int, int]]) -> None:
        """From days, minute of the day and ticks of each step."""
        week = sorted(
            (place * MINUTES_PER_DAY + start_min, ticks)
            for days, start_min, ticks in steps
            for place, day in enumerate(Day)
            if days & day
        )
        changes = [
            (start_min, ticks)
            for place, (start_min, ticks) in enumerate(week)
            if len(week) == 1 or ticks != week[place - 1][1]
        ]
        changes = changes or week[:1]
        self._starts_min = [start_min for start_min, _ in changes]
        self._ticks = [ticks for _, ticks in changes]

    def ticks_at(self, local_us: int) -> int:
        """In force at a local time."""
        _, minute = _week_and_minute(local_us)
        return self._ticks[bisect_right(self._starts_min, minute) - 1]

    def changes_after(self, local_us: int) -> Iterator[tuple[int, int]]:
        """When which other rate is in force, without end; nothing where it is always the same."""
        if len(self._ticks) == 1:
            return
        week_min, minute = _week_and_minute(local_us)
        place = bisect_right(self._starts_min, minute)
        while True:
            if place == len(self._ticks):
                place, week_min = 0, week_min + _MINUTES_PER_WEEK
            yield (week_min + self._starts_min[place]) * _US_PER_MIN, self._ticks[place]
            place += 1


class FlexTimer:
    """The rate in force of a flex therapy, and `on_change` called when it is another one."""

    def __init__(self, world: World, nvram: Nvram, clock: DeviceClock, on_change: Callable[[], None]) -> None:
        self._world = world
        self._nvram = nvram
        self._clock = clock
        self._on_change = nvram.guarded(on_change)
        self._due: Event | None = None

    def now(self, run: Run) -> Run:
        """A therapy with the rate of this instant, where it is a flex therapy."""
        return self.at(run, self._clock.running_us())

    def at(self, run: Run, running_us: int) -> Run:
        """The same for an instant of the counter through resets, as the therapy clock is now set."""
        if run.mode is not Mode.FLEX:
            return run
        ticks = self._programme(run).ticks_at(running_us + _local_minus_running_us(self._nvram.memory))
        return run if ticks == run.step_ticks else replace(run, step_ticks=ticks)

    def changes_after(self, run: Run, running_us: int) -> Iterator[tuple[int, int]]:
        """As the counter through resets, when a therapy will run at which other step period; of flex without end."""
        if run.mode is Mode.FLEX:
            offset_us = _local_minus_running_us(self._nvram.memory)
            for local_us, ticks in self._programme(run).changes_after(running_us + offset_us):
                yield local_us - offset_us, ticks

    def watch(self, run: Run) -> None:
        """Come back when a therapy that runs now has to run at another rate."""
        self.end()
        for running_us, _ in self.changes_after(run, self._clock.running_us()):
            self._due = self._world.at(self._clock.reaches_ns(running_us), self._on_change)
            break

    def end(self) -> None:
        """Watch no longer."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _programme(self, run: Run) -> Programme:
        return programme_of(run.canonical, self._nvram.memory.step_volume_nl)


@lru_cache(maxsize=8)
def programme_of(canonical: bytes, step_volume_nl: float) -> Programme:
    """That of a canonical ProposeFlex, whose rates are those of whole ticks."""
    proposed = decode_payload(ProposeFlex.TYPE, canonical)
    assert isinstance(proposed, ProposeFlex)
    return Programme(
        [
            (step.days, step.start_min, _ticks_of(step.rate_ul_per_h, step_volume_nl) if step.rate_ul_per_h else 0)
            for step in proposed.steps
        ]
    )


def check_steps(steps: Sequence[FlexStep]) -> None:
    """All of a flex therapy's steps but their rates.

    Raises:
        RefusedRequest: there are none or too many, all of them pause, one has no day or no time of day, or two begin
            at one minute of one day.
    """
    if not 1 <= len(steps) <= MOST_STEPS:
        raise _out_of_range(f"{len(steps)} steps; there must be 1 to {MOST_STEPS}")
    taken: dict[int, int] = {}
    for number, step in enumerate(steps, start=1):
        if not 0 < step.days <= _ALL_DAYS:
            raise _out_of_range(f"step {number}: days {int(step.days)} must be 1 to {_ALL_DAYS}")
        if step.start_min >= MINUTES_PER_DAY:
            raise _out_of_range(f"step {number}: start_min above the limit {MINUTES_PER_DAY - 1}")
        if taken.get(step.start_min, 0) & step.days:
            raise _out_of_range(f"step {number}: minute {step.start_min} of a day is taken")
        taken[step.start_min] = taken.get(step.start_min, 0) | int(step.days)
    if not any(step.rate_ul_per_h for step in steps):
        raise _out_of_range("all steps pause; to give nothing, stop the pump")


def _week_and_minute(local_us: int) -> tuple[int, int]:
    """The minute since 1970 at which the local week began, and the minute of it."""
    minutes = local_us // _US_PER_MIN - _MONDAY_BEFORE_1970_MIN
    minute = minutes % _MINUTES_PER_WEEK
    return minutes - minute + _MONDAY_BEFORE_1970_MIN, minute


def _local_minus_running_us(memory: Memory) -> int:
    """What is added to the counter through resets for local time."""
    return (memory.clock_utc_s + memory.clock_offset_s) * _US_PER_S - memory.clock_set_at_us


def _ticks_of(rate_ul_per_h: float, step_volume_nl: float) -> int:
    return nearest_ticks(rate_ul_per_h, step_volume_nl, lowest=0.0, highest=inf)


def _out_of_range(detail: str) -> RefusedRequest:
    return RefusedRequest(NakReason.OUT_OF_RANGE, detail)
