"""Patient-activated boluses: what limits may be set, and whether another one is allowed now.

Nothing here knows who asks, a host or the patient's button.
"""

from __future__ import annotations

from itertools import takewhile
from math import isfinite

import protocol
from firmware_mock.firmware.clock import DeviceClock
from firmware_mock.firmware.memory import BolusLimits, Run
from firmware_mock.firmware.motor import Motor
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.stretches import DAY_US, Outlook, most_in_window_ul
from firmware_mock.firmware.therapy import Therapy
from protocol import Mode, NakReason, PatientBolusLimitsRequest, ProposePatientBolusLimits
from protocol.profile import ModelProfile

STEPS_IN_HAND = 2
_US_PER_S = 1_000_000
_MOST_U32 = 2**32 - 1
_NO_LIMITS = BolusLimits(False, 0.0, 0.0, 0, 0, 0, 0.0)


class PatientBoluses:
    """Times are those of the counter that runs through resets, volumes those of steps counted or possibly made."""

    def __init__(self, nvram: Nvram, motor: Motor, clock: DeviceClock, therapy: Therapy) -> None:
        self._nvram = nvram
        self._motor = motor
        self._clock = clock
        self._therapy = therapy

    def limits(self, _: PatientBolusLimitsRequest) -> protocol.PatientBolusLimits:
        """Answer a PatientBolusLimitsRequest."""
        limits = self._nvram.memory.limits or _NO_LIMITS
        return protocol.PatientBolusLimits(
            int(limits.enabled),
            limits.volume_ul,
            limits.rate_ul_per_h,
            limits.lockout_s,
            limits.most_per_day,
            limits.window_s,
            limits.window_limit_ul,
            lockout_left_s=_whole_s(self._lockout_left_us(limits)),
            given_today=len(self._starts_of_today_us()),
        )

    def allowed(self) -> BolusLimits:
        """The limits, where as far as time and number go a bolus may begin now.

        Raises:
            RefusedRequest: patient boluses are off, nothing runs, it is too soon, or there were enough today.
        """
        memory = self._nvram.memory
        limits = memory.limits
        if limits is None or not limits.enabled:
            raise _not_now("patient boluses are off")
        if memory.therapy is None:
            raise _not_now("no therapy runs that it could be on top of")
        if left_us := self._lockout_left_us(limits):
            raise _not_now(f"locked out for {_whole_s(left_us)} s more")
        starts_us = self._starts_of_today_us()
        if len(starts_us) >= limits.most_per_day:
            if not limits.most_per_day:
                raise _not_now("0 a day are allowed")
            left_us = starts_us[-limits.most_per_day] + DAY_US - self._clock.running_us()
            raise _not_now(f"{limits.most_per_day} in 24 h; next in {_whole_s(left_us)} s")
        return limits

    def refuse_above_window(self, limits: BolusLimits, bolus: Run) -> None:
        """
        Raises:
            RefusedRequest: with this bolus a window of time might hold more than the limit, as far as what runs on and
                what the therapy clock will make of it are known.
        """
        memory, now_us = self._nvram.memory, self._clock.running_us()
        window_us = limits.window_s * _US_PER_S
        assert bolus.steps is not None
        over_us = now_us + bolus.steps * bolus.step_ticks
        most_ul = most_in_window_ul(
            memory.stretches, self._motor.steps, self._outlook(now_us, bolus, over_us + window_us), window_us, over_us
        )
        most_ul += STEPS_IN_HAND * memory.step_volume_nl * 1e-3
        if most_ul > limits.window_limit_ul:
            raise _not_now(f"{most_ul:.6g} uL in {limits.window_s} s; limit {limits.window_limit_ul:.6g}")

    def may_go_on(self, bolus: Run) -> bool:
        """Whether what is left of a bolus that waited is still within limits that are still on."""
        limits = self._nvram.memory.limits
        if limits is None or not limits.enabled:
            return False
        try:
            self.refuse_above_window(limits, bolus)
        except RefusedRequest:
            return False
        return True

    def _outlook(self, now_us: int, bolus: Run, until_us: int) -> Outlook:
        """The bolus, then the therapy with all changes of its rate that it will make by itself."""
        memory = self._nvram.memory
        therapy = memory.therapy
        assert therapy is not None
        assert bolus.steps is not None
        over_us = now_us + bolus.steps * bolus.step_ticks
        pieces = [(now_us, bolus.step_ticks), (over_us, self._therapy.flex.at(therapy, over_us).step_ticks)]
        if therapy.mode is Mode.FLEX:
            changes = self._therapy.flex.changes_after(therapy, over_us)
            pieces += takewhile(lambda change: change[0] < until_us, changes)
        elif therapy.steps is not None:
            waiting = therapy.counted(self._motor.steps, self._motor.steps)
            assert waiting.steps is not None
            pieces.append((over_us + waiting.steps * waiting.step_ticks, waiting.then_step_ticks or 0))
        step_ul = memory.step_volume_nl * 1e-3
        rates = tuple(step_ul / ticks if ticks else 0.0 for _, ticks in pieces)
        return Outlook(now_us, tuple(from_us for from_us, _ in pieces), rates)

    def _lockout_left_us(self, limits: BolusLimits) -> int:
        starts_us = self._nvram.memory.patient_starts_us
        if not starts_us:
            return 0
        return max(0, starts_us[-1] + limits.lockout_s * _US_PER_S - self._clock.running_us())

    def _starts_of_today_us(self) -> list[int]:
        """Those of the last 24 h."""
        since_us = self._clock.running_us() - DAY_US
        return [start_us for start_us in self._nvram.memory.patient_starts_us if start_us > since_us]


def checked_limits(
    proposed: ProposePatientBolusLimits, profile: ModelProfile, volume_ul: float, rate_ul_per_h: float
) -> BolusLimits:
    """The limits that a proposal sets, with volume and rate as the motor makes them.

    Limits that are off are checked like others, so that nothing is left to find out when they are switched on.

    Raises:
        RefusedRequest: a value is beyond what the model allows, or no bolus would ever fit into the window.
    """
    programming = profile.programming
    assert programming is not None
    if proposed.enabled not in (0, 1):
        raise _out_of_range(f"enabled {proposed.enabled} is neither 0 nor 1")
    ranges = (
        ("volume_ul", volume_ul, 0.0, programming.patient_bolus_max_ul, " uL"),
        ("lockout_s", proposed.lockout_s, programming.patient_lockout_min_s, _MOST_U32, " s"),
        ("most_per_day", proposed.most_per_day, 0, programming.patient_boluses_per_day_max, ""),
        ("window_s", proposed.window_s, 1, programming.patient_window_max_s, " s"),
    )
    for key, value, lowest, highest, unit in ranges:
        if value < lowest:
            raise _out_of_range(f"{key} below the limit {lowest:.6g}{unit}")
        if value > highest:
            raise _out_of_range(f"{key} above the limit {highest:.6g}{unit}")
    if not isfinite(proposed.window_limit_ul):
        raise _out_of_range("window_limit_ul is no finite number")
    if proposed.window_limit_ul < volume_ul:
        raise _out_of_range(f"window_limit_ul below one bolus of {volume_ul:.6g} uL")
    return BolusLimits(
        bool(proposed.enabled),
        volume_ul,
        rate_ul_per_h,
        proposed.lockout_s,
        proposed.most_per_day,
        proposed.window_s,
        proposed.window_limit_ul,
    )


def _whole_s(us: int) -> int:
    """Rounded up, so that 0 means none."""
    return min(-(-us // _US_PER_S), _MOST_U32)


def _not_now(detail: str) -> RefusedRequest:
    return RefusedRequest(NakReason.WRONG_STATE, detail)


def _out_of_range(detail: str) -> RefusedRequest:
    return RefusedRequest(NakReason.OUT_OF_RANGE, detail)
