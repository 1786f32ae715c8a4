"""Alarms: conditions computed when asked, noted once when they come true, listed until somebody has seen them."""

from __future__ import annotations

from collections.abc import Callable

import protocol
from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.notices import Notices
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.physics.battery import LOW_FRACTION, Battery
from firmware_mock.world import Event, World
from protocol import Ack, AcknowledgeAlarms, Alarm, AlarmsRequest, EventCode
from protocol.profile import ModelProfile

_US_PER_MIN = 60_000_000
_EVENT_OF = {alarm: EventCode[str(alarm.name)] for alarm in Alarm if alarm is not Alarm.LEASE_LOST}
_TIMED = (
    Alarm.LOW_RESERVOIR,
    Alarm.EMPTY_RESERVOIR,
    Alarm.LOW_BATTERY,
    Alarm.STOPPED_TOO_LONG,
    Alarm.NOT_RESUMED,
)


class Alarms:
    """Low and empty reservoir by programmed volume, low battery, standstill and suspension for too long.

    And what is written in memory: a stalled motor, a lost lease, a failed self-test, interrupted programming, the
    indicator and the end of service; and `infusion`, too few or too many steps. Where memory is lost nothing is known
    of the reservoir, so it gives no alarm. `on_empty` is called when the programmed volume is used up, once what is
    being done then is done.

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
        profile: ModelProfile,
        notices: Notices,
        infusion: Callable[[], Alarm],
        on_empty: Callable[[], None],
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._accounts = accounts
        self._motor = motor
        self._clock = clock
        self._battery = battery
        self._thresholds_ul = {Alarm.LOW_RESERVOIR: profile.reservoir_alarm_ul, Alarm.EMPTY_RESERVOIR: 0.0}
        self._stands_too_long_us = round(60.0 * profile.stopped_alarm_h * _US_PER_MIN)
        self._waits_too_long_us = round(profile.telemetry_return_min * _US_PER_MIN)
        self._notices = notices
        self._infusion = infusion
        self._on_empty = nvram.guarded(on_empty)
        self._announce = announce
        self._watching = False
        self._active = Alarm(0)
        self._due: dict[Alarm, Event] = {}

    def active(self) -> Alarm:
        """The conditions that hold now."""
        alarms = self._infusion()
        if self._nvram.is_lost:
            alarms |= Alarm.MEMORY_ERROR
        else:
            for alarm, volume_ul in self._thresholds_ul.items():
                if self._accounts.is_down_to(volume_ul):
                    alarms |= alarm
        if self._battery.is_low(self._world.now_ns):
            alarms |= Alarm.LOW_BATTERY
        for alarm in (Alarm.STOPPED_TOO_LONG, Alarm.NOT_RESUMED):
            due_us = self._due_us(alarm)
            if due_us is not None and self._clock.running_us() >= due_us:
                alarms |= alarm
        return alarms | self._remembered()

    def watch(self) -> None:
        """Note what has come true or is over, and come back when the next condition will come true."""
        if not self._watching:
            return
        active = self.active()
        before, self._active = self._active, active
        if active != before:
            self._note(risen=active & ~before)
        for alarm in _TIMED:
            self._schedule(alarm, None if alarm & active else self._due_ns(alarm))

    def listed(self, _: AlarmsRequest) -> protocol.Alarms:
        """Answer an AlarmsRequest."""
        self.watch()
        return self._notices.listed(self._active)

    def acknowledge(self, request: AcknowledgeAlarms) -> Ack:
        """Answer an AcknowledgeAlarms; bits that are not listed change nothing."""
        self.watch()
        self._notices.acknowledge(request, self._active)
        return Ack()

    def reset(self) -> None:
        """Forget what was noted since boot, and watch from now on."""
        self._notices.reset()
        self._watching = True
        self._active = Alarm(0)
        self._notices.settle(self.active())

    def end(self) -> None:
        """Watch no longer."""
        self._watching = False
        self._notices.end()
        for alarm in tuple(self._due):
            self._schedule(alarm, None)

    def _remembered(self) -> Alarm:
        memory = self._nvram.memory
        alarms = Alarm(0)
        if memory.motor_stalled:
            alarms |= Alarm.MOTOR_STALL
        if memory.lease_lost:
            alarms |= Alarm.LEASE_LOST
        if memory.self_test_failed:
            alarms |= Alarm.SELF_TEST_FAILED
        if memory.programming_interrupted:
            alarms |= Alarm.PROGRAMMING_INTERRUPTED
        if memory.conditions.replacement_since_us is not None:
            alarms |= Alarm.ELECTIVE_REPLACEMENT
        if memory.conditions.service_over:
            alarms |= Alarm.END_OF_SERVICE
        return alarms

    def _note(self, *, risen: Alarm) -> None:
        for alarm in Alarm if risen else ():
            if alarm & risen:
                if alarm in _EVENT_OF:
                    self._announce(_EVENT_OF[alarm], int(alarm))
                self._notices.rise(alarm)
        if risen & Alarm.EMPTY_RESERVOIR:
            self._world.at(self._world.now_ns, self._on_empty)
        self._notices.settle(self._active)

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

    def _due_us(self, alarm: Alarm) -> int | None:
        """When standstill or suspension has lasted too long, by the counter through resets; None for never."""
        memory = self._nvram.memory
        if alarm is Alarm.STOPPED_TOO_LONG:
            since_us, longest_us = memory.stood_since_us, self._stands_too_long_us
        else:
            since_us, longest_us = memory.conditions.suspended_since_us, self._waits_too_long_us
        return None if since_us is None else since_us + longest_us

    def _due_ns(self, alarm: Alarm) -> int | None:
        match alarm:
            case Alarm.LOW_BATTERY:
                return self._battery.reaches_ns(LOW_FRACTION)
            case Alarm.STOPPED_TOO_LONG | Alarm.NOT_RESUMED:
                due_us = self._due_us(alarm)
                return None if due_us is None else self._clock.reaches_ns(due_us)
        if self._nvram.is_lost:
            return None
        return self._motor.counts_ns(self._accounts.reservoir_reaches_steps(self._thresholds_ul[alarm]))
