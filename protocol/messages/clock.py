"""The exchange that maps the device's clock onto the host's."""

from __future__ import annotations

from construct import Int32ul, Int64ul, Struct

from protocol.registry import Message, reply, request


@request(0x05, Struct("host_time_us" / Int64ul))
class ClockRequest(Message, frozen=True):
    """Carries the host's clock when it is sent, in a host's own count; a retry carries the first attempt's."""

    host_time_us: int


@reply(
    0x85,
    Struct(
        "host_time_us" / Int64ul,
        "received_us" / Int64ul,
        "sent_us" / Int64ul,
        "boot_id" / Int32ul,
    ),
    to=[ClockRequest],
)
class ClockReply(Message, frozen=True):
    """With the host's time at arrival, four time stamps.

    `host_time_us` is the request's; `received_us` is the device time at which the request came; `sent_us` is the device
    time at which this reply went out; `boot_id` is as in `Hello`, since device time starts at 0 at every boot.
    """

    host_time_us: int
    received_us: int
    sent_us: int
    boot_id: int
