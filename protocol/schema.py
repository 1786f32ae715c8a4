"""The layouts as a document: what DESCRIBE carries, and what a host may still say to a device of another schema.

The document is JSON: `messages`, `records` (of bulk objects) and `values` (names of enumerations). Its hash, which
HELLO carries, is taken over the layouts as canonical text, so names of values may grow without a new schema.
"""

from __future__ import annotations

import hashlib
import zlib
from enum import IntEnum, IntFlag
from functools import cache
from typing import get_args

import msgspec
from msgspec.structs import fields as struct_fields

from protocol.errors import DecodeError
from protocol.layout import FieldLayout, kind_text
from protocol.messages import THERAPY_TYPES, DescribeRequest, Description, Hello, HelloRequest, Nak
from protocol.registry import BULK_RECORDS, DEFINITIONS, Message, Record, Role

NamedValues = type[IntEnum] | type[IntFlag]

MOST_BYTES = 256 * 1024
FROZEN_TYPES = frozenset({HelloRequest.TYPE, Hello.TYPE, DescribeRequest.TYPE, Description.TYPE})


class FieldSchema(msgspec.Struct, frozen=True):
    """One field: its kind as in the protocol reference, and the name of its enumeration, if it has one."""

    name: str
    kind: str
    values: str = ""


class MessageSchema(msgspec.Struct, frozen=True):
    """One message."""

    type: int
    name: str
    fields: tuple[FieldSchema, ...]


class RecordSchema(msgspec.Struct, frozen=True):
    """The records of one bulk object."""

    object: int
    name: str
    fields: tuple[FieldSchema, ...]


class Schema(msgspec.Struct, frozen=True):
    """All layouts of a device."""

    messages: tuple[MessageSchema, ...]
    records: tuple[RecordSchema, ...]
    values: dict[str, dict[str, int]]

    @property
    def text(self) -> str:
        """Canonical text: a line per message in order of type byte, then one per bulk object."""
        lines = [_line(f"{entry.type:02x}", entry) for entry in sorted(self.messages, key=lambda entry: entry.type)]
        lines += [_line(f"bulk{entry.object:02x}", entry) for entry in sorted(self.records, key=lambda e: e.object)]
        return "\n".join(lines) + "\n"

    @property
    def hash(self) -> bytes:
        """First 8 bytes of the SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).digest()[:8]


def own_schema() -> Schema:
    """The schema of the messages registered here."""
    messages = tuple(
        MessageSchema(type_byte, entry.message.__name__, _fields(entry.codec.fields, entry.message))
        for type_byte, entry in sorted(DEFINITIONS.items())
    )
    records = tuple(
        RecordSchema(int(number), entry.record.__name__, _fields(entry.codec.fields, entry.record))
        for number, entry in sorted(BULK_RECORDS.items())
    )
    return Schema(messages, records, {enum.__name__: _members(enum) for enum in _enums()})


def schema_document() -> bytes:
    """The schema as DESCRIBE carries it: JSON, compressed with zlib."""
    return zlib.compress(msgspec.json.encode(own_schema()), 9)


def read_schema(document: bytes, expected_hash: bytes) -> Schema:
    """The schema in a document that a device sent.

    Raises:
        DecodeError: it is damaged, larger than 256 KiB, lists something twice, or is not the one HELLO announced.
    """
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(document, MOST_BYTES)
    except zlib.error as error:
        raise DecodeError(f"the schema is not zlib data: {error}") from None
    if inflater.unconsumed_tail or not inflater.eof:
        raise DecodeError(f"the schema ends early, or is larger than {MOST_BYTES} bytes")
    try:
        schema = msgspec.json.decode(text, type=Schema)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"the schema is no schema document: {error}") from None
    except UnicodeDecodeError as error:
        raise DecodeError(f"the schema is not UTF-8: {error.reason} at byte {error.start}") from None
    if len({entry.type for entry in schema.messages}) != len(schema.messages):
        raise DecodeError("the schema lists a message type twice")
    if len({entry.object for entry in schema.records}) != len(schema.records):
        raise DecodeError("the schema lists a bulk object twice")
    if schema.hash != expected_hash:
        raise DecodeError(f"the schema has the hash {schema.hash.hex()}, HELLO announced {expected_hash.hex()}")
    return schema


def usable_types(theirs: Schema) -> frozenset[int]:
    """The type bytes of messages that both sides lay out alike.

    A request is usable only with all its replies, and therapy only as a whole; HELLO and DESCRIBE always are. Without
    the same NAK nothing else is.
    """
    ours = {entry.type: entry for entry in own_schema().messages}
    alike = {entry.type for entry in theirs.messages if _same_layout(entry, ours.get(entry.type))}
    if not alike >= THERAPY_TYPES:
        alike -= THERAPY_TYPES
    if Nak.TYPE not in alike:
        return FROZEN_TYPES
    answered = {
        type_byte
        for type_byte in alike
        if DEFINITIONS[type_byte].role is not Role.REQUEST or _replies_to(type_byte) <= alike
    }
    return FROZEN_TYPES | answered


def usable_records(theirs: Schema) -> frozenset[int]:
    """The bulk objects whose records both sides lay out alike."""
    ours = {entry.object: entry for entry in own_schema().records}
    return frozenset(entry.object for entry in theirs.records if _same_layout(entry, ours.get(entry.object)))


def _line(first: str, entry: MessageSchema | RecordSchema) -> str:
    return " ".join([first, entry.name, *(f"{field.name}:{field.kind}" for field in entry.fields)])


def _fields(layout: tuple[FieldLayout, ...], owner: type[Message] | type[Record]) -> tuple[FieldSchema, ...]:
    enums = enums_of(owner)
    return tuple(
        FieldSchema(field.name, kind_text(field), enums[field.name].__name__ if field.name in enums else "")
        for field in layout
    )


@cache
def enums_of(owner: type[Message] | type[Record]) -> dict[str, NamedValues]:
    """The enumerations of a class's fields, by field name."""
    return {
        info.name: member
        for info in struct_fields(owner)
        for member in get_args(info.type)
        if isinstance(member, type) and issubclass(member, (IntEnum, IntFlag))
    }


def _enums() -> list[NamedValues]:
    owners: list[type[Message] | type[Record]] = [entry.record for entry in BULK_RECORDS.values()]
    for entry in DEFINITIONS.values():
        owners += [entry.message, *_records_of(entry.message)]
    found = {enum for owner in owners for enum in enums_of(owner).values()}
    return sorted(found, key=lambda enum: enum.__name__)


@cache
def _records_of(message: type[Message]) -> list[type[Record]]:
    return [
        member
        for info in struct_fields(message)
        for member in get_args(info.type)
        if isinstance(member, type) and issubclass(member, Record)
    ]


def _members(enum: NamedValues) -> dict[str, int]:
    return {name: int(member) for name, member in enum.__members__.items()}


def _same_layout(theirs: MessageSchema | RecordSchema, ours: MessageSchema | RecordSchema | None) -> bool:
    if ours is None or theirs.name != ours.name:
        return False
    return [(f.name, f.kind) for f in theirs.fields] == [(f.name, f.kind) for f in ours.fields]


def _replies_to(request_type: int) -> set[int]:
    return {type_byte for type_byte, entry in DEFINITIONS.items() if request_type in entry.answers}
