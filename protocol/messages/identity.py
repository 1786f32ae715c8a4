"""Who the device is and how it lays out its messages: HELLO and DESCRIBE, frozen for ever, and its firmware."""

from __future__ import annotations

from construct import Bytes, Enum, GreedyBytes, Int8ul, Int16ul, Int32ul, Int64sl, Int64ul, Struct

from protocol.enums import Capability, ResetCause
from protocol.messages.sizes import FIRMWARE_VERSION_BYTES, HASH_BYTES, MODEL_BYTES, SERIAL_NUMBER_BYTES, text
from protocol.registry import Message, reply, request

REVISION_BYTES = 16
IMAGE_HASH_BYTES = 32


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
        "capabilities" / Enum(Int32ul, Capability),
        "mtu" / Int16ul,
        "boot_id" / Int32ul,
        "last_command_id" / Int64ul,
        "model" / text(MODEL_BYTES),
        "serial_number" / text(SERIAL_NUMBER_BYTES),
        "firmware_version" / text(FIRMWARE_VERSION_BYTES),
    ),
    to=[HelloRequest],
)
class Hello(Message, frozen=True):
    """Who the device is. Frozen for ever: a host of any version can read it.

    `mtu` is the largest payload in bytes it takes, `boot_id` differs after every reset, `last_command_id` is the
    highest dosing command it has accepted.
    """

    protocol_major: int
    protocol_minor: int
    schema_hash: bytes
    capabilities: Capability | int
    mtu: int
    boot_id: int
    last_command_id: int
    model: str
    serial_number: str
    firmware_version: str


@request(0x03, Struct("offset" / Int32ul))
class DescribeRequest(Message, frozen=True):
    """Asks for a part of the device's schema, from byte `offset` on. Frozen for ever."""

    offset: int


@reply(0x83, Struct("total_bytes" / Int32ul, "offset" / Int32ul, "data" / GreedyBytes), to=[DescribeRequest])
class Description(Message, frozen=True):
    """A part of the schema, which is JSON, compressed with zlib. Frozen for ever.

    `total_bytes` is the size of the whole, compressed; `data` is as much of it from `offset` on as the device's MTU
    holds, empty at the end.
    """

    total_bytes: int
    offset: int
    data: bytes


@request(0x04, Struct())
class FirmwareInformationRequest(Message, frozen=True):
    """Asks for `FirmwareInformation`."""


@reply(
    0x84,
    Struct(
        "image_sha256" / Bytes(IMAGE_HASH_BYTES),
        "built_utc_s" / Int64sl,
        "firmware_version" / text(FIRMWARE_VERSION_BYTES),
        "bootloader_version" / text(REVISION_BYTES),
        "hardware_revision" / text(REVISION_BYTES),
        "boot_id" / Int32ul,
        "uptime_s" / Int32ul,
        "reset_cause" / Enum(Int8ul, ResetCause),
    ),
    to=[FirmwareInformationRequest],
)
class FirmwareInformation(Message, frozen=True):
    """What runs on the device and since when.

    `image_sha256` is over the firmware image as it is stored; `built_utc_s` counts seconds since 1970-01-01 UTC.
    """

    image_sha256: bytes
    built_utc_s: int
    firmware_version: str
    bootloader_version: str
    hardware_revision: str
    boot_id: int
    uptime_s: int
    reset_cause: ResetCause | int
