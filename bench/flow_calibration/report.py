"""The report of a flow calibration, rebuilt from the run's folder alone: one HTML file that prints on A4."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from bench.flow_calibration import plots, wording
from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.analysis import OFFSET_LEVEL
from bench.flow_calibration.kept_run import KeptRun, read_kept_run
from bench.flow_calibration.reduction import zero_slopes
from bench.flow_calibration.result import AS_FOUND, AS_LEFT, BudgetRow, RateResult, RunResult
from bench.flow_calibration.traces import Trace, corrected_trace, residual, weighed
from bench.metrology import GUARD_BAND_FACTOR, ZeroSlope
from bench.recording import Note, Segment, entries_of
from bench.rigfile import RigFile
from bench.run_folder import REPORT, RESULT, write_synced

TEMPLATES = Path(__file__).with_name("templates")
LAST_NOTES = 12
ADJUSTMENT = "adjustment"
SIMULATED = "SIMULATED, NOT A CALIBRATION"
ENDED_EARLY = "ENDED EARLY, NOT A CALIBRATION"
SIMULATED_AND_ENDED_EARLY = "SIMULATED AND ENDED EARLY, NOT A CALIBRATION"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its caption; without `svg`, `missing` says why it could not be drawn."""

    svg: Markup | None
    caption: str
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Extent:
    """The range of a quantity over the session, as text, with the expanded uncertainty of its instrument."""

    name: str
    least: str
    most: str
    uncertainty: str


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One input of the budget at one rate, as found and as left."""

    name: str
    rows: tuple[BudgetRow | None, ...]

    @property
    def any_row(self) -> BudgetRow:
        return next(row for row in self.rows if row is not None)


@dataclass(frozen=True, slots=True)
class Stage:
    """As found or as left, with its results by rate."""

    name: str
    results: tuple[RateResult, ...]


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run's folder, from what the folder holds; the same to the byte each time.

    A run that ended early gets a report of what was recorded, the reason, and how the pump was left.

    Raises:
        FileError: not the folder of a run, or a file in it is damaged.
        OSError: the report cannot be written.
    """
    path = folder / REPORT
    write_synced(path, render(read_kept_run(folder)).encode())
    return path


def render(run: KeptRun) -> str:
    """The report's HTML."""
    stages = _stages(run)
    data = Data.from_recording(run.entries)
    times_s = [entry.time_s for entries in run.entries.values() for entry in (entries[0], entries[-1])]
    origin_s = min(times_s, default=0.0)
    notes = entries_of(run.entries, Note)
    template = _environment().get_template("report.html.j2")
    return template.render(
        run=run,
        result=run.result,
        stages=stages,
        result_id=run.sha256[RESULT][:16] if run.result is not None else "",
        banner=_banner(run),
        session_s=max(times_s, default=0.0) - origin_s,
        origin_s=origin_s,
        data=data,
        extents=_extents(data, run.file) if run.file is not None else (),
        budgets=[(rate, _budget_lines(rates)) for rate, rates in _by_rate(stages)],
        by_rate=_by_rate(stages),
        segments=_segment_counts(data.segments),
        last_notes=notes[-LAST_NOTES:],
        adjustment_notes=[note for note in notes if note.kind == ADJUSTMENT],
        error_figure=_figure(
            "Error of the delivered volume at each rate with its expanded uncertainty U (95 %).",
            lambda: plots.error_plot([(stage.name, stage.results) for stage in stages]),
        )
        if stages
        else None,
        figures=_session_figures(run, stages, data, origin_s),
        guard_band_factor=GUARD_BAND_FACTOR,
        offset_level=OFFSET_LEVEL,
    )


def _banner(run: KeptRun) -> str:
    if run.result is None:
        return SIMULATED_AND_ENDED_EARLY if run.is_simulated else ENDED_EARLY
    return SIMULATED if run.is_simulated else ""


def _stages(run: KeptRun) -> tuple[Stage, ...]:
    left = run.result.as_left if run.result is not None else ()
    return tuple(Stage(name, results) for name, results in ((AS_FOUND, run.as_found), (AS_LEFT, left)) if results)


def _by_rate(stages: tuple[Stage, ...]) -> list[tuple[float, list[RateResult | None]]]:
    rates = sorted({one.rate_ul_per_h for stage in stages for one in stage.results})
    found = {(stage.name, one.rate_ul_per_h): one for stage in stages for one in stage.results}
    return [(rate, [found.get((stage.name, rate)) for stage in stages]) for rate in rates]


def _budget_lines(results: list[RateResult | None]) -> list[BudgetLine]:
    rows = [{row.name: row for row in result.budget} if result is not None else {} for result in results]
    names = dict.fromkeys(name for stage in rows for name in stage)
    return [BudgetLine(name, tuple(stage.get(name) for stage in rows)) for name in names]


def _extents(data: Data, file: RigFile) -> list[Extent]:
    air = file.environment.certificate
    quantities = (
        ("air temperature", "°C", [one.temperature_c for one in data.air], air.temperature_standard_uncertainty_k),
        ("relative humidity", "%", [one.humidity_pct for one in data.air], air.humidity_standard_uncertainty_pct),
        ("air pressure", "hPa", [one.pressure_hpa for one in data.air], air.pressure_standard_uncertainty_hpa),
        (
            "pump head temperature",
            "°C",
            [one.head_temperature_c for one in data.pump],
            file.pump.head_thermometer.standard_uncertainty_k,
        ),
    )
    return [
        Extent(
            name,
            wording.to_uncertainty(min(values), 2.0 * uncertainty, unit),
            wording.to_uncertainty(max(values), 2.0 * uncertainty, unit),
            wording.uncertainty(2.0 * uncertainty, unit.replace("°C", "K")),
        )
        for name, unit, values, uncertainty in quantities
        if values
    ]


def _segment_counts(segments: Iterable[Segment]) -> dict[str, dict[str, int]]:
    """Complete zero segments and flow windows by stage."""
    counts: dict[str, dict[str, int]] = {}
    for segment in segments:
        stage = counts.setdefault(segment.stage, {"zero": 0, "last end": 0})
        if segment.kind in stage:
            stage[segment.kind] += 1
    return counts


def _session_figures(run: KeptRun, stages: tuple[Stage, ...], data: Data, origin_s: float) -> list[Figure]:
    readings = weighed(run.entries)
    figures = []
    if len(readings.time_s):
        figures.append(
            _figure(
                "Mass on the pan over the session, without the check weight, thinned for drawing.",
                lambda: plots.mass_plot(readings, data.segments, origin_s),
            )
        )
    if len(readings.time_s) and run.file is not None:
        file = run.file
        shown = _farthest_run(stages[0].results[0]) if stages else None
        if shown is not None:
            figures.append(
                _figure(
                    f"Readings of one run, {shown.stage} at {wording.ml_per_day(shown.rate_ul_per_h)} mL/day, "
                    f"repeat {shown.repeat + 1}, the one farthest from the mean: corrected for air buoyancy, less the "
                    "straight line through the centres of its two averaged ends.",
                    lambda: plots.residual_plot(residual(corrected_trace(readings, data, file), data.segments, shown)),
                )
            )
        figures.append(
            _figure(
                "Zero slope of each zero segment (evaporation and balance drift together, corrected for air "
                "buoyancy) with its expanded uncertainty (95 %).",
                lambda: plots.zero_plot(
                    _slopes(corrected_trace(readings, data, file), data, file), data.segments, origin_s
                ),
            )
        )
    if data.air:
        figures.append(_figure("Air at the balance over the session.", lambda: plots.air_plot(data.air, origin_s)))
    return figures


def _slopes(trace: Trace, data: Data, file: RigFile) -> tuple[ZeroSlope, ...]:
    return zero_slopes(trace.time_s, trace.values, data.segments, file.balance.readability_mg)[0]


def _farthest_run(rate: RateResult) -> RunResult:
    return max(rate.runs, key=lambda run: (run.error_pct - rate.error_pct) ** 2)


def _figure(caption: str, draw: Callable[[], str]) -> Figure:
    try:
        return Figure(Markup(draw()), caption)
    except ValueError as error:
        return Figure(None, caption, str(error))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words: tuple[Callable[..., str | float], ...] = (
        wording.prose, wording.identifier, wording.with_uncertainty, wording.to_uncertainty, wording.uncertainty,
        wording.decimals, wording.exact, wording.dof, wording.share, wording.probability, wording.ml_per_day,
        wording.ul_per_h, wording.duration, wording.clock, wording.single_run_uncertainty_pct,
    )  # fmt: skip
    environment.filters.update({word.__name__: word for word in words})
    return environment
