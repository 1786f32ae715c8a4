"""Plants a bug and runs the fault campaign until it finds it, for one bug after the other.

`python benchmarks/planted.py` runs each bug of benchmarks/planting/ twice: under the faults that it is named with, and
under all faults alone and in pairs, as `thecabench campaign` does. Each run ends with the first finding that the bug
may be found as; the first after `--doses` at the latest, and then the bug is missed, the second after `--all-doses`,
for a campaign is longer. The trials of the first run are run again without the bug and must find nothing.
Bugs of authentication are looked for by forgery.py and replay.py instead, among `--frames` changed frames or a
hundredth as many recorded sessions. It prints the Markdown tables of docs/campaign.md, and ends with status 1 if a bug
was missed or a control found something.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

if TYPE_CHECKING:
    from planting.bug import Found


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a bug: under its own faults, under all faults, and how often its control found something."""

    name: str
    named: Found | None
    everywhere: Found | None
    control: int


def main() -> int:
    """Run the bugs and print the tables."""
    from planting.catalogue import BUGS

    options = _options()
    wrong: list[str] = []
    began_s = time.monotonic()
    with ProcessPoolExecutor(options.workers) as executor:
        wrong += _tell_campaign(executor, options.names or list(BUGS), options)
        if not options.names:
            print()
            wrong += _tell_sealed(executor, options.frames)
    print(f"\n{time.monotonic() - began_s:.0f} s; {'; '.join(wrong) or 'all found, and nothing without them'}")
    return 1 if wrong else 0


def measure(name: str, seed: int, most_doses: int, most_doses_of_all: int) -> Row:
    """Both runs of a bug, and the control of the first."""
    from planting.bug import control, search
    from planting.catalogue import BUGS

    from bench.campaign.campaign import Selection
    from bench.campaign.trial import DEVICE_FAULTS, LINK_FAULTS

    bug = BUGS[name]
    selection = Selection(seed, bug.faults)
    named = search(bug, selection, most_doses)
    everywhere = search(bug, Selection(seed, LINK_FAULTS + DEVICE_FAULTS), most_doses_of_all)
    return Row(name, named, everywhere, 0 if named is None else len(control(selection, named.trial)))


def measure_sealed(number: int, frames: int) -> int:
    """After how many changed frames or recorded sessions the first was accepted; 0 for none."""
    from planting.sealing import SEAL_BUGS, search_sealed

    planted = SEAL_BUGS[number]
    done, wrong = search_sealed(planted, planted.found_by, frames if planted.found_by == "forgery" else frames // 100)
    return done if wrong else 0


def _tell_campaign(executor: Executor, names: Sequence[str], options: argparse.Namespace) -> Iterator[str]:
    from planting.catalogue import BUGS, LAYERS

    layer_of = {bug.name: layer for layer, bugs in LAYERS.items() for bug in bugs}
    print("| Bug, in the | | Found as | Under these faults: doses, CPU s | Under all faults |\n|---|---|---|---|---|")
    act = partial(measure, seed=options.seed, most_doses=options.doses, most_doses_of_all=options.all_doses)
    for row in executor.map(act, names):
        bug, seen = BUGS[row.name], row.named or row.everywhere
        kinds = ", ".join(kind for kind in (seen.kinds if seen else ()) if kind in bug.found_as) or "**not found**"
        costs = (
            f"{', '.join(bug.faults)}: {_cost(row.named, options.doses)} | {_cost(row.everywhere, options.all_doses)}"
        )
        print(f"| {row.name}, {layer_of[row.name]} | {bug.says} | {kinds} | {costs} |", flush=True)
        if row.named is None:
            yield f"{row.name} was not found"
        if row.control:
            yield f"{row.control} findings without {row.name}"


def _tell_sealed(executor: Executor, frames: int) -> Iterator[str]:
    from planting.sealing import SEAL_BUGS

    print("| Bug, in the authentication | | Found by | After |\n|---|---|---|---|")
    all_done = executor.map(partial(measure_sealed, frames=frames), range(len(SEAL_BUGS)))
    for bug, done in zip(SEAL_BUGS, all_done, strict=True):
        unit = "changed frames" if bug.found_by == "forgery" else "recorded sessions"
        print(f"| {bug.name} | {bug.says} | {bug.found_by}.py | {f'{unit}: {done}' if done else '**not found**'} |")
        if not done:
            yield f"{bug.name} was not found"


def _cost(found: Found | None, most_doses: int) -> str:
    return f"not in {most_doses}" if found is None else f"{found.doses}, {found.cpu_s:.2f}"


def _options() -> argparse.Namespace:
    from planting.catalogue import BUGS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doses", type=int, default=100_000, help="faulted doses of a run at most")
    parser.add_argument("--all-doses", type=int, default=20_000, help="the same where all faults come in turn")
    parser.add_argument("--frames", type=int, default=10_000, help="changed frames at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("names", nargs="*", help="only these bugs")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BUGS]:
        parser.error(f"no bug is called {', '.join(unknown)}; there are {', '.join(BUGS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
