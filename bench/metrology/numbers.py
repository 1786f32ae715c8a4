"""Numbers for reports: rounded to what their uncertainty carries, with a true minus sign."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from bench.metrology._checks import require_finite, require_positive

MINUS = "\N{MINUS SIGN}"
SIGNIFICANT_DIGITS = 2

_CONTEXT = Context(prec=700, rounding=ROUND_HALF_UP)


def round_to_uncertainty(value: float, expanded_uncertainty: float) -> tuple[str, str]:
    """Value and uncertainty as text: the uncertainty to two significant digits, the value to the same decimal place.

    Plain decimal notation, halves rounded away from zero (JCGM 100, 7.2.6); U+2212 as minus sign, none before zero.

    Raises:
        ValueError: a value that is not finite, or an uncertainty that is not above zero.
    """
    require_finite("value", value)
    require_positive("expanded_uncertainty", expanded_uncertainty)
    exact = Decimal(repr(float(expanded_uncertainty)))
    rounded = _round(exact, exact.adjusted() - SIGNIFICANT_DIGITS + 1)
    place = rounded.adjusted() - SIGNIFICANT_DIGITS + 1
    return _text(_round(Decimal(repr(float(value))), place)), _text(_round(rounded, place))


def format_value(value: float, expanded_uncertainty: float, unit: str) -> str:
    """Value ± uncertainty with its unit, as `(−1.23 ± 0.45) %`; without a unit, as `−1.23 ± 0.45`.

    Raises:
        ValueError: a value that is not finite, or an uncertainty that is not above zero.
    """
    value_text, uncertainty_text = round_to_uncertainty(value, expanded_uncertainty)
    pair = f"{value_text} ± {uncertainty_text}"
    return f"({pair}) {unit}" if unit else pair


def format_decimals(value: float, decimals: int) -> str:
    """A number without uncertainty (a limit, a setting) to fixed decimals, with the same minus sign.

    Raises:
        ValueError: a value that is not finite.
    """
    require_finite("value", value)
    return _text(_round(Decimal(repr(float(value))), -decimals))


def _round(number: Decimal, place: int) -> Decimal:
    return number.quantize(Decimal((0, (1,), place)), context=_CONTEXT)


def _text(number: Decimal) -> str:
    digits = f"{abs(number):f}"
    return MINUS + digits if number < 0 else digits
