"""The pump now, and the streams it sends unasked."""

from __future__ import annotations

from construct import Enum, Float32l, Float64l, Int8ul, Int16ul, Int32ul, Int64sl, Int64ul, Struct

from protocol.enums import Alarm, EventCode, Mode, Stream
from protocol.registry import Message, notification, reply, request


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

    `rate_ul_per_h` is programmed now, 0 when stopped; `steps` counts since manufacture, also those that may have been
    made before a power cut; `delivered_ul` is counted steps times the calibrated `step_volume_nl`, since boot;
    `reservoir_ul` is computed from the programmed volume; `active_command_id` is the bolus under way, or the therapy's,
    else 0.
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


@request(0x17, Struct("stream" / Enum(Int8ul, Stream), "interval_ms" / Int32ul))
class Subscribe(Message, frozen=True):
    """Asks for a stream of notifications every `interval_ms`; 0 ends it."""

    stream: Stream | int
    interval_ms: int


@reply(
    0x97,
    Struct("stream" / Enum(Int8ul, Stream), "interval_ms" / Int32ul, "shortest_interval_ms" / Int32ul),
    to=[Subscribe],
)
class Subscription(Message, frozen=True):
    """The stream as it will come: `interval_ms` is what the device really uses, 0 for none.

    `shortest_interval_ms` is the least that the device can do for this stream.
    """

    stream: Stream | int
    interval_ms: int
    shortest_interval_ms: int


@notification(
    0xC0,
    Struct(
        "mode" / Enum(Int8ul, Mode),
        "overflow" / Int16ul,
        "sequence" / Int32ul,
        "device_time_us" / Int64ul,
        "steps" / Int64ul,
        "rate_ul_per_h" / Float32l,
        "head_temperature_c" / Float32l,
        "battery_mv" / Int16ul,
        "alarms" / Enum(Int16ul, Alarm),
    ),
)
class Telemetry(Message, frozen=True):
    """The delivery: one sample of the stream TELEMETRY, 48 bytes on the wire.

    `sequence` counts samples made since boot, `overflow` those the device had to drop.
    """

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
    """Something happened; `argument` is the command id for commands, the bit for alarms, else as its code says."""

    sequence: int
    device_time_us: int
    code: EventCode | int
    argument: int


@notification(
    0xC2,
    Struct(
        "overflow" / Int16ul,
        "sequence" / Int32ul,
        "device_time_us" / Int64ul,
        "steps" / Int64ul,
        "encoder_steps" / Int64sl,
        "step_period_us" / Int32ul,
    ),
)
class MotorTelemetry(Message, frozen=True):
    """The motor: one sample of the stream MOTOR.

    `steps` counts those commanded, `encoder_steps` those seen, both since manufacture; `step_period_us` is the time
    between two steps, 0 at standstill; `sequence` and `overflow` are as in `Telemetry`.
    """

    overflow: int
    sequence: int
    device_time_us: int
    steps: int
    encoder_steps: int
    step_period_us: int


@notification(
    0xC3,
    Struct(
        "overflow" / Int16ul,
        "sequence" / Int32ul,
        "device_time_us" / Int64ul,
        "battery_mv" / Int16ul,
        "battery_used_j" / Float32l,
        "head_temperature_c" / Float32l,
    ),
)
class PowerTelemetry(Message, frozen=True):
    """The supply: one sample of the stream POWER.

    `battery_used_j` is what was drawn since manufacture; `sequence` and `overflow` are as in `Telemetry`.
    """

    overflow: int
    sequence: int
    device_time_us: int
    battery_mv: int
    battery_used_j: float
    head_temperature_c: float
