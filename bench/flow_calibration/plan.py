"""Plans of a flow calibration, and what each of their runs comes to on a given pump and station."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pydantic import Field, field_validator

from bench.errors import SetupRefused
from bench.metrology import drop_standard_uncertainty_ul, evaporation_open_mg_per_h_per_cm2
from bench.rigfile import RigFile
from bench.toml_file import Table, find, parse
from protocol.profile import ModelProfile

HOURS_PER_DAY = 24.0
NOMINAL_DENSITY_MG_PER_UL = 1.0
LEAST_END_S = 60.0
DROP_SHARE_OF_LIMIT = 0.25
ORDER_DRAWS = 200
LOW_RATE_ML_PER_DAY = 0.5
LONGEST_LOW_RATE_FLOW_S = 8.0 * 3600.0


class Window(Table):
    """How long the flow is watched: at least this mass and this time, in whole rotor revolutions."""

    least_mass_mg: float = Field(gt=0)
    least_min: float = Field(gt=0)
    end_readings: int = Field(ge=5)
    between_readings: int = Field(ge=0)


class Zero(Table):
    """Zero segments: outlet closed, pump stopped."""

    readings: int = Field(ge=8)
    length_min: float = Field(gt=0)
    low_rate_below_ml_per_day: float = Field(ge=0)
    low_rate_length_min: float = Field(gt=0)


class Settling(Table):
    """What is discarded: time constants of the line after each change, minutes after the balance was switched on."""

    time_constants: float = Field(ge=5)
    warm_up_min: float = Field(ge=0)


class Expected(Table):
    """Planned scatter of the pump and of one mass difference: the weights of the fit are fixed from it beforehand."""

    pump_repeatability_pct: float = Field(gt=0)
    reading_mg: float = Field(gt=0)


class FlowCalibrationPlan(Table):
    """A flow calibration as it is written in a plan file."""

    name: str
    rates_ml_per_day: tuple[float, ...] = Field(min_length=1, strict=False)
    repeats: int = Field(ge=3)
    as_left_repeats: int = Field(ge=2)
    window: Window
    zero: Zero
    settling: Settling
    expected: Expected

    @field_validator("rates_ml_per_day")
    @classmethod
    def _positive_and_distinct(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if any(rate <= 0 for rate in rates):
            raise ValueError("each rate must be above zero")
        if len(set(rates)) != len(rates):
            raise ValueError("a rate stands twice; repeats is the way to measure it more often")
        return rates

    @property
    def rates_ul_per_h(self) -> tuple[float, ...]:
        return tuple(rate * 1000.0 / HOURS_PER_DAY for rate in self.rates_ml_per_day)


def load_plan(name_or_path: str | Path) -> tuple[FlowCalibrationPlan, str]:
    """A plan by path, or by the name of a shipped one; with its text, for the run's folder.

    Raises:
        FileError: no such file, not TOML, or faults in it; all are named at once.
    """
    source, text = find(name_or_path, shipped_in="plans")
    return parse(FlowCalibrationPlan, text, source), text


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One rate on one pump: two ends of `end_revolutions`, their centres `revolutions` apart, all whole.

    Both ends are sampled at the same rotor phases, so that pulsation cancels between them.
    """

    rate_ul_per_h: float
    revolution_s: float
    end_revolutions: int
    revolutions: int
    zero_s: float

    @property
    def end_s(self) -> float:
        return self.end_revolutions * self.revolution_s

    @property
    def window_s(self) -> float:
        """From centre of the first end to centre of the last."""
        return self.revolutions * self.revolution_s

    @property
    def flow_s(self) -> float:
        """From the first reading's slot to the last one's."""
        return self.window_s + self.end_s

    @property
    def volume_ul(self) -> float:
        return self.rate_ul_per_h * self.flow_s / 3600.0


def run_plan(
    plan: FlowCalibrationPlan, model: ModelProfile, rate_ul_per_h: float, *, step_volume_nl: float | None = None
) -> RunPlan:
    """What a rate comes to on a pump that is calibrated to a step volume, the model's own without one."""
    step_nl = step_volume_nl if step_volume_nl is not None else model.step_volume_nl
    revolution_ul = step_nl * model.steps_per_revolution / 1000.0
    revolution_s = 3600.0 * revolution_ul / rate_ul_per_h
    end_revolutions = max(1, math.ceil(LEAST_END_S / revolution_s))
    while math.gcd(end_revolutions * model.rollers, plan.window.end_readings) > 1:
        end_revolutions += 1
    least_s = max(
        plan.window.least_min * 60.0,
        3600.0 * plan.window.least_mass_mg / (NOMINAL_DENSITY_MG_PER_UL * rate_ul_per_h),
    )
    low = rate_ul_per_h * HOURS_PER_DAY / 1000.0 < plan.zero.low_rate_below_ml_per_day
    zero_min = plan.zero.low_rate_length_min if low else plan.zero.length_min
    return RunPlan(
        rate_ul_per_h,
        revolution_s,
        end_revolutions,
        max(end_revolutions, math.ceil(least_s / revolution_s)),
        zero_min * 60.0,
    )


def balanced_order(n_rates: int, repeats: int, rng: random.Random) -> list[tuple[int, int]]:
    """(rate index, repeat) in the order to run: each repeat is a block of all rates, a cyclic shift of a random order.

    With as many repeats as rates every rate stands once at every place of the block, so a drift through the block
    favours none. No rate follows itself, for neighbours share a zero segment; two rates therefore alternate.
    """
    base = list(range(n_rates))
    rng.shuffle(base)
    shifts = [index % n_rates for index in range(repeats)]
    for _ in range(ORDER_DRAWS):
        rng.shuffle(shifts)
        if n_rates == 1 or all((one - 1) % n_rates != other for one, other in pairwise(shifts)):
            break
    else:
        shifts = [0] * repeats
    return [(rate, repeat) for repeat, shift in enumerate(shifts) for rate in base[shift:] + base[:shift]]


def check_feasible(
    plan: FlowCalibrationPlan, rig: RigFile, model: ModelProfile, *, reservoir_ul: float | None = None
) -> None:
    """Refuse what the station cannot do, before anything moves; all reasons at once.

    `reservoir_ul` is what the pump itself reports to hold; a full reservoir without it.

    Raises:
        SetupRefused: a rate outside the model's range; more than reservoir, vessel or balance hold; a vessel that
            loses too much for the lowest rate; a low-rate run too long, or through silicone; drops too large for a
            window.
    """
    reasons = [
        f"rate {_ml_per_day(rate)} mL/day is outside the range of {model.name}, "
        f"{_ml_per_day(model.rate_min_ul_per_h)} to {_ml_per_day(model.rate_max_ul_per_h)} mL/day"
        for rate in plan.rates_ul_per_h
        if not model.rate_min_ul_per_h * (1 - 1e-9) <= rate <= model.rate_max_ul_per_h * (1 + 1e-9)
    ]
    needed_ml = needed_volume_ul(plan, rig, model) / 1000.0
    held_ul = model.reservoir_volume_ul if reservoir_ul is None else min(reservoir_ul, model.reservoir_volume_ul)
    usable_ml = max(0.0, held_ul - model.reservoir_alarm_ul) / 1000.0
    if needed_ml > usable_ml:
        reasons.append(
            f"the plan needs {needed_ml:.2f} mL, the reservoir gives {usable_ml:.2f} mL before its alarm; "
            "plan fewer repeats or less mass a window"
        )
    room_ml = rig.vessel.capacity_ml - rig.vessel.contents_ml
    if needed_ml > room_ml:
        reasons.append(f"the plan needs {needed_ml:.2f} mL, the vessel has room for {room_ml:.2f} mL; empty it first")
    load_g = rig.vessel.glass_mass_g + rig.vessel.contents_ml + needed_ml + rig.check_weight.conventional_mass_g
    if load_g > rig.balance.capacity_g:
        reasons.append(
            f"vessel, liquid and check weight come to {load_g:.1f} g, the balance weighs "
            f"{rig.balance.capacity_g:.1f} g; take a smaller vessel or check weight"
        )
    reasons += _low_rate_reasons(plan, rig, model)
    lowest = min(plan.rates_ul_per_h)
    loss_mg_per_h = vessel_loss_mg_per_h(rig)
    flow_mg_per_h = lowest * NOMINAL_DENSITY_MG_PER_UL
    if loss_mg_per_h > model.accuracy_limit_pct / 100.0 * flow_mg_per_h:
        reasons.append(
            f"the vessel ({rig.vessel.cover}) loses about {loss_mg_per_h:.1f} mg/h by evaporation, at "
            f"{_ml_per_day(lowest)} mL/day the pump gives {flow_mg_per_h:.1f} mg/h; "
            "cover the liquid with an oil film or an evaporation trap"
        )
    if rig.outlet.drop_volume_ul is not None:
        drop_ul = drop_standard_uncertainty_ul(rig.outlet.drop_volume_ul)
        reasons += [
            f"at {_ml_per_day(rate)} mL/day a window of {window_ul:.1f} µL is too short for drops of "
            f"{rig.outlet.drop_volume_ul:g} µL: they alone are uncertain by {100.0 * drop_ul / window_ul:.1f} % of it; "
            "immerse the outlet, or plan more mass a window"
            for rate in plan.rates_ul_per_h
            if drop_ul
            > DROP_SHARE_OF_LIMIT * model.accuracy_limit_pct / 100.0 * (window_ul := _window_ul(plan, model, rate))
        ]
    if reasons:
        raise SetupRefused("\n".join(reasons))


def _low_rate_reasons(plan: FlowCalibrationPlan, rig: RigFile, model: ModelProfile) -> list[str]:
    low = [rate for rate in plan.rates_ul_per_h if rate * HOURS_PER_DAY / 1000.0 < LOW_RATE_ML_PER_DAY]
    reasons = [
        f"at {_ml_per_day(rate)} mL/day a run takes {flow_s / 3600.0:.1f} h; below {LOW_RATE_ML_PER_DAY:g} mL/day "
        f"there must be a zero segment every {LONGEST_LOW_RATE_FLOW_S / 3600.0:g} h: plan less mass a window"
        for rate in low
        if (flow_s := run_plan(plan, model, rate).flow_s) > LONGEST_LOW_RATE_FLOW_S
    ]
    if low and "silicone" in rig.tubing.material.casefold():
        reasons.append(
            "silicone tubing loses liquid through its wall, unseen by zero segments; "
            f"below {LOW_RATE_ML_PER_DAY:g} mL/day take PEEK, FEP or glass"
        )
    return reasons


def _window_ul(plan: FlowCalibrationPlan, model: ModelProfile, rate_ul_per_h: float) -> float:
    return rate_ul_per_h * run_plan(plan, model, rate_ul_per_h).window_s / 3600.0


def needed_volume_ul(plan: FlowCalibrationPlan, rig: RigFile, model: ModelProfile) -> float:
    """Liquid that the whole plan moves at most, in µL: windows, settling, and what randomises the rotor phase."""
    settling_s = plan.settling.time_constants * rig.tubing.time_constant_s
    revolution_ul = model.step_volume_nl * model.steps_per_revolution / 1000.0
    each = [
        run_plan(plan, model, rate).volume_ul + rate * settling_s / 3600.0 + 2.0 * revolution_ul
        for rate in plan.rates_ul_per_h
    ]
    return math.fsum(each) * (plan.repeats + plan.as_left_repeats)


def vessel_loss_mg_per_h(rig: RigFile) -> float:
    """What the vessel is planned to lose: the station's own figure, for an open one at least the diffusive loss."""
    if rig.vessel.cover != "open":
        return rig.vessel.evaporation_mg_per_h
    area_cm2 = math.pi / 4.0 * (rig.vessel.inner_diameter_mm / 10.0) ** 2
    open_mg_per_h = area_cm2 * evaporation_open_mg_per_h_per_cm2(20.0, 50.0, rig.vessel.air_column_mm)
    return max(rig.vessel.evaporation_mg_per_h, open_mg_per_h)


def _ml_per_day(rate_ul_per_h: float) -> str:
    return f"{rate_ul_per_h * HOURS_PER_DAY / 1000.0:g}"
