"""What the driver said of a swept command against what the motor and the memory chip did; no id decides anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.campaign.claims import DONE, Claim, DoseStory, Moves, Truth, Turned
from bench.campaign.scoring import Finding, FindingKind, score
from bench.campaign.sweep_commands import SweptCommand

NEXT_STEPS = 37
DOUBTED_STEPS = 45
NEXT_TICKS = 36_000

_SWEPT, _NEXT = 0, 1


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
    swept = _swept(command, truth)
    findings = score(_doses(command, story), _truth_of_doses(command, swept, truth), _asked(command, swept))
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
    swept = DoseStory(
        command.steps, (), (), story.claims, story.recovery_s, moves=command.moves, restarts=int(story.pump_struck)
    )
    return swept, DoseStory(NEXT_STEPS, (), (), story.next_claims, 0.0)


def _truth_of_doses(command: SweptCommand, swept: Sequence[Turned], truth: SweptTruth) -> Truth:
    starts: dict[int, list[int]] = defaultdict(list)
    for turned in truth.turned:
        if turned.planned is not None:
            starts[turned.planned].append(turned.made)
    return Truth(
        {steps: tuple(made) for steps, made in starts.items()},
        truth.step_volume_ul,
        {command.steps: swept},
        {command.steps: truth.times_set},
    )


def _asked(command: SweptCommand, swept: Sequence[Turned]) -> frozenset[int]:
    """All planned numbers of steps that somebody asked for; of a therapy's part a reset leaves any rest."""
    asked = {NEXT_STEPS, command.steps, DOUBTED_STEPS}
    if command.moves is Moves.ON:
        asked.update(turned.planned for turned in swept if turned.planned is not None)
    return frozenset(asked)


def _swept(command: SweptCommand, truth: SweptTruth) -> list[Turned]:
    if command.moves is Moves.ONCE:
        return [turned for turned in truth.turned if turned.planned == command.steps]
    if command.moves is Moves.ON:
        return [turned for turned in truth.turned if turned.step_ticks != NEXT_TICKS]
    return []
