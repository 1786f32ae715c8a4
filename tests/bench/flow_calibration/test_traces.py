"""What the figures show is what was recorded: no check weight, no peak lost, corrections with their sign."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.reduction import zero_slopes
from bench.flow_calibration.result import AS_FOUND, RunResult
from bench.flow_calibration.traces import Trace, corrected_trace, residual, thinned, weighed
from bench.metrology import air_density_kg_per_m3
from bench.recording import Air, Entry, Note, Reading, Segment
from bench.rigfile import load_rig_file

HOUR_S = 3600.0
CHECK_WEIGHT_MG = 20_000.0

Entries = dict[type[Entry], list[Any]]


def readings(*spans: tuple[float, float, float]) -> list[Reading]:
    """Ten readings over each (start, end, mass)."""
    return [
        Reading(start_s + (end_s - start_s) * (index + 0.5) / 10, 0.02, mass_mg, True)
        for start_s, end_s, mass_mg in spans
        for index in range(10)
    ]


def segment(kind: str, start_s: float, end_s: float) -> Segment:
    return Segment(end_s, AS_FOUND, kind, 2.0, 0, start_s, end_s)


def test_readings_of_the_check_weight_are_left_out() -> None:
    entries: Entries = {
        Reading: readings((0, 10, CHECK_WEIGHT_MG), (100, 200, 1.0), (200, 300, 2.0), (300, 310, CHECK_WEIGHT_MG)),
        Note: [Note(100.0, "zero", ""), Note(200.0, "flow", "")],
        Segment: [segment("zero", 100, 200), segment("last end", 200, 300)],
    }
    assert weighed(entries).values.max() == 2.0
    assert len(weighed(entries).values) == 20


@pytest.mark.parametrize("segments", [[], [segment("zero", 100, 200)]])
def test_readings_of_a_segment_under_way_are_shown(segments: list[Segment]) -> None:
    begun_s = 200.0 if segments else 100.0
    entries: Entries = {
        Reading: readings((0, 10, CHECK_WEIGHT_MG), (100, 200, 1.0), (200, 300, 2.0)),
        Note: [Note(begun_s, "flow", "")],
        Segment: segments,
    }
    assert len(weighed(entries).values) == 20
    assert weighed(entries).values.max() == 2.0


def test_an_empty_recording_gives_an_empty_trace() -> None:
    assert len(weighed({}).time_s) == 0


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=400), st.integers(4, 50))
def test_thinning_keeps_the_order_and_loses_no_peak(values: list[float], most: int) -> None:
    trace = Trace(np.arange(len(values), dtype=float), np.array(values))
    kept = thinned(trace, most)
    assert len(kept.time_s) <= max(most, 4)
    assert (np.diff(kept.time_s) > 0).all()
    assert (kept.values.min(), kept.values.max()) == (min(values), max(values))
    assert all(values[int(at)] == value for at, value in zip(kept.time_s, kept.values, strict=True))


def test_a_reading_in_denser_air_is_raised_by_the_lift_on_vessel_and_liquid() -> None:
    file, _ = load_rig_file("sim")
    air = [Air(0.0, 20.0, 50.0, 1000.0), Air(10.0, 20.0, 50.0, 1010.0)]
    raw = Trace(np.array([0.0, 10.0]), np.array([37_000.0, 37_000.0]))
    corrected = corrected_trace(raw, Data(air=air), file)
    thin, dense = (air_density_kg_per_m3(20.0, pressure, 50.0) for pressure in (1000.0, 1010.0))
    volume_ml = file.vessel.glass_volume_ml + file.vessel.contents_ml
    assert math.isclose(corrected.values[1] - corrected.values[0], (dense - thin) * volume_ml, rel_tol=1e-6)


def test_without_readings_of_the_air_nothing_is_called_corrected() -> None:
    file, _ = load_rig_file("sim")
    with pytest.raises(ValueError, match="the air was not read"):
        corrected_trace(Trace(np.array([0.0]), np.array([1.0])), Data(), file)


def test_zero_slopes_are_signed_and_one_for_each_segment() -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(0.0, 3 * HOUR_S, 60.0)
    mass_mg = 5.0 - 0.3 * time_s / HOUR_S + 0.005 * rng.standard_normal(len(time_s))
    zeros = [segment("zero", at * HOUR_S, (at + 1) * HOUR_S) for at in (0, 2)]
    flow = segment("between", HOUR_S, 2 * HOUR_S)
    slopes, _ = zero_slopes(time_s, mass_mg, [zeros[0], flow, zeros[1]], 0.001)
    assert len(slopes) == 2
    for slope in slopes:
        off = slope.slope_mg_per_s * HOUR_S + 0.3
        assert -4.0 <= off / (slope.standard_uncertainty_mg_per_s * HOUR_S) <= 4.0


def run_result() -> RunResult:
    return RunResult(
        stage=AS_FOUND, rate_ul_per_h=2.0, repeat=0, start_s=50.0, end_s=250.0, time_half_width_s=0.02,
        mass_change_mg=1.0, zero_slope_mg_per_h=0.0, zero_slope_standard_uncertainty_mg_per_h=0.01,
        air_temperature_c=20.0, air_temperature_change_k=0.0, head_temperature_c=37.0, commanded_ul=1.0,
        delivered_ul=1.0, error_pct=0.0,
    )  # fmt: skip


def test_a_run_of_steady_flow_leaves_no_residual_and_a_step_shows_as_it_is() -> None:
    segments = [segment("first end", 0, 100), segment("between", 100, 200), segment("last end", 200, 300)]
    time_s = np.arange(0.5, 300.0)
    steady = residual(Trace(time_s, 7.0 + 0.01 * time_s), segments, run_result())
    assert np.allclose(steady.trace.values, 0.0, atol=1e-12)
    assert steady.ends == ((0, 100), (200, 300))
    bumped = 0.01 * time_s + 0.5 * ((time_s > 140) & (time_s < 160))
    assert math.isclose(residual(Trace(time_s, bumped), segments, run_result()).trace.values.max(), 0.5)


def test_a_run_that_the_recording_does_not_hold_is_named() -> None:
    with pytest.raises(ValueError, match="does not hold both ends of the run, as found, repeat 1"):
        residual(Trace(np.array([1.0]), np.array([1.0])), [segment("first end", 0, 100)], run_result())
