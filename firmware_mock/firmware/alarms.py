"""Alarms: conditions computed when asked, announced once when they come true."""

from __future__ import annotations

from collections.abc import Callable

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.motor import Motor
from firmware_mock.physics.battery import LOW_FRACTION, Battery
from firmware_mock.world import Event, World
from protocol import Alarm, EventCode

_EVENT_OF = {
    Alarm.LOW_RESERVOIR: EventCode.LOW_RESERVOIR,
    Alarm.EMPTY_RESERVOIR: EventCode.EMPTY_RESERVOIR,
    Alarm.LOW_BATTERY: EventCode.LOW_BATTERY,
}


class Alarms:
    """Low and empty reservoir by programmed volume, and low battery. Call `watch` whenever the motor changes."""

    def __init__(
        self,
        world: World,
        accounts: Accounts,
        motor: Motor,
        battery: Battery,
        reservoir_alarm_ul: float,
        announce: Callable[[EventCode], None],
    ) -> None:
        self._world = world
        self._accounts = accounts
        self._motor = motor
        self._battery = battery
        self._thresholds_ul = {Alarm.LOW_RESERVOIR: reservoir_alarm_ul, Alarm.EMPTY_RESERVOIR: 0.0}
        self._announce = announce
        self._announced = Alarm(0)
        self._due: list[Event] = []

    def active(self) -> Alarm:
        """The conditions that hold now."""
        alarms = Alarm(0)
        for alarm, volume_ul in self._thresholds_ul.items():
            if self._motor.steps >= self._accounts.reservoir_reaches_steps(volume_ul):
                alarms |= alarm
        if self._battery.is_low(self._world.now_ns):
            alarms |= Alarm.LOW_BATTERY
        return alarms

    def watch(self) -> None:
        """Announce what has come true, and come back when the next condition will."""
        self.end()
        active = self.active()
        for alarm, code in _EVENT_OF.items():
            if alarm & active & ~self._announced:
                self._announced |= alarm
                self._announce(code)
        for due_ns in (self._due_ns(alarm) for alarm in _EVENT_OF if not alarm & active):
            if due_ns is not None:
                self._due.append(self._world.at(due_ns, self.watch))

    def end(self) -> None:
        """Watch no longer."""
        for event in self._due:
            event.cancel()
        self._due.clear()

    def reset(self) -> None:
        """Forget what was announced."""
        self._announced = Alarm(0)

    def _due_ns(self, alarm: Alarm) -> int | None:
        if alarm is Alarm.LOW_BATTERY:
            return self._battery.reaches_ns(LOW_FRACTION)
        return self._motor.counts_ns(self._accounts.reservoir_reaches_steps(self._thresholds_ul[alarm]))
