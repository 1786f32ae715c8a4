"""Records: those that a message ends with, counted, and those that stand alone."""

import msgspec
import pytest
from construct import Enum, Float64l, Int8ul, Int16ul, PaddedString, PrefixedArray, Struct

from protocol import DecodeError, EncodeError, LayoutError, Mode
from protocol.derive import derive, derive_record
from protocol.layout import kind_text
from protocol.registry import Record

ARRAY = PrefixedArray(Int8ul, Struct("a" / Int8ul))


class Step(Record, frozen=True):
    """A record with a field of most kinds."""

    mode: Mode | int
    start_min: int
    rate: float
    label: str


class Steps(msgspec.Struct, frozen=True):
    """A message that ends with records."""

    number: int
    steps: tuple[Step, ...]


STEP = Struct("mode" / Enum(Int8ul, Mode), "start_min" / Int16ul, "rate" / Float64l, "label" / PaddedString(2, "utf8"))
STEPS = Struct("number" / Int16ul, "steps" / PrefixedArray(Int8ul, STEP))
TWO_STEPS = Steps(5, (Step(Mode.BOLUS, 60, -0.0, "ä"), Step(99, 1439, 1.0, "")))
TWO_STEPS_BYTES = bytes.fromhex(
    "05 00 02"
    "02 3C 00 00 00 00 00 00 00 00 80 C3 A4"
    "63 9F 05 00 00 00 00 00 00 F0 3F 00 00"
)  # fmt: skip


def test_records_become_a_tuple_of_their_class_and_back() -> None:
    codec = derive(STEPS, Steps)
    assert codec.encode(TWO_STEPS) == TWO_STEPS_BYTES
    assert codec.decode(TWO_STEPS_BYTES) == TWO_STEPS
    assert codec.decode(b"\x05\x00\x00") == Steps(5, ())
    first = codec.decode(TWO_STEPS_BYTES).steps[0]
    assert (type(first.mode), str(first.rate)) == (Mode, "-0.0")


def test_records_are_described_as_the_tail_that_they_are() -> None:
    codec = derive(STEPS, Steps)
    tail = codec.fields[-1]
    assert (tail.kind, tail.offset, tail.size, codec.head.size, codec.has_tail) == ("records", 2, 0, 2, True)
    assert tail.record is not None
    assert (tail.record.name, tail.record.size, tail.record.count_code) == ("Step", 13, "B")
    assert kind_text(tail) == "u8*(mode:u8,start_min:u16,rate:f64,label:text2)"
    assert kind_text(codec.fields[0]) == "u16"


def test_a_count_may_have_16_bits() -> None:
    class Many(msgspec.Struct, frozen=True):
        steps: tuple[Step, ...]

    codec = derive(Struct("steps" / PrefixedArray(Int16ul, STEP)), Many)
    assert kind_text(codec.fields[0]).startswith("u16*(")
    many = Many((TWO_STEPS.steps[0],) * 300)
    assert codec.encode(many)[:2] == b"\x2c\x01"
    assert codec.decode(codec.encode(many)) == many


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"\x05\x00", "has 2 bytes and must have at least 3"),
        (TWO_STEPS_BYTES[:-1], "has 28 bytes and must have 29: it announces 2 steps of 13 bytes each"),
        (TWO_STEPS_BYTES + b"\0", "has 30 bytes and must have 29"),
        (b"\x05\x00\x01" + TWO_STEPS_BYTES[3:], "has 29 bytes and must have 16"),
        (b"\x05\x00\x03" + TWO_STEPS_BYTES[3:], "has 29 bytes and must have 42"),
        (TWO_STEPS_BYTES[:-2] + b"\xff\0", r"Steps\.steps\[1\]\.label is not UTF-8: invalid start byte at byte 0"),
    ],
)
def test_a_tail_that_is_not_so_many_records_is_refused(payload: bytes, sentence: str) -> None:
    codec = derive(STEPS, Steps)
    with pytest.raises(DecodeError, match=sentence):
        codec.decode(payload)
    assert codec.fault(payload) is not None


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([*TWO_STEPS.steps], "Steps.steps must be a tuple of Step, not "),
        ((1,), "Steps.steps must be a tuple of Step, not "),
        ((Steps(1, ()),), "Steps.steps must be a tuple of Step, not "),
        (TWO_STEPS.steps * 128, "Steps.steps takes at most 255 records, not 256"),
        ((Step(1, 65536, 0.0, ""),), "Step.start_min cannot carry 65536 as u16"),
        ((Step(1, 1, 0.0, "abc"),), "Step.label takes at most 2 bytes of UTF-8"),
    ],
)
def test_records_the_wire_cannot_carry_are_refused(steps: object, sentence: str) -> None:
    with pytest.raises(EncodeError, match=sentence):
        derive(STEPS, Steps).encode(Steps(1, steps))  # type: ignore[arg-type]


class Thawed(msgspec.Struct):
    a: int


class OtherStep(Record, frozen=True):
    a: float


@pytest.mark.parametrize(
    "declared",
    [bytes, tuple, list[Step], tuple[Step], tuple[Step, Step], tuple[int, ...], tuple[Thawed, ...], Step],
    ids=str,
)
def test_records_must_be_declared_as_a_tuple_of_a_frozen_struct(declared: object) -> None:
    message = msgspec.defstruct("Declared", [("a", declared)], frozen=True)
    with pytest.raises(LayoutError, match=r"Declared\.a: the layout has records, so the class must say `tuple\["):
        derive(Struct("a" / ARRAY), message)


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (Step, r"Step: the class has the fields \['mode', .*\], its layout has \['a'\]"),
        (OtherStep, "OtherStep.a: the class says float, the layout's u8 needs int"),
    ],
)
def test_a_record_class_that_differs_from_its_layout_is_refused(declared: type[Record], sentence: str) -> None:
    message = msgspec.defstruct("Declared", [("a", tuple[declared, ...])], frozen=True)  # type: ignore[valid-type]
    with pytest.raises(LayoutError, match=sentence):
        derive(Struct("a" / ARRAY), message)


def test_a_record_may_stand_alone() -> None:
    codec = derive_record(STEP, Step)
    assert [field.offset for field in codec.fields] == [0, 1, 3, 11]
    assert codec.head.size == 13
    step = TWO_STEPS.steps[1]
    assert codec.encode(step) == TWO_STEPS_BYTES[16:]
    assert codec.decode(TWO_STEPS_BYTES[16:]) == step
    for wrong in (TWO_STEPS_BYTES[15:], TWO_STEPS_BYTES[17:]):
        with pytest.raises(DecodeError, match=rf"the payload of Step has {len(wrong)} bytes and must have 13"):
            codec.decode(wrong)


def test_a_record_that_stands_alone_has_no_tail() -> None:
    with pytest.raises(LayoutError, match=r"Steps\.steps: a record has a fixed size"):
        derive_record(STEPS, Steps)
    with pytest.raises(LayoutError, match="Thawed: the class has the fields"):
        derive_record(STEP, Thawed)
