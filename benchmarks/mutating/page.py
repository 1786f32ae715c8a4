"""docs/safety-properties.md, from the properties and what became of the mutants."""

from __future__ import annotations

from collections.abc import Iterable

from firmware_mock.monitors.properties import PROPERTIES
from mutating.mutant import Mutant, Verdict

HEAD = """# Safety properties

Printed by `python benchmarks/mutants.py --page`: change `firmware_mock/monitors/` and `benchmarks/mutating/`, not this
page. **Simulated, never for clinical use.**

Each property is watched by `firmware_mock.monitors` after every event of a world, in every test that has a pump
(`tests/conftest.py`): all hold, but those that a test (`@pytest.mark.breaks`) or a scenario (`breaks`) names, and those
must be broken. *Bound* is what the firmware can know; what lies beyond it breaks a property in a scenario that says so.

"""
BETWEEN = """
## Mutants

Each is swapped into the firmware for the time of a story (`benchmarks/mutating/`); *caught by* are the properties that
it breaks, its own first. Without a mutant no story breaks any. CI runs them all
(`tests/firmware_mock/monitors/test_mutants.py`).

"""


def page(verdicts: Iterable[tuple[Mutant, Verdict]]) -> str:
    """The whole page."""
    return HEAD + properties_table() + BETWEEN + mutants_table(verdicts)


def properties_table() -> str:
    """What must hold."""
    rows = [f"| {it.identifier} | {it.sentence} | {it.source} | {it.bound} |" for it in PROPERTIES]
    return "\n".join(["| | Property | Source | Bound |", "|---|---|---|---|", *rows, ""])


def mutants_table(verdicts: Iterable[tuple[Mutant, Verdict]]) -> str:
    """What breaks it, and what tells."""
    rows = [
        f"| {mutant.identifier} | {mutant.says} | {mutant.story.replace('_', ' ')} | {_caught_by(mutant, verdict)} |"
        for mutant, verdict in verdicts
    ]
    return "\n".join(["| | Mutant | Story | Caught by |", "|---|---|---|---|", *rows, ""])


def _caught_by(mutant: Mutant, verdict: Verdict) -> str:
    if mutant.identifier not in verdict.broken:
        return "**not caught**"
    return ", ".join([mutant.identifier, *sorted(verdict.broken - {mutant.identifier})])
