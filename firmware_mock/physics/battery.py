"""The battery: base power plus energy per step, voltage from what is left, and when it will be low.

What may be wrong with one: a film that locks part of its energy away and sags its voltage, and a load beside the pump.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from math import inf

from firmware_mock.world import NS_PER_S
from protocol.profile import ModelProfile

LOW_FRACTION = 0.05
NEVER_NS = 2**62
_FRACTIONS = (0.0, 0.02, LOW_FRACTION, 0.2, 1.0)
_MILLIVOLTS = (1800.0, 2300.0, 2500.0, 2750.0, 2850.0)


def battery_of(profile: ModelProfile, used_pct: float) -> Battery:
    """What a model of pump runs on.

    Raises:
        ProfileError: on nothing.
    """
    if profile.supply is not None:
        return Battery.supply(profile.supply.supply_mv)
    return Battery(profile.battery_energy_j, used_pct, profile.battery_base_power_uw, profile.battery_step_energy_uj)


class Battery:
    """Energy bookkeeping of a primary cell; the load is constant between calls of `draw_from` and `load`.

    `on_change` is called when something has gone wrong with it, or is over.
    """

    def __init__(self, energy_j: float, used_pct: float, base_power_uw: float, step_energy_uj: float) -> None:
        self._full_j = energy_j
        self._base_w = base_power_uw * 1e-6
        self._step_j = step_energy_uj * 1e-6
        self._anchor_j = energy_j * (1.0 - used_pct / 100.0)
        self._anchor_ns = 0
        self._steps_per_s = 0.0
        self._extra_w = 0.0
        self._power_w = self._base_w
        self._locked_j = 0.0
        self._sag_mv = 0.0
        self._supply_mv: int | None = None
        self.on_change: Callable[[], None] = lambda: None

    @classmethod
    def supply(cls, millivolts: int) -> Battery:
        """Power from outside: never low, its voltage constant, nothing drawn from any cell."""
        battery = cls(inf, 0.0, 0.0, 0.0)
        battery._supply_mv = millivolts
        return battery

    def draw_from(self, t_ns: int, steps_per_s: float) -> None:
        """From this instant on the motor makes so many steps a second."""
        self._steps_per_s = steps_per_s
        self._anchor(t_ns)

    def load(self, t_ns: int, extra_power_uw: float) -> None:
        """From this instant on something beside the pump draws a power, such as a short at a feed-through."""
        self._extra_w = extra_power_uw * 1e-6
        self._anchor(t_ns)
        self.on_change()

    def grow_film(self, t_ns: int, *, locked_pct: float, sag_mv: float) -> None:
        """From this instant on a share of a full cell cannot be drawn, and the voltage is lower by so much.

        Where less than that share is left, all of it is locked.
        """
        self._anchor(t_ns)
        self._locked_j = min(self._full_j * locked_pct / 100.0, self._anchor_j)
        self._sag_mv = sag_mv
        self.on_change()

    def energy_j(self, t_ns: int) -> float:
        """Energy that is left and can be drawn, in J, never below 0."""
        return max(0.0, self._unlocked_j(t_ns) - self._locked_j)

    def used_j(self, t_ns: int) -> float:
        """Energy drawn from a full cell, in J."""
        if self._supply_mv is not None:
            return 0.0
        return self._full_j - self._locked_j - self.energy_j(t_ns)

    def left_pct(self, t_ns: int) -> float:
        """`energy_j` of a full cell, in per cent; 100 on a supply."""
        return 100.0 if self._supply_mv is not None else 100.0 * self.energy_j(t_ns) / self._full_j

    def millivolts(self, t_ns: int) -> int:
        """Terminal voltage in mV: a design curve, flat until the last fifth."""
        if self._supply_mv is not None:
            return self._supply_mv
        return round(_along(_FRACTIONS, _MILLIVOLTS, self.energy_j(t_ns) / self._full_j) - self._sag_mv)

    def is_low(self, t_ns: int) -> bool:
        """Whether no more than a twentieth of the energy is left, or the voltage is where it is then."""
        return t_ns >= self.reaches_ns(LOW_FRACTION)

    def reaches_ns(self, fraction: float) -> int:
        """When the energy is down to a fraction of a full cell if the load stays as it is; `NEVER_NS` on a supply.

        With a film: when the voltage is down to where that fraction would bring it.
        """
        if self._supply_mv is not None:
            return NEVER_NS
        if self._sag_mv:
            fraction = _along(_MILLIVOLTS, _FRACTIONS, _along(_FRACTIONS, _MILLIVOLTS, fraction) + self._sag_mv)
        left_j = self._anchor_j - self._locked_j - fraction * self._full_j
        return self._anchor_ns + round(left_j / self._power_w * NS_PER_S)

    def _anchor(self, t_ns: int) -> None:
        self._anchor_j = self._unlocked_j(t_ns)
        self._anchor_ns = t_ns
        self._power_w = self._base_w + self._steps_per_s * self._step_j + self._extra_w

    def _unlocked_j(self, t_ns: int) -> float:
        """Energy left, locked or not, for as long as the cell gives any."""
        return max(self._locked_j, self._anchor_j - self._power_w * (t_ns - self._anchor_ns) / NS_PER_S)


def _along(xs: tuple[float, ...], ys: tuple[float, ...], x: float) -> float:
    """The broken line through (xs, ys) at `x`, its ends drawn on straight."""
    upper = min(max(bisect_right(xs, x), 1), len(xs) - 1)
    lower = upper - 1
    share = (x - xs[lower]) / (xs[upper] - xs[lower])
    return ys[lower] + share * (ys[upper] - ys[lower])
