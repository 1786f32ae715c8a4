"""Every message against construct, which stays the oracle, and against vectors written by hand from the reference."""

import math
import struct
from typing import Any, get_args, get_type_hints

import construct
import msgspec
import pytest
from construct import ConstructError, Struct, Terminated
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from protocol import (
    Alarm,
    DecodeError,
    EncodeError,
    Event,
    Message,
    Nak,
    NakReason,
    Proposal,
    ProposeBolus,
    ProposeContinuous,
    Status,
    StreamDecoder,
    Telemetry,
    decode_payload,
    encode,
    encode_frame,
    encode_payload,
    proposal_digest,
)
from protocol.derive import FieldLayout
from protocol.registry import BULK_RECORDS, DEFINITIONS, Definition, RecordDefinition

every_message = pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=entry.message.__name__) for entry in DEFINITIONS.values()]
)


def values(field: FieldLayout) -> st.SearchStrategy[object]:
    """Anything the field can carry, edges first; records as dictionaries."""
    bits = 8 * field.size
    if field.record is not None:
        each = st.fixed_dictionaries({inner.name: values(inner) for inner in field.record.fields})
        return st.lists(each, max_size=(510 - field.offset) // field.record.size)
    if field.kind == "tail":
        return st.binary(max_size=512 - field.offset)
    match field.kind[0]:
        case "u":
            whole = st.sampled_from([0, 2**bits - 1]) | st.integers(0, 2**bits - 1)
            return whole if field.names is None else st.sampled_from(sorted(field.names)) | whole
        case "i":
            ends = st.sampled_from([-(2 ** (bits - 1)), -1, 2 ** (bits - 1) - 1])
            return ends | st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        case "f":
            return st.floats(width=bits) | st.sampled_from([math.nan, -math.nan, -0.0, math.inf, -math.inf])
        case "b":
            return st.binary(min_size=field.size, max_size=field.size)
    return st.text(max_size=field.size).filter(lambda text: len(text.encode()) <= field.size)


def built(entry: Definition, chosen: dict[str, Any]) -> Message:
    """The message with the chosen values."""
    annotations = get_type_hints(entry.message)
    for field in entry.codec.fields:
        if field.record is not None:
            record_class = get_args(annotations[field.name])[0]
            chosen = chosen | {field.name: tuple(record_class(**each) for each in chosen[field.name])}
    return entry.message(**chosen)


def bits_of(value: object) -> object:
    """What can be compared: NaN and the sign of zero count, and construct's named numbers are numbers."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, msgspec.Struct):
        return {name: bits_of(inner) for name, inner in asdict(value).items()}
    if isinstance(value, construct.Container):
        return {name: bits_of(inner) for name, inner in value.items() if name != "_io"}
    if isinstance(value, (tuple, list)):
        return [bits_of(inner) for inner in value]
    return value if isinstance(value, (str, bytes)) and not hasattr(value, "intvalue") else int(value)  # type: ignore[call-overload]


def parsed(entry: Definition, payload: bytes) -> dict[str, object]:
    """What construct makes of a payload that must be used up."""
    container = Struct(*entry.layout.subcons, Terminated).parse(payload)
    return {field.name: bits_of(container[field.name]) for field in entry.codec.fields}


def payloads(entry: Definition) -> st.SearchStrategy[bytes]:
    """Payloads of about the right length, any bits in them."""
    size, tail = entry.codec.head.size, st.just(b"")
    if entry.codec.has_tail:
        tail = st.binary(max_size=40)
        if (record := entry.codec.fields[-1].record) is not None:
            count = st.integers(0, 3).map(lambda number: struct.pack("<" + record.count_code, number))
            records = st.integers(0, 3).flatmap(lambda number: st.binary(min_size=number * record.size).map(
                lambda octets: octets[: number * record.size]))  # fmt: skip
            tail |= st.tuples(count, records).map(b"".join)
    return st.tuples(st.binary(min_size=size, max_size=size), tail).map(b"".join) | st.binary(max_size=100)


@every_message
@given(data=st.data())
def test_encoding_is_bit_equal_to_construct(entry: Definition, data: st.DataObject) -> None:
    chosen = {field.name: data.draw(values(field), field.name) for field in entry.codec.fields}
    assert encode_payload(built(entry, chosen)) == entry.layout.build(chosen)


@every_message
@given(data=st.data())
def test_decoding_is_bit_equal_to_construct_or_both_refuse(entry: Definition, data: st.DataObject) -> None:
    payload = data.draw(payloads(entry))
    try:
        expected = parsed(entry, payload)
    except ConstructError:
        with pytest.raises(DecodeError):
            decode_payload(entry.type_byte, payload)
        return
    message = decode_payload(entry.type_byte, payload)
    assert type(message) is entry.message
    assert bits_of(message) == expected
    assert encode_payload(message) == entry.layout.build(entry.layout.parse(payload))
    for copies in (1, 9):
        for frame in StreamDecoder().feed(encode_frame(entry.type_byte, 1, payload) * copies):
            assert type(frame.message) is entry.message
            assert bits_of(frame.message) == expected


@every_message
@given(data=st.data(), seq=st.integers(0, 65535))
def test_a_message_survives_the_wire(entry: Definition, data: st.DataObject, seq: int) -> None:
    message = built(entry, {field.name: data.draw(values(field), field.name) for field in entry.codec.fields})
    (frame,) = StreamDecoder().feed(encode(message, seq=seq))
    assert (frame.type, frame.seq, frame.payload) == (entry.type_byte, seq, encode_payload(message))
    assert encode_payload(frame.message) == frame.payload


@pytest.mark.parametrize("entry", [pytest.param(each, id=each.record.__name__) for each in BULK_RECORDS.values()])
@given(data=st.data())
def test_bulk_records_are_bit_equal_to_construct_both_ways(entry: RecordDefinition, data: st.DataObject) -> None:
    chosen = {field.name: data.draw(values(field), field.name) for field in entry.codec.fields}
    octets = entry.codec.encode(entry.record(**chosen))
    assert octets == entry.layout.build(chosen)
    octets = data.draw(st.binary(min_size=len(octets), max_size=len(octets)))
    assert bits_of(entry.codec.decode(octets)) == bits_of(entry.layout.parse(octets))


def test_the_layout_of_hello_is_frozen() -> None:
    frozen = {
        0x01: "protocol_major:u8 protocol_minor:u8 host_nonce:u64",
        0x81: "protocol_major:u8 protocol_minor:u8 schema_hash:bytes8 capabilities:u32 mtu:u16 boot_id:u32 "
        "last_command_id:u64 model:text24 serial_number:text24 firmware_version:text16",
    }
    for type_byte, layout in frozen.items():
        assert " ".join(f"{field.name}:{field.kind}" for field in DEFINITIONS[type_byte].codec.fields) == layout


@every_message
def test_a_payload_one_byte_short_or_long_is_refused(entry: Definition) -> None:
    tail = entry.codec.fields[-1] if entry.codec.has_tail else None
    size = entry.codec.head.size + (
        0 if tail is None or tail.record is None else struct.calcsize(tail.record.count_code)
    )
    for wrong in {size - 1, size + 1} - {-1, size + (tail is not None and tail.record is None)}:
        with pytest.raises(DecodeError, match=rf"the payload of {entry.message.__name__} has {wrong} bytes"):
            decode_payload(entry.type_byte, bytes(wrong))


def test_known_values_are_named_and_unknown_ones_stay_numbers() -> None:
    named = decode_payload(0xA1, b"\x04" + bytes(48))
    unknown = decode_payload(0xA1, b"\xc8" + bytes(48))
    assert isinstance(named, Nak)
    assert isinstance(unknown, Nak)
    assert named.reason is NakReason.BUSY
    assert (type(unknown.reason), unknown.reason) == (int, 200)


def test_alarm_bits_are_named_only_if_all_of_them_are_known() -> None:
    def alarms(value: int) -> int:
        status = decode_payload(0x82, bytes(13) + struct.pack("<L", value) + bytes(66))
        assert isinstance(status, Status)
        return status.alarms

    assert alarms(5) is Alarm.LOW_RESERVOIR | Alarm.LOW_BATTERY
    assert type(alarms(0)) is Alarm
    assert (type(alarms(0x8001)), alarms(0x8001)) == (int, 0x8001)
    assert alarms(0x8001) & Alarm.LOW_RESERVOIR


def test_messages_do_not_change() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        ProposeContinuous(1, 2.0, 0).rate_ul_per_h = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("proposed", "digest"),
    [
        # printf '\x10\x2A\0…\x34\x40' | sha256sum, and the like
        (ProposeContinuous(42, 20.0, 1), "cdc714b790b7889c"),
        (ProposeBolus(43, 100.0, 1000.0), "61aa687004a1bbf7"),
    ],
)
def test_the_digest_is_of_type_and_canonical_payload(proposed: ProposeContinuous, digest: str) -> None:
    assert proposal_digest(proposed).hex() == digest


def test_a_value_out_of_range_is_refused_by_message_and_field() -> None:
    with pytest.raises(EncodeError, match=r"Event\.code cannot carry 65536 as u16"):
        encode(Event(1, 1, 65536, 0))
    with pytest.raises(EncodeError, match=r"Telemetry\.head_temperature_c cannot carry 1e\+300 as f32"):
        encode(Telemetry(0, 0, 0, 0, 0, 0.0, 1e300, 0, 0))
    with pytest.raises(EncodeError, match="a payload has at most 512 bytes, not 513"):
        encode(Proposal(1, 1, bytes(8), 1, bytes(485)))
