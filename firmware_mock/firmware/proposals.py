"""PROPOSE: what the pump would really do on COMMIT, or why it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from firmware_mock.firmware.motor import nearest_ticks, realised_ul_per_h
from firmware_mock.firmware.therapy import Therapy
from protocol import Mode, NakReason, ProposeBolus, ProposeCalibration, ProposeContinuous
from protocol.messages import NAK_DETAIL_BYTES
from protocol.profile import ModelProfile

Proposable: TypeAlias = ProposeContinuous | ProposeBolus | ProposeCalibration


class RefusedRequest(Exception):
    """The request changes nothing; becomes a NAK. Of `detail` is kept what the NAK's field can hold in UTF-8."""

    def __init__(self, reason: NakReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail.encode()[:NAK_DETAIL_BYTES].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated proposal: its canonical form, and what COMMIT does."""

    canonical: Proposable
    carry_out: Callable[[], None]


def plan(proposed: Proposable, profile: ModelProfile, therapy: Therapy, step_volume_nl: float) -> Plan:
    """Validate a proposal against the model's limits and the pump's state.

    Raises:
        RefusedRequest: a value is out of range, or the pump is busy or in the wrong state.
    """
    match proposed:
        case ProposeContinuous():
            return _plan_continuous(proposed, profile, therapy, step_volume_nl)
        case ProposeBolus():
            return _plan_bolus(proposed, profile, therapy, step_volume_nl)
        case ProposeCalibration():
            return _plan_calibration(proposed, profile, therapy)


def _plan_continuous(
    proposed: ProposeContinuous, profile: ModelProfile, therapy: Therapy, step_volume_nl: float
) -> Plan:
    ticks = _ticks(proposed.rate_ul_per_h, profile, step_volume_nl)
    _refuse_during_bolus(therapy)
    return Plan(
        ProposeContinuous(proposed.command_id, realised_ul_per_h(ticks, step_volume_nl)),
        lambda: therapy.start_continuous(proposed.command_id, ticks),
    )


def _plan_bolus(proposed: ProposeBolus, profile: ModelProfile, therapy: Therapy, step_volume_nl: float) -> Plan:
    step_volume_ul = step_volume_nl * 1e-3
    _check_range("volume_ul", proposed.volume_ul, 0.0, profile.bolus_max_ul, "uL")
    steps = round(proposed.volume_ul / step_volume_ul)
    if steps < 1:
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"volume_ul below one step of {step_volume_nl:.6g} nL")
    if steps * step_volume_ul > profile.bolus_max_ul:
        steps -= 1
    ticks = _ticks(proposed.rate_ul_per_h or profile.bolus_rate_ul_per_h, profile, step_volume_nl)
    _refuse_during_bolus(therapy)
    return Plan(
        ProposeBolus(proposed.command_id, steps * step_volume_ul, realised_ul_per_h(ticks, step_volume_nl)),
        lambda: therapy.start_bolus(proposed.command_id, steps, ticks),
    )


def _plan_calibration(proposed: ProposeCalibration, profile: ModelProfile, therapy: Therapy) -> Plan:
    span_nl = profile.step_volume_nl * profile.calibration_span_pct / 100.0
    lowest_nl, highest_nl = profile.step_volume_nl - span_nl, profile.step_volume_nl + span_nl
    _check_range("step_volume_nl", proposed.step_volume_nl, lowest_nl, highest_nl, "nL")
    if therapy.mode is not Mode.STOPPED:
        raise RefusedRequest(NakReason.WRONG_STATE, "calibration is written only while stopped")
    return Plan(proposed, lambda: therapy.calibrate(proposed.command_id, proposed.step_volume_nl))


def _ticks(rate_ul_per_h: float, profile: ModelProfile, step_volume_nl: float) -> int:
    lowest, highest = profile.rate_min_ul_per_h, profile.rate_max_ul_per_h
    _check_range("rate_ul_per_h", rate_ul_per_h, lowest, highest, "uL/h")
    return nearest_ticks(rate_ul_per_h, step_volume_nl, lowest=lowest, highest=highest)


def _refuse_during_bolus(therapy: Therapy) -> None:
    if therapy.mode is Mode.BOLUS:
        raise RefusedRequest(NakReason.BUSY, f"bolus {therapy.active_command_id} is under way")


def _check_range(key: str, value: float, lowest: float, highest: float, unit: str) -> None:
    if not isfinite(value):
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"{key} is no finite number")
    if value < lowest:
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"{key} below the limit {lowest:.6g} {unit}")
    if value > highest:
        raise RefusedRequest(NakReason.OUT_OF_RANGE, f"{key} above the limit {highest:.6g} {unit}")
