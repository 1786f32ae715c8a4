"""The bridge to the mock: one simulated pump at a faulty line, and some doses with one set of faults."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from bench.campaign.between import Between
from bench.campaign.claims import ENDED, NOT_STARTED, RUNNING, UNCERTAIN, Claim, DoseStory, Moves, Turned
from bench.campaign.conduct import Record, Span
from bench.campaign.effects import Effects, effects_of
from bench.campaign.host import MOST_TRIES, Host, KeyOf
from bench.campaign.judging import Seen, judge
from bench.campaign.orders import LOCKOUT_S, give, moves, needs_therapy, prepare, run_basal
from bench.campaign.plan import (
    DOSES_PER_TRIAL,
    MOST_DRAWS,
    MOST_STEPS,
    STEPS_PER_S,
    Command,
    DosePlan,
    Drawing,
    TrialPlan,
)
from bench.campaign.scoring import Finding, FindingKind
from bench.simulation import MemoryStorage
from driver import DriverError
from firmware_mock import World
from firmware_mock.faults import DEVICE_KINDS, LINK_KINDS, Direction, Fault, FaultKind, LonePump
from firmware_mock.faults.device_acts import LONGEST_WRITE_NS
from firmware_mock.firmware.memory import RESULTS_KEPT
from protocol import TEST_KEY
from protocol.profile import ModelProfile, load_model

MODEL = "implantable-20ml"
LINK_FAULTS = tuple(kind.value for kind in LINK_KINDS)
DEVICE_FAULTS = tuple(kind.value for kind in DEVICE_KINDS)

_LAST_STEPS = 20
_FOLLOWED_S = 30.0
_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What was done, what was said, what is wrong with it, and how much virtual time it took."""

    plan: TrialPlan
    stories: tuple[DoseStory, ...]
    findings: tuple[Finding, ...]
    simulated_s: float


def run_drawn(seed: int, kinds: Iterable[str]) -> TrialOutcome:
    """A trial with doses under faults of these kinds; where one did not act, the dose is drawn again."""
    draw = Drawing(seed, tuple(FaultKind(kind) for kind in kinds))
    trial = _Trial(TrialPlan(seed, draw.basal, (), draw.keyed), draw.clock_error_ppm)
    for _ in range(DOSES_PER_TRIAL):
        for _ in range(MOST_DRAWS):
            if trial.dose(draw.dose()) or trial.is_over:
                break
        if trial.is_over:
            break
    return trial.outcome()


def run_planned(plan: TrialPlan) -> TrialOutcome:
    """A trial again, from its data alone."""
    drifts = [fault.amount for dose in plan.doses for fault in dose.faults if fault.kind is FaultKind.CLOCK_DRIFT]
    trial = _Trial(replace(plan, doses=()), float(drifts[0]) if drifts else 0.0)
    for dose in plan.doses:
        trial.dose(dose)
        if trial.is_over:
            break
    return trial.outcome()


class _Trial:
    """A world, the pump in it, and its host.

    `_commands` are what was asked for, by its number of steps, and `_prepared` is when the pump was made ready.
    """

    def __init__(self, plan: TrialPlan, clock_error_ppm: float) -> None:
        self._plan = plan
        self._world = World(seed=plan.seed)
        self._pump = LonePump(self._world, _profile(), clock_error_ppm=clock_error_ppm)
        self._port = self._pump.port
        stream = self._world.stream("host")
        if plan.keyed:
            self._pump.pair(TEST_KEY)
        self._host = Host(self._port.connect, self._port.clock, MemoryStorage(), stream, KeyOf(self._pump))
        self._doses: list[DosePlan] = []
        self._stories: list[DoseStory] = []
        self._commands: dict[int, Command] = {}
        self._prepared: dict[int, Span] = {}
        self._record = Record()
        self._findings: list[Finding] = []
        self._basal_is_due = plan.basal
        self._between = Between(self._pump, self._find)
        self._has_ended = False

    @property
    def is_over(self) -> bool:
        """Whether an exception ended it, or the pump takes no more orders."""
        return self._has_ended or self._pump.memory_is_lost

    def dose(self, plan: DosePlan) -> bool:
        """Give one; whether it is valid, or there is no use in another, because an exception has ended the trial."""
        self._doses.append(plan)
        try:
            if not self._is_ready(plan):
                return True
            story = self._given(plan)
        except Exception as error:  # whatever it is, it is a finding
            self._end(error)
            return True
        self._stories.append(story)
        return story.is_valid

    def outcome(self) -> TrialOutcome:
        """Stop the pump, let all that is under way arrive, close the world and score."""
        if not self._has_ended:
            try:
                self._finish()
            except Exception as error:  # whatever it is, it is a finding
                self._end(error)
        turned = [
            Turned(turning.began_ns, turning.planned, turning.step_ticks, turning.made)
            for turning in self._pump.turnings()
        ]
        fillings = {setting.filling for setting in self._pump.settings}
        self._world.close()
        self._record.line = [
            (at_ns, direction is Direction.TO_HOST, data) for at_ns, direction, data in self._port.handed_over
        ]
        seen = Seen(self._commands, self._prepared, turned, fillings, self._pump.step_volume_ul)
        findings = (*judge(self._stories, seen, self._record), *self._findings)
        return TrialOutcome(
            replace(self._plan, doses=tuple(self._doses)),
            tuple(self._stories),
            findings,
            self._world.now_ns / _NS_PER_S,
        )

    def _is_ready(self, plan: DosePlan) -> bool:
        """Whether the pump takes what must be so before the dose, now that no fault acts any more."""
        try:
            self._prepare(plan)
        except DriverError as error:
            self._find(FindingKind.REFUSED, f"not ready for a {plan.command}: {error}")
            self._has_ended = True
        return not self._has_ended

    def _prepare(self, plan: DosePlan) -> None:
        host, command = self._host, plan.command
        if self._basal_is_due or (needs_therapy(command) and not self._between.therapy_runs):
            host.prepare(run_basal)
            self._basal_is_due, self._between.therapy_runs = False, True
        if command is Command.PATIENT_BOLUS:
            self._world.sleep(LOCKOUT_S + 1.0)
        from_ns = self._world.now_ns
        host.prepare(lambda pump: prepare(pump, command, plan.steps, self._pump.step_volume_ul))
        self._prepared[plan.steps] = Span(from_ns, self._world.now_ns)

    def _given(self, plan: DosePlan) -> DoseStory:
        host, port = self._host, self._port
        runs_on = moves(plan.command) is Moves.ON
        if plan.fresh:
            host.restart()
        port.arm(plan.faults)
        claims = [self._asked(plan.steps, plan.command, wait=plan.wait)]
        if plan.stop_after_s is not None:
            port.clock.sleep(plan.stop_after_s)
            self._stop()
        if claims[-1].state in (RUNNING, UNCERTAIN):
            claims.append(host.follow(claims[-1], plan.steps / STEPS_PER_S if runs_on else _FOLLOWED_S))
        port.disarm()
        if any(fault.kind is FaultKind.POWER_CUT for fault in plan.faults):
            self._world.sleep(LONGEST_WRITE_NS / _NS_PER_S)
        recovery_s = host.recover(lambda: port.cleared_ns / _NS_PER_S, lambda: self._world.now_ns / _NS_PER_S)
        acted_ns = {fault.kind: at_ns for fault, at_ns in zip(plan.faults, port.acted_ns(), strict=True)}
        effects = self._note_acts(plan.faults, acted_ns)
        if runs_on:
            claims += host.end(claims[-1], lambda: self._stop_running(plan.steps))
        claims.append(host.settle(claims[-1]))
        if runs_on and claims[-1].state != NOT_STARTED:
            self._basal_is_due = self._plan.basal
            self._stop_at_last()
        if effects.leaves_settings and plan.command is Command.REFILL:
            self._between.check_filling(plan.steps, claims[-1])
        self._between.check_motor(claims[-1])
        evidence_lost = acted_ns.get(FaultKind.EVIDENCE_LOST) is not None or self._pump.memory_is_lost
        if evidence_lost:
            self._between.check_doubt(host, claims[-1])
        self._world.sleep(plan.idle_s)
        if self._between.therapy_runs is False:
            self._between.check_motor(claims[-1])
        acted = tuple(at_ns is not None or kind is FaultKind.CLOCK_DRIFT for kind, at_ns in acted_ns.items())
        return DoseStory(
            plan.steps,
            tuple(acted_ns),
            acted,
            tuple(claims),
            recovery_s,
            evidence_lost,
            moves(plan.command),
            effects.restarts,
        )

    def _asked(self, steps: int, command: Command, *, wait: bool) -> Claim:
        from_ns = self._world.now_ns
        self._record.asked[steps] = Span(from_ns, from_ns)
        self._commands[steps] = command
        try:
            return self._host.order(
                lambda pump: give(pump, command, steps, self._pump.step_volume_ul, wait=wait),
            )
        finally:
            self._record.asked[steps] = Span(from_ns, self._world.now_ns)

    def _stop(self) -> None:
        from_ns = self._world.now_ns
        is_confirmed = self._host.stop()
        if is_confirmed:
            self._record.stops.append(Span(from_ns, self._world.now_ns))
        self._between.note_stop(is_confirmed=is_confirmed)

    def _stop_running(self, steps: int) -> None:
        """Stop a therapy that is said to run."""
        self._between.check_running(steps)
        self._stop()

    def _stop_at_last(self) -> None:
        """Nothing is in the way of STOP any more, but what an earlier fault still holds, once or twice."""
        for _ in range(MOST_TRIES):
            self._stop()
            if self._between.therapy_runs is False or self._pump.memory_is_lost:
                return
            self._host.restart()
        self._find(FindingKind.UNRESOLVED, "STOP is not confirmed though all faults are over")

    def _note_acts(self, faults: Sequence[Fault], acted_ns: dict[FaultKind, int | None]) -> Effects:
        """What the faults did to the therapy, to the settings, and to who may dose."""
        if self._pump.memory_is_lost and acted_ns.get(FaultKind.NVRAM_ROT) is None:
            self._find(FindingKind.MEMORY_LOST, "both slots are bad, and nothing has decayed")
        effects = effects_of(faults, acted_ns)
        if self._between.therapy_runs and not effects.leaves_therapy:
            self._between.therapy_runs = None
        self._record.stops += effects.stops
        self._record.leases += effects.leases
        return effects

    def _check_readiness(self) -> None:
        """With all faults over the pump gives another dose."""
        claim = self._asked(_LAST_STEPS, Command.BOLUS, wait=False)
        turning = self._pump.turning
        if claim.state != RUNNING or turning is None or turning.planned != _LAST_STEPS:
            self._find(FindingKind.REFUSED, f"said {claim.state}: {claim.said}")

    def _finish(self) -> None:
        self._world.run_until(max(self._world.now_ns, self._port.last_arrival_ns))
        self._world.sleep(MOST_STEPS / STEPS_PER_S + 1.0)
        if not any(story.evidence_lost for story in self._stories):
            self._stories = [self._asked_again(story) for story in self._stories]
        if doubted := self._host.uncertain_doses():
            self._find(FindingKind.UNRESOLVED, f"a new process is in doubt about {doubted}")
        if not self._pump.memory_is_lost:
            self._check_readiness()
        self._stop()

    def _asked_again(self, story: DoseStory) -> DoseStory:
        """A dose with what is said of it in the end.

        The pump keeps the results of so many commands and no more: of one before them that has ended it may say
        nothing, but nothing else than it did.
        """
        last = story.claims[-1]
        again = self._host.settle(last)
        is_forgotten = last.state in ENDED and self._host.highest_id - last.id >= RESULTS_KEPT
        if is_forgotten and again.state == UNCERTAIN:
            return story
        return replace(story, claims=(*story.claims, again))

    def _find(self, kind: FindingKind, sentence: str) -> None:
        self._findings.append(Finding(kind, len(self._stories), sentence))

    def _end(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        sentence = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno} of {where.filename})"
        self._find(FindingKind.UNHANDLED, sentence)
        self._has_ended = True


@cache
def _profile() -> ModelProfile:
    return load_model(MODEL)
