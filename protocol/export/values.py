"""Values for test vectors: per message a few sets that show byte order, sign, width and padding."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from enum import IntFlag
from typing import Any, TypeAlias

from protocol.export.description import FieldDescription, MessageDescription, RecordDescription
from protocol.framing import MAX_PAYLOAD_BYTES
from protocol.registry import Message, Record

Maker: TypeAlias = Callable[[FieldDescription, int], Any]

_LARGEST = {"f32": (2 - 2.0**-23) * 2.0**127, "f64": (2 - 2.0**-52) * 2.0**1023}
_SMALLEST = {"f32": 2.0**-149, "f64": 2.0**-1074}
_TYPICAL_TAIL_BYTES = 16
_SEVERAL = 3


def message_sets(message: MessageDescription) -> Iterator[tuple[str, Message]]:
    """Named values of a message, the same at every call; a message without fields has one, empty.

    zero; minimum; maximum (every bit of an integer set, every text and tail full); typical (bytes that all differ, so
    that order shows); where there are floats: small (−0.0 and the smallest subnormal), infinite, and nan. Records are
    as many as fit for maximum, one for zero and minimum, else three; without records is a set of its own.
    """
    if not message.fields:
        yield "empty", message.message()
        return
    numbers = {"zero": 1, "minimum": 1, "maximum": message.most_records}
    for name, make in _makers(_leaves(message)):
        number = min(numbers.get(name, _SEVERAL), message.most_records)
        yield name, _filled(message, make, _records(message.records, make, number))
    if message.records is not None:
        yield "without records", _filled(message, _zero, ())


def record_sets(record: RecordDescription) -> Iterator[tuple[str, Record]]:
    """Named values of a record that stands alone, as those of a message."""
    for name, make in _makers(record.fields):
        yield name, _record(record, make, 0)


def _makers(fields: tuple[FieldDescription, ...]) -> Iterator[tuple[str, Maker]]:
    yield from (("zero", _zero), ("minimum", _minimum), ("maximum", _maximum), ("typical", _typical))
    if any(_is_float(field) for field in fields):
        yield from (("small", _small), ("infinite", _infinite), ("nan", _nan))


def _leaves(message: MessageDescription) -> tuple[FieldDescription, ...]:
    return message.fields if message.records is None else (*message.fields[:-1], *message.records.fields)


def _filled(message: MessageDescription, make: Maker, records: tuple[Record, ...]) -> Message:
    values = {
        field.name: records if field.record is not None else make(field, position)
        for position, field in enumerate(message.fields)
    }
    return message.message(**values)


def _records(record: RecordDescription | None, make: Maker, number: int) -> tuple[Record, ...]:
    return () if record is None else tuple(_record(record, make, place) for place in range(number))


def _record(record: RecordDescription, make: Maker, place: int) -> Record:
    return record.record(**{field.name: make(field, place + position) for position, field in enumerate(record.fields)})


def _is_float(field: FieldDescription) -> bool:
    return field.kind in _LARGEST


def _room(field: FieldDescription) -> int:
    return MAX_PAYLOAD_BYTES - field.offset if field.is_tail else field.size


def _zero(field: FieldDescription, position: int) -> Any:
    if field.c_type == "char":
        return ""
    if field.count is not None:
        return bytes(field.size)
    return 0.0 if _is_float(field) else 0


def _minimum(field: FieldDescription, position: int) -> Any:
    if _is_float(field):
        return -_LARGEST[field.kind]
    return -(1 << 8 * field.size - 1) if field.kind[0] == "i" else _zero(field, position)


def _maximum(field: FieldDescription, position: int) -> Any:
    if field.c_type == "char":
        return "µ" * (field.size // 2) + "x" * (field.size % 2)
    if field.count is not None:
        return b"\xff" * _room(field)
    if _is_float(field):
        return _LARGEST[field.kind]
    return (1 << 8 * field.size - (field.kind[0] == "i")) - 1


def _typical(field: FieldDescription, position: int) -> Any:
    if field.c_type == "char":
        return f"µ {field.name}".encode()[: field.size].decode(errors="ignore")
    first = 16 * position + 1
    if field.count is not None:
        size = _TYPICAL_TAIL_BYTES if field.is_tail else field.size
        return bytes((first + step) % 256 for step in range(size))
    if _is_float(field):
        return struct.unpack("<f", struct.pack("<f", 0.1 + position))[0] if field.kind == "f32" else 0.1 + position
    if field.values is not None:
        known = [int(member.value) for member in field.values.__members__.values()]
        one = known[position % len(known)]
        return one | known[-1] if issubclass(field.values, IntFlag) else one
    pattern = bytes((first + step) % 256 for step in range(field.size))
    value = int.from_bytes(pattern, "little", signed=field.kind[0] == "i")
    return ~value if field.kind[0] == "i" else value


def _small(field: FieldDescription, position: int) -> Any:
    if _is_float(field):
        return -0.0 if position % 2 else _SMALLEST[field.kind]
    return _one(field, position)


def _infinite(field: FieldDescription, position: int) -> Any:
    if _is_float(field):
        return -math.inf if position % 2 else math.inf
    return _one(field, position)


def _nan(field: FieldDescription, position: int) -> Any:
    return math.nan if _is_float(field) else _one(field, position)


def _one(field: FieldDescription, position: int) -> Any:
    return _zero(field, position) if field.count is not None else 1
