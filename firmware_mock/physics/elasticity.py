"""What a line holds at rest and under pressure: swelling walls, trapped liquid that expands, a bubble of air."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

BUBBLE_REFERENCE_HPA = 1013.25
SMALLEST_SECANT_HPA = 1e-3


class Elasticity:
    """Volumes in µL, gauge pressures in hPa; `rest_hpa` is the absolute pressure in a line without build-up."""

    def __init__(self, compliance_ul_per_hpa: float, bubble_ul: float) -> None:
        self._compliance = compliance_ul_per_hpa
        self._bubble_ul_hpa = bubble_ul * BUBBLE_REFERENCE_HPA

    def bubble_ul(self, rest_hpa: float) -> float:
        """Volume of the bubble without build-up (Boyle)."""
        return self._bubble_ul_hpa / rest_hpa

    def build_up_hpa(self, pressurised_ul: float, rest_hpa: float) -> float:
        """Pressure P at which swelling C·P and bubble V₀P₀·(1/rest - 1/(rest + P)) together hold a volume."""
        if not self._bubble_ul_hpa:
            return pressurised_ul / self._compliance
        linear = pressurised_ul + self._compliance * rest_hpa - self._bubble_ul_hpa / rest_hpa
        root = sqrt(linear * linear + 4.0 * self._compliance * self._bubble_ul_hpa)
        if linear < 0.0:
            return 2.0 * self._bubble_ul_hpa / (root - linear) - rest_hpa
        return (linear + root) / (2.0 * self._compliance) - rest_hpa

    def secant_ul_per_hpa(self, pressurised_ul: float, rest_hpa: float) -> float:
        """Volume held per pressure; the tangent where there is hardly any pressure."""
        if not self._bubble_ul_hpa:
            return self._compliance
        build_up_hpa = self.build_up_hpa(pressurised_ul, rest_hpa)
        if abs(build_up_hpa) > SMALLEST_SECANT_HPA:
            return pressurised_ul / build_up_hpa
        return self._compliance + self._bubble_ul_hpa / rest_hpa**2


class TrappedLiquid:
    """Liquid in the tubing at room temperature: what it has no room for as both expand.

    `volume_ul` and `wall_expansion_per_k` hold at `reference_c`.
    """

    def __init__(
        self,
        volume_ul: float,
        wall_expansion_per_k: float,
        reference_c: float,
        density_mg_per_ul: Callable[[float], float],
    ) -> None:
        self._volume_ul = volume_ul
        self._wall_expansion_per_k = wall_expansion_per_k
        self._reference_c = reference_c
        self._density_mg_per_ul = density_mg_per_ul
        self._reference_mg = volume_ul * density_mg_per_ul(reference_c)

    def displaced_mg(self, temperature_c: float) -> float:
        """Mass pushed out since the reference temperature; negative when it draws in."""
        wall = 1.0 + self._wall_expansion_per_k * (temperature_c - self._reference_c)
        return self._reference_mg - self._volume_ul * wall * self._density_mg_per_ul(temperature_c)
