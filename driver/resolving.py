"""What an operator may say of a dose whose end the pump has not told."""

from __future__ import annotations

import math
import unicodedata

from driver.dose import DoseState
from driver.journal_file import Entry

SAYABLE = (DoseState.DELIVERED, DoseState.PARTLY, DoseState.NOT_DELIVERED)
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph ends


def resolution(
    id_: int,
    entry: Entry,
    *,
    by: str,
    because: str,
    as_: DoseState | str,
    volume_ul: tuple[float, float] | None,
    pump_lost: bool,
) -> tuple[DoseState, float, float]:
    """What the dose is now taken as, and the bounds in µL of what it delivered.

    These stay what is known, unless the operator gives others; 0 for NOT_DELIVERED. What the pump said was running is
    the operator's only where the pump cannot tell any more, `pump_lost`.

    Raises:
        ValueError: its end is known, the pump is to be asked, or what the operator says cannot be; the message says
            what would be right.
    """
    if not entry.is_open:
        who = f", resolved by {entry.by}" if entry.by else ""
        raise ValueError(f"command {id_} is {entry.dose_state}{who}; only what is uncertain is resolved")
    if entry.dose_state is DoseState.PENDING and not pump_lost:
        raise ValueError(
            f"command {id_} is pending: the pump said that it runs, so ask the pump, which each opening does, and stop "
            "it if it is not to run on; where it can never be asked again: thecabench doses resolve --pump-lost"
        )
    if not by.strip():
        raise ValueError("the name of the operator is missing, who says what the dose is taken as")
    if not because.strip():
        raise ValueError("the reason is missing: in a few words, how it is known what was delivered")
    for what, text in (("name of the operator", by), ("reason", because)):
        if any(unicodedata.category(character) in _UNWRITABLE for character in text):
            raise ValueError(f"the {what} must be plain text in one line, not {text!r}")
    if as_ not in SAYABLE:
        raise ValueError(f"a dose is resolved as {', '.join(SAYABLE)}, not as {as_}")
    return DoseState(as_), *_bounds_ul(id_, entry, DoseState(as_), volume_ul)


def _bounds_ul(id_: int, entry: Entry, as_: DoseState, volume_ul: tuple[float, float] | None) -> tuple[float, float]:
    known_low_ul, known_high_ul = entry.bounds_ul
    if as_ is DoseState.NOT_DELIVERED:
        if known_low_ul > 0.0:
            raise ValueError(
                f"command {id_} has delivered at least {known_low_ul:g} µL, the pump said so; it can be resolved as "
                f"{DoseState.DELIVERED} or {DoseState.PARTLY}"
            )
        if volume_ul is not None:
            raise ValueError(f"what is {DoseState.NOT_DELIVERED} has no volume; leave the volume out")
        return 0.0, 0.0
    if volume_ul is None:
        if as_ is DoseState.PARTLY:
            raise ValueError(f"what is {DoseState.PARTLY} delivered needs its volume: the least and the most, in µL")
        return known_low_ul, known_high_ul
    low_ul, high_ul = volume_ul
    if not (0.0 <= low_ul <= high_ul < math.inf and high_ul > 0.0):
        raise ValueError(f"a volume lies between two numbers of µL, the smaller first, not {low_ul:g} and {high_ul:g}")
    if high_ul < known_low_ul:
        raise ValueError(
            f"command {id_} has delivered at least {known_low_ul:g} µL, the pump said so, and not at most {high_ul:g}"
        )
    return max(low_ul, known_low_ul), high_ul
