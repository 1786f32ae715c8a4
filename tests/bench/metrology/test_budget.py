"""The uncertainty budget: GUM example H.1, GTC as an independent engine, Monte Carlo where Student's t fails."""

import math
import random
from typing import Any

import GTC
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrology import Input, combine, coverage_factor, welch_satterthwaite

LENGTH_NM = 50_000_623.0

END_GAUGE = [
    Input("standard", 25.0, 1.0, 18.0),
    Input("repeated observations", 5.8, 1.0, 24.0, "t"),
    Input("comparator, random", 3.9, 1.0, 5.0),
    Input("comparator, systematic", 6.7, 1.0, 8.0),
    Input("difference of expansions", 1e-6 / math.sqrt(3.0), -LENGTH_NM * -0.1, 50.0, "rectangular"),
    Input("difference of temperatures", 0.05 / math.sqrt(3.0), -LENGTH_NM * 11.5e-6, 2.0, "rectangular"),
]


def inputs(unit: float = 1.0, distributions: tuple[str, ...] = ("normal", "rectangular", "triangular")) -> Any:
    one = st.builds(
        lambda u, c, dof, distribution: (u * unit, c, dof, distribution),
        st.floats(1e-3, 1e3),
        st.floats(-100.0, 100.0).filter(lambda c: abs(c) > 1e-3),
        st.one_of(st.just(math.inf), st.integers(1, 200).map(float)),
        st.sampled_from(distributions),
    )
    return st.lists(one, min_size=1, max_size=6).map(
        lambda rows: [Input(f"input {index}", *row) for index, row in enumerate(rows)]
    )


def test_the_end_gauge_of_the_gum_has_its_published_uncertainty() -> None:
    result = combine(END_GAUGE)
    assert result.standard_uncertainty == pytest.approx(31.66, abs=0.01)
    assert result.effective_dof == pytest.approx(16.7, abs=0.1)
    assert result.dof == 16.0
    assert result.method == "t"
    assert result.coverage_factor == pytest.approx(2.12, abs=0.005)
    assert result.expanded_uncertainty == result.coverage_factor * result.standard_uncertainty


def test_the_end_gauge_agrees_with_gtc() -> None:
    standard = GTC.ureal(50_000_623.0, 25.0, 18, label="standard")
    observed = GTC.ureal(215.0, 5.8, 24) + GTC.ureal(0.0, 3.9, 5) + GTC.ureal(0.0, 6.7, 8)
    expansion = GTC.ureal(0.0, 1e-6 / math.sqrt(3.0), 50)
    gradient = GTC.ureal(0.0, 0.05 / math.sqrt(3.0), 2)
    length = (
        standard + observed - standard * (expansion * GTC.ureal(-0.1, 0.41) + GTC.ureal(11.5e-6, 1.2e-6) * gradient)
    )
    result = combine(END_GAUGE)
    assert result.standard_uncertainty == pytest.approx(length.u, rel=1e-6)
    assert result.effective_dof == pytest.approx(length.df, rel=1e-6)


@given(inputs(distributions=("normal",)))
@settings(deadline=None)
def test_any_budget_agrees_with_gtc(budget: list[Input]) -> None:
    total = sum(item.sensitivity * GTC.ureal(0.0, item.standard_uncertainty, item.dof) for item in budget)
    result = combine(budget)
    assert result.standard_uncertainty == pytest.approx(total.u)
    if math.isfinite(result.effective_dof) and math.isfinite(total.df):
        assert result.effective_dof == pytest.approx(total.df, rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(inputs(), st.randoms(use_true_random=False), st.floats(1e-6, 1e6))
def test_neither_order_nor_unit_nor_sign_matters(budget: list[Input], shuffler: random.Random, unit: float) -> None:
    shuffled = [
        Input(item.name, item.standard_uncertainty * unit, -item.sensitivity, item.dof, item.distribution)
        for item in budget
    ]
    shuffler.shuffle(shuffled)
    one, other = combine(budget), combine(shuffled)
    assert other.standard_uncertainty == pytest.approx(unit * one.standard_uncertainty)
    assert other.effective_dof == pytest.approx(one.effective_dof)
    if one.method == other.method:
        assert other.expanded_uncertainty == pytest.approx(unit * one.expanded_uncertainty, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(inputs())
def test_shares_add_to_the_whole_and_more_inputs_never_make_it_smaller(budget: list[Input]) -> None:
    result = combine(budget)
    assert math.fsum(row.share for row in result.rows) == pytest.approx(1.0)
    assert [row.input for row in result.rows] == budget
    more = combine([*budget, Input("one more", 1.0)])
    assert more.standard_uncertainty >= result.standard_uncertainty
    assert min(item.dof for item in budget) <= result.effective_dof * (1.0 + 1e-9)


def test_what_another_line_contains_is_listed_and_not_added() -> None:
    added = [Input("repeatability", 3.0, 1.0, 4.0, "t"), Input("density", 4.0)]
    listed = Input("zero slope", 2.0, 5.0, contained_in="repeatability")
    result = combine([*added, listed])
    assert result.standard_uncertainty == combine(added).standard_uncertainty == 5.0
    assert result.rows[2].input is listed
    assert [row.share for row in result.rows] == pytest.approx([0.36, 0.64, 0.0])


@pytest.mark.parametrize("holder", ["readability", "drift"])
def test_a_line_must_be_contained_in_one_that_is_added(holder: str) -> None:
    budget = [
        Input("repeatability", 3.0),
        Input("drift", 1.0, contained_in="repeatability"),
        Input("zero slope", 2.0, contained_in=holder),
    ]
    with pytest.raises(ValueError, match=f"'zero slope' is said to be contained in '{holder}', which .* does not add"):
        combine(budget)


def test_a_single_rectangular_input_has_its_exact_interval() -> None:
    result = combine([Input("resolution", 1.0 / math.sqrt(3.0), 2.0, distribution="rectangular")])
    assert result.method == "monte carlo"
    assert result.expanded_uncertainty == pytest.approx(0.95 * 2.0, rel=3e-3)
    assert result.coverage_factor == pytest.approx(result.expanded_uncertainty / result.standard_uncertainty)


def test_a_single_triangular_input_has_its_exact_interval() -> None:
    result = combine([Input("drops", 1.0 / math.sqrt(6.0), distribution="triangular")])
    assert result.expanded_uncertainty == pytest.approx(1.0 - math.sqrt(0.05), rel=5e-3)


def test_monte_carlo_draws_a_type_a_input_as_scaled_t() -> None:
    budget = [Input("resolution", 1e-3, distribution="rectangular"), Input("repeats", 0.9e-3, dof=2.0)]
    result = combine(budget)
    rng = np.random.default_rng(77)
    draws = 1e-3 * math.sqrt(3.0) * rng.uniform(-1.0, 1.0, 400_000) + 0.9e-3 * rng.standard_t(2.0, 400_000)
    assert result.method == "monte carlo"
    assert result.expanded_uncertainty == pytest.approx(float(np.quantile(np.abs(draws), 0.95)), rel=0.02)


def test_monte_carlo_gives_the_same_number_every_time() -> None:
    budget = [Input("resolution", 1.0, distribution="rectangular"), Input("repeats", 0.5, dof=4.0)]
    assert combine(budget) == combine(budget)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.49])
def test_below_half_a_rectangular_input_leaves_the_t_interval_two_percent_wide_at_most(share: float) -> None:
    budget = [
        Input("resolution", math.sqrt(share), distribution="rectangular"),
        Input("rest", math.sqrt(1.0 - share)),
    ]
    result = combine(budget)
    rng = np.random.default_rng(5)
    draws = math.sqrt(3.0 * share) * rng.uniform(-1.0, 1.0, 400_000)
    draws += math.sqrt(1.0 - share) * rng.standard_normal(400_000)
    assert result.method == "t"
    assert -0.003 < result.expanded_uncertainty / float(np.quantile(np.abs(draws), 0.95)) - 1.0 < 0.025


def test_welch_satterthwaite_is_truncated_down_but_never_past_a_whole_number() -> None:
    assert combine([Input("repeats", 0.1, dof=4.0)]).dof == 4.0
    assert welch_satterthwaite([1.0, 1.0], [4.0, 4.0]) == pytest.approx(8.0)
    assert combine([Input("one", 1.0, dof=4.0), Input("other", 1.1, dof=4.0)]).dof == 7.0


def test_intervals_cover_as_promised_when_few_repeats_meet_a_certificate() -> None:
    rng = np.random.default_rng(6)
    held = []
    for _ in range(4000):
        repeats = rng.standard_normal(5)
        error = repeats.mean() + 0.5 * rng.standard_normal()
        result = combine([Input("repeats", repeats.std(ddof=1) / math.sqrt(5.0), dof=4.0), Input("certificate", 0.5)])
        held.append(abs(error) <= result.expanded_uncertainty)
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_an_exact_budget_has_no_uncertainty() -> None:
    result = combine([Input("nothing", 0.0)])
    assert (result.standard_uncertainty, result.expanded_uncertainty, result.dof) == (0.0, 0.0, math.inf)


def test_coverage_factors_are_students() -> None:
    assert coverage_factor(math.inf) == pytest.approx(1.959964, abs=1e-6)
    assert coverage_factor(4.0) == pytest.approx(2.776, abs=5e-4)
    with pytest.raises(ValueError, match="dof must be above zero"):
        coverage_factor(0.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"standard_uncertainty": -1.0}, "standard_uncertainty of 'drift' must be a finite number, zero or above"),
        ({"standard_uncertainty": math.nan}, "standard_uncertainty of 'drift' must be a finite number, zero or above"),
        ({"sensitivity": math.inf}, "sensitivity of 'drift' must be a finite number"),
        ({"dof": 0.0}, "dof of 'drift' must be 1 or more"),
        ({"dof": math.nan}, "dof of 'drift' must be 1 or more"),
        ({"distribution": "uniform"}, "must be normal, rectangular, triangular or t, got 'uniform'"),
        ({"distribution": "t"}, "'drift' is distributed as t and needs its degrees of freedom"),
        ({"contained_in": "drift"}, "'drift' cannot be contained in itself"),
    ],
)
def test_an_input_that_contradicts_itself_is_refused_when_built(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Input(**({"name": "drift", "standard_uncertainty": 1.0} | arguments))


def test_an_input_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="given more than once: density"):
        combine([Input("density", 1.0), Input("drift", 1.0), Input("density", 1.0)])


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one input that is not contained"):
        combine([])
