"""Scenario tables `[implant]`, `[reservoir]` and `[catheter]`: what a pump in a body is, and what stands behind it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from firmware_mock.physics.catheter import Condition, column_hpa
from firmware_mock.physics.propellant import Bellows, PressureCurve, Propellant
from firmware_mock.scenario import ScenarioError

MOST_DAYS = 36_525.0
_UL_PER_ML = 1000.0
_LIQUOR_KG_PER_M3 = 1000.0
_FIRST_DAY = datetime.date(2026, 11, 21)


@dataclass(frozen=True, slots=True)
class ImplantFacts:
    """`model` is a pump of hw_configs/models, `days` how long the scenario plays, `date` the day it begins on, at 0
    UTC."""

    model: str = "implantable-20ml"
    days: float = 30.0
    date: datetime.date = field(default=_FIRST_DAY)

    def __post_init__(self) -> None:
        if not 0.0 < self.days <= MOST_DAYS:
            raise ScenarioError(
                f"[implant] days = {self.days} must be above 0 and at most {MOST_DAYS:g}, a hundred years"
            )
        if not isinstance(self.date, datetime.date) or isinstance(self.date, datetime.datetime):
            raise ScenarioError(f"[implant] date = {self.date!r} must be a day, such as 2026-11-21")

    @property
    def starts_utc_s(self) -> int:
        """Midnight UTC of that day, in seconds since 1970-01-01."""
        day = datetime.datetime(self.date.year, self.date.month, self.date.day, tzinfo=datetime.UTC)
        return int(day.timestamp())


@dataclass(frozen=True, slots=True)
class ReservoirFacts:
    """`concentration_ug_per_ml` is that of the drug in reservoir, tubing and catheter at first.

    With `propellant`, the pressure is that of a liquid propellant around bellows (`PressureCurve`) instead of the
    constant one of `[pump]`; the defaults are a design: about 0.35 bar over the atmosphere at body temperature.
    """

    concentration_ug_per_ml: float = 0.0
    propellant: bool = False
    vapour_hpa: float = 1360.0
    vapour_at_c: float = 37.0
    enthalpy_k: float = 3400.0
    atmosphere_hpa: float = 1013.25
    slack_pct: float = 2.0
    spring_hpa_per_ml: float = 2.0
    stop_hpa_per_ml: float = 400.0

    def __post_init__(self) -> None:
        for key in ("concentration_ug_per_ml", "spring_hpa_per_ml"):
            if getattr(self, key) < 0.0:
                raise ScenarioError(f"[reservoir] {key} = {getattr(self, key)} must be at least 0")
        for key in ("vapour_hpa", "enthalpy_k", "atmosphere_hpa"):
            if getattr(self, key) <= 0.0:
                raise ScenarioError(f"[reservoir] {key} = {getattr(self, key)} must be above 0")
        if not 0.0 < self.slack_pct < 100.0:
            raise ScenarioError(f"[reservoir] slack_pct = {self.slack_pct} must be above 0 and below 100")
        if not self.spring_hpa_per_ml < self.stop_hpa_per_ml:
            raise ScenarioError(f"[reservoir] stop_hpa_per_ml = {self.stop_hpa_per_ml} must be above spring_hpa_per_ml")

    def curve(self, volume_ul: float, temperature_c: float) -> PressureCurve | None:
        """Pressure against contents of a reservoir made for a volume; None for the constant one of `[pump]`."""
        if not self.propellant:
            return None
        bellows = Bellows(
            volume_ul * self.slack_pct / 100.0,
            volume_ul,
            self.spring_hpa_per_ml / _UL_PER_ML,
            self.stop_hpa_per_ml / _UL_PER_ML,
        )
        propellant = Propellant(self.vapour_hpa, self.vapour_at_c, self.enthalpy_k)
        return PressureCurve(propellant, bellows, temperature_c=temperature_c, atmosphere_hpa=self.atmosphere_hpa)


@dataclass(frozen=True, slots=True)
class CatheterFacts:
    """`tip_height_mm` over the pump, `liquor_hpa` what the tip opens into.

    Defaults are a design: a silicone tube of 0.53 mm bore, which the model's 2.2 µL/cm are, resists by Poiseuille with
    3 hPa·s/µL over 80 cm, and swells a little.
    """

    length_cm: float = 80.0
    compliance_ul_per_hpa: float = 0.02
    resistance_hpa_s_per_ul: float = 3.0
    tip_height_mm: float = 0.0
    liquor_hpa: float = 12.0

    def __post_init__(self) -> None:
        for key in ("length_cm", "compliance_ul_per_hpa", "resistance_hpa_s_per_ul"):
            if getattr(self, key) <= 0.0:
                raise ScenarioError(f"[catheter] {key} = {getattr(self, key)} must be above 0")

    def healthy(self) -> Condition:
        """The catheter as it was put in."""
        return Condition(
            self.compliance_ul_per_hpa, self.resistance_hpa_s_per_ul, tip_pressure_hpa=self.tip_hpa(self.tip_height_mm)
        )

    def tip_hpa(self, height_mm: float) -> float:
        """What a tip so high over the pump works against."""
        return self.liquor_hpa + column_hpa(height_mm, _LIQUOR_KG_PER_M3)
