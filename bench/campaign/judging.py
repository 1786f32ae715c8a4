"""All that is wrong with a trial: what was said, how pump and driver behaved, and which rates a therapy ran at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from bench.campaign.claims import DoseStory, Moves, Truth, Turned
from bench.campaign.conduct import Record, Span, breaches
from bench.campaign.courses import wrong_bridge, wrong_flex
from bench.campaign.orders import BEFORE_NOON_S, filling_ul, moves, running_on, tell_apart
from bench.campaign.plan import Command
from bench.campaign.scoring import Finding, FindingKind, score

_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Seen:
    """What was asked of the pump of a trial, and what its motor and its memory chip did.

    `commands` are by their number of steps, and `prepared` is from when to when the pump was made ready for them.
    `fillings` came into the memory: µL, at a step count.
    """

    commands: Mapping[int, Command]
    prepared: Mapping[int, Span]
    turned: Sequence[Turned]
    fillings: Set[tuple[float, int]]
    step_volume_ul: float


def judge(stories: Sequence[DoseStory], seen: Seen, record: Record) -> list[Finding]:
    """All of it; `record` gets to know what started when."""
    told = tell_apart(seen.turned, seen.commands, seen.step_volume_ul)
    record.starts, record.running_on = told.starts, running_on(seen.commands)
    times_set = {
        steps: sum(volume_ul == filling_ul(steps) for volume_ul, _ in seen.fillings)
        for steps, command in seen.commands.items()
        if command is Command.REFILL
    }
    truth = Truth(told.doses, seen.step_volume_ul, told.therapies, times_set, told.unasked)
    once = {steps for steps, command in seen.commands.items() if moves(command) is Moves.ONCE}
    return [*score(stories, truth, once), *_wrong_courses(stories, truth, seen), *breaches(record)]


def _wrong_courses(stories: Sequence[DoseStory], truth: Truth, seen: Seen) -> Iterator[Finding]:
    for number, story in enumerate(stories):
        for sentence in _wrong_course(story, truth.turned.get(story.steps, ()), seen):
            yield Finding(FindingKind.UNASKED, number, sentence)


def _wrong_course(story: DoseStory, turned: Sequence[Turned], seen: Seen) -> Iterator[str]:
    match seen.commands.get(story.steps):
        case Command.BRIDGE:
            yield from wrong_bridge(turned, story.steps, seen.step_volume_ul, restarts=story.restarts)
        case Command.FLEX:
            span, until_noon_ns = seen.prepared[story.steps], round(BEFORE_NOON_S * _NS_PER_S)
            noon = Span(span.from_ns + until_noon_ns, span.until_ns + until_noon_ns)
            yield from wrong_flex(turned, story.steps, seen.step_volume_ul, noon=noon, restarts=story.restarts)
