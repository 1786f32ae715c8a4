"""Runs every mutant of benchmarks/mutating/ in its story and prints the table of docs/safety-properties.md.

`python benchmarks/mutants.py` prints the table of mutants, and ends with status 1 where one was not caught by its own
property, a property has fewer than two, or a story breaks one without any. `--page` prints the whole page instead.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

LEAST_PER_PROPERTY = 2


def main() -> int:
    """Run them and print."""
    from mutating.catalogue import MUTANTS
    from mutating.mutant import control, run
    from mutating.page import mutants_table, page

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="print docs/safety-properties.md")
    options = parser.parse_args()
    began_s = time.process_time()
    verdicts = [(mutant, run(mutant)) for mutant in MUTANTS]
    wrong = [
        f"{mutant.identifier}: {mutant.says} is not caught"
        for mutant, verdict in verdicts
        if mutant.identifier not in verdict.broken
    ]
    for story in dict.fromkeys(mutant.story for mutant in MUTANTS):
        verdict = control(story)
        wrong += [f"{story} breaks {identifier} without a mutant" for identifier in sorted(verdict.broken)]
        wrong += [f"{story} fails without a mutant: {verdict.error}"] if verdict.error else []
    wrong += few(Counter(mutant.identifier for mutant in MUTANTS))
    print(page(verdicts) if options.page else mutants_table(verdicts), end="")
    seconds = time.process_time() - began_s
    summary = f"{len(MUTANTS)} mutants, {seconds:.1f} s of CPU: {'; '.join(wrong) or 'all caught, none without'}"
    print(summary, file=sys.stderr)
    return 1 if wrong else 0


def few(mutants: Counter[str]) -> list[str]:
    """Which properties have too few mutants."""
    from firmware_mock.monitors.properties import PROPERTIES

    return [
        f"{it.identifier} has {mutants[it.identifier]} mutants"
        for it in PROPERTIES
        if mutants[it.identifier] < LEAST_PER_PROPERTY
    ]


if __name__ == "__main__":
    sys.exit(main())
