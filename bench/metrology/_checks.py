"""Refusals shared by the metrology functions: one clear sentence each, naming the quantity and what would be right."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]


def require_within(name: str, value: float | FloatArray, low: float, high: float, unit: str) -> None:
    """Refuse a value, or any element of an array, outside [low, high]; NaN is outside.

    Raises:
        ValueError: names the quantity, the bounds and the first offender.
    """
    if isinstance(value, np.ndarray):
        outside = ~((value >= low) & (value <= high))
        if outside.any():
            raise ValueError(f"{name} must lie between {low:g} and {high:g} {unit}, got {value[outside].flat[0]:g}")
    elif not low <= value <= high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g} {unit}, got {value:g}")


def require_finite(name: str, value: float) -> None:
    """Refuse NaN and infinity.

    Raises:
        ValueError: names the quantity.
    """
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value}")


def require_not_negative(name: str, value: float) -> None:
    """Refuse NaN, infinity and numbers below zero.

    Raises:
        ValueError: names the quantity.
    """
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number, zero or above, got {value}")


def require_positive(name: str, value: float) -> None:
    """Refuse NaN, infinity, zero and numbers below.

    Raises:
        ValueError: names the quantity.
    """
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} must be a finite number above zero, got {value}")
