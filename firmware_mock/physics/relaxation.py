"""Exact answer of a first-order store to a flow made of exponentials: the closed form under the line's segments."""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from math import exp, expm1, fsum


class Relaxation:
    """A store S with S(0) given and dS/dt = drive(t) - relaxation·S, of which `outlet`·S leaves at the far end.

    The drive is constant + Σ c·exp(λ t) + Re Σ C·exp(Λ t), in mg/s; `relaxation_per_s` ≥ `outlet_per_s` ≥ 0, their
    difference being what the pump itself holds back. All times are seconds from the start; nothing is stepped.
    """

    __slots__ = ("_constant", "_decays", "_outlet_per_s", "_relaxation_per_s", "_start_mg", "_waves")

    def __init__(
        self,
        start_mg: float,
        constant_mg_per_s: float,
        decays: Sequence[tuple[float, float]] = (),
        waves: Sequence[tuple[complex, complex]] = (),
        *,
        relaxation_per_s: float,
        outlet_per_s: float,
    ) -> None:
        self._start_mg = start_mg
        self._constant = constant_mg_per_s
        self._decays = tuple(decays)
        self._relaxation_per_s = relaxation_per_s
        self._outlet_per_s = outlet_per_s
        self._waves = tuple(
            (frequency, amplitude / frequency, amplitude / (frequency + relaxation_per_s))
            for amplitude, frequency in waves
        )

    def stored_mg(self, t_s: float) -> float:
        """S at an instant, in mg."""
        return self._solve(t_s)[1]

    def out_mg(self, t_s: float) -> float:
        """What left at the far end since the start, in mg."""
        return self.both_mg(t_s)[0]

    def both_mg(self, t_s: float) -> tuple[float, float]:
        """`out_mg` and `stored_mg`; what entered is their sum less the store at the start."""
        driven, stored = self._solve(t_s)
        if self._outlet_per_s == 0.0:
            return 0.0, stored
        change = stored - self._start_mg
        return (driven - change) * (self._outlet_per_s / self._relaxation_per_s), stored

    def entered_mg(self, t_s: float) -> float:
        """What entered from the pump since the start, in mg."""
        return self.through_mg(t_s)[0]

    def through_mg(self, t_s: float) -> tuple[float, float]:
        """`entered_mg` and `out_mg`, for the price of one."""
        out, stored = self.both_mg(t_s)
        return out + (stored - self._start_mg), out

    def _solve(self, t_s: float) -> tuple[float, float]:
        """Integral of the drive, and the store."""
        r = self._relaxation_per_s
        decay = exp(-r * t_s)
        driven = [self._constant * t_s]
        stored = [self._start_mg * decay, self._constant * _ramp(r, t_s)]
        for amplitude, growth in self._decays:
            driven.append(amplitude * _ramp(-growth, t_s))
            stored.append(amplitude * _convolved(growth, r, t_s))
        for frequency, over_frequency, over_response in self._waves:
            turned = cmath.exp(frequency * t_s)
            driven.append((over_frequency * (turned - 1.0)).real)
            stored.append((over_response * (turned - decay)).real)
        return fsum(driven), fsum(stored)


def _ramp(rate: float, t_s: float) -> float:
    """∫ exp(-rate·u) du from 0 to t."""
    return -expm1(-rate * t_s) / rate if rate else t_s


def _convolved(growth: float, relaxation: float, t_s: float) -> float:
    """∫ exp(growth·u) exp(-relaxation·(t-u)) du from 0 to t, also where the two rates nearly cancel."""
    gap = growth + relaxation
    if abs(gap * t_s) < 1.0:
        return exp(-relaxation * t_s) * (expm1(gap * t_s) / gap if gap else t_s)
    return (exp(growth * t_s) - exp(-relaxation * t_s)) / gap
