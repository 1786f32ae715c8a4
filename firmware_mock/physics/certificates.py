"""Certificate errors: what a rig file states about its instruments, and the true errors that one seed draws from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_mock.world import World


class RigFactMissing(ValueError):
    """The rig file does not state something that the simulation needs."""


def rig_number(rig: Mapping[str, Any], *path: str) -> float:
    """A number of the rig file by its path of keys, in the unit that the last key names.

    Raises:
        RigFactMissing: the key is absent, or is not a number.
    """
    value = _look_up(rig, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RigFactMissing(f"rig file: {_dotted(path)} is {value!r}; the simulation needs a number there")
    return float(value)


def rig_text(rig: Mapping[str, Any], *path: str) -> str:
    """A text of the rig file by its path of keys.

    Raises:
        RigFactMissing: the key is absent, or is not a text.
    """
    value = _look_up(rig, path)
    if not isinstance(value, str):
        raise RigFactMissing(f"rig file: {_dotted(path)} is {value!r}; the simulation needs a text there")
    return value


def draw_error(world: World, fact: str, standard_uncertainty: float) -> float:
    """The true error behind a certificate: normal with its standard uncertainty, noted in the ledger as `fact`.

    `fact` ends in the error's unit. The stream is named after it, so every call in one world gives the same error.
    """
    error = world.stream(f"certificate.{fact}").gauss(0.0, standard_uncertainty)
    world.ledger.add_fact(fact, error)
    return error


def _look_up(rig: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = rig
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            raise RigFactMissing(f"rig file: {_dotted(path)} is missing; the simulation needs it")
        value = value[key]
    return value


def _dotted(path: tuple[str, ...]) -> str:
    return f"[{'.'.join(path[:-1])}] {path[-1]}"
