"""Generates the functions of a codec as Python source, one straight line per message, and compiles them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from protocol.checks import Field, fault_finder, members, outgoing, refuser
from protocol.errors import DecodeError
from protocol.layout import FieldLayout, RecordLayout, head_struct

Names = dict[str, Any]


def encoder(message: type[msgspec.Struct], fields: tuple[Field, ...]) -> Callable[[Any], bytes]:
    """A function from a message to its payload; it raises EncodeError, naming message and field."""
    owner = message.__name__
    names: Names = {"refuse": refuser(owner, fields), "error": struct.error, "pack": head_of(fields).pack}
    packed, tail = packing(owner, fields, names)
    source = f"""
def encode(message):
    try:
        return pack({", ".join(packed)}){f" + {tail}" if tail else ""}
    except (error, OverflowError):
        raise refuse(message) from None
"""
    encode: Callable[[Any], bytes] = compiled("encode", source, names, owner)
    return encode


def decoder(message: type[msgspec.Struct], fields: tuple[Field, ...]) -> Callable[[bytes], Any]:
    """A function from a payload to its message; it raises DecodeError, naming message and field."""
    owner = message.__name__
    fault = fault_finder(owner, fields)

    def refuse(payload: bytes) -> DecodeError:
        return DecodeError(fault(payload) or f"the payload of {owner} does not decode")

    names: Names = {"refuse": refuse, "unpack": head_of(fields).unpack_from, "message_class": message}
    values = unpacked_names(fields)
    source = f"""
def decode(payload):
    if {misfit(fields, names)}:
        raise refuse(payload)
    try:
        {f"{values}, = unpack(payload)" if values else "pass"}
        return {construction(fields, names)}
    except UnicodeDecodeError:
        raise refuse(payload) from None
"""
    decode: Callable[[bytes], Any] = compiled("decode", source, names, owner)
    return decode


def compiled(name: str, source: str, names: Names, owner: str) -> Any:
    """The function `name` that `source` defines, with `names` as its globals."""
    exec(compile(source, f"<{name} of {owner}>", "exec"), names)
    return names[name]


def head_of(fields: tuple[Field, ...]) -> struct.Struct:
    """The fixed fields as a `struct` format."""
    return head_struct(tuple(field.layout for field in fields))


def packing(owner: str, fields: tuple[Field, ...], names: Names) -> tuple[list[str], str]:
    """Expressions over `message`: what is packed into the head, and the bytes of the tail, "" without one."""
    packed, tail = [], ""
    for position, field in enumerate(fields):
        value = f"message.{field.layout.name}"
        encode_record = encoder(field.records.message, field.records.fields) if field.records else None
        if (check := outgoing(owner, field, encode_record)) is not None:
            names[f"check_{position}"] = check
            value = f"check_{position}({value})"
        if field.layout.is_tail:
            tail = value
        else:
            packed.append(value)
    return packed, tail


def unpacked_names(fields: tuple[Field, ...], prefix: str = "") -> str:
    """The local names that the values of the head are unpacked to."""
    return ", ".join(f"{prefix}v{position}" for position, field in enumerate(fields) if not field.layout.is_tail)


def construction(
    fields: tuple[Field, ...],
    names: Names,
    message_class: str = "message_class",
    prefix: str = "",
    *,
    known_alone: bool = False,
) -> str:
    """An expression over those names, and `payload` for a tail, that builds the message.

    With `known_alone` it raises KeyError for a number of an enumeration that was not met before, and is faster.
    """
    arguments = []
    for position, field in enumerate(fields):
        value, convert = f"{prefix}v{position}", f"{prefix}convert_{position}"
        if field.enum is not None:
            names[convert] = members(field.enum).known if known_alone else members(field.enum)
            value = f"{convert}[{value}]"
        elif field.layout.kind.startswith("text"):
            value = f'{value}.rstrip(b"\\0").decode("utf-8")'
        elif field.layout.kind == "tail":
            value = f"payload[{field.layout.offset}:]"
        elif field.records is not None and field.layout.record is not None:
            value = _records(field, field.layout.record, names, known_alone)
        arguments.append(value)
    return f"{message_class}({', '.join(arguments)})"


def misfit(fields: tuple[Field, ...], names: Names) -> str:
    """An expression over `payload`: whether its length is wrong."""
    size = head_of(fields).size
    tail = tail_of(fields)
    if tail is None:
        return f"len(payload) != {size}"
    if tail.record is None:
        return f"len(payload) < {size}"
    count = struct.Struct("<" + tail.record.count_code)
    least = size + count.size
    names["count"] = count.unpack_from
    return f"len(payload) < {least} or len(payload) != {least} + {tail.record.size} * count(payload, {size})[0]"


def tail_of(fields: tuple[Field, ...]) -> FieldLayout | None:
    """The tail, if there is one."""
    return fields[-1].layout if fields and fields[-1].layout.is_tail else None


def _records(field: Field, record: RecordLayout, names: Names, known_alone: bool) -> str:
    if field.records is None:
        raise AssertionError(f"{field.layout.name}: records without their class")
    names["record_class"], names["iter_unpack"] = field.records.message, record.head.iter_unpack
    start = field.layout.offset + struct.calcsize("<" + record.count_code)
    built = construction(field.records.fields, names, "record_class", "record_", known_alone=known_alone)
    values = unpacked_names(field.records.fields, "record_")
    return f"tuple([{built} for {values}, in iter_unpack(payload[{start}:])])"
