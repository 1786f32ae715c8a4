"""Uncertainty budgets by the GUM (JCGM 100), with Monte Carlo (JCGM 101) where Student's t would not do.

All components are brought to one unit by their sensitivities. Every coverage interval here is for 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from bench.metrology._checks import require_finite, require_not_negative

Distribution: TypeAlias = Literal["normal", "rectangular", "triangular", "t"]
Method: TypeAlias = Literal["t", "monte carlo"]

COVERAGE_PROBABILITY = 0.95
BOUNDED_SHARE_FOR_MONTE_CARLO = 0.5
MONTE_CARLO_DRAWS = 200_000
MONTE_CARLO_SEED = 101

_SPREAD_PER_UNCERTAINTY = {"rectangular": math.sqrt(3.0), "triangular": math.sqrt(6.0)}


@dataclass(frozen=True, slots=True)
class Input:
    """One line of a budget: a standard uncertainty, and the sensitivity that brings it to the budget's unit.

    `distribution` matters to Monte Carlo alone: "rectangular" and "triangular" are bounded; "normal" with finite
    degrees of freedom is drawn as the scaled and shifted t of a type A evaluation, for which "t" is the explicit name.
    `contained_in` names the line that already holds this one's effect: it is then listed, not added.

    Raises:
        ValueError: a negative or infinite uncertainty, degrees of freedom below 1, "t" without finite degrees of
            freedom, or a line contained in itself.
    """

    name: str
    standard_uncertainty: float
    sensitivity: float = 1.0
    dof: float = math.inf
    distribution: Distribution = "normal"
    contained_in: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.standard_uncertainty < math.inf:
            require_not_negative(f"standard_uncertainty of {self.name!r}", self.standard_uncertainty)
        if not math.isfinite(self.sensitivity):
            require_finite(f"sensitivity of {self.name!r}", self.sensitivity)
        if not self.dof >= 1.0:
            raise ValueError(f"dof of {self.name!r} must be 1 or more (math.inf when exactly known), got {self.dof}")
        if self.distribution not in ("normal", "rectangular", "triangular", "t"):
            raise ValueError(
                f"distribution of {self.name!r} must be normal, rectangular, triangular or t, got {self.distribution!r}"
            )
        if self.distribution == "t" and self.dof == math.inf:
            raise ValueError(f"{self.name!r} is distributed as t and needs its degrees of freedom, dof=…")
        if self.contained_in == self.name:
            raise ValueError(f"{self.name!r} cannot be contained in itself")

    @property
    def contribution(self) -> float:
        """Sensitivity times standard uncertainty, signed, in the budget's unit."""
        return self.sensitivity * self.standard_uncertainty


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the finished budget: its input and its share of the variance, 0 when contained in another line."""

    input: Input
    share: float


@dataclass(frozen=True, slots=True)
class Combined:
    """A combined uncertainty. `expanded_uncertainty` is half the symmetric 95 % interval.

    `effective_dof` is Welch–Satterthwaite's, `dof` the same truncated down, as the t quantile takes it.
    """

    standard_uncertainty: float
    effective_dof: float
    dof: float
    coverage_factor: float
    expanded_uncertainty: float
    method: Method
    rows: tuple[Row, ...]


def combine(inputs: Sequence[Input]) -> Combined:
    """Combine independent inputs by the law of propagation of uncertainty.

    U = k·u with k from Student's t at the degrees of freedom of Welch–Satterthwaite, truncated down. Where bounded
    inputs (rectangular, triangular) make more than half of the variance, U comes from Monte Carlo instead, and k = U/u;
    below that, they leave the t interval at most 2 % wider than it need be. All distributions are symmetric with one
    peak, so the symmetric interval is also the shortest. Draws have a fixed seed, whatever the order of the inputs.

    Raises:
        ValueError: no input that counts, a name given twice, or a line contained in one that is missing or is itself
            contained.
    """
    counted = [item for item in inputs if item.contained_in is None]
    if not counted:
        raise ValueError("a budget needs at least one input that is not contained in another")
    if len({item.name for item in inputs}) != len(inputs) or len(counted) != len(inputs):
        _check_names(inputs, counted)
    variances = [item.contribution**2 for item in counted]
    variance = math.fsum(variances)
    standard_uncertainty = math.sqrt(variance)
    effective_dof = welch_satterthwaite(variances, [item.dof for item in counted])
    dof = truncate_dof(effective_dof)
    bounded = math.fsum(
        part for item, part in zip(counted, variances, strict=True) if item.distribution in _SPREAD_PER_UNCERTAINTY
    )
    if bounded > BOUNDED_SHARE_FOR_MONTE_CARLO * variance:
        expanded = _monte_carlo_half_width(counted)
        factor = expanded / standard_uncertainty
        method: Method = "monte carlo"
    else:
        factor = coverage_factor(dof)
        expanded = factor * standard_uncertainty
        method = "t"
    rows = tuple(
        Row(item, item.contribution**2 / variance if item.contained_in is None and variance > 0.0 else 0.0)
        for item in inputs
    )
    return Combined(standard_uncertainty, effective_dof, dof, factor, expanded, method, rows)


def welch_satterthwaite(variances: Sequence[float], dofs: Sequence[float]) -> float:
    """Effective degrees of freedom of a sum of independent estimates, u⁴/Σ(u_i⁴/ν_i) (JCGM 100, G.4.1), untruncated."""
    variance = math.fsum(variances)
    if variance == 0.0:
        return math.inf
    doubt = math.fsum((part / variance) ** 2 / dof for part, dof in zip(variances, dofs, strict=True))
    return 1.0 / doubt if doubt > 0.0 else math.inf


def truncate_dof(effective_dof: float) -> float:
    """Effective degrees of freedom truncated down to a whole number (JCGM 100, G.4.1), rounding noise apart."""
    return effective_dof if effective_dof == math.inf else float(math.floor(effective_dof * (1.0 + 1e-12)))


@lru_cache(maxsize=1024)
def coverage_factor(dof: float) -> float:
    """Student's t for 95 % between −k and +k; 1.960 for infinite degrees of freedom.

    Raises:
        ValueError: degrees of freedom that are not above zero.
    """
    if not dof > 0.0:
        raise ValueError(f"dof must be above zero, got {dof}")
    from scipy.special import stdtrit

    return float(stdtrit(dof, (1.0 + COVERAGE_PROBABILITY) / 2.0))


def _check_names(inputs: Sequence[Input], counted: Sequence[Input]) -> None:
    names = [item.name for item in inputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a budget holds each input once; given more than once: {', '.join(twice)}")
    holders = {item.name for item in counted}
    for item in inputs:
        if item.contained_in is not None and item.contained_in not in holders:
            raise ValueError(
                f"{item.name!r} is said to be contained in {item.contained_in!r}, which this budget does not add; "
                f"it adds: {', '.join(sorted(holders))}"
            )


def _monte_carlo_half_width(inputs: Sequence[Input]) -> float:
    """95 % quantile of the absolute sum of all draws: half of the symmetric interval (JCGM 101, 7.7)."""
    import numpy as np

    rng = np.random.default_rng(MONTE_CARLO_SEED)
    normal = math.sqrt(math.fsum(item.contribution**2 for item in inputs if _is_normal(item)))
    total = normal * rng.standard_normal(MONTE_CARLO_DRAWS)
    drawn = (item for item in inputs if not _is_normal(item) and item.contribution != 0.0)
    for item in sorted(drawn, key=lambda item: (item.distribution, item.dof, abs(item.contribution))):
        scale = abs(item.contribution)
        if item.distribution == "rectangular":
            total += scale * _SPREAD_PER_UNCERTAINTY["rectangular"] * rng.uniform(-1.0, 1.0, MONTE_CARLO_DRAWS)
        elif item.distribution == "triangular":
            total += scale * _SPREAD_PER_UNCERTAINTY["triangular"] * rng.triangular(-1.0, 0.0, 1.0, MONTE_CARLO_DRAWS)
        else:
            total += scale * rng.standard_t(item.dof, MONTE_CARLO_DRAWS)
    return float(np.quantile(np.abs(total), COVERAGE_PROBABILITY))


def _is_normal(item: Input) -> bool:
    return item.distribution == "normal" and item.dof == math.inf
