"""Settings that change what a pump delivers: limits of patient boluses, therapy clock, step volume."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from driver.errors import CalibrationMismatch, CalibrationUnverified, LinkError, TransportError
from driver.link import Link
from driver.orders import Orders
from driver.validation import require_positive, require_whole
from protocol import (
    Calibration,
    CalibrationRequest,
    ProposeCalibration,
    ProposePatientBolusLimits,
    ProposeTherapyClock,
)

MOST_U16 = 2**16 - 1
MOST_U32 = 2**32 - 1


@dataclass(frozen=True, slots=True)
class BolusLimits:
    """What a patient-activated bolus may be: its volume in µL and rate in µL/h, and how often.

    `lockout_s` is the least time from one start to the next, `most_per_day` counts starts in any 24 h, and in any
    `window_s` seconds all that is given, basal included, stays within `window_limit_ul`.

    Raises:
        ValueError: a value is out of its range.
    """

    volume_ul: float
    rate_ul_per_h: float
    lockout_s: int
    most_per_day: int
    window_s: int
    window_limit_ul: float
    enabled: bool = True

    def __post_init__(self) -> None:
        require_positive(self.volume_ul, "a patient bolus", "µL")
        require_positive(self.rate_ul_per_h, "a patient bolus rate", "µL/h")
        require_whole(self.lockout_s, "a lockout", "seconds", least=0, most=MOST_U32)
        require_whole(self.most_per_day, "the most per day", "boluses", least=0, most=MOST_U16)
        require_whole(self.window_s, "a limit's window", "seconds", least=1, most=MOST_U32)
        require_positive(self.window_limit_ul, "a limit", "µL")


def limits_proposal(limits: BolusLimits) -> ProposePatientBolusLimits:
    """The PROPOSE message of limits; its command id is 0 until it is taken."""
    return ProposePatientBolusLimits(
        0, int(limits.enabled), limits.volume_ul, limits.rate_ul_per_h, limits.lockout_s, limits.most_per_day,
        limits.window_s, limits.window_limit_ul,
    )  # fmt: skip


def therapy_clock_proposal(now: datetime) -> ProposeTherapyClock:
    """The PROPOSE message that sets the therapy clock to `now`, in whole seconds, and to its offset from UTC.

    Raises:
        ValueError: `now` has no time zone.
    """
    offset = now.utcoffset()
    if offset is None:
        raise ValueError(f"{now} has no time zone; give one, such as datetime.now().astimezone()")
    return ProposeTherapyClock(0, round(now.timestamp()), round(offset.total_seconds()))


def write_calibration(link: Link, orders: Orders, step_volume_nl: float) -> Calibration:
    """Write a step volume, read it back, and give what was read.

    Raises:
        ValueError: the volume is not a positive number.
        CalibrationMismatch: it was written, and the pump now holds another value.
        CalibrationUnverified: it was written, and could not be read back.
        DoseUncertain: it may have been written, or an earlier command is unresolved.
        DriverError: any other; nothing was written, see `Orders.give`.
    """
    require_positive(step_volume_nl, "a step volume", "nL")
    link.require(CalibrationRequest)
    agreed_nl = orders.set(ProposeCalibration(0, step_volume_nl)).canonical["step_volume_nl"]
    try:
        read = link.request(CalibrationRequest(), Calibration)
    except (LinkError, TransportError) as error:
        raise CalibrationUnverified(
            link.port,
            f"a step volume of {agreed_nl!r} nL was written and not read back ({error.finding}); "
            "compare it with Pump.calibration() before the pump is used",
        ) from error
    if read.step_volume_nl != agreed_nl:
        raise CalibrationMismatch(
            link.port, f"a step volume of {agreed_nl!r} nL was written and {read.step_volume_nl!r} nL is read back"
        )
    return read
