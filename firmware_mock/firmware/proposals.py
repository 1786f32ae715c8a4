"""PROPOSE: what the pump would really do on COMMIT, or why it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite

import msgspec

from firmware_mock.firmware.accounts import Accounts
from firmware_mock.firmware.flex import check_steps
from firmware_mock.firmware.memory import Run
from firmware_mock.firmware.motor import TICK_US, nearest_ticks, realised_ul_per_h
from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.patient_bolus import PatientBoluses, checked_limits
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.firmware.settings import Settings
from firmware_mock.firmware.supported import Supported
from firmware_mock.firmware.therapy import Therapy
from protocol import (
    FlexStep,
    Mode,
    NakReason,
    OnLeaseLoss,
    ProposeBolus,
    ProposeBridge,
    ProposeCalibration,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
    encode_payload,
)
from protocol.profile import ModelProfile

FARTHEST_WEST_S = -12 * 3600
FARTHEST_EAST_S = 14 * 3600
_LAST_UTC_S = 253_402_300_799
_US_PER_S = 1_000_000

_RunningOn = ProposeContinuous | ProposeMinimumRate | ProposeFlex | ProposeBridge | ProposeTrial
_AnyBolus = ProposeBolus | ProposePrime


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated proposal: its canonical form, and what COMMIT under a token does, unless it is refused even then."""

    canonical: Supported
    carry_out: Callable[[int], None]


class Planner:
    """Validates proposals against the model's limits and the pump's state; `leased` tells whether the lease is held.

    Whoever may propose while it is held is its holder.
    """

    def __init__(
        self,
        profile: ModelProfile,
        nvram: Nvram,
        accounts: Accounts,
        therapy: Therapy,
        settings: Settings,
        patient: PatientBoluses,
        leased: Callable[[], bool],
    ) -> None:
        self._profile = profile
        self._nvram = nvram
        self._accounts = accounts
        self._therapy = therapy
        self._settings = settings
        self._patient = patient
        self._leased = leased

    def plan(self, proposed: Supported) -> Plan:
        """What a COMMIT of the proposal would do.

        Raises:
            RefusedRequest: a value is out of range, the pump is busy or in the wrong state, or a therapy is to end with
                a lease that nobody holds.
        """
        match proposed:
            case ProposeContinuous() | ProposeMinimumRate() | ProposeFlex() | ProposeBridge() | ProposeTrial():
                return self._running_on(proposed)
            case ProposeBolus() | ProposePrime():
                return self._bolus(proposed)
            case ProposePatientBolus():
                return self._patient_bolus(proposed)
            case ProposePatientBolusLimits():
                return self._patient_limits(proposed)
            case ProposeCalibration():
                return self._calibration(proposed)
            case ProposeRefill():
                return self._refill(proposed)
            case ProposeTherapyClock():
                return self._therapy_clock(proposed)

    def _running_on(self, proposed: _RunningOn) -> Plan:
        ends_with_lease = self._ends_with_lease(proposed)
        canonical: _RunningOn
        mode, steps, then_ticks = Mode.CONTINUOUS, None, None
        match proposed:
            case ProposeContinuous():
                ticks = self._ticks("rate_ul_per_h", proposed.rate_ul_per_h)
                canonical = ProposeContinuous(proposed.command_id, self._realised(ticks), proposed.on_lease_loss)
            case ProposeMinimumRate():
                mode, ticks = Mode.MINIMUM_RATE, self._minimum_ticks(proposed)
                canonical = ProposeMinimumRate(proposed.command_id, self._realised(ticks), proposed.on_lease_loss)
            case ProposeFlex():
                mode, ticks = Mode.FLEX, 0
                canonical = ProposeFlex(proposed.command_id, proposed.on_lease_loss, self._flex_steps(proposed))
            case ProposeTrial():
                mode, ticks = Mode.TRIAL, self._ticks("rate_ul_per_h", proposed.rate_ul_per_h)
                steps = _steps_in(proposed.duration_s, ticks)
                canonical = ProposeTrial(
                    proposed.command_id, self._realised(ticks), proposed.duration_s, proposed.on_lease_loss
                )
            case ProposeBridge():
                mode, steps = Mode.BRIDGE, self._steps(proposed.volume_ul)
                ticks = self._ticks("bridge_rate_ul_per_h", proposed.bridge_rate_ul_per_h)
                then_ticks = self._ticks("rate_ul_per_h", proposed.rate_ul_per_h)
                canonical = ProposeBridge(
                    proposed.command_id,
                    steps * self._accounts.step_volume_ul,
                    self._realised(ticks),
                    self._realised(then_ticks),
                    proposed.on_lease_loss,
                )
        self._refuse_to_infuse()
        self._refuse_during_bolus()
        run = Run(
            canonical.command_id,
            0,
            canonical.TYPE,
            encode_payload(canonical),
            mode,
            ticks,
            steps,
            then_ticks,
            ends_with_lease,
        )
        return Plan(canonical, lambda token: self._therapy.start(replace(run, token=token)))

    def _bolus(self, proposed: _AnyBolus) -> Plan:
        steps = self._steps(proposed.volume_ul)
        ticks = self._ticks("rate_ul_per_h", proposed.rate_ul_per_h or self._profile.bolus_rate_ul_per_h)
        self._refuse_to_infuse()
        self._refuse_during_bolus()
        self._refuse_during_bridge()
        if self._nvram.memory.programming_interrupted:
            raise RefusedRequest(NakReason.WRONG_STATE, "programming was cut short; program, or STOP")
        is_prime = isinstance(proposed, ProposePrime)
        if is_prime and self._nvram.memory.primed:
            raise RefusedRequest(NakReason.WRONG_STATE, "primed already; again only after a refill")
        canonical = type(proposed)(proposed.command_id, steps * self._accounts.step_volume_ul, self._realised(ticks))
        mode = Mode.PRIMING if is_prime else Mode.BOLUS
        run = Run(canonical.command_id, 0, canonical.TYPE, encode_payload(canonical), mode, ticks, steps)
        return Plan(canonical, lambda token: self._therapy.start_bolus(replace(run, token=token)))

    def _patient_bolus(self, proposed: ProposePatientBolus) -> Plan:
        if proposed.volume_ul != 0.0 or proposed.rate_ul_per_h != 0.0:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, "volume and rate must be 0: the limits say them")
        self._refuse_to_infuse()
        self._refuse_during_bolus()
        self._refuse_during_bridge()
        limits = self._patient.allowed()
        steps = max(1, round(limits.volume_ul / self._accounts.step_volume_ul))
        ticks = self._ticks("rate_ul_per_h", limits.rate_ul_per_h)
        canonical = ProposePatientBolus(
            proposed.command_id, steps * self._accounts.step_volume_ul, self._realised(ticks)
        )
        run = Run(canonical.command_id, 0, canonical.TYPE, encode_payload(canonical), Mode.PATIENT_BOLUS, ticks, steps)
        self._patient.refuse_above_window(limits, run)

        def carry_out(token: int) -> None:
            self._patient.refuse_above_window(self._patient.allowed(), run)
            self._therapy.start_bolus(replace(run, token=token))

        return Plan(canonical, carry_out)

    def _patient_limits(self, proposed: ProposePatientBolusLimits) -> Plan:
        steps = self._steps(proposed.volume_ul)
        ticks = self._ticks("rate_ul_per_h", proposed.rate_ul_per_h or self._profile.bolus_rate_ul_per_h)
        limits = checked_limits(proposed, self._profile, steps * self._accounts.step_volume_ul, self._realised(ticks))
        canonical = msgspec.structs.replace(proposed, volume_ul=limits.volume_ul, rate_ul_per_h=limits.rate_ul_per_h)
        return Plan(
            canonical,
            lambda token: self._settings.limit_patient_boluses(proposed.command_id, token, limits),
        )

    def _flex_steps(self, proposed: ProposeFlex) -> tuple[FlexStep, ...]:
        """With rates as the motor makes them, in the order they were proposed in."""
        check_steps(proposed.steps)
        steps = tuple(
            FlexStep(step.days, step.start_min, self._flex_rate(f"step {number}: rate_ul_per_h", step.rate_ul_per_h))
            for number, step in enumerate(proposed.steps, start=1)
        )
        if not self._nvram.memory.clock_generation:
            raise RefusedRequest(NakReason.WRONG_STATE, "the therapy clock was never set")
        return steps

    def _flex_rate(self, key: str, rate_ul_per_h: float) -> float:
        return 0.0 if rate_ul_per_h == 0.0 else self._realised(self._ticks(key, rate_ul_per_h))

    def _calibration(self, proposed: ProposeCalibration) -> Plan:
        nominal_nl = self._profile.step_volume_nl
        span_nl = nominal_nl * self._profile.calibration_span_pct / 100.0
        _check_range("step_volume_nl", proposed.step_volume_nl, nominal_nl - span_nl, nominal_nl + span_nl, "nL")
        if self._therapy.mode is not Mode.STOPPED:
            raise RefusedRequest(NakReason.WRONG_STATE, "calibration is written only while stopped")
        return Plan(
            proposed, lambda token: self._settings.calibrate(proposed.command_id, token, proposed.step_volume_nl)
        )

    def _refill(self, proposed: ProposeRefill) -> Plan:
        _check_range("volume_ul", proposed.volume_ul, 0.0, self._profile.reservoir_volume_ul, "uL")
        return Plan(proposed, lambda token: self._settings.refill(proposed.command_id, token, proposed.volume_ul))

    def _therapy_clock(self, proposed: ProposeTherapyClock) -> Plan:
        _check_range("utc_s", proposed.utc_s, 0, _LAST_UTC_S, "s")
        _check_range("utc_offset_s", proposed.utc_offset_s, FARTHEST_WEST_S, FARTHEST_EAST_S, "s")
        return Plan(
            proposed,
            lambda token: self._settings.set_therapy_clock(
                proposed.command_id, token, proposed.utc_s, proposed.utc_offset_s
            ),
        )

    def _realised(self, ticks: int) -> float:
        return realised_ul_per_h(ticks, self._nvram.memory.step_volume_nl)

    def _ends_with_lease(self, proposed: _RunningOn) -> bool:
        if proposed.on_lease_loss not in (OnLeaseLoss.CONTINUE, OnLeaseLoss.STOP):
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"on_lease_loss {int(proposed.on_lease_loss)} is unknown")
        if proposed.on_lease_loss == OnLeaseLoss.CONTINUE:
            return False
        if not self._leased():
            raise RefusedRequest(NakReason.NO_LEASE, "on_lease_loss STOP needs a lease; take one first")
        return True

    def _ticks(self, key: str, rate_ul_per_h: float) -> int:
        lowest, highest = self._profile.rate_min_ul_per_h, self._profile.rate_max_ul_per_h
        _check_range(key, rate_ul_per_h, lowest, highest, "uL/h")
        return nearest_ticks(rate_ul_per_h, self._nvram.memory.step_volume_nl, lowest=lowest, highest=highest)

    def _minimum_ticks(self, proposed: ProposeMinimumRate) -> int:
        if proposed.rate_ul_per_h != 0.0:
            raise RefusedRequest(NakReason.OUT_OF_RANGE, "rate_ul_per_h must be 0: the pump has its own")
        rate_ul_per_h, highest = self._profile.minimum_rate_ul_per_h, self._profile.rate_max_ul_per_h
        return nearest_ticks(rate_ul_per_h, self._nvram.memory.step_volume_nl, lowest=0.0, highest=highest)

    def _steps(self, volume_ul: float) -> int:
        """The whole steps nearest to a volume; at least one, and no more than a bolus may have."""
        most_ul, step_volume_ul = self._profile.bolus_max_ul, self._accounts.step_volume_ul
        _check_range("volume_ul", volume_ul, 0.0, most_ul, "uL")
        steps = round(volume_ul / step_volume_ul)
        if steps < 1:
            step_volume_nl = self._nvram.memory.step_volume_nl
            raise RefusedRequest(NakReason.OUT_OF_RANGE, f"volume_ul below one step of {step_volume_nl:.6g} nL")
        return steps - 1 if steps * step_volume_ul > most_ul else steps

    def _refuse_to_infuse(self) -> None:
        self._nvram.memory.conditions.refuse_infusion()
        if self._accounts.is_down_to(0.0):
            raise RefusedRequest(NakReason.WRONG_STATE, "the reservoir is empty")

    def _refuse_during_bolus(self) -> None:
        if self._therapy.bolus_command_id is not None:
            raise RefusedRequest(NakReason.BUSY, f"bolus {self._therapy.bolus_command_id} is under way")

    def _refuse_during_bridge(self) -> None:
        if self._therapy.mode is Mode.BRIDGE:
            raise RefusedRequest(NakReason.BUSY, f"bridge {self._therapy.active_command_id} is under way")


def _steps_in(duration_s: int, ticks: int) -> int:
    steps = duration_s * _US_PER_S // (ticks * TICK_US)
    if steps < 1:
        shortest_s = -(-ticks * TICK_US // _US_PER_S)
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"duration_s below one step of {shortest_s} s")
    return steps


def _check_range(key: str, value: float, lowest: float, highest: float, unit: str) -> None:
    if not isfinite(value):
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"{key} is no finite number")
    if value < lowest:
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"{key} below the limit {lowest:.6g} {unit}")
    if value > highest:
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"{key} above the limit {highest:.6g} {unit}")
