"""Dose arithmetic of a drug pump: what a dose comes to as a rate, and what tubing and catheter hold back.

Volumes in µL, rates in µL/h, concentrations in µg/mL, doses in µg; times in the unit of their name.
"""

from __future__ import annotations

from dataclasses import dataclass

HOURS_PER_DAY = 24.0
UL_PER_ML = 1000.0


def rate_ul_per_h(dose_ug_per_day: float, concentration_ug_per_ml: float) -> float:
    """The rate that gives a dose a day."""
    return dose_ug_per_day / concentration_ug_per_ml * UL_PER_ML / HOURS_PER_DAY


def way_ul(tubing_volume_ul: float, catheter_cm: float, catheter_ul_per_cm: float) -> float:
    """What tubing and catheter hold: the priming volume."""
    return tubing_volume_ul + catheter_cm * catheter_ul_per_cm


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge bolus: `volume_ul` of the old drug at its old rate; `entered_ug` is how a programmer that knows only the
    new concentration has to be told.
    """

    volume_ul: float
    rate_ul_per_h: float
    hours: float
    entered_ug: float


def bridge(way_ul: float, *, old_ug_per_ml: float, new_ug_per_ml: float, old_ug_per_day: float) -> Bridge:
    """The bridge from one concentration to another through tubing and catheter full of the old one."""
    rate = rate_ul_per_h(old_ug_per_day, old_ug_per_ml)
    return Bridge(way_ul, rate, way_ul / rate, way_ul * new_ug_per_ml / UL_PER_ML)
