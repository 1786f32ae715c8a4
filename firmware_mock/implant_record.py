"""What is kept of a simulated implant: rows of the truth and of the pump's own account, and what happened in words."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields

from protocol import Alarm


@dataclass(frozen=True, slots=True)
class Row:
    """One instant. `pump_…` is what the firmware computes, everything else the truth since time 0.

    `true_tip_flow_ul_per_h` is the mean since the row before; `pump_on` is 0 while the pump has no power; `mode`,
    `alarms` and `tone` are numbers of the wire; the tone is that of the loudest alarm.
    """

    time_s: float
    mode: int
    alarms: int
    tone: int
    pump_on: int
    pump_rate_ul_per_h: float
    true_tip_flow_ul_per_h: float
    pump_delivered_ul: float
    true_pumped_ul: float
    true_tip_ul: float
    true_leaked_ul: float
    true_stored_ul: float
    catheter_pressure_hpa: float
    pump_reservoir_ul: float
    true_reservoir_ul: float
    true_reservoir_ug_per_ml: float
    true_tip_ug_per_ml: float
    true_tip_ug: float
    battery_mv: int
    battery_left_pct: float


COLUMNS = tuple(item.name for item in fields(Row))
_WHOLE = frozenset(("mode", "alarms", "tone", "pump_on", "battery_mv"))


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, for people: `who` is pump, clinic, body or tip."""

    time_s: float
    who: str
    text: str


class Record:
    """Columns of equal length, and notes in the order in which they were made."""

    def __init__(self) -> None:
        self.columns = {name: array("q" if name in _WHOLE else "d") for name in COLUMNS}
        self.notes: list[Note] = []

    def add(self, row: Row) -> None:
        """Append a row; one at the instant of the last one replaces it."""
        times = self.columns["time_s"]
        if times and times[-1] == row.time_s:
            for column in self.columns.values():
                column.pop()
        for name, column in self.columns.items():
            column.append(getattr(row, name))

    def note(self, time_s: float, who: str, text: str) -> None:
        """Append a note."""
        self.notes.append(Note(time_s, who, text))

    def rising(self, alarm: Alarm) -> Iterator[float]:
        """The times, in s, of the rows in which an alarm is on for the first time."""
        was_on = False
        for time_s, alarms in zip(self.columns["time_s"], self.columns["alarms"], strict=True):
            is_on = bool(alarms & alarm)
            if is_on and not was_on:
                yield time_s
            was_on = is_on

    def at(self, column: str, time_s: float) -> float:
        """A column at an instant, by the last row up to it.

        Raises:
            ValueError: there is no such row.
        """
        index = bisect_right(self.columns["time_s"], time_s) - 1
        if index < 0:
            raise ValueError(f"there is no row up to {time_s} s")
        return float(self.columns[column][index])
