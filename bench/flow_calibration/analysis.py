"""From the runs to what is stated: mean error and budget at each rate, the fit, and the check of what is left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.flow_calibration.common_inputs import CommonInput, common_inputs
from bench.flow_calibration.plan import FlowCalibrationPlan
from bench.flow_calibration.reduction import (
    ALL_CORRECTIONS,
    Corrections,
    FloatArray,
    Reduced,
)
from bench.flow_calibration.result import AsLeftCheck, BudgetRow, Fit, RateResult, RunResult
from bench.metrology import (
    CalibrationFit,
    Combined,
    Input,
    Verdict,
    combine,
    drop_standard_uncertainty_ul,
    fit_calibration,
    guard_band,
    judge,
    meniscus_mg,
)
from bench.rigfile import RigFile
from protocol.profile import ModelProfile

REPEATABILITY = "repeatability"
OFFSET_LEVEL = 0.01


def rate_results(
    reduced: Reduced,
    stage: str,
    file: RigFile,
    model: ModelProfile,
    *,
    pooled_with: Sequence[RateResult] = (),
) -> tuple[RateResult, ...]:
    """The unit's mean error at each rate of a stage, lowest rate first.

    The scatter of the repeats is type A and holds pump, balance noise, zero slope and meniscus alike; those are listed
    in the budget, and not added to it. `pooled_with` are the same rates measured before: their scatter is pooled.
    """
    rates = sorted({run.rate_ul_per_h for run in reduced.runs if run.stage == stage})
    earlier = {result.rate_ul_per_h: result for result in pooled_with}
    results = []
    for rate in rates:
        runs = tuple(run for run in reduced.runs if run.stage == stage and run.rate_ul_per_h == rate)
        results.append(_rate_result(runs, reduced, file, model, earlier.get(rate)))
    return tuple(results)


def unit_verdict(error_pct: float, standard_uncertainty_pct: float, model: ModelProfile) -> Verdict:
    """This unit against the limit of its model: INCONCLUSIVE where that is a claim on a population, whatever the error.

    A share of all units may err more than such a limit, so one that does breaks no claim, and one that does not proves
    none.
    """
    if model.accuracy_claim == "population":
        return Verdict.INCONCLUSIVE
    return judge(error_pct, standard_uncertainty_pct, model.accuracy_limit_pct)


def claim_remarks(model: ModelProfile) -> list[str]:
    """Why no verdict can be given on a unit of this model, and what would let one be; empty where one can."""
    if model.accuracy_claim != "population":
        return []
    remark = (
        f"the limit of {model.accuracy_limit_pct:g} % is claimed for a population of {model.name}, and no single unit "
        "is held against it: error and uncertainty are this unit's, PASS or FAIL is not said; to judge it, name a "
        'model file with the limit of each unit, accuracy_claim = "unit"'
    )
    return [remark]


def fit_factor(
    as_found: Sequence[RateResult],
    file: RigFile,
    plan: FlowCalibrationPlan,
    *,
    corrections: Corrections = ALL_CORRECTIONS,
) -> tuple[Fit, CalibrationFit]:
    """Fit delivered over set rate, with weights from the plan's expected scatter; for the result, and whole."""
    fit = fit_calibration(
        [rate.rate_ul_per_h for rate in as_found],
        [1.0 + rate.error_pct / 100.0 for rate in as_found],
        planned_standard_uncertainties=[_planned(rate, plan) for rate in as_found],
        type_a_standard_uncertainties=[_type_a(rate) / 100.0 for rate in as_found],
        type_a_dof=[len(rate.runs) - 1 for rate in as_found],
        common_covariance=_common_covariance(as_found, file, corrections),
        offset_level=OFFSET_LEVEL,
    )
    both = fit.with_offset if fit.with_offset is not None else fit.without_offset
    factor = fit.without_offset.predict(as_found[0].rate_ul_per_h)
    lack = fit.without_offset.lack_of_fit
    covariance = both.covariance
    return Fit(
        slope=both.slope,
        slope_standard_uncertainty=math.sqrt(covariance[0, 0]),
        offset_ul_per_h=both.offset_ul_per_h,
        offset_standard_uncertainty_ul_per_h=math.sqrt(covariance[1, 1]),
        offset_p_value=fit.offset_test.p_value if fit.offset_test is not None else None,
        offset_is_significant=fit.offset_significant,
        lack_of_fit_p_value=lack.p_value if lack is not None else None,
        factor=fit.without_offset.slope,
        factor_standard_uncertainty=factor.standard_uncertainty,
        factor_dof=_finite(factor.dof),
        factor_expanded_uncertainty=factor.expanded_uncertainty,
    ), fit


def check_as_left(
    as_left: Sequence[RateResult], as_found: Sequence[RateResult], fit: CalibrationFit, file: RigFile
) -> tuple[AsLeftCheck, ...]:
    """The error left at each rate against U_cal and U_ver together, less what calibration and verification share."""
    weights = fit.without_offset.jacobian[0]
    found_effects = _effects(as_found, file)
    left_effects = _effects(as_left, file)
    found_type_a = [_type_a(rate) for rate in as_found]
    checks = []
    for rate, effects in zip(as_left, left_effects, strict=True):
        unshared = effects - weights @ found_effects
        inputs = [
            Input(f"calibration at {found.rate_ul_per_h:g}", type_a, float(weight), dof=len(found.runs) - 1)
            for found, type_a, weight in zip(as_found, found_type_a, weights, strict=True)
        ]
        inputs.append(Input("verification", _type_a(rate), dof=_pooled_dof(rate, as_found)))
        inputs += [
            Input(f"unshared {index}", 1.0, float(effect)) for index, effect in enumerate(unshared) if effect != 0.0
        ]
        combined = combine(inputs)
        calibration = fit.without_offset.predict(rate.rate_ul_per_h)
        checks.append(
            AsLeftCheck(
                rate_ul_per_h=rate.rate_ul_per_h,
                error_pct=rate.error_pct,
                calibration_expanded_uncertainty_pct=100.0 * calibration.expanded_uncertainty,
                standard_uncertainty_pct=combined.standard_uncertainty,
                dof=_finite(combined.dof),
                expanded_uncertainty_pct=combined.expanded_uncertainty,
                p_value=_p_value(rate.error_pct / combined.standard_uncertainty, combined.dof),
                agrees=-combined.expanded_uncertainty <= rate.error_pct <= combined.expanded_uncertainty,
            )
        )
    return tuple(checks)


def _rate_result(
    runs: tuple[RunResult, ...],
    reduced: Reduced,
    file: RigFile,
    model: ModelProfile,
    earlier: RateResult | None,
) -> RateResult:
    errors = [run.error_pct for run in runs]
    count = len(errors)
    mean = math.fsum(errors) / count
    squares, dof = math.fsum((error - mean) ** 2 for error in errors), count - 1
    if earlier is not None:
        squares += earlier.repeatability_pct**2 * (len(earlier.runs) - 1)
        dof += len(earlier.runs) - 1
    repeatability = math.sqrt(squares / dof)
    inputs = [
        Input(REPEATABILITY, repeatability / math.sqrt(count), dof=dof),
        *_contained(runs, reduced, file),
        *_hanging_drop(runs, file),
        *(Input(item.name, 1.0, item.effect_pct) for item in common_inputs(file, runs)),
    ]
    combined = combine(inputs)
    u = combined.standard_uncertainty
    return RateResult(
        stage=runs[0].stage,
        rate_ul_per_h=runs[0].rate_ul_per_h,
        error_pct=mean,
        repeatability_pct=repeatability,
        standard_uncertainty_pct=u,
        dof=_finite(combined.dof),
        coverage_factor=combined.coverage_factor,
        expanded_uncertainty_pct=combined.expanded_uncertainty,
        method=combined.method,
        limit_pct=model.accuracy_limit_pct,
        guard_band_pct=guard_band(u),
        verdict=unit_verdict(mean, u, model),
        budget=_rows(combined),
        runs=runs,
    )


def _contained(runs: tuple[RunResult, ...], reduced: Reduced, file: RigFile) -> list[Input]:
    """What the scatter of the repeats already holds, as standard uncertainties of the mean of the repeats."""
    root = math.sqrt(len(runs))
    mass_mg = math.fsum(run.mass_change_mg for run in runs) / len(runs)
    slope_mg = [run.zero_slope_standard_uncertainty_mg_per_h * (run.end_s - run.start_s) / 3600.0 for run in runs]
    zero_mg = math.sqrt(math.fsum(value**2 for value in slope_mg) / len(runs))
    hours = math.fsum(run.end_s - run.start_s for run in runs) / len(runs) / 3600.0
    listed = [
        ("zero slope", zero_mg),
        ("balance drift in the run", reduced.noise.walk_mg_per_sqrt_s * math.sqrt(3600.0 * hours)),
        ("time stamps", _time_stamps_mg(runs)),
        ("readability", file.balance.readability_mg / math.sqrt(6.0)),
    ]
    if file.outlet.kind == "immersed":
        jump_mg = min(file.outlet.meniscus_jump_mg, meniscus_mg(file.outlet.needle_diameter_mm))
        listed.append(("meniscus on the needle", jump_mg / math.sqrt(6.0)))
    return [
        Input(name, 100.0 * uncertainty_mg / mass_mg / root, contained_in=REPEATABILITY)
        for name, uncertainty_mg in listed
    ]


def _hanging_drop(runs: tuple[RunResult, ...], file: RigFile) -> list[Input]:
    """A drop outlet delivers whole drops: repeats that count the same number all err by the same part of a drop."""
    if file.outlet.drop_volume_ul is None:
        return []
    volume_ul = math.fsum(run.commanded_ul for run in runs) / len(runs)
    drop_pct = 100.0 * drop_standard_uncertainty_ul(file.outlet.drop_volume_ul) / volume_ul
    return [Input("hanging drop", drop_pct, distribution="triangular")]


def _time_stamps_mg(runs: tuple[RunResult, ...]) -> float:
    """Mass that flows in the standard uncertainty of both ends' time stamps, rectangular in the round trip."""
    flow_mg_per_s = math.fsum(run.mass_change_mg / (run.end_s - run.start_s) for run in runs) / len(runs)
    half_width_s = math.fsum(run.time_half_width_s for run in runs) / len(runs)
    return flow_mg_per_s * half_width_s * math.sqrt(2.0 / 3.0)


def _rows(combined: Combined) -> tuple[BudgetRow, ...]:
    return tuple(
        BudgetRow(
            name=row.input.name,
            standard_uncertainty_pct=math.fabs(row.input.contribution),
            distribution=row.input.distribution,
            dof=_finite(row.input.dof),
            share_pct=100.0 * row.share if row.input.contained_in is None else None,
            contained_in=row.input.contained_in,
        )
        for row in combined.rows
    )


def _type_a(rate: RateResult) -> float:
    return rate.repeatability_pct / math.sqrt(len(rate.runs))


def _pooled_dof(rate: RateResult, as_found: Sequence[RateResult]) -> int:
    same = [found for found in as_found if found.rate_ul_per_h == rate.rate_ul_per_h]
    return len(rate.runs) - 1 + sum(len(found.runs) - 1 for found in same)


def _planned(rate: RateResult, plan: FlowCalibrationPlan) -> float:
    mass_mg = math.fsum(run.mass_change_mg for run in rate.runs) / len(rate.runs)
    one = math.hypot(plan.expected.pump_repeatability_pct / 100.0, plan.expected.reading_mg / mass_mg)
    return one / math.sqrt(len(rate.runs))


def _effects(rates: Sequence[RateResult], file: RigFile) -> FloatArray:
    """Effect of each common input on each rate, in percent: rates × inputs."""
    rows: list[Sequence[CommonInput]] = [common_inputs(file, rate.runs) for rate in rates]
    return np.array([[item.effect_pct for item in row] for row in rows])


def _common_covariance(rates: Sequence[RateResult], file: RigFile, corrections: Corrections) -> FloatArray:
    effects = _effects(rates, file) / 100.0
    if not corrections.common_covariance:
        return np.zeros((len(rates), len(rates)))
    covariance: FloatArray = effects @ effects.T
    return covariance


def _p_value(t: float, dof: float) -> float:
    """Probability of a deviation of at least |t| standard uncertainties to either side, by Student's t."""
    from scipy.special import stdtr

    return 2.0 * float(stdtr(dof, -math.fabs(t)))


def _finite(dof: float) -> float | None:
    return dof if math.isfinite(dof) else None
