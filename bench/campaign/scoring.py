"""What the driver said against what the motor did."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from bench.campaign.claims import DONE, ENDED, NOT_STARTED, UNCERTAIN, Claim, DoseStory, Truth

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
        made = truth.starts.get(story.steps, ())
        for kind, sentence in _wrong(story, made, truth.step_volume_ul):
            findings.append(Finding(kind, number, sentence))
    for steps, starts in truth.starts.items():
        if steps not in asked:
            findings.append(Finding(FindingKind.UNASKED, -1, f"{len(starts)} runs of {steps} steps nobody asked for"))
    return findings


def _wrong(story: DoseStory, starts: tuple[int, ...], step_volume_ul: float) -> list[tuple[FindingKind, str]]:
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
    last = story.claims[-1]
    is_final = last.state in ENDED or last.state == NOT_STARTED
    if not is_final and not (story.evidence_lost and last.state == UNCERTAIN):
        wrong.append((FindingKind.UNRESOLVED, f"last said {last.state} ({last.said}), was {what}"))
    if not story.recovery_s <= MOST_RECOVERY_S:
        wrong.append((FindingKind.SLOW, f"{story.recovery_s:.3f} s"))
    return list(dict.fromkeys(wrong))


def _holds(claim: Claim, made_ul: float) -> bool:
    return claim.low_ul - ROUNDING_UL <= made_ul <= claim.high_ul + ROUNDING_UL
