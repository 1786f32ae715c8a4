"""What the report's figures show of a recording: readings corrected for buoyancy, residuals, thinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.flow_calibration.acquisition import Data
from bench.flow_calibration.reduction import AirSeries, FloatArray, corrected_for_buoyancy
from bench.flow_calibration.result import RunResult
from bench.recording import Entry, Note, Segment, entries_of
from bench.rigfile import RigFile

MOST_POINTS = 800
IN_PROGRESS = ("zero", "flow")


@dataclass(frozen=True, slots=True)
class Trace:
    """A quantity over time: times in s on the process clock, values in the unit that the holder names."""

    time_s: FloatArray
    values: FloatArray

    def between(self, start_s: float, end_s: float) -> Trace:
        """The part from `start_s` up to, not including, `end_s`."""
        first, end = np.searchsorted(self.time_s, [start_s, end_s])
        return Trace(self.time_s[first:end], self.values[first:end])


@dataclass(frozen=True, slots=True)
class Residual:
    """One run, in mg, less the straight line through the centres of its two ends; `ends` are their spans in s."""

    run: RunResult
    trace: Trace
    ends: tuple[tuple[float, float], ...]


def weighed(entries: dict[type[Entry], list[Any]]) -> Trace:
    """Balance readings in mg that belong to a zero segment or a flow window, the one under way at the end included.

    Readings of the check weight lie outside and are left out.
    """
    data = Data.from_recording(entries)
    time_s = np.array([reading.time_s for reading in data.readings])
    mass_mg = np.array([reading.mass_mg for reading in data.readings])
    inside = np.zeros(len(time_s), dtype=bool)
    for segment in data.segments:
        inside[slice(*np.searchsorted(time_s, [segment.start_s, segment.end_s]))] = True
    begun = [note.time_s for note in entries_of(entries, Note) if note.kind in IN_PROGRESS]
    if begun and not _is_over(data.segments, begun[-1]):
        inside |= time_s >= begun[-1]
    return Trace(time_s[inside], mass_mg[inside])


def corrected_trace(readings: Trace, data: Data, file: RigFile) -> Trace:
    """Readings in mg corrected for buoyancy as in the analysis.

    Raises:
        ValueError: the air was not read.
    """
    if not data.air:
        raise ValueError("the air was not read, so no reading can be corrected for buoyancy")
    first_mg = float(readings.values[0]) if len(readings.values) else 0.0
    air = AirSeries.of(data)
    return Trace(readings.time_s, corrected_for_buoyancy(readings.time_s, readings.values, first_mg, air, file))


def residual(corrected: Trace, segments: Sequence[Segment], run: RunResult) -> Residual:
    """What a run's readings leave beside the straight line through the centres of its two ends, in mg.

    Raises:
        ValueError: the recording does not hold both ends of the run.
    """
    own = [
        segment
        for segment in segments
        if segment.kind != "zero"
        and (segment.stage, segment.rate_ul_per_h, segment.repeat) == (run.stage, run.rate_ul_per_h, run.repeat)
    ]
    ends = tuple((segment.start_s, segment.end_s) for segment in own if segment.kind in ("first end", "last end"))
    if len(ends) != 2:
        raise ValueError(f"the recording does not hold both ends of the run, {run.stage}, repeat {run.repeat + 1}")
    trace = corrected.between(min(segment.start_s for segment in own), max(segment.end_s for segment in own))
    means = [corrected.between(*end) for end in ends]
    times_s = [float(part.time_s.mean()) for part in means]
    masses_mg = [float(part.values.mean()) for part in means]
    slope = (masses_mg[-1] - masses_mg[0]) / (times_s[-1] - times_s[0])
    line = masses_mg[0] + slope * (trace.time_s - times_s[0])
    return Residual(run, Trace(trace.time_s, trace.values - line), ends)


def thinned(trace: Trace, most: int = MOST_POINTS) -> Trace:
    """At most `most` points: of each stretch of readings the smallest and the largest, so that no peak is lost."""
    count = len(trace.time_s)
    if count <= most:
        return trace
    kept = set()
    for stretch in np.array_split(np.arange(count), max(1, most // 2)):
        part = trace.values[stretch]
        kept |= {int(stretch[part.argmin()]), int(stretch[part.argmax()])}
    index = np.array(sorted(kept))
    return Trace(trace.time_s[index], trace.values[index])


def _is_over(segments: Sequence[Segment], begun_s: float) -> bool:
    return bool(segments) and segments[-1].kind in ("zero", "last end") and segments[-1].end_s > begun_s
