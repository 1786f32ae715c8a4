"""Alarms one by one, their acknowledgement, and the self-test."""

from __future__ import annotations

from construct import Enum, Int8ul, Int16ul, Int32ul, Int64ul, PrefixedArray, Struct

from protocol.enums import Alarm, SelfTestItem, Severity, Tone
from protocol.registry import Message, Record, reply, request


@request(0x07, Struct())
class AlarmsRequest(Message, frozen=True):
    """Asks for `Alarms`."""


class AlarmEntry(Record, frozen=True):
    """One alarm. `raised_at_us` is device time, `times` how often it came up since boot.

    `active` and `acknowledged` are 0 or 1: an alarm whose condition is over stays listed until it is acknowledged.
    `severity` is that of the alarm, or CRITICAL where it has escalated. `silent_for_s` is how long its tone still keeps
    quiet, `tone` how it sounds now.
    """

    alarm: Alarm | int
    severity: Severity | int
    active: int
    acknowledged: int
    raised_at_us: int
    times: int
    silent_for_s: int
    tone: Tone | int


@reply(
    0x87,
    Struct(
        "device_time_us" / Int64ul,
        "entries"
        / PrefixedArray(
            Int8ul,
            Struct(
                "alarm" / Enum(Int32ul, Alarm),
                "severity" / Enum(Int8ul, Severity),
                "active" / Int8ul,
                "acknowledged" / Int8ul,
                "raised_at_us" / Int64ul,
                "times" / Int16ul,
                "silent_for_s" / Int32ul,
                "tone" / Enum(Int8ul, Tone),
            ),
        ),
    ),
    to=[AlarmsRequest],
)
class Alarms(Message, frozen=True):
    """Every alarm that is active or not yet acknowledged."""

    device_time_us: int
    entries: tuple[AlarmEntry, ...]


@request(0x08, Struct("alarms" / Enum(Int32ul, Alarm), "silence_s" / Int32ul))
class AcknowledgeAlarms(Message, frozen=True):
    """Somebody has seen these alarms; an active one keeps quiet for `silence_s`, then its tone returns.

    0 for `silence_s` leaves the tone on.
    """

    alarms: Alarm | int
    silence_s: int


@request(0x22, Struct("items" / Enum(Int32ul, SelfTestItem)))
class SelfTestRequest(Message, frozen=True):
    """Asks the device to test itself; `items` 0 asks for all that the present mode allows."""

    items: SelfTestItem | int


@reply(
    0xA2,
    Struct(
        "device_time_us" / Int64ul,
        "passed" / Enum(Int32ul, SelfTestItem),
        "failed" / Enum(Int32ul, SelfTestItem),
        "not_run" / Enum(Int32ul, SelfTestItem),
    ),
    to=[SelfTestRequest],
)
class SelfTestReport(Message, frozen=True):
    """What the self-test found; an item is in exactly one of `passed`, `failed` and `not_run`."""

    device_time_us: int
    passed: SelfTestItem | int
    failed: SelfTestItem | int
    not_run: SelfTestItem | int
