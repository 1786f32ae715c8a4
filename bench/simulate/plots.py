"""The picture of a simulated life: what the pump thought, beside what was so. Black on white, the same for the same
data.

matplotlib is imported when it is drawn, without pyplot and without its global state.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.flow_calibration.plots import BLUE, GREY, INK, STYLE
from bench.simulate.life import NOTICE, S_PER_DAY, Life

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SVG, PNG = "simulation.svg", "simulation.png"
_WIDTH_IN, _HEIGHT_IN = 8.3, 11.0
_ML_PER_DAY = 0.024
_ML = 1e-3
_DYNAMIC_RANGE = 30.0
_NO_POWER = "without power"
_DASHED = (0, (4, 2))
MOST_STEPS = 2000
MOST_BINS = 600
MOST_DAYS_WITH_HOURS = 10.0
_QUARTER_S = S_PER_DAY / 4.0
_LENGTHS = ((S_PER_DAY, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
BAND = "#c9d6e4"


def write_plot(life: Life, folder: Path) -> list[Path]:
    """Draw it into a folder, which is made, as SVG and PNG.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / SVG, folder / PNG]
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
        figure.suptitle(
            f"{NOTICE}\n{life.scenario}: {life.model}, {life.days:g} days, seed {life.seed}", fontsize=10, weight="bold"
        )
        panels: Any = figure.subplots(7, 1, sharex=True, height_ratios=(1.3, 1.3, 1.1, 0.7, 1.0, 1.0, 1.0))
        scale_s, unit = _time_unit(life)
        t = life.columns["time_s"] / scale_s
        _rate(panels[0], t, life)
        _volume(panels[1], t, life)
        _reservoir(panels[2], t, life)
        _battery(panels[3], t, life)
        _alarms(panels[4], life, scale_s)
        _tip(panels[5], t, life)
        draw_dose(panels[6], t, life)
        for axes in panels:
            axes.margins(x=0.01)
        _mark_times(panels[6], life, scale_s)
        for axes in (*panels[:3], *panels[5:]):
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
        panels[6].set_xlabel(f"time / {unit}, from 0 UTC of {life.starts_on}")
        figure.align_ylabels([axes for axes in panels if axes is not panels[4]])
        figure.savefig(files[0], metadata={"Date": None, "Description": NOTICE})
        figure.savefig(files[1], dpi=130, metadata={"Software": None, "Description": NOTICE})
    return files


def _rate(axes: Axes, t: NDArray[np.float64], life: Life) -> None:
    programmed = life.columns["pump_rate_ul_per_h"] * _ML_PER_DAY
    true = life.columns["true_tip_flow_ul_per_h"] * _ML_PER_DAY
    if len(t) <= MOST_STEPS:
        axes.step(t, true, where="pre", color=BLUE, linewidth=1.2, label="true at the tip")
        axes.step(t, programmed, where="post", color=INK, linewidth=0.9, linestyle=_DASHED, label="programmed")
    else:
        edges = np.linspace(t[0], t[-1], MOST_BINS + 1)
        centres = (edges[:-1] + edges[1:]) / 2.0
        tip_ml = np.interp(edges, t, life.columns["true_tip_ul"] * _ML)
        days = np.diff(np.interp(edges, t, life.columns["time_s"])) / S_PER_DAY
        low, high = _extremes(t, programmed, edges)
        axes.fill_between(centres, low, high, step="mid", color=BAND, linewidth=0, label="programmed,\nleast to most")
        axes.plot(centres, np.diff(tip_ml) / days, color=BLUE, linewidth=1.2, label="true at the tip,\nmean")
    positive = np.concatenate([programmed[programmed > 0.0], true[true > 1e-9]])
    if len(positive) and positive.max() > _DYNAMIC_RANGE * np.median(positive):
        axes.set_yscale("symlog", linthresh=float(np.median(positive)))
    axes.set_ylabel("rate\n/ (mL/day)")


def _extremes(
    t: NDArray[np.float64], values: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and most of a quantity that holds from row to row, in each bin between two edges."""
    firsts = np.maximum(np.searchsorted(t, edges[:-1], side="right") - 1, 0)
    ends = np.maximum(np.searchsorted(t, edges[1:], side="right"), firsts + 1)
    parts = [values[first:end] for first, end in zip(firsts, ends, strict=True)]
    return np.array([part.min() for part in parts]), np.array([part.max() for part in parts])


def _volume(axes: Axes, t: NDArray[np.float64], life: Life) -> None:
    columns = life.columns
    axes.plot(t, columns["true_pumped_ul"] * _ML, color=GREY, label="true, pumped")
    axes.plot(t, columns["true_tip_ul"] * _ML, color=BLUE, linewidth=1.2, label="true, at the tip")
    account_ml = columns["pump_delivered_ul"] * _ML
    axes.plot(t, account_ml, color=INK, linestyle=_DASHED, label="by the pump's\naccount")
    axes.set_ylabel("cumulative\nvolume / mL")


def _reservoir(axes: Axes, t: NDArray[np.float64], life: Life) -> None:
    account_ml = life.columns["pump_reservoir_ul"] * _ML
    axes.plot(t, life.columns["true_reservoir_ul"] * _ML, color=BLUE, linewidth=1.2, label="true")
    axes.plot(t, account_ml, color=INK, linestyle=_DASHED, label="by the pump's\naccount")
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("reservoir\n/ mL")


def _battery(axes: Axes, t: NDArray[np.float64], life: Life) -> None:
    axes.plot(t, life.columns["battery_left_pct"], color=INK)
    axes.set_ylim(0.0, 105.0)
    axes.set_ylabel("battery\nleft / %")


def _alarms(axes: Axes, life: Life, scale_s: float) -> None:
    tones = {f"{name} tone": times for name, times in life.tone_spans().items()}
    off = {_NO_POWER: times} if (times := life.off_spans()) else {}
    spans = {**off, **tones, **life.alarm_spans()}
    for number, (name, times) in enumerate(spans.items()):
        colour = GREY if name in tones else BLUE if name in off else INK
        bars = [(start / scale_s, (end - start) / scale_s) for start, end in times]
        axes.broken_barh(bars, (number - 0.35, 0.7), color=colour, linewidth=0.8, edgecolor=colour)
    axes.set_yticks(range(len(spans)), [name.lower().replace("_", " ") for name in spans])
    axes.set_ylim(-0.6, max(0, len(spans) - 1) + 0.6)
    axes.grid(visible=False)
    if not spans:
        axes.text(0.5, 0.5, "no alarm", transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.set_title("alarms and tones")


def _tip(axes: Axes, t: NDArray[np.float64], life: Life) -> None:
    columns = life.columns
    axes.step(t, columns["true_tip_ug_per_ml"], where="post", color=BLUE, linewidth=1.2, label="at the tip")
    reservoir = columns["true_reservoir_ug_per_ml"]
    axes.step(t, reservoir, where="post", color=INK, linestyle=_DASHED, label="in the reservoir")
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("concentration\n/ (µg/mL)")


def draw_dose(axes: Axes, t: NDArray[np.float64], life: Life) -> None:
    """Means over an hour, over a quarter of a day in a longer life, and longer where there would be too many."""
    per_day = 24 if life.days <= MOST_DAYS_WITH_HOURS else 4
    bins = max(1, min(MOST_BINS, round(per_day * life.days)))
    edges = np.linspace(t[0], t[-1], bins + 1)
    days = np.diff(np.interp(edges, t, life.columns["time_s"])) / S_PER_DAY
    dose = np.diff(np.interp(edges, t, life.columns["true_tip_ug"])) / days
    label = f"mean of\n{_length(S_PER_DAY * life.days / bins)}"
    axes.stairs(dose, edges, baseline=None, color=BLUE, linewidth=1.2, zorder=2.5, label=label)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("dose at the tip\n/ (µg/day)")


def _length(length_s: float) -> str:
    unit_s, unit = next((it for it in _LENGTHS if length_s >= it[0]), _LENGTHS[-1])
    return f"{length_s / unit_s:.3g} {unit}"


def _mark_times(axes: Axes, life: Life, scale_s: float) -> None:
    """Over a few days, marks every 6 h, so that times of day can be read; a number for each day, or for each 6 h."""
    if not 0.5 < life.days <= MOST_DAYS_WITH_HOURS:
        return
    from matplotlib.ticker import MultipleLocator

    marked_s, named_s = (_QUARTER_S, S_PER_DAY) if scale_s == S_PER_DAY else (_QUARTER_S / 6.0, _QUARTER_S)
    axes.xaxis.set_minor_locator(MultipleLocator(marked_s / scale_s))
    axes.xaxis.set_major_locator(MultipleLocator(named_s / scale_s))


def _time_unit(life: Life) -> tuple[float, str]:
    if life.days > 2.0 * 365.25:
        return 365.25 * S_PER_DAY, "years of 365.25 d"
    return (S_PER_DAY, "d") if life.days > 3.0 else (3600.0, "h")
