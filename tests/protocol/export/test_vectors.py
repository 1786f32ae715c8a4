"""The vectors, read by a decoder that shares nothing with ours: struct, a bitwise CRC, and COBS in eight lines."""

import json
import math
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from protocol import BULK_RECORDS, BulkObject, Hello, HelloRequest, RejectCause, StreamDecoder
from protocol.export.vectors import vectors
from protocol.layout import FieldLayout
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


def opened(wire: bytes, crc32c, major: int = 1) -> tuple[int, int, bytes, bytes | None]:
    """Type, seq, payload, and trailer of a frame that must be intact."""
    assert wire[:1] == wire[-1:] == b"\0"
    assert 0 not in wire[1:-1]
    raw = unstuffed(wire[1:-1])
    assert struct.unpack("<I", raw[-4:])[0] == crc32c(raw[:-4])
    version_flags, type_byte, seq, length = struct.unpack_from("<BBHH", raw)
    assert version_flags in (major << 4, major << 4 | 1)
    trailer = raw[6 + length : -4]
    assert len(trailer) == (12 if version_flags & 1 else 0)
    return type_byte, seq, raw[6 : 6 + length], trailer or None


def read(field: dict[str, Any], payload: bytes) -> Any:
    """A field's value by nothing but its kind, offset and size in the vectors."""
    kind, start = field["kind"], field["offset"]
    if kind == "tail":
        return payload[start:].hex()
    if kind == "records":
        (count,) = struct.unpack_from(CODES[field["count_kind"]], payload, start)
        start, size = start + struct.calcsize(CODES[field["count_kind"]]), field["record_bytes"]
        assert len(payload) == start + count * size
        records = [payload[at : at + size] for at in range(start, len(payload), size)]
        return [{each["name"]: read(each, record) for each in field["record_fields"]} for record in records]
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


def assert_reads_back(fields: list[dict[str, Any]], values: dict[str, Any], payload: bytes, where: str) -> None:
    assert list(values) == [field["name"] for field in fields], where
    for field in fields:
        assert_same(field, read(field, payload), values[field["name"]], f"{where} {field['name']}")


def assert_same(field: dict[str, Any], value: Any, stated: Any, where: str) -> None:
    if field["kind"] == "records":
        assert len(value) == len(stated), where
        for one, other in zip(value, stated, strict=True):
            assert list(one) == list(other)
            for each in field["record_fields"]:
                assert_same(each, one[each["name"]], other[each["name"]], f"{where}.{each['name']}")
    elif isinstance(stated, dict):
        assert same_float(value, stated, field["kind"]), where
    else:
        assert value == stated, where


def numbers(fields: list[dict[str, Any]], cases: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Each field, of records too, and its values in all cases."""
    for field in fields:
        values = [values[field["name"]] for values in cases]
        yield field, values
        if field["kind"] == "records":
            yield from numbers(field["record_fields"], [record for records in values for record in records])


def test_every_case_of_every_message_decodes_to_its_values(document, crc32c) -> None:
    for message in document["messages"]:
        for case in message["cases"]:
            where = f"{message['name']} {case['name']}"
            type_byte, seq, payload, trailer = opened(bytes.fromhex(case["wire_hex"]), crc32c)
            assert (type_byte, seq, trailer) == (message["type"], case["seq"], None), where
            assert payload.hex() == case["payload_hex"], where
            assert_reads_back(message["fields"], case["values"], payload, where)


def test_every_case_of_every_bulk_record_decodes_to_its_values_and_has_its_crc_behind(document, crc32c) -> None:
    assert [bulk["object"] for bulk in document["bulk"]] == sorted(BULK_RECORDS)
    for bulk in document["bulk"]:
        assert document["enums"]["BulkObject"][bulk["name"]] == bulk["object"]
        for case in bulk["cases"]:
            where = f"{bulk['name']} {case['name']}"
            payload, record = bytes.fromhex(case["payload_hex"]), bytes.fromhex(case["record_hex"])
            assert len(record) == bulk["record_bytes"], where
            assert record == payload + struct.pack("<I", crc32c(payload)), where
            assert int(case["crc"], 16) == crc32c(payload), where
            assert_reads_back(bulk["fields"], case["values"], payload, where)
            decoded = BULK_RECORDS[BulkObject(bulk["object"])].codec.decode(payload)
            assert [str(getattr(decoded, name)) for name in decoded.__struct_fields__] == [
                str(value["decimal"]) if isinstance(value, dict) else str(value) for value in case["values"].values()
            ], where


def test_fields_lie_side_by_side_and_fill_the_payload(document) -> None:
    for message in document["messages"]:
        at = ends(message["fields"])
        for field in message["fields"]:
            if field["kind"] == "records":
                assert ends(field["record_fields"]) == field["record_bytes"]
                at += struct.calcsize(CODES[field["count_kind"]])
        assert message["payload_bytes"]["least"] == at
        for case in message["cases"]:
            assert at <= len(case["payload_hex"]) // 2 <= message["payload_bytes"]["most"] <= 512
        sizes = {len(case["payload_hex"]) // 2 for case in message["cases"]}
        assert {at, message["payload_bytes"]["most"]} <= sizes, message["name"]
    for bulk in document["bulk"]:
        assert ends(bulk["fields"]) == bulk["record_bytes"] - 4


def ends(fields: list[dict[str, Any]]) -> int:
    at = 0
    for field in fields:
        assert field["offset"] == at
        at += field["size"]
    return at


def test_a_message_is_seen_with_as_many_records_as_a_payload_holds_and_with_none(document) -> None:
    by_name = {message["name"]: message for message in document["messages"]}
    for name, field, most in (("ProposeFlex", "steps", 45), ("Alarms", "entries", 22)):
        seen = {case["name"]: len(case["values"][field]) for case in by_name[name]["cases"]}
        assert seen["maximum"] == most
        assert seen["without records"] == 0
        room = 512 - by_name[name]["payload_bytes"]["most"]
        assert 0 <= room < by_name[name]["fields"][-1]["record_bytes"]


def test_every_registered_message_is_there_with_its_enumerations(document) -> None:
    assert [message["type"] for message in document["messages"]] == sorted(DEFINITIONS)
    for message in document["messages"]:
        known = DEFINITIONS[message["type"]].codec.fields
        assert [field.name for field in known] == [field["name"] for field in message["fields"]]
        assert_named(document, message["fields"], known)
    for bulk in document["bulk"]:
        assert_named(document, bulk["fields"], BULK_RECORDS[BulkObject(bulk["object"])].codec.fields)


def assert_named(document: dict[str, Any], fields: list[dict[str, Any]], known: tuple[FieldLayout, ...]) -> None:
    for field, layout in zip(fields, known, strict=True):
        names = document["enums"][field["enum"]] if "enum" in field else None
        assert names == (layout.names and {name: value for value, name in layout.names.items()})
        if layout.record is not None:
            assert_named(document, field["record_fields"], layout.record.fields)


def test_the_cases_hold_the_boundaries_of_every_number(document) -> None:
    for described in (*document["messages"], *document["bulk"]):
        for field, values in numbers(described["fields"], [case["values"] for case in described["cases"]]):
            if field["kind"][0] not in "ui":
                continue
            bits, signed = 8 * field["size"], field["kind"][0] == "i"
            assert {0, (1 << bits - signed) - 1, -(1 << bits - 1) if signed else 0} <= set(map(int, values))


def test_floats_are_seen_as_negative_zero_infinity_and_nan(document) -> None:
    by_name = {described["name"]: described for described in (*document["messages"], *document["bulk"])}
    for name in ("Status", "ProposeFlex", "DOSE_HISTORY"):
        described = by_name[name]
        seen = {
            value["decimal"]
            for field, values in numbers(described["fields"], [case["values"] for case in described["cases"]])
            for value in values
            if field["kind"] == "f64"
        }
        assert {"0.0", "-0.0", "inf", "-inf", "nan", "5e-324", "1.7976931348623157e+308"} <= seen, name


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
        assert opened(wire, crc32c, case["major"]) == expected, case["name"]
        (frame,) = StreamDecoder().feed(wire)
        assert frame.major == case["major"], case["name"]
        wires.append(wire)
    others = {case["type"] for case in document["frames"] if case["major"] != 1}
    assert others == {HelloRequest.TYPE, Hello.TYPE}
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


def test_a_count_that_lies_about_the_length_is_among_the_rejects_of_every_message_with_records(document) -> None:
    names = {case["name"]: case["cause"] for case in document["rejects"]}
    counted = [message for message in document["messages"] for field in message["fields"] if field["kind"] == "records"]
    assert counted
    for message in counted:
        records = message["fields"][-1]["name"]
        for lie in ("a count above its", "a count below its", "the highest count and no", "one byte behind its"):
            assert names[f"{message['name']} with {lie} {records}"] == "PAYLOAD"


def test_every_reject_and_every_frame_has_a_name_of_its_own(document) -> None:
    for kind in ("rejects", "frames", "cobs"):
        names = [case["name"] for case in document[kind]]
        assert len(names) == len(set(names))
