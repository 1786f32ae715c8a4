"""The pressure of an implanted reservoir: a propellant in two phases around bellows, with a stop at either end.

While some of the propellant is liquid, its pressure depends on temperature alone; the bellows add a spring's. Gauge
pressures in hPa, contents in µL.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp

KELVIN = 273.15


@dataclass(frozen=True, slots=True)
class Propellant:
    """Absolute vapour pressure at a temperature, and how steeply it rises: enthalpy of vaporisation over R, in K."""

    vapour_hpa: float
    reference_c: float
    enthalpy_k: float

    def absolute_hpa(self, temperature_c: float) -> float:
        """Vapour pressure by Clausius and Clapeyron."""
        warmer_per_k = 1.0 / (self.reference_c + KELVIN) - 1.0 / (temperature_c + KELVIN)
        return self.vapour_hpa * exp(self.enthalpy_k * warmer_per_k)


@dataclass(frozen=True, slots=True)
class Bellows:
    """The spring around the reservoir: it pulls nothing when empty, `spring_hpa_per_ul` from there on.

    Below `slack_ul` the bellows stand on their lower stop and press on nothing: the pressure falls to 0 with what is
    left. Above `full_ul` they stand on the upper one, and each µL more raises it by `stop_hpa_per_ul`.
    """

    slack_ul: float
    full_ul: float
    spring_hpa_per_ul: float
    stop_hpa_per_ul: float

    def __post_init__(self) -> None:
        if not 0.0 < self.slack_ul < self.full_ul:
            raise ValueError(f"slack_ul = {self.slack_ul} must be above 0 and below full_ul = {self.full_ul}")
        if not 0.0 <= self.spring_hpa_per_ul < self.stop_hpa_per_ul:
            raise ValueError(
                f"spring_hpa_per_ul = {self.spring_hpa_per_ul} must be at least 0 and below "
                f"stop_hpa_per_ul = {self.stop_hpa_per_ul}"
            )


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of contents over which pressure is a straight line; `end_ul` is infinite for the last one."""

    start_ul: float
    end_ul: float
    start_hpa: float
    hpa_per_ul: float


class PressureCurve:
    """Gauge pressure against contents, in straight stretches, at one temperature and one barometer."""

    def __init__(
        self, propellant: Propellant, bellows: Bellows, *, temperature_c: float, atmosphere_hpa: float
    ) -> None:
        driving_hpa = propellant.absolute_hpa(temperature_c) - atmosphere_hpa
        slack_hpa = driving_hpa + bellows.spring_hpa_per_ul * bellows.slack_ul
        full_hpa = driving_hpa + bellows.spring_hpa_per_ul * bellows.full_ul
        self.stretches = (
            Stretch(0.0, bellows.slack_ul, 0.0, slack_hpa / bellows.slack_ul),
            Stretch(bellows.slack_ul, bellows.full_ul, slack_hpa, bellows.spring_hpa_per_ul),
            Stretch(bellows.full_ul, float("inf"), full_hpa, bellows.stop_hpa_per_ul),
        )

    def index(self, contents_ul: float) -> int:
        """Which stretch contents lie in; at a corner the fuller one."""
        corners = [stretch.start_ul for stretch in self.stretches]
        return max(0, bisect_right(corners, contents_ul) - 1)

    def pressure_hpa(self, contents_ul: float) -> float:
        """Gauge pressure; 0 where there is nothing."""
        stretch = self.stretches[self.index(contents_ul)]
        return stretch.start_hpa + stretch.hpa_per_ul * (max(0.0, contents_ul) - stretch.start_ul)
