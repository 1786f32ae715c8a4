"""Mutants of alarms, of their tones, and of what the pump watches over itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from firmware_mock.firmware import alarms
from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.alarms import Alarms
from firmware_mock.firmware.infusion_watch import InfusionWatch
from firmware_mock.firmware.notices import Notices
from firmware_mock.firmware.self_test import SelfTest
from firmware_mock.firmware.sounder import Sounder
from firmware_mock.firmware.stall_watch import StallWatch
from firmware_mock.firmware.telemetry_switch import TelemetrySwitch
from firmware_mock.firmware.therapy import Therapy
from firmware_mock.firmware.upkeep import Upkeep
from firmware_mock.physics.battery import Battery
from mutating.mutant import of
from protocol import Ack, Alarm, SelfTestItem, Severity, Tone


def _without(*alarms_gone: Alarm) -> Any:
    gone = Alarm(sum(alarms_gone))
    return lambda original, it: original(it) & ~gone


def _never(*gone: Alarm) -> tuple[tuple[Any, str, Any], ...]:
    """Swaps with which alarms neither hold nor come due."""
    return (
        (Alarms, "active", _without(*gone)),
        (Alarms, "_due_ns", lambda original, it, alarm: None if alarm in gone else original(it, alarm)),
    )


def _far_from_full(original: Any, it: Accounts, volume_ul: float) -> int:
    return int(original(it, volume_ul - 900.0))


def _stops_too(original: Any, it: Alarms, *, risen: Alarm) -> None:
    original(it, risen=risen)
    if risen & Alarm.LOW_RESERVOIR and it._motor.period_ps:
        it._world.at(it._world.now_ns, it._motor.halt)


def _slows_down(original: Any, it: Alarms, *, risen: Alarm) -> None:
    original(it, risen=risen)
    if risen & Alarm.LOW_RESERVOIR and it._motor.period_ps:
        it._world.at(it._world.now_ns, lambda: it._motor.run(2 * it._motor.period_ps // 1_000_000))


def _quietly(original: Any, it: SelfTest, run: Any, failed: Any) -> None:
    memory = it._nvram.memory
    it._nvram.write(replace(memory, self_test_failed=memory.self_test_failed & ~run | failed))


def _bars_nothing(original: Any, it: SelfTest, run: Any, failed: Any) -> None:
    original(it, run, failed)
    memory = it._nvram.memory
    it._nvram.write(replace(memory, conditions=replace(memory.conditions, barred_by=SelfTestItem(0))))


def _stays_stalled(original: Any, it: StallWatch) -> None:
    if not it._nvram.memory.motor_stalled:
        original(it)


def _not_handed_back(original: Any, it: Therapy) -> None:
    memory = it._nvram.memory
    it._nvram.write(replace(memory, conditions=replace(memory.conditions, suspended_since_us=None)))


def _forgets_what_ran(original: Any, it: TelemetrySwitch) -> None:
    if it._nvram.memory.conditions.suspended_since_us is not None and not it.sticks:
        it._therapy.stop()


def _at_one_interval(original: Any, it: Sounder, alarm: Alarm, severity: Severity, **named: Any) -> None:
    original(it, alarm, Severity.NON_CRITICAL, **named)


def _at_twice_the_interval(original: Any, it: Sounder, alarm: Alarm, severity: Severity, **named: Any) -> None:
    original(it, alarm, severity, **named)
    if alarm in it._sounding:
        span = it._sounding[alarm]
        it._sounding[alarm] = replace(span, interval_ns=2 * span.interval_ns)


def _hushed_for_good(original: Any, it: Sounder, alarm: Alarm, severity: Severity, *, quiet_ns: int = 0) -> None:
    if quiet_ns:
        it.hush(alarm)
    else:
        original(it, alarm, severity)


def _hushed_for_long(original: Any, it: Sounder, alarm: Alarm, severity: Severity, *, quiet_ns: int = 0) -> None:
    original(it, alarm, severity, quiet_ns=10 * quiet_ns)


def _unseen_for_good(original: Any, it: Notices, alarm: Alarm) -> int | None:
    due_us = original(it, alarm)
    is_repeated = due_us is not None and due_us <= it._clock.running_us()
    newest = [alert for alert in it._alerts if alert.alarm == alarm][-3:]
    return due_us if is_repeated and len(newest) == 3 else None


def _never_too_often(original: Any, it: Notices, alarm: Alarm) -> int | None:
    due_us = original(it, alarm)
    return None if due_us is not None and due_us <= it._clock.running_us() else due_us


def _unlogged(original: Any, it: Alarms, request: Any) -> Ack:
    announce, it._notices._announce = it._notices._announce, lambda code, argument: None
    try:
        return original(it, request)  # type: ignore[no-any-return]
    finally:
        it._notices._announce = announce


def _logged_later(original: Any, it: Alarms, request: Any) -> Ack:
    announce, it._notices._announce = (
        it._notices._announce,
        lambda code, argument: it._world.after(0.1, lambda: announce(code, argument)) and None,
    )
    try:
        return original(it, request)  # type: ignore[no-any-return]
    finally:
        it._notices._announce = announce


def _begins_again(original: Any, it: Therapy, *arguments: Any) -> None:
    original(it, *arguments)
    memory = it._nvram.memory
    if memory.stood_since_us is not None:
        it._nvram.write(replace(memory, stood_since_us=it._clock.running_us()))


def _not_critical(original: Any, it: Notices, active: Alarm) -> Any:
    told = original(it, active)
    entries = tuple(
        structs.replace(entry, severity=Severity.NON_CRITICAL) if entry.alarm == Alarm.STOPPED_TOO_LONG else entry
        for entry in told.entries
    )
    return structs.replace(told, entries=entries)


def _not_listed(original: Any, it: Notices, active: Alarm) -> Any:
    told = original(it, active)
    return structs.replace(
        told, entries=tuple(entry for entry in told.entries if entry.alarm != Alarm.STOPPED_TOO_LONG)
    )


def _goes_on(original: Any, it: Any) -> None:
    """Nothing stops."""


MUTANTS = (
    of("SP-13", "slipping", "Too many steps are no alarm.", *_never(Alarm.OVER_INFUSION)),
    of("SP-13", "slipping", "Nobody compares encoder and timer.", (InfusionWatch, "watch", _goes_on)),
    of("SP-14", "slipping", "Too few steps are no alarm.", *_never(Alarm.UNDER_INFUSION)),
    of("SP-14", "slipping", "Nobody compares encoder and timer.", (InfusionWatch, "watch", _goes_on)),
    of("SP-16", "emptied", "The motor turns on at the end of the volume.", (Upkeep, "_empty", _goes_on)),
    of("SP-16", "emptied", "An empty reservoir is no alarm.", *_never(Alarm.EMPTY_RESERVOIR)),
    of(
        "SP-16",
        "emptied",
        "Volumes are taken as 0.9 mL larger.",
        (Accounts, "reservoir_reaches_steps", _far_from_full),
    ),
    of("SP-17", "emptied", "A low reservoir is no alarm.", *_never(Alarm.LOW_RESERVOIR)),
    of(
        "SP-17",
        "emptied",
        "Volumes are taken as 0.9 mL larger.",
        (Accounts, "reservoir_reaches_steps", _far_from_full),
    ),
    of("SP-24", "broken_parts", "A failed self-test stops nothing.", (SelfTest, "_note", _quietly)),
    of(
        "SP-24",
        "broken_parts",
        "A failed self-test stops the motor, and does not keep it from starting.",
        (SelfTest, "_note", _bars_nothing),
    ),
    of(
        "SP-28",
        "flat",
        "A low battery is no alarm.",
        *_never(Alarm.LOW_BATTERY, Alarm.ELECTIVE_REPLACEMENT),
    ),
    of(
        "SP-28",
        "flat",
        "The battery is low when it is flat.",
        (alarms, "LOW_FRACTION", 0.0),
        (Battery, "is_low", lambda original, it, t_ns: t_ns >= it.reaches_ns(0.0)),
    ),
    of("SP-29", "exposed", "A stall is no alarm.", (Alarms, "_remembered", _without(Alarm.MOTOR_STALL))),
    of(
        "SP-29",
        "exposed",
        "A stall that is over stays told.",
        (StallWatch, "_check", _stays_stalled),
        (StallWatch, "seen_to_turn", _goes_on),
    ),
    of(
        "SP-30",
        "in_telemetry",
        "Infusion that is not handed back is no alarm.",
        *_never(Alarm.NOT_RESUMED),
    ),
    of("SP-30", "in_telemetry", "The motor stands after telemetry.", (Therapy, "hand_back", _not_handed_back)),
    of("SP-30", "in_telemetry", "What ran is forgotten in telemetry.", (TelemetrySwitch, "open", _forgets_what_ran)),
    of("SP-31", "emptied", "All alarms sound alike.", (Sounder, "sound", _at_one_interval)),
    of("SP-31", "unattended", "Tones come half as often.", (Sounder, "sound", _at_twice_the_interval)),
    of(
        "SP-31",
        "unattended",
        "An alarm is listed as silent.",
        (Sounder, "tone", lambda original, it, alarm: Tone.SILENT),
    ),
    of("SP-32", "emptied", "A low reservoir stops the motor.", (Alarms, "_note", _stops_too)),
    of("SP-32", "emptied", "A low reservoir halves the rate.", (Alarms, "_note", _slows_down)),
    of("SP-32", "worn_out", "The motor turns on at the end of service.", (Therapy, "stop", _goes_on)),
    of("SP-33", "unattended", "A silenced alarm is silent for good.", (Sounder, "sound", _hushed_for_good)),
    of("SP-33", "unattended", "A silence lasts ten times as long.", (Sounder, "sound", _hushed_for_long)),
    of("SP-34", "unattended", "An alarm that nobody sees stays as it is.", (Notices, "_critical_us", _unseen_for_good)),
    of("SP-34", "unattended", "An alarm may come as often as it likes.", (Notices, "_critical_us", _never_too_often)),
    of("SP-35", "emptied", "An acknowledgement is not logged.", (Alarms, "acknowledge", _unlogged)),
    of(
        "SP-35",
        "emptied",
        "An acknowledgement is logged when it has been answered.",
        (Alarms, "acknowledge", _logged_later),
    ),
    of("SP-37", "standing", "Standing for long is no alarm.", *_never(Alarm.STOPPED_TOO_LONG)),
    of("SP-37", "standing", "A reset begins the time of standing again.", (Therapy, "after_reset", _begins_again)),
    of("SP-38", "standing", "Standing for long only warns.", (Notices, "listed", _not_critical)),
    of("SP-38", "standing", "Standing for long is not listed.", (Notices, "listed", _not_listed)),
)
