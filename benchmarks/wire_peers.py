"""The peers of benchmarks/wire.py, each doing what our decoder does, in its own usual way."""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import construct
from cobs import cobs
from fastcrc import crc32
from msgspec.structs import astuple
from pymavlink.generator import mavgen
from pyubx2 import GET, UBXMessage, UBXReader

from protocol import Telemetry
from protocol.registry import DEFINITIONS

MAVLINK_TYPES = {
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "f32": "float", "f64": "double",
}  # fmt: skip


def mavlink_dialect() -> ModuleType:
    """A dialect with one message of the same fields, by pymavlink's own generator."""
    fields = "".join(
        f'<field type="{MAVLINK_TYPES[field.kind]}" name="{field.name}">-</field>'
        for field in DEFINITIONS[Telemetry.TYPE].codec.fields
    )
    message = f'<message id="200" name="TELEMETRY"><description>-</description>{fields}</message>'
    xml = f"<mavlink><version>3</version><dialect>1</dialect><messages>{message}</messages></mavlink>"
    with tempfile.TemporaryDirectory() as folder:
        definition, module_file = Path(folder, "bench.xml"), Path(folder, "bench_dialect.py")
        definition.write_text(f'<?xml version="1.0"?>{xml}', encoding="utf-8")
        options = mavgen.Opts(str(module_file), wire_protocol="2.0", language="Python3", validate=False)
        with redirect_stdout(io.StringIO()):
            mavgen.mavgen(options, [str(definition)])
        spec = util.spec_from_file_location("bench_dialect", module_file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{module_file} cannot be loaded")
        dialect = util.module_from_spec(spec)
        sys.modules[spec.name] = dialect
        spec.loader.exec_module(dialect)
    return dialect


def mavlink_messages(dialect: ModuleType, messages: list[Telemetry]) -> list[Any]:
    """The same samples as messages of the dialect."""
    return [dialect.MAVLink_telemetry_message(*astuple(message)) for message in messages]


def read_mavlink(dialect: ModuleType, stream: bytes, chunk_bytes: int) -> Callable[[], int]:
    """pymavlink's typed messages from a stream in chunks."""
    chunks = [stream[start : start + chunk_bytes] for start in range(0, len(stream), chunk_bytes)]

    def run() -> int:
        parse_buffer = dialect.MAVLink(None).parse_buffer
        count = 0
        for chunk in chunks:
            for read in parse_buffer(chunk) or ():
                _ = read.mode
                _ = read.overflow
                _ = read.sequence
                _ = read.device_time_us
                _ = read.steps
                _ = read.rate_ul_per_h
                _ = read.head_temperature_c
                _ = read.battery_mv
                _ = read.alarms
                count += 1
        return count

    return run


class Cobs(construct.Tunnel):
    """COBS as a construct."""

    def _decode(self, data: bytes, _context: object, _path: str) -> bytes:
        return bytes(cobs.decode(data))

    def _encode(self, data: bytes, _context: object, _path: str) -> bytes:
        return bytes(cobs.encode(data))


def construct_frame() -> construct.Construct:
    """The whole frame between its zeros as one interpreted construct."""
    body = construct.Struct(
        "version" / construct.Const(0x10, construct.Int8ul),
        "type" / construct.Int8ul,
        "seq" / construct.Int16ul,
        "length" / construct.Int16ul,
        "payload"
        / construct.FixedSized(
            construct.this.length,
            construct.Switch(
                construct.this.type,
                {type_byte: entry.layout for type_byte, entry in DEFINITIONS.items()},
                default=construct.Error,
            ),
        ),
    )
    checked = construct.Struct(
        "body" / construct.RawCopy(body),
        "crc" / construct.Checksum(construct.Int32ul, crc32.iscsi, construct.this.body.data),
        construct.Terminated,
    )
    return Cobs(checked)


def read_construct(stream: bytes) -> Callable[[], int]:
    """construct's containers from the runs of a stream, which is cut at its zeros for it."""
    parse = construct_frame().parse

    def run() -> int:
        count = 0
        for frame in filter(None, stream.split(b"\0")):
            read = parse(frame).body.value.payload
            _ = read.mode
            _ = read.overflow
            _ = read.sequence
            _ = read.device_time_us
            _ = read.steps
            _ = read.rate_ul_per_h
            _ = read.head_temperature_c
            _ = read.battery_mv
            _ = read.alarms
            count += 1
        return count

    return run


def read_ubx(frames: int) -> Callable[[], int]:
    """pyubx2's NAV-PVT messages from a stream, 100 bytes each on the wire."""
    message = UBXMessage("NAV", "NAV-PVT", GET, year=2026, month=5, day=4, lon=8.5, lat=47.1, numSV=12, hAcc=333)
    stream = message.serialize() * frames
    names = [name for name in vars(message) if not name.startswith("_")]

    def run() -> int:
        count = 0
        for _raw, read in UBXReader(io.BytesIO(stream)):
            _ = [getattr(read, name) for name in names]
            count += 1
        return count

    return run
