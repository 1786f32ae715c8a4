"""The battery: base power plus energy per step, voltage from what is left, and when it will be low."""

from __future__ import annotations

from bisect import bisect_right

from firmware_mock.world import NS_PER_S

LOW_FRACTION = 0.05
_FRACTIONS = (0.0, 0.02, LOW_FRACTION, 0.2, 1.0)
_MILLIVOLTS = (1800.0, 2300.0, 2500.0, 2750.0, 2850.0)


class Battery:
    """Energy bookkeeping of a primary cell; the load is constant between calls of `draw_from`."""

    def __init__(self, energy_j: float, used_pct: float, base_power_uw: float, step_energy_uj: float) -> None:
        self._full_j = energy_j
        self._base_w = base_power_uw * 1e-6
        self._step_j = step_energy_uj * 1e-6
        self._anchor_j = energy_j * (1.0 - used_pct / 100.0)
        self._anchor_ns = 0
        self._power_w = self._base_w

    def draw_from(self, t_ns: int, steps_per_s: float) -> None:
        """From this instant on the motor makes so many steps a second."""
        self._anchor_j = self.energy_j(t_ns)
        self._anchor_ns = t_ns
        self._power_w = self._base_w + steps_per_s * self._step_j

    def energy_j(self, t_ns: int) -> float:
        """Energy left, in J, never below 0."""
        return max(0.0, self._anchor_j - self._power_w * (t_ns - self._anchor_ns) / NS_PER_S)

    def used_j(self, t_ns: int) -> float:
        """Energy drawn from a full cell, in J."""
        return self._full_j - self.energy_j(t_ns)

    def millivolts(self, t_ns: int) -> int:
        """Terminal voltage in mV: a design curve, flat until the last fifth."""
        fraction = self.energy_j(t_ns) / self._full_j
        upper = min(max(bisect_right(_FRACTIONS, fraction), 1), len(_FRACTIONS) - 1)
        lower = upper - 1
        share = (fraction - _FRACTIONS[lower]) / (_FRACTIONS[upper] - _FRACTIONS[lower])
        return round(_MILLIVOLTS[lower] + share * (_MILLIVOLTS[upper] - _MILLIVOLTS[lower]))

    def is_low(self, t_ns: int) -> bool:
        """Whether no more than a twentieth of the energy is left."""
        return t_ns >= self.reaches_ns(LOW_FRACTION)

    def reaches_ns(self, fraction: float) -> int:
        """When the energy is down to a fraction of a full cell if the load stays as it is."""
        return self._anchor_ns + round((self._anchor_j - fraction * self._full_j) / self._power_w * NS_PER_S)
