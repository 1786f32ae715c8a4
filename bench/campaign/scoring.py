"""What the driver said against what the motor did."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from bench.campaign.claims import DONE, ENDED, NOT_STARTED, RUNNING, UNCERTAIN, Claim, DoseStory, Moves, Truth, Turned

MOST_RECOVERY_S = 2.0
ROUNDING_UL = 1e-6


class FindingKind(StrEnum):
    """What must never be seen."""

    DOUBLE = "double delivery"
    FALSE_DELIVERED = "false delivered"
    FALSE_NOT_DELIVERED = "false not delivered"
    OUTSIDE = "truth outside [low, high]"
    UNRESOLVED = "unresolved after the link is back"
    UNASKED = "moved unasked"
    AFTER_STOP = "moved after STOP"
    OVERDUE = "moved without a COMMIT of the last 30 s"
    FOREIGN_LEASE = "moved under the lease of another host"
    BASAL_LOST = "therapy not taken up again"
    DOUBT_LOST = "doubt about a dose forgotten"
    TWO_ANSWERS = "one request answered in two ways"
    COMMIT_TWICE = "COMMIT sent anew"
    MEMORY_LOST = "memory lost without decay"
    REFUSED = "no dose possible after the faults"
    SLOW = "link back after more than 2 s"
    UNHANDLED = "unhandled exception"


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them, at a dose of a trial (counted from 0; -1 for the trial as a whole), in one sentence."""

    kind: FindingKind
    dose: int
    sentence: str


def score(stories: Sequence[DoseStory], truth: Truth, asked: Set[int]) -> list[Finding]:
    """All that is wrong with a trial; `asked` are the numbers of steps of all doses, also of one that broke off."""
    findings = []
    for number, story in enumerate(stories):
        for kind, sentence in dict.fromkeys(_wrong(story, truth)):
            findings.append(Finding(kind, number, sentence))
    for steps, starts in truth.starts.items():
        if steps not in asked:
            findings.append(Finding(FindingKind.UNASKED, -1, f"{len(starts)} runs of {steps} steps nobody asked for"))
    for turned in truth.unasked:
        findings.append(Finding(FindingKind.UNASKED, -1, f"the motor ran as nobody asked for: {turned}"))
    return findings


def wrong_therapy(
    claims: Sequence[Claim], turned: Sequence[Turned], steps: int, step_volume_ul: float, *, restarts: int
) -> list[tuple[FindingKind, str]]:
    """What is wrong with what was said of a command that runs on, of which `steps` are planned at most.

    Each of its rates begins once, and once more with each of the `restarts` of the pump.
    """
    made = sum(stretch.made for stretch in turned)
    made_ul = made * step_volume_ul
    what = f"{made} steps in {len(turned)} stretches"
    wrong = []
    begun_anew = len(turned) - len({stretch.step_ticks for stretch in turned})
    most_planned = _most_planned(turned)
    if most_planned > steps or begun_anew > restarts:
        sentence = (
            f"up to {most_planned} of {steps} steps, begun anew {begun_anew} times in {restarts} restarts, {what}"
        )
        wrong.append((FindingKind.DOUBLE, sentence))
    for claim in claims:
        said = f"said {claim.state} [{claim.low_ul:.10g}, {claim.high_ul:.10g}], was {what}"
        if claim.state in (RUNNING, DONE) and not turned:
            wrong.append((FindingKind.FALSE_DELIVERED, said))
        if claim.state == NOT_STARTED and turned:
            wrong.append((FindingKind.FALSE_NOT_DELIVERED, f"{said} ({claim.said})"))
        is_short = claim.state in ENDED and claim.high_ul < made_ul - ROUNDING_UL
        if is_short or claim.low_ul > made_ul + ROUNDING_UL:
            wrong.append((FindingKind.OUTSIDE, said))
    return wrong


def wrong_setting(claims: Sequence[Claim], times_set: int) -> list[tuple[FindingKind, str]]:
    """What is wrong with what was said of a setting that came into the memory so many times."""
    what = f"written {times_set} times"
    wrong = []
    if times_set > 1:
        wrong.append((FindingKind.DOUBLE, what))
    for claim in claims:
        said = f"said {claim.state} [{claim.low_ul:.10g}, {claim.high_ul:.10g}] ({claim.said}), was {what}"
        is_no = claim.state == NOT_STARTED or (claim.state in ENDED and claim.state != DONE)
        if claim.state == DONE and not times_set:
            wrong.append((FindingKind.FALSE_DELIVERED, said))
        if is_no and times_set:
            wrong.append((FindingKind.FALSE_NOT_DELIVERED, said))
        if claim.state in ENDED and not _holds(claim, 0.0):
            wrong.append((FindingKind.OUTSIDE, said))
    return wrong


def _wrong(story: DoseStory, truth: Truth) -> list[tuple[FindingKind, str]]:
    match story.moves:
        case Moves.ONCE:
            wrong = _wrong_dose(story, truth.starts.get(story.steps, ()), truth.step_volume_ul)
        case Moves.ON:
            turned = truth.turned.get(story.steps, ())
            wrong = wrong_therapy(story.claims, turned, story.steps, truth.step_volume_ul, restarts=story.restarts)
        case Moves.NOTHING:
            wrong = wrong_setting(story.claims, truth.times_set.get(story.steps, 0))
    last = story.claims[-1]
    is_final = last.state in ENDED or last.state == NOT_STARTED
    if not is_final and not (story.evidence_lost and last.state == UNCERTAIN):
        wrong.append((FindingKind.UNRESOLVED, f"last said {last.state} ({last.said})"))
    if not story.recovery_s <= MOST_RECOVERY_S:
        wrong.append((FindingKind.SLOW, f"{story.recovery_s:.3f} s"))
    return wrong


def _most_planned(turned: Sequence[Turned]) -> int:
    """The most steps that a stretch was planned to bring those with an end to."""
    most = made = 0
    for stretch in turned:
        if stretch.planned is not None:
            most = max(most, made + max(stretch.planned, stretch.made))
            made += stretch.made
    return most


def _wrong_dose(story: DoseStory, starts: tuple[int, ...], step_volume_ul: float) -> list[tuple[FindingKind, str]]:
    made = sum(starts)
    made_ul = made * step_volume_ul
    what = f"{made} of {story.steps} steps in {len(starts)} starts"
    wrong = []
    if len(starts) > 1 or made > story.steps:
        wrong.append((FindingKind.DOUBLE, what))
    for claim in story.claims:
        said = f"said {claim.state} [{claim.low_ul:.10g}, {claim.high_ul:.10g}], was {what}"
        if claim.state == DONE and made < story.steps:
            wrong.append((FindingKind.FALSE_DELIVERED, said))
        elif claim.state == NOT_STARTED and starts:
            wrong.append((FindingKind.FALSE_NOT_DELIVERED, f"{said} ({claim.said})"))
        if claim.state in ENDED and not _holds(claim, made_ul):
            wrong.append((FindingKind.OUTSIDE, said))
    return wrong


def _holds(claim: Claim, made_ul: float) -> bool:
    return claim.low_ul - ROUNDING_UL <= made_ul <= claim.high_ul + ROUNDING_UL
