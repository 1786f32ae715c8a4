"""What an export knows of the messages: the walked layouts, with unit, named values and meaning at each field."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, get_args

from msgspec.structs import fields as struct_fields

from protocol.errors import LayoutError
from protocol.registry import DEFINITIONS, Definition, Message, Role

NamedValues = type[IntEnum] | type[IntFlag]

_UNITS = {
    "ul_per_h": "µL/h", "ul": "µL", "nl": "nL", "ml": "mL",
    "ns": "ns", "us": "µs", "ms": "ms", "s": "s", "h": "h", "hz": "Hz", "ppm": "ppm", "pct": "%",
    "mv": "mV", "v": "V", "ma": "mA", "ua": "µA", "c": "°C", "hpa": "hPa", "kpa": "kPa", "mg": "mg", "bytes": "B",
}  # fmt: skip
_INTEGERS = {
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
    "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t",
}  # fmt: skip
_FLOATS = {"f32": "float", "f64": "double"}
_ARRAYS = re.compile(r"(bytes|text)(\d+)")
_CLAUSE_ENDS = re.compile(r"[;:]\s+(?=`)|;\s+|\.(?:\s+|$)|(?<!`),\s+(?=`)")
_SUBJECT = re.compile(r"((?:`\w+`(?:,\s+|\s+and\s+))*`\w+`)(?::|\s+is|\s+are)?\s+(.+)", re.DOTALL)
_NAMED_VALUE = re.compile(r"\b([A-Z][A-Z0-9_]+): (.*?)(?=\s[A-Z][A-Z0-9_]+: |\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One field. `c_type` is its element's type, `count` the array's length: None for a scalar, 0 for the tail."""

    name: str
    kind: str
    offset: int
    size: int
    c_type: str
    count: int | None
    unit: str
    values: NamedValues | None
    meaning: str

    @property
    def is_tail(self) -> bool:
        """Whether it is all that is left of the payload."""
        return self.kind == "tail"

    @property
    def c_type_text(self) -> str:
        """The type as a table shows it: `uint8_t`, `char[24]`, `uint8_t[]` for the tail."""
        if self.count is None:
            return self.c_type
        return f"{self.c_type}[{self.count or ''}]"


@dataclass(frozen=True, slots=True)
class MessageDescription:
    """One message. `head_bytes` is the payload without the tail; `answers` and `answered_by` are message names."""

    name: str
    type_byte: int
    role: Role
    message: type[Message]
    text: str
    fields: tuple[FieldDescription, ...]
    head_bytes: int
    answers: tuple[str, ...]
    answered_by: tuple[str, ...]

    @property
    def has_tail(self) -> bool:
        """Whether the payload may be longer than its head."""
        return bool(self.fields) and self.fields[-1].is_tail

    @property
    def direction(self) -> str:
        """Who sends it."""
        return "host to device" if self.role is Role.REQUEST else "device to host"


def describe_messages() -> tuple[MessageDescription, ...]:
    """All registered messages in order of their type bytes.

    Raises:
        LayoutError: a field is of a kind that the exports have no C type for.
    """
    return tuple(_describe(entry) for _, entry in sorted(DEFINITIONS.items()))


def describe_enums() -> tuple[NamedValues, ...]:
    """The enumerations that fields refer to, by name."""
    found = {field.values for message in describe_messages() for field in message.fields if field.values is not None}
    return tuple(sorted(found, key=lambda enum: enum.__name__))


def unit_of(name: str) -> str:
    """The unit that the suffix of a field's name states; empty for a plain number."""
    for suffix in sorted(_UNITS, key=len, reverse=True):
        if name.endswith("_" + suffix):
            return _UNITS[suffix]
    return ""


def snake_case(name: str) -> str:
    """The name of a class as other languages write it: `status_request` of `StatusRequest`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def value_meanings(enum: NamedValues) -> dict[str, str]:
    """What the docstring of an enumeration says about its values, in the form `NAME: meaning.`."""
    text = inspect.getdoc(enum) or ""
    return {name: _one_line(meaning) for name, meaning in _NAMED_VALUE.findall(text) if name in enum.__members__}


def field_meanings(text: str) -> dict[str, str]:
    """What a docstring says about fields: each clause whose subject is one or more names in backticks."""
    found: dict[str, str] = {}
    for clause in _CLAUSE_ENDS.split(text):
        if match := _SUBJECT.fullmatch(clause.strip()):
            for name in re.findall(r"`(\w+)`", match[1]):
                found.setdefault(name, _one_line(match[2]))
    return found


def c_type_of(kind: str) -> tuple[str, int | None]:
    """Element type and array length of a field's kind; None for a scalar, 0 for the tail.

    Raises:
        LayoutError: the kind is unknown here.
    """
    if kind == "tail":
        return "uint8_t", 0
    if array := _ARRAYS.fullmatch(kind):
        return "uint8_t" if array[1] == "bytes" else "char", int(array[2])
    if scalar := _INTEGERS.get(kind) or _FLOATS.get(kind):
        return scalar, None
    raise LayoutError(
        f"a field of kind {kind} has no C type for the exports; add one to protocol/export/description.py"
    )


def _describe(entry: Definition) -> MessageDescription:
    text = inspect.getdoc(entry.message) or ""
    meanings = field_meanings(text)
    declared = {info.name: info.type for info in struct_fields(entry.message)}
    described = []
    for field in entry.codec.fields:
        c_type, count = c_type_of(field.kind)
        values = _named_values(declared[field.name]) if field.names is not None else None
        described.append(
            FieldDescription(
                field.name, field.kind, field.offset, field.size, c_type, count,
                unit_of(field.name), values, meanings.get(field.name, ""),
            )
        )  # fmt: skip
    return MessageDescription(
        name=entry.message.__name__,
        type_byte=entry.type_byte,
        role=entry.role,
        message=entry.message,
        text=text,
        fields=tuple(described),
        head_bytes=entry.codec.head.size,
        answers=tuple(DEFINITIONS[other].message.__name__ for other in sorted(entry.answers)),
        answered_by=tuple(
            other.message.__name__ for _, other in sorted(DEFINITIONS.items()) if entry.type_byte in other.answers
        ),
    )


def _named_values(declared: Any) -> NamedValues:
    (enum,) = (member for member in get_args(declared) if issubclass(member, (IntEnum, IntFlag)))
    named: NamedValues = enum
    return named


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
