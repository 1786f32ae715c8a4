"""What is wrong with a profile's file: every fault by its key, with the cure, none hiding another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.profile_figures import (
    Body,
    Cells,
    ConstantFlow,
    Figure,
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

Text = Annotated[str, Field(min_length=1)]


class Labels(BaseModel):
    """What a profile says in words; they choose its groups of figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    title: Text
    kind: Literal["implantable", "external", "bench"]
    metering: Metering
    power: PowerSource
    accuracy_claim: Literal["unit", "population"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A file's contents. `labels` and `groups` are complete where there are no `faults`."""

    labels: Labels
    groups: Mapping[str, BaseModel]
    figures: Mapping[str, Figure]
    faults: Mapping[str, str]


_HEADS: dict[Metering, type[BaseModel]] = {
    Metering.PERISTALTIC: Peristaltic,
    Metering.VALVE_GATED: ValveGated,
    Metering.CONSTANT_FLOW: ConstantFlow,
}
_OTHERS: tuple[type[BaseModel], ...] = (Body, Programming, Sounder, Cells, ServiceLife, Supply, OcclusionSensor)
_GROUPS: tuple[type[BaseModel], ...] = (*_HEADS.values(), *_OTHERS)
_LABELS = tuple(Labels.model_fields)
_WORDS = ("magnet",)
_KEYS = (*_LABELS, *(key for group in _GROUPS for key in group.model_fields))
_FIGURES = tuple(key for key in _KEYS if key not in (*_LABELS, *_WORDS))


def check(raw: Mapping[str, Any]) -> Checked:
    """Hold the contents of a file against what a profile must have, and its figures against each other."""
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
        elif key in _KEYS:
            values[key] = entry
        else:
            faults[key] = _unknown_key(key, _KEYS)
    try:
        labels = Labels.model_validate({key: values[key] for key in _LABELS if key in values})
    except ValidationError as error:
        labels = Labels.model_construct()
        faults.update(_group_faults(error, raw))
        chosen = {group.__name__: group for group in _GROUPS}
    else:
        chosen = _chosen(labels, raw)
        known = {key for group in chosen.values() for key in group.model_fields}
        for key in raw:
            if key in _KEYS and key not in _LABELS and key not in known:
                faults[key] = f"is no figure of such a pump: {_described(labels)}; remove it, or correct that"
    are_wanted = chosen if labels.model_fields_set else {"Body"}
    groups: dict[str, BaseModel] = {}
    for name, group in chosen.items():
        try:
            groups[name] = group.model_validate({key: values[key] for key in group.model_fields if key in values})
        except ValidationError as error:
            for key, sentence in _group_faults(error, raw):
                if name in are_wanted or key.split(".")[0] in raw:
                    faults.setdefault(key, sentence)
    faulty = {fault.split(".")[0] for fault in faults}
    faults.update(_contradictions({key: value for key, value in values.items() if key not in faulty}))
    return Checked(labels, groups, figures, faults)


def _chosen(labels: Labels, raw: Mapping[str, Any]) -> dict[str, type[BaseModel]]:
    """The groups that a pump has, by attribute of its profile."""
    groups: dict[str, type[BaseModel]] = {"body": Body, "head": _HEADS[labels.metering]}
    if labels.metering is not Metering.CONSTANT_FLOW:
        groups["programming"] = Programming
        if labels.kind != "bench":
            groups["sounder"] = Sounder
    if labels.power in (PowerSource.SEALED_CELL, PowerSource.REPLACEABLE_CELLS):
        groups["cells"] = Cells
    if labels.power is PowerSource.SEALED_CELL:
        groups["service_life"] = ServiceLife
    if labels.power is PowerSource.SUPPLY:
        groups["supply"] = Supply
    if labels.kind != "implantable" and any(key in raw for key in OcclusionSensor.model_fields):
        groups["occlusion_sensor"] = OcclusionSensor
    return groups


def _described(labels: Labels) -> str:
    return f'kind is "{labels.kind}", metering "{labels.metering}", power "{labels.power}"'


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


def _group_faults(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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
    ("patient_bolus_max_ul", "bolus_max_ul"),
)
_BELOW = (
    ("rate_min_ul_per_h", "rate_max_ul_per_h"),
    ("reservoir_alarm_ul", "reservoir_volume_ul"),
    ("tubing_volume_ul", "reservoir_volume_ul"),
    ("rollers", "steps_per_revolution"),
)
_DAYS_PER_YEAR = 365.25
_S_PER_DAY = 86_400.0
_US_PER_H = 3_600_000_000


def _contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Figures that are each in order and contradict each other."""
    for smaller, larger in _BELOW:
        if smaller in values and larger in values and not values[smaller] < values[larger]:
            yield f"{smaller}.value", f"is {values[smaller]}; it must be below {larger}, which is {values[larger]}"
    for smaller, larger in _AT_MOST:
        if smaller in values and larger in values and not values[smaller] <= values[larger]:
            yield f"{smaller}.value", f"is {values[smaller]}; it must be at most {larger}, which is {values[larger]}"
    yield from _too_long(values)
    yield from _too_fast(values)
    if values.get("metering") == Metering.CONSTANT_FLOW and values.get("power") not in (None, PowerSource.NONE):
        yield "power", f'is {values["power"]!r}; a constant-flow pump needs none: write power = "none"'
    if values.get("power") == PowerSource.NONE and values.get("metering") not in (None, Metering.CONSTANT_FLOW):
        yield "power", "is 'none'; a pump that is programmed needs power: name its source"


def _too_long(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Times that do not fit into each other."""
    match values:
        case {"patient_boluses_per_day_max": most, "patient_lockout_min_s": lockout_s} if (
            most * lockout_s > _S_PER_DAY + lockout_s
        ):
            fit = int(_S_PER_DAY // lockout_s) + 1
            yield (
                "patient_boluses_per_day_max.value",
                f"is {most}; with patient_lockout_min_s, which is {lockout_s}, a day holds at most {fit}",
            )
    match values:
        case {"end_of_service_after_eri_days": days, "life_cap_years": years} if days >= years * _DAYS_PER_YEAR:
            yield (
                "end_of_service_after_eri_days.value",
                f"is {days}; it must be below life_cap_years, which is {years}",
            )


def _too_fast(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A highest rate that the head cannot make."""
    match values:
        case {"rate_max_ul_per_h": rate, "step_volume_nl": step_nl} if rate > step_nl * 1e-3 * _US_PER_H:
            yield (
                "rate_max_ul_per_h.value",
                f"is {rate}; with step_volume_nl, which is {step_nl}, it needs a step more often than every 1 us",
            )
    match values:
        case {"rate_max_ul_per_h": rate, "shot_volume_nl": shot_nl, "shortest_shot_interval_s": interval_s} if rate > (
            most := shot_nl * 3.6 / interval_s
        ):
            yield (
                "rate_max_ul_per_h.value",
                f"is {rate}; a shot of {shot_nl} nL every {interval_s} s comes to at most {most:g}",
            )
