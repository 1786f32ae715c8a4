"""What a life costs: processor time, memory, and the same span by ticks and by quadrature."""

from __future__ import annotations

import gc
import time
import tracemalloc
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from pathlib import Path

from firmware_mock.monitors import Monitors
from years.living import DAY_NS, MINUTE_NS, Cost, Life
from years.ticked import ticked

YEAR_DAYS = 365
SAMPLE_MIN = 60
_STATM = Path("/proc/self/statm")
_PAGE_KIB = 4


@dataclass(frozen=True, slots=True)
class Lived:
    """A life, or an idle one, and the memory its process had at the end of each year, in MiB; 0 where none can tell.

    `broken` are the safety properties that were, where somebody watched; `lost` is what the accounts of volume and drug
    are out by at the end, relative to what was moved.
    """

    seconds: float
    cost: Cost
    trace_hash: str
    resident_mib: tuple[float, ...]
    broken: tuple[str, ...]
    lost: float


def lived(years: int, seed: int, *, watched: bool = False) -> Lived:
    """Years of flex therapy with a patient and refills, with all safety properties watched or without."""
    start_s = time.process_time()
    life = Life(seed=seed)
    monitors = Monitors(life.firmware) if watched else None
    life.programme()
    resident = []
    for year in range(1, years + 1):
        cost = life.live(year * YEAR_DAYS * DAY_NS)
        resident.append(resident_mib())
    seconds = time.process_time() - start_s
    broken = () if monitors is None else tuple(sorted(monitors.broken()))
    return Lived(seconds, cost, life.world.trace_hash(), tuple(resident), broken, life.infusion.balance().error)


def idled(seed: int) -> Lived:
    """A year of simple continuous infusion."""
    start_s = time.process_time()
    life = Life(seed=seed)
    life.idle()
    cost = life.pass_time(YEAR_DAYS * DAY_NS)
    seconds = time.process_time() - start_s
    return Lived(seconds, cost, life.world.trace_hash(), (), (), life.infusion.balance().error)


def held_bytes(years: int, seed: int, *, days: int = YEAR_DAYS) -> tuple[int, ...]:
    """What tracemalloc counts at the end of each year, of so many days, that was not there before."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        life = Life(seed=seed)
        life.programme()
        held = []
        for year in range(1, years + 1):
            life.live(year * days * DAY_NS)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    return tuple(held)


def resident_mib() -> float:
    """Memory of this process."""
    return int(_STATM.read_text().split()[1]) * _PAGE_KIB / 1024 if _STATM.exists() else 0.0


@dataclass(frozen=True, slots=True)
class Beside:
    """The same span twice: processor time of each, and steps made by the end of each hour or whatever was asked for."""

    events_s: float
    ticks_s: float
    events_steps: tuple[int, ...]
    ticks_steps: tuple[int, ...]

    @property
    def largest_gap(self) -> int:
        """Steps by which they are apart at worst."""
        return max(abs(a - b) for a, b in zip(self.events_steps, self.ticks_steps, strict=True))


def beside_ticks(minutes: int, seed: int, *, first_minute: int = 0, sample_min: int = SAMPLE_MIN) -> Beside:
    """A span of a life from a minute of it on, by events and by ticks of 1 ms.

    What it took to get there is not counted.
    """
    life = Life(seed=seed)
    life.programme()
    before = life.live(first_minute * MINUTE_NS) if first_minute else life.pass_time(life.world.now_ns)
    start_s = time.process_time()
    instants_ns = [(first_minute + minute) * MINUTE_NS for minute in range(sample_min, minutes + 1, sample_min)]
    steps = tuple(life.live(instant_ns).steps - before.steps for instant_ns in instants_ns)
    events_s = time.process_time() - start_s
    start_s = time.process_time()
    sampled = ticked(minutes, seed=seed, sample_min=sample_min, first_minute=first_minute)
    return Beside(events_s, time.process_time() - start_s, steps, sampled.steps)


@dataclass(frozen=True, slots=True)
class Integrated:
    """Relative differences to quadrature: of what left the head, turn by turn at worst and in all, and at the tip."""

    turns: int
    volume_ul: float
    worst_turn: float
    head: float
    tip: float


def beside_quadrature(days: int, seed: int, *, drifts: bool = False) -> Integrated:
    """Some days with an uneven head and a catheter that swells; with wear and a daily course of temperature or not."""
    from years.quadrature import CONDITION, DRIFTS, EFFECTS, Turns, by_quadrature

    effects = DRIFTS if drifts else EFFECTS
    life = Life(seed=seed, effects=effects, condition=CONDITION)
    turns, end_ns = Turns(life), days * DAY_NS
    life.programme()
    life.live(end_ns)
    head_ul, tip_ul = life.infusion.pumped_ul(end_ns), life.infusion.tip_ul(end_ns)
    integrals = by_quadrature(seed, effects, turns.told, end_ns)
    moved_ul = [after - before for before, after in pairwise([*turns.moved_ul, head_ul])]
    total_ul = fsum(integrals.volumes_ul)
    return Integrated(
        turns=len(moved_ul),
        volume_ul=total_ul,
        worst_turn=max(
            abs(moved - wanted) / wanted for moved, wanted in zip(moved_ul, integrals.volumes_ul, strict=True) if wanted
        ),
        head=abs(head_ul - total_ul) / total_ul,
        tip=abs(tip_ul - (total_ul - integrals.stored_ul)) / total_ul,
    )
