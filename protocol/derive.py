"""Derives codecs from construct layouts, at import: the walk, the comparison with the class, the generated functions.

The message class is written out for people and type checkers, and must agree with the layout field by field.
"""

from __future__ import annotations

import struct
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag
from functools import cached_property
from typing import Any, Union, get_args, get_origin

import construct
import msgspec
from msgspec.structs import fields as struct_fields

from protocol.checks import Field, RecordClass, fault_finder
from protocol.codec import decoder, encoder
from protocol.errors import LayoutError
from protocol.fused import FrameEncoder, FrameReader, RowsReader, frame_encoder, frame_reader, rows_reader
from protocol.layout import FieldLayout, RecordLayout, head_struct, walk, walk_record


@dataclass(frozen=True)
class Codec:
    """What the walk gives: the layout as data, and the functions made from it.

    `head` is all fields but the tail, which the payload ends with where `has_tail`. `encode` raises EncodeError,
    `decode` raises DecodeError; both name message and field. `fault` says why a payload does not decode, or None.
    """

    fields: tuple[FieldLayout, ...]
    head: struct.Struct
    has_tail: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    fault: Callable[[bytes], str | None]
    _message: type[msgspec.Struct]
    _bound: tuple[Field, ...]

    @cached_property
    def encode_frame(self) -> FrameEncoder:
        """See `protocol.fused`; as the two below, generated when first used."""
        return frame_encoder(self._message, self._bound)

    @cached_property
    def read_frame(self) -> FrameReader:
        """See `protocol.fused`."""
        return frame_reader(self._message, self._bound)

    @cached_property
    def read_rows(self) -> RowsReader | None:
        """See `protocol.fused`."""
        return rows_reader(self._message, self._bound)


@dataclass(frozen=True, slots=True)
class RecordCodec:
    """The codec of a record that stands alone, without type byte; `encode` and `decode` raise as those of `Codec`."""

    fields: tuple[FieldLayout, ...]
    head: struct.Struct
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def derive(layout: construct.Struct, message: type[msgspec.Struct]) -> Codec:
    """Walk `layout`, compare it with the class `message`, and generate the codec.

    Raises:
        LayoutError: the layout holds something the walk does not know, or the class differs from it.
    """
    fields = _compare(walk(layout, message.__name__), message)
    layouts = tuple(field.layout for field in fields)
    return Codec(
        fields=layouts,
        head=head_struct(layouts),
        has_tail=bool(layouts) and layouts[-1].is_tail,
        encode=encoder(message, fields),
        decode=decoder(message, fields),
        fault=fault_finder(message.__name__, fields),
        _message=message,
        _bound=fields,
    )


def derive_record(layout: construct.Struct, record: type[msgspec.Struct]) -> RecordCodec:
    """Walk the layout of a record, compare it with its class, and generate the codec.

    Raises:
        LayoutError: as `derive`; or the layout has a tail, or no fields.
    """
    walked = walk_record(layout, record.__name__)
    fields = _compare(walked.fields, record)
    return RecordCodec(walked.fields, walked.head, encoder(record, fields), decoder(record, fields))


def _compare(layouts: tuple[FieldLayout, ...], message: type[msgspec.Struct]) -> tuple[Field, ...]:
    """Check the class against the layout; give each field with what its values become in the class."""
    declared = struct_fields(message)
    in_class = [info.name for info in declared]
    in_layout = [layout.name for layout in layouts]
    if in_class != in_layout:
        raise LayoutError(f"{message.__name__}: the class has the fields {in_class}, its layout has {in_layout}")
    return tuple(
        _compare_field(layout, info.type, f"{message.__name__}.{layout.name}")
        for layout, info in zip(layouts, declared, strict=True)
    )


def _compare_field(layout: FieldLayout, declared: Any, where: str) -> Field:
    if layout.names is not None:
        return Field(layout, enum=_enum_of(layout.names, declared, where))
    if layout.record is not None:
        return _compare_records(layout, layout.record, declared, where)
    expected = _python_type(layout.kind)
    if declared is not expected:
        raise LayoutError(
            f"{where}: the class says {_type_name(declared)}, the layout's {layout.kind} needs {expected.__name__}"
        )
    return Field(layout)


def _compare_records(layout: FieldLayout, record: RecordLayout, declared: Any, where: str) -> Field:
    arguments = get_args(declared) if get_origin(declared) is tuple else ()
    if len(arguments) != 2 or arguments[1] is not Ellipsis or not _is_frozen_struct(arguments[0]):
        raise LayoutError(f"{where}: the layout has records, so the class must say `tuple[SomeRecord, ...]` with a "
                          f"frozen msgspec.Struct, not {_type_name(declared)}")  # fmt: skip
    record_class = arguments[0]
    fields = _compare(record.fields, record_class)
    named = replace(layout, record=replace(record, name=record_class.__name__))
    return Field(named, records=RecordClass(record_class, fields))


def _is_frozen_struct(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, msgspec.Struct) and declared.__struct_config__.frozen


def _python_type(kind: str) -> type:
    if kind == "tail" or kind.startswith("bytes"):
        return bytes
    if kind.startswith("text"):
        return str
    return float if kind[0] == "f" else int


def _enum_of(names: dict[int, str], declared: Any, where: str) -> type[IntEnum | IntFlag]:
    members = set(get_args(declared)) if get_origin(declared) in (Union, types.UnionType) else set()
    enums = [member for member in members if isinstance(member, type) and issubclass(member, (IntEnum, IntFlag))]
    if len(enums) != 1 or members != {enums[0], int}:
        raise LayoutError(f"{where}: the layout has named values, so the class must say `SomeEnum | int`, "
                          f"not {_type_name(declared)}")  # fmt: skip
    enum = enums[0]
    values = {int(member): name for name, member in enum.__members__.items()}
    if values != names:
        raise LayoutError(f"{where}: {enum.__name__} has the values {values}, the layout has {names}")
    return enum


def _type_name(declared: Any) -> str:
    return declared.__name__ if isinstance(declared, type) and get_origin(declared) is None else str(declared)
