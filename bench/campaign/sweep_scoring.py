"""What the driver said of a swept command against what the motor and the memory chip did; no id decides anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.campaign.claims import DONE, ENDED, NOT_STARTED, RUNNING, Claim, DoseStory, Truth
from bench.campaign.scoring import MOST_RECOVERY_S, ROUNDING_UL, Finding, FindingKind, score
from bench.campaign.sweep_commands import Moves, SweptCommand

NEXT_STEPS = 37
DOUBTED_STEPS = 45
NEXT_TICKS = 36_000

_SWEPT, _NEXT = 0, 1


@dataclass(frozen=True, slots=True)
class Turned:
    """A stretch of the motor: when it began in ns, how many steps were planned, None for no end, and how many made."""

    began_ns: int
    planned: int | None
    step_ticks: int
    made: int


@dataclass(frozen=True, slots=True)
class SweptTruth:
    """What the motor did, how often the setting that was asked for came into the memory, and what a step moves, µL.

    `step_volume_ul` is what volumes are counted in: the calibrated one, where the command has changed it.
    """

    turned: tuple[Turned, ...]
    times_set: int
    step_volume_ul: float


@dataclass(frozen=True, slots=True)
class SweptStory:
    """All that was said of the swept command and of the next dose, in order.

    `stopped_ns` are confirmed STOPs; `recovery_s` as in the campaign; `pump_struck`: the pump was struck, so it may
    have taken up a therapy more than once.
    """

    claims: tuple[Claim, ...]
    next_claims: tuple[Claim, ...]
    stopped_ns: tuple[int, ...]
    recovery_s: float
    pump_struck: bool


def judge(command: SweptCommand, story: SweptStory, truth: SweptTruth) -> list[Finding]:
    """All that is wrong with a run."""
    findings = score(_doses(command, story), _truth_of_doses(truth), _asked(command, truth))
    swept = _swept(command, truth)
    if command.moves is not Moves.ONCE:
        judged = _ran_on(command, story, swept, truth) if command.moves is Moves.ON else _set(story, truth)
        findings += [Finding(kind, _SWEPT, sentence) for kind, sentence in dict.fromkeys(judged)]
        if not story.recovery_s <= MOST_RECOVERY_S:
            findings.append(Finding(FindingKind.SLOW, _SWEPT, f"{story.recovery_s:.3f} s"))
    if story.next_claims[-1].state != DONE:
        last = story.next_claims[-1]
        findings.append(Finding(FindingKind.REFUSED, _NEXT, f"said {last.state} ({last.said})"))
    if command.must_stop and not story.stopped_ns:
        findings.append(Finding(FindingKind.UNRESOLVED, _SWEPT, "STOP was not confirmed"))
    for stopped_ns in story.stopped_ns:
        late = [turned for turned in swept if turned.began_ns > stopped_ns]
        if late:
            findings.append(Finding(FindingKind.AFTER_STOP, _SWEPT, f"the motor did {late[0]}"))
    return findings


def _doses(command: SweptCommand, story: SweptStory) -> Sequence[DoseStory]:
    following = DoseStory(NEXT_STEPS, (), (), story.next_claims, 0.0)
    if command.moves is not Moves.ONCE:
        return (following,)
    return (DoseStory(command.steps, (), (), story.claims, story.recovery_s), following)


def _truth_of_doses(truth: SweptTruth) -> Truth:
    starts: dict[int, list[int]] = defaultdict(list)
    for turned in truth.turned:
        if turned.planned is not None:
            starts[turned.planned].append(turned.made)
    return Truth({steps: tuple(made) for steps, made in starts.items()}, truth.step_volume_ul)


def _asked(command: SweptCommand, truth: SweptTruth) -> frozenset[int]:
    """All planned numbers of steps that somebody asked for; of a therapy's part a reset leaves any rest."""
    asked = {NEXT_STEPS, command.steps, DOUBTED_STEPS}
    if command.moves is Moves.ON:
        asked.update(turned.planned for turned in _swept(command, truth) if turned.planned is not None)
    return frozenset(asked)


def _swept(command: SweptCommand, truth: SweptTruth) -> list[Turned]:
    if command.moves is Moves.ONCE:
        return [turned for turned in truth.turned if turned.planned == command.steps]
    if command.moves is Moves.ON:
        return [turned for turned in truth.turned if turned.step_ticks != NEXT_TICKS]
    return []


def _ran_on(
    command: SweptCommand, story: SweptStory, swept: list[Turned], truth: SweptTruth
) -> list[tuple[FindingKind, str]]:
    made = sum(turned.made for turned in swept)
    made_ul = made * truth.step_volume_ul
    what = f"{made} steps in {len(swept)} stretches"
    wrong = []
    planned = sum(turned.made for turned in swept if turned.planned is not None)
    endless = [turned.step_ticks for turned in swept if turned.planned is None]
    if planned > command.steps or (not story.pump_struck and len(endless) > len(set(endless))):
        wrong.append((FindingKind.DOUBLE, f"{planned} of {command.steps} steps, {what}"))
    for claim in story.claims:
        said = f"said {claim.state} [{claim.low_ul:.10g}, {claim.high_ul:.10g}], was {what}"
        if claim.state in (RUNNING, DONE) and not swept:
            wrong.append((FindingKind.FALSE_DELIVERED, said))
        if claim.state == NOT_STARTED and swept:
            wrong.append((FindingKind.FALSE_NOT_DELIVERED, f"{said} ({claim.said})"))
        is_short = claim.state in ENDED and claim.high_ul < made_ul - ROUNDING_UL
        if is_short or claim.low_ul > made_ul + ROUNDING_UL:
            wrong.append((FindingKind.OUTSIDE, said))
    return wrong + _unresolved(story, what)


def _set(story: SweptStory, truth: SweptTruth) -> list[tuple[FindingKind, str]]:
    what = f"written {truth.times_set} times"
    wrong = []
    if truth.times_set > 1:
        wrong.append((FindingKind.DOUBLE, what))
    for claim in story.claims:
        if claim.state == DONE and not truth.times_set:
            wrong.append((FindingKind.FALSE_DELIVERED, f"said {claim.state}, was {what}"))
        if claim.state == NOT_STARTED and truth.times_set:
            wrong.append((FindingKind.FALSE_NOT_DELIVERED, f"said {claim.state} ({claim.said}), was {what}"))
    return wrong + _unresolved(story, what)


def _unresolved(story: SweptStory, what: str) -> list[tuple[FindingKind, str]]:
    last = story.claims[-1]
    if last.state in ENDED or last.state == NOT_STARTED:
        return []
    return [(FindingKind.UNRESOLVED, f"last said {last.state} ({last.said}), was {what}")]
