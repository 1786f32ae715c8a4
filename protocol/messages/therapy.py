"""What a pump can be asked to give: every mode has a PROPOSE, and the device carries it out on COMMIT.

Rates are µL/h, volumes µL. A rate of 0 asks for the model's own where the message says so.
"""

from __future__ import annotations

from construct import Enum, Float64l, GreedyBytes, Int8ul, Int16ul, Int32ul, Int64ul, PrefixedArray, Struct

from protocol.enums import Day, OnLeaseLoss
from protocol.registry import Message, Record, reply, request


@request(
    0x10,
    Struct("command_id" / Int64ul, "rate_ul_per_h" / Float64l, "on_lease_loss" / Enum(Int8ul, OnLeaseLoss)),
)
class ProposeContinuous(Message, frozen=True):
    """Proposes continuous infusion at a rate."""

    command_id: int
    rate_ul_per_h: float
    on_lease_loss: OnLeaseLoss | int


@request(0x11, Struct("command_id" / Int64ul, "volume_ul" / Float64l, "rate_ul_per_h" / Float64l))
class ProposeBolus(Message, frozen=True):
    """Proposes a single bolus, then what ran before; rate 0 asks for the model's bolus rate."""

    command_id: int
    volume_ul: float
    rate_ul_per_h: float


@request(
    0x18,
    Struct("command_id" / Int64ul, "rate_ul_per_h" / Float64l, "on_lease_loss" / Enum(Int8ul, OnLeaseLoss)),
)
class ProposeMinimumRate(Message, frozen=True):
    """Proposes the minimum-rate mode, which keeps the catheter open; the device puts its own rate for `rate_ul_per_h`.

    The host sends 0 there.
    """

    command_id: int
    rate_ul_per_h: float
    on_lease_loss: OnLeaseLoss | int


class FlexStep(Record, frozen=True):
    """From `start_min` minutes after midnight on `days`, the rate is `rate_ul_per_h`, until the next step."""

    days: Day | int
    start_min: int
    rate_ul_per_h: float


@request(
    0x19,
    Struct(
        "command_id" / Int64ul,
        "on_lease_loss" / Enum(Int8ul, OnLeaseLoss),
        "steps"
        / PrefixedArray(
            Int8ul,
            Struct("days" / Enum(Int8ul, Day), "start_min" / Int16ul, "rate_ul_per_h" / Float64l),
        ),
    ),
)
class ProposeFlex(Message, frozen=True):
    """Proposes a therapy by time of day: at most 43 `steps`, by the therapy clock; rate 0 is a pause.

    All day patterns are in one proposal, so that none is ever in force without the others.
    """

    command_id: int
    on_lease_loss: OnLeaseLoss | int
    steps: tuple[FlexStep, ...]


@request(0x1A, Struct("command_id" / Int64ul, "volume_ul" / Float64l, "rate_ul_per_h" / Float64l))
class ProposePrime(Message, frozen=True):
    """Proposes a priming bolus, which fills tubing and catheter once after a refill; rate 0 asks for the model's."""

    command_id: int
    volume_ul: float
    rate_ul_per_h: float


@request(
    0x1B,
    Struct(
        "command_id" / Int64ul,
        "volume_ul" / Float64l,
        "bridge_rate_ul_per_h" / Float64l,
        "rate_ul_per_h" / Float64l,
        "on_lease_loss" / Enum(Int8ul, OnLeaseLoss),
    ),
)
class ProposeBridge(Message, frozen=True):
    """Proposes a bridge bolus: `volume_ul` at the old drug's rate, then continuous infusion at the new one's.

    `volume_ul` is that of tubing and catheter, which hold the old drug; `bridge_rate_ul_per_h` is the rate meanwhile.
    """

    command_id: int
    volume_ul: float
    bridge_rate_ul_per_h: float
    rate_ul_per_h: float
    on_lease_loss: OnLeaseLoss | int


@request(
    0x1C,
    Struct(
        "command_id" / Int64ul,
        "enabled" / Int8ul,
        "volume_ul" / Float64l,
        "rate_ul_per_h" / Float64l,
        "lockout_s" / Int32ul,
        "most_per_day" / Int16ul,
        "window_s" / Int32ul,
        "window_limit_ul" / Float64l,
    ),
)
class ProposePatientBolusLimits(Message, frozen=True):
    """Proposes what a patient-activated bolus may be.

    `enabled` is 0 or 1; `lockout_s` is the least time from one start to the next; `most_per_day` counts starts in
    any 24 h; in any `window_s` seconds all that is given, basal included, stays within `window_limit_ul`.
    """

    command_id: int
    enabled: int
    volume_ul: float
    rate_ul_per_h: float
    lockout_s: int
    most_per_day: int
    window_s: int
    window_limit_ul: float


@request(0x1D, Struct("command_id" / Int64ul, "volume_ul" / Float64l, "rate_ul_per_h" / Float64l))
class ProposePatientBolus(Message, frozen=True):
    """Proposes what the patient's button asks for: a bolus within the limits.

    The host sends 0 for `volume_ul` and `rate_ul_per_h`; the device puts those of the limits.
    """

    command_id: int
    volume_ul: float
    rate_ul_per_h: float


@request(
    0x1E,
    Struct(
        "command_id" / Int64ul,
        "rate_ul_per_h" / Float64l,
        "duration_s" / Int32ul,
        "on_lease_loss" / Enum(Int8ul, OnLeaseLoss),
    ),
)
class ProposeTrial(Message, frozen=True):
    """Proposes a trial, as an external pump gives it: a rate for `duration_s`, then standstill."""

    command_id: int
    rate_ul_per_h: float
    duration_s: int
    on_lease_loss: OnLeaseLoss | int


@request(0x09, Struct())
class TherapyRequest(Message, frozen=True):
    """Asks for `Therapy`."""


@reply(
    0x89,
    Struct("command_id" / Int64ul, "propose_type" / Int8ul, "canonical" / GreedyBytes),
    to=[TherapyRequest],
)
class Therapy(Message, frozen=True):
    """The therapy in force, as it was proposed: what a bolus hands back to.

    `propose_type` is the type byte of its PROPOSE message, 0 when stopped; `canonical` is that message's payload, empty
    when stopped; `command_id` is 0 when stopped.
    """

    command_id: int
    propose_type: int
    canonical: bytes


@request(0x0A, Struct())
class PatientBolusLimitsRequest(Message, frozen=True):
    """Asks for `PatientBolusLimits`."""


@reply(
    0x8A,
    Struct(
        "enabled" / Int8ul,
        "volume_ul" / Float64l,
        "rate_ul_per_h" / Float64l,
        "lockout_s" / Int32ul,
        "most_per_day" / Int16ul,
        "window_s" / Int32ul,
        "window_limit_ul" / Float64l,
        "lockout_left_s" / Int32ul,
        "given_today" / Int16ul,
    ),
    to=[PatientBolusLimitsRequest],
)
class PatientBolusLimits(Message, frozen=True):
    """The limits in force, as in `ProposePatientBolusLimits`, and what of them is used up.

    `given_today` counts starts in the last 24 h.
    """

    enabled: int
    volume_ul: float
    rate_ul_per_h: float
    lockout_s: int
    most_per_day: int
    window_s: int
    window_limit_ul: float
    lockout_left_s: int
    given_today: int
