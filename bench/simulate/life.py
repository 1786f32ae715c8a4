"""What a simulated life of a pump has left: columns of the truth beside the pump's own account, notes, and
expectations."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Life:
    """`columns` are named with their units and equally long, by `time_s`. `outcomes` are empty where the run was not
    the scenario's own: another model, or fewer days.

    `conservation_error` is the largest error of the accounts of volume and drug, relative to what was moved.
    """

    scenario: str
    about: str
    sources: tuple[str, ...]
    model: str
    days: float
    seed: int
    columns: dict[str, NDArray[np.float64]]
    notes: tuple[Note, ...]
    outcomes: tuple[Outcome, ...]
    conservation_error: float
    trace_hash: str

    @property
    def as_expected(self) -> bool:
        """Whether all that must be seen was."""
        return all(outcome.seen for outcome in self.outcomes)

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

    def _spans(self, on: NDArray[np.bool_]) -> list[tuple[float, float]]:
        time_s = self.columns["time_s"]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
        last = len(time_s) - 1
        return [
            (float(time_s[start]), float(time_s[min(end, last)]))
            for start, end in zip(edges[::2], edges[1::2], strict=True)
        ]
