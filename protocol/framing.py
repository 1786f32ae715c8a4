"""Frames: bytes to frames and back, with every rejected run of bytes named by cause and place.

    00 COBS( version/flags u8 | type u8 | seq u16 | length u16 | payload | [counter u32 | tag 8] | CRC-32C u32 ) 00

A zero on both sides, so that a damaged frame costs no intact neighbour; docs/protocol.md works an example byte by byte.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import msgspec
from cobs import cobs
from fastcrc import crc32

from protocol.errors import EncodeError
from protocol.messages import Hello, HelloRequest
from protocol.registry import DEFINITIONS, Message, decode_payload, encode_payload

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAX_PAYLOAD_BYTES = 512
TRAILER_BYTES = 12
REJECTS_KEPT = 256

_HEADER = struct.Struct("<BBHH")
_CRC_BYTES = 4
_MIN_BYTES = _HEADER.size + _CRC_BYTES
_MAX_BYTES = _MIN_BYTES + MAX_PAYLOAD_BYTES + TRAILER_BYTES
_MAX_RUN_BYTES = _MAX_BYTES + -(-_MAX_BYTES // 254)
_FLAG_TRAILER = 0x01
_KNOWN_FLAGS = _FLAG_TRAILER
_ANY_MAJOR = frozenset({HelloRequest.TYPE, Hello.TYPE})


class RejectCause(Enum):
    """Why bytes between two zeros did not become a frame.

    COBS to CRC: the bytes were damaged under way, or were never a frame. VERSION to PAYLOAD: the frame is intact
    and its sender means something else by it than we do.
    """

    COBS = "not COBS"
    SHORT = "shorter than the smallest frame"
    TOO_LONG = "longer than the largest frame"
    CRC = "CRC-32C differs"
    VERSION = "another major version or an unknown flag"
    LENGTH = "the length field differs from the payload"
    UNKNOWN_TYPE = "a message type we do not know"
    PAYLOAD = "a payload that does not fit its message type"


class Frame(msgspec.Struct, frozen=True, dict=True):
    """An intact frame. `offset` is its first byte behind the opening zero, counted from the start of the stream."""

    type: int
    seq: int
    payload: bytes
    offset: int
    trailer: bytes | None = None
    major: int = PROTOCOL_MAJOR

    @cached_property
    def message(self) -> Message:
        """The typed message, decoded on first use.

        Raises:
            DecodeError: the frame comes from a `Reject` and holds no message we know.
        """
        return decode_payload(self.type, self.payload)


@dataclass(frozen=True, slots=True)
class Reject:
    """A run of bytes that is no usable frame. `offset` is its first byte, counted from the start of the stream.

    `frame` is there where the CRC held and only we cannot use it, so that a device can answer it with a NAK.
    """

    cause: RejectCause
    offset: int
    detail: str
    frame: Frame | None = None


def encode_frame(type_byte: int, seq: int, payload: bytes, *, trailer: bytes | None = None) -> bytes:
    """A whole frame, both zeros included.

    Raises:
        EncodeError: the payload is longer than 512 bytes, the trailer is not 12 bytes, or type or seq is out of range.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise EncodeError(f"a payload has at most {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
    if not (0 <= type_byte <= 0xFF and 0 <= seq <= 0xFFFF):
        raise EncodeError(f"type {type_byte} must fit 8 bits and seq {seq} must fit 16")
    flags = 0
    if trailer is not None:
        if len(trailer) != TRAILER_BYTES:
            raise EncodeError(f"a trailer has exactly {TRAILER_BYTES} bytes, not {len(trailer)}")
        flags = _FLAG_TRAILER
    body = _HEADER.pack(PROTOCOL_MAJOR << 4 | flags, type_byte, seq, len(payload)) + payload + (trailer or b"")
    encoded: bytes = cobs.encode(body + crc32.iscsi(body).to_bytes(_CRC_BYTES, "little"))
    return b"\0" + encoded + b"\0"


def encode(message: Message, *, seq: int = 0) -> bytes:
    """A message as a whole frame, both zeros included.

    Raises:
        EncodeError: a field holds a value that the wire cannot carry, or the payload is longer than 512 bytes.
    """
    return encode_frame(message.TYPE, seq, encode_payload(message))


class StreamDecoder:
    """Bytes in, frames out, in any chunking. It never raises, whatever the bytes, and keeps at most one frame of them.

    `rejects` holds the newest 256 rejects, oldest first; `reject_counts` counts all of them by cause.
    """

    def __init__(self) -> None:
        self.rejects: list[Reject] = []
        self.reject_counts: Counter[RejectCause] = Counter()
        self._run = b""
        self._run_offset = 0
        self._offset = 0
        self._overlong = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        return [item for item in self.scan(data) if type(item) is Frame]

    def scan(self, data: bytes) -> list[Frame | Reject]:
        """The frames and rejects that `data` completes, in the order of the stream."""
        found: list[Frame | Reject] = []
        *closed, open_run = bytes(data).split(b"\0")
        for piece in closed:
            if piece:
                self._extend(piece, found)
            if self._run:
                self._note(_read_run(self._run, self._run_offset), found)
                self._run = b""
            self._overlong = False
            self._offset += 1
            self._run_offset = self._offset
        self._extend(open_run, found)
        return found

    def _extend(self, piece: bytes, found: list[Frame | Reject]) -> None:
        self._offset += len(piece)
        if self._overlong:
            return
        self._run += piece
        if len(self._run) > _MAX_RUN_BYTES:
            self._run = b""
            self._overlong = True
            detail = f"more than {_MAX_RUN_BYTES} bytes without a zero"
            self._note(Reject(RejectCause.TOO_LONG, self._run_offset, detail), found)

    def _note(self, item: Frame | Reject, found: list[Frame | Reject]) -> None:
        found.append(item)
        if type(item) is Reject:
            self.reject_counts[item.cause] += 1
            self.rejects.append(item)
            del self.rejects[:-REJECTS_KEPT]


def _read_run(run: bytes, offset: int) -> Frame | Reject:
    try:
        raw = cobs.decode(run)
    except cobs.DecodeError as error:
        return Reject(RejectCause.COBS, offset, str(error))
    if len(raw) < _MIN_BYTES:
        return Reject(RejectCause.SHORT, offset, f"{len(raw)} bytes, the smallest frame has {_MIN_BYTES}")
    computed = crc32.iscsi(raw[:-_CRC_BYTES])
    received = int.from_bytes(raw[-_CRC_BYTES:], "little")
    if computed != received:
        return Reject(RejectCause.CRC, offset, f"computed 0x{computed:08X}, received 0x{received:08X}")
    return _read_intact(raw, offset)


def _read_intact(raw: bytes, offset: int) -> Frame | Reject:
    version_flags, type_byte, seq, length = _HEADER.unpack_from(raw)
    major, flags = version_flags >> 4, version_flags & 0x0F
    payload_end = len(raw) - _CRC_BYTES
    trailer = None
    if flags & _FLAG_TRAILER and payload_end - _HEADER.size >= TRAILER_BYTES:
        payload_end -= TRAILER_BYTES
        trailer = raw[payload_end:-_CRC_BYTES]
    frame = Frame(type_byte, seq, raw[_HEADER.size : payload_end], offset, trailer, major)
    fault = _fault(frame, flags, length)
    return frame if fault is None else Reject(fault[0], offset, fault[1], frame)


def _fault(frame: Frame, flags: int, length: int) -> tuple[RejectCause, str] | None:
    if flags & ~_KNOWN_FLAGS:
        return RejectCause.VERSION, f"flags 0x{flags:X}, known are 0x{_KNOWN_FLAGS:X}"
    if frame.major != PROTOCOL_MAJOR and frame.type not in _ANY_MAJOR:
        return RejectCause.VERSION, f"major version {frame.major}, ours is {PROTOCOL_MAJOR}"
    if flags & _FLAG_TRAILER and frame.trailer is None:
        return RejectCause.LENGTH, f"a trailer of {TRAILER_BYTES} bytes is announced and missing"
    if length != len(frame.payload):
        return RejectCause.LENGTH, f"the length field says {length}, the payload has {len(frame.payload)} bytes"
    if length > MAX_PAYLOAD_BYTES:
        return RejectCause.LENGTH, f"a payload has at most {MAX_PAYLOAD_BYTES} bytes, not {length}"
    entry = DEFINITIONS.get(frame.type)
    if entry is None:
        return RejectCause.UNKNOWN_TYPE, f"message type 0x{frame.type:02X} is unknown"
    detail = entry.codec.fault(frame.payload)
    return None if detail is None else (RejectCause.PAYLOAD, detail)
