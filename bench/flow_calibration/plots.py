"""The figures of the report, as SVG text for inlining: black on white, the same to the byte for the same data.

matplotlib is imported when the first figure is drawn, without pyplot and without its global state.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.flow_calibration.result import AS_LEFT, RateResult
from bench.flow_calibration.traces import Residual, Trace, thinned
from bench.metrology import ZeroSlope, coverage_factor
from bench.recording import Air, Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 6.85
ML_PER_DAY = 0.024
INK, BLUE, GREY = "#000000", "#1b4f8f", "#6b6b6b"
FLOW_SHADE, ZERO_SHADE = "#dcdcdc", "#a3a3a3"
STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "grid.color": "#c8c8c8",
    "grid.linewidth": 0.4,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 0.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "thecabench",
    "xtick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7.5,
    "ytick.major.width": 0.6,
}

_STAGES = (
    {"shift": 10**-0.02, "repeats": 10**-0.05, "mark": "o", "repeat_mark": "+", "colour": INK, "fill": INK},
    {"shift": 10**0.02, "repeats": 10**0.05, "mark": "s", "repeat_mark": "x", "colour": BLUE, "fill": "white"},
)


def error_plot(stages: Sequence[tuple[str, Sequence[RateResult]]]) -> str:
    """Error at each rate with its 95 % interval, against the limits and enlarged, with the single repeats.

    Args:
        stages: name and results of as found and, where there is one, as left.
    """
    with _figure(3.4) as (figure, svg):
        whole, close = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
        rates = [rate for _, results in stages for rate in results]
        for axes in (whole, close):
            axes.axhline(0.0, color=INK, linewidth=0.5)
            for (name, results), look in zip(stages, _STAGES, strict=False):
                _draw_errors(axes, name, results, look, repeats=axes is close)
        _draw_limits(whole, rates)
        most = 1.25 * max(rate.limit_pct for rate in rates)
        whole.set_ylim(-most, most)
        whole.set_title("Against the limits")
        close.set_title("Enlarged, with single repeats")
        low, high = close.get_ylim()
        if any(low < sign * rate.limit_pct < high for rate in rates for sign in (-1, 1)):
            _draw_limits(close, rates)
        ticks = sorted({rate.rate_ul_per_h * ML_PER_DAY for rate in rates})
        close.set_xscale("log")
        close.set_xlim(ticks[0] / 1.5, ticks[-1] * 1.5)
        close.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        close.set_xticks([], minor=True)
        close.set_xlabel("set rate / (mL/day)")
        figure.supylabel("error of delivered volume / %", fontsize=8)
        close.locator_params(axis="y", nbins=8)
        _legend(figure, close, columns=4)
        return svg("errors")


def mass_plot(readings: Trace, segments: Sequence[Segment], origin_s: float) -> str:
    """Mass gained over the session, in g, zero segments and flow windows shaded."""
    with _figure(2.3) as (figure, svg):
        axes = figure.subplots()
        scale_s, unit = _time_unit(readings.time_s, origin_s)
        for kinds, shade, name in (
            (("first end", "between", "last end"), FLOW_SHADE, "flow window"),
            (("zero",), ZERO_SHADE, "zero segment"),
        ):
            spans = [
                ((segment.start_s - origin_s) / scale_s, (segment.end_s - segment.start_s) / scale_s)
                for segment in segments
                if segment.kind in kinds
            ]
            axes.broken_barh(spans, (0, 1), transform=axes.get_xaxis_transform(), color=shade, linewidth=0, label=name)
        drawn = thinned(readings)
        gained_g = (drawn.values - readings.values[0]) / 1000.0
        axes.plot((drawn.time_s - origin_s) / scale_s, gained_g, color=INK, linewidth=1.0, label="balance reading")
        axes.set_xlabel(f"time since the start / {unit}")
        axes.set_ylabel("mass gained / g")
        axes.margins(x=0.01)
        _mark_as_left(axes, segments, origin_s, scale_s)
        _legend(figure, axes, columns=3)
        return svg("mass")


def residual_plot(shown: Residual) -> str:
    """Residual detail of one run: readings less the straight line through its ends, the ends shaded."""
    with _figure(2.1) as (figure, svg):
        axes = figure.subplots()
        trace = thinned(shown.trace)
        origin_s = float(shown.trace.time_s[0])
        hours = (trace.time_s - origin_s) / 3600.0
        for number, (start_s, end_s) in enumerate(shown.ends):
            axes.axvspan(
                (start_s - origin_s) / 3600.0,
                (end_s - origin_s) / 3600.0,
                color=FLOW_SHADE,
                linewidth=0,
                label="averaged end" if number == 0 else None,
            )
        axes.axhline(0.0, color=INK, linewidth=0.6)
        axes.plot(hours, trace.values, color=GREY, linewidth=0.5)
        axes.plot(hours, trace.values, "o", color=INK, markersize=2, label="reading")
        axes.set_xlabel("time in the run / h")
        axes.set_ylabel("residual / mg")
        axes.margins(x=0.01)
        _legend(figure, axes, columns=2)
        return svg("residual")


def zero_plot(slopes: Sequence[ZeroSlope], segments: Sequence[Segment], origin_s: float) -> str:
    """Zero slope of every zero segment in mg/h, each with its 95 % interval."""
    with _figure(2.1) as (figure, svg):
        axes = figure.subplots()
        time_s = np.array([slope.time_s for slope in slopes])
        scale_s, unit = _time_unit(time_s, origin_s)
        values = [3600.0 * slope.slope_mg_per_s for slope in slopes]
        bars = [3600.0 * coverage_factor(slope.dof) * slope.standard_uncertainty_mg_per_s for slope in slopes]
        axes.axhline(0.0, color=INK, linewidth=0.6)
        axes.errorbar(
            (time_s - origin_s) / scale_s, values, bars,
            fmt="o", color=INK, markersize=2.5, elinewidth=0.7, capsize=1.5, capthick=0.7,
        )  # fmt: skip
        axes.set_xlabel(f"time since the start / {unit}")
        axes.set_ylabel("zero slope / (mg/h)")
        _mark_as_left(axes, segments, origin_s, scale_s)
        return svg("zero")


def air_plot(air: Sequence[Air], origin_s: float) -> str:
    """Temperature, humidity and pressure of the air at the balance over the session."""
    with _figure(3.1) as (figure, svg):
        time_s = np.array([one.time_s for one in air])
        scale_s, unit = _time_unit(time_s, origin_s)
        panels: Sequence[Axes] = figure.subplots(3, 1, sharex=True)
        for axes, label, values in (
            (panels[0], "temperature\n/ °C", [one.temperature_c for one in air]),
            (panels[1], "relative\nhumidity / %", [one.humidity_pct for one in air]),
            (panels[2], "pressure\n/ hPa", [one.pressure_hpa for one in air]),
        ):
            drawn = thinned(Trace(time_s, np.array(values)), most=500)
            axes.plot((drawn.time_s - origin_s) / scale_s, drawn.values, color=INK)
            axes.set_ylabel(label)
            axes.ticklabel_format(axis="y", useOffset=False)
            axes.margins(x=0.01)
        panels[2].set_xlabel(f"time since the start / {unit}")
        figure.align_ylabels()
        return svg("air")


def _draw_errors(axes: Axes, name: str, results: Sequence[RateResult], look: dict[str, Any], *, repeats: bool) -> None:
    rates = np.array([rate.rate_ul_per_h * ML_PER_DAY for rate in results])
    if repeats:
        singles = [(rate.rate_ul_per_h * ML_PER_DAY, run.error_pct) for rate in results for run in rate.runs]
        x, y = zip(*singles, strict=True)
        axes.plot(
            np.array(x) * look["repeats"], y, look["repeat_mark"],
            color=GREY, markersize=4, markeredgewidth=0.7, label=f"{name}, repeats",
        )  # fmt: skip
    axes.errorbar(
        rates * look["shift"],
        [rate.error_pct for rate in results],
        [rate.expanded_uncertainty_pct for rate in results],
        fmt=look["mark"], color=look["colour"], markerfacecolor=look["fill"], markersize=4 if repeats else 3,
        elinewidth=0.9, capsize=2.5, capthick=0.9, label=f"{name}, mean ± U",
    )  # fmt: skip


def _draw_limits(axes: Axes, rates: Sequence[RateResult]) -> None:
    for limit in sorted({rate.limit_pct for rate in rates}):
        for sign in (-1, 1):
            axes.axhline(sign * limit, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
            axes.annotate(
                f"limit {'−' if sign < 0 else '+'}{limit:g} %",
                (1.0, sign * limit), xycoords=("axes fraction", "data"),
                xytext=(0, 2), textcoords="offset points", ha="right", va="bottom", fontsize=7,
            )  # fmt: skip


def _mark_as_left(axes: Axes, segments: Sequence[Segment], origin_s: float, scale_s: float) -> None:
    begun_s = next((segment.start_s for segment in segments if segment.stage == AS_LEFT), None)
    if begun_s is None:
        return
    at = (begun_s - origin_s) / scale_s
    axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)))
    for text, side, shift in (("as found", "right", -3), ("as left", "left", 3)):
        axes.annotate(
            text, (at, 1.0), xycoords=("data", "axes fraction"),
            xytext=(shift, 1), textcoords="offset points", ha=side, va="bottom", fontsize=7,
        )  # fmt: skip


def _legend(figure: Figure, axes: Axes, *, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _time_unit(time_s: Any, origin_s: float) -> tuple[float, str]:
    span_s = float(time_s[-1]) - origin_s
    return (86400.0, "d") if span_s > 2 * 86400.0 else (3600.0, "h")


@contextmanager
def _figure(height_in: float) -> Iterator[tuple[Figure, Callable[[str], str]]]:
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        yield figure, lambda name: _svg(figure, name)


def _svg(figure: Figure, name: str) -> str:
    """The figure's SVG element: ids made unique among the figures, coordinates to a hundredth of a point."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), text)
    return text.strip()
