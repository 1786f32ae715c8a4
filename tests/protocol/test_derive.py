"""The walk over construct layouts: what it derives, and what it refuses when a module loads."""

import construct
import msgspec
import pytest
from construct import (
    Bytes,
    Enum,
    Float64l,
    GreedyBytes,
    Int8ul,
    Int16ub,
    Int16ul,
    Int32sl,
    Int32ul,
    PaddedString,
    PrefixedArray,
    Struct,
    this,
)

from protocol import DecodeError, EncodeError, LayoutError, Mode
from protocol.derive import derive
from protocol.layout import walk


class Sample(msgspec.Struct, frozen=True):
    """A message with one field of each kind."""

    mode: Mode | int
    count: int
    level: float
    code: bytes
    label: str
    rest: bytes


def counted(count: construct.Construct, items: construct.Construct) -> construct.Construct:
    """What PrefixedArray is made of, with other parts."""
    return construct.FocusedSeq("items", "count" / count, "items" / items)


def rebuilt(expression: object) -> construct.Construct:
    return construct.Rebuild(Int8ul, expression)


LAYOUT = Struct(
    "mode" / Enum(Int8ul, Mode),
    "count" / Int32sl,
    "level" / Float64l,
    "code" / Bytes(2),
    "label" / PaddedString(3, "utf8"),
    "rest" / GreedyBytes,
)
ARRAY = PrefixedArray(Int8ul, Struct("a" / Int8ul))
SAMPLE = Sample(Mode.BOLUS, -2, 1.0, b"\x00\xff", "ä", b"\x07\x00")
SAMPLE_BYTES = bytes.fromhex("02 FE FF FF FF 00 00 00 00 00 00 F0 3F 00 FF C3 A4 00 07 00")


def test_a_layout_of_every_kind_becomes_a_codec() -> None:
    codec = derive(LAYOUT, Sample)
    assert codec.encode(SAMPLE) == SAMPLE_BYTES
    assert codec.decode(SAMPLE_BYTES) == SAMPLE
    assert [(field.name, field.kind, field.offset) for field in codec.fields] == [
        ("mode", "u8", 0),
        ("count", "i32", 1),
        ("level", "f64", 5),
        ("code", "bytes2", 13),
        ("label", "text3", 15),
        ("rest", "tail", 18),
    ]


def test_zeros_are_padding_at_the_end_of_a_text_only() -> None:
    codec = derive(LAYOUT, Sample)
    assert codec.decode(SAMPLE_BYTES[:15] + b"\0a\0").label == "\0a"


def test_a_known_value_decodes_to_its_enum_and_an_unknown_one_stays_a_number() -> None:
    codec = derive(LAYOUT, Sample)
    assert type(codec.decode(SAMPLE_BYTES).mode) is Mode
    unknown = codec.decode(b"\x63" + SAMPLE_BYTES[1:])
    assert type(unknown.mode) is int
    assert codec.encode(unknown)[0] == 0x63


@pytest.mark.parametrize(
    ("subcon", "kind"),
    [
        (Int16ub, "FormatField"),
        (construct.Float16l, "FormatField"),
        (construct.VarInt, "VarInt"),
        (construct.Int24ul, "BytesInteger"),
        (construct.Flag, "Flag"),
        (construct.CString("utf8"), "StringEncoded"),
        (PaddedString(8, "utf16"), "StringEncoded"),
        (PaddedString(8, "ascii"), "StringEncoded"),
        (construct.GreedyString("utf8"), "StringEncoded"),
        (Bytes(this.length), "Bytes"),
        (construct.Const(b"\x01"), "Const"),
        (construct.Computed(1), "Computed"),
        (construct.Default(Int8ul, 1), "Default"),
        (construct.Optional(Int8ul), "Select"),
        (construct.Array(2, Int8ul), "Array"),
        (construct.GreedyRange(Int8ul), "GreedyRange"),
        (construct.Prefixed(Int8ul, GreedyBytes), "Prefixed"),
        (PrefixedArray(Int8ul, Int8ul), "FocusedSeq"),
        (PrefixedArray(Int8ul, construct.Sequence(Int8ul)), "FocusedSeq"),
        (PrefixedArray(Int16ub, Struct("a" / Int8ul)), "FocusedSeq"),
        (PrefixedArray(Int32ul, Struct("a" / Int8ul)), "FocusedSeq"),
        (PrefixedArray(construct.VarInt, Struct("a" / Int8ul)), "FocusedSeq"),
        (construct.FocusedSeq("count", "count" / Int8ul, "items" / Int8ul), "FocusedSeq"),
        (counted(Int8ul, Struct("a" / Int8ul)[this.count]), "FocusedSeq"),
        (counted(rebuilt(this.items), Struct("a" / Int8ul)[this.count]), "FocusedSeq"),
        (counted(rebuilt(construct.len_(this.items)), Struct("a" / Int8ul)[this.count + 1]), "FocusedSeq"),
        (counted(rebuilt(construct.len_(this.items)), Struct("a" / Int8ul)[2]), "FocusedSeq"),
        (construct.Switch(this.kind, {}), "Switch"),
        (Struct("inner" / Int8ul), "Struct"),
        (construct.FlagsEnum(Int8ul, a=1), "FlagsEnum"),
        (Enum(construct.VarInt, Mode), "Enum"),
        (Enum(Float64l, Mode), "Enum"),
        (construct.Padding(2), "Padded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_construct_the_walk_does_not_know_is_refused_by_name(subcon: construct.Construct, kind: str) -> None:
    with pytest.raises(LayoutError, match=rf"^Sample\.field: <{kind}.* is not a construct the derivation knows; use"):
        walk(Struct("field" / subcon), "Sample")


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        (Struct(Int8ul), "Sample: field 0 has no name"),
        (Struct("a" / Int8ul, construct.Pass), "Sample: field 1 has no name"),
        (Struct("a" / Int8ul, "a" / Int8ul), "Sample.a: the name appears twice"),
        (Struct("a" / GreedyBytes, "b" / Int8ul), "Sample.b: stands behind the tail a"),
        (Struct("a" / Int8ul * (lambda obj, ctx: None)), "Sample.a: has a parse hook"),
        (construct.Sequence(Int8ul), "Sample: a layout must be a construct Struct, not Sequence"),
        (Struct("a" / ARRAY, "b" / Int8ul), "Sample.b: stands behind the tail a"),
        (Struct("a" / ARRAY, "b" / ARRAY), "Sample.b: stands behind the tail a"),
        (
            Struct("a" / PrefixedArray(Int8ul, Struct("b" / ARRAY))),
            "Sample.a.b: a record has a fixed size, so it cannot",
        ),
        (Struct("a" / PrefixedArray(Int8ul, Struct("b" / GreedyBytes))), "Sample.a.b: a record has a fixed size"),
        (Struct("a" / PrefixedArray(Int8ul, Struct())), "Sample.a: a record needs at least one field"),
        (Struct("a" / PrefixedArray(Int8ul, Struct(Int8ul))), "Sample.a: field 0 has no name"),
        (Struct("a" / PrefixedArray(Int8ul, Struct("b" / Int16ub))), "Sample.a.b: <FormatField> is not"),
    ],
)
def test_a_layout_that_cannot_be_a_message_is_refused(layout: construct.Construct, sentence: str) -> None:
    with pytest.raises(LayoutError, match=sentence):
        walk(layout, "Sample")


class Missing(msgspec.Struct):
    a: int


class Swapped(msgspec.Struct):
    b: int
    a: int


class WrongType(msgspec.Struct):
    a: int
    b: float


class BareEnum(msgspec.Struct):
    a: int
    b: Mode


@pytest.mark.parametrize(
    ("layout", "message", "sentence"),
    [
        (Struct("a" / Int8ul, "b" / Int8ul), Missing, r"has the fields \['a'\], its layout has \['a', 'b'\]"),
        (Struct("a" / Int8ul, "b" / Int8ul), Swapped, r"has the fields \['b', 'a'\], its layout has \['a', 'b'\]"),
        (Struct("a" / Int8ul, "b" / Int16ul), WrongType, "b: the class says float, the layout's u16 needs int"),
        (Struct("a" / Int8ul, "b" / Bytes(2)), WrongType, "b: the class says float, the layout's bytes2 needs bytes"),
        (Struct("a" / Int8ul, "b" / GreedyBytes), WrongType, "b: the class says float, the layout's tail needs bytes"),
        (Struct("a" / Int8ul, "b" / Enum(Int8ul, Mode)), BareEnum, "the class must say `SomeEnum | int`, not Mode"),
        (Struct("a" / Int8ul, "b" / Int8ul), BareEnum, "b: the class says Mode, the layout's u8 needs int"),
    ],
)
def test_a_class_that_differs_from_its_layout_is_refused(
    layout: construct.Construct, message: type[msgspec.Struct], sentence: str
) -> None:
    with pytest.raises(LayoutError, match=sentence):
        derive(layout, message)


def test_an_enum_whose_values_differ_from_the_layouts_is_refused() -> None:
    class Chosen(msgspec.Struct):
        mode: Mode | int

    with pytest.raises(LayoutError, match=r"Mode has the values .* the layout has \{0: 'STOPPED', 1: 'GOING'\}"):
        derive(Struct("mode" / Enum(Int8ul, STOPPED=0, GOING=1)), Chosen)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mode": 256}, "Sample.mode cannot carry 256 as u8"),
        ({"mode": -1}, "Sample.mode cannot carry -1 as u8"),
        ({"count": 2**31}, "Sample.count cannot carry 2147483648 as i32"),
        ({"count": 1.0}, "Sample.count cannot carry 1.0 as i32"),
        ({"level": "1"}, "Sample.level cannot carry '1' as f64"),
        ({"code": b"\x01"}, "Sample.code takes exactly 2 bytes, not 1"),
        ({"code": "ab"}, "Sample.code must be bytes, not 'ab'"),
        ({"label": "ää"}, "Sample.label takes at most 3 bytes of UTF-8, 'ää' has 4"),
        ({"label": "\ud800"}, "Sample.label cannot be written as UTF-8"),
        ({"label": b"a"}, "Sample.label must be a str"),
        ({"rest": "x"}, "Sample.rest must be bytes, not 'x'"),
    ],
)
def test_a_value_the_wire_cannot_carry_is_refused_by_field(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(EncodeError, match=sentence):
        derive(LAYOUT, Sample).encode(msgspec.structs.replace(SAMPLE, **changes))


def test_a_payload_that_does_not_fit_is_refused() -> None:
    codec = derive(LAYOUT, Sample)
    with pytest.raises(DecodeError, match="the payload of Sample has 17 bytes and must have at least 18"):
        codec.decode(SAMPLE_BYTES[:17])
    with pytest.raises(DecodeError, match=r"Sample\.label is not UTF-8"):
        codec.decode(SAMPLE_BYTES[:15] + b"\xff\x00\x00")
