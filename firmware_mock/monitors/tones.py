"""How alarms sound: by their kind, again after a silence, and louder when nobody attends to them."""

from __future__ import annotations

from itertools import pairwise

from firmware_mock.firmware.inside import Inside
from firmware_mock.monitors.conditions import WARNINGS
from firmware_mock.monitors.moment import NS_PER_H, Exchange, Findings, Moment
from firmware_mock.world import NS_PER_S
from protocol import Ack, AcknowledgeAlarms, Alarm, Alarms, AlarmsRequest, EventCode, Severity, Tone

CLOCK_TOLERANCE = 2e-3
NS_PER_MIN = 60 * NS_PER_S
TONES_LOOKED_AT = 4


class Tones:
    """SP-31: an alarm sounds as its severity says, and as often; only alarms that warn are not critical."""

    requests = (AlarmsRequest,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._upkeep = inside.upkeep
        self._sounder = inside.profile.sounder
        self._world = inside.world

    def on_exchange(self, exchange: Exchange) -> Findings:
        if not isinstance(exchange.answer, Alarms) or self._sounder is None:
            return
        listed = Alarm(0)
        for entry in exchange.answer.entries:
            alarm = Alarm(entry.alarm)
            listed |= alarm
            if entry.severity != Severity.CRITICAL and not alarm & WARNINGS:
                yield "SP-31", f"{alarm!r} is not critical"
            if entry.active:
                yield from self._sounds(alarm, Severity(entry.severity), Tone(entry.tone), entry.silent_for_s)
        if missing := exchange.after.alarms & ~listed:
            yield "SP-31", f"{missing!r} holds and is not listed"

    def _sounds(self, alarm: Alarm, severity: Severity, tone: Tone, silent_for_s: int) -> Findings:
        assert self._sounder is not None
        if severity is Severity.CRITICAL:
            tones, minutes = self._sounder.critical_tones, self._sounder.critical_tone_interval_min
        else:
            tones, minutes = self._sounder.noncritical_tones, self._sounder.noncritical_tone_interval_min
        meant = Tone.SINGLE if tones == 1 else Tone.DUAL
        if silent_for_s == 0 and tone != meant:
            yield "SP-31", f"{alarm!r} is {severity.name} and sounds {tone.name}"
        interval_ns = minutes * NS_PER_MIN
        begin_ns = self._world.now_ns + silent_for_s * NS_PER_S
        until_ns = begin_ns + round(interval_ns * (TONES_LOOKED_AT + 0.5))
        heard = [it for it in self._upkeep.tones(begin_ns, until_ns) if it.alarm == alarm]
        gaps_ns = [later.at_ns - earlier.at_ns for earlier, later in pairwise(heard)]
        is_regular = all(abs(gap_ns - interval_ns) <= CLOCK_TOLERANCE * interval_ns for gap_ns in gaps_ns)
        if len(heard) < TONES_LOOKED_AT or not is_regular or any(it.tone != meant for it in heard):
            yield "SP-31", f"{alarm!r} does not sound {meant.name} every {minutes:g} min"


class Silence:
    """SP-33: the tone of a silenced alarm is back when the silence is over, unless the alarm is."""

    requests = (AcknowledgeAlarms,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._upkeep = inside.upkeep
        self._has_tones = inside.profile.sounder is not None
        self._ends: dict[Alarm, tuple[int, int]] = {}
        self.due_ns: int | None = None

    def on_exchange(self, exchange: Exchange) -> Findings:
        silence_s = exchange.request.silence_s
        if not isinstance(exchange.answer, Ack) or not self._has_tones:
            return
        slack_ns = round(silence_s * CLOCK_TOLERANCE * NS_PER_S) + NS_PER_S
        for alarm in Alarm:
            if silence_s and alarm & exchange.after.alarms & exchange.request.alarms:
                self._ends[alarm] = (exchange.after.now_ns + silence_s * NS_PER_S, slack_ns)
        self._set_due()
        yield from ()

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if not self._ends:
            return
        if not now.is_on or now.hangs or now.memory.boot_id != was.memory.boot_id:
            self._ends.clear()
        escalated = {record.argument for record in now.logged if record.code == EventCode.ALARM_ESCALATED}
        raised = {record.argument for record in now.logged if record.code in _RAISED}
        for alarm in tuple(self._ends):
            if not alarm & now.alarms or int(alarm) in escalated | raised:
                del self._ends[alarm]
        self._set_due()
        yield from ()

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        for alarm, (end_ns, slack_ns) in tuple(self._ends.items()):
            if now_ns <= end_ns + slack_ns:
                continue
            del self._ends[alarm]
            heard = self._upkeep.tones(end_ns - slack_ns, end_ns + slack_ns)
            if alarm & was.alarms and not any(tone.alarm == alarm for tone in heard):
                yield "SP-33", f"the silence of {alarm!r} is over, and it does not sound"
        self._set_due()

    def _set_due(self) -> None:
        self.due_ns = min((end_ns + slack_ns for end_ns, slack_ns in self._ends.values()), default=None)


class Escalation:
    """SP-34: an alarm that only warns becomes critical when it comes too often, or nobody sees it for too long."""

    requests = (AcknowledgeAlarms,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._sounder = inside.profile.sounder
        self._raised: dict[Alarm, list[int]] = {}
        self._unseen: dict[Alarm, int] = {}
        self.due_ns: int | None = None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if self._sounder is None:
            return
        for unseen in tuple(self._unseen):
            if not unseen & now.alarms or not now.is_on or now.hangs or now.memory.boot_id != was.memory.boot_id:
                del self._unseen[unseen]
        if now.is_lost:
            self._raised.clear()
        elif was.is_on and not now.is_on:
            self._forget_since(now.now_ns - NS_PER_S)
        elif now.memory.boot_id != was.memory.boot_id or (now.hangs and not was.hangs):
            self._forget_since(now.now_ns - 1)
        escalated = {record.argument for record in now.logged if record.code == EventCode.ALARM_ESCALATED}
        for record in now.logged:
            alarm = _RAISED.get(record.code)
            if alarm is None or not alarm & WARNINGS:
                continue
            instants = self._raised.setdefault(alarm, [])
            instants.append(now.now_ns)
            self._unseen[alarm] = now.now_ns
            newest = instants[-self._sounder.repeated_alarms :]
            within_ns = self._sounder.repeated_alarms_h * NS_PER_H * (1.0 - CLOCK_TOLERANCE)
            is_repeated = len(newest) == self._sounder.repeated_alarms and newest[-1] - newest[0] < within_ns
            if is_repeated and alarm & now.alarms and int(alarm) not in escalated:
                yield "SP-34", f"{alarm!r} came up {len(newest)} times, and is not critical"
        for argument in escalated:
            self._unseen.pop(Alarm(argument), None)
        self._set_due()

    def on_exchange(self, exchange: Exchange) -> Findings:
        if isinstance(exchange.answer, Ack):
            for alarm in tuple(self._unseen):
                if alarm & exchange.request.alarms:
                    del self._unseen[alarm]
            self._set_due()
        yield from ()

    def overdue(self, was: Moment, now_ns: int) -> Findings:
        for alarm, since_ns in tuple(self._unseen.items()):
            if now_ns > since_ns + self._longest_ns():
                del self._unseen[alarm]
                yield "SP-34", f"nobody has seen {alarm!r} for too long, and it is not critical"
        self._set_due()

    def _forget_since(self, at_ns: int) -> None:
        """What came up just before power was lost, or at the instant of a reset, may not have been written."""
        for instants in self._raised.values():
            while instants and instants[-1] > at_ns:
                instants.pop()

    def _longest_ns(self) -> int:
        assert self._sounder is not None
        return round(self._sounder.noncritical_escalation_h * NS_PER_H * (1.0 + CLOCK_TOLERANCE)) + NS_PER_S

    def _set_due(self) -> None:
        first_ns = min(self._unseen.values(), default=None)
        self.due_ns = None if first_ns is None else first_ns + self._longest_ns()


_RAISED = {int(EventCode[str(alarm.name)]): alarm for alarm in Alarm if alarm.name in EventCode.__members__}
