"""Pieces of a stream for the fuzz targets: intact frames of every kind, damaged ones, and noise.

COBS and CRC are put on here, so that the fuzzer chooses contents and does not have to guess checksums. Each piece
comes with its promises: by offset of the first byte behind a zero, the frame that must be there, or None for none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cobs import cobs
from fastcrc import crc32

from fuzzing.choices import Choices
from protocol import DecodeError, Hello, HelloRequest, decode_payload
from protocol.layout import FieldLayout
from protocol.registry import DEFINITIONS, FIRST_NOTIFICATION_TYPE, FIRST_REPLY_TYPE

ALL_TYPES = tuple(sorted(DEFINITIONS))
REQUEST_TYPES = tuple(number for number in ALL_TYPES if number < FIRST_REPLY_TYPE)
REPLY_TYPES = tuple(number for number in ALL_TYPES if FIRST_REPLY_TYPE <= number < FIRST_NOTIFICATION_TYPE)
NOTIFICATION_TYPES = tuple(number for number in ALL_TYPES if number >= FIRST_NOTIFICATION_TYPE)
MAX_PAYLOAD_BYTES = 512
TRAILER_BYTES = 12
LONGEST_FRAME_BYTES = 541

_HEADER = struct.Struct("<BBHH")
_VERSION = 0x10
_ASCII = bytes(byte & 0x7F for byte in range(256))


@dataclass(frozen=True, slots=True)
class Sent:
    """What a decoder must find of an intact frame with a payload that fits its type."""

    type: int
    seq: int
    payload: bytes
    trailer: bytes | None = None

    def on_the_wire(self) -> bytes:
        """The frame."""
        version = _VERSION | (self.trailer is not None)
        header = _HEADER.pack(version, self.type, self.seq, len(self.payload))
        return framed(header + self.payload + (self.trailer or b""))


Promises = dict[int, Sent | None]


def framed(content: bytes) -> bytes:
    """Any content with the right CRC, stuffed, between its zeros."""
    return b"\0" + cobs.encode(content + struct.pack("<I", crc32.iscsi(content))) + b"\0"


def any_sent(choices: Choices, types: tuple[int, ...] = ALL_TYPES) -> Sent:
    """A frame that must be found."""
    type_byte = types[choices.below(len(types))]
    head = choices.number()
    trailer = choices.octets(TRAILER_BYTES) if head & 0xF0 == 0xF0 else None
    return Sent(type_byte, choices.number(2), fitting_payload(choices, type_byte, head & 3), trailer)


def fitting_payload(choices: Choices, type_byte: int, style: int) -> bytes:
    """A payload that fits its type: all zeros, all ones, or chosen; texts stay ASCII."""
    codec = DEFINITIONS[type_byte].codec
    payload = _ascii_texts(_filled(choices, codec.head.size, style), codec.fields, 0)
    if not codec.has_tail:
        return payload
    record = codec.fields[-1].record
    room = MAX_PAYLOAD_BYTES - len(payload)
    if record is None:
        return payload + _filled(choices, choices.below(room + 1), choices.below(4))
    count_bytes = struct.calcsize(record.count_code)
    count = choices.below(1 + (room - count_bytes) // record.size)
    records = b"".join(_ascii_texts(_filled(choices, record.size, style), record.fields, 0) for _ in range(count))
    return payload + count.to_bytes(count_bytes, "little") + records


def any_piece(choices: Choices) -> tuple[bytes, Promises]:
    """Bytes between two zeros at least, and what must and must not be found in them."""
    kind = choices.below(16)
    if kind < 6:
        sent = any_sent(choices)
        return sent.on_the_wire(), {1: sent}
    if kind < 9:
        return _row_of_alike(choices)
    if kind < 12:
        content = _odd_content(choices, kind)
        return framed(content), {1: expected(content)}
    return b"\0" + _noise(choices, kind) + b"\0", {}


def expected(content: bytes) -> Sent | None:
    """What the reference says of a frame with the right CRC: found, or rejected."""
    if len(content) < _HEADER.size:
        return None
    version, type_byte, seq, length = _HEADER.unpack_from(content)
    payload, trailer = content[_HEADER.size :], None
    if version & 0x0F == 1 and len(payload) >= TRAILER_BYTES:
        payload, trailer = payload[:-TRAILER_BYTES], payload[-TRAILER_BYTES:]
    known_version = version >> 4 == 1 or type_byte in (HelloRequest.TYPE, Hello.TYPE)
    if not known_version or version & 0x0F != (trailer is not None) or not length == len(payload) <= MAX_PAYLOAD_BYTES:
        return None
    try:
        decode_payload(type_byte, payload)
    except DecodeError:
        return None
    return Sent(type_byte, seq, payload, trailer)


def damaged(choices: Choices, frame: bytes) -> bytes:
    """The frame with bits flipped, bytes cut out, put in or repeated."""
    start = choices.below(len(frame))
    end = start + 1 + choices.below(8)
    match choices.below(4):
        case 0:
            flipped = bytes(octet ^ choices.number() for octet in frame[start:end])
            return frame[:start] + flipped + frame[end:]
        case 1:
            return frame[:start] + frame[end:]
        case 2:
            return frame[:start] + choices.octets(end - start) + frame[start:]
    return frame[:end] + frame[start:]


def changed(choices: Choices, wire: bytes) -> bytes:
    """The frame with another byte, or cut, or grown, and its CRC computed anew."""
    content = bytearray(cobs.decode(wire[1:-1])[:-4])
    match choices.below(4):
        case 0:
            del content[-1 - choices.below(len(content)) :]
        case 1:
            content += choices.octets(1 + choices.below(20))
        case _:
            content[choices.below(len(content))] ^= 1 + choices.below(255)
    return framed(bytes(content))


def _row_of_alike(choices: Choices) -> tuple[bytes, Promises]:
    """Many frames of one message with counting seq, as telemetry comes; perhaps one of them is not like the others."""
    first = any_sent(choices)
    count = 2 + choices.below(12)
    if choices.below(4) == 1:
        count *= 6
    odd = choices.below(2 * count)
    stream = b""
    promises: Promises = {}
    for number in range(min(count, 1 + 12_000 // len(first.on_the_wire()))):
        sent: Sent | None = replace(first, seq=(first.seq + number) & 0xFFFF)
        octets = replace(first, seq=(first.seq + number) & 0xFFFF).on_the_wire()
        if number == odd:
            octets, sent = _odd_one(choices, octets)
        if sent is not None or number == odd:
            promises[len(stream) + 1] = sent
        stream += octets
    return stream, promises


def _odd_one(choices: Choices, frame: bytes) -> tuple[bytes, Sent | None]:
    """A frame of nearly always the same size with something else in it, and what must come of it."""
    content = bytearray(cobs.decode(frame[1:-1]))
    place = choices.below(len(content)) if choices.below(2) else choices.below(_HEADER.size)
    content[place] ^= 1 + choices.below(255)
    if choices.below(2):
        return framed(bytes(content[:-4])), expected(bytes(content[:-4]))
    return b"\0" + cobs.encode(bytes(content)) + b"\0", None


def _odd_content(choices: Choices, kind: int) -> bytes:
    """Header to trailer of a frame that is intact on the line and perhaps not to be used."""
    match kind:
        case 9:
            type_byte = choices.number()
            payload = choices.octets(choices.below(80))
            return _HEADER.pack(_VERSION, type_byte, choices.number(2), len(payload)) + payload
        case 10:
            return choices.octets(choices.below(64))
    sent = any_sent(choices)
    behind = sent.payload + choices.octets(choices.below(30))
    if choices.below(8) == 1:
        behind = behind.ljust(MAX_PAYLOAD_BYTES - 2 + choices.below(8), b"\1")
    length = choices.below(600) if choices.below(2) else len(behind)
    version = choices.number() if choices.below(2) else _VERSION
    return _HEADER.pack(version, sent.type, sent.seq, length) + behind


def _noise(choices: Choices, kind: int) -> bytes:
    match kind:
        case 12:
            return damaged(choices, any_sent(choices).on_the_wire())
        case 13:
            return bytes([1 + choices.below(255)]) * choices.below(2000)
        case 14:
            return (choices.octets(choices.below(6)) + b"\0") * choices.below(400)
    return choices.octets(choices.below(256))


def _filled(choices: Choices, size: int, style: int) -> bytes:
    if style < 2:
        return (b"\0", b"\xff")[style] * size
    return choices.octets(size)


def _ascii_texts(octets: bytes, fields: Iterable[FieldLayout], start: int) -> bytes:
    for field in fields:
        if field.kind.startswith("text"):
            place = start + field.offset
            text = octets[place : place + field.size].translate(_ASCII)
            octets = octets[:place] + text + octets[place + field.size :]
    return octets
