"""A short at a feed-through: it loads the battery, and resets the pump at instants that nobody foresees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from random import Random

from firmware_mock.world import NS_PER_S

DAY_NS = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class FeedThroughShort:
    """From `from_ns` until `until_ns`, None for good: a load, and so many resets a day on average."""

    from_ns: int
    until_ns: int | None
    load_uw: float
    resets_per_day: float

    def resets_ns(self, stream: Random) -> Iterator[int]:
        """The instants of the resets, in order, drawn as they are asked for; independent of each other."""
        instants_ns = self._drawn_ns(stream)
        until_ns = self.until_ns
        return instants_ns if until_ns is None else takewhile(lambda t_ns: t_ns < until_ns, instants_ns)

    def _drawn_ns(self, stream: Random) -> Iterator[int]:
        t_ns = self.from_ns
        while self.resets_per_day > 0.0:
            t_ns += 1 + round(stream.expovariate(self.resets_per_day) * DAY_NS)
            yield t_ns
