"""The walk over construct layouts: one pass at import; what the walk does not know is refused there and then.

construct defines the layout and stays the oracle in the tests; it is too slow and too lenient to carry traffic.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import construct

from protocol.errors import LayoutError

_NUMBERS = {
    "<B": "u8", "<H": "u16", "<L": "u32", "<Q": "u64",
    "<b": "i8", "<h": "i16", "<l": "i32", "<q": "i64",
    "<f": "f32", "<d": "f64",
}  # fmt: skip
_UTF8 = ("utf8", "utf-8", "utf_8", "u8")
_COUNTS = {"<B": "B", "<H": "H"}
_COUNT_KINDS = {"B": "u8", "H": "u16"}
_KNOWN = "little-endian numbers, Enum of one, Bytes(n), or PaddedString(n, 'utf8')"


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """A record of fixed size: its fields, offsets counted from its first byte, and the `struct` format of all of them.

    In the tail of a message, `count_code` (B or H) is the format of the number of records in front of the first.
    """

    name: str
    fields: tuple[FieldLayout, ...]
    head: struct.Struct
    size: int
    count_code: str = ""


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """One field on the wire. `kind` is u8 … i64, f32, f64, bytesN, textN; or tail or records, whose size is 0.

    A tail is the rest of the payload as bytes, records are the rest as a count and so many times `record`.
    """

    name: str
    kind: str
    offset: int
    size: int
    code: str
    names: dict[int, str] | None = None
    record: RecordLayout | None = None

    @property
    def is_tail(self) -> bool:
        """Whether the length of the field differs from message to message."""
        return self.kind in ("tail", "records")


def walk(layout: construct.Struct, owner: str) -> tuple[FieldLayout, ...]:
    """The fields of a construct Struct in wire order: a fixed head and at most one tail.

    Raises:
        LayoutError: a construct the walk does not know, an unnamed or repeated field, or a field behind the tail.
    """
    if type(layout) is not construct.Struct:
        raise LayoutError(f"{owner}: a layout must be a construct Struct, not {type(layout).__name__}")
    fields: list[FieldLayout] = []
    offset = 0
    for subcon in layout.subcons:
        name = subcon.name
        if not name:
            raise LayoutError(f'{owner}: field {len(fields)} has no name; write "name" / {type(subcon).__name__}')
        if any(field.name == name for field in fields):
            raise LayoutError(f"{owner}.{name}: the name appears twice")
        if fields and fields[-1].is_tail:
            raise LayoutError(f"{owner}.{name}: stands behind the tail {fields[-1].name}; the tail must be last")
        field = _field(_without_name(subcon, f"{owner}.{name}"), name, offset, f"{owner}.{name}")
        fields.append(field)
        offset += field.size
    return tuple(fields)


def walk_record(layout: construct.Struct, name: str, count_code: str = "") -> RecordLayout:
    """The layout of a record: at least one field, all of fixed size.

    Raises:
        LayoutError: what `walk` refuses, a tail, or no fields at all.
    """
    fields = walk(layout, name)
    if not fields:
        raise LayoutError(f"{name}: a record needs at least one field")
    if fields[-1].is_tail:
        raise LayoutError(f"{name}.{fields[-1].name}: a record has a fixed size, so it cannot hold a tail or records")
    head = head_struct(fields)
    return RecordLayout(name, fields, head, head.size, count_code)


def head_struct(fields: tuple[FieldLayout, ...]) -> struct.Struct:
    """The fixed fields as a `struct` format."""
    return struct.Struct("<" + "".join(field.code for field in fields))


def kind_text(field: FieldLayout) -> str:
    """The kind as one word that says all of the layout: records as `u8*(days:u8,rate_ul_per_h:f64)`."""
    if field.record is None:
        return field.kind
    inner = ",".join(f"{each.name}:{each.kind}" for each in field.record.fields)
    return f"{_COUNT_KINDS[field.record.count_code]}*({inner})"


def _without_name(subcon: Any, where: str) -> Any:
    while type(subcon) is construct.Renamed:
        if subcon.parsed is not None:
            raise LayoutError(f"{where}: has a parse hook, which the derived decoder would not call; remove it")
        subcon = subcon.subcon
    return subcon


def _field(subcon: Any, name: str, offset: int, where: str) -> FieldLayout:
    kind = type(subcon)
    if kind is construct.FormatField and subcon.fmtstr in _NUMBERS:
        return FieldLayout(name, _NUMBERS[subcon.fmtstr], offset, subcon.length, subcon.fmtstr[1:])
    if kind is construct.Enum and type(subcon.subcon) is construct.FormatField:
        number = _field(subcon.subcon, name, offset, where)
        if number.kind[0] != "f":
            names = {int(value): str(label) for value, label in subcon.decmapping.items()}
            return FieldLayout(name, number.kind, offset, number.size, number.code, names)
    if kind is construct.Bytes and isinstance(subcon.length, int):
        return FieldLayout(name, f"bytes{subcon.length}", offset, subcon.length, f"{subcon.length}s")
    if kind is construct.StringEncoded and (size := _padded_text_size(subcon)) is not None:
        return FieldLayout(name, f"text{size}", offset, size, f"{size}s")
    if subcon is construct.GreedyBytes:
        return FieldLayout(name, "tail", offset, 0, "")
    if (counted := _counted(subcon, where)) is not None:
        return FieldLayout(name, "records", offset, 0, "", record=walk_record(counted[1], where, counted[0]))
    raise LayoutError(
        f"{where}: {subcon!r} is not a construct the derivation knows; use {_KNOWN}, and as the last field "
        "GreedyBytes or PrefixedArray(Int8ul or Int16ul, Struct(…))"
    )


def _padded_text_size(subcon: Any) -> int | None:
    sized = subcon.subcon
    if subcon.encoding not in _UTF8 or type(sized) is not construct.FixedSized or not isinstance(sized.length, int):
        return None
    stripped = sized.subcon
    if type(stripped) is not construct.NullStripped or stripped.pad != b"\0":
        return None
    return sized.length if stripped.subcon is construct.GreedyBytes else None


def _counted(subcon: Any, where: str) -> tuple[str, construct.Struct] | None:
    """The format of the count and the layout of a record, where `subcon` is what PrefixedArray makes of a Struct."""
    if type(subcon) is not construct.FocusedSeq or subcon.parsebuildfrom != "items":
        return None
    if [each.name for each in subcon.subcons] != ["count", "items"]:
        return None
    count, items = (_without_name(each, where) for each in subcon.subcons)
    if type(count) is not construct.Rebuild or repr(count.func) != repr(construct.len_(construct.this.items)):
        return None
    if type(items) is not construct.Array or items.discard or repr(items.count) != repr(construct.this.count):
        return None
    number, record = _without_name(count.subcon, where), _without_name(items.subcon, where)
    if (
        type(number) is not construct.FormatField
        or number.fmtstr not in _COUNTS
        or type(record) is not construct.Struct
    ):
        return None
    return _COUNTS[number.fmtstr], record
