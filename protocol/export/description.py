"""What an export knows of messages and records: walked layouts, with unit, named values and meaning at each field."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from typing import get_args

from msgspec.structs import fields as struct_fields

from protocol.enums import BulkObject
from protocol.errors import LayoutError
from protocol.export import frame
from protocol.framing import MAX_PAYLOAD_BYTES
from protocol.layout import FieldLayout, kind_text
from protocol.registry import BULK_RECORDS, DEFINITIONS, Definition, Message, Record, Role
from protocol.schema import NamedValues, enums_of

_UNITS = {
    "ul_per_h": "µL/h", "ul": "µL", "nl": "nL", "ml": "mL",
    "ns": "ns", "us": "µs", "ms": "ms", "s": "s", "min": "min", "h": "h", "hz": "Hz", "ppm": "ppm", "pct": "%",
    "mv": "mV", "v": "V", "ma": "mA", "ua": "µA", "c": "°C", "hpa": "hPa", "kpa": "kPa", "mg": "mg", "j": "J",
    "bytes": "B",
}  # fmt: skip
_INTEGERS = {
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t",
    "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t",
}  # fmt: skip
_FLOATS = {"f32": "float", "f64": "double"}
_ARRAYS = re.compile(r"(bytes|text)(\d+)")
_CLAUSE_ENDS = re.compile(r"[;:]\s+(?=`)|;\s+|\.(?:\s+|$)|(?<!`),\s+(?=`)")
_SUBJECT = re.compile(r"((?:`\w+`(?:,\s+|\s+and\s+))*`\w+`)(:|\s+is|\s+are)?\s+(.+)", re.DOTALL)
_NAMED_VALUE = re.compile(r"\b([A-Z][A-Z0-9_]+): (.*?)(?=\s[A-Z][A-Z0-9_]+: |\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One field. `c_type` is its element's type, `count` the array's length: None for a scalar, 0 for the tail.

    A tail of records has their layout in `record`, and in `count_kind` the kind of the number in front of them.
    """

    name: str
    kind: str
    offset: int
    size: int
    c_type: str
    count: int | None
    unit: str = ""
    values: NamedValues | None = None
    meaning: str = ""
    record: RecordDescription | None = None
    count_kind: str = ""

    @property
    def is_tail(self) -> bool:
        """Whether it is all that is left of the payload, as bytes or as records."""
        return self.kind in ("tail", "records")

    @property
    def c_type_text(self) -> str:
        """The type as a table shows it: `uint8_t`, `char[24]`, `uint8_t[]` for the tail."""
        if self.count is None:
            return self.c_type
        return f"{self.c_type}[{self.count or ''}]"


@dataclass(frozen=True, slots=True)
class RecordDescription:
    """Records of `size` bytes each; offsets count from a record's start. A CRC behind it is not among the fields."""

    name: str
    record: type[Record]
    text: str
    fields: tuple[FieldDescription, ...]
    size: int


@dataclass(frozen=True, slots=True)
class BulkDescription:
    """What a bulk object is a row of: a record, and a CRC behind each."""

    object: BulkObject
    record: RecordDescription

    @property
    def record_bytes(self) -> int:
        """Bytes from one record to the next, CRC included."""
        return self.record.size + frame.CRC_BYTES


@dataclass(frozen=True, slots=True)
class MessageDescription:
    """One message. `least_bytes` is the payload with an empty tail; `answers` and `answered_by` are message names."""

    name: str
    type_byte: int
    role: Role
    message: type[Message]
    text: str
    fields: tuple[FieldDescription, ...]
    least_bytes: int
    answers: tuple[str, ...]
    answered_by: tuple[str, ...]

    @property
    def has_tail(self) -> bool:
        """Whether the length of the payload differs from message to message."""
        return bool(self.fields) and self.fields[-1].is_tail

    @property
    def records(self) -> RecordDescription | None:
        """What the payload ends with several of, if it does."""
        return self.fields[-1].record if self.fields else None

    @property
    def most_records(self) -> int:
        """As many records as count and payload can hold; 0 without records."""
        if self.records is None:
            return 0
        countable = (1 << 8 * c_size(self.fields[-1].count_kind)) - 1
        return min(countable, (MAX_PAYLOAD_BYTES - self.least_bytes) // self.records.size)

    @property
    def most_bytes(self) -> int:
        """The largest payload."""
        if self.records is not None:
            return self.least_bytes + self.most_records * self.records.size
        return MAX_PAYLOAD_BYTES if self.has_tail else self.least_bytes

    @property
    def wire_fields(self) -> tuple[FieldDescription, ...]:
        """The fields as they lie: the number of `steps` is a field of its own, `steps_count`, in front of them."""
        if self.records is None:
            return self.fields
        tail = self.fields[-1]
        count = plain_field(f"{tail.name}_count", tail.count_kind, tail.offset, f"how many `{tail.name}` follow")
        return (*self.fields[:-1], count, replace(tail, offset=count.offset + count.size))

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


def describe_bulk() -> tuple[BulkDescription, ...]:
    """All bulk objects in order of their numbers.

    Raises:
        LayoutError: a field is of a kind that the exports have no C type for.
    """
    return tuple(
        BulkDescription(number, _describe_record(entry.record, entry.codec.fields, entry.codec.head.size))
        for number, entry in sorted(BULK_RECORDS.items())
    )


def describe_records() -> tuple[RecordDescription, ...]:
    """The records of messages, then those of bulk objects, each once.

    Raises:
        LayoutError: two layouts have records of one name.
    """
    in_messages = [message.records for message in describe_messages() if message.records is not None]
    found: dict[str, RecordDescription] = {}
    for record in [*in_messages, *(bulk.record for bulk in describe_bulk())]:
        if found.setdefault(record.name, record) != record:
            raise LayoutError(f"two layouts have records called {record.name}; give one of them another class")
    return tuple(found.values())


def describe_enums() -> tuple[NamedValues, ...]:
    """The enumerations that fields refer to, by name."""
    owners: list[MessageDescription | RecordDescription] = [*describe_messages(), *describe_records()]
    found = {field.values for owner in owners for field in owner.fields if field.values is not None}
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
    """What a docstring says about fields: each clause whose subject is one or more names in backticks.

    Of several, the first that says what the field is; else the first.
    """
    mentioned: dict[str, str] = {}
    defined: dict[str, str] = {}
    for clause in _CLAUSE_ENDS.split(text):
        if match := _SUBJECT.fullmatch(clause.strip()):
            for name in re.findall(r"`(\w+)`", match[1]):
                (defined if match[2] else mentioned).setdefault(name, _one_line(match[3]))
    return mentioned | defined


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


def c_size(kind: str) -> int:
    """The bytes of a field by its kind, which must not be a tail."""
    array = _ARRAYS.fullmatch(kind)
    return int(array[2]) if array else int(kind[1:]) // 8


def plain_field(name: str, kind: str, offset: int, meaning: str = "") -> FieldDescription:
    """A field that no class has: of the frame, or a count."""
    return FieldDescription(name, kind, offset, c_size(kind), *c_type_of(kind), meaning=meaning)


def _describe(entry: Definition) -> MessageDescription:
    fields = _describe_fields(entry.codec.fields, entry.message)
    counted = fields and fields[-1].record is not None
    if counted and any(field.name == f"{fields[-1].name}_count" for field in fields):
        raise LayoutError(
            f"{entry.message.__name__}.{fields[-1].name}_count: the exports call the number of {fields[-1].name} so; "
            "give the field another name"
        )
    return MessageDescription(
        name=entry.message.__name__,
        type_byte=entry.type_byte,
        role=entry.role,
        message=entry.message,
        text=inspect.getdoc(entry.message) or "",
        fields=fields,
        least_bytes=entry.codec.head.size + (c_size(fields[-1].count_kind) if counted else 0),
        answers=tuple(DEFINITIONS[other].message.__name__ for other in sorted(entry.answers)),
        answered_by=tuple(
            other.message.__name__ for _, other in sorted(DEFINITIONS.items()) if entry.type_byte in other.answers
        ),
    )


def _describe_record(record: type[Record], layouts: tuple[FieldLayout, ...], size: int) -> RecordDescription:
    fields = _describe_fields(layouts, record)
    return RecordDescription(record.__name__, record, inspect.getdoc(record) or "", fields, size)


def _describe_fields(
    layouts: tuple[FieldLayout, ...], owner: type[Message] | type[Record]
) -> tuple[FieldDescription, ...]:
    meanings = field_meanings(inspect.getdoc(owner) or "")
    enums = enums_of(owner)
    declared = {info.name: info.type for info in struct_fields(owner)}
    described = []
    for field in layouts:
        common = (field.name, field.kind, field.offset, field.size)
        if field.record is not None:
            record_class = get_args(declared[field.name])[0]
            record = _describe_record(record_class, field.record.fields, field.record.size)
            c_type, count_kind = f"struct theca_{snake_case(record.name)}", kind_text(field).partition("*")[0]
            one = FieldDescription(*common, c_type, 0, record=record, count_kind=count_kind)
        else:
            one = FieldDescription(*common, *c_type_of(field.kind), unit_of(field.name), enums.get(field.name))
        described.append(replace(one, meaning=meanings.get(field.name, "")))
    return tuple(described)


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
