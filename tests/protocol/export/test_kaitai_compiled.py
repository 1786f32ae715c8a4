"""The .ksy through Kaitai Struct's own compiler: the Python it makes of it reads every vector.

Needs node with the npm packages kaitai-struct-compiler and js-yaml where node finds them (NODE_PATH), and the Python
package kaitaistruct, the runtime. Skipped where one of them is missing.
"""

import enum
import io
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from cobs import cobs

from protocol.export.description import snake_case
from protocol.export.kaitai import kaitai
from protocol.export.vectors import vectors

VECTORS: dict[str, Any] = json.loads(vectors())
CompileKsy = Callable[[str], Any]


@pytest.fixture(scope="module")
def theca_frame(compile_ksy: CompileKsy) -> Any:
    """The class that the compiler makes of the export."""
    return compile_ksy(kaitai())


def _raw(wire_hex: str) -> bytes:
    return cobs.decode(bytes.fromhex(wire_hex).strip(b"\0"))


def test_the_compiled_reader_gives_the_values_of_every_message(theca_frame: Any) -> None:
    for message in VECTORS["messages"]:
        for case in message["cases"]:
            where = f"{message['name']}, {case['name']}"
            raw = _raw(case["wire_hex"])
            read = theca_frame.from_bytes(raw)
            assert (_number(read.type), read.seq, read.major) == (message["type"], case["seq"], 1), where
            assert read.type.name == snake_case(message["name"]), where
            assert read.crc == int.from_bytes(raw[-4:], "little"), where
            assert read.payload._io.is_eof(), where
            _assert_fields(read.payload, message["fields"], case["values"], where)


def test_the_compiled_reader_gives_the_values_of_every_bulk_record(theca_frame: Any) -> None:
    for bulk in VECTORS["bulk"]:
        record_type = getattr(theca_frame, "Bulk" + bulk["name"].title().replace("_", ""))
        snapshot = b"".join(bytes.fromhex(case["record_hex"]) for case in bulk["cases"])
        stream = pytest.importorskip("kaitaistruct").KaitaiStream(io.BytesIO(snapshot))
        for case in bulk["cases"]:
            read = record_type(stream)
            assert read.crc == int(case["crc"], 16)
            _assert_fields(read.record, bulk["fields"], case["values"], f"{bulk['name']}, {case['name']}")
        assert stream.is_eof()


def test_the_compiled_reader_gives_trailers_and_other_versions(theca_frame: Any) -> None:
    for entry in VECTORS["frames"]:
        read = theca_frame.from_bytes(_raw(entry["wire_hex"]))
        assert read.major == entry["major"]
        assert read.has_trailer == (entry["trailer_hex"] is not None)
        if read.has_trailer:
            assert read.trailer.counter.to_bytes(4, "little") + read.trailer.tag == bytes.fromhex(entry["trailer_hex"])


def test_the_compiled_reader_shows_flags_by_name(theca_frame: Any) -> None:
    flex = next(message for message in VECTORS["messages"] if message["name"] == "ProposeFlex")
    case = next(case for case in flex["cases"] if case["name"] == "typical")
    read = theca_frame.from_bytes(_raw(case["wire_hex"])).payload
    for step, values in zip(read.steps, case["values"]["steps"], strict=True):
        assert step.days_monday == bool(values["days"] & 1)
        assert step.days_sunday == bool(values["days"] & 64)


def test_the_compiled_reader_refuses_a_count_above_the_records_and_a_length_above_the_limit(theca_frame: Any) -> None:
    wires = {reject["name"]: reject["wire_hex"] for reject in VECTORS["rejects"]}
    with pytest.raises(EOFError):
        theca_frame.from_bytes(_raw(wires["ProposeFlex with a count above its steps"]))
    with pytest.raises(Exception, match="max 512"):
        theca_frame.from_bytes(_raw(wires["a payload above the limit"]))


def _assert_fields(read: Any, fields: list[dict[str, Any]], values: dict[str, Any], where: str) -> None:
    for field in fields:
        value, stated, at = getattr(read, field["name"]), values[field["name"]], f"{where}, {field['name']}"
        if field["kind"] == "records":
            assert len(value) == getattr(read, f"{field['name']}_count") == len(stated), at
            for record, each in zip(value, stated, strict=True):
                _assert_fields(record, field["record_fields"], each, at)
        elif isinstance(stated, dict):
            packed = struct.pack(">f" if field["kind"] == "f32" else ">d", value)
            assert packed.hex() == stated["bits"] or value != value, at
        elif isinstance(value, bytes):
            assert value.hex() == stated, at
        elif isinstance(value, str):
            assert value == stated, at
        else:
            assert _number(value) == int(stated), at


def _number(value: Any) -> int:
    return int(value.value if isinstance(value, enum.Enum) else value)
