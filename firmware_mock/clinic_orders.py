"""What the clinic of a scenario may want: `[[events]]` made into orders, in the units that a programmer is used to.

Rates are mL/day there, volumes mL, doses µg; on the wire they are µL/h and µL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firmware_mock.clinic import Order
from firmware_mock.event_fields import EventFields
from firmware_mock.physics import dose
from protocol import (
    AcknowledgeAlarms,
    Alarm,
    Day,
    FlexStep,
    OnLeaseLoss,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeTherapyClock,
    ProposeTrial,
    SelfTestItem,
    SelfTestRequest,
    Stop,
)

UL_PER_ML = 1000.0
_UL_PER_H = UL_PER_ML / 24.0
_S_PER_H = 3600.0
_RATE = ("rate_ml_per_day", "dose_ug_per_day", "concentration_ug_per_ml")
_VOLUME = ("volume_ml", "dose_ug", "concentration_ug_per_ml", "over_min")
_ALL_ALARMS = Alarm(sum(Alarm))
_DAYS = {day.name.lower(): day for day in Day if day.name is not None}
_EVERY_DAY = Day(sum(Day))

CLINIC_EVENTS: dict[str, frozenset[str]] = {
    "acknowledge": frozenset(("silence_h",)),
    "bolus": frozenset(_VOLUME),
    "bridge": frozenset(("old_ug_per_ml", "new_ug_per_ml", "old_ug_per_day", "new_ug_per_day")),
    "continuous": frozenset(_RATE),
    "flex": frozenset(("steps",)),
    "minimum_rate": frozenset(),
    "patient_limits": frozenset(
        ("volume_ml", "over_min", "lockout_h", "most_per_day", "window_h", "window_limit_ml", "enabled")
    ),
    "prime": frozenset(("volume_ml",)),
    "self_test": frozenset(),
    "set_clock": frozenset(("utc_offset_h",)),
    "stop": frozenset(),
    "trial": frozenset((*_RATE, "days")),
}


def order_for(fields: EventFields, *, way_ul: float, utc_s: Callable[[], int]) -> Order:
    """The order that an event of `CLINIC_EVENTS` stands for; `way_ul` is what tubing and catheter hold.

    Raises:
        ScenarioError: a key is missing or has a wrong value.
    """
    match fields.do:
        case "continuous":
            rate, words = _rate(fields)
            return Order(f"continuous {words}", lambda id_: ProposeContinuous(id_, rate, OnLeaseLoss.CONTINUE))
        case "minimum_rate":
            return Order("minimum rate", lambda id_: ProposeMinimumRate(id_, 0.0, OnLeaseLoss.CONTINUE))
        case "flex":
            return _flex(fields)
        case "bolus":
            return _bolus(fields)
        case "prime":
            prime_ul = UL_PER_ML * fields.number("volume_ml", default=way_ul / UL_PER_ML)
            return Order(f"priming {prime_ul / UL_PER_ML:g} mL", lambda id_: ProposePrime(id_, prime_ul, 0.0))
        case "bridge":
            return _bridge(fields, way_ul)
        case "trial":
            rate, words = _rate(fields)
            duration_s = round(86_400.0 * fields.number("days", lowest=1e-3))
            return Order(
                f"trial {words} for {duration_s / 86_400.0:g} days",
                lambda id_: ProposeTrial(id_, rate, duration_s, OnLeaseLoss.CONTINUE),
            )
        case "patient_limits":
            return _patient_limits(fields)
        case "set_clock":
            offset_h = fields.number("utc_offset_h", lowest=-12.0, highest=14.0)
            return Order(
                f"clock set to UTC{offset_h:+g} h",
                lambda id_: ProposeTherapyClock(id_, utc_s(), round(_S_PER_H * offset_h)),
            )
        case "acknowledge":
            silence_s = round(_S_PER_H * fields.number("silence_h", default=0.0))
            return Order("alarms acknowledged", lambda _: AcknowledgeAlarms(_ALL_ALARMS, silence_s))
        case "self_test":
            return Order("self-test", lambda _: SelfTestRequest(SelfTestItem(0)))
    return Order("stop", lambda _: Stop())


def _rate(fields: EventFields) -> tuple[float, str]:
    """µL/h, and in words."""
    if not fields.either("rate_ml_per_day", ("dose_ug_per_day", "concentration_ug_per_ml")):
        dose_ug = fields.number("dose_ug_per_day")
        rate = dose.rate_ul_per_h(dose_ug, fields.number("concentration_ug_per_ml", lowest=1e-9))
        return rate, f"{dose_ug:g} ug/day, {rate / _UL_PER_H:g} mL/day"
    ml_per_day = fields.number("rate_ml_per_day")
    return ml_per_day * UL_PER_ML / 24.0, f"{ml_per_day:g} mL/day"


def _bolus(fields: EventFields) -> Order:
    volume_ul, words = _volume(fields)
    rate = _over(fields, volume_ul)
    return Order(f"bolus {words}", lambda id_: ProposeBolus(id_, volume_ul, rate))


def _volume(fields: EventFields) -> tuple[float, str]:
    if not fields.either("volume_ml", ("dose_ug", "concentration_ug_per_ml")):
        dose_ug = fields.number("dose_ug")
        volume_ml = dose_ug / fields.number("concentration_ug_per_ml", lowest=1e-9)
        return volume_ml * UL_PER_ML, f"{dose_ug:g} ug, {volume_ml:g} mL"
    volume_ml = fields.number("volume_ml")
    return volume_ml * UL_PER_ML, f"{volume_ml:g} mL"


def _over(fields: EventFields, volume_ul: float) -> float:
    """The rate in µL/h at which a volume takes so long; 0 for the model's own."""
    return 60.0 * volume_ul / fields.number("over_min", lowest=1e-3) if fields.has("over_min") else 0.0


def _bridge(fields: EventFields, way_ul: float) -> Order:
    old_ug_per_ml, new_ug_per_ml = (fields.number(key, lowest=1e-9) for key in ("old_ug_per_ml", "new_ug_per_ml"))
    old_ug_per_day, new_ug_per_day = (fields.number(key, lowest=1e-9) for key in ("old_ug_per_day", "new_ug_per_day"))
    bridge = dose.bridge(
        way_ul, old_ug_per_ml=old_ug_per_ml, new_ug_per_ml=new_ug_per_ml, old_ug_per_day=old_ug_per_day
    )
    then = dose.rate_ul_per_h(new_ug_per_day, new_ug_per_ml)
    return Order(
        f"bridge {bridge.volume_ul / UL_PER_ML:g} mL in {bridge.hours:g} h at {bridge.rate_ul_per_h / _UL_PER_H:g} "
        f"mL/day, entered as {bridge.entered_ug:g} ug, then {then / _UL_PER_H:g} mL/day",
        lambda id_: ProposeBridge(id_, bridge.volume_ul, bridge.rate_ul_per_h, then, OnLeaseLoss.CONTINUE),
    )


def _patient_limits(fields: EventFields) -> Order:
    volume_ul = UL_PER_ML * fields.number("volume_ml")
    rate = _over(fields, volume_ul)
    lockout_s = round(_S_PER_H * fields.number("lockout_h"))
    most = fields.whole("most_per_day", lowest=0, highest=1000)
    window_s = round(_S_PER_H * fields.number("window_h", default=24.0))
    limit_ul = UL_PER_ML * fields.number("window_limit_ml")
    enabled = fields.whole("enabled", lowest=0, highest=1, default=1)
    return Order(
        f"patient bolus of {volume_ul / UL_PER_ML:g} mL allowed every {lockout_s / _S_PER_H:g} h, {most} a day",
        lambda id_: ProposePatientBolusLimits(id_, enabled, volume_ul, rate, lockout_s, most, window_s, limit_ul),
    )


def _flex(fields: EventFields) -> Order:
    steps = tuple(_flex_step(fields, table) for table in fields.tables("steps"))
    return Order(f"flex, {len(steps)} steps", lambda id_: ProposeFlex(id_, OnLeaseLoss.CONTINUE, steps))


def _flex_step(fields: EventFields, table: Any) -> FlexStep:
    unknown = set(table) - {"days", "at", "rate_ml_per_day"}
    if unknown:
        raise fields.refuse(f"a step has no key {sorted(unknown)[0]!r}; known: at, days, rate_ml_per_day")
    days, rate = table.get("days", "every day"), table.get("rate_ml_per_day")
    hours, _, minutes = str(table.get("at", "")).partition(":")
    if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise fields.refuse(f'a step has at = {table.get("at")!r}; give a time of day, such as "06:30"')
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.0 <= rate < 1e6:
        raise fields.refuse(f"a step has rate_ml_per_day = {rate!r}; it must be a number of at least 0")
    return FlexStep(_days(fields, days), 60 * int(hours) + int(minutes), rate * _UL_PER_H)


def _days(fields: EventFields, text: Any) -> Day:
    if text == "every day":
        return _EVERY_DAY
    days = Day(0)
    for name in text if isinstance(text, list) else [text]:
        if name not in _DAYS:
            raise fields.refuse(f"a step has days = {text!r}; known: every day, {', '.join(_DAYS)}")
        days |= _DAYS[name]
    return days
