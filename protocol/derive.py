"""Derives codecs from construct layouts: one walk at import; what the walk does not know is refused there and then.

construct defines the layout and stays the oracle in the tests; it is too slow and too lenient to carry traffic.
The message class is written out for people and type checkers, and must agree with the layout field by field.
"""

from __future__ import annotations

import struct
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Union, get_args, get_origin

import construct
import msgspec
from msgspec.structs import astuple
from msgspec.structs import fields as struct_fields

from protocol.errors import DecodeError, EncodeError, LayoutError

_NUMBERS = {
    "<B": "u8", "<H": "u16", "<L": "u32", "<Q": "u64",
    "<b": "i8", "<h": "i16", "<l": "i32", "<q": "i64",
    "<f": "f32", "<d": "f64",
}  # fmt: skip
_UTF8 = ("utf8", "utf-8", "utf_8", "u8")


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """One field on the wire. `kind` is u8 … i64, f32, f64, bytesN, textN, or tail, whose size is 0."""

    name: str
    kind: str
    offset: int
    size: int
    code: str
    names: dict[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Codec:
    """What the walk gives: the layout as data, and the two functions made from it.

    `encode` raises EncodeError, `decode` raises DecodeError; both name message and field.
    """

    fields: tuple[FieldLayout, ...]
    head: struct.Struct
    has_tail: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    fault: Callable[[bytes], str | None]


def derive(layout: construct.Struct, message: type[msgspec.Struct]) -> Codec:
    """Walk `layout`, compare it with the class `message`, and generate the codec.

    Raises:
        LayoutError: the layout holds something the walk does not know, or the class differs from it.
    """
    fields = walk(layout, message.__name__)
    from_wire = _compare(fields, message)
    has_tail = bool(fields) and fields[-1].kind == "tail"
    head = struct.Struct("<" + "".join(field.code for field in fields))
    fault = _fault_finder(message.__name__, fields, head, has_tail)
    return Codec(
        fields=fields,
        head=head,
        has_tail=has_tail,
        encode=_encoder(message.__name__, fields, head, has_tail),
        decode=_decoder(message, head, has_tail, from_wire, fault),
        fault=fault,
    )


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
        if fields and fields[-1].kind == "tail":
            raise LayoutError(f"{owner}.{name}: stands behind the tail {fields[-1].name}; the tail must be last")
        field = _field(_without_name(subcon, f"{owner}.{name}"), name, offset, f"{owner}.{name}")
        fields.append(field)
        offset += field.size
    return tuple(fields)


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
    raise LayoutError(
        f"{where}: {subcon!r} is not a construct the derivation knows; use little-endian numbers, Enum of one, "
        "Bytes(n), PaddedString(n, 'utf8'), or GreedyBytes as the last field"
    )


def _padded_text_size(subcon: Any) -> int | None:
    sized = subcon.subcon
    if subcon.encoding not in _UTF8 or type(sized) is not construct.FixedSized or not isinstance(sized.length, int):
        return None
    stripped = sized.subcon
    if type(stripped) is not construct.NullStripped or stripped.pad != b"\0":
        return None
    return sized.length if stripped.subcon is construct.GreedyBytes else None


def _compare(fields: tuple[FieldLayout, ...], message: type[msgspec.Struct]) -> list[tuple[int, Callable[[Any], Any]]]:
    """Check the class against the layout; give the conversions from unpacked values to the class's, by position."""
    declared = struct_fields(message)
    in_class = [info.name for info in declared]
    in_layout = [field.name for field in fields]
    if in_class != in_layout:
        raise LayoutError(f"{message.__name__}: the class has the fields {in_class}, its layout has {in_layout}")
    conversions: list[tuple[int, Callable[[Any], Any]]] = []
    for position, (field, info) in enumerate(zip(fields, declared, strict=True)):
        where = f"{message.__name__}.{field.name}"
        if field.names is not None:
            conversions.append((position, _enum_conversion(field.names, info.type, where)))
            continue
        expected = _python_type(field.kind)
        if info.type is not expected:
            raise LayoutError(
                f"{where}: the class says {_type_name(info.type)}, the layout's {field.kind} needs {expected.__name__}"
            )
        if expected is str:
            conversions.append((position, _text_from_wire))
    return conversions


def _python_type(kind: str) -> type:
    if kind == "tail" or kind.startswith("bytes"):
        return bytes
    if kind.startswith("text"):
        return str
    return float if kind[0] == "f" else int


def _enum_conversion(names: dict[int, str], declared: Any, where: str) -> Callable[[int], int]:
    members = set(get_args(declared)) if get_origin(declared) in (Union, types.UnionType) else set()
    enums = [member for member in members if isinstance(member, type) and issubclass(member, (IntEnum, IntFlag))]
    if len(enums) != 1 or members != {enums[0], int}:
        raise LayoutError(f"{where}: the layout has named values, so the class must say `SomeEnum | int`, "
                          f"not {_type_name(declared)}")  # fmt: skip
    enum = enums[0]
    values = {int(member): name for name, member in enum.__members__.items()}
    if values != names:
        raise LayoutError(f"{where}: {enum.__name__} has the values {values}, the layout has {names}")
    if issubclass(enum, IntFlag):
        known_bits = sum(enum)
        flags = enum
        return lambda value: value if value & ~known_bits else flags(value)
    by_value = {int(member): member for member in enum}
    return lambda value: by_value.get(value, value)


def _type_name(declared: Any) -> str:
    return declared.__name__ if isinstance(declared, type) else str(declared)


def _text_from_wire(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("utf-8")


def _encoder(
    owner: str, fields: tuple[FieldLayout, ...], head: struct.Struct, has_tail: bool
) -> Callable[[msgspec.Struct], bytes]:
    texts = [(position, field) for position, field in enumerate(fields) if field.kind.startswith("text")]
    blobs = [
        (position, field) for position, field in enumerate(fields) if field.kind == "tail" or field.kind[:5] == "bytes"
    ]
    pack = head.pack

    def encode(message: msgspec.Struct) -> bytes:
        values = list(astuple(message))
        for position, field in texts:
            values[position] = _text_to_wire(values[position], field, owner)
        for position, field in blobs:
            _check_bytes(values[position], field, owner)
        tail = values.pop() if has_tail else b""
        try:
            return pack(*values) + tail
        except (struct.error, OverflowError):
            raise _blame(values, fields, owner) from None

    return encode


def _text_to_wire(text: Any, field: FieldLayout, owner: str) -> bytes:
    where = f"{owner}.{field.name}"
    if not isinstance(text, str):
        raise EncodeError(f"{where} must be a str, not {text!r}")
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodeError(f"{where} cannot be written as UTF-8: {error.reason}") from None
    if len(encoded) > field.size:
        raise EncodeError(f"{where} takes at most {field.size} bytes of UTF-8, {text!r} has {len(encoded)}")
    return encoded


def _check_bytes(value: Any, field: FieldLayout, owner: str) -> None:
    if not isinstance(value, bytes):
        raise EncodeError(f"{owner}.{field.name} must be bytes, not {value!r}")
    if field.kind != "tail" and len(value) != field.size:
        raise EncodeError(f"{owner}.{field.name} takes exactly {field.size} bytes, not {len(value)}")


def _blame(values: list[Any], fields: tuple[FieldLayout, ...], owner: str) -> EncodeError:
    for value, field in zip(values, fields, strict=False):
        try:
            struct.pack("<" + field.code, value)
        except (struct.error, OverflowError) as error:
            return EncodeError(f"{owner}.{field.name} cannot carry {value!r} as {field.kind}: {error}")
    raise AssertionError(f"{owner}: packing failed although every field packs")


def _fault_finder(
    owner: str, fields: tuple[FieldLayout, ...], head: struct.Struct, has_tail: bool
) -> Callable[[bytes], str | None]:
    """A check that a payload decodes, without decoding it: the length, and the texts where there are any."""
    size = head.size
    texts = [(field.name, field.offset, field.offset + field.size) for field in fields if field.kind[:4] == "text"]

    def fault(payload: bytes) -> str | None:
        if len(payload) != size and (not has_tail or len(payload) < size):
            must = f"at least {size}" if has_tail else f"{size}"
            return f"the payload of {owner} has {len(payload)} bytes and must have {must}"
        for name, start, end in texts:
            try:
                payload[start:end].decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{owner}.{name} is not UTF-8: {error.reason} at byte {error.start}"
        return None

    return fault


def _decoder(
    message: type[msgspec.Struct],
    head: struct.Struct,
    has_tail: bool,
    from_wire: list[tuple[int, Callable[[Any], Any]]],
    fault: Callable[[bytes], str | None],
) -> Callable[[bytes], msgspec.Struct]:
    size, unpack_from = head.size, head.unpack_from

    def decode(payload: bytes) -> msgspec.Struct:
        if (reason := fault(payload)) is not None:
            raise DecodeError(reason)
        values: list[Any] = list(unpack_from(payload))
        if has_tail:
            values.append(payload[size:])
        for position, convert in from_wire:
            values[position] = convert(values[position])
        return message(*values)

    return decode
