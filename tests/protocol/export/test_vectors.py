"""The vectors, read by a decoder that shares nothing with ours: struct, a bitwise CRC, and COBS in eight lines."""

import json
import math
import struct
from collections import Counter
from typing import Any

import pytest

from protocol import RejectCause, StreamDecoder
from protocol.export.vectors import vectors
from protocol.registry import DEFINITIONS

CODES = {
    "u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q",
    "f32": "<f", "f64": "<d",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The vectors as any language's JSON parser sees them."""
    found: dict[str, Any] = json.loads(vectors())
    return found


def unstuffed(encoded: bytes) -> bytes:
    """COBS backwards, as Cheshire and Baker describe it."""
    raw, at = b"", 0
    while at < len(encoded):
        code = encoded[at]
        assert code
        assert at + code <= len(encoded)
        raw += encoded[at + 1 : at + code]
        at += code
        if code < 255 and at < len(encoded):
            raw += b"\0"
    return raw


def opened(wire: bytes, crc32c) -> tuple[int, int, bytes, bytes | None]:
    """Type, seq, payload, and trailer of a frame that must be intact."""
    assert wire[:1] == wire[-1:] == b"\0"
    assert 0 not in wire[1:-1]
    raw = unstuffed(wire[1:-1])
    assert struct.unpack("<I", raw[-4:])[0] == crc32c(raw[:-4])
    version_flags, type_byte, seq, length = struct.unpack_from("<BBHH", raw)
    assert version_flags in (0x10, 0x11)
    trailer = raw[6 + length : -4]
    assert len(trailer) == (12 if version_flags & 1 else 0)
    return type_byte, seq, raw[6 : 6 + length], trailer or None


def read(field: dict[str, Any], payload: bytes) -> Any:
    """A field's value by nothing but its kind, offset and size in the vectors."""
    kind, start = field["kind"], field["offset"]
    if kind == "tail":
        return payload[start:].hex()
    part = payload[start : start + field["size"]]
    if kind.startswith("bytes"):
        return part.hex()
    if kind.startswith("text"):
        return part.rstrip(b"\0").decode("utf-8")
    (value,) = struct.unpack(CODES[kind], part)
    return str(value) if kind in ("u64", "i64") else value


def same_float(value: float, stated: dict[str, str], kind: str) -> bool:
    if math.isnan(value):
        return all(math.isnan(number) for number in (float(stated["decimal"]), float.fromhex(stated["hex"])))
    bits = struct.pack(CODES[kind].replace("<", ">"), value).hex()
    ways = [float(stated["decimal"]), float.fromhex(stated["hex"])]
    return bits == stated["bits"] and all(struct.pack(">d", way) == struct.pack(">d", value) for way in ways)


def test_every_case_of_every_message_decodes_to_its_values(document, crc32c) -> None:
    for message in document["messages"]:
        for case in message["cases"]:
            where = f"{message['name']} {case['name']}"
            type_byte, seq, payload, trailer = opened(bytes.fromhex(case["wire_hex"]), crc32c)
            assert (type_byte, seq, trailer) == (message["type"], case["seq"], None), where
            assert payload.hex() == case["payload_hex"], where
            assert list(case["values"]) == [field["name"] for field in message["fields"]], where
            for field in message["fields"]:
                value, stated = read(field, payload), case["values"][field["name"]]
                if isinstance(stated, dict):
                    assert same_float(value, stated, field["kind"]), f"{where} {field['name']}"
                else:
                    assert value == stated, f"{where} {field['name']}"


def test_fields_lie_side_by_side_and_fill_the_payload(document) -> None:
    for message in document["messages"]:
        at = 0
        for field in message["fields"]:
            assert field["offset"] == at
            at += field["size"]
        tailed = bool(message["fields"]) and message["fields"][-1]["kind"] == "tail"
        for case in message["cases"]:
            size = len(case["payload_hex"]) // 2
            assert size == at or (tailed and at < size <= 512)


def test_every_registered_message_is_there_with_its_enumerations(document) -> None:
    assert [message["type"] for message in document["messages"]] == sorted(DEFINITIONS)
    for message in document["messages"]:
        known = DEFINITIONS[message["type"]].codec.fields
        assert [field.name for field in known] == [field["name"] for field in message["fields"]]
        for field, layout in zip(message["fields"], known, strict=True):
            names = document["enums"][field["enum"]] if "enum" in field else None
            assert names == (layout.names and {name: value for value, name in layout.names.items()})


def test_the_cases_hold_the_boundaries_of_every_number(document) -> None:
    for message in document["messages"]:
        for field in message["fields"]:
            if field["kind"][0] not in "ui":
                continue
            bits, signed = 8 * field["size"], field["kind"][0] == "i"
            seen = {int(case["values"][field["name"]]) for case in message["cases"]}
            assert {0, (1 << bits - signed) - 1, -(1 << bits - 1) if signed else 0} <= seen


def test_floats_are_seen_as_negative_zero_infinity_and_nan(document) -> None:
    status = next(message for message in document["messages"] if message["name"] == "Status")
    seen = {
        value["decimal"] for case in status["cases"] for value in case["values"].values() if isinstance(value, dict)
    }
    assert {"0.0", "-0.0", "inf", "-inf", "nan", "5e-324", "1.7976931348623157e+308"} <= seen


def test_typical_values_show_the_order_of_bytes(document) -> None:
    event = next(message for message in document["messages"] if message["name"] == "Event")
    typical = next(case for case in event["cases"] if case["name"] == "typical")
    assert typical["values"]["sequence"] == 0x04030201
    assert typical["values"]["device_time_us"] == str(0x1817161514131211)
    assert int(typical["values"]["argument"]) < 0


def test_the_cobs_vectors_read_back_and_cover_the_edges(document) -> None:
    cases = document["cobs"]
    for case in cases:
        encoded = bytes.fromhex(case["encoded_hex"])
        assert 0 not in encoded
        assert unstuffed(encoded).hex() == case["decoded_hex"], case["name"]
    by_name = {case["name"]: bytes.fromhex(case["encoded_hex"]) for case in cases}
    run = bytes(range(1, 256))
    assert by_name["253 bytes without a zero"] == b"\xfe" + run[:253]
    assert by_name["254 bytes without a zero"] == b"\xff" + run[:254]
    assert by_name["255 bytes without a zero"] == b"\xff" + run[:254] + b"\x02\xff"
    assert by_name["254 bytes without a zero, then a zero"] == b"\xff" + run[:254] + b"\x01\x01"
    assert by_name["two zeros"] == b"\x01\x01\x01"


def test_the_crc_vectors_agree_with_the_bitwise_crc(document, crc32c) -> None:
    assert document["crc"]["cases"][0] == {"name": "check", "data_hex": b"123456789".hex(), "crc": "e3069283"}
    for case in document["crc"]["cases"]:
        assert f"{crc32c(bytes.fromhex(case['data_hex'])):08x}" == case["crc"]


def test_the_crc_vectors_of_rfc_3720_are_among_them(document) -> None:
    # RFC 3720 B.4 prints the CRC in the order of the wire: AA 36 91 8A, 43 AB A8 62, 4E 79 DD 46.
    by_name = {case["name"]: case["crc"] for case in document["crc"]["cases"]}
    assert by_name["32 zeros"] == "8a9136aa"
    assert by_name["32 times FF"] == "62a8ab43"
    assert by_name["00 to 1F"] == "46dd794e"


def test_the_frame_vectors_read_back_and_reach_the_limits(document, crc32c) -> None:
    wires = []
    for case in document["frames"]:
        wire = bytes.fromhex(case["wire_hex"])
        trailer = case["trailer_hex"] and bytes.fromhex(case["trailer_hex"])
        expected = (case["type"], case["seq"], bytes.fromhex(case["payload_hex"]), trailer)
        assert opened(wire, crc32c) == expected, case["name"]
        assert len(StreamDecoder().feed(wire)) == 1, case["name"]
        wires.append(wire)
    assert max(map(len, wires)) == document["limits"]["wire_bytes"] == 539
    assert min(map(len, wires)) == 13


def test_every_cause_of_a_reject_has_a_vector_that_the_decoder_names_so(document) -> None:
    seen: Counter[str] = Counter()
    for case in document["rejects"]:
        decoder = StreamDecoder()
        assert decoder.feed(bytes.fromhex(case["wire_hex"])) == [], case["name"]
        assert [reject.cause.name for reject in decoder.rejects] == [case["cause"]], case["name"]
        seen[case["cause"]] += 1
    assert set(seen) == {cause.name for cause in RejectCause}
