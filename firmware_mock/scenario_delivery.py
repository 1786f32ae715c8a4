"""SP-03 and SP-04 as the patient has them: what arrives at the tip, against what was programmed, over every interval.

No part of the pump can know this; the monitors beside it hold its steps against its orders, this holds the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.implant_record import Record
from firmware_mock.monitors.delivery import TELLS_OF_DELIVERY
from protocol import Mode
from protocol.profile import ModelProfile

OVER, UNDER = "SP-03", "SP-04"
_S_PER_H = 3600.0
_COLUMNS = ("time_s", "alarms", "pump_on", "mode", "pump_rate_ul_per_h", "true_tip_ul")
_ON_TOP = frozenset((Mode.BOLUS, Mode.PATIENT_BOLUS, Mode.PRIMING, Mode.BRIDGE))


@dataclass(frozen=True, slots=True)
class Breach:
    """From when on too much or too little had arrived with nothing to tell of it, and how much since when."""

    identifier: str
    at_s: float
    how: str


@dataclass(slots=True)
class _Worst:
    """Since the instant from which most has come too much, or too little."""

    excess_ul: float
    since_s: float
    tip_ul: float
    commanded_ul: float


def delivery_breaches(record: Record, profile: ModelProfile) -> dict[str, Breach]:
    """The first breach of each of the two properties, by its identifier.

    Between any two rows what arrived must be within the model's accuracy limit of what was programmed, give or take a
    stroke of one roller: over the worst interval, not only since the therapy began. Without power the therapy still
    stands, a bolus on top of it does not. An alarm that tells of delivery ends the interval, and pardons what came
    within two of the checks before it, of encoder against timer.
    """
    share = profile.accuracy_limit_pct / 100.0
    stroke_ul = profile.steps_per_revolution / profile.rollers * profile.step_volume_nl * 1e-3
    grace_s = 2.0 * max(profile.stall_check_s, profile.infusion_check_s)
    return {
        identifier: breach
        for identifier, sign in ((OVER, 1.0), (UNDER, -1.0))
        if (breach := _first(record, identifier, sign, share, stroke_ul, grace_s)) is not None
    }


def _first(
    record: Record, identifier: str, sign: float, share: float, stroke_ul: float, grace_s: float
) -> Breach | None:
    columns = record.columns
    commanded_ul, rate_ul_per_h, therapy_ul_per_h, before_s = 0.0, 0.0, 0.0, 0.0
    best: _Worst | None = None
    waiting: Breach | None = None
    for time_s, alarms, is_on, mode, programmed, tip_ul in zip(*(columns[name] for name in _COLUMNS), strict=True):
        if waiting is not None and time_s > waiting.at_s + grace_s:
            return waiting
        commanded_ul += rate_ul_per_h * (time_s - before_s) / _S_PER_H
        before_s = time_s
        if is_on and mode not in _ON_TOP:
            therapy_ul_per_h = programmed
        rate_ul_per_h = programmed if is_on else therapy_ul_per_h
        excess_ul = sign * tip_ul - sign * commanded_ul * (1.0 + sign * share)
        if best is None or excess_ul < best.excess_ul or alarms & TELLS_OF_DELIVERY:
            best = _Worst(excess_ul, time_s, tip_ul, commanded_ul)
        if alarms & TELLS_OF_DELIVERY:
            waiting = None
        elif waiting is None and excess_ul - best.excess_ul > stroke_ul:
            waiting = Breach(
                identifier,
                time_s,
                f"{tip_ul - best.tip_ul:.6g} uL arrived in {(time_s - best.since_s) / _S_PER_H:.4g} h, "
                f"{commanded_ul - best.commanded_ul:.6g} uL were programmed",
            )
    return None
