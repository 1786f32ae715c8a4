"""The bridge to the mock: one simulated pump at a faulty line, some doses with one set of faults, and the truth."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from bench.campaign.claims import ENDED, NOT_STARTED, RUNNING, UNCERTAIN, Claim, DoseStory, Truth
from bench.campaign.conduct import Record, Span, Start, breaches
from bench.campaign.host import Host
from bench.campaign.plan import DOSES_PER_TRIAL, MOST_DRAWS, MOST_STEPS, STEPS_PER_S, DosePlan, Drawing, TrialPlan
from bench.campaign.scoring import Finding, FindingKind, score
from bench.simulation import MemoryStorage
from firmware_mock import World
from firmware_mock.faults import DEVICE_KINDS, LINK_KINDS, Direction, Fault, FaultKind, LonePump
from firmware_mock.faults.device_acts import LONGEST_WRITE_NS
from firmware_mock.faults.second_host import STOPS, TAKES_LEASE
from protocol import TEST_KEY
from protocol.profile import ModelProfile, load_model

MODEL = "implantable-20ml"
LINK_FAULTS = tuple(kind.value for kind in LINK_KINDS)
DEVICE_FAULTS = tuple(kind.value for kind in DEVICE_KINDS)
BASAL_UL_PER_H = 20.0

_LAST_STEPS, _FORBIDDEN_STEPS = 20, 25
_FOLLOWED_S = 30.0
_NS_PER_S = 1e9
_LEAVES_THERAPY = frozenset({*LINK_KINDS, FaultKind.POWER_CUT, FaultKind.BROWN_OUT, FaultKind.CLOCK_DRIFT})
_LEAVES_LEASE = frozenset({*LINK_KINDS, FaultKind.CLOCK_DRIFT}) - {FaultKind.REBOOT, FaultKind.RESET_ON_OPEN}


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


@dataclass(frozen=True, slots=True)
class _KeyOf:
    """The key of a pump that has one, until an operator sees that the pump's memory, and with it the key, is lost.

    From then on the pump is opened without, to read, and its doses are the operator's to resolve.
    """

    pump: LonePump

    @property
    def name(self) -> str:
        return "the campaign"

    def keys(self, _: str) -> tuple[bytes, ...]:
        key = self.pump.key
        return () if key is None or self.pump.memory_is_lost else (key,)


class _Trial:
    """A world, the pump in it, and its host.

    `_therapy_runs` is what must be so between two doses, None where a fault has left it open.
    """

    def __init__(self, plan: TrialPlan, clock_error_ppm: float) -> None:
        self._plan = plan
        self._world = World(seed=plan.seed)
        self._pump = LonePump(self._world, _profile(), clock_error_ppm=clock_error_ppm)
        self._port = self._pump.port
        stream = self._world.stream("host")
        if plan.keyed:
            self._pump.pair(TEST_KEY)
        self._host = Host(self._port.connect, self._port.clock, MemoryStorage(), stream, _KeyOf(self._pump))
        self._doses: list[DosePlan] = []
        self._stories: list[DoseStory] = []
        self._record = Record()
        self._findings: list[Finding] = []
        self._basal_is_due = plan.basal
        self._therapy_runs: bool | None = False
        self._has_ended = False

    @property
    def is_over(self) -> bool:
        """Whether an exception ended it, or the pump takes no more orders."""
        return self._has_ended or self._pump.memory_is_lost

    def dose(self, plan: DosePlan) -> bool:
        """Give one; whether it is valid, or there is no use in another, because an exception has ended the trial."""
        self._doses.append(plan)
        try:
            if self._basal_is_due:
                self._host.run_basal(BASAL_UL_PER_H)
                self._basal_is_due, self._therapy_runs = False, True
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
        truth = self._truth()
        self._world.close()
        findings = (*score(self._stories, truth, self._record.asked.keys()), *breaches(self._record), *self._findings)
        return TrialOutcome(
            replace(self._plan, doses=tuple(self._doses)),
            tuple(self._stories),
            findings,
            self._world.now_ns / _NS_PER_S,
        )

    def _given(self, plan: DosePlan) -> DoseStory:
        host, port = self._host, self._port
        if plan.fresh:
            host.restart()
        port.arm(plan.faults)
        claims = [self._asked(plan.steps, wait=plan.wait)]
        if plan.stop_after_s is not None:
            port.clock.sleep(plan.stop_after_s)
            self._stop()
        if claims[-1].state in (RUNNING, UNCERTAIN):
            claims.append(host.follow(claims[-1], _FOLLOWED_S))
        port.disarm()
        if any(fault.kind is FaultKind.POWER_CUT for fault in plan.faults):
            self._world.sleep(LONGEST_WRITE_NS / _NS_PER_S)
        recovery_s = host.recover(lambda: port.cleared_ns / _NS_PER_S, lambda: self._world.now_ns / _NS_PER_S)
        acted_ns = {fault.kind: at_ns for fault, at_ns in zip(plan.faults, port.acted_ns(), strict=True)}
        self._note_acts(plan.faults, acted_ns)
        claims.append(host.settle(claims[-1]))
        self._check_motor(claims[-1])
        evidence_lost = acted_ns.get(FaultKind.EVIDENCE_LOST) is not None or self._pump.memory_is_lost
        if evidence_lost:
            self._check_doubt(claims[-1])
        self._world.sleep(plan.idle_s)
        acted = tuple(at_ns is not None or kind is FaultKind.CLOCK_DRIFT for kind, at_ns in acted_ns.items())
        return DoseStory(plan.steps, tuple(acted_ns), acted, tuple(claims), recovery_s, evidence_lost)

    def _asked(self, steps: int, *, wait: bool) -> Claim:
        from_ns = self._world.now_ns
        self._record.asked[steps] = Span(from_ns, from_ns)
        try:
            return self._host.bolus(steps * self._pump.step_volume_ul, wait=wait)
        finally:
            self._record.asked[steps] = Span(from_ns, self._world.now_ns)

    def _stop(self) -> None:
        from_ns = self._world.now_ns
        if not self._host.stop():
            self._therapy_runs = None
            return
        self._therapy_runs = False
        self._record.stops.append(Span(from_ns, self._world.now_ns))
        if self._pump.turning is not None:
            self._find(FindingKind.AFTER_STOP, "STOP was confirmed and the motor turns")

    def _note_acts(self, faults: Iterable[Fault], acted_ns: dict[FaultKind, int | None]) -> None:
        """What the faults did to the therapy, and to who may dose."""
        kinds = {kind for kind, at_ns in acted_ns.items() if at_ns is not None}
        if self._pump.memory_is_lost and FaultKind.NVRAM_ROT not in kinds:
            self._find(FindingKind.MEMORY_LOST, "both slots are bad, and nothing has decayed")
        if self._therapy_runs and not kinds <= _LEAVES_THERAPY:
            self._therapy_runs = None
        for fault in faults:
            at_ns = acted_ns[fault.kind]
            stops = fault.kind is FaultKind.SECOND_HOST and fault.amount == STOPS
            if fault.kind is FaultKind.EVIDENCE_LOST or (stops and at_ns is not None):
                self._therapy_runs = None
            if at_ns is None:
                continue
            if stops or fault.kind is FaultKind.EVIDENCE_LOST:
                self._record.stops.append(Span(at_ns, at_ns))
            elif fault.kind is FaultKind.SECOND_HOST and fault.amount == TAKES_LEASE and kinds <= _LEAVES_LEASE:
                self._record.leases.append(Span(at_ns, at_ns + round(fault.duration_s * _NS_PER_S)))

    def _check_motor(self, said: Claim) -> None:
        """Between two doses it turns for the therapy, or stands."""
        if self._therapy_runs is None or not (said.state in ENDED or said.state == NOT_STARTED):
            return
        turning = self._pump.turning
        if self._therapy_runs and (turning is None or turning.planned is not None):
            self._find(FindingKind.BASAL_LOST, f"the motor {'stands' if turning is None else 'gives a dose'}")
        elif not self._therapy_runs and turning is not None:
            self._find(FindingKind.UNASKED, "the motor turns between two doses, and no therapy was started")

    def _check_doubt(self, said: Claim) -> None:
        """A new process knows of the doubt and gives no dose; then an operator ends it."""
        doubted = self._host.uncertain_doses()
        if said.state == UNCERTAIN and not self._host.has_noted_the_end_of(said.id):
            if said.id not in doubted:
                self._find(
                    FindingKind.DOUBT_LOST, f"command {said.id} is uncertain, and a new process doubts {doubted}"
                )
            volume_ul = _FORBIDDEN_STEPS * self._pump.step_volume_ul
            if (claim := self._host.bolus(volume_ul, wait=False)).state != NOT_STARTED:
                self._find(FindingKind.DOUBT_LOST, f"a dose was {claim.state} though command {said.id} is uncertain")
        self._host.resolve(doubted)

    def _check_readiness(self) -> None:
        """With all faults over the pump gives another dose."""
        claim = self._asked(_LAST_STEPS, wait=False)
        turning = self._pump.turning
        if claim.state != RUNNING or turning is None or turning.planned != _LAST_STEPS:
            self._find(FindingKind.REFUSED, f"said {claim.state}: {claim.said}")

    def _finish(self) -> None:
        self._world.run_until(max(self._world.now_ns, self._port.last_arrival_ns))
        self._world.sleep(MOST_STEPS / STEPS_PER_S + 1.0)
        if not any(story.evidence_lost for story in self._stories):
            self._stories = [
                replace(story, claims=(*story.claims, self._host.settle(story.claims[-1]))) for story in self._stories
            ]
        if doubted := self._host.uncertain_doses():
            self._find(FindingKind.UNRESOLVED, f"a new process is in doubt about {doubted}")
        if not self._pump.memory_is_lost:
            self._check_readiness()
        self._stop()

    def _truth(self) -> Truth:
        starts: dict[int, list[int]] = defaultdict(list)
        turnings = self._pump.turnings()
        for turning in turnings:
            if turning.planned is not None:
                starts[turning.planned].append(turning.made)
        self._record.starts = [Start(turning.began_ns, turning.planned) for turning in turnings]
        self._record.line = [
            (at_ns, direction is Direction.TO_HOST, data) for at_ns, direction, data in self._port.handed_over
        ]
        return Truth({steps: tuple(made) for steps, made in starts.items()}, self._pump.step_volume_ul)

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
