"""How fast virtual time passes: years of flex therapy, an idle year, beside a millisecond tick and quadrature.

Run `python benchmarks/world.py` from the repository; it prints Markdown tables and ends with status 1 if a figure is
not what was wanted. Each figure comes from a process of its own, on one core; times are processor time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from years.measured import Lived, beside_quadrature, beside_ticks, held_bytes, idled, lived  # noqa: E402

YEARS = (1, 2, 4, 7)
MOST_S, MOST_IDLE_S = 30.0, 1.0
MOST_HELD_BYTES = 256 * 1024
MOST_RESIDENT_MIB = 4.0
LEAST_LINEAR, MOST_LINEAR = 0.8, 1.25
MOST_RELATIVE = 1e-9
MOST_DRIFT = 1e-5
LEAST_TICK_RATIO = 1000.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Demand:
    """A figure, and whether it is what was wanted."""

    name: str
    measured: str
    wanted: str
    is_met: bool


def alone(work: Callable[..., T], *arguments: object, **options: object) -> T:
    """What work gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(work, *arguments, **options).result()


def years_table(rounds: int, seed: int) -> list[Demand]:
    """Prints what years cost; the last of them are held against what was wanted."""
    runs: dict[int, list[Lived]] = {years: [] for years in YEARS}
    for _ in range(rounds):
        for years in YEARS:
            runs[years].append(alone(lived, years, seed))
    print("| Years | Events | Boluses | s | Events per s | µs per event | Resident MiB, first and last year |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    us_per_event = {}
    for years, lives in runs.items():
        seconds, cost = median(life.seconds for life in lives), lives[0].cost
        us_per_event[years] = 1e6 * seconds / cost.events
        resident = lives[0].resident_mib
        print(
            f"| {years} | {cost.events:,} | {cost.boluses:,} | {seconds:.2f} | {cost.events / seconds:,.0f} "
            f"| {us_per_event[years]:.1f} | {resident[0]:.1f}, {resident[-1]:.1f} |"
        )
    print()
    longest = runs[YEARS[-1]]
    slowest_s = max(life.seconds for life in longest)
    growth = us_per_event[YEARS[-1]] / us_per_event[YEARS[0]]
    grown_mib = max(life.resident_mib[-1] - life.resident_mib[0] for life in longest)
    hashes = {life.trace_hash for life in longest}
    return [
        Demand(f"{YEARS[-1]} years of flex therapy", f"{slowest_s:.1f} s", f"≤ {MOST_S:g} s", slowest_s <= MOST_S),
        Demand(
            f"an event of {YEARS[-1]} years / one of {YEARS[0]} year",
            f"{growth:.2f}",
            f"{LEAST_LINEAR:g} to {MOST_LINEAR:g}",
            LEAST_LINEAR <= growth <= MOST_LINEAR,
        ),
        Demand(
            f"resident memory, year {YEARS[-1]} over year 1",
            f"{grown_mib:.1f} MiB",
            f"≤ {MOST_RESIDENT_MIB:g} MiB",
            grown_mib <= MOST_RESIDENT_MIB,
        ),
        Demand("trace hashes of the same seed", f"{len(hashes)}", "1", len(hashes) == 1),
        Demand(
            f"volume and drug lost in {YEARS[-1]} years, relative",
            f"{longest[0].lost:.1e}",
            f"≤ {MOST_RELATIVE:g}",
            longest[0].lost <= MOST_RELATIVE,
        ),
    ]


def watched_demands(seed: int) -> list[Demand]:
    """The longest life again, with every safety property watched at every event."""
    life = alone(lived, YEARS[-1], seed, watched=True)
    name = f"{YEARS[-1]} years, every safety property watched"
    return [
        Demand(name, f"{life.seconds:.1f} s", f"≤ {MOST_S:g} s", life.seconds <= MOST_S),
        Demand("safety properties broken in them", ", ".join(life.broken) or "none", "none", not life.broken),
    ]


def memory_demand(seed: int) -> Demand:
    """What is held at the end of the last year over what was held at the end of the first, when the logs were full."""
    held = alone(held_bytes, YEARS[-1], seed)
    grown = max(held[1:]) - held[0]
    print(f"tracemalloc, end of each year: {', '.join(f'{year / 1024:,.0f}' for year in held)} KiB.\n")
    return Demand(
        "traced memory, any later year over year 1",
        f"{grown / 1024:,.0f} KiB",
        f"≤ {MOST_HELD_BYTES // 1024} KiB",
        grown <= MOST_HELD_BYTES,
    )


def idle_demand(rounds: int, seed: int) -> Demand:
    """A year in which nothing is to be done."""
    idle = [alone(idled, seed) for _ in range(rounds)]
    slowest_s = max(life.seconds for life in idle)
    return Demand(
        f"an idle year, {idle[0].cost.events:,} events, {idle[0].cost.steps:,} steps",
        f"{slowest_s:.3f} s",
        f"≤ {MOST_IDLE_S:g} s",
        slowest_s <= MOST_IDLE_S,
    )


def tick_demands(minutes: int, seed: int) -> list[Demand]:
    """By events beside ticks."""
    beside = alone(beside_ticks, minutes, seed)
    ratio = beside.ticks_s / beside.events_s
    print(
        f"{minutes / 60:g} h: {1e3 * beside.events_s:.2f} ms by events, {beside.ticks_s:.1f} s in ticks of 1 ms; "
        f"{beside.events_steps[-1]:,} and {beside.ticks_steps[-1]:,} steps.\n"
    )
    return [
        Demand("ticks of 1 ms / events", f"{ratio:,.0f}", f"≥ {LEAST_TICK_RATIO:,.0f}", ratio >= LEAST_TICK_RATIO),
        Demand("steps apart at the end of any hour", f"{beside.largest_gap}", "≤ 1", beside.largest_gap <= 1),
    ]


def quadrature_demands(days: int, seed: int) -> list[Demand]:
    """Closed form beside quadrature; what is constant in a segment by design has a bound of its own."""
    exact = alone(beside_quadrature, days, seed)
    drifting = alone(beside_quadrature, days, seed, drifts=True)
    print(f"{days} days, {exact.turns} turns of the motor, {exact.volume_ul:,.3f} µL.\n")
    return [
        Demand(f"{name}, relative to quadrature", f"{measured:.1e}", f"≤ {bound:g}", measured <= bound)
        for name, measured, bound in (
            ("volume of a turn at worst", exact.worst_turn, MOST_RELATIVE),
            ("volume from the head", exact.head, MOST_RELATIVE),
            ("volume from the tip", exact.tip, MOST_RELATIVE),
            ("the same turn by turn with wear and a day's temperature", drifting.worst_turn, MOST_DRIFT),
            ("the same from the head", drifting.head, MOST_DRIFT),
        )
    ]


def main() -> int:
    """Print the tables; 1 if something is not as wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each life is lived")
    parser.add_argument("--hours", type=int, default=24, help="span that is also simulated in ticks")
    parser.add_argument("--days", type=int, default=7, help="span that is also integrated")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if min(options.rounds, options.hours, options.days) < 1:
        parser.error("--rounds, --hours and --days must be at least 1")
    demands = [
        *years_table(options.rounds, options.seed),
        *watched_demands(options.seed),
        memory_demand(options.seed),
        idle_demand(options.rounds, options.seed),
        *tick_demands(60 * options.hours, options.seed),
        *quadrature_demands(options.days, options.seed),
    ]
    print("| What | Measured | Wanted | |")
    print("|---|---:|---:|---|")
    for demand in demands:
        print(f"| {demand.name} | {demand.measured} | {demand.wanted} | {'met' if demand.is_met else '**missed**'} |")
    return 0 if all(demand.is_met for demand in demands) else 1


if __name__ == "__main__":
    sys.exit(main())
