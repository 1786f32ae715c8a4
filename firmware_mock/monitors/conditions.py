"""The pump's own condition: what it may not infuse with, and what ends in resumed infusion or an alarm."""

from __future__ import annotations

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import Memory
from firmware_mock.monitors.moment import Findings, Moment
from protocol import Alarm, Mode, SelfTestItem, Stop

SLACK_NS = 1_000_000_000
STOPS = Alarm.EMPTY_RESERVOIR | Alarm.END_OF_SERVICE | Alarm.MEMORY_ERROR | Alarm.PROGRAMMING_INTERRUPTED
WARNINGS = Alarm.LOW_RESERVOIR | Alarm.LOW_BATTERY | Alarm.ELECTIVE_REPLACEMENT
LEAST_STEPS = 20
_RUN_ON = frozenset((Mode.CONTINUOUS, Mode.MINIMUM_RATE))
_US_PER_S = 1_000_000


class AlarmsAndDelivery:
    """SP-24, SP-32: what makes delivery wrong stops the motor; an alarm that only warns changes no rate.

    A failed MEMORY may be a decayed record of the log, which changes nothing that is infused.
    """

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._warned = (begin.now_ns, Alarm(0), begin)

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if not was.is_on or was.hangs:
            return
        if was.period_ps and now.now_ns > was.now_ns + SLACK_NS // 1000:
            if items := was.memory.self_test_failed & _BARRING:
                yield "SP-24", f"{items!r} has failed, and the motor turns"
            if stops := was.alarms & STOPS:
                yield "SP-32", f"{stops!r} holds, and the motor turns"
        is_disturbed = now.asked or not (was.works and now.works) or _has_begun(was.memory) != _has_begun(now.memory)
        if (risen := now.alarms & ~was.alarms & WARNINGS) or is_disturbed:
            self._warned = (now.now_ns, Alarm(0) if is_disturbed else risen, was)
        at_ns, risen, before = self._warned
        if is_disturbed or not risen or now.now_ns != at_ns:
            return
        run = before.memory.under_way
        runs_on = run is not None and run.mode in _RUN_ON and run.steps is None
        if runs_on and now.period_ps != before.period_ps and not now.alarms & (STOPS | Alarm.LEASE_LOST):
            yield "SP-32", f"{risen!r} only warns, and the motor turns otherwise"


class Magnet:
    """SP-29: a stall is told after two checks at most, and is over two checks after the rotor turns again at most."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._longest_ns = inside.clock.true_ns(2 * round(inside.profile.stall_check_s * _US_PER_S)) + SLACK_NS
        self._turns_since: int | None = None
        self.due_ns: int | None = None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        is_stalled = now.works and now.stalled_since_ns is not None and now.period_ps > 0
        is_told = now.memory.motor_stalled
        turns = now.works and now.stalled_since_ns is None and now.period_ps > 0
        is_wrong = (is_stalled and not now.alarms & Alarm.MOTOR_STALL) or (turns and is_told)
        if not is_wrong:
            self.due_ns = None
        elif self.due_ns is None or now.began_ns != was.began_ns or now.is_blurred:
            step_ns = now.period_ps // 1000
            self.due_ns = now.now_ns + self._longest_ns + (step_ns if turns else 0)
        yield from ()

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        self.due_ns = None
        if was.stalled_since_ns is not None:
            yield "SP-29", "the rotor stands, which is neither resumed nor told"
        else:
            yield "SP-29", "the rotor turns again, and is told as stalled"


class TelemetryMode:
    """SP-30: suspended infusion is handed back, or an alarm says that it was not."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._longest_ns = inside.clock.true_ns(round(inside.profile.telemetry_return_min * 60 * _US_PER_S)) + SLACK_NS
        self.due_ns: int | None = None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        suspended, before = _suspended(now), _suspended(was)
        if suspended and not before:
            self.due_ns = now.now_ns + self._longest_ns
        elif not suspended:
            self.due_ns = None
            run = now.under_way
            is_handed_back = before and was.works and run is not None and run.step_ticks > 0
            if is_handed_back and not now.period_ps and not now.alarms & STOPS:
                yield "SP-30", "telemetry mode is over, and the motor stands"
            is_same_boot = now.memory.boot_id == was.memory.boot_id
            goes_on = was.memory.therapy is not None or (was.memory.bolus is not None and is_same_boot)
            is_lost = goes_on and before and was.works and now.works and not now.runs and Stop not in now.asked
            if is_lost and not now.memory.conditions.bar and not now.alarms & (STOPS | Alarm.LEASE_LOST):
                yield "SP-30", "telemetry mode is over, and what ran before is forgotten"

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        if not was.is_on or was.hangs:
            self.due_ns = now_ns + SLACK_NS
            return
        self.due_ns = None
        if not was.alarms & Alarm.NOT_RESUMED:
            yield "SP-30", "infusion was not handed back in time, and no NOT_RESUMED"


class LostSteps:
    """SP-13, SP-14: a rotor off its timer by more than the accuracy limit is told after two windows at most.

    Only while nothing else is told to the motor: a window in which it stands for long says little.
    """

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._motor = inside.motor
        self._share = inside.profile.accuracy_limit_pct / 100.0
        programming = inside.profile.programming
        assert programming is not None
        window_us = round(programming.infusion_check_s * _US_PER_S)
        self._longest_ns = inside.clock.true_ns(2 * window_us) + SLACK_NS
        self._from = (0, 0)
        self.due_ns: int | None = None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        slips = now.works and now.period_ps > 0 and now.stalled_since_ns is None and not self._motor.follows
        if not slips or now.memory.motor_stalled:
            self.due_ns = None
        elif self.due_ns is None or now.began_ns != was.began_ns or now.is_blurred:
            self.due_ns, self._from = now.now_ns + self._longest_ns, (now.now_ns, now.rotor_steps)
        yield from ()

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        self.due_ns = None
        began_ns, began_at = self._from
        due = (now_ns - began_ns) * 1000 / was.period_ps
        made = self._motor.head.counted_steps(now_ns) - began_at
        off = made - due
        if due < LEAST_STEPS * 2 or abs(off) <= self._share * due + 4.0:
            return
        if off > 0 and not was.alarms & Alarm.OVER_INFUSION:
            yield "SP-13", f"the rotor made {made} steps of {due:.0f} due, and no OVER_INFUSION"
        if off < 0 and not was.alarms & Alarm.UNDER_INFUSION:
            yield "SP-14", f"the rotor made {made} steps of {due:.0f} due, and no UNDER_INFUSION"


def _has_begun(memory: Memory) -> tuple[object, ...]:
    """What somebody or something other than an alarm has begun."""
    return memory.boot_id, memory.last_command_id, memory.conditions.suspended_since_us


def _suspended(moment: Moment) -> bool:
    return moment.is_on and moment.memory.conditions.suspended_since_us is not None


_BARRING = SelfTestItem(sum(SelfTestItem)) & ~SelfTestItem.MEMORY
