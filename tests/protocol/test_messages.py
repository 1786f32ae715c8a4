"""Every message against construct, which stays the oracle, and against vectors written by hand from the reference."""

import math
import struct

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
    encode_payload,
    proposal_digest,
)
from protocol.derive import FieldLayout
from protocol.registry import DEFINITIONS, Definition

every_message = pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=entry.message.__name__) for entry in DEFINITIONS.values()]
)


def values(field: FieldLayout) -> st.SearchStrategy[object]:
    """Anything the field can carry, edges first."""
    bits = 8 * field.size
    match field.kind[0]:
        case "u":
            whole = st.integers(0, 2**bits - 1)
            return whole if field.names is None else st.sampled_from(sorted(field.names)) | whole
        case "i":
            return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        case "f":
            return st.floats(width=bits) | st.sampled_from([math.nan, -0.0, math.inf, -math.inf])
        case "b":
            return st.binary(min_size=field.size, max_size=field.size)
    if field.kind == "tail":
        return st.binary(max_size=512 - field.offset)
    return st.text(max_size=field.size).filter(lambda text: len(text.encode()) <= field.size)


def bits_of(value: object) -> object:
    """What can be compared: NaN and the sign of zero count, and construct's named numbers are numbers."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    return value if isinstance(value, (str, bytes)) and not hasattr(value, "intvalue") else int(value)  # type: ignore[call-overload]


def parsed(entry: Definition, payload: bytes) -> dict[str, object]:
    """What construct makes of a payload that must be used up."""
    container = Struct(*entry.layout.subcons, Terminated).parse(payload)
    return {field.name: bits_of(container[field.name]) for field in entry.codec.fields}


@every_message
@given(data=st.data())
def test_encoding_is_bit_equal_to_construct(entry: Definition, data: st.DataObject) -> None:
    chosen = {field.name: data.draw(values(field), field.name) for field in entry.codec.fields}
    assert encode_payload(entry.message(**chosen)) == entry.layout.build(chosen)


@every_message
@given(data=st.data())
def test_decoding_is_bit_equal_to_construct_or_both_refuse(entry: Definition, data: st.DataObject) -> None:
    size = entry.codec.head.size
    payload = data.draw(st.binary(min_size=size, max_size=size + 40 * entry.codec.has_tail) | st.binary(max_size=100))
    try:
        expected = parsed(entry, payload)
    except ConstructError:
        with pytest.raises(DecodeError):
            decode_payload(entry.type_byte, payload)
        return
    message = decode_payload(entry.type_byte, payload)
    assert type(message) is entry.message
    assert {name: bits_of(value) for name, value in asdict(message).items()} == expected
    assert encode_payload(message) == entry.layout.build(entry.layout.parse(payload))


@every_message
@given(data=st.data(), seq=st.integers(0, 65535))
def test_a_message_survives_the_wire(entry: Definition, data: st.DataObject, seq: int) -> None:
    message = entry.message(**{field.name: data.draw(values(field), field.name) for field in entry.codec.fields})
    (frame,) = StreamDecoder().feed(encode(message, seq=seq))
    assert (frame.type, frame.seq, frame.payload) == (entry.type_byte, seq, encode_payload(message))
    assert encode_payload(frame.message) == frame.payload


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
    size = entry.codec.head.size
    for wrong in {size - 1, size + 1} - {-1, size + entry.codec.has_tail}:
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
        ProposeContinuous(1, 2.0).rate_ul_per_h = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("proposed", "digest"),
    [
        # printf '\x10\x2A\0…\x34\x40' | sha256sum, and the like
        (ProposeContinuous(42, 20.0), "c363684ba0de8f85"),
        (ProposeBolus(43, 100.0, 1000.0), "61aa687004a1bbf7"),
    ],
)
def test_the_digest_is_of_type_and_canonical_payload(proposed: ProposeContinuous, digest: str) -> None:
    assert proposal_digest(proposed).hex() == digest


def test_a_value_out_of_range_is_refused_by_message_and_field() -> None:
    with pytest.raises(EncodeError, match=r"Event\.code cannot carry 65536 as u16"):
        encode(Event(1, 1, 65536, 0))
    with pytest.raises(EncodeError, match=r"Telemetry\.head_temperature_c cannot carry 1e\+300 as f32"):
        encode(Telemetry(1, 0, 0, 0, 0, 0, 0.0, 1e300, 0, 0))
    with pytest.raises(EncodeError, match="a payload has at most 512 bytes, not 513"):
        encode(Proposal(1, 1, bytes(8), 1, bytes(485)))
