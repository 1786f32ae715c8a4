"""Plans: what a rate comes to, the order of runs, and what is refused before anything moves."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SetupRefused
from bench.flow_calibration.plan import (
    FlowCalibrationPlan,
    balanced_order,
    check_feasible,
    load_plan,
    needed_volume_ul,
    run_plan,
)
from bench.rigfile import RigFile, load_rig_file
from bench.toml_file import parse
from protocol.profile import load_model

MODEL = load_model("implantable-20ml")
PLAN, PLAN_TEXT = load_plan("implant")
RIG, RIG_TEXT = load_rig_file("sim")


def rig_with(find: str, put: str) -> RigFile:
    assert find in RIG_TEXT
    return parse(RigFile, RIG_TEXT.replace(find, put), "rig.toml")


def plan_with(find: str, put: str) -> FlowCalibrationPlan:
    assert find in PLAN_TEXT
    return parse(FlowCalibrationPlan, PLAN_TEXT.replace(find, put), "plan.toml")


def test_the_lowest_rate_runs_whole_revolutions_of_an_hour_each() -> None:
    run = run_plan(PLAN, MODEL, 2.0)
    assert run.revolution_s == pytest.approx(3600.0)
    assert (run.end_revolutions, run.revolutions) == (1, 6)
    assert run.volume_ul == pytest.approx(14.0)


@given(st.floats(min_value=2.0, max_value=1000.0))
def test_every_rate_meets_the_least_mass_and_time_in_whole_revolutions(rate: float) -> None:
    run = run_plan(PLAN, MODEL, rate)
    assert run.window_s >= PLAN.window.least_min * 60.0
    assert run.window_s * rate / 3600.0 >= PLAN.window.least_mass_mg * (1 - 1e-12)
    assert run.end_s <= run.window_s


@given(st.floats(min_value=2.0, max_value=1000.0), st.floats(min_value=0.0, max_value=1.0), st.integers(1, 4))
def test_pulsation_of_any_harmonic_cancels_between_the_readings_of_an_end(rate: float, phase: float, k: int) -> None:
    run = run_plan(PLAN, MODEL, rate)
    n = PLAN.window.end_readings
    turns = [run.end_revolutions * (index + 0.5) / n + phase for index in range(n)]
    harmonic = math.fsum(math.cos(2.0 * math.pi * k * MODEL.rollers * turn) for turn in turns) / n
    assert harmonic == pytest.approx(0.0, abs=1e-9)


@given(st.integers(1, 8), st.integers(1, 8), st.integers())
def test_a_balanced_order_holds_each_rate_once_a_block_and_never_twice_in_a_row(
    n: int, repeats: int, seed: int
) -> None:
    order = balanced_order(n, repeats, random.Random(seed))
    assert Counter(order) == Counter((rate, repeat) for rate in range(n) for repeat in range(repeats))
    if n > 1:
        assert all(one[0] != other[0] for one, other in pairwise(order))


def test_the_shipped_plan_fits_the_shipped_rig() -> None:
    check_feasible(PLAN, RIG, MODEL)


def test_an_open_beaker_at_the_lowest_implant_rate_is_refused_with_the_figures() -> None:
    with pytest.raises(
        SetupRefused, match=r"\(open\) loses about 5\d\.\d mg/h.*at 0\.048 mL/day the pump gives 2\.0 mg/h"
    ):
        check_feasible(PLAN, rig_with('cover = "oil film"', 'cover = "open"'), MODEL)


def test_rates_outside_the_model_are_each_named_with_the_range() -> None:
    with pytest.raises(SetupRefused) as caught:
        check_feasible(plan_with("[0.048,", "[0.02, 30.0,"), RIG, MODEL)
    assert "rate 0.02 mL/day is outside the range of implantable-20ml, 0.048 to 24 mL/day" in str(caught.value)
    assert "rate 30 mL/day" in str(caught.value)


def test_a_plan_larger_than_the_reservoir_is_refused() -> None:
    with pytest.raises(SetupRefused, match=r"the plan needs \d+\.\d\d mL, the reservoir gives 18\.00 mL"):
        check_feasible(plan_with("least_min = 12.0", "least_min = 240.0"), RIG, MODEL)


def test_a_plan_larger_than_the_vessel_is_refused() -> None:
    with pytest.raises(SetupRefused, match=r"the vessel has room for 0\.50 mL"):
        check_feasible(PLAN, rig_with("contents_ml = 15.0", "contents_ml = 39.5"), MODEL)


def test_a_plan_larger_than_the_balance_is_refused() -> None:
    with pytest.raises(SetupRefused, match=r"the balance weighs 50\.0 g"):
        check_feasible(PLAN, rig_with("capacity_g = 120.0", "capacity_g = 50.0"), MODEL)


def test_drops_too_large_for_a_window_are_refused_with_their_share() -> None:
    drops = rig_with('kind = "immersed"', 'kind = "drop"\ndrop_volume_ul = 10.0')
    with pytest.raises(
        SetupRefused, match=r"at 0\.048 mL/day a window of 12\.0 µL is too short for drops of 10 µL.*34\.0 %"
    ):
        check_feasible(PLAN, drops, MODEL)
    check_feasible(PLAN, rig_with('kind = "immersed"', 'kind = "drop"\ndrop_volume_ul = 0.5'), MODEL)


def test_the_volume_needed_counts_every_run() -> None:
    one = needed_volume_ul(plan_with("repeats = 5", "repeats = 3"), RIG, MODEL)
    assert needed_volume_ul(PLAN, RIG, MODEL) == pytest.approx(one * 8 / 6)


def test_silicone_tubing_at_an_implant_rate_is_refused() -> None:
    with pytest.raises(SetupRefused, match="silicone tubing loses liquid through its wall"):
        check_feasible(PLAN, rig_with('material = "PEEK"', 'material = "Silicone, platinum cured"'), MODEL)


def test_a_low_rate_run_longer_than_eight_hours_is_refused() -> None:
    with pytest.raises(SetupRefused, match=r"at 0\.048 mL/day a run takes 9\.0 h; .* a zero segment every 8 h"):
        check_feasible(plan_with("least_mass_mg = 12.0", "least_mass_mg = 16.0"), RIG, MODEL)


@pytest.mark.parametrize("seed", range(20))
def test_with_as_many_repeats_as_rates_every_rate_stands_once_at_every_place(seed: int) -> None:
    order = balanced_order(5, 5, random.Random(seed))
    places = Counter((rate, index % 5) for index, (rate, _) in enumerate(order))
    assert set(places.values()) == {1}


def test_after_an_adjustment_the_ends_are_whole_revolutions_of_the_new_step_volume() -> None:
    assert run_plan(PLAN, MODEL, 2.0, step_volume_nl=12.0).revolution_s == pytest.approx(4320.0)
