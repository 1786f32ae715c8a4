"""Verdicts: guard bands leave no doubt behind a PASS or a FAIL."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrology import Verdict, combine_verdicts, guard_band, judge

SEVERITY = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
MAGNITUDES = st.floats(0.0, 1e3)


@pytest.mark.parametrize(
    ("error", "standard_uncertainty", "verdict"),
    [
        (8.3, 1.0, Verdict.PASS),
        (-8.3, 1.0, Verdict.PASS),
        (8.4, 1.0, Verdict.INCONCLUSIVE),
        (-10.0, 1.0, Verdict.INCONCLUSIVE),
        (11.6, 1.0, Verdict.INCONCLUSIVE),
        (11.7, 1.0, Verdict.FAIL),
        (-11.7, 1.0, Verdict.FAIL),
        (10.0, 0.0, Verdict.PASS),
        (0.0, 7.0, Verdict.INCONCLUSIVE),
    ],
)
def test_a_limit_of_ten_with_its_guard_band(error: float, standard_uncertainty: float, verdict: Verdict) -> None:
    assert judge(error, standard_uncertainty, 10.0) is verdict


def test_the_edges_of_the_guard_band_belong_to_the_clear_verdicts() -> None:
    limit, uncertainty = 10.0, 2.0
    assert judge(limit - guard_band(uncertainty), uncertainty, limit) is Verdict.PASS
    assert judge(-(limit + guard_band(uncertainty)), uncertainty, limit) is Verdict.FAIL


@given(st.floats(-1e3, 1e3), MAGNITUDES, MAGNITUDES)
def test_the_sign_of_the_error_does_not_matter(error: float, standard_uncertainty: float, limit: float) -> None:
    assert judge(error, standard_uncertainty, limit) is judge(-error, standard_uncertainty, limit)


@given(MAGNITUDES, MAGNITUDES, st.floats(0.0, 100.0), MAGNITUDES)
def test_a_larger_error_is_never_judged_better(one: float, other: float, uncertainty: float, limit: float) -> None:
    small, large = sorted((one, other))
    better, worse = judge(small, uncertainty, limit), judge(large, uncertainty, limit)
    assert SEVERITY.index(worse) >= SEVERITY.index(better)


@given(st.floats(-1e3, 1e3), MAGNITUDES, MAGNITUDES, MAGNITUDES)
def test_more_doubt_never_turns_a_pass_into_a_fail(error: float, one: float, other: float, limit: float) -> None:
    sure, unsure = (judge(error, uncertainty, limit) for uncertainty in sorted((one, other)))
    assert unsure is sure or unsure is Verdict.INCONCLUSIVE


@given(st.lists(st.sampled_from(SEVERITY), min_size=1))
def test_the_whole_is_as_bad_as_its_worst_part(verdicts: list[Verdict]) -> None:
    assert combine_verdicts(verdicts) is max(verdicts, key=SEVERITY.index)


def test_nothing_judged_is_no_pass() -> None:
    with pytest.raises(ValueError, match="no verdict to combine"):
        combine_verdicts([])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((math.nan, 1.0, 10.0), "error must be a finite number"),
        ((1.0, math.nan, 10.0), "standard_uncertainty must be a finite number, zero or above"),
        ((1.0, -1.0, 10.0), "standard_uncertainty must be a finite number, zero or above"),
        ((1.0, 1.0, math.nan), "limit must be a finite number, zero or above"),
        ((1.0, 1.0, -10.0), "limit must be a finite number, zero or above"),
        ((1.0, 1.0, math.inf), "limit must be a finite number, zero or above"),
    ],
)
def test_limits_that_are_none_are_refused(arguments: tuple[float, float, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        judge(*arguments)


def test_a_verdict_reads_as_its_word() -> None:
    assert [str(verdict) for verdict in SEVERITY] == ["PASS", "INCONCLUSIVE", "FAIL"]
