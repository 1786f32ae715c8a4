"""How a reservoir empties under its own pressure: what is drawn from it, and what its pressure drives out, closed form.

dV/dt = -(drawn + G·(P(V) - P_out)), with P(V) in straight stretches, so V is an exponential within each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf, log1p

from firmware_mock.physics.propellant import PressureCurve


@dataclass(frozen=True, slots=True)
class _Leg:
    """From `start_s` on: V = corner + x, dx/dt = -(loss + loss_per_s·x)."""

    start_s: float
    start_ul: float
    corner_ul: float
    loss_ul_per_s: float
    loss_per_s: float

    def contents_ul(self, t_s: float) -> float:
        over_s = t_s - self.start_s
        fallen = -expm1(-self.loss_per_s * over_s) / self.loss_per_s if self.loss_per_s else over_s
        above_ul = self.start_ul - self.corner_ul
        return self.corner_ul + (above_ul * exp(-self.loss_per_s * over_s) - self.loss_ul_per_s * fallen)

    def takes_s(self, contents_ul: float) -> float:
        """Time from the leg's start to contents that lie in its direction; infinite where it stops short of them."""
        start_ul_per_s = self.loss_ul_per_s + self.loss_per_s * (self.start_ul - self.corner_ul)
        end_ul_per_s = self.loss_ul_per_s + self.loss_per_s * (contents_ul - self.corner_ul)
        change_ul = self.start_ul - contents_ul
        if change_ul == 0.0:
            return 0.0
        if start_ul_per_s * end_ul_per_s <= 0.0 or change_ul * start_ul_per_s < 0.0:
            return inf
        ratio = self.loss_per_s * change_ul / end_ul_per_s
        return log1p(ratio) / self.loss_per_s if ratio else change_ul / start_ul_per_s


class Emptying:
    """Contents from an instant on, in seconds from it, at one temperature, one barometer and one outlet pressure.

    `drawn_ul_per_s` is what the pump takes, `conductance_ul_per_s_per_hpa` what the pressure drives past it, or
    through the capillary or the open valves of a pump without rotor. Once empty, nothing more comes.
    """

    def __init__(
        self,
        curve: PressureCurve,
        contents_ul: float,
        *,
        drawn_ul_per_s: float,
        conductance_ul_per_s_per_hpa: float,
        outlet_hpa: float,
    ) -> None:
        self._start_ul = contents_ul
        self._legs: list[_Leg] = []
        start_s, index = 0.0, curve.index(contents_ul)
        while start_s < inf:
            stretch = curve.stretches[index]
            leg = _Leg(
                start_s,
                contents_ul,
                stretch.start_ul,
                drawn_ul_per_s + conductance_ul_per_s_per_hpa * (stretch.start_hpa - outlet_hpa),
                conductance_ul_per_s_per_hpa * stretch.hpa_per_ul,
            )
            loss_ul_per_s = leg.loss_ul_per_s + leg.loss_per_s * (contents_ul - stretch.start_ul)
            if loss_ul_per_s > 0.0 and contents_ul == stretch.start_ul and index > 0:
                index -= 1
                continue
            if loss_ul_per_s > 0.0 and contents_ul <= 0.0:
                leg = _Leg(start_s, 0.0, 0.0, 0.0, 0.0)
                loss_ul_per_s = 0.0
            self._legs.append(leg)
            if loss_ul_per_s == 0.0:
                break
            contents_ul = stretch.start_ul if loss_ul_per_s > 0.0 else stretch.end_ul
            start_s = start_s + leg.takes_s(contents_ul) if contents_ul < inf else inf
            index = index if loss_ul_per_s > 0.0 else index + 1

    def contents_ul(self, t_s: float) -> float:
        """What is left after so many seconds."""
        return self._leg(t_s).contents_ul(t_s)

    def left_ul(self, t_s: float) -> float:
        """What left the reservoir in so many seconds; negative where it was driven back in."""
        return self._start_ul - self.contents_ul(t_s)

    def reaches_s(self, contents_ul: float) -> float | None:
        """When the contents are first so much; None for never."""
        for leg, after in zip(self._legs, [*self._legs[1:], None], strict=True):
            end_s = inf if after is None else after.start_s
            start_s = leg.start_s + leg.takes_s(contents_ul)
            if start_s <= end_s and start_s < inf:
                return start_s
        return None

    def _leg(self, t_s: float) -> _Leg:
        return [leg for leg in self._legs if leg.start_s <= t_s][-1]
