"""Calibration fit over the rates: relative measured rate y = b + a/x, with slope b, offset a and their covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.metrology._checks import FloatArray, require_positive
from bench.metrology.budget import coverage_factor, truncate_dof, welch_satterthwaite

OFFSET_SIGNIFICANCE_LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class LackOfFit:
    """Scatter of the means about the curve against the scatter of the repeats: an F statistic with its p-value."""

    statistic: float
    dof_numerator: float
    dof_denominator: float
    p_value: float


@dataclass(frozen=True, slots=True)
class OffsetTest:
    """Whether the offset differs from zero: t = |a|/u(a), random and common part in u(a), against Student's t."""

    t: float
    dof: float
    p_value: float
    level: float
    significant: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """Relative rate (delivered over commanded) that the fit gives at one commanded rate."""

    rate_ul_per_h: float
    relative_rate: float
    random_standard_uncertainty: float
    common_standard_uncertainty: float
    standard_uncertainty: float
    dof: float
    coverage_factor: float
    expanded_uncertainty: float


@dataclass(frozen=True, slots=True, eq=False)
class RateModel:
    """One fitted model. Matrices stand for (slope, offset in µL/h); a model without offset has zeros there."""

    slope: float
    offset_ul_per_h: float
    n_parameters: int
    covariance_random: FloatArray
    covariance_common: FloatArray
    jacobian: FloatArray
    type_a_standard_uncertainties: FloatArray
    type_a_dof: FloatArray
    lack_of_fit: LackOfFit | None

    @property
    def covariance(self) -> FloatArray:
        """Random and common part together."""
        return self.covariance_random + self.covariance_common

    def predict(self, rate_ul_per_h: float) -> Prediction:
        """Relative rate at a commanded rate, with its uncertainty split into random and common part.

        Degrees of freedom are Welch–Satterthwaite's over the rates' repeats; the common part counts as exactly known.

        Raises:
            ValueError: a rate that is not above zero.
        """
        require_positive("rate_ul_per_h", rate_ul_per_h)
        direction = np.array([1.0, 1.0 / rate_ul_per_h])
        random = self._random_parts(direction)
        common = max(0.0, float(direction @ self.covariance_common @ direction))
        variance = math.fsum(random) + common
        dof = truncate_dof(welch_satterthwaite([*random, common], [*self.type_a_dof.tolist(), math.inf]))
        factor = coverage_factor(dof)
        return Prediction(
            rate_ul_per_h=rate_ul_per_h,
            relative_rate=self.slope + self.offset_ul_per_h / rate_ul_per_h,
            random_standard_uncertainty=math.sqrt(math.fsum(random)),
            common_standard_uncertainty=math.sqrt(common),
            standard_uncertainty=math.sqrt(variance),
            dof=dof,
            coverage_factor=factor,
            expanded_uncertainty=factor * math.sqrt(variance),
        )

    def _random_parts(self, direction: FloatArray) -> list[float]:
        parts: list[float] = ((direction @ self.jacobian * self.type_a_standard_uncertainties) ** 2).tolist()
        return parts


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFit:
    """Both models of a calibration. With a single rate there is no `with_offset` and no `offset_test`."""

    with_offset: RateModel | None
    without_offset: RateModel
    offset_test: OffsetTest | None

    @property
    def offset_significant(self) -> bool:
        """Whether one factor cannot describe the pump; then none is proposed."""
        return self.offset_test is not None and self.offset_test.significant

    @property
    def chosen(self) -> RateModel:
        """The model with offset where the offset is significant, the one-parameter refit otherwise."""
        if self.with_offset is not None and self.offset_significant:
            return self.with_offset
        return self.without_offset


def fit_calibration(
    rates_ul_per_h: npt.ArrayLike,
    relative_rates: npt.ArrayLike,
    *,
    planned_standard_uncertainties: npt.ArrayLike,
    type_a_standard_uncertainties: npt.ArrayLike,
    type_a_dof: npt.ArrayLike,
    common_covariance: npt.ArrayLike,
    offset_level: float = OFFSET_SIGNIFICANCE_LEVEL,
) -> CalibrationFit:
    """Fit y = b + a/x and y = b to the means per rate, with weights fixed before the measurement.

    Weights are 1/planned². Weights from the observed scatter of a few repeats would make the fit look better than it
    is (Meier 1953). The estimates are linear, J·y, and their covariance is J·(diag(u_A²) + Σ_common)·Jᵀ with the
    observed u_A, whatever the weights.

    Args:
        rates_ul_per_h: commanded rates x, in µL/h, all different.
        relative_rates: mean of delivered over commanded rate at each.
        planned_standard_uncertainties: of those means, as expected when the run was planned.
        type_a_standard_uncertainties: of those means, from the scatter of the repeats.
        type_a_dof: degrees of freedom of each, or one number for all.
        common_covariance: covariance matrix of the means from what the repeats share.
        offset_level: level at which the offset counts as significant.

    Raises:
        ValueError: lengths that differ, rates that repeat, numbers out of their domain, or a common covariance that is
            not symmetric and positive semidefinite.
    """
    rates = _row("rates_ul_per_h", rates_ul_per_h, len(np.atleast_1d(rates_ul_per_h)))
    n = len(rates)
    measured = _row("relative_rates", relative_rates, n)
    planned = _row("planned_standard_uncertainties", planned_standard_uncertainties, n)
    type_a = _row("type_a_standard_uncertainties", type_a_standard_uncertainties, n)
    dof = _row("type_a_dof", np.broadcast_to(np.asarray(type_a_dof, dtype=np.float64), (n,)), n, finite=False)
    common = _covariance(common_covariance, n)
    if n == 0 or (rates <= 0.0).any() or len(np.unique(rates)) != n:
        raise ValueError("rates_ul_per_h must hold at least one rate, all above zero and each once: pool its repeats")
    if (planned <= 0.0).any():
        raise ValueError("planned_standard_uncertainties must all be above zero: they fix the weights")
    if (type_a < 0.0).any() or not (dof >= 1.0).all():
        raise ValueError("type_a_standard_uncertainties must not be negative, and type_a_dof must be 1 or more")
    if not 0.0 < offset_level < 1.0:
        raise ValueError(f"offset_level must lie between 0 and 1, got {offset_level}")
    design = np.stack((np.ones(n), 1.0 / rates), axis=1)
    without = _solve(design[:, :1], measured, planned, type_a, dof, common)
    if n == 1:
        return CalibrationFit(None, without, None)
    with_offset = _solve(design, measured, planned, type_a, dof, common)
    return CalibrationFit(with_offset, without, _test_offset(with_offset, offset_level))


def _solve(
    design: FloatArray,
    measured: FloatArray,
    planned: FloatArray,
    type_a: FloatArray,
    dof: FloatArray,
    common: FloatArray,
) -> RateModel:
    n, n_parameters = design.shape
    scaled = design / planned[:, None]
    estimator = np.linalg.pinv(scaled) / planned
    jacobian = np.zeros((2, n))
    jacobian[:n_parameters] = estimator
    parameters = jacobian @ measured
    return RateModel(
        slope=float(parameters[0]),
        offset_ul_per_h=float(parameters[1]),
        n_parameters=n_parameters,
        covariance_random=(jacobian * type_a**2) @ jacobian.T,
        covariance_common=jacobian @ common @ jacobian.T,
        jacobian=jacobian,
        type_a_standard_uncertainties=type_a,
        type_a_dof=dof,
        lack_of_fit=_lack_of_fit(np.eye(n) - design @ estimator, measured, planned, type_a, dof, n_parameters),
    )


def _lack_of_fit(
    residual_maker: FloatArray,
    measured: FloatArray,
    planned: FloatArray,
    type_a: FloatArray,
    dof: FloatArray,
    n_parameters: int,
) -> LackOfFit | None:
    """Box's approximate F test: weighted residuals against what the repeats' scatter, propagated, would give.

    Both degrees of freedom are Satterthwaite's, so it holds its level when the plan was wrong and u_A² has few degrees
    of freedom; a χ² test with the observed u_A would reject one good fit in five.
    """
    if len(measured) <= n_parameters or not type_a.any():
        return None
    weighted = residual_maker / planned[:, None]
    residuals = weighted @ measured
    form = weighted.T @ weighted
    parts = np.diag(form) * type_a**2
    expected = float(parts.sum())
    scaled = form * type_a**2
    dof_numerator = expected * expected / float(np.sum(scaled * scaled.T))
    dof_denominator = welch_satterthwaite(parts.tolist(), dof.tolist())
    statistic = float(residuals @ residuals) / expected
    from scipy.special import fdtrc

    p_value = float(fdtrc(dof_numerator, min(dof_denominator, 1e9), statistic))
    return LackOfFit(statistic, dof_numerator, dof_denominator, p_value)


def _test_offset(model: RateModel, level: float) -> OffsetTest:
    random = model._random_parts(np.array([0.0, 1.0]))
    common = max(0.0, float(model.covariance_common[1, 1]))
    standard_uncertainty = math.sqrt(math.fsum(random) + common)
    dof = welch_satterthwaite([*random, common], [*model.type_a_dof.tolist(), math.inf])
    if standard_uncertainty == 0.0:
        raise ValueError("the offset has no uncertainty at all; give type A uncertainties or a common covariance")
    t = abs(model.offset_ul_per_h) / standard_uncertainty
    from scipy.special import stdtr

    p_value = 2.0 * float(stdtr(dof, -t))
    return OffsetTest(t, dof, p_value, level, p_value < level)


def _row(name: str, values: npt.ArrayLike, n: int, *, finite: bool = True) -> FloatArray:
    row = np.array(values, dtype=np.float64)
    if row.shape != (n,):
        raise ValueError(f"{name} must be a row of {n} numbers, one for each rate, got shape {row.shape}")
    if finite and not np.isfinite(row).all():
        raise ValueError(f"{name} must be finite throughout, got {row.tolist()}")
    return row


def _covariance(values: npt.ArrayLike, n: int) -> FloatArray:
    matrix = np.array(values, dtype=np.float64)
    if matrix.shape != (n, n):
        raise ValueError(f"common_covariance must be {n} by {n}, got shape {matrix.shape}")
    size = float(np.abs(matrix).max(initial=0.0))
    if not math.isfinite(size):
        raise ValueError("common_covariance must be finite throughout")
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12 * size):
        raise ValueError("common_covariance must be symmetric")
    if size > 0.0 and float(np.linalg.eigvalsh(matrix)[0]) < -1e-9 * size * n:
        raise ValueError("common_covariance must be positive semidefinite: build it as J·diag(u²)·Jᵀ of shared inputs")
    return matrix
