"""Alarms: conditions computed when asked, noted once when they come true, listed until somebody has seen them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import protocol
from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.physics.battery import LOW_FRACTION, Battery
from firmware_mock.world import Event, World
from protocol import Ack, AcknowledgeAlarms, Alarm, AlarmEntry, AlarmsRequest, EventCode, Severity

STANDS_TOO_LONG_US = 48 * 3600 * 1_000_000
_U16 = 0xFFFF
_EVENT_OF = {
    Alarm.LOW_RESERVOIR: EventCode.LOW_RESERVOIR,
    Alarm.EMPTY_RESERVOIR: EventCode.EMPTY_RESERVOIR,
    Alarm.LOW_BATTERY: EventCode.LOW_BATTERY,
    Alarm.STOPPED_TOO_LONG: EventCode.STOPPED_TOO_LONG,
    Alarm.MEMORY_ERROR: EventCode.MEMORY_ERROR,
    Alarm.MOTOR_STALL: EventCode.MOTOR_STALL,
}
_TIMED = (Alarm.LOW_RESERVOIR, Alarm.EMPTY_RESERVOIR, Alarm.LOW_BATTERY, Alarm.STOPPED_TOO_LONG)
_NON_CRITICAL = Alarm.LOW_RESERVOIR | Alarm.LOW_BATTERY | Alarm.ELECTIVE_REPLACEMENT


@dataclass(slots=True)
class _Noted:
    """What is known of an alarm since boot."""

    times: int = 0
    raised_at_us: int = 0
    acknowledged: bool = False
    silent_until_us: int = 0


class Alarms:
    """Low and empty reservoir by programmed volume, low battery, standstill of 48 h, lost lease, failed self-test.

    And a stalled motor and lost memory; nothing is known of the reservoir then, so it gives no alarm.

    Call `watch` whenever motor or memory change; it does nothing before `reset` and after `end`.
    """

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        accounts: Accounts,
        motor: Motor,
        clock: DeviceClock,
        battery: Battery,
        reservoir_alarm_ul: float,
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._accounts = accounts
        self._motor = motor
        self._clock = clock
        self._battery = battery
        self._thresholds_ul = {Alarm.LOW_RESERVOIR: reservoir_alarm_ul, Alarm.EMPTY_RESERVOIR: 0.0}
        self._announce = announce
        self._watching = False
        self._active = Alarm(0)
        self._noted: dict[Alarm, _Noted] = {}
        self._due: dict[Alarm, Event] = {}

    def active(self) -> Alarm:
        """The conditions that hold now."""
        memory = self._nvram.memory
        alarms = Alarm(0)
        if self._nvram.is_lost:
            alarms |= Alarm.MEMORY_ERROR
        for alarm, volume_ul in self._thresholds_ul.items():
            if not self._nvram.is_lost and self._accounts.is_down_to(volume_ul):
                alarms |= alarm
        if self._battery.is_low(self._world.now_ns):
            alarms |= Alarm.LOW_BATTERY
        since_us = memory.stood_since_us
        if since_us is not None and self._clock.running_us() >= since_us + STANDS_TOO_LONG_US:
            alarms |= Alarm.STOPPED_TOO_LONG
        if memory.motor_stalled:
            alarms |= Alarm.MOTOR_STALL
        if memory.lease_lost:
            alarms |= Alarm.LEASE_LOST
        if memory.self_test_failed:
            alarms |= Alarm.SELF_TEST_FAILED
        return alarms

    def watch(self) -> None:
        """Note what has come true or is over, and come back when the next condition will come true."""
        if not self._watching:
            return
        active = self.active()
        risen = active & ~self._active
        self._active = active
        for alarm in Alarm if risen else ():
            if alarm & risen:
                self._rise(alarm)
        for alarm in _TIMED:
            self._schedule(alarm, None if alarm & active else self._due_ns(alarm))

    def listed(self, _: AlarmsRequest) -> protocol.Alarms:
        """Answer an AlarmsRequest: those that are active or that nobody has acknowledged."""
        self.watch()
        now_us = self._clock.now_us()
        entries = tuple(
            AlarmEntry(
                alarm=alarm,
                severity=Severity.NON_CRITICAL if alarm & _NON_CRITICAL else Severity.CRITICAL,
                active=int(bool(alarm & self._active)),
                acknowledged=int(noted.acknowledged),
                raised_at_us=noted.raised_at_us,
                times=noted.times,
                silent_for_s=max(0, -(-(noted.silent_until_us - now_us) // 1_000_000)) if alarm & self._active else 0,
            )
            for alarm, noted in sorted(self._noted.items())
            if alarm & self._active or not noted.acknowledged
        )
        return protocol.Alarms(now_us, entries)

    def acknowledge(self, request: AcknowledgeAlarms) -> Ack:
        """Answer an AcknowledgeAlarms: log it, silence what is active; bits that are not listed change nothing."""
        self.watch()
        seen = Alarm(0)
        for alarm, noted in self._noted.items():
            if alarm & request.alarms and (alarm & self._active or not noted.acknowledged):
                seen |= alarm
                noted.acknowledged = True
                noted.silent_until_us = self._clock.now_us() + request.silence_s * 1_000_000
        if seen:
            self._announce(EventCode.ALARM_ACKNOWLEDGED, int(seen))
        return Ack()

    def reset(self) -> None:
        """Forget what was noted, and watch from the next change on."""
        self._watching = True
        self._active = Alarm(0)
        self._noted.clear()

    def end(self) -> None:
        """Watch no longer."""
        self._watching = False
        for alarm in tuple(self._due):
            self._schedule(alarm, None)

    def _rise(self, alarm: Alarm) -> None:
        noted = self._noted.setdefault(alarm, _Noted())
        noted.times = min(noted.times + 1, _U16)
        noted.raised_at_us = self._clock.now_us()
        noted.acknowledged, noted.silent_until_us = False, 0
        if alarm in _EVENT_OF:
            self._announce(_EVENT_OF[alarm], int(alarm))

    def _schedule(self, alarm: Alarm, due_ns: int | None) -> None:
        """Look again at an instant, None for never; an event that is due then anyway is left in place."""
        event = self._due.get(alarm)
        if event is not None:
            if event.time_ns == due_ns and event.callback is not None:
                return
            event.cancel()
            del self._due[alarm]
        if due_ns is not None:
            self._due[alarm] = self._world.at(due_ns, self._nvram.guarded(self.watch))

    def _due_ns(self, alarm: Alarm) -> int | None:
        match alarm:
            case Alarm.LOW_BATTERY:
                return self._battery.reaches_ns(LOW_FRACTION)
            case Alarm.STOPPED_TOO_LONG:
                since_us = self._nvram.memory.stood_since_us
                return None if since_us is None else self._clock.reaches_ns(since_us + STANDS_TOO_LONG_US)
        if self._nvram.is_lost:
            return None
        return self._motor.counts_ns(self._accounts.reservoir_reaches_steps(self._thresholds_ul[alarm]))
