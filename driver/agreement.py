"""Whether a pump's proposal is what was asked for: its canonical values against the wanted ones, field by field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from driver.errors import ProposalMismatch
from protocol import (
    DecodeError,
    Proposable,
    Proposal,
    ProposeBolus,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePrime,
    decode_payload,
    proposal_digest,
)

RATE_TOLERANCE = 1e-3
VOLUME_TOLERANCE = 5e-3
STEP_VOLUME_TOLERANCE = 1e-6

_TOLERANCES = {
    "rate_ul_per_h": RATE_TOLERANCE,
    "bridge_rate_ul_per_h": RATE_TOLERANCE,
    "volume_ul": VOLUME_TOLERANCE,
    "window_limit_ul": VOLUME_TOLERANCE,
    "step_volume_nl": STEP_VOLUME_TOLERANCE,
}
_DEVICES_OWN = {
    ProposeBolus: {"rate_ul_per_h"},
    ProposePrime: {"rate_ul_per_h"},
    ProposeMinimumRate: {"rate_ul_per_h"},
    ProposePatientBolus: {"volume_ul", "rate_ul_per_h"},
}
_STEPS = "steps"


def agreed(port: str, asked: Proposable, proposal: Proposal) -> Proposable:
    """The canonical values, if they are those asked for: exactly, volumes, rates and step volumes within a tolerance.

    0 stands for the device's own value where the message says so.

    Raises:
        ProposalMismatch: they are not, or the proposal is damaged or for another command.
    """
    try:
        canonical = decode_payload(asked.TYPE, proposal.canonical)
    except DecodeError as error:
        raise ProposalMismatch(port, f"the pump's proposal cannot be read ({error}); nothing was dosed") from error
    assert isinstance(canonical, type(asked))
    if (proposal.command_id, canonical.command_id) != (asked.command_id, asked.command_id):
        raise ProposalMismatch(port, f"the pump's proposal is for command {canonical.command_id}; nothing was dosed")
    if proposal.token == 0:
        raise ProposalMismatch(port, "the pump's proposal has token 0, which stands for none; nothing was dosed")
    if proposal.digest != proposal_digest(canonical):
        raise ProposalMismatch(port, "the pump's proposal does not match its own digest; nothing was dosed")
    difference = _difference(values_of(asked), values_of(canonical), _DEVICES_OWN.get(type(asked), set()))
    if difference:
        raise ProposalMismatch(port, f"{difference}; nothing was dosed")
    return canonical


def values_of(message: Proposable) -> dict[str, Any]:
    """The values of a proposal by field name, without its id: numbers, and the steps as a list of dicts of numbers."""
    values: dict[str, Any] = msgspec.to_builtins(message)
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name != "command_id"
    }


def described(values: Mapping[str, Any]) -> str:
    """Values in one line for people; steps are counted."""
    return ", ".join(
        f"{len(value)} {name}" if isinstance(value, list) else f"{name} {_number(value)}"
        for name, value in values.items()
    )


def _difference(asked: Mapping[str, Any], offered: Mapping[str, Any], devices_own: set[str]) -> str:
    """The first value that is not agreed, as a sentence; empty if there is none."""
    for name, wanted in asked.items():
        if name == _STEPS:
            if difference := _step_difference(wanted, offered[name]):
                return difference
        elif not _is_agreed(name, wanted, offered[name], name in devices_own):
            return _sentence(name, wanted, offered[name])
    return ""


def _step_difference(asked: list[dict[str, Any]], offered: list[dict[str, Any]]) -> str:
    if len(asked) != len(offered):
        return f"{len(asked)} steps were asked for and the pump would use {len(offered)}"
    for number, (wanted, step) in enumerate(zip(asked, offered, strict=True), start=1):
        if difference := _difference(wanted, step, set()):
            return f"step {number}: {difference}"
    return ""


def _is_agreed(name: str, wanted: float, offered: float, is_devices_own: bool) -> bool:
    if wanted == 0 and is_devices_own:
        return math.isfinite(offered) and offered > 0.0
    if name not in _TOLERANCES:
        return wanted == offered
    return math.isclose(offered, wanted, rel_tol=_TOLERANCES[name], abs_tol=0.0)


def _sentence(name: str, wanted: float, offered: float) -> str:
    said = f"{name} {_number(wanted)} was asked for and the pump would use {_number(offered)}"
    if name in _TOLERANCES:
        return f"{said}, further off than the {_TOLERANCES[name]:g} (relative) that is let pass"
    return f"{said}, which must be the same"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.10g}"
