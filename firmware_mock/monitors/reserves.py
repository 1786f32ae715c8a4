"""What runs out: the reservoir, by the volume the firmware was told, and the battery."""

from __future__ import annotations

from firmware_mock.firmware.inside import Inside
from firmware_mock.monitors.moment import NS_PER_H, Exchange, Findings, Moment, ended
from protocol import Alarm, EventCode, ProposeRefill, Status, StatusRequest

SLACK_NS = 1_000_000


class Reservoir:
    """SP-16, SP-17: the volume told at the refill less the counted steps is all that the firmware has."""

    requests = (StatusRequest,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._alarm_ul = inside.profile.reservoir_alarm_ul
        self._left_ul = inside.accounts.reservoir_ul
        self._steps = begin.counted_steps
        self._has_warned = bool(begin.alarms & Alarm.LOW_RESERVOIR)

    def on_change(self, was: Moment, now: Moment) -> Findings:
        self._left_ul -= (now.counted_steps - self._steps) * was.memory.step_volume_nl * 1e-3
        self._steps = now.counted_steps
        if any(record.code == EventCode.LOW_RESERVOIR for record in now.logged):
            self._has_warned = True
        if not now.works:
            return
        if any(result.propose_type == ProposeRefill.TYPE for result in ended(was, now)):
            self._left_ul = now.memory.reservoir_ul
            self._has_warned = bool(now.alarms & Alarm.LOW_RESERVOIR)
        step_ul = now.memory.step_volume_nl * 1e-3
        if self._left_ul <= self._alarm_ul - step_ul and not (self._has_warned and now.alarms & Alarm.LOW_RESERVOIR):
            yield "SP-17", f"{self._left_ul:.6g} uL are left by programmed volume, and no LOW_RESERVOIR"
        if self._left_ul > -2.0 * step_ul:
            return
        if not now.alarms & Alarm.EMPTY_RESERVOIR:
            yield "SP-16", "the programmed volume is used up, and no EMPTY_RESERVOIR"
        if was.period_ps and not was.hangs and now.now_ns > was.now_ns + SLACK_NS:
            yield "SP-16", "the programmed volume is used up, and the motor turns"

    def on_exchange(self, exchange: Exchange) -> Findings:
        after, answer = exchange.after, exchange.answer
        if not isinstance(answer, Status) or not after.works:
            return
        is_low = self._left_ul <= self._alarm_ul - after.memory.step_volume_nl * 1e-3
        if is_low and not Alarm(answer.alarms) & Alarm.LOW_RESERVOIR:
            yield "SP-17", f"{self._left_ul:.6g} uL are left, and the status has no LOW_RESERVOIR"


class CutOff:
    """SP-28: a battery that is flat was told as low for an hour at least."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._battery = inside.battery
        self._warned_ns: int | None = begin.now_ns - NS_PER_H if begin.alarms & Alarm.LOW_BATTERY else None

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if self._warned_ns is None and any(record.code == EventCode.LOW_BATTERY for record in now.logged):
            self._warned_ns = now.now_ns
        is_flat = was.is_on and not now.is_on and self._battery.energy_j(now.now_ns) < 1e-3
        is_told = self._warned_ns is not None and now.now_ns - self._warned_ns >= NS_PER_H
        if is_flat and not (is_told and was.alarms & Alarm.LOW_BATTERY):
            yield "SP-28", "the battery is flat, and LOW_BATTERY came late or never"
