"""What must be seen in a scenario: its `[[expected]]` tables, held against the record of a run.

Each table is one of: `alarm` between `from_h` and `until_h`; `alarm` with `never = true`; `any_alarm = false`; `event`,
the beginning of a note, between `from_h` and `until_h`; `column` of a row between `low` and `high` `at_h`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from firmware_mock.body_effects import ImplantFacts
from firmware_mock.implant_record import COLUMNS, Record
from firmware_mock.scenario import Scenario, ScenarioError
from protocol import Alarm

_S_PER_H = 3600.0
_ALARMS = {alarm.name: alarm for alarm in Alarm if alarm.name is not None}
_Look = Callable[[Record], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation in words, whether it was seen, and what was seen instead."""

    expected: str
    seen: bool
    found: str


def outcomes(scenario: Scenario, record: Record) -> list[Outcome]:
    """Every expectation of a scenario against a run of all its days.

    Raises:
        ScenarioError: one of them is no such thing.
    """
    return [_outcome(words, look, record) for words, look in expectations(scenario)]


def expectations(scenario: Scenario) -> list[tuple[str, _Look]]:
    """In words, and how to look.

    Raises:
        ScenarioError: as `outcomes`.
    """
    most_h = 24.0 * scenario.section("implant", ImplantFacts).days
    return [
        _read(_Fields(scenario.where, number, table, most_h)) for number, table in enumerate(scenario.expected, start=1)
    ]


def _outcome(words: str, look: _Look, record: Record) -> Outcome:
    seen, found = look(record)
    return Outcome(words, seen, found)


class _Fields:
    def __init__(self, where: str, number: int, table: Mapping[str, Any], most_h: float) -> None:
        self.table = table
        self._most_h = most_h
        self._begins = f"{where}: expected {number}"

    def only(self, *keys: str) -> None:
        for key in self.table:
            if key not in keys:
                raise self.refuse(f"has no key {key!r} beside {keys[0]!r}; known: {', '.join(sorted(keys))}")

    def number(self, key: str) -> float:
        value = self.table.get(key)
        if value is None:
            raise self.refuse(f"{key} is missing; it must be a number")
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.refuse(f"{key} = {value!r} must be a number")
        return float(value)

    def window(self) -> tuple[float, float]:
        from_h, until_h = self.number("from_h"), self.number("until_h")
        if not 0.0 <= from_h < until_h:
            raise self.refuse(f"from_h = {from_h:g} must be at least 0 and before until_h = {until_h:g}")
        self.within("from_h", from_h)
        return from_h, until_h

    def within(self, key: str, hours: float) -> None:
        if hours > self._most_h:
            raise self.refuse(f"{key} = {hours:g} is after the scenario's {self._most_h / 24.0:g} days")

    def refuse(self, sentence: str) -> ScenarioError:
        return ScenarioError(f"{self._begins}: {sentence}")


def _read(fields: _Fields) -> tuple[str, _Look]:
    table = fields.table
    if "any_alarm" in table:
        fields.only("any_alarm")
        if table["any_alarm"] is not False:
            raise fields.refuse("any_alarm can be false alone; name the alarm that must come")
        return "no alarm at all", _no_alarm
    if "alarm" in table:
        return _alarm(fields)
    if "event" in table:
        fields.only("event", "from_h", "until_h")
        text, (from_h, until_h) = table["event"], fields.window()
        if not isinstance(text, str) or not text:
            raise fields.refuse(f"event = {text!r} must be the beginning of a note, such as MOTOR_STALL")
        return f"{text} between {from_h:g} and {until_h:g} h", lambda record: _event(record, text, from_h, until_h)
    if "column" in table:
        return _column(fields)
    raise fields.refuse("expects nothing; give alarm, any_alarm, event or column")


def _alarm(fields: _Fields) -> tuple[str, _Look]:
    name = fields.table["alarm"]
    if name not in _ALARMS:
        raise fields.refuse(f"alarm = {name!r} is unknown; known: {', '.join(sorted(_ALARMS))}")
    if "never" in fields.table:
        fields.only("alarm", "never")
        return f"{name} never", lambda record: _never(record, _ALARMS[name])
    fields.only("alarm", "from_h", "until_h")
    from_h, until_h = fields.window()
    return (
        f"{name} between {from_h:g} and {until_h:g} h",
        lambda record: _risen(record, _ALARMS[name], from_h, until_h),
    )


def _column(fields: _Fields) -> tuple[str, _Look]:
    fields.only("column", "at_h", "low", "high")
    name, at_h = fields.table["column"], fields.number("at_h")
    low, high = fields.number("low"), fields.number("high")
    if name not in COLUMNS:
        raise fields.refuse(f"column = {name!r} is unknown; known: {', '.join(COLUMNS)}")
    if not low <= high or at_h < 0.0:
        raise fields.refuse(f"low = {low:g} must be at most high = {high:g}, and at_h = {at_h:g} at least 0")
    fields.within("at_h", at_h)

    def look(record: Record) -> tuple[bool, str]:
        value = record.at(name, at_h * _S_PER_H)
        return low <= value <= high, f"{value:.10g}"

    return f"{name} from {low:g} to {high:g} at {at_h:g} h", look


def _risen(record: Record, alarm: Alarm, from_h: float, until_h: float) -> tuple[bool, str]:
    hours = [time_s / _S_PER_H for time_s in record.rising(alarm)]
    found = ", ".join(f"{hour:.4f} h" for hour in hours) or "never"
    return any(from_h <= hour <= until_h for hour in hours), found


def _never(record: Record, alarm: Alarm) -> tuple[bool, str]:
    hours = [f"{time_s / _S_PER_H:.4f} h" for time_s in record.rising(alarm)]
    return not hours, ", ".join(hours) or "never"


def _no_alarm(record: Record) -> tuple[bool, str]:
    seen = [
        f"{name} at {time_s / _S_PER_H:.4f} h" for name, alarm in _ALARMS.items() for time_s in record.rising(alarm)
    ]
    return not seen, ", ".join(seen) or "none"


def _event(record: Record, text: str, from_h: float, until_h: float) -> tuple[bool, str]:
    hours = [note.time_s / _S_PER_H for note in record.notes if note.text.startswith(text)]
    return any(from_h <= hour <= until_h for hour in hours), ", ".join(f"{hour:.4f} h" for hour in hours) or "never"
