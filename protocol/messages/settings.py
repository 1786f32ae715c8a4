"""Settings that change what is delivered, so they are proposed and committed like a dose; and how to read them."""

from __future__ import annotations

from construct import Float64l, Int32sl, Int32ul, Int64sl, Int64ul, Struct

from protocol.registry import Message, reply, request


@request(0x12, Struct("command_id" / Int64ul, "step_volume_nl" / Float64l))
class ProposeCalibration(Message, frozen=True):
    """Proposes a new calibrated step volume."""

    command_id: int
    step_volume_nl: float


@request(0x16, Struct())
class CalibrationRequest(Message, frozen=True):
    """Asks for `Calibration`."""


@reply(
    0x96,
    Struct(
        "step_volume_nl" / Float64l,
        "previous_step_volume_nl" / Float64l,
        "nominal_step_volume_nl" / Float64l,
        "generation" / Int32ul,
    ),
    to=[CalibrationRequest],
)
class Calibration(Message, frozen=True):
    """The step volume in use, the one before it, the model's nominal one, and how often it was written."""

    step_volume_nl: float
    previous_step_volume_nl: float
    nominal_step_volume_nl: float
    generation: int


@request(0x1F, Struct("command_id" / Int64ul, "volume_ul" / Float64l))
class ProposeRefill(Message, frozen=True):
    """Proposes that the reservoir now holds `volume_ul`: the refill as the operator measured it."""

    command_id: int
    volume_ul: float


@request(0x20, Struct("command_id" / Int64ul, "utc_s" / Int64sl, "utc_offset_s" / Int32sl))
class ProposeTherapyClock(Message, frozen=True):
    """Proposes to set the therapy clock, which flex steps follow.

    `utc_s` counts seconds since 1970-01-01 UTC and is the time when COMMIT takes effect; `utc_offset_s` is added for
    local time. The device never changes the offset by itself: a daylight saving shift is another proposal.
    """

    command_id: int
    utc_s: int
    utc_offset_s: int


@request(0x06, Struct())
class TherapyClockRequest(Message, frozen=True):
    """Asks for `TherapyClock`."""


@reply(
    0x86,
    Struct("utc_s" / Int64sl, "utc_offset_s" / Int32sl, "device_time_us" / Int64ul, "generation" / Int32ul),
    to=[TherapyClockRequest],
)
class TherapyClock(Message, frozen=True):
    """The therapy clock at `device_time_us`, fields as in `ProposeTherapyClock`; `generation` counts settings."""

    utc_s: int
    utc_offset_s: int
    device_time_us: int
    generation: int
