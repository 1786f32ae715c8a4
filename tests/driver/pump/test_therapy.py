"""Therapies as data: what cannot be is refused when it is built, and a bridge is computed as programmers do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import EVERY_DAY, BolusLimits, Bridge, Continuous, Flex, FlexStep, MinimumRate, Trial, bridge
from driver.therapy import entered_dose_ug
from protocol import Day, OnLeaseLoss

LIMITS = {
    "volume_ul": 5.0,
    "rate_ul_per_h": 300.0,
    "lockout_s": 7200,
    "most_per_day": 4,
    "window_s": 86_400,
    "window_limit_ul": 500.0,
}
NAN = float("nan")


def test_the_worked_example_of_a_bridge():
    """0.199 mL + 80 cm at 0.0022 mL/cm; 500 to 2000 µg/mL at 100 µg/day: docs of the field, see domain notes."""
    bridging = bridge(
        tubing_ul=199.0,
        catheter_cm=80.0,
        ul_per_cm=2.2,
        old_concentration_ug_per_ml=500.0,
        old_dose_ug_per_day=100.0,
        new_concentration_ug_per_ml=2000.0,
        new_dose_ug_per_day=100.0,
    )
    assert bridging.volume_ul == pytest.approx(375.0)
    assert bridging.duration_h == pytest.approx(45.0)
    assert bridging.bridge_rate_ul_per_h * 0.024 == pytest.approx(0.2)
    assert bridging.rate_ul_per_h * 0.024 == pytest.approx(0.05)
    assert entered_dose_ug(bridging, 2000.0) == pytest.approx(750.0)


positive = st.floats(1e-3, 1e6)


@given(positive, st.floats(0.1, 200.0), st.floats(0.1, 10.0), positive, positive, positive, positive)
def test_a_bridge_gives_the_old_dose_with_the_old_drug_and_the_new_one_with_the_new(
    tubing, length, per_cm, old_concentration, old_dose, new_concentration, new_dose
):
    bridging = bridge(
        tubing_ul=tubing,
        catheter_cm=length,
        ul_per_cm=per_cm,
        old_concentration_ug_per_ml=old_concentration,
        old_dose_ug_per_day=old_dose,
        new_concentration_ug_per_ml=new_concentration,
        new_dose_ug_per_day=new_dose,
    )
    held_ug = bridging.volume_ul / 1000.0 * old_concentration
    assert held_ug / bridging.duration_h * 24.0 == pytest.approx(old_dose)
    assert bridging.rate_ul_per_h * 24.0 / 1000.0 * new_concentration == pytest.approx(new_dose)


def test_a_bridge_without_a_concentration_is_refused_by_name():
    with pytest.raises(ValueError, match="a new concentration must be a positive number of µg/mL, not 0"):
        bridge(
            tubing_ul=199.0,
            catheter_cm=80.0,
            ul_per_cm=2.2,
            old_concentration_ug_per_ml=500.0,
            old_dose_ug_per_day=100.0,
            new_concentration_ug_per_ml=0.0,
            new_dose_ug_per_day=100.0,
        )


@pytest.mark.parametrize("value", [0.0, -1.0, NAN, math.inf])
@pytest.mark.parametrize(
    "build",
    [
        Continuous,
        lambda rate: Bridge(rate, 1.0, 1.0),
        lambda rate: Bridge(1.0, rate, 1.0),
        lambda rate: Bridge(1.0, 1.0, rate),
        lambda rate: Trial(rate, 60),
        lambda volume: BolusLimits(**{**LIMITS, "volume_ul": volume}),
        lambda rate: BolusLimits(**{**LIMITS, "rate_ul_per_h": rate}),
        lambda limit: BolusLimits(**{**LIMITS, "window_limit_ul": limit}),
    ],
)
def test_a_rate_or_volume_that_is_no_positive_number_is_refused(build, value):
    build(1.0)
    with pytest.raises(ValueError, match="must be a positive number of µL"):
        build(value)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Trial(1.0, 0), "a trial's duration must be a whole number of seconds from 1 to 4294967295, not 0"),
        (lambda: Trial(1.0, 1.5), "whole number of seconds"),
        (lambda: BolusLimits(**{**LIMITS, "lockout_s": -1}), "a lockout must be a whole number of seconds from 0"),
        (lambda: BolusLimits(**{**LIMITS, "most_per_day": 65_536}), "from 0 to 65535, not 65536"),
        (lambda: BolusLimits(**{**LIMITS, "window_s": 0}), "a limit's window must be a whole number"),
        (lambda: FlexStep(1440, 1.0), "a flex step's start must be a whole number of minutes from 0 to 1439, not 1440"),
        (lambda: FlexStep(1.5, 1.0), "not 1.5"),
        (lambda: FlexStep(-1, 1.0), "not -1"),
        (lambda: FlexStep(0, -1.0), "must be 0 or a positive number of µL/h, not -1"),
        (lambda: FlexStep(0, NAN), "not nan"),
        (lambda: FlexStep(5, 1.0, Day(0)), "a flex step at minute 5 needs at least one day"),
        (lambda: Flex(()), "has 1 to 43 steps, not 0"),
        (lambda: Flex(tuple(FlexStep(minute, 1.0) for minute in range(44))), "has 1 to 43 steps, not 44"),
        (lambda: Flex((FlexStep(0, 0.0), FlexStep(60, 0.0))), "needs a step with a rate above 0"),
        (
            lambda: Flex((FlexStep(60, 1.0, Day.MONDAY | Day.SUNDAY), FlexStep(60, 2.0, Day.SUNDAY))),
            "two flex steps start at minute 60 of <Day.SUNDAY: 64>",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


def test_a_week_may_have_one_start_on_different_days_and_a_pause():
    steps = (FlexStep(60, 1.0, Day.MONDAY), FlexStep(60, 2.0, Day.SUNDAY), FlexStep(600, 0.0))
    assert Flex(steps).steps[2].days == EVERY_DAY
    assert MinimumRate().on_lease_loss == Continuous(1.0).on_lease_loss == OnLeaseLoss.CONTINUE
