"""What a pump can be asked to run: therapies as validated data, and the dose arithmetic of a bridge bolus."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from driver.validation import require_positive, require_whole
from protocol import (
    Day,
    OnLeaseLoss,
    Proposable,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposeTrial,
)
from protocol import FlexStep as WireFlexStep

EVERY_DAY = Day(127)
MINUTES_PER_DAY = 1440
MOST_FLEX_STEPS = 43
MOST_SECONDS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Continuous:
    """Infusion at a constant rate in µL/h.

    Raises:
        ValueError: the rate is not a positive number.
    """

    rate_ul_per_h: float
    on_lease_loss: OnLeaseLoss = OnLeaseLoss.CONTINUE

    def __post_init__(self) -> None:
        require_positive(self.rate_ul_per_h, "a rate", "µL/h")


@dataclass(frozen=True, slots=True)
class MinimumRate:
    """The least that keeps a catheter open, at the model's own rate."""

    on_lease_loss: OnLeaseLoss = OnLeaseLoss.CONTINUE


@dataclass(frozen=True, slots=True)
class FlexStep:
    """From `start_min` minutes after midnight of the therapy clock, a rate in µL/h until the next step; 0 is a pause.

    Raises:
        ValueError: the start is not within a day, the rate is negative or no number, or there is no day.
    """

    start_min: int
    rate_ul_per_h: float
    days: Day = EVERY_DAY

    def __post_init__(self) -> None:
        require_whole(self.start_min, "a flex step's start", "minutes", least=0, most=MINUTES_PER_DAY - 1)
        if not (math.isfinite(self.rate_ul_per_h) and self.rate_ul_per_h >= 0.0):
            raise ValueError(f"a flex step's rate must be 0 or a positive number of µL/h, not {self.rate_ul_per_h}")
        if not 0 < self.days <= EVERY_DAY:
            raise ValueError(f"a flex step at minute {self.start_min} needs at least one day, such as Day.MONDAY")


@dataclass(frozen=True, slots=True)
class Flex:
    """Infusion by time of day.

    Raises:
        ValueError: there are no steps or more than 43, all of them pause, or two start at one minute of one day.
    """

    steps: tuple[FlexStep, ...]
    on_lease_loss: OnLeaseLoss = OnLeaseLoss.CONTINUE

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MOST_FLEX_STEPS:
            raise ValueError(f"a flex therapy has 1 to {MOST_FLEX_STEPS} steps, not {len(self.steps)}")
        if not any(step.rate_ul_per_h for step in self.steps):
            raise ValueError("a flex therapy needs a step with a rate above 0; to have none, stop the pump")
        taken: dict[int, Day] = {}
        for step in self.steps:
            twice = step.days & taken.get(step.start_min, Day(0))
            if twice:
                raise ValueError(f"two flex steps start at minute {step.start_min} of {twice!r}; each needs its own")
            taken[step.start_min] = step.days | taken.get(step.start_min, Day(0))


@dataclass(frozen=True, slots=True)
class Bridge:
    """The old drug in tubing and catheter, `volume_ul`, at `bridge_rate_ul_per_h`; then the new at `rate_ul_per_h`.

    The function `bridge` computes one from concentrations and doses.

    Raises:
        ValueError: a volume or rate is not a positive number.
    """

    volume_ul: float
    bridge_rate_ul_per_h: float
    rate_ul_per_h: float
    on_lease_loss: OnLeaseLoss = OnLeaseLoss.CONTINUE

    def __post_init__(self) -> None:
        require_positive(self.volume_ul, "a bridge volume", "µL")
        require_positive(self.bridge_rate_ul_per_h, "a bridge rate", "µL/h")
        require_positive(self.rate_ul_per_h, "a rate after a bridge", "µL/h")

    @property
    def duration_h(self) -> float:
        """How long the old drug lasts."""
        return self.volume_ul / self.bridge_rate_ul_per_h


@dataclass(frozen=True, slots=True)
class Trial:
    """As an external pump gives it: a rate for `duration_s` seconds, then standstill.

    Raises:
        ValueError: the rate is not a positive number, or the duration no whole positive number of seconds.
    """

    rate_ul_per_h: float
    duration_s: int
    on_lease_loss: OnLeaseLoss = OnLeaseLoss.CONTINUE

    def __post_init__(self) -> None:
        require_positive(self.rate_ul_per_h, "a trial's rate", "µL/h")
        require_whole(self.duration_s, "a trial's duration", "seconds", least=1, most=MOST_SECONDS)


Therapy: TypeAlias = Continuous | MinimumRate | Flex | Bridge | Trial


def bridge(
    *,
    tubing_ul: float,
    catheter_cm: float,
    ul_per_cm: float,
    old_concentration_ug_per_ml: float,
    old_dose_ug_per_day: float,
    new_concentration_ug_per_ml: float,
    new_dose_ug_per_day: float,
    on_lease_loss: OnLeaseLoss = OnLeaseLoss.CONTINUE,
) -> Bridge:
    """The bridge between two drugs: V = tubing + catheter, at the old dose over the old concentration until V is gone.

    Programmers that count in the new drug enter it as V times the new concentration, see `entered_dose_ug`.

    Raises:
        ValueError: a value is not a positive number.
    """
    given = {
        "a tubing volume": (tubing_ul, "µL"),
        "a catheter length": (catheter_cm, "cm"),
        "a catheter's volume": (ul_per_cm, "µL/cm"),
        "an old concentration": (old_concentration_ug_per_ml, "µg/mL"),
        "an old dose": (old_dose_ug_per_day, "µg/day"),
        "a new concentration": (new_concentration_ug_per_ml, "µg/mL"),
        "a new dose": (new_dose_ug_per_day, "µg/day"),
    }
    for what, (value, unit) in given.items():
        require_positive(value, what, unit)
    return Bridge(
        volume_ul=tubing_ul + catheter_cm * ul_per_cm,
        bridge_rate_ul_per_h=_rate_ul_per_h(old_dose_ug_per_day, old_concentration_ug_per_ml),
        rate_ul_per_h=_rate_ul_per_h(new_dose_ug_per_day, new_concentration_ug_per_ml),
        on_lease_loss=on_lease_loss,
    )


def entered_dose_ug(bridging: Bridge, new_concentration_ug_per_ml: float) -> float:
    """The bridge volume in µg of the new drug, as a programmer that counts in it asks for it."""
    return bridging.volume_ul / 1000.0 * new_concentration_ug_per_ml


def proposal_for(therapy: Therapy) -> Proposable:
    """The PROPOSE message of a therapy; its command id is 0 until it is taken."""
    loss = therapy.on_lease_loss
    match therapy:
        case Continuous():
            return ProposeContinuous(0, therapy.rate_ul_per_h, loss)
        case MinimumRate():
            return ProposeMinimumRate(0, 0.0, loss)
        case Flex():
            steps = tuple(WireFlexStep(step.days, step.start_min, step.rate_ul_per_h) for step in therapy.steps)
            return ProposeFlex(0, loss, steps)
        case Bridge():
            return ProposeBridge(0, therapy.volume_ul, therapy.bridge_rate_ul_per_h, therapy.rate_ul_per_h, loss)
        case Trial():
            return ProposeTrial(0, therapy.rate_ul_per_h, therapy.duration_s, loss)


def _rate_ul_per_h(dose_ug_per_day: float, concentration_ug_per_ml: float) -> float:
    return dose_ug_per_day / concentration_ug_per_ml * 1000.0 / 24.0
