"""Propagation of uncertainty through any function, with numeric derivatives up to the second-order terms of the GUM."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.metrology._checks import require_finite
from bench.metrology.budget import Combined, Distribution, Input, combine

SMALLEST_RELATIVE_STEP = 1e-6


@dataclass(frozen=True, slots=True)
class Quantity:
    """An input quantity of a model: its estimate, and its standard uncertainty in the same unit."""

    name: str
    value: float
    standard_uncertainty: float
    dof: float = math.inf
    distribution: Distribution = "normal"


@dataclass(frozen=True, slots=True)
class Propagated:
    """A value with its uncertainty. `first_order` is the budget; the rest includes second-order terms if asked for."""

    value: float
    first_order: Combined
    second_order_variance: float
    standard_uncertainty: float
    expanded_uncertainty: float


def propagate(
    function: Callable[..., float], quantities: Sequence[Quantity], *, second_order: bool = False
) -> Propagated:
    """Value and uncertainty of `function(x_1, x_2, …)` for independent quantities, given in the function's order.

    Sensitivities are central differences over ±u (JCGM 100, 5.1.3, note 2). With `second_order`, the terms
    ΣΣ [½·f_ij² + f_i·f_ijj]·u_i²·u_j² of JCGM 100, 5.1.2, note, join the variance; the coverage factor stays that of
    the first order.

    Raises:
        ValueError: a value that is not finite, second-order terms that take more than the first-order variance (then
            the expansion is of no use), or what `combine` refuses.
    """
    centre = [quantity.value for quantity in quantities]
    for quantity in quantities:
        require_finite(f"value of {quantity.name!r}", quantity.value)
    steps = [
        quantity.standard_uncertainty
        if quantity.standard_uncertainty > 0.0
        else SMALLEST_RELATIVE_STEP * max(1.0, abs(quantity.value))
        for quantity in quantities
    ]

    def at(*moves: tuple[int, float]) -> float:
        point = list(centre)
        for index, sign in moves:
            point[index] += sign * steps[index]
        return float(function(*point))

    value = at()
    require_finite("the function's value", value)
    differences = [(at((index, 1.0)) - at((index, -1.0))) / 2.0 for index in range(len(centre))]
    first_order = combine(
        [
            Input(
                quantity.name,
                quantity.standard_uncertainty,
                difference / step,
                quantity.dof,
                quantity.distribution,
            )
            for quantity, difference, step in zip(quantities, differences, steps, strict=True)
        ]
    )
    extra = 0.0
    if second_order:
        uncertain = [index for index, quantity in enumerate(quantities) if quantity.standard_uncertainty > 0.0]
        extra = math.fsum(_second_order_term(at, value, differences, i, j) for i in uncertain for j in uncertain)
    variance = first_order.standard_uncertainty**2 + extra
    if variance < 0.0:
        raise ValueError(
            "the second-order terms take away more than the first-order variance: "
            "the model is too curved over these uncertainties for a Taylor expansion"
        )
    standard_uncertainty = math.sqrt(variance)
    return Propagated(
        value, first_order, extra, standard_uncertainty, first_order.coverage_factor * standard_uncertainty
    )


def _second_order_term(at: Callable[..., float], value: float, differences: Sequence[float], i: int, j: int) -> float:
    """[½·f_ij² + f_i·f_ijj]·u_i²·u_j²: with steps of u, the plain differences already hold the factors u."""
    if i == j:
        mixed = at((i, 1.0)) - 2.0 * value + at((i, -1.0))
        third = (at((i, 2.0)) - 2.0 * at((i, 1.0)) + 2.0 * at((i, -1.0)) - at((i, -2.0))) / 2.0
    else:
        both, neither = at((i, 1.0), (j, 1.0)), at((i, -1.0), (j, -1.0))
        upper, lower = at((i, 1.0), (j, -1.0)), at((i, -1.0), (j, 1.0))
        mixed = (both - upper - lower + neither) / 4.0
        third = (both + upper - lower - neither) / 2.0 - 2.0 * differences[i]
    return 0.5 * mixed * mixed + differences[i] * third
