"""The figures that a model profile may hold, in groups: which of them a pump has, its labels say.

A figure is called the same here and in the file. A step of a valve-gated pump is one shot.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Percentage = Annotated[float, Field(gt=0, lt=100)]
Count = Annotated[int, Field(gt=0)]
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Figure(BaseModel):
    """One figure of a model: its value in the unit of its key, where it is from, and how far to trust that."""

    model_config = STRICT

    value: float
    source: Annotated[str, Field(min_length=1)]
    confidence: Literal["published", "unconfirmed", "design"]


class Metering(StrEnum):
    """What moves the liquid, and how much of it."""

    PERISTALTIC = "peristaltic"
    VALVE_GATED = "valve-gated"
    CONSTANT_FLOW = "constant-flow"


class PowerSource(StrEnum):
    """SEALED_CELL ends with the pump; REPLACEABLE_CELLS are changed; SUPPLY is from outside; NONE needs none."""

    SEALED_CELL = "sealed-cell"
    REPLACEABLE_CELLS = "replaceable-cells"
    SUPPLY = "supply"
    NONE = "none"


class Magnet(StrEnum):
    """What the valves of a valve-gated pump do in a strong magnet: latch shut, or open and empty the reservoir."""

    LATCH = "latch"
    DUMP = "dump"


class Body(BaseModel):
    """What every pump has. `tubing_volume_ul` is inside the pump, from its head to where the catheter begins.

    `head_temperature_c` is where the accuracy holds.
    """

    model_config = STRICT

    accuracy_limit_pct: Percentage
    reservoir_volume_ul: Positive
    tubing_volume_ul: Positive
    catheter_ul_per_cm: Positive
    head_temperature_c: Annotated[float, Field(gt=0, lt=60)]


class Peristaltic(BaseModel):
    """A rotor that is stepped. `stall_check_s` is how often the firmware compares encoder and timer."""

    model_config = STRICT

    step_volume_nl: Positive
    steps_per_revolution: Count
    rollers: Count
    stall_check_s: Positive


class ValveGated(BaseModel):
    """A chamber that is filled and emptied by two valves; the reservoir's pressure drives.

    `open_valves_ul_per_h` is what flows with both valves open, `latched_check_s` how often shut valves are looked for.
    """

    model_config = STRICT

    magnet: Annotated[Magnet, Field(strict=False)]
    shot_volume_nl: Positive
    shortest_shot_interval_s: Positive
    open_valves_ul_per_h: Positive
    latched_check_s: Positive


class ConstantFlow(BaseModel):
    """A capillary behind the reservoir's pressure: one rate, set by the maker, at `head_temperature_c`."""

    model_config = STRICT

    flow_ul_per_h: Positive
    flow_pct_per_k: Annotated[float, Field(ge=0, lt=100)]
    flow_pct_per_hpa: Annotated[float, Field(ge=0, lt=100)]


class Programming(BaseModel):
    """What a programmable pump accepts, remembers and watches.

    `reserved_steps` is how many steps are written down before they are made, `calibration_span_pct` how far from
    nominal a step volume may be. Encoder and timer are compared every `infusion_check_s`; infusion that was suspended
    for telemetry must be handed back within `telemetry_return_min`. Patient boluses are within the limits of each
    proposal, and those within these.
    """

    model_config = STRICT

    minimum_rate_ul_per_h: Positive
    rate_min_ul_per_h: Positive
    rate_max_ul_per_h: Positive
    reservoir_alarm_ul: Positive
    reserved_steps: Count
    calibration_span_pct: Percentage
    bolus_max_ul: Positive
    bolus_rate_ul_per_h: Positive
    patient_bolus_max_ul: Positive
    patient_lockout_min_s: Positive
    patient_boluses_per_day_max: Count
    patient_window_max_s: Positive
    stopped_alarm_h: Positive
    telemetry_return_min: Positive
    infusion_check_s: Positive
    self_test_interval_h: Positive


class Sounder(BaseModel):
    """Alarm tones: how many tones each time, and every how many minutes.

    A non-critical alarm sounds as a critical one when it was not acknowledged for `noncritical_escalation_h`, or came
    up `repeated_alarms` times within `repeated_alarms_h`.
    """

    model_config = STRICT

    critical_tones: Count
    critical_tone_interval_min: Positive
    noncritical_tones: Count
    noncritical_tone_interval_min: Positive
    noncritical_escalation_h: Positive
    repeated_alarms: Annotated[int, Field(gt=1)]
    repeated_alarms_h: Positive


class Cells(BaseModel):
    """The battery; `battery_step_energy_uj` is per step or shot.

    With no more than `battery_spent_pct` left it is no longer relied on to turn the motor.
    """

    model_config = STRICT

    battery_energy_j: Positive
    battery_base_power_uw: Positive
    battery_step_energy_uj: Positive
    battery_spent_pct: Percentage


class ServiceLife(BaseModel):
    """When a pump with a sealed cell asks to be replaced and when it stops, both from the day it was implanted.

    The replacement indicator comes when `eri_remaining_pct` of the energy is left, or so that end of service,
    `end_of_service_after_eri_days` later, falls on `life_cap_years`.
    """

    model_config = STRICT

    life_cap_years: Positive
    eri_remaining_pct: Percentage
    end_of_service_after_eri_days: Positive


class Supply(BaseModel):
    """Power from outside."""

    model_config = STRICT

    supply_mv: Count


class OcclusionSensor(BaseModel):
    """A pressure sensor behind the pump, and the gauge pressure at which it alarms."""

    model_config = STRICT

    occlusion_alarm_hpa: Positive
