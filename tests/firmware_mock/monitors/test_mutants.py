"""Every safety property bites: each mutant of the firmware breaks its own, and without one no story breaks any."""

from collections import Counter
from pathlib import Path

from firmware_mock.monitors.properties import PROPERTIES

PAGE = Path(__file__).parents[3] / "docs" / "safety-properties.md"


def test_every_mutant_is_caught_by_its_own_property_and_the_page_says_so(mutating, unwatched):
    run = mutating("mutant").run
    verdicts = [(mutant, run(mutant)) for mutant in mutating("catalogue").MUTANTS]
    missed = [mutant.says for mutant, verdict in verdicts if mutant.identifier not in verdict.broken]
    assert not missed
    page = mutating("page").page(verdicts)
    assert PAGE.read_text(encoding="utf-8") == page, (
        "stale: python benchmarks/mutants.py --page > docs/safety-properties.md"
    )


def test_without_a_mutant_no_story_breaks_a_property(mutating, unwatched):
    control = mutating("mutant").control
    stories = mutating("stories").STORIES
    told = {story: control(story) for story in stories}
    assert {story: verdict.broken for story, verdict in told.items()} == dict.fromkeys(stories, frozenset())
    assert not any(verdict.error for verdict in told.values())


def test_every_property_has_two_mutants_and_every_mutant_a_property(mutating):
    mutants = Counter(mutant.identifier for mutant in mutating("catalogue").MUTANTS)
    identifiers = [it.identifier for it in PROPERTIES]
    assert identifiers == [f"SP-{number:02d}" for number in range(1, len(identifiers) + 1)]
    assert all(mutants[identifier] >= 2 for identifier in identifiers)
    assert set(mutants) == set(identifiers)
