"""What the pump remembers through a reset, as one frozen value: settings, what it is doing, and how commands ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite

from firmware_mock.firmware.conditions import Conditions
from firmware_mock.firmware.stretches import Stretch
from protocol import CommandState, Mode, SelfTestItem

RESULTS_KEPT = 32
_NOTHING = SelfTestItem(0)
_AT_REST = Conditions()


@dataclass(frozen=True, slots=True)
class Run:
    """A dosing command under way: a step every `step_ticks`, `steps` of them, or None until told otherwise.

    0 ticks are a pause of a flex therapy, whose rate is that of the step in force when it was last taken up.
    `counted_steps` were made before the motor last took it up, at the step count `taken_up_at_steps`, and up to
    `doubtful_steps` more, which power cuts left uncertain; `steps` is what was left then if all of those were made. A
    bridge goes on with `then_step_ticks`. `token`, `propose_type` and `canonical` are those of its proposal. One that
    `ends_with_lease` was started under the control lease that is held and stops when that runs out.
    """

    command_id: int
    token: int
    propose_type: int
    canonical: bytes
    mode: Mode
    step_ticks: int
    steps: int | None = None
    then_step_ticks: int | None = None
    ends_with_lease: bool = False
    counted_steps: int = 0
    doubtful_steps: int = 0
    taken_up_at_steps: int = 0

    @property
    def last_steps(self) -> int | None:
        """The step count at which it is through as the motor now runs; None for never."""
        return None if self.steps is None else self.taken_up_at_steps + self.steps

    def counted(self, low_steps: int, high_steps: int) -> Run:
        """Under way until now, with what it has made so far counted: the step count is from low to high."""
        made = high_steps - self.taken_up_at_steps
        return Run(
            self.command_id,
            self.token,
            self.propose_type,
            self.canonical,
            self.mode,
            self.step_ticks,
            None if self.steps is None else max(0, self.steps - made),
            self.then_step_ticks,
            self.ends_with_lease,
            self.counted_steps + low_steps - self.taken_up_at_steps,
            self.doubtful_steps + high_steps - low_steps,
            high_steps,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and between what volumes lies what it delivered, in µL.

    `token` and `propose_type` are those of its proposal; the type is 0 where that was never carried out.
    """

    command_id: int
    token: int
    propose_type: int
    state: CommandState
    delivered_low_ul: float = 0.0
    delivered_high_ul: float = 0.0


@dataclass(frozen=True, slots=True)
class BolusLimits:
    """What a patient-activated bolus may be: as `ProposePatientBolusLimits`, whose fields these are."""

    enabled: bool
    volume_ul: float
    rate_ul_per_h: float
    lockout_s: int
    most_per_day: int
    window_s: int
    window_limit_ul: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The value. The reservoir held `reservoir_ul` at the step count `reservoir_at_steps`.

    `primed`: the priming bolus of this filling was begun. `clock_utc_s` was the therapy clock at `clock_set_at_us` of
    the counter that runs through resets; so was the instant since when the pump stands, None while it does not.
    `leased`: the control lease was granted; `lease_lost`: it ran out under a therapy that stopped, and nothing has been
    started since. `motor_stalled`: the encoder saw too few steps, and no good run since. `forgotten_command_id` is the
    highest whose result was given up: one above it that is neither under way nor among the results was never accepted.
    `programming_interrupted`: a therapy was being written when power failed, so the pump stands. `limits`: those of
    patient-activated boluses, None before any were set; `patient_starts_us` are when such began, by the counter through
    resets, as far back as it matters; `stretches` are what the motor was driven at. `conditions`: its own. `key`: that
    of this pump, None before it was paired.
    """

    step_volume_nl: float
    previous_step_volume_nl: float
    reservoir_ul: float
    reservoir_at_steps: int
    clock_utc_s: int
    clock_set_at_us: int
    stood_since_us: int | None
    clock_offset_s: int = 0
    clock_generation: int = 0
    generation: int = 0
    boot_id: int = 0
    last_command_id: int = 0
    primed: bool = False
    therapy: Run | None = None
    bolus: Run | None = None
    leased: bool = False
    lease_lost: bool = False
    motor_stalled: bool = False
    forgotten_command_id: int = 0
    self_test_failed: SelfTestItem = _NOTHING
    results: tuple[Result, ...] = ()
    programming_interrupted: bool = False
    limits: BolusLimits | None = None
    patient_starts_us: tuple[int, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    conditions: Conditions = _AT_REST
    key: bytes | None = field(default=None, repr=False)

    @property
    def under_way(self) -> Run | None:
        """What the motor turns for."""
        return None if self.conditions.suspended_since_us is not None else self.in_hand

    @property
    def in_hand(self) -> Run | None:
        """The same, or what infusion is to be handed back to after telemetry."""
        return self.therapy if self.bolus is None else self.bolus

    def ended(self, *results: Result) -> Memory:
        """With more results stored; the oldest are forgotten."""
        if not results:
            return self
        everything = (*self.results, *results)
        forgotten = everything[: max(0, len(everything) - RESULTS_KEPT)]
        highest = max((result.command_id for result in forgotten), default=0)
        return replace(
            self,
            results=everything[len(forgotten) :],
            forgotten_command_id=max(self.forgotten_command_id, highest),
        )

    def is_consistent(self, *, steps: int, now_us: int) -> bool:
        """Whether the fields agree with each other, with the step counter and with the counter through resets."""
        runs = [run for run in (self.therapy, self.bolus) if run is not None]
        ids = [*(run.command_id for run in runs), *(result.command_id for result in self.results)]
        volumes = (self.step_volume_nl, self.previous_step_volume_nl, self.reservoir_ul)
        return (
            all(isfinite(volume) and volume >= 0.0 for volume in volumes)
            and self.step_volume_nl > 0.0
            and self.reservoir_at_steps <= steps
            and self.clock_set_at_us <= now_us
            and all(0 < command_id <= self.last_command_id for command_id in ids)
            and self.forgotten_command_id <= self.last_command_id
            and all(run.step_ticks > 0 or (run.mode is Mode.FLEX and run.step_ticks == 0) for run in runs)
            and all(earlier <= later for earlier, later in pairwise((*self.patient_starts_us, now_us)))
            and all(earlier.began_us <= later.began_us for earlier, later in pairwise(self.stretches))
            and all(stretch.began_us <= now_us and stretch.began_at_steps <= steps for stretch in self.stretches)
            and (self.stood_since_us is None) == (self.under_way is not None)
            and self.conditions.is_consistent(now_us=now_us)
            and (self.stood_since_us is None or self.stood_since_us <= now_us)
        )
