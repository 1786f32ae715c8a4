"""The alarm list: when each alarm came up, how often, who has seen it, how it sounds, and when it becomes critical."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import protocol
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.conditions import ALERTS_KEPT, Alert
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.sounder import Sounder
from firmware_mock.world import Event, World
from protocol import AcknowledgeAlarms, Alarm, AlarmEntry, EventCode, Severity
from protocol.profile import Sounder as Intervals

NON_CRITICAL = Alarm.LOW_RESERVOIR | Alarm.LOW_BATTERY | Alarm.ELECTIVE_REPLACEMENT
_US_PER_S = 1_000_000
_US_PER_H = 3600 * _US_PER_S
_U16 = 0xFFFF


@dataclass(slots=True)
class _Noted:
    """What is known of an alarm since boot."""

    severity: Severity
    times: int = 0
    raised_at_us: int = 0
    acknowledged: bool = False
    silent_until_us: int = 0


class Notices:
    """Non-critical alarms become critical: unseen for too long, or raised too often, both counted through resets.

    What has become critical stays so until it is over. `intervals` are the model's, None for one without alarm tones:
    nothing becomes critical there.
    """

    def __init__(
        self,
        world: World,
        nvram: Nvram,
        clock: DeviceClock,
        sounder: Sounder,
        intervals: Intervals | None,
        announce: Callable[[EventCode, int], None],
    ) -> None:
        self._world = world
        self._nvram = nvram
        self._clock = clock
        self._sounder = sounder
        self._intervals = intervals
        self._announce = announce
        self._noted: dict[Alarm, _Noted] = {}
        self._alerts: tuple[Alert, ...] = ()
        self._escalation: Event | None = None
        self._keeping: Event | None = None

    def rise(self, alarm: Alarm) -> None:
        """A condition has come true."""
        noted = self._noted.setdefault(alarm, _Noted(Severity.CRITICAL))
        noted.times = min(noted.times + 1, _U16)
        noted.raised_at_us = self._clock.now_us()
        noted.acknowledged, noted.silent_until_us = False, 0
        noted.severity = Severity.NON_CRITICAL if alarm & NON_CRITICAL else Severity.CRITICAL
        self._sounder.sound(alarm, noted.severity)
        if alarm & NON_CRITICAL and self._intervals is not None:
            self._change((*self._alerts, Alert(int(alarm), self._clock.running_us(), True)))
            self._escalate()

    def settle(self, active: Alarm) -> None:
        """Conditions other than these are over."""
        for alarm in self._noted:
            if not alarm & active:
                self._sounder.hush(alarm)
        if any(alert.is_open and not alert.alarm & active for alert in self._alerts):
            self._close(~active)

    def listed(self, active: Alarm) -> protocol.Alarms:
        """All that is active or that nobody has acknowledged."""
        now_us = self._clock.now_us()
        entries = tuple(
            AlarmEntry(
                alarm=alarm,
                severity=noted.severity,
                active=int(bool(alarm & active)),
                acknowledged=int(noted.acknowledged),
                raised_at_us=noted.raised_at_us,
                times=noted.times,
                silent_for_s=max(0, -(-(noted.silent_until_us - now_us) // _US_PER_S)) if alarm & active else 0,
                tone=self._sounder.tone(alarm),
            )
            for alarm, noted in sorted(self._noted.items())
            if alarm & active or not noted.acknowledged
        )
        return protocol.Alarms(now_us, entries)

    def acknowledge(self, request: AcknowledgeAlarms, active: Alarm) -> None:
        """Somebody has seen alarms: on record first, then those that are active keep quiet."""
        seen = [
            alarm
            for alarm, noted in self._noted.items()
            if alarm & request.alarms and (alarm & active or not noted.acknowledged)
        ]
        if not seen:
            return
        self._announce(EventCode.ALARM_ACKNOWLEDGED, sum(seen))
        for alarm in seen:
            noted = self._noted[alarm]
            noted.acknowledged = True
            if not request.silence_s:
                continue
            noted.silent_until_us = self._clock.now_us() + request.silence_s * _US_PER_S
            if alarm & active:
                quiet_ns = self._clock.true_ns(request.silence_s * _US_PER_S)
                self._sounder.sound(alarm, noted.severity, quiet_ns=quiet_ns)
        self._close(Alarm(sum(seen)))

    def reset(self) -> None:
        """Forget what was noted since boot, and go on from what was raised before."""
        self.end()
        self._noted.clear()
        self._alerts = self._nvram.memory.conditions.alerts

    def end(self) -> None:
        """Nothing sounds, and nobody counts the time."""
        self._sounder.hush_all()
        for event in (self._escalation, self._keeping):
            if event is not None:
                event.cancel()
        self._escalation = self._keeping = None

    def _close(self, alarms: Alarm) -> None:
        """What of these is open is over, or was seen."""
        alerts = tuple(
            replace(alert, is_open=False) if alert.is_open and alert.alarm & alarms else alert for alert in self._alerts
        )
        if alerts != self._alerts:
            self._change(alerts)
            self._escalate()

    def _change(self, alerts: tuple[Alert, ...]) -> None:
        """Remember what is of use, of that the newest, open ones before all others; written when this act is done."""
        alerts = self._of_use(alerts)
        while len(alerts) > ALERTS_KEPT:
            oldest = min(alerts, key=lambda alert: (alert.is_open, alert.raised_us))
            alerts = tuple(alert for alert in alerts if alert is not oldest)
        self._alerts = alerts
        if self._keeping is None:
            self._keeping = self._world.at(self._world.now_ns, self._nvram.guarded(self._keep))

    def _of_use(self, alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
        """Of each alarm those whose number may make it critical, and the first that nobody has seen."""
        assert self._intervals is not None
        kept: list[Alert] = []
        for alarm in dict.fromkeys(alert.alarm for alert in alerts):
            own = [alert for alert in alerts if alert.alarm == alarm]
            newest = own[-self._intervals.repeated_alarms :]
            first_open = [alert for alert in own if alert.is_open][:1]
            kept += newest if first_open and first_open[0] in newest else [*first_open, *newest]
        return tuple(sorted(kept, key=lambda alert: alert.raised_us))

    def _keep(self) -> None:
        self._keeping = None
        memory = self._nvram.memory
        if not self._nvram.is_lost and memory.conditions.alerts != self._alerts:
            self._nvram.write(replace(memory, conditions=replace(memory.conditions, alerts=self._alerts)))

    def _escalate(self) -> None:
        """Make critical what has become so, and come back when the next will."""
        if self._escalation is not None:
            self._escalation.cancel()
            self._escalation = None
        now_us = self._clock.running_us()
        to_come_us = []
        for alarm, noted in self._noted.items():
            if noted.severity is Severity.CRITICAL:
                continue
            due_us = self._critical_us(alarm)
            if due_us is not None and due_us <= now_us:
                noted.severity = Severity.CRITICAL
                self._sounder.sound(alarm, noted.severity)
                self._announce(EventCode.ALARM_ESCALATED, int(alarm))
            elif due_us is not None:
                to_come_us.append(due_us)
        if to_come_us:
            due_ns = self._clock.reaches_ns(min(to_come_us))
            self._escalation = self._world.at(due_ns, self._nvram.guarded(self._escalate))

    def _critical_us(self, alarm: Alarm) -> int | None:
        """When an alarm that is not critical becomes so, as things are; None for never."""
        assert self._intervals is not None
        alerts = [alert for alert in self._alerts if alert.alarm == alarm]
        if not any(alert.is_open for alert in alerts):
            return None
        newest = alerts[-self._intervals.repeated_alarms :]
        within_us = round(self._intervals.repeated_alarms_h * _US_PER_H)
        if len(newest) == self._intervals.repeated_alarms and newest[-1].raised_us - newest[0].raised_us < within_us:
            return newest[-1].raised_us
        unseen_since_us = min(alert.raised_us for alert in alerts if alert.is_open)
        return unseen_since_us + round(self._intervals.noncritical_escalation_h * _US_PER_H)
