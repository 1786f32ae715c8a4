"""The .ksy, read here without a YAML parser or a compiler: its layouts and names are the registry's, to the byte.

That the file is valid Kaitai Struct is for test_kaitai_compiled.py, which needs the compiler.
"""

import json
import keyword
import re
import struct
from enum import IntFlag
from typing import Any

import pytest
from cobs import cobs

from protocol import Alarm, Capability, Day
from protocol.export.description import describe_bulk, describe_enums, describe_messages, describe_records, snake_case
from protocol.export.kaitai import kaitai
from protocol.export.vectors import vectors

VECTORS: dict[str, Any] = json.loads(vectors())
NUMBERS = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "s1": "b", "s2": "h", "s4": "i", "s8": "q", "f4": "f", "f8": "d"}
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


def _read(text: str) -> dict[str, Any]:
    """The subset of YAML that the export writes: maps by indentation, lists of maps, scalars; nothing else is taken."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    root, rest = _read_block(lines, 0)
    assert not rest
    assert isinstance(root, dict)
    return root


def _read_block(lines: list[str], indent: int) -> tuple[Any, list[str]]:
    found: Any = [] if lines[0].startswith(" " * indent + "- ") else {}
    while lines and _indent(lines[0]) == indent:
        if isinstance(found, list):
            assert lines[0].startswith(" " * indent + "- "), lines[0]
            lines = [lines[0].replace("- ", "  ", 1), *lines[1:]]
            item, lines = _read_block(lines, indent + 2)
            found.append(item)
            continue
        match = re.fullmatch(r" *('[^']+'|\w[\w-]*):(?: (.+))?", lines[0])
        assert match, lines[0]
        key, value = match[1].strip("'"), match[2]
        assert key not in found, f"{key} twice"
        if value is None:
            found[key], lines = _read_block(lines[1:], indent + 2)
        else:
            found[key], lines = _scalar(value), lines[1:]
    assert not lines or _indent(lines[0]) < indent, lines[0]
    return found, lines


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _scalar(value: str) -> Any:
    if value[0] in '"[':
        return json.loads(value)
    assert ": " not in value, value
    assert " #" not in value, value
    return int(value) if value.isdigit() else value


KSY = _read(kaitai())


def _parse(sequence: list[dict[str, Any]], data: bytes, known: dict[str, Any]) -> int:
    """Reads fields as a program made from the .ksy would; where it stopped."""
    position = 0
    for attribute in sequence:
        if attribute.get("if") == "has_trailer" and not known["version_flags"] & 1:
            continue
        kind, size = attribute.get("type"), attribute.get("size")
        if not isinstance(kind, str):
            kind = None
        if kind in NUMBERS:
            (known[attribute["id"]],) = struct.unpack_from("<" + NUMBERS[kind], data, position)
            position += struct.calcsize("<" + NUMBERS[kind])
            continue
        if attribute.get("repeat") == "expr":
            known[attribute["id"]] = []
            for _ in range(known[attribute["repeat-expr"]]):
                known[attribute["id"]].append({})
                record = known[attribute["id"]][-1]
                position += _parse(KSY["types"][kind]["seq"], data[position:], record)
            continue
        if kind in KSY["types"]:
            known[attribute["id"]] = {}
            position += _parse(KSY["types"][kind]["seq"], data[position:], known[attribute["id"]])
            continue
        to_the_end = attribute.get("size-eos") == "true"
        length = len(data) - position if to_the_end else known["length"] if size == "length" else int(str(size))
        raw = data[position : position + length]
        assert len(raw) == length
        position += length
        known[attribute["id"]] = raw.rstrip(b"\0").decode() if kind == "str" else raw
    return position


@pytest.mark.parametrize("message", VECTORS["messages"], ids=lambda message: message["name"])
def test_reading_by_the_ksy_gives_the_values_of_the_vectors(message: dict[str, Any]) -> None:
    for case in message["cases"]:
        raw = cobs.decode(bytes.fromhex(case["wire_hex"]).strip(b"\0"))
        outer: dict[str, Any] = {}
        assert _parse(KSY["seq"], raw, outer) == len(raw)
        assert (outer["type"], outer["seq"], outer["payload"].hex()) == (
            message["type"],
            case["seq"],
            case["payload_hex"],
        )
        assert outer["crc"] == int.from_bytes(raw[-4:], "little")
        chosen = _type_for(message["type"])
        inner: dict[str, Any] = {}
        assert _parse(KSY["types"][chosen]["seq"], outer["payload"], inner) == len(outer["payload"])
        _assert_fields(inner, message["fields"], case["values"])


@pytest.mark.parametrize("bulk", VECTORS["bulk"], ids=lambda bulk: bulk["name"])
def test_reading_a_bulk_record_by_the_ksy_gives_its_values_and_its_crc(bulk: dict[str, Any]) -> None:
    for case in bulk["cases"]:
        raw = bytes.fromhex(case["record_hex"])
        known: dict[str, Any] = {}
        assert _parse(KSY["types"][f"bulk_{bulk['name'].lower()}"]["seq"], raw, known) == len(raw)
        assert known["crc"] == int(case["crc"], 16)
        _assert_fields(known["record"], bulk["fields"], case["values"])


def _assert_fields(found: dict[str, Any], fields: list[dict[str, Any]], values: dict[str, Any]) -> None:
    counts = {f"{field['name']}_count": len(values[field["name"]]) for field in fields if "record_fields" in field}
    assert {name: found.pop(name) for name in counts} == counts
    assert list(found) == [field["name"] for field in fields]
    for field in fields:
        value, expected = found[field["name"]], values[field["name"]]
        if "record_fields" not in field:
            _assert_same(value, expected, field["kind"])
            continue
        for record, stated in zip(value, expected, strict=True):
            _assert_fields(record, field["record_fields"], stated)


def _type_for(type_byte: int) -> str:
    (payload,) = (attribute for attribute in KSY["seq"] if attribute["id"] == "payload")
    assert payload["type"]["switch-on"] == "type"
    named: str = payload["type"]["cases"][f"message_type::{KSY['enums']['message_type'][str(type_byte)]}"]
    return named


def _assert_same(value: Any, expected: Any, kind: str) -> None:
    if kind in ("f32", "f64"):
        bits = struct.pack(">f" if kind == "f32" else ">d", value).hex()
        assert bits == expected["bits"] or value != value
    elif isinstance(value, bytes):
        assert value.hex() == expected
    elif isinstance(value, int):
        assert value == int(expected)
    else:
        assert value == expected


def test_frames_with_a_trailer_are_read_to_their_end() -> None:
    for entry in VECTORS["frames"]:
        raw = cobs.decode(bytes.fromhex(entry["wire_hex"]).strip(b"\0"))
        outer: dict[str, Any] = {}
        assert _parse(KSY["seq"], raw, outer) == len(raw), entry["name"]
        assert ("trailer" in outer) == (entry["trailer_hex"] is not None)
        if entry["trailer_hex"] is not None:
            counter = outer["trailer"]["counter"].to_bytes(4, "little")
            assert (counter + outer["trailer"]["tag"]).hex() == entry["trailer_hex"]


def test_named_values_units_and_flags_are_those_of_the_registry() -> None:
    for enum in describe_enums():
        if issubclass(enum, IntFlag):
            continue
        written = {
            int(value): named if isinstance(named, str) else named["id"]
            for value, named in KSY["enums"][snake_case(enum.__name__)].items()
        }
        assert {value: name.rstrip("_") for value, name in written.items()} == {
            int(member): str(member.name).lower() for member in enum
        }
    described = [(message.name, message.wire_fields) for message in describe_messages()]
    described += [(record.name, record.fields) for record in describe_records()]
    for name, fields in described:
        attributes = KSY["types"][snake_case(name)]["seq"]
        for field, attribute in zip(fields, attributes, strict=True):
            named = field.values is not None and not issubclass(field.values, IntFlag)
            assert attribute.get("enum") == (snake_case(field.values.__name__) if named and field.values else None)
            assert field.unit in attribute.get("doc", "")
    status = KSY["types"]["status"]["instances"]
    assert {name: entry["value"] for name, entry in status.items()} == {
        f"alarms_{str(flag.name).lower()}": f"(alarms & {int(flag)}) != 0" for flag in Alarm
    }
    step = KSY["types"]["flex_step"]["instances"]
    assert [entry["value"] for entry in step.values()] == [f"(days & {int(day)}) != 0" for day in Day]
    capabilities = KSY["types"]["hello"]["instances"]
    assert list(capabilities) == [f"capabilities_{str(flag.name).lower()}" for flag in Capability]


def test_no_identifier_is_a_keyword_of_the_languages_that_take_it_as_it_is() -> None:
    names = [name for named in KSY["enums"].values() for name in named.values()]
    identifiers = [name if isinstance(name, str) else name["id"] for name in names]
    identifiers += [attribute["id"] for described in KSY["types"].values() for attribute in described["seq"]]
    assert "continue_" in identifiers
    assert not [name for name in identifiers if keyword.iskeyword(name)]


def test_every_identifier_is_one_that_kaitai_takes_and_every_reference_leads_somewhere() -> None:
    for name, described in KSY["types"].items():
        names = [attribute["id"] for attribute in described["seq"]] + list(described.get("instances", {}))
        assert len(names) == len(set(names)), name
        assert all(IDENTIFIER.fullmatch(identifier) for identifier in [name, *names])
        assert {attribute["enum"] for attribute in described["seq"] if "enum" in attribute} <= set(KSY["enums"])
    (payload,) = (attribute for attribute in KSY["seq"] if attribute["id"] == "payload")
    messages = {snake_case(message.name) for message in describe_messages()}
    records = {snake_case(record.name) for record in describe_records()}
    bulk = {f"bulk_{entry.object.name.lower()}" for entry in describe_bulk()}
    assert set(payload["type"]["cases"].values()) == messages
    assert set(KSY["types"]) == messages | records | bulk | {"trailer"}
    assert KSY["meta"]["id"] == "theca_frame"
    assert KSY["meta"]["endian"] == "le"


def test_the_text_is_equal_at_every_call() -> None:
    assert kaitai() == kaitai()
