"""The register of messages: type bytes, who may send what, and which reply answers which request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

import construct
import msgspec

from protocol.derive import Codec, derive
from protocol.errors import DecodeError, LayoutError

FIRST_REPLY_TYPE = 0x80
FIRST_NOTIFICATION_TYPE = 0xC0


class Message(msgspec.Struct, frozen=True, gc=False):
    """Base of all message classes; `TYPE` is the type byte."""

    TYPE: ClassVar[int]


MessageT = TypeVar("MessageT", bound=Message)


class Role(Enum):
    """Who sends a message and why; the two top bits of the type byte say the same."""

    REQUEST = "host to device, answered once"
    REPLY = "device to host, answers a request"
    NOTIFICATION = "device to host, unasked and unanswered"


@dataclass(frozen=True, slots=True)
class Definition:
    """One message: its type byte, class, construct layout (the definition), and the codec derived from it.

    `answers` are the type bytes of the requests it is a reply to.
    """

    type_byte: int
    role: Role
    message: type[Message]
    layout: construct.Struct
    codec: Codec
    answers: frozenset[int]


DEFINITIONS: dict[int, Definition] = {}


def request(type_byte: int, layout: construct.Struct) -> Callable[[type[MessageT]], type[MessageT]]:
    """Class decorator: a message the host sends, 0x01 to 0x7F."""
    return _register(type_byte, Role.REQUEST, layout, ())


def reply(
    type_byte: int, layout: construct.Struct, *, to: Sequence[type[Message]]
) -> Callable[[type[MessageT]], type[MessageT]]:
    """Class decorator: a message the device answers the requests `to` with, 0x80 to 0xBF."""
    return _register(type_byte, Role.REPLY, layout, to)


def notification(type_byte: int, layout: construct.Struct) -> Callable[[type[MessageT]], type[MessageT]]:
    """Class decorator: a message the device sends unasked, 0xC0 to 0xFF."""
    return _register(type_byte, Role.NOTIFICATION, layout, ())


def all_requests() -> tuple[type[Message], ...]:
    """The requests registered so far; what a NAK answers."""
    return tuple(entry.message for entry in DEFINITIONS.values() if entry.role is Role.REQUEST)


def answers(reply_type: int, request_type: int) -> bool:
    """Whether a message of `reply_type` is an answer to one of `request_type`."""
    entry = DEFINITIONS.get(reply_type)
    return entry is not None and request_type in entry.answers


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


def schema_text() -> str:
    """All layouts as canonical text: a line per message in order of type byte, its name, then name:kind per field.

    Names of enumeration values are not layout and stay out: a device may learn a new alarm and keep its schema.
    """
    lines = []
    for type_byte, entry in sorted(DEFINITIONS.items()):
        fields = (f"{field.name}:{field.kind}" for field in entry.codec.fields)
        lines.append(" ".join([f"{type_byte:02x}", entry.message.__name__, *fields]))
    return "\n".join(lines) + "\n"


def schema_hash() -> bytes:
    """First 8 bytes of the SHA-256 of `schema_text`, as HELLO carries it."""
    return hashlib.sha256(schema_text().encode("ascii")).digest()[:8]


def _register(
    type_byte: int, role: Role, layout: construct.Struct, to: Sequence[type[Message]]
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
        answered = frozenset(request_class.TYPE for request_class in to)
        DEFINITIONS[type_byte] = Definition(type_byte, role, message, layout, codec, answered)
        return message

    return decorate


def _role_of(type_byte: int) -> Role | None:
    if not 0x01 <= type_byte <= 0xFF:
        return None
    if type_byte < FIRST_REPLY_TYPE:
        return Role.REQUEST
    return Role.REPLY if type_byte < FIRST_NOTIFICATION_TYPE else Role.NOTIFICATION
