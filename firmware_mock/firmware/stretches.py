"""What the motor was driven at, stretch by stretch, and the most that any window of time may hold of it.

Times are µs of the counter that runs through resets. No more is believed of a stretch than its rate allows for a time,
and no more than the steps that were counted in it; where more were counted than its rate allows for all of it, as of a
rotor that makes too many or after a power cut, those may have been made at any instant of it. So a stall, a power cut,
or several stretches put together make the account too high, never too low.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

STRETCHES_KEPT = 32
DAY_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """From an instant and a step count on, a step of `step_volume_nl` at most every `step_ticks`; 0 ticks: none."""

    began_us: int
    began_at_steps: int
    step_ticks: int
    step_volume_nl: float

    @property
    def ul_per_us(self) -> float:
        """Its rate."""
        return self.step_volume_nl * 1e-3 / self.step_ticks if self.step_ticks else 0.0

    def excess_steps(self, end_us: int, steps: int) -> int:
        """How many more of the steps counted until its end there are than its rate allows."""
        if not self.step_ticks:
            return 0
        return max(0, steps - self.began_at_steps - (end_us - self.began_us) // self.step_ticks - 1)


def with_stretch(stretches: tuple[Stretch, ...], stretch: Stretch, *, kept_us: int) -> tuple[Stretch, ...]:
    """With one more that begins now.

    Those that ended more than `kept_us` ago are given up, and where there are too many the two oldest become one.
    """
    before = [earlier for earlier in stretches if earlier.began_us < stretch.began_us]
    while len(before) > 1 and before[1].began_us <= stretch.began_us - kept_us:
        del before[0]
    if len(before) == STRETCHES_KEPT:
        oldest, next_oldest, after = before[:3]
        before[:2] = [_together(oldest, next_oldest, after)]
    return (*before, stretch)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to come from `now_us` on: from each of `from_us`, ascending, the rate of the same place."""

    now_us: int
    from_us: tuple[int, ...]
    ul_per_us: tuple[float, ...]


def most_in_window_ul(
    stretches: Sequence[Stretch], steps_now: int, outlook: Outlook, window_us: int, until_us: int
) -> float:
    """The most that any window of a length holds which ends now or later and begins at `until_us` or sooner, in µL.

    Volumes are taken as flowing evenly, so of single steps there may be up to two more.
    """
    past, future = _Past(stretches, steps_now, outlook.now_us), _Future(outlook)
    first_us, now_us = outlook.now_us - window_us, outlook.now_us
    begins = {first_us, now_us, until_us, *past.bends_us, *(bend_us - window_us for bend_us in outlook.from_us)}
    begins.update(outlook.from_us)
    return max(
        past.since_ul(begin_us) + future.until_ul(begin_us + window_us) - future.until_ul(begin_us)
        for begin_us in begins
        if first_us <= begin_us <= until_us
    )


class _Past:
    """`bends_us` are where what was given since changes its slope."""

    def __init__(self, stretches: Sequence[Stretch], steps_now: int, now_us: int) -> None:
        self._stretches = stretches
        self._began_us = [stretch.began_us for stretch in stretches]
        self._ends_us = [*self._began_us[1:], now_us]
        counts = [*(stretch.began_at_steps for stretch in stretches), steps_now]
        self._made_ul = [
            (after - before) * stretch.step_volume_nl * 1e-3
            for stretch, (before, after) in zip(stretches, pairwise(counts), strict=True)
        ]
        self._excess_ul = [
            stretch.excess_steps(end_us, steps) * stretch.step_volume_nl * 1e-3
            for stretch, end_us, steps in zip(stretches, self._ends_us, counts[1:], strict=True)
        ]
        self._later_ul = [0.0, *accumulate(reversed(self._made_ul))][::-1]
        self.bends_us = list(self._began_us)
        for place, stretch in enumerate(stretches):
            even_ul = self._made_ul[place] - self._excess_ul[place]
            if even_ul > 0.0 and stretch.step_ticks:
                self.bends_us.append(self._ends_us[place] - round(even_ul / stretch.ul_per_us))

    def since_ul(self, begin_us: int) -> float:
        """At most this since just before an instant; all that is known of before the first stretch."""
        place = bisect_left(self._began_us, begin_us) - 1
        if place < 0:
            return self._later_ul[0]
        if begin_us > self._ends_us[place]:
            return 0.0
        stretch, made_ul = self._stretches[place], self._made_ul[place]
        if stretch.step_ticks:
            evenly_ul = (self._ends_us[place] - begin_us) * stretch.ul_per_us
            made_ul = min(made_ul, evenly_ul + self._excess_ul[place])
        elif begin_us == self._ends_us[place]:
            made_ul = 0.0
        return made_ul + self._later_ul[place + 1]


class _Future:
    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook
        pieces = zip(pairwise(outlook.from_us), outlook.ul_per_us, strict=False)
        self._before_ul = [0.0, *accumulate((until - begin) * rate for (begin, until), rate in pieces)]

    def until_ul(self, until_us: int) -> float:
        """From now until an instant; 0 before now."""
        place = bisect_left(self._outlook.from_us, until_us) - 1
        if place < 0:
            return 0.0
        since_us = until_us - self._outlook.from_us[place]
        return self._before_ul[place] + since_us * self._outlook.ul_per_us[place]


def _together(oldest: Stretch, following: Stretch, after: Stretch) -> Stretch:
    """One stretch for two, at least the volume of both: the faster of the rates, or any where that was not kept to."""
    fastest = max((oldest, following), key=lambda stretch: stretch.ul_per_us)
    ticks, largest_nl = fastest.step_ticks, max(oldest.step_volume_nl, following.step_volume_nl)
    if oldest.step_volume_nl != following.step_volume_nl and ticks:
        ticks = int(ticks * largest_nl / fastest.step_volume_nl)
    pairs = pairwise((oldest, following, after))
    if any(stretch.excess_steps(later.began_us, later.began_at_steps) for stretch, later in pairs):
        ticks = 1
    return Stretch(oldest.began_us, oldest.began_at_steps, ticks, largest_nl)
