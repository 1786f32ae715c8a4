"""What the generated functions call: the checks of values on their way out and of payloads on their way in."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import cache
from typing import Any

import msgspec

from protocol.errors import EncodeError
from protocol.layout import FieldLayout, head_struct

_MOST_KNOWN = 4096  # numbers of one enumeration, lest a hostile sender fill the memory


@dataclass(frozen=True, slots=True)
class RecordClass:
    """The class of the records of a tail, and its fields."""

    message: type[msgspec.Struct]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a layout and what its value is in the class: a member of `enum`, `records`, or plain."""

    layout: FieldLayout
    enum: type[IntEnum | IntFlag] | None = None
    records: RecordClass | None = None


def fault_finder(owner: str, fields: tuple[Field, ...]) -> Callable[[bytes], str | None]:
    """A check that a payload decodes, without decoding it: the length, and the texts where there are any."""
    size = head_struct(tuple(field.layout for field in fields)).size
    tail = fields[-1].layout if fields and fields[-1].layout.is_tail else None
    record = None if tail is None else tail.record
    texts = _texts(field.layout for field in fields)
    texts_of_record = [] if record is None else _texts(record.fields)
    count = struct.Struct("<" + record.count_code) if record else struct.Struct("")
    least = size + count.size

    def fault(payload: bytes) -> str | None:
        if len(payload) < least or (tail is None and len(payload) != size):
            must = f"{size}" if tail is None else f"at least {least}"
            return f"the payload of {owner} has {len(payload)} bytes and must have {must}"
        if tail is not None and record is not None:
            (number,) = count.unpack_from(payload, size)
            if len(payload) != least + number * record.size:
                return (
                    f"the payload of {owner} has {len(payload)} bytes and must have {least + number * record.size}: "
                    f"it announces {number} {tail.name} of {record.size} bytes each"
                )
            for place in range(number if texts_of_record else 0):
                start = least + place * record.size
                reason = _text_fault(f"{owner}.{tail.name}[{place}]", payload[start : start + record.size],
                                     texts_of_record)  # fmt: skip
                if reason is not None:
                    return reason
        return _text_fault(owner, payload, texts) if texts else None

    return fault


def outgoing(owner: str, field: Field, encode_record: Callable[[Any], bytes] | None) -> Callable[[Any], Any] | None:
    """What checks and converts a value before it is packed; None where packing itself refuses a wrong one."""
    layout = field.layout
    where = f"{owner}.{layout.name}"
    if layout.kind.startswith("text"):
        return lambda value: _text_to_wire(value, where, layout.size)
    if layout.kind == "tail":
        return lambda value: _checked_bytes(value, where, None)
    if layout.kind.startswith("bytes"):
        return lambda value: _checked_bytes(value, where, layout.size)
    if field.records is None or layout.record is None or encode_record is None:
        return None
    record_class = field.records.message
    count = struct.Struct("<" + layout.record.count_code)
    most = (1 << 8 * count.size) - 1

    def records_to_wire(value: Any) -> bytes:
        if not isinstance(value, tuple) or not all(isinstance(each, record_class) for each in value):
            raise EncodeError(f"{where} must be a tuple of {record_class.__name__}, not {value!r}")
        if len(value) > most:
            raise EncodeError(f"{where} takes at most {most} records, not {len(value)}")
        return count.pack(len(value)) + b"".join(map(encode_record, value))

    return records_to_wire


def refuser(owner: str, fields: tuple[Field, ...]) -> Callable[[Any], EncodeError]:
    """Finds the field that did not pack."""
    plain = [field.layout for field in fields if field.layout.code and not field.layout.code.endswith("s")]

    def refuse(message: Any) -> EncodeError:
        for layout in plain:
            value = getattr(message, layout.name)
            try:
                struct.pack("<" + layout.code, value)
            except (struct.error, OverflowError) as error:
                return EncodeError(f"{owner}.{layout.name} cannot carry {value!r} as {layout.kind}: {error}")
        raise AssertionError(f"{owner}: packing failed although every field packs")

    return refuse


class Members(dict[int, Any]):
    """What each number becomes: the member where all of it is known, else itself.

    `known` holds the numbers met so far, as a plain dict: Python looks into one of those faster than into a subclass.
    """

    def __init__(self, enum: type[IntEnum | IntFlag]) -> None:
        super().__init__()
        self.known: dict[int, Any] = {}
        self._enum = enum
        self._values = frozenset(map(int, enum))
        self._bits = sum(enum) if issubclass(enum, IntFlag) else 0

    def __missing__(self, value: int) -> Any:
        is_member = value in self._values or (issubclass(self._enum, IntFlag) and not value & ~self._bits)
        member = self._enum(value) if is_member else value
        if len(self.known) == _MOST_KNOWN:
            self.clear()
            self.known.clear()
        self[value] = self.known[value] = member
        return member


@cache
def members(enum: type[IntEnum | IntFlag]) -> Members:
    """The members of an enumeration by number, one object for all fields that hold it."""
    return Members(enum)


def _texts(layouts: Iterable[FieldLayout]) -> list[FieldLayout]:
    return [layout for layout in layouts if layout.kind.startswith("text")]


def _text_fault(owner: str, octets: bytes, texts: list[FieldLayout]) -> str | None:
    for text in texts:
        try:
            octets[text.offset : text.offset + text.size].decode("utf-8")
        except UnicodeDecodeError as error:
            return f"{owner}.{text.name} is not UTF-8: {error.reason} at byte {error.start}"
    return None


def _text_to_wire(text: Any, where: str, size: int) -> bytes:
    if not isinstance(text, str):
        raise EncodeError(f"{where} must be a str, not {text!r}")
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodeError(f"{where} cannot be written as UTF-8: {error.reason}") from None
    if len(encoded) > size:
        raise EncodeError(f"{where} takes at most {size} bytes of UTF-8, {text!r} has {len(encoded)}")
    return encoded


def _checked_bytes(value: Any, where: str, size: int | None) -> bytes:
    if not isinstance(value, bytes):
        raise EncodeError(f"{where} must be bytes, not {value!r}")
    if size is not None and len(value) != size:
        raise EncodeError(f"{where} takes exactly {size} bytes, not {len(value)}")
    return value
