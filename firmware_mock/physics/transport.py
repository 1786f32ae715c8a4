"""Drug on its way through pump tubing and catheter: plug flow, so what goes in comes out a volume later, unmixed.

The way is a queue of slugs of one concentration each, from the pump to the tip. It moves with what leaves it, whatever
the rate; a rate makes times of it. Volumes in µL, concentrations in µg/mL, drug in µg.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import fsum

UL_PER_ML = 1000.0


@dataclass(frozen=True, slots=True)
class Slug:
    """A volume of one concentration."""

    volume_ul: float
    concentration_ug_per_ml: float

    @property
    def drug_ug(self) -> float:
        return self.volume_ul * self.concentration_ug_per_ml / UL_PER_ML


@dataclass(frozen=True, slots=True)
class Passage:
    """What left the way while it moved on: at the tip and at a leak, each in the order in which it left."""

    tip: tuple[Slug, ...]
    leaked: tuple[Slug, ...] = ()

    @property
    def tip_ul(self) -> float:
        return fsum(slug.volume_ul for slug in self.tip)

    @property
    def tip_ug(self) -> float:
        return fsum(slug.drug_ug for slug in self.tip)

    @property
    def leaked_ug(self) -> float:
        return fsum(slug.drug_ug for slug in self.leaked)


class Way:
    """From the pump to the tip, first filled with one concentration."""

    def __init__(self, volume_ul: float, concentration_ug_per_ml: float) -> None:
        if not volume_ul > 0.0:
            raise ValueError(f"volume_ul = {volume_ul} must be above 0")
        self.volume_ul = volume_ul
        self._slugs = deque([Slug(volume_ul, concentration_ug_per_ml)])

    @property
    def slugs(self) -> tuple[Slug, ...]:
        """What is on the way, from the pump to the tip."""
        return tuple(self._slugs)

    @property
    def drug_ug(self) -> float:
        """Drug on the way."""
        return fsum(slug.drug_ug for slug in self._slugs)

    def at_tip_ug_per_ml(self, after_ul: float = 0.0) -> float:
        """What leaves at the tip next, or once so much more has left there; up to the volume of the way.

        Raises:
            ValueError: what leaves then is not on the way yet.
        """
        left_ul = after_ul
        for slug in reversed(self._slugs):
            if left_ul < slug.volume_ul:
                return slug.concentration_ug_per_ml
            left_ul -= slug.volume_ul
        raise ValueError(f"after {after_ul} uL comes what is not on the way yet; it holds {self.volume_ul} uL")

    def advance(
        self, volume_ul: float, concentration_ug_per_ml: float, *, leak_at_ul: float = 0.0, leak_share: float = 0.0
    ) -> Passage:
        """Let a volume of a concentration in at the pump, and as much out: a share of it where there is a leak, so many
        µL behind the pump, the rest at the tip.

        Raises:
            ValueError: the volume is negative, the share none, or the place not on the way.
        """
        if not volume_ul >= 0.0:
            raise ValueError(f"{volume_ul} uL cannot be let in; drug moves forward alone")
        entering = [Slug(volume_ul, concentration_ug_per_ml)] if volume_ul else []
        if not leak_share:
            return Passage(tuple(_pushed(self._slugs, entering)))
        if not (0.0 <= leak_at_ul <= self.volume_ul and leak_share <= 1.0):
            raise ValueError(
                f"a leak of share {leak_share} at {leak_at_ul} uL is not on a way of {self.volume_ul} uL; "
                "the share must be 0 to 1"
            )
        before, behind = _split(self._slugs, leak_at_ul)
        passing = list(_pushed(before, entering))
        leaked = tuple(Slug(slug.volume_ul * leak_share, slug.concentration_ug_per_ml) for slug in passing)
        kept = [Slug(slug.volume_ul * (1.0 - leak_share), slug.concentration_ug_per_ml) for slug in passing]
        tip = tuple(_pushed(behind, [slug for slug in kept if slug.volume_ul]))
        self._slugs = deque()
        for slug in chain(reversed(behind), reversed(before)):
            _put_in(self._slugs, slug)
        return Passage(tip, leaked)


def _pushed(slugs: deque[Slug], entering: list[Slug]) -> Iterator[Slug]:
    """Put slugs in at the front; as much leaves at the end."""
    for slug in entering:
        _put_in(slugs, slug)
        wanted_ul = slug.volume_ul
        while wanted_ul > 0.0:
            last = slugs.pop()
            if last.volume_ul <= wanted_ul:
                wanted_ul -= last.volume_ul
                yield last
            else:
                slugs.append(Slug(last.volume_ul - wanted_ul, last.concentration_ug_per_ml))
                yield Slug(wanted_ul, last.concentration_ug_per_ml)
                wanted_ul = 0.0


def _put_in(slugs: deque[Slug], slug: Slug) -> None:
    if slugs and slugs[0].concentration_ug_per_ml == slug.concentration_ug_per_ml:
        slugs[0] = Slug(slugs[0].volume_ul + slug.volume_ul, slug.concentration_ug_per_ml)
    else:
        slugs.appendleft(slug)


def _split(slugs: deque[Slug], at_ul: float) -> tuple[deque[Slug], deque[Slug]]:
    """The slugs up to a place, and those behind it."""
    before: deque[Slug] = deque()
    behind = deque(slugs)
    left_ul = at_ul
    while left_ul > 0.0 and behind:
        first = behind.popleft()
        if first.volume_ul <= left_ul:
            before.append(first)
            left_ul -= first.volume_ul
        else:
            before.append(Slug(left_ul, first.concentration_ug_per_ml))
            behind.appendleft(Slug(first.volume_ul - left_ul, first.concentration_ug_per_ml))
            left_ul = 0.0
    return before, behind
