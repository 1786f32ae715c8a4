"""Checks of what callers give, each with one sentence."""

from __future__ import annotations

import math


def require_positive(value: float, what: str, unit: str) -> None:
    """
    Raises:
        ValueError: the value is not a positive, finite number.
    """
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{what} must be a positive number of {unit}, not {value}")


def rate_or_own(rate_ul_per_h: float | None, what: str) -> float:
    """The rate to propose; 0, which asks for the model's own, for None.

    Raises:
        ValueError: the rate is not a positive, finite number.
    """
    if rate_ul_per_h is None:
        return 0.0
    require_positive(rate_ul_per_h, what, "µL/h")
    return rate_ul_per_h


def require_whole(value: int, what: str, unit: str, *, least: int, most: int) -> None:
    """
    Raises:
        ValueError: the value is not a whole number within the bounds.
    """
    if not (isinstance(value, int) and least <= value <= most):
        raise ValueError(f"{what} must be a whole number of {unit} from {least} to {most}, not {value!r}")
