"""Flex therapy against a table of its own: the step in force is that of local time, whatever the clock was set to."""

from __future__ import annotations

from functools import lru_cache

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import Memory
from firmware_mock.monitors.moment import Findings, Moment, canonical_of, driven_ul_per_h
from protocol import Day, Mode, ProposeFlex

EDGE_US = 2_000
RATE_TOLERANCE = 1e-2
_US_PER_MIN = 60_000_000
_MINUTES_PER_DAY = 1440
_MONDAY_OFFSET_DAYS = 3
_NS_PER_US = 1000


class Flex:
    """SP-41: between two events the motor ran at the rate of the local time, at the beginning and at the end."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._clock = inside.clock
        self._running_us = inside.clock.running_us()

    def on_change(self, was: Moment, now: Moment) -> Findings:
        before_us, self._running_us = self._running_us, self._clock.running_us()
        run = was.under_way
        if run is None or run.mode is not Mode.FLEX or now.now_ns - was.now_ns < 3 * EDGE_US * _NS_PER_US:
            return
        if now.memory.boot_id != was.memory.boot_id or was.stalled_since_ns is not None or not now.is_on or now.hangs:
            return
        driven = driven_ul_per_h(was.period_ps, was.memory.step_volume_nl)
        for at_us in (before_us + EDGE_US, self._running_us - EDGE_US):
            minute = _local_minute(was.memory, at_us)
            meant = rate_in_force(run.canonical, minute)
            if abs(driven - meant) > RATE_TOLERANCE * max(meant, driven):
                clock = f"{minute // 60 % 24:02d}:{minute % 60:02d}"
                yield "SP-41", f"at {clock} local time the rate is {driven:.6g} uL/h; the step is of {meant:.6g}"


def _local_minute(memory: Memory, running_us: int) -> int:
    """Minutes since Monday 0:00 before 1970 by the therapy clock."""
    local_us = (memory.clock_utc_s + memory.clock_offset_s) * 1_000_000 + running_us - memory.clock_set_at_us
    return local_us // _US_PER_MIN + _MONDAY_OFFSET_DAYS * _MINUTES_PER_DAY


@lru_cache(maxsize=64)
def _week(canonical: bytes) -> tuple[float, ...]:
    """The rate of each minute of a week, Monday 0:00 first: the last step before, round the week if need be."""
    proposed = canonical_of(ProposeFlex.TYPE, canonical)
    starts: dict[int, float] = {}
    for step in proposed.steps:
        for number, day in enumerate(Day):
            if step.days & day:
                starts[number * _MINUTES_PER_DAY + step.start_min] = step.rate_ul_per_h
    rate = starts[max(starts)]
    rates = []
    for minute in range(7 * _MINUTES_PER_DAY):
        rate = starts.get(minute, rate)
        rates.append(rate)
    return tuple(rates)


def rate_in_force(canonical: bytes, minute: int) -> float:
    """In µL/h, at a local minute."""
    week = _week(canonical)
    return week[minute % len(week)]
