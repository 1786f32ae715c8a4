"""Alarms: what must be told, how urgently, and what is written down before it is told."""

from __future__ import annotations

from firmware_mock.firmware.inside import Inside
from firmware_mock.monitors.moment import NS_PER_H, Exchange, Findings, Moment, ended
from protocol import Ack, AcknowledgeAlarms, Alarm, Alarms, AlarmsRequest, EventCode, Severity

CLOCK_TOLERANCE = 2e-3
SLACK_NS = 1_000_000_000


class Acknowledged:
    """SP-35: before the answer to an acknowledgement goes out, both the alarm and that are in the log."""

    requests = (AcknowledgeAlarms,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._logged = begin.alarms
        self._newest: tuple[int, int] = (0, 0)

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.memory.boot_id != was.memory.boot_id:
            self._logged = Alarm(0)
        for record in now.logged:
            if record.code in _RAISED:
                self._logged |= _RAISED[record.code]
            self._newest = (int(record.code), record.argument)
        yield from ()

    def on_exchange(self, exchange: Exchange) -> Findings:
        if not isinstance(exchange.answer, Ack) or not exchange.before.works:
            return
        seen = exchange.before.alarms & Alarm(exchange.request.alarms & int(_ALL))
        if not seen:
            return
        code, argument = self._newest
        if code != EventCode.ALARM_ACKNOWLEDGED or int(seen) & ~argument:
            yield "SP-35", f"{seen!r} was acknowledged, and the log does not say so"
        if unlogged := seen & _HAVE_EVENTS & ~self._logged:
            yield "SP-35", f"{unlogged!r} was acknowledged and is not in the log"


class Standstill:
    """SP-37, SP-38: a pump that stands for longer than `stopped_alarm_h` of its model says so, as critical."""

    requests = (AlarmsRequest,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._longest_ns = round(_stopped_alarm_h(inside) * NS_PER_H * (1.0 + CLOCK_TOLERANCE)) + SLACK_NS
        self.due_ns: int | None = None if begin.runs else begin.now_ns + self._longest_ns

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.runs or now.is_lost:
            self.due_ns = None
        elif was.runs or was.is_lost or ended(was, now):
            self.due_ns = now.now_ns + self._longest_ns
        yield from ()

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        if not (was.is_on and not was.hangs):
            assert self.due_ns is not None
            self.due_ns = now_ns + SLACK_NS
            return
        self.due_ns = None
        if not was.alarms & Alarm.STOPPED_TOO_LONG:
            yield "SP-37", "the pump stands too long, and no STOPPED_TOO_LONG"

    def on_exchange(self, exchange: Exchange) -> Findings:
        answer = exchange.answer
        if not isinstance(answer, Alarms) or not exchange.after.alarms & Alarm.STOPPED_TOO_LONG:
            return
        entry = next((entry for entry in answer.entries if entry.alarm == Alarm.STOPPED_TOO_LONG), None)
        if entry is None:
            yield "SP-38", "STOPPED_TOO_LONG holds and is not listed"
        elif entry.severity != Severity.CRITICAL:
            yield "SP-38", "STOPPED_TOO_LONG is not critical"


def _stopped_alarm_h(inside: Inside) -> float:
    programming = inside.profile.programming
    assert programming is not None
    return programming.stopped_alarm_h


_RAISED: dict[int, Alarm] = {
    EventCode[str(alarm.name)]: alarm for alarm in Alarm if alarm.name in EventCode.__members__
}
_HAVE_EVENTS = Alarm(sum(_RAISED.values()))
_ALL = Alarm(sum(Alarm))
