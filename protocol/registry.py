"""The register of messages and bulk records: type bytes, who may send what, and which reply answers which request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

import construct
import msgspec

from protocol.derive import Codec, RecordCodec, derive, derive_record
from protocol.enums import BulkObject
from protocol.errors import DecodeError, LayoutError

FIRST_REPLY_TYPE = 0x80
FIRST_NOTIFICATION_TYPE = 0xC0


class Message(msgspec.Struct, frozen=True, gc=False):
    """Base of all message classes; `TYPE` is the type byte."""

    TYPE: ClassVar[int]


class Record(msgspec.Struct, frozen=True, gc=False):
    """Base of the records that a message ends with, several of one size; fields hold scalars, texts and bytes alone."""


MessageT = TypeVar("MessageT", bound=Message)
RecordT = TypeVar("RecordT", bound=Record)


class Role(Enum):
    """Who sends a message and why; the two top bits of the type byte say the same."""

    REQUEST = "host to device, answered once"
    REPLY = "device to host, answers a request"
    NOTIFICATION = "device to host, unasked and unanswered"


@dataclass(frozen=True, slots=True)
class Definition:
    """One message: its type byte, class, construct layout (the definition), and the codec derived from it.

    `to` are the type bytes of the requests it is a reply to; None stands for every request.
    """

    type_byte: int
    role: Role
    message: type[Message]
    layout: construct.Struct
    codec: Codec
    to: frozenset[int] | None

    @property
    def answers(self) -> frozenset[int]:
        """The type bytes of the requests it is a reply to."""
        if self.to is not None:
            return self.to
        return frozenset(other for other, entry in DEFINITIONS.items() if entry.role is Role.REQUEST)


@dataclass(frozen=True, slots=True)
class RecordDefinition:
    """The records of one bulk object: class, construct layout (the definition), and the codec derived from it."""

    object: BulkObject
    record: type[Record]
    layout: construct.Struct
    codec: RecordCodec


DEFINITIONS: dict[int, Definition] = {}
BULK_RECORDS: dict[BulkObject, RecordDefinition] = {}


def request(type_byte: int, layout: construct.Struct) -> Callable[[type[MessageT]], type[MessageT]]:
    """Class decorator: a message the host sends, 0x01 to 0x7F."""
    return _register(type_byte, Role.REQUEST, layout, ())


def reply(
    type_byte: int, layout: construct.Struct, *, to: Sequence[type[Message]] | None
) -> Callable[[type[MessageT]], type[MessageT]]:
    """Class decorator: a message the device answers the requests `to` with, or every one; 0x80 to 0xBF."""
    return _register(type_byte, Role.REPLY, layout, to)


def notification(type_byte: int, layout: construct.Struct) -> Callable[[type[MessageT]], type[MessageT]]:
    """Class decorator: a message the device sends unasked, 0xC0 to 0xFF."""
    return _register(type_byte, Role.NOTIFICATION, layout, ())


def bulk_record(number: BulkObject, layout: construct.Struct) -> Callable[[type[RecordT]], type[RecordT]]:
    """Class decorator: the records that a bulk object is made of."""

    def decorate(record: type[RecordT]) -> type[RecordT]:
        if number in BULK_RECORDS:
            raise LayoutError(f"{record.__name__}: {number.name} already has {BULK_RECORDS[number].record.__name__}")
        BULK_RECORDS[number] = RecordDefinition(number, record, layout, derive_record(layout, record))
        return record

    return decorate


def answers(reply_type: int, request_type: int) -> bool:
    """Whether a message of `reply_type` is an answer to one of `request_type`."""
    entry = DEFINITIONS.get(reply_type)
    if entry is None:
        return False
    return request_type in entry.answers


def encode_payload(message: Message) -> bytes:
    """The payload bytes of a message, without a frame.

    Raises:
        EncodeError: a field holds a value that the wire cannot carry.
    """
    return DEFINITIONS[message.TYPE].codec.encode(message)


def decode_payload(type_byte: int, payload: bytes) -> Message:
    """The message in a payload.

    Raises:
        DecodeError: the type is unknown, or the payload does not fit it.
    """
    entry = DEFINITIONS.get(type_byte)
    if entry is None:
        raise DecodeError(f"message type 0x{type_byte:02X} is unknown")
    message: Message = entry.codec.decode(payload)
    return message


def _register(
    type_byte: int, role: Role, layout: construct.Struct, to: Sequence[type[Message]] | None
) -> Callable[[Any], Any]:
    def decorate(message: type[MessageT]) -> type[MessageT]:
        name = message.__name__
        if type_byte in DEFINITIONS:
            taken = DEFINITIONS[type_byte].message.__name__
            raise LayoutError(f"{name}: type byte 0x{type_byte:02X} already belongs to {taken}")
        if _role_of(type_byte) is not role:
            raise LayoutError(f"{name}: type byte 0x{type_byte:02X} is outside the range of a {role.name.lower()}")
        codec = derive(layout, message)
        message.TYPE = type_byte
        answered = None if to is None else frozenset(request_class.TYPE for request_class in to)
        DEFINITIONS[type_byte] = Definition(type_byte, role, message, layout, codec, answered)
        return message

    return decorate


def _role_of(type_byte: int) -> Role | None:
    if not 0x01 <= type_byte <= 0xFF:
        return None
    if type_byte < FIRST_REPLY_TYPE:
        return Role.REQUEST
    return Role.REPLY if type_byte < FIRST_NOTIFICATION_TYPE else Role.NOTIFICATION
