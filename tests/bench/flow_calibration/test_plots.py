"""The figures: the same to the byte, small, readable as text, and true to what was recorded."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache

import matplotlib
import numpy as np
import pytest

from bench.flow_calibration import plots
from bench.flow_calibration.result import AS_FOUND, AS_LEFT, RateResult, RunResult
from bench.flow_calibration.traces import Residual, Trace
from bench.metrology import Verdict, ZeroSlope
from bench.recording import Air, Segment

HOUR_S = 3600.0
SMALL = 100_000


def run(stage: str, rate_ul_per_h: float, repeat: int, error_pct: float) -> RunResult:
    return RunResult(
        stage=stage, rate_ul_per_h=rate_ul_per_h, repeat=repeat, start_s=0.0, end_s=HOUR_S, time_half_width_s=0.02,
        mass_change_mg=12.0, zero_slope_mg_per_h=-0.15, zero_slope_standard_uncertainty_mg_per_h=0.01,
        air_temperature_c=20.0, air_temperature_change_k=0.1, head_temperature_c=37.0, commanded_ul=12.0,
        delivered_ul=12.1, error_pct=error_pct,
    )  # fmt: skip


def rate(stage: str, rate_ul_per_h: float, error_pct: float, limit_pct: float = 14.5) -> RateResult:
    return RateResult(
        stage=stage, rate_ul_per_h=rate_ul_per_h, error_pct=error_pct, repeatability_pct=0.2,
        standard_uncertainty_pct=0.1, dof=4.0, coverage_factor=2.78, expanded_uncertainty_pct=0.278, method="t",
        limit_pct=limit_pct, guard_band_pct=0.16, verdict=Verdict.PASS, budget=(),
        runs=tuple(run(stage, rate_ul_per_h, repeat, error_pct + 0.1 * (repeat - 1)) for repeat in range(3)),
    )  # fmt: skip


def segments() -> list[Segment]:
    kinds = ("zero", "first end", "between", "last end", "zero", "first end", "between", "last end", "zero")
    stages = [AS_FOUND] * 5 + [AS_LEFT] * 4
    return [
        Segment((hour + 1) * HOUR_S, stage, kind, 2.0, 0, hour * HOUR_S, (hour + 1) * HOUR_S)
        for hour, (stage, kind) in enumerate(zip(stages, kinds, strict=True))
    ]


def error_plot() -> str:
    stages = ((AS_FOUND, -1.2), (AS_LEFT, 0.1))
    return plots.error_plot([(name, [rate(name, at, error) for at in (2.0, 1000.0)]) for name, error in stages])


def mass_plot(count: int = 600) -> str:
    time_s = np.linspace(0.0, 9 * HOUR_S, count)
    return plots.mass_plot(Trace(time_s, 37_000.0 + 0.002 * time_s), segments(), 0.0)


def residual_plot() -> str:
    time_s = np.linspace(HOUR_S, 4 * HOUR_S, 80)
    ends = ((HOUR_S, 2 * HOUR_S), (3 * HOUR_S, 4 * HOUR_S))
    return plots.residual_plot(Residual(run(AS_FOUND, 2.0, 0, 1.0), Trace(time_s, 0.02 * np.sin(time_s)), ends))


def zero_plot() -> str:
    slopes = [ZeroSlope(at * HOUR_S, -4e-5, 3e-6, 12.0, HOUR_S, 25) for at in (0.5, 4.5, 8.5)]
    return plots.zero_plot(slopes, segments(), 0.0)


def air_plot(count: int = 200) -> str:
    return plots.air_plot([Air(60.0 * at, 20.0 + 0.001 * at, 50.0, 1013.0) for at in range(count)], 0.0)


ALL = pytest.mark.parametrize("draw", [error_plot, mass_plot, residual_plot, zero_plot, air_plot])


@cache
def drawn(draw: Callable[[], str]) -> str:
    return draw()


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@ALL
def test_a_figure_is_the_same_to_the_byte_whatever_the_users_settings_are(draw: Callable[[], str]) -> None:
    first = drawn(draw)
    with matplotlib.rc_context({"font.size": 20, "axes.unicode_minus": False, "svg.hashsalt": None}):
        assert draw() == first


@ALL
def test_a_figure_is_well_formed_small_and_carries_no_date(draw: Callable[[], str]) -> None:
    svg = drawn(draw)
    ET.fromstring(svg)
    assert len(svg) < SMALL
    assert "<metadata" not in svg
    assert not re.search(r"20\d\d-\d\d-\d\d", svg)


@ALL
def test_a_figure_leaves_pyplot_and_the_users_settings_alone(draw: Callable[[], str]) -> None:
    before = dict(matplotlib.rcParams)
    draw()
    assert dict(matplotlib.rcParams) == before


@ALL
def test_text_stays_text_with_true_minus_signs(draw: Callable[[], str]) -> None:
    found = words(drawn(draw))
    assert found
    assert not [word for word in found if re.search(r"(?<!\w)-\d", word)]


@pytest.mark.parametrize(
    ("draw", "labels"),
    [
        (error_plot, ["error of delivered volume / %", "set rate / (mL/day)", "0.048", "24", "+14.5 %", "−14.5 %"]),
        (mass_plot, ["mass gained / g", "time since the start / h", "flow window", "zero segment", "as left"]),
        (residual_plot, ["residual / mg", "time in the run / h", "averaged end"]),
        (zero_plot, ["zero slope / (mg/h)", "time since the start / h", "as left"]),
        (air_plot, ["/ °C", "humidity / %", "/ hPa", "time since the start / h"]),
    ],
)
def test_axes_name_quantity_and_unit(draw: Callable[[], str], labels: list[str]) -> None:
    found = words(drawn(draw))
    assert [label for label in labels if not any(label in word for word in found)] == []


def test_no_two_figures_share_an_id() -> None:
    figures = (error_plot, mass_plot, residual_plot, zero_plot, air_plot)
    ids = [re.findall(r'\bid="([^"]+)"', drawn(draw)) for draw in figures]
    flat = [name for names in ids for name in names]
    assert len(flat) == len(set(flat))


def test_a_recording_of_days_at_a_reading_a_second_stays_small() -> None:
    assert len(mass_plot(count=400_000)) < SMALL
    assert len(air_plot(count=20_000)) < SMALL


def test_a_limit_in_the_enlarged_range_is_drawn_there_too() -> None:
    close = plots.error_plot([(AS_FOUND, [rate(AS_FOUND, 2.0, 0.9, limit_pct=1.0)])])
    assert sum("limit +1 %" in word for word in words(close)) == 2
    assert sum("limit +14.5 %" in word for word in words(drawn(error_plot))) == 1


def test_every_repeat_has_its_mark() -> None:
    marks = re.findall(r'<use [^>]*href="#errors-', drawn(error_plot))
    means_twice, repeats = 2 * 4, 4 * 3
    assert len(marks) >= means_twice + repeats
