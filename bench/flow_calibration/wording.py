"""Numbers and words as the report prints them: rounded to their uncertainty, true minus signs, units kept beside."""

from __future__ import annotations

import math
import re

from bench.flow_calibration.result import RateResult
from bench.metrology import format_decimals, format_value, round_to_uncertainty

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
NOT_STATED = "\N{EN DASH}"
INFINITE = "\N{INFINITY}"
ML_PER_DAY = 0.024
SMALLEST_SHARE_PCT = 0.05

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def prose(text: str) -> str:
    """Free text with true minus signs before numbers and powers of ten written out; blank text as a dash."""
    text = re.sub(r"(?<=\d)e([+-])0*(\d+)\b", lambda found: f" × 10{_superscript(found[1], found[2])}", text)
    text = re.sub(r"(?<![\w-])-(?=[\d.])", MINUS, text)
    return text.strip() or NOT_STATED


def identifier(text: str) -> str:
    """A serial number or the like, verbatim; blank as a dash."""
    return text if text.strip() else NOT_STATED


def with_uncertainty(value: float, expanded_uncertainty: float, unit: str = "") -> str:
    """Value ± expanded uncertainty, both to the uncertainty's second significant digit."""
    return format_value(value, expanded_uncertainty, unit).replace(" ", NO_BREAK)


def to_uncertainty(value: float, expanded_uncertainty: float, unit: str = "") -> str:
    """The value alone, to the digits that its expanded uncertainty carries."""
    text = round_to_uncertainty(value, expanded_uncertainty)[0]
    return f"{text}{NO_BREAK}{unit}" if unit else text


def uncertainty(value: float, unit: str = "") -> str:
    """An uncertainty, or a scatter, to two significant digits; zero as 0."""
    text = round_to_uncertainty(0.0, value)[1] if value > 0.0 else "0"
    return f"{text}{NO_BREAK}{unit}" if unit else text


def decimals(value: float, places: int, unit: str = "") -> str:
    """A setting, a limit or a fact, to fixed decimals."""
    text = format_decimals(value, places)
    return f"{text}{NO_BREAK}{unit}" if unit else text


def exact(value: float, unit: str = "") -> str:
    """A number as a file states it, without padding zeros."""
    text = f"{value:.10g}"
    text = format_decimals(value, 12).rstrip("0").rstrip(".") if "e" in text else text.replace("-", MINUS)
    return f"{text}{NO_BREAK}{unit}" if unit else text


def dof(value: float | None) -> str:
    """Degrees of freedom, whole numbers; infinite ones as the sign."""
    return INFINITE if value is None else format_decimals(math.floor(value), 0)


def share(value_pct: float) -> str:
    """A share of the variance, in percent, to one decimal."""
    return "<0.1" if 0.0 < value_pct < SMALLEST_SHARE_PCT else format_decimals(value_pct, 1)


def probability(value: float | None) -> str:
    """A p value to two decimals; below 0.01 as such."""
    if value is None:
        return NOT_STATED
    return "<0.01" if value < 0.01 else format_decimals(value, 2)


def ml_per_day(rate_ul_per_h: float) -> str:
    """A set rate in mL/day, as the plan states it."""
    return f"{rate_ul_per_h * ML_PER_DAY:.6g}"


def ul_per_h(rate_ul_per_h: float) -> str:
    """A set rate in µL/h, to four significant digits."""
    return format_decimals(rate_ul_per_h, max(0, 3 - math.floor(math.log10(rate_ul_per_h))))


def duration(seconds: float) -> str:
    """A stretch of process time in days, hours or minutes."""
    for length_s, unit in ((2 * 86400.0, "d"), (2 * 3600.0, "h")):
        if seconds >= length_s:
            return decimals(seconds / (length_s / 2.0), 1, unit)
    return decimals(seconds / 60.0, 1, "min")


def clock(seconds: float) -> str:
    """A moment of the session as days, hours and minutes since its start."""
    minutes = math.floor(seconds / 60.0)
    return f"{minutes // 1440}{NO_BREAK}d {minutes // 60 % 24:02d}:{minutes % 60:02d}"


def single_run_uncertainty_pct(rate: RateResult) -> float:
    """Expanded uncertainty of one run at a rate, in percent: the scatter of the repeats and what they all share.

    It says how many digits a single run is worth printing with.
    """
    scatter = rate.repeatability_pct**2
    shared = max(rate.standard_uncertainty_pct**2 - scatter / len(rate.runs), 0.0)
    return rate.coverage_factor * math.sqrt(scatter + shared)


def _superscript(sign: str, digits: str) -> str:
    return (sign.replace("+", "") + digits).translate(_SUPERSCRIPTS)
