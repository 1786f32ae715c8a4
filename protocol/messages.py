"""The messages: each construct Struct is the definition of a layout, the class under it what programs hold.

The decorators walk the layout when this module loads and refuse a class that differs from it. Units are in the field
names; what the fields mean and why is in docs/protocol.md.
"""

from __future__ import annotations

import hashlib

from construct import (
    Bytes,
    Enum,
    Float32l,
    Float64l,
    GreedyBytes,
    Int8ul,
    Int16ul,
    Int32ul,
    Int64sl,
    Int64ul,
    PaddedString,
    Struct,
)

from protocol.enums import Alarm, CommandState, EventCode, Mode, NakReason, Stream
from protocol.registry import Message, all_requests, encode_payload, notification, reply, request

MODEL_BYTES = 24
SERIAL_NUMBER_BYTES = 24
FIRMWARE_VERSION_BYTES = 16
NAK_DETAIL_BYTES = 48
HASH_BYTES = 8


def _text(size: int) -> PaddedString:
    return PaddedString(size, "utf8")


@request(
    0x01,
    Struct(
        "protocol_major" / Int8ul,
        "protocol_minor" / Int8ul,
        "host_nonce" / Int64ul,
    ),
)
class HelloRequest(Message, frozen=True):
    """Opens a session; `host_nonce` is drawn afresh for each. Frozen for ever."""

    protocol_major: int
    protocol_minor: int
    host_nonce: int


@reply(
    0x81,
    Struct(
        "protocol_major" / Int8ul,
        "protocol_minor" / Int8ul,
        "schema_hash" / Bytes(HASH_BYTES),
        "capabilities" / Int32ul,
        "mtu" / Int16ul,
        "boot_id" / Int32ul,
        "last_command_id" / Int64ul,
        "model" / _text(MODEL_BYTES),
        "serial_number" / _text(SERIAL_NUMBER_BYTES),
        "firmware_version" / _text(FIRMWARE_VERSION_BYTES),
    ),
    to=[HelloRequest],
)
class Hello(Message, frozen=True):
    """Who the device is. Frozen for ever: a host of any version can read it.

    `mtu` is the largest payload in bytes it takes, `boot_id` differs after every reset, `last_command_id` is the
    highest dosing command it has accepted. No capability bit is assigned yet.
    """

    protocol_major: int
    protocol_minor: int
    schema_hash: bytes
    capabilities: int
    mtu: int
    boot_id: int
    last_command_id: int
    model: str
    serial_number: str
    firmware_version: str


@request(0x02, Struct())
class StatusRequest(Message, frozen=True):
    """Asks for `Status`."""


@reply(
    0x82,
    Struct(
        "device_time_us" / Int64ul,
        "boot_id" / Int32ul,
        "mode" / Enum(Int8ul, Mode),
        "alarms" / Enum(Int32ul, Alarm),
        "rate_ul_per_h" / Float64l,
        "steps" / Int64ul,
        "delivered_ul" / Float64l,
        "reservoir_ul" / Float64l,
        "battery_mv" / Int16ul,
        "head_temperature_c" / Float64l,
        "step_volume_nl" / Float64l,
        "last_command_id" / Int64ul,
        "active_command_id" / Int64ul,
    ),
    to=[StatusRequest],
)
class Status(Message, frozen=True):
    """The pump at one instant of its own clock.

    `rate_ul_per_h` is programmed now, 0 when stopped; `steps` counts since manufacture; `delivered_ul` is counted
    steps times the calibrated `step_volume_nl`, since boot; `reservoir_ul` is computed from the programmed volume;
    `active_command_id` is the bolus under way, or the continuous therapy's, else 0.
    """

    device_time_us: int
    boot_id: int
    mode: Mode | int
    alarms: Alarm | int
    rate_ul_per_h: float
    steps: int
    delivered_ul: float
    reservoir_ul: float
    battery_mv: int
    head_temperature_c: float
    step_volume_nl: float
    last_command_id: int
    active_command_id: int


@request(0x10, Struct("command_id" / Int64ul, "rate_ul_per_h" / Float64l))
class ProposeContinuous(Message, frozen=True):
    """Proposes continuous infusion at a rate."""

    command_id: int
    rate_ul_per_h: float


@request(0x11, Struct("command_id" / Int64ul, "volume_ul" / Float64l, "rate_ul_per_h" / Float64l))
class ProposeBolus(Message, frozen=True):
    """Proposes a bolus; rate 0 asks for the model's bolus rate."""

    command_id: int
    volume_ul: float
    rate_ul_per_h: float


@request(0x12, Struct("command_id" / Int64ul, "step_volume_nl" / Float64l))
class ProposeCalibration(Message, frozen=True):
    """Proposes a new calibrated step volume."""

    command_id: int
    step_volume_nl: float


@reply(
    0x90,
    Struct(
        "command_id" / Int64ul,
        "token" / Int64ul,
        "digest" / Bytes(HASH_BYTES),
        "expires_in_ms" / Int32ul,
        "canonical" / GreedyBytes,
    ),
    to=[ProposeContinuous, ProposeBolus, ProposeCalibration],
)
class Proposal(Message, frozen=True):
    """What the device would do on COMMIT: `canonical` is the PROPOSE payload with the values it will really use.

    `token` is valid once and for `expires_in_ms`; `digest` is `proposal_digest` of type and canonical payload.
    """

    command_id: int
    token: int
    digest: bytes
    expires_in_ms: int
    canonical: bytes


@request(0x13, Struct("command_id" / Int64ul, "token" / Int64ul, "digest" / Bytes(HASH_BYTES)))
class Commit(Message, frozen=True):
    """Has a proposal carried out."""

    command_id: int
    token: int
    digest: bytes


@request(0x14, Struct("command_id" / Int64ul))
class CommandResultRequest(Message, frozen=True):
    """Asks what became of a dosing command."""

    command_id: int


@reply(
    0x93,
    Struct(
        "command_id" / Int64ul,
        "state" / Enum(Int8ul, CommandState),
        "delivered_low_ul" / Float64l,
        "delivered_high_ul" / Float64l,
    ),
    to=[Commit, CommandResultRequest],
)
class CommandResult(Message, frozen=True):
    """What became of a dosing command; what it delivered lies between the two volumes."""

    command_id: int
    state: CommandState | int
    delivered_low_ul: float
    delivered_high_ul: float


@request(0x15, Struct())
class Stop(Message, frozen=True):
    """Stops the motor and kills all tokens; needs no proposal."""


@reply(
    0x95,
    Struct("device_time_us" / Int64ul, "steps" / Int64ul, "delivered_ul" / Float64l),
    to=[Stop],
)
class Stopped(Message, frozen=True):
    """The motor stands still, with the counts at which it stopped."""

    device_time_us: int
    steps: int
    delivered_ul: float


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


@request(0x17, Struct("stream" / Enum(Int8ul, Stream), "interval_ms" / Int32ul))
class Subscribe(Message, frozen=True):
    """Asks for a stream of notifications every `interval_ms`; 0 ends it."""

    stream: Stream | int
    interval_ms: int


@reply(0xA0, Struct(), to=[Subscribe])
class Ack(Message, frozen=True):
    """Done, and nothing more to say."""


@reply(
    0xA1,
    Struct("reason" / Enum(Int8ul, NakReason), "detail" / _text(NAK_DETAIL_BYTES)),
    to=all_requests(),
)
class Nak(Message, frozen=True):
    """The request was refused and nothing was done; `detail` is for people."""

    reason: NakReason | int
    detail: str


@notification(
    0xC0,
    Struct(
        "stream" / Enum(Int8ul, Stream),
        "mode" / Enum(Int8ul, Mode),
        "overflow" / Int16ul,
        "sequence" / Int32ul,
        "device_time_us" / Int64ul,
        "steps" / Int64ul,
        "rate_ul_per_h" / Float64l,
        "head_temperature_c" / Float32l,
        "battery_mv" / Int16ul,
        "alarms" / Enum(Int16ul, Alarm),
    ),
)
class Telemetry(Message, frozen=True):
    """One sample of a stream. `sequence` counts samples made, `overflow` those the device had to drop since boot."""

    stream: Stream | int
    mode: Mode | int
    overflow: int
    sequence: int
    device_time_us: int
    steps: int
    rate_ul_per_h: float
    head_temperature_c: float
    battery_mv: int
    alarms: Alarm | int


@notification(
    0xC1,
    Struct(
        "sequence" / Int32ul,
        "device_time_us" / Int64ul,
        "code" / Enum(Int16ul, EventCode),
        "argument" / Int64sl,
    ),
)
class Event(Message, frozen=True):
    """Something happened; `argument` is the command id for commands, else 0."""

    sequence: int
    device_time_us: int
    code: EventCode | int
    argument: int


def proposal_digest(proposed: ProposeContinuous | ProposeBolus | ProposeCalibration) -> bytes:
    """First 8 bytes of SHA-256 over type byte and payload of a PROPOSE message with its canonical values."""
    return hashlib.sha256(bytes([proposed.TYPE]) + encode_payload(proposed)).digest()[:HASH_BYTES]
