"""Scenario table `[balance]`: what keeps a balance from showing the force on its pan, and its settings as found."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_mock.scenario import ScenarioError

FILTER_SCALES = (0.4, 0.7, 1.0, 2.0, 4.0, 1.0)
"""Filter time at the environment settings of M02, very stable to very unstable and automatic, over that at standard."""

_ABOVE_ZERO = (
    "warm_up_min",
    "door_s",
    "footfall_s",
    "vibration_hz",
    "adjustment_every_h",
    "stability_timeout_s",
)
_AT_LEAST_ZERO = (
    "white_mg",
    "flicker_mg",
    "random_walk_mg_per_sqrt_h",
    "filter_s",
    "cell_time_constant_min",
    "on_before_min",
    "door_per_h",
    "footfall_per_h",
    "autozero_window_d",
    "autozero_d_per_s",
    "adjustment_lasts_s",
    "adjustment_zero_mg",
    "adjustment_ppm",
    "answer_delay_ms",
    "answer_jitter_ms",
)


@dataclass(frozen=True, slots=True)
class BalanceEffects:
    """All at rest by default; certificate errors come from the rig file, not from here.

    white_mg: at the display, behind the filter. flicker_mg: standard deviation. random_walk_mg_per_sqrt_h.
    filter_s: time constant of the filter at the setting "standard".
    sensitivity_ppm_per_k: on the whole load; the cell follows the room's temperature with cell_time_constant_min.
    warm_up_mg: drift left at power-on, fading with warm_up_min; on_before_min: for how long the balance was on
    already when the world began.
    door_per_h, door_mg, door_s and the same for footfall: how often, mean size, decay, as seen at the display.
    vibration_mg, vibration_hz: of the building, before the filter.
    autozero, auto_adjustment, filter_setting (as M02, 0 to 5): the settings as found.
    autozero_window_d, autozero_d_per_s: how near to the displayed zero and up to which rate tracking acts, in digits.
    adjustment_every_h, adjustment_lasts_s; adjustment_zero_mg, adjustment_ppm: standard deviations of its steps.
    answer_delay_ms, answer_jitter_ms: from a command to the answer, the fixed and the uniform part.
    stability_timeout_s: how long a command waits for a stable weight.
    """

    white_mg: float = 0.0
    flicker_mg: float = 0.0
    random_walk_mg_per_sqrt_h: float = 0.0
    filter_s: float = 0.0
    sensitivity_ppm_per_k: float = 0.0
    cell_time_constant_min: float = 0.0
    warm_up_mg: float = 0.0
    warm_up_min: float = 60.0
    on_before_min: float = 0.0
    door_per_h: float = 0.0
    door_mg: float = 0.0
    door_s: float = 20.0
    footfall_per_h: float = 0.0
    footfall_mg: float = 0.0
    footfall_s: float = 1.0
    vibration_mg: float = 0.0
    vibration_hz: float = 8.3
    autozero: bool = False
    autozero_window_d: float = 5.0
    autozero_d_per_s: float = 0.5
    auto_adjustment: bool = False
    adjustment_every_h: float = 4.0
    adjustment_lasts_s: float = 90.0
    adjustment_zero_mg: float = 0.0
    adjustment_ppm: float = 0.0
    filter_setting: int = 2
    answer_delay_ms: float = 0.0
    answer_jitter_ms: float = 0.0
    stability_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        for key in _ABOVE_ZERO:
            if getattr(self, key) <= 0.0:
                raise ScenarioError(f"[balance] {key} = {getattr(self, key)} must be above 0")
        for key in _AT_LEAST_ZERO:
            if getattr(self, key) < 0.0:
                raise ScenarioError(f"[balance] {key} = {getattr(self, key)} must be at least 0")
        last = len(FILTER_SCALES) - 1
        if not 0 <= self.filter_setting <= last:
            raise ScenarioError(f"[balance] filter_setting = {self.filter_setting} must be 0 to {last}")
