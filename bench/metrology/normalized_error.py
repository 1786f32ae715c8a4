"""The E_n number: whether two results agree within their expanded uncertainties."""

from __future__ import annotations

import math

from bench.metrology._checks import require_finite, require_not_negative


def e_n(
    value: float,
    expanded_uncertainty: float,
    reference: float,
    reference_expanded_uncertainty: float,
    covariance: float = 0.0,
    *,
    coverage_factor: float = 2.0,
) -> float:
    """Normalised error (x − x_ref)/√(U² + U_ref² − 2·k²·cov), signed; the two agree where |E_n| ≤ 1 (ISO/IEC 17043).

    Args:
        value: the result x.
        expanded_uncertainty: its expanded uncertainty U, in the unit of x.
        reference: the result x_ref it is held against.
        reference_expanded_uncertainty: the expanded uncertainty U_ref of that.
        covariance: covariance of the two results (of standard, not expanded uncertainties) from inputs they share.
        coverage_factor: k that expands the covariance.

    Raises:
        ValueError: a number that is not finite, a negative uncertainty, or a covariance that leaves no uncertainty.
    """
    require_finite("value", value)
    require_finite("reference", reference)
    require_finite("covariance", covariance)
    require_not_negative("expanded_uncertainty", expanded_uncertainty)
    require_not_negative("reference_expanded_uncertainty", reference_expanded_uncertainty)
    variance = math.fsum(
        (expanded_uncertainty**2, reference_expanded_uncertainty**2, -2.0 * coverage_factor**2 * covariance)
    )
    if variance <= 0.0:
        raise ValueError(
            f"the difference of the results has no uncertainty left (U = {expanded_uncertainty:g}, "
            f"U_ref = {reference_expanded_uncertainty:g}, covariance {covariance:g}): check the covariance"
        )
    return (value - reference) / math.sqrt(variance)
