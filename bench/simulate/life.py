"""What a simulated life of a pump has left: columns of the truth beside the pump's own account, notes, and
expectations."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol import Alarm, Tone

NOTICE = "SIMULATED, NOT FOR CLINICAL USE"
S_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened at an instant: `who` is pump, clinic, body or tip."""

    time_s: float
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that must be seen in the scenario, whether it was, and what was."""

    expected: str
    seen: bool
    found: str


@dataclass(frozen=True, slots=True)
class Breakage:
    """A safety property that is broken, or that the scenario says is: `why` is its reason, empty where it has none.

    `first_s` is when it was broken first, None where it held; `how` says what was seen then.
    """

    identifier: str
    sentence: str
    why: str
    first_s: float | None
    how: str

    @property
    def as_said(self) -> bool:
        """Whether it is broken, and the scenario says so."""
        return bool(self.why) and self.first_s is not None


@dataclass(frozen=True)
class Life:
    """`columns` are named with their units and equally long, by `time_s`, in s since 0 UTC of `starts_on`.

    `is_its_own`: the scenario's own model and days; nothing is held against another run, and `outcomes` are empty
    there. `breakages` are the safety properties, of `properties_watched`, that were broken or should have been.
    `conservation_error` is the largest error of the accounts of volume and drug, relative to what was moved.
    """

    scenario: str
    about: str
    sources: tuple[str, ...]
    model: str
    days: float
    starts_on: datetime.date
    seed: int
    is_its_own: bool
    columns: dict[str, NDArray[np.float64]]
    notes: tuple[Note, ...]
    outcomes: tuple[Outcome, ...]
    breakages: tuple[Breakage, ...]
    properties_watched: int
    conservation_error: float
    trace_hash: str

    @property
    def as_expected(self) -> bool:
        """Whether all that must be seen was, and the scenario broke what it says and nothing else."""
        if not self.is_its_own:
            return True
        return all(it.seen for it in self.outcomes) and all(it.as_said for it in self.breakages)

    def alarm_spans(self) -> dict[str, list[tuple[float, float]]]:
        """From when to when each alarm was on, in s, by its name."""
        alarms = self.columns["alarms"].astype(np.int64)
        spans = {alarm.name: self._spans((alarms & int(alarm)) != 0) for alarm in Alarm if alarm.name is not None}
        return {name: times for name, times in spans.items() if times}

    def tone_spans(self) -> dict[str, list[tuple[float, float]]]:
        """From when to when the sounder gave single and dual tones, in s, the loudest alarm's; by the tone's name."""
        tones = self.columns["tone"]
        spans = {tone.name: self._spans(tones == int(tone)) for tone in Tone if tone is not Tone.SILENT}
        return {name: times for name, times in spans.items() if times}

    def off_spans(self) -> list[tuple[float, float]]:
        """From when to when the pump had no power, in s."""
        return self._spans(self.columns["pump_on"] == 0.0)

    def _spans(self, on: NDArray[np.bool_]) -> list[tuple[float, float]]:
        time_s = self.columns["time_s"]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
        last = len(time_s) - 1
        return [
            (float(time_s[start]), float(time_s[min(end, last)]))
            for start, end in zip(edges[::2], edges[1::2], strict=True)
        ]
