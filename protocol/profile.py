"""Pump model profiles: the figures of a model, each with its source and how far it can be trusted.

`ModelProfile` is the single list of figures. All faults of a file are reported at once, with file, key and cure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.errors import ProfileError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Percentage = Annotated[float, Field(gt=0, lt=100)]
Count = Annotated[int, Field(gt=0)]
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Figure(BaseModel):
    """One figure of a model: its value in the unit of its key, where it is from, and how far to trust that."""

    model_config = _STRICT

    value: float
    source: Annotated[str, Field(min_length=1)]
    confidence: Literal["published", "unconfirmed", "design"]


class ModelProfile(BaseModel):
    """A pump model. The attributes are plain values, units in their names; `figures` holds the sources by name."""

    model_config = _STRICT

    name: Annotated[str, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1)]
    kind: Literal["implantable", "external"]
    minimum_rate_ul_per_h: Positive
    rate_min_ul_per_h: Positive
    rate_max_ul_per_h: Positive
    accuracy_limit_pct: Percentage
    reservoir_volume_ul: Positive
    reservoir_alarm_ul: Positive
    step_volume_nl: Positive
    steps_per_revolution: Count
    reserved_steps: Count
    rollers: Count
    calibration_span_pct: Percentage
    bolus_max_ul: Positive
    bolus_rate_ul_per_h: Positive
    head_temperature_c: Annotated[float, Field(gt=0, lt=60)]
    battery_energy_j: Positive
    battery_base_power_uw: Positive
    battery_step_energy_uj: Positive
    figures: Mapping[str, Figure]


_LABELS = ("name", "title", "kind")
_FIGURES = tuple(key for key in ModelProfile.model_fields if key not in (*_LABELS, "figures"))


def load_model(name_or_path: str | Path) -> ModelProfile:
    """The profile of a pump model, by the name of a shipped file in hw_configs/models, or by a path to a .toml file.

    Raises:
        ProfileError: there is no such file, or it is not a complete and consistent profile.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        return _read(Path(name_or_path))
    folder = resources.files("hw_configs").joinpath("models")
    known = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if name_or_path not in known:
        raise ProfileError(f"pump model {name_or_path!r} is unknown; known: {', '.join(known)}; or give a .toml path")
    file = folder.joinpath(f"{name_or_path}.toml")
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
    profile, faults = _validate(raw)
    if profile is None:
        lines = [f"{key}: {sentence}" for key, sentence in faults.items()]
        if len(lines) == 1:
            raise ProfileError(f"{file}: {lines[0]}")
        raise ProfileError("\n  ".join([f"{file}: {len(lines)} faults", *lines]))
    return profile


def _validate(raw: Mapping[str, Any]) -> tuple[ModelProfile | None, dict[str, str]]:
    """The profile, or None and the faults by key."""
    faults: dict[str, str] = {}
    values: dict[str, Any] = {}
    figures: dict[str, Figure] = {}
    for key, entry in raw.items():
        if key in _FIGURES:
            if isinstance(entry, dict) and "value" in entry:
                values[key] = entry["value"]
            try:
                figures[key] = Figure.model_validate(entry)
            except ValidationError as error:
                faults.update(_figure_faults(key, error))
        elif key in _LABELS:
            values[key] = entry
        else:
            faults[key] = _unknown_key(key, (*_LABELS, *_FIGURES))
    profile = None
    try:
        profile = ModelProfile(**values, figures=figures)
    except ValidationError as error:
        for key, sentence in _profile_faults(error, raw):
            faults.setdefault(key, sentence)
    faulty = {fault.split(".")[0] for fault in faults}
    faults.update(_contradictions({key: value for key, value in values.items() if key not in faulty}))
    return (None if faults else profile), faults


def _figure_faults(key: str, error: ValidationError) -> Iterator[tuple[str, str]]:
    for fault in error.errors():
        if not fault["loc"]:
            yield key, f"is {fault['input']!r}; it must be a table [{key}] with value, source and confidence"
            continue
        part = str(fault["loc"][0])
        match fault["type"]:
            case "missing":
                sentence = "is missing; add it"
            case "extra_forbidden":
                sentence = _unknown_key(part, tuple(Figure.model_fields))
            case _:
                sentence = _wrong_value(fault["input"], fault["msg"])
        yield f"{key}.{part}", sentence


def _profile_faults(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for fault in error.errors():
        key = str(fault["loc"][0])
        if fault["type"] != "missing":
            yield (f"{key}.value" if key in _FIGURES else key), _wrong_value(fault["input"], fault["msg"])
        elif key not in raw:
            table = f" a table [{key}] with value, source and confidence" if key in _FIGURES else " it"
            yield key, f"is missing; add{table}"


def _wrong_value(value: Any, message: str) -> str:
    return f"is {value!r}; {message[:1].lower()}{message[1:]}"


def _unknown_key(key: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"is no known key; {f'did you mean {close[0]}?' if close else 'remove it'}"


_AT_MOST = (
    ("minimum_rate_ul_per_h", "rate_min_ul_per_h"),
    ("bolus_rate_ul_per_h", "rate_max_ul_per_h"),
    ("bolus_max_ul", "reservoir_volume_ul"),
)
_BELOW = (
    ("rate_min_ul_per_h", "rate_max_ul_per_h"),
    ("reservoir_alarm_ul", "reservoir_volume_ul"),
)


def _contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Figures that are each in order and contradict each other."""
    for smaller, larger in _BELOW:
        if smaller in values and larger in values and not values[smaller] < values[larger]:
            yield f"{smaller}.value", f"is {values[smaller]}; it must be below {larger}, which is {values[larger]}"
    for smaller, larger in _AT_MOST:
        if smaller in values and larger in values and not values[smaller] <= values[larger]:
            yield f"{smaller}.value", f"is {values[smaller]}; it must be at most {larger}, which is {values[larger]}"
