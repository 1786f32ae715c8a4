"""Pump model profiles: the figures of a model, each with its source and how far it can be trusted.

`profile_figures` lists the figures. All faults of a file are reported at once, with file, key and cure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar, overload

from protocol.errors import ProfileError
from protocol.profile_faults import Checked, check
from protocol.profile_figures import (
    Body,
    Cells,
    ConstantFlow,
    Figure,
    Magnet,
    Metering,
    OcclusionSensor,
    Peristaltic,
    PowerSource,
    Programming,
    ServiceLife,
    Sounder,
    Supply,
    ValveGated,
)

__all__ = [
    "Body",
    "Cells",
    "ConstantFlow",
    "Figure",
    "Magnet",
    "Metering",
    "ModelProfile",
    "OcclusionSensor",
    "Peristaltic",
    "PowerSource",
    "Programming",
    "ServiceLife",
    "Sounder",
    "Supply",
    "ValveGated",
    "load_model",
    "model_names",
]

T = TypeVar("T")


class _Of(Generic[T]):
    """A figure of one of the profile's groups, as an attribute of the profile itself."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._key = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = name

    @overload
    def __get__(self, profile: None, owner: type) -> Self: ...

    @overload
    def __get__(self, profile: ModelProfile, owner: type) -> T: ...

    def __get__(self, profile: ModelProfile | None, owner: type) -> Self | T:
        if profile is None:
            return self
        value: T | None = getattr(getattr(profile, self._group), self._key, None)
        if value is None:
            raise ProfileError(f"pump model {profile.name} has no {self._key}: {profile.described()}")
        return value


@dataclass(frozen=True)
class ModelProfile:
    """A pump model: its groups of figures, None where it has no such thing; `figures` holds the sources by key.

    `accuracy_claim` says whether `accuracy_limit_pct` is meant for each unit, or for a share of a population, which no
    single unit can be held against. What all programmable pumps with a rotor have is also an attribute of the profile;
    on another kind of pump it raises ProfileError.
    """

    name: str
    title: str
    kind: Literal["implantable", "external", "bench"]
    metering: Metering
    power: PowerSource
    accuracy_claim: Literal["unit", "population"]
    body: Body
    head: Peristaltic | ValveGated | ConstantFlow
    programming: Programming | None
    sounder: Sounder | None
    cells: Cells | None
    service_life: ServiceLife | None
    supply: Supply | None
    occlusion_sensor: OcclusionSensor | None
    figures: Mapping[str, Figure]

    accuracy_limit_pct = _Of[float]("body")
    reservoir_volume_ul = _Of[float]("body")
    tubing_volume_ul = _Of[float]("body")
    catheter_ul_per_cm = _Of[float]("body")
    head_temperature_c = _Of[float]("body")
    step_volume_nl = _Of[float]("head")
    steps_per_revolution = _Of[int]("head")
    rollers = _Of[int]("head")
    stall_check_s = _Of[float]("head")
    minimum_rate_ul_per_h = _Of[float]("programming")
    rate_min_ul_per_h = _Of[float]("programming")
    rate_max_ul_per_h = _Of[float]("programming")
    reservoir_alarm_ul = _Of[float]("programming")
    reserved_steps = _Of[int]("programming")
    calibration_span_pct = _Of[float]("programming")
    bolus_max_ul = _Of[float]("programming")
    bolus_rate_ul_per_h = _Of[float]("programming")
    stopped_alarm_h = _Of[float]("programming")
    self_test_interval_h = _Of[float]("programming")
    telemetry_return_min = _Of[float]("programming")
    infusion_check_s = _Of[float]("programming")
    battery_energy_j = _Of[float]("cells")
    battery_base_power_uw = _Of[float]("cells")
    battery_step_energy_uj = _Of[float]("cells")
    battery_spent_pct = _Of[float]("cells")

    def described(self) -> str:
        """What kind of pump it is, in a few words."""
        return f"its metering is {self.metering}, its power {self.power}"


def model_names() -> list[str]:
    """Names of the shipped models."""
    entries = resources.files("hw_configs").joinpath("models").iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def load_model(name_or_path: str | Path) -> ModelProfile:
    """The profile of a pump model, by the name of a shipped file in hw_configs/models, or by a path to a .toml file.

    Raises:
        ProfileError: there is no such file, or it is not a complete and consistent profile.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        return _read(Path(name_or_path))
    known = model_names()
    if name_or_path not in known:
        raise ProfileError(f"pump model {name_or_path!r} is unknown; known: {', '.join(known)}; or give a .toml path")
    file = resources.files("hw_configs").joinpath("models").joinpath(f"{name_or_path}.toml")
    profile = _read(file)
    if profile.name != name_or_path:
        raise ProfileError(f"{file}: name is {profile.name!r}; it must be {name_or_path!r}, as the file is called")
    return profile


def _read(file: Path | Traversable) -> ModelProfile:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"{file}: is not TOML: {error}") from None
    checked = check(raw)
    if checked.faults:
        lines = [f"{key}: {sentence}" for key, sentence in checked.faults.items()]
        if len(lines) == 1:
            raise ProfileError(f"{file}: {lines[0]}")
        raise ProfileError("\n  ".join([f"{file}: {len(lines)} faults", *lines]))
    return _profile(checked)


def _profile(checked: Checked) -> ModelProfile:
    groups: dict[str, Any] = dict.fromkeys(
        ("programming", "sounder", "cells", "service_life", "supply", "occlusion_sensor")
    )
    return ModelProfile(**checked.labels.model_dump(), **{**groups, **checked.groups}, figures=checked.figures)
