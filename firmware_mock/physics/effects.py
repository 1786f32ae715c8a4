"""Scenario tables `[pump]` and `[line]`: every term of the physics with a default that leaves it out."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.scenario import ScenarioError


@dataclass(frozen=True, slots=True)
class PumpEffects:
    """Truth about the pump. The signs are those of the flow law in `head.py`.

    unit_error_pct, unit_error_standard_pct: step volume off nominal, fixed part plus a draw per seed.
    seat_scatter_pct: standard deviation of the stroke volume between starts of the motor.
    pulsation_1_pct to pulsation_3_pct: roller harmonics, in per cent of the mean flow.
    pressure_slope_per_hpa: relative loss of stroke volume per hPa of back-pressure.
    reservoir_pressure_hpa: gauge pressure of the reservoir. leak_ul_per_h_per_hpa: past the rollers, at standstill too.
    wear_coefficient, wear_exponent: relative loss w·N^p after N revolutions. revolutions_before: turned before time 0.
    creep_pct, creep_time_h, creep_hours_before: gain of fresh tubing, decaying with the hours run.
    temperature_coefficient_per_k: of the stroke volume, from the model's head temperature.
    head_temperature_offset_k, head_temperature_ripple_k: thermostat off its set point, and amplitude of a daily course.
    clock_error_ppm, clock_error_standard_ppm: device clock fast, fixed part plus a draw per seed.
    reservoir_fill_pct: what the firmware was told, of the model's reservoir; reservoir_overfill_pct: truth over told.
    battery_used_pct: of the model's energy, before time 0. implanted_days_before: for which it had served by then.
    """

    unit_error_pct: float = 0.0
    unit_error_standard_pct: float = 0.0
    seat_scatter_pct: float = 0.0
    pulsation_1_pct: float = 0.0
    pulsation_2_pct: float = 0.0
    pulsation_3_pct: float = 0.0
    pressure_slope_per_hpa: float = 0.0
    reservoir_pressure_hpa: float = 0.0
    leak_ul_per_h_per_hpa: float = 0.0
    wear_coefficient: float = 0.0
    wear_exponent: float = 0.5
    revolutions_before: int = 0
    creep_pct: float = 0.0
    creep_time_h: float = 10.0
    creep_hours_before: float = 0.0
    temperature_coefficient_per_k: float = 0.0
    head_temperature_offset_k: float = 0.0
    head_temperature_ripple_k: float = 0.0
    clock_error_ppm: float = 0.0
    clock_error_standard_ppm: float = 0.0
    reservoir_fill_pct: float = 100.0
    reservoir_overfill_pct: float = 0.0
    battery_used_pct: float = 0.0
    implanted_days_before: float = 0.0

    def __post_init__(self) -> None:
        for key in (
            "unit_error_standard_pct",
            "seat_scatter_pct",
            "leak_ul_per_h_per_hpa",
            "pressure_slope_per_hpa",
            "wear_coefficient",
            "revolutions_before",
            "creep_hours_before",
            "clock_error_standard_ppm",
            "reservoir_fill_pct",
            "implanted_days_before",
        ):
            _check("pump", key, getattr(self, key), getattr(self, key) >= 0, "at least 0")
        pulsation_pct = sum(abs(a) for a in (self.pulsation_1_pct, self.pulsation_2_pct, self.pulsation_3_pct))
        _check("pump", "pulsation_1_pct to pulsation_3_pct", pulsation_pct, pulsation_pct < 100, "below 100 together")
        _check("pump", "wear_exponent", self.wear_exponent, 0 < self.wear_exponent <= 2, "above 0, at most 2")
        _check("pump", "creep_time_h", self.creep_time_h, self.creep_time_h > 0, "above 0")
        _check("pump", "creep_pct", self.creep_pct, -100 < self.creep_pct < 100, "between -100 and 100")
        _check("pump", "clock_error_ppm", self.clock_error_ppm, abs(self.clock_error_ppm) <= 1e5, "-100000 to 100000")
        overfill_pct = self.reservoir_overfill_pct
        _check("pump", "reservoir_overfill_pct", overfill_pct, overfill_pct >= -100, "at least -100, which is empty")
        _check("pump", "unit_error_pct", self.unit_error_pct, self.unit_error_pct > -100, "above -100")
        _check("pump", "battery_used_pct", self.battery_used_pct, 0 <= self.battery_used_pct < 100, "0 to below 100")


@dataclass(frozen=True, slots=True)
class LineEffects:
    """Truth about the line between pump head and outlet.

    compliance_tail: whether flow reaches the outlet with the rig's time constant or (almost) at once.
    compliance_ul_per_hpa: how much the line swells; with the time constant it gives the flow resistance.
    outlet_pressure_hpa: gauge pressure of the column at the outlet. bubble_ul: trapped air, volume at 1013.25 hPa.
    trapped_expansion: whether trapped liquid and tubing wall follow the room temperature.
    """

    compliance_tail: bool = False
    compliance_ul_per_hpa: float = 0.1
    outlet_pressure_hpa: float = 0.0
    bubble_ul: float = 0.0
    trapped_expansion: bool = False

    def __post_init__(self) -> None:
        _check("line", "compliance_ul_per_hpa", self.compliance_ul_per_hpa, self.compliance_ul_per_hpa > 0, "above 0")
        _check("line", "bubble_ul", self.bubble_ul, self.bubble_ul >= 0, "at least 0")


def _check(table: str, key: str, value: float, holds: bool, wanted: str) -> None:
    if not holds:
        raise ScenarioError(f"[{table}] {key} = {value!r} must be {wanted}")
