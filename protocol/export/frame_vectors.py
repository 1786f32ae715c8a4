"""Vectors of the frame itself: what goes through CRC and COBS, frames to take, and bytes to reject by cause."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cobs import cobs
from fastcrc import crc32

from protocol.export import frame
from protocol.export.description import FieldDescription, MessageDescription, describe_messages
from protocol.framing import MAX_PAYLOAD_BYTES, PROTOCOL_MAJOR, TRAILER_BYTES, RejectCause, encode_frame
from protocol.messages import Hello, HelloRequest, Stop

_TRAILER = bytes(range(0xA0, 0xA0 + TRAILER_BYTES))
_VERSION = PROTOCOL_MAJOR << 4
_NOT_UTF8 = 0xFF


@dataclass(frozen=True, slots=True)
class AcceptedFrame:
    """An intact frame, and what a receiver finds in it."""

    name: str
    type_byte: int
    seq: int
    payload: bytes
    trailer: bytes | None = None
    major: int = PROTOCOL_MAJOR

    @property
    def wire(self) -> bytes:
        """All of its bytes, both zeros included."""
        flags = 0 if self.trailer is None else frame.FLAG_TRAILER
        header = _header(self.type_byte, self.seq, version=self.major << 4 | flags, length=len(self.payload))
        return _wire(header + self.payload + (self.trailer or b""))


def crc_inputs() -> Iterator[tuple[str, bytes]]:
    """What to compute a CRC of, the check text first."""
    yield "check", frame.CRC_CHECK_TEXT.encode("ascii")
    yield "nothing", b""
    yield "one zero", b"\0"
    yield "32 zeros", bytes(32)
    yield "32 times FF", b"\xff" * 32
    yield "00 to 1F", bytes(range(32))


def cobs_inputs() -> Iterator[tuple[str, bytes]]:
    """What to encode with COBS: zeros anywhere, and runs around its longest."""
    yield "nothing", b""
    yield "one zero", b"\0"
    yield "two zeros", b"\0\0"
    yield "no zero", b"\x11\x22\x33"
    yield "zero first", b"\0\x11"
    yield "zero last", b"\x11\0"
    yield "zero within", b"\x11\x22\0\x33"
    for count in (253, 254, 255, 508, 509):
        run = _non_zero(count)
        yield f"{count} bytes without a zero", run
        yield f"{count} bytes without a zero, then a zero", run + b"\0"
        yield f"a zero, then {count} bytes without one", b"\0" + run


def accepted_frames() -> Iterator[AcceptedFrame]:
    """Frames that every receiver takes."""
    tailed = next(message for message in describe_messages() if message.has_tail and message.records is None)
    head, number = bytes(tailed.least_bytes), tailed.type_byte
    yield AcceptedFrame("the smallest frame", Stop.TYPE, 1, b"")
    yield AcceptedFrame("the smallest frame with a trailer", Stop.TYPE, 1, b"", _TRAILER)
    yield AcceptedFrame("a trailer of zeros", Stop.TYPE, 0xFFFF, b"", bytes(TRAILER_BYTES))
    yield AcceptedFrame("a payload of zeros", number, 0x0100, head)
    yield AcceptedFrame("a whole payload of zeros", number, 1, bytes(MAX_PAYLOAD_BYTES))
    for count in (253, 254, 255):
        yield AcceptedFrame(f"{count} non-zero bytes at the end of the payload", number, 1, head + _non_zero(count))
    yield AcceptedFrame("the longest frame on the wire", number, 0x0101, _non_zero(MAX_PAYLOAD_BYTES), _TRAILER)
    for message in describe_messages():
        if message.message in (HelloRequest, Hello):
            name = f"{message.name} of another major version"
            yield AcceptedFrame(name, message.type_byte, 1, bytes(message.least_bytes), major=PROTOCOL_MAJOR + 1)


def rejected_wires() -> Iterator[tuple[str, RejectCause, bytes]]:
    """Bytes that no receiver takes, at least one for every cause."""
    yield from _rejected_before_the_crc()
    yield from _rejected_by_crc()
    yield from _rejected_by_header()
    yield from _rejected_by_payload()


def _rejected_before_the_crc() -> Iterator[tuple[str, RejectCause, bytes]]:
    yield "a length byte that points behind the end", RejectCause.COBS, b"\0\x05\x11\x22\0"
    yield "a length byte of FF without its 254 bytes", RejectCause.COBS, b"\0\xff" + _non_zero(253) + b"\0"
    yield "an intact frame without its last byte", RejectCause.COBS, _whole()[:-2] + b"\0"
    yield "one byte", RejectCause.SHORT, b"\0\x01\0"
    yield "the first five bytes of an intact frame", RejectCause.SHORT, _whole()[:6] + b"\0"
    yield "one byte less than the smallest frame", RejectCause.SHORT, _wire(b"\x10\x02\x01\0\0")
    yield "one byte too many", RejectCause.TOO_LONG, b"\0" + b"\x01" * (frame.MAX_ENCODED_BYTES + 1) + b"\0"
    yield "no zero for 2000 bytes", RejectCause.TOO_LONG, b"\0" + b"\x01" * 2000 + b"\0"


def _rejected_by_crc() -> Iterator[tuple[str, RejectCause, bytes]]:
    empty = _header(Stop.TYPE)
    yield "the lowest bit of the CRC", RejectCause.CRC, _wire(empty, crc_damage=1)
    yield "the highest bit of the CRC", RejectCause.CRC, _wire(empty, crc_damage=1 << 31)
    big_endian = crc32.iscsi(empty).to_bytes(frame.CRC_BYTES, "big")
    yield "a CRC with its bytes the other way round", RejectCause.CRC, _delimited(empty + big_endian)
    yield "the longest run, all of it 01", RejectCause.CRC, b"\0" + b"\x01" * frame.MAX_ENCODED_BYTES + b"\0"
    yield "an unknown type with a damaged CRC", RejectCause.CRC, _wire(_header(_unknown_type()), crc_damage=1)


def _rejected_by_header() -> Iterator[tuple[str, RejectCause, bytes]]:
    empty, too_long = Stop.TYPE, MAX_PAYLOAD_BYTES + 1
    with_trailer = _VERSION | frame.FLAG_TRAILER
    yield "another major version", RejectCause.VERSION, _wire(_header(empty, version=_VERSION + 16))
    yield "major version 0", RejectCause.VERSION, _wire(_header(empty, version=0))
    yield "a flag that is unknown", RejectCause.VERSION, _wire(_header(empty, version=_VERSION | 2))
    yield "a HELLO with a flag that is unknown", RejectCause.VERSION, _wire(_hello(version=_VERSION | 8))
    yield "a length above the payload", RejectCause.LENGTH, _wire(_header(empty, length=1))
    yield "a length below the payload", RejectCause.LENGTH, _wire(_header(empty) + b"\x11")
    yield "a length of all ones", RejectCause.LENGTH, _wire(_header(empty, length=0xFFFF))
    yield "a missing trailer", RejectCause.LENGTH, _wire(_header(empty, version=with_trailer))
    yield (
        "a trailer one byte short",
        RejectCause.LENGTH,
        _wire(_header(empty, version=with_trailer) + _TRAILER[:-1]),
    )
    yield "a trailer that is not announced", RejectCause.LENGTH, _wire(_header(empty) + _TRAILER)
    yield "a payload above the limit", RejectCause.LENGTH, _wire(_header(empty, length=too_long) + bytes(too_long))


def _rejected_by_payload() -> Iterator[tuple[str, RejectCause, bytes]]:
    unknown = _unknown_type()
    full = next(message for message in describe_messages() if message.least_bytes and not message.has_tail)
    short, long = bytes(full.least_bytes - 1), bytes(full.least_bytes + 1)
    yield "an unknown type", RejectCause.UNKNOWN_TYPE, encode_frame(unknown, 1, b"")
    yield "an unknown type with payload and trailer", RejectCause.UNKNOWN_TYPE, encode_frame(
        unknown, 1, b"\x11\x22", trailer=_TRAILER
    )  # fmt: skip
    yield "a payload one byte short", RejectCause.PAYLOAD, encode_frame(full.type_byte, 1, short)
    yield "a payload one byte long", RejectCause.PAYLOAD, encode_frame(full.type_byte, 1, long)
    yield "a payload for a message that has none", RejectCause.PAYLOAD, encode_frame(Stop.TYPE, 1, b"\0")
    yield "a payload one byte short, with a trailer", RejectCause.PAYLOAD, encode_frame(
        full.type_byte, 1, short, trailer=_TRAILER
    )  # fmt: skip
    for message in describe_messages():
        for what, payload in (*_wrong_tails(message), *_wrong_texts(message)):
            yield f"{message.name}{what}", RejectCause.PAYLOAD, encode_frame(message.type_byte, 1, payload)


def _wrong_tails(message: MessageDescription) -> Iterator[tuple[str, bytes]]:
    if message.has_tail and message.least_bytes:
        yield " with one byte less than its least", bytes(message.least_bytes - 1)
    if message.records is None:
        return
    name, size = message.fields[-1].name, message.records.size
    yield f" with a count above its {name}", _counted(message, 2) + bytes(size)
    yield f" with a count below its {name}", _counted(message, 1) + bytes(2 * size)
    yield f" with the highest count and no {name}", _counted(message, -1)
    yield f" with one byte less than its {name}", _counted(message, 1) + bytes(size - 1)
    yield f" with one byte behind its {name}", _counted(message, 1) + bytes(size + 1)


def _wrong_texts(message: MessageDescription) -> Iterator[tuple[str, bytes]]:
    for field in _texts(message.fields):
        payload = bytearray(message.least_bytes)
        payload[field.offset] = _NOT_UTF8
        yield f".{field.name} is not UTF-8", bytes(payload)
    if message.records is None:
        return
    for field in _texts(message.records.fields):
        payload = bytearray(_counted(message, 1) + bytes(message.records.size))
        payload[message.least_bytes + field.offset] = _NOT_UTF8
        yield f".{message.fields[-1].name}[0].{field.name} is not UTF-8", bytes(payload)


def _texts(fields: tuple[FieldDescription, ...]) -> Iterator[FieldDescription]:
    return (field for field in fields if field.c_type == "char")


def _counted(message: MessageDescription, count: int) -> bytes:
    """A head of zeros, and a count; −1 for the highest."""
    width = message.least_bytes - message.fields[-1].offset
    return bytes(message.fields[-1].offset) + (count % (1 << 8 * width)).to_bytes(width, "little")


def _unknown_type() -> int:
    known = {message.type_byte for message in describe_messages()}
    return next(type_byte for type_byte in range(1, 256) if type_byte not in known)


def _header(type_byte: int, seq: int = 1, *, version: int = _VERSION, length: int = 0) -> bytes:
    return struct.pack("<BBHH", version, type_byte, seq, length)


def _hello(*, version: int) -> bytes:
    size = next(message for message in describe_messages() if message.type_byte == HelloRequest.TYPE).least_bytes
    return _header(HelloRequest.TYPE, version=version, length=size) + bytes(size)


def _whole() -> bytes:
    return _wire(_header(Stop.TYPE))


def _non_zero(count: int) -> bytes:
    return bytes(1 + step % 255 for step in range(count))


def _wire(body: bytes, *, crc_damage: int = 0) -> bytes:
    return _delimited(body + (crc32.iscsi(body) ^ crc_damage).to_bytes(frame.CRC_BYTES, "little"))


def _delimited(frame_bytes: bytes) -> bytes:
    return b"\0" + bytes(cobs.encode(frame_bytes)) + b"\0"
