"""Calibration fit: exact on exact data, honest by simulation, and dumb towards the scatter it sees."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrology import CalibrationFit, fit_calibration

RATES_UL_PER_H = np.array([2.0, 8.0, 40.0, 200.0, 1000.0])
PLANNED = np.array([0.01, 0.005, 0.003, 0.002, 0.002])
REPEATS = 5


def fit(relative_rates: Any, **changes: Any) -> CalibrationFit:
    n = len(relative_rates)
    arguments: dict[str, Any] = {
        "planned_standard_uncertainties": PLANNED[:n],
        "type_a_standard_uncertainties": PLANNED[:n],
        "type_a_dof": REPEATS - 1,
        "common_covariance": np.zeros((n, n)),
    }
    return fit_calibration(RATES_UL_PER_H[:n], relative_rates, **(arguments | changes))


@settings(deadline=None)
@given(st.floats(0.8, 1.2), st.floats(-0.5, 0.5))
def test_a_pump_with_slope_and_offset_is_recovered(slope: float, offset_ul_per_h: float) -> None:
    model = fit(slope + offset_ul_per_h / RATES_UL_PER_H).with_offset
    assert model is not None
    assert model.slope == pytest.approx(slope, rel=1e-9)
    assert model.offset_ul_per_h == pytest.approx(offset_ul_per_h, abs=1e-9)
    assert model.predict(2.0).relative_rate == pytest.approx(slope + offset_ul_per_h / 2.0)


def test_covariance_is_the_propagated_random_part_plus_the_common_part() -> None:
    gains = np.outer(np.full(5, 0.002), np.full(5, 0.002))
    model = fit(np.ones(5), type_a_standard_uncertainties=2.0 * PLANNED, common_covariance=gains).with_offset
    assert model is not None
    design = np.stack((np.ones(5), 1.0 / RATES_UL_PER_H), axis=1)
    weights = np.diag(PLANNED**-2.0)
    jacobian = np.linalg.solve(design.T @ weights @ design, design.T @ weights)
    assert model.covariance_random == pytest.approx(jacobian @ np.diag((2.0 * PLANNED) ** 2) @ jacobian.T)
    assert model.covariance_common == pytest.approx(jacobian @ gains @ jacobian.T, abs=1e-15)
    assert model.covariance == pytest.approx(model.covariance_random + model.covariance_common)


def test_a_common_gain_error_goes_into_the_slope_whole_and_into_no_offset() -> None:
    result = fit(np.ones(5), common_covariance=np.full((5, 5), 0.003**2))
    assert result.with_offset is not None
    assert result.with_offset.covariance_common[0, 0] == pytest.approx(0.003**2)
    assert result.with_offset.covariance_common[1, 1] == pytest.approx(0.0, abs=1e-12)
    for model in (result.with_offset, result.without_offset):
        for rate_ul_per_h in (1.0, 2000.0):
            prediction = model.predict(rate_ul_per_h)
            assert prediction.common_standard_uncertainty == pytest.approx(0.003)
            assert prediction.standard_uncertainty == pytest.approx(
                math.hypot(prediction.random_standard_uncertainty, 0.003)
            )


def test_the_observed_scatter_changes_the_uncertainty_and_never_the_estimate() -> None:
    measured = np.array([1.02, 1.001, 1.004, 0.999, 1.001])
    one = fit(measured).without_offset
    other = fit(measured, type_a_standard_uncertainties=PLANNED * np.array([0.1, 3.0, 1.0, 0.2, 2.0])).without_offset
    assert other.slope == one.slope
    assert other.covariance[0, 0] != one.covariance[0, 0]


def test_an_insignificant_offset_is_left_out_by_a_refit() -> None:
    measured = np.array([1.005, 1.001, 1.002, 1.0, 1.001])
    result = fit(measured)
    assert not result.offset_significant
    assert result.chosen is result.without_offset
    weights = PLANNED**-2.0
    assert result.chosen.slope == pytest.approx(float(np.sum(weights * measured) / np.sum(weights)))
    assert result.chosen.offset_ul_per_h == 0.0
    assert result.chosen.predict(2.0).relative_rate == result.chosen.predict(1000.0).relative_rate


def test_a_significant_offset_stays() -> None:
    result = fit(1.0 + 0.2 / RATES_UL_PER_H)
    assert result.offset_significant
    assert result.chosen is result.with_offset
    assert result.offset_test is not None
    assert result.offset_test.p_value < result.offset_test.level == 0.01


def test_an_offset_that_a_common_zero_error_explains_is_not_significant() -> None:
    measured = 1.0 + 0.2 / RATES_UL_PER_H
    zero_error = np.outer(0.2 / RATES_UL_PER_H, 0.2 / RATES_UL_PER_H)
    assert fit(measured).offset_significant
    assert not fit(measured, common_covariance=zero_error).offset_significant


def test_offset_and_lack_of_fit_keep_their_levels_when_the_plan_was_wrong_and_repeats_are_few() -> None:
    rng = np.random.default_rng(31)
    truth = PLANNED * np.array([0.5, 1.5, 1.0, 0.6, 2.0])
    offsets, lacks, naive = [], [], []
    for _ in range(1500):
        repeats = 1.0 + truth[:, None] * math.sqrt(REPEATS) * rng.standard_normal((5, REPEATS))
        observed = repeats.std(axis=1, ddof=1) / math.sqrt(REPEATS)
        result = fit(repeats.mean(axis=1), type_a_standard_uncertainties=observed)
        assert result.offset_test is not None
        assert result.with_offset is not None
        lack = result.with_offset.lack_of_fit
        assert lack is not None
        offsets.append(result.offset_test.p_value < 0.05)
        lacks.append(lack.p_value < 0.05)
        model = result.with_offset
        residuals = repeats.mean(axis=1) - model.slope - model.offset_ul_per_h / RATES_UL_PER_H
        naive.append(float(np.sum((residuals / observed) ** 2)) > 7.815)
    assert np.mean(offsets) == pytest.approx(0.05, abs=0.02)
    assert np.mean(lacks) == pytest.approx(0.05, abs=0.025)
    assert np.mean(naive) > 0.15


def test_a_curve_that_is_no_line_in_one_over_rate_is_found() -> None:
    bent = 1.0 + np.array([0.0, 0.03, 0.0, -0.03, 0.03])
    model = fit(bent).with_offset
    assert model is not None
    assert model.lack_of_fit is not None
    assert model.lack_of_fit.p_value < 0.001


def test_common_uncertainty_excuses_no_lack_of_fit() -> None:
    bent = 1.0 + np.array([0.0, 0.03, 0.0, -0.03, 0.03])
    assert fit(bent).with_offset is not None
    lacks = [fit(bent, common_covariance=common).without_offset.lack_of_fit for common in (np.zeros((5, 5)), np.eye(5))]
    assert lacks[0] == lacks[1]


def test_intervals_of_the_prediction_cover_and_a_zero_common_covariance_does_not() -> None:
    rng = np.random.default_rng(32)
    common = np.full((5, 5), 0.004**2) + np.outer(0.03 / RATES_UL_PER_H, 0.03 / RATES_UL_PER_H)
    root = np.linalg.cholesky(common + 1e-15 * np.eye(5))
    held: list[bool] = []
    held_without: list[bool] = []
    for _ in range(1000):
        truth = 0.98 + 0.05 / RATES_UL_PER_H
        repeats = truth[:, None] + PLANNED[:, None] * math.sqrt(REPEATS) * rng.standard_normal((5, REPEATS))
        means = repeats.mean(axis=1) + root @ rng.standard_normal(5)
        observed = repeats.std(axis=1, ddof=1) / math.sqrt(REPEATS)
        for matrix, results in ((common, held), (np.zeros((5, 5)), held_without)):
            model = fit(means, type_a_standard_uncertainties=observed, common_covariance=matrix).with_offset
            assert model is not None
            prediction = model.predict(40.0)
            error = prediction.relative_rate - (0.98 + 0.05 / 40.0)
            results.append(abs(error) <= prediction.expanded_uncertainty)
    assert np.mean(held) == pytest.approx(0.95, abs=0.022)
    assert np.mean(held_without) < 0.6


@settings(deadline=None)
@given(st.permutations(range(5)), st.floats(0.01, 100.0))
def test_neither_the_order_of_the_rates_nor_the_unit_of_the_weights_matters(order: list[int], factor: float) -> None:
    measured = np.array([1.02, 1.001, 1.004, 0.999, 1.001])
    plain = fit(measured).with_offset
    other = fit_calibration(
        RATES_UL_PER_H[order],
        measured[order],
        planned_standard_uncertainties=factor * PLANNED[order],
        type_a_standard_uncertainties=PLANNED[order],
        type_a_dof=4,
        common_covariance=np.zeros((5, 5)),
    ).with_offset
    assert plain is not None
    assert other is not None
    assert other.slope == pytest.approx(plain.slope)
    assert other.offset_ul_per_h == pytest.approx(plain.offset_ul_per_h)
    assert other.covariance == pytest.approx(plain.covariance)
    assert plain.lack_of_fit is not None
    assert other.lack_of_fit is not None
    assert other.lack_of_fit.p_value == pytest.approx(plain.lack_of_fit.p_value)


def test_one_rate_gives_a_factor_and_two_give_a_line_without_a_test_of_it() -> None:
    single = fit([1.01])
    assert single.with_offset is None
    assert single.offset_test is None
    assert not single.offset_significant
    assert single.chosen.slope == 1.01
    assert single.chosen.predict(2.0).standard_uncertainty == pytest.approx(PLANNED[0])
    assert single.chosen.predict(2.0).dof == 4.0
    double = fit([1.01, 1.0])
    assert double.with_offset is not None
    assert double.with_offset.lack_of_fit is None
    assert double.without_offset.lack_of_fit is not None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"planned_standard_uncertainties": np.zeros(5)}, "planned_standard_uncertainties must all be above zero"),
        ({"planned_standard_uncertainties": np.ones(4)}, "must be a row of 5 numbers, one for each rate"),
        ({"type_a_standard_uncertainties": -PLANNED}, "must not be negative"),
        ({"type_a_dof": 0}, "type_a_dof must be 1 or more"),
        ({"type_a_standard_uncertainties": np.full(5, math.nan)}, "must be finite throughout"),
        ({"common_covariance": np.zeros((4, 4))}, "common_covariance must be 5 by 5"),
        ({"common_covariance": np.triu(np.ones((5, 5)))}, "common_covariance must be symmetric"),
        ({"common_covariance": -np.eye(5)}, "common_covariance must be positive semidefinite"),
        ({"offset_level": 0.0}, "offset_level must lie between 0 and 1"),
        ({"type_a_standard_uncertainties": np.zeros(5)}, "the offset has no uncertainty at all"),
    ],
)
def test_what_cannot_be_fitted_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        fit(np.ones(5), **changes)


def test_rates_that_repeat_or_stand_still_are_refused() -> None:
    arguments: dict[str, Any] = {
        "planned_standard_uncertainties": PLANNED[:2],
        "type_a_standard_uncertainties": PLANNED[:2],
        "type_a_dof": 4,
        "common_covariance": np.zeros((2, 2)),
    }
    for rates in ([2.0, 2.0], [0.0, 2.0]):
        with pytest.raises(ValueError, match="all above zero and each once"):
            fit_calibration(rates, [1.0, 1.0], **arguments)
    with pytest.raises(ValueError, match="rate_ul_per_h must be a finite number above zero"):
        fit(np.ones(5)).chosen.predict(0.0)
