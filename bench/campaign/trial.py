"""The bridge to the mock: one simulated pump at a faulty line, some doses with one set of faults, and the truth."""

from __future__ import annotations

import random
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import msgspec

from bench.campaign.claims import RUNNING, UNCERTAIN, DoseStory, Truth
from bench.campaign.host import GiveBolus, Host, plain_bolus
from bench.campaign.scoring import Finding, FindingKind, score
from bench.simulation import MemoryStorage
from bench.toml_file import FileError
from firmware_mock import World
from firmware_mock.faults import DEVICE_KINDS, LINK_KINDS, Fault, FaultKind, LonePump, draw_fault
from protocol.profile import ModelProfile, load_model

MODEL = "implantable-20ml"
LINK_FAULTS = tuple(kind.value for kind in LINK_KINDS)
DEVICE_FAULTS = tuple(kind.value for kind in DEVICE_KINDS)
DOSES_PER_TRIAL = 6
MOST_DRAWS = 4
BASAL_UL_PER_H = 20.0

_FEWEST_STEPS, _MOST_STEPS = 30, 400
_STEPS_PER_S = 1000.0 / 3600.0 / 0.01
_LONGEST_IDLE_S = 1800.0
_FOLLOWED_S = 30.0
_NS_PER_S = 1e9

BuildPump = Callable[[World, ModelProfile, float], LonePump]


@dataclass(frozen=True, slots=True)
class DosePlan:
    """A bolus of a number of steps, no two alike in a trial; `fresh`: by a process that has just started.

    `stop_after_s` ends it by STOP, when the host does not wait for its end; `idle_s` passes before the next.
    """

    steps: int
    wait: bool
    fresh: bool
    stop_after_s: float | None
    idle_s: float
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """All that a trial depends on."""

    seed: int
    basal: bool
    doses: tuple[DosePlan, ...]


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What was done, what was said, what is wrong with it, and how much virtual time it took."""

    plan: TrialPlan
    stories: tuple[DoseStory, ...]
    findings: tuple[Finding, ...]
    simulated_s: float


def build_pump(world: World, profile: ModelProfile, clock_error_ppm: float) -> LonePump:
    """The mock as it is."""
    return LonePump(world, profile, clock_error_ppm=clock_error_ppm)


def run_drawn(
    seed: int, kinds: Iterable[str], *, give_bolus: GiveBolus = plain_bolus, build: BuildPump = build_pump
) -> TrialOutcome:
    """A trial with doses under faults of these kinds; where one did not act, the dose is drawn again."""
    draw = _Drawing(seed, tuple(FaultKind(kind) for kind in kinds))
    trial = _Trial(seed, draw.basal, draw.clock_error_ppm, give_bolus, build)
    for _ in range(DOSES_PER_TRIAL):
        for _ in range(MOST_DRAWS):
            if trial.dose(draw.dose()):
                break
        if trial.is_over:
            break
    return trial.outcome()


def run_planned(plan: TrialPlan, *, give_bolus: GiveBolus = plain_bolus, build: BuildPump = build_pump) -> TrialOutcome:
    """A trial again, from its data alone."""
    drifts = [fault.amount for dose in plan.doses for fault in dose.faults if fault.kind is FaultKind.CLOCK_DRIFT]
    trial = _Trial(plan.seed, plan.basal, float(drifts[0]) if drifts else 0.0, give_bolus, build)
    for dose in plan.doses:
        trial.dose(dose)
        if trial.is_over:
            break
    return trial.outcome()


def plan_as_json(plan: TrialPlan) -> bytes:
    """A plan to be kept: a trial that once found something is run for ever."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n"


def plan_from_json(data: bytes) -> TrialPlan:
    """A plan that was kept.

    Raises:
        FileError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=TrialPlan)
    except msgspec.MsgspecError as error:
        raise FileError(f"not a trial's plan: {error}; take one that `campaign --trial … --save …` wrote") from error


class _Drawing:
    """The doses of a trial, one after the other, from its seed."""

    def __init__(self, seed: int, kinds: tuple[FaultKind, ...]) -> None:
        self._stream = stream = random.Random(f"{seed}/trial")
        self._kinds = kinds
        self.basal = stream.random() < 0.5
        self._steps = stream.sample(range(_FEWEST_STEPS, _MOST_STEPS), DOSES_PER_TRIAL * MOST_DRAWS)
        self._drift = draw_fault(FaultKind.CLOCK_DRIFT, stream, longest_delay_s=0.0, opens=False)
        self.clock_error_ppm = float(self._drift.amount) if FaultKind.CLOCK_DRIFT in kinds else 0.0

    def dose(self) -> DosePlan:
        stream = self._stream
        steps = self._steps.pop()
        wait = stream.random() < 0.6
        stops = not wait and stream.random() < 0.4
        lasts_s = steps / _STEPS_PER_S
        fresh = FaultKind.RESET_ON_OPEN in self._kinds or stream.random() < 0.3
        return DosePlan(
            steps=steps,
            wait=wait,
            fresh=fresh,
            stop_after_s=stream.random() * lasts_s if stops else None,
            idle_s=_LONGEST_IDLE_S * stream.random() ** 4,
            faults=tuple(
                self._drift
                if kind is FaultKind.CLOCK_DRIFT
                else draw_fault(kind, stream, longest_delay_s=lasts_s, opens=fresh)
                for kind in self._kinds
            ),
        )


class _Trial:
    """A world, the pump in it, and its host."""

    def __init__(self, seed: int, basal: bool, clock_error_ppm: float, give_bolus: GiveBolus, build: BuildPump) -> None:
        self._plan = TrialPlan(seed, basal, ())
        self._world = World(seed=seed)
        self._pump = build(self._world, _profile(), clock_error_ppm)
        self._port = self._pump.port
        stream = self._world.stream("host")
        self._host = Host(self._port.connect, self._port.clock, MemoryStorage(), stream, give_bolus)
        self._doses: list[DosePlan] = []
        self._stories: list[DoseStory] = []
        self._fault: Finding | None = None
        self._basal_is_due = basal

    @property
    def is_over(self) -> bool:
        """Whether an exception ended it."""
        return self._fault is not None

    def dose(self, plan: DosePlan) -> bool:
        """Give one; whether it is valid, or there is no use in another."""
        self._doses.append(plan)
        try:
            if self._basal_is_due:
                self._host.run_basal(BASAL_UL_PER_H)
                self._basal_is_due = False
            story = self._given(plan)
        except Exception as error:  # whatever it is, it is a finding
            self._note(error)
            return True
        self._stories.append(story)
        return story.is_valid

    def outcome(self) -> TrialOutcome:
        """Stop the pump, let all that is under way arrive, close the world and score."""
        if self._fault is None:
            try:
                self._finish()
            except Exception as error:  # whatever it is, it is a finding
                self._note(error)
        truth = self._truth()
        self._world.close()
        findings = score(self._stories, truth, {plan.steps for plan in self._doses})
        if self._fault is not None:
            findings.append(self._fault)
        return TrialOutcome(
            replace(self._plan, doses=tuple(self._doses)),
            tuple(self._stories),
            tuple(findings),
            self._world.now_ns / _NS_PER_S,
        )

    def _given(self, plan: DosePlan) -> DoseStory:
        host, port = self._host, self._port
        if plan.fresh:
            host.restart()
        port.arm(plan.faults)
        claims = [host.bolus(plan.steps * self._pump.step_volume_ul, wait=plan.wait)]
        if plan.stop_after_s is not None:
            port.clock.sleep(plan.stop_after_s)
            host.stop()
        if claims[-1].state in (RUNNING, UNCERTAIN):
            claims.append(host.follow(claims[-1], _FOLLOWED_S))
        port.disarm()
        recovery_s = host.recover(lambda: port.cleared_ns / _NS_PER_S, lambda: self._world.now_ns / _NS_PER_S)
        acted = tuple(
            done or fault.kind is FaultKind.CLOCK_DRIFT
            for done, fault in zip(port.has_acted(), plan.faults, strict=True)
        )
        claims.append(host.settle(claims[-1]))
        kinds = tuple(fault.kind for fault in plan.faults)
        evidence_lost = (FaultKind.EVIDENCE_LOST, True) in zip(kinds, acted, strict=True)
        if evidence_lost:
            host.resolve_all()
        self._world.sleep(plan.idle_s)
        return DoseStory(plan.steps, kinds, acted, tuple(claims), recovery_s, evidence_lost)

    def _finish(self) -> None:
        self._world.run_until(max(self._world.now_ns, self._port.last_arrival_ns))
        self._world.sleep(_MOST_STEPS / _STEPS_PER_S + 1.0)
        if not any(story.evidence_lost for story in self._stories):
            self._stories = [
                replace(story, claims=(*story.claims, self._host.settle(story.claims[-1]))) for story in self._stories
            ]
        if doubted := self._host.uncertain_doses():
            self._fault = Finding(FindingKind.UNRESOLVED, -1, f"a new process is in doubt about {doubted}")
        self._host.stop()

    def _truth(self) -> Truth:
        starts: dict[int, list[int]] = defaultdict(list)
        for turning in self._pump.turnings():
            if turning.planned is not None:
                starts[turning.planned].append(turning.made)
        return Truth({steps: tuple(made) for steps, made in starts.items()}, self._pump.step_volume_ul)

    def _note(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        sentence = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno} of {where.filename})"
        self._fault = Finding(FindingKind.UNHANDLED, len(self._doses) - 1, sentence)


@cache
def _profile() -> ModelProfile:
    return load_model(MODEL)
