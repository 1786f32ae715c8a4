"""What is delivered, against what the host has confirmed, what is counted and what is told."""

from __future__ import annotations

from firmware_mock.firmware.inside import Inside
from firmware_mock.firmware.memory import Run
from firmware_mock.monitors.moment import NS_PER_H, Exchange, Findings, Moment, commanded_ul_per_h, driven_ul_per_h
from protocol import Alarm, Status, StatusRequest, Stop, Stopped

CRYSTAL_TOLERANCE = 1e-2
ROUNDING_UL = 1e-6
TELLS_OF_DELIVERY = (
    Alarm.MOTOR_STALL
    | Alarm.UNDER_INFUSION
    | Alarm.OVER_INFUSION
    | Alarm.EMPTY_RESERVOIR
    | Alarm.END_OF_SERVICE
    | Alarm.MEMORY_ERROR
    | Alarm.SELF_TEST_FAILED
    | Alarm.PROGRAMMING_INTERRUPTED
    | Alarm.NOT_RESUMED
)


class CommandedAgainstMade:
    """SP-03, SP-04: rotor steps of a part of a command, at the calibrated step volume, against the confirmed rate.

    While the rotor does not follow the timer nothing is expected: SP-13, SP-14 and SP-19 bound how long that stays
    untold. While the main loop hangs nothing is compared: SP-25 bounds that.
    """

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._share = inside.profile.accuracy_limit_pct / 100.0
        self._part: object = None
        self._commanded_ul = 0.0
        self._made_ul = 0.0

    def on_change(self, was: Moment, now: Moment) -> Findings:
        run = was.under_way
        is_cut_short = now.memory.boot_id != was.memory.boot_id or not now.is_on or now.hangs
        if is_cut_short:
            self._part = None
        elif run is not None and was.mode is run.mode:
            part = (run.command_id, run.mode, run.step_ticks)
            if part != self._part:
                self._part, self._commanded_ul, self._made_ul = part, 0.0, 0.0
            yield from self._compare(was, now, run)

    def _compare(self, was: Moment, now: Moment, run: Run) -> Findings:
        step_ul = was.memory.step_volume_nl * 1e-3
        rate_ul_per_h = commanded_ul_per_h(run)
        if rate_ul_per_h is None or now.is_blurred or not was.follows:
            self._part = None
            return
        self._made_ul += (now.rotor_steps - was.rotor_steps) * step_ul
        self._commanded_ul += rate_ul_per_h * (now.now_ns - was.now_ns) / NS_PER_H
        stroke_ul = step_ul + ROUNDING_UL
        most_ul = self._commanded_ul * (1.0 + self._share) + stroke_ul
        least_ul = self._commanded_ul * (1.0 - self._share) - stroke_ul
        told = f"command {run.command_id}: {self._made_ul:.6g} uL made, {self._commanded_ul:.6g} uL commanded"
        if self._made_ul > most_ul:
            yield "SP-03", told
        if self._made_ul < least_ul and not now.alarms & TELLS_OF_DELIVERY:
            yield "SP-04", f"{told}, and no alarm of it"


class Rate:
    """SP-05: the step timer is never told a rate above the model's highest, whatever runs on top of what."""

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._most_ul_per_h = inside.profile.rate_max_ul_per_h * (1.0 + CRYSTAL_TOLERANCE)

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.period_ps == was.period_ps or now.is_lost:
            return
        rate_ul_per_h = driven_ul_per_h(now.period_ps, now.memory.step_volume_nl)
        if rate_ul_per_h > self._most_ul_per_h:
            yield "SP-05", f"the motor turns at {rate_ul_per_h:.6g} uL/h"


class Accounts:
    """SP-07, SP-08: volumes told against an account of rotor steps; they grow, and never get below zero."""

    requests = (StatusRequest, Stop)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._accounts = inside.accounts
        self._delivered_ul = 0.0
        self._told_ul = inside.accounts.delivered_ul
        self._at_rotor_steps = begin.rotor_steps

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.memory.boot_id != was.memory.boot_id:
            self._delivered_ul = self._told_ul = 0.0
            self._at_rotor_steps = now.rotor_steps
        else:
            self._count(was, now)
        if not now.works:
            return
        delivered_ul, reservoir_ul = self._accounts.delivered_ul, self._accounts.reservoir_ul
        if delivered_ul < self._told_ul - ROUNDING_UL or delivered_ul < 0.0:
            yield "SP-08", f"delivered fell from {self._told_ul:.6g} to {delivered_ul:.6g} uL"
        if reservoir_ul < 0.0:
            yield "SP-08", f"the reservoir is said to hold {reservoir_ul:.6g} uL"
        if now.counted_steps < was.counted_steps:
            yield "SP-08", f"the step counter fell from {was.counted_steps} to {now.counted_steps}"
        self._told_ul = delivered_ul
        yield from self._judge(delivered_ul, now)

    def on_exchange(self, exchange: Exchange) -> Findings:
        answer = exchange.answer
        if isinstance(answer, Status | Stopped) and exchange.after.works:
            yield from self._judge(answer.delivered_ul, exchange.after)

    def _count(self, was: Moment, now: Moment) -> None:
        steps = now.rotor_steps
        self._delivered_ul += (steps - self._at_rotor_steps) * was.memory.step_volume_nl * 1e-3
        self._at_rotor_steps = steps

    def _judge(self, told_ul: float, now: Moment) -> Findings:
        if abs(told_ul - self._delivered_ul) > now.memory.step_volume_nl * 1e-3 + ROUNDING_UL:
            yield "SP-07", f"{told_ul:.6g} uL told, {self._delivered_ul:.6g} uL by rotor steps"


class StalledSteps:
    """SP-09, SP-20: steps of a stalled rotor are not counted, and once the stall is known they are told as missing.

    Steps that the rotor made beyond its timer in the same run are none that are missing.
    """

    requests = (StatusRequest,)

    def __init__(self, inside: Inside, begin: Moment) -> None:
        self._missed_before = self._missed_in_run = 0
        self._starts = 0

    def on_change(self, was: Moment, now: Moment) -> Findings:
        if now.memory.boot_id != was.memory.boot_id or not was.is_on or not now.is_on:
            self._missed_before = self._missed_in_run = self._starts = 0
            return
        counted, made = now.counted_steps - was.counted_steps, now.rotor_steps - was.rotor_steps
        if counted != made:
            yield "SP-20", f"{counted} steps counted while the rotor made {made}"
        if was.hangs or now.hangs:
            return
        if was.period_ps:
            due = (now.now_ns - was.now_ns) * 1000 // was.period_ps
            if was.stalled_since_ns is not None:
                self._missed_in_run += due
            elif not was.follows:
                self._missed_in_run += min(0, due - made)
        if now.began_ns != was.began_ns:
            self._starts += 1
            self._missed_before += max(0, self._missed_in_run)
            self._missed_in_run = 0
        missed = self._missed_before + max(0, self._missed_in_run)
        flagged = now.commanded_steps - now.counted_steps
        if now.memory.motor_stalled and flagged < missed - self._starts - 2:
            yield "SP-09", f"{missed} steps were missed in a stall, {flagged} are told"

    def on_exchange(self, exchange: Exchange) -> Findings:
        after = exchange.after
        is_known = isinstance(exchange.answer, Status) and after.works and after.memory.motor_stalled
        if is_known and not Alarm(exchange.answer.alarms) & Alarm.MOTOR_STALL:
            yield "SP-09", "a stall is known and the status has no MOTOR_STALL"
