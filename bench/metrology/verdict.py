"""Verdicts with a guard band (JCGM 106): PASS and FAIL are said only where the uncertainty leaves no doubt."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from bench.metrology._checks import require_finite, require_not_negative

GUARD_BAND_FACTOR = 1.645
"""Guard band in standard uncertainties: at most 5 % risk of a wrong PASS, or a wrong FAIL, on each side."""


class Verdict(Enum):
    """What a measurement says about its limit."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    def __str__(self) -> str:
        return self.value


def guard_band(standard_uncertainty: float) -> float:
    """Width g = 1.645·u, in the unit of u.

    Raises:
        ValueError: an uncertainty that is negative or not finite.
    """
    require_not_negative("standard_uncertainty", standard_uncertainty)
    return GUARD_BAND_FACTOR * standard_uncertainty


def judge(error: float, standard_uncertainty: float, limit: float) -> Verdict:
    """PASS if |error| ≤ limit − g, FAIL if |error| ≥ limit + g, INCONCLUSIVE between; g = 1.645·u.

    Args:
        error: measured minus nominal, signed.
        standard_uncertainty: of the error, in its unit.
        limit: largest error allowed to either side, in the same unit.

    Raises:
        ValueError: a number that is not finite, a negative uncertainty or a negative limit.
    """
    require_finite("error", error)
    require_not_negative("limit", limit)
    guard = guard_band(standard_uncertainty)
    magnitude = abs(error)
    if magnitude <= limit - guard:
        return Verdict.PASS
    if magnitude >= limit + guard:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE


def combine_verdicts(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a whole: one FAIL fails it, else one INCONCLUSIVE leaves it open, else it passes.

    Raises:
        ValueError: no verdict at all; nothing measured is no PASS.
    """
    found = set(verdicts)
    if not found:
        raise ValueError("there is no verdict to combine: nothing was judged")
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in found:
            return verdict
    return Verdict.PASS
