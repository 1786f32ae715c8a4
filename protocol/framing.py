"""Frames: bytes to frames and back, with every rejected run of bytes named by cause and place.

    00 COBS( version/flags u8 | type u8 | seq u16 | length u16 | payload | [counter u32 | tag 8] | CRC-32C u32 ) 00

A zero on both sides, so that a damaged frame costs no intact neighbour; docs/protocol.md works an example byte by byte.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

import msgspec
from cobs.cobs import DecodeError as CobsError
from cobs.cobs import decode as cobs_decode
from cobs.cobs import encode as cobs_encode
from fastcrc.crc32 import iscsi as crc32c

from protocol.alike import read_alike
from protocol.errors import EncodeError
from protocol.fused import NOT_PLAIN, FrameReader
from protocol.messages import Hello, HelloRequest, PairRequest
from protocol.registry import DEFINITIONS, Message, decode_payload
from protocol.wire import (
    CRC_BYTES,
    FLAG_TRAILER,
    HEADER,
    MAX_PAYLOAD_BYTES,
    MAX_RUN_BYTES,
    MIN_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    TRAILER_BYTES,
)

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "PROTOCOL_MAJOR",
    "PROTOCOL_MINOR",
    "REJECTS_KEPT",
    "TRAILER_BYTES",
    "Frame",
    "Reject",
    "RejectCause",
    "StreamDecoder",
    "encode",
    "encode_frame",
]

REJECTS_KEPT = 256

_KNOWN_FLAGS = FLAG_TRAILER
_ANY_MAJOR = frozenset({HelloRequest.TYPE, Hello.TYPE})
_WINDOW_BYTES = 8192
_SHORT_BYTES = MAX_RUN_BYTES + 2  # anything longer may hold frames to be read many at once

_READERS: dict[int, FrameReader] = {}  # by type byte, of the types met so far


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


class Frame(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An intact frame. `offset` is its first byte behind the opening zero, counted from the start of the stream."""

    type: int
    seq: int
    _octets: bytes
    offset: int
    trailer: bytes | None = None
    major: int = PROTOCOL_MAJOR

    @property
    def payload(self) -> bytes:
        """The bytes between header and trailer or CRC."""
        return self._octets

    @property
    def message(self) -> Message:
        """The typed message.

        Raises:
            DecodeError: the frame comes from a `Reject` and holds no message we know.
        """
        return decode_payload(self.type, self.payload)

    def __repr__(self) -> str:
        payload = "…" if self.type == PairRequest.TYPE else repr(self.payload)
        return (
            f"Frame(type={self.type}, seq={self.seq}, payload={payload}, offset={self.offset}, "
            f"trailer={self.trailer!r}, major={self.major})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def _values(self) -> tuple[object, ...]:
        return self.type, self.seq, self.payload, self.offset, self.trailer, self.major


class _DecodedFrame(Frame, frozen=True, eq=False, gc=False):
    """A frame with its message, decoded along with it: that costs less than to come back for it.

    Its octets are header to CRC; the payload is cut out when somebody asks for it.
    """

    trailer: bytes | None
    major: int
    message: Message

    @property
    def payload(self) -> bytes:
        """The bytes between header and trailer or CRC."""
        return self._octets[HEADER.size : -CRC_BYTES - (TRAILER_BYTES if self.trailer else 0)]


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
        flags = FLAG_TRAILER
    body = HEADER.pack(PROTOCOL_MAJOR << 4 | flags, type_byte, seq, len(payload)) + payload + (trailer or b"")
    encoded: bytes = cobs_encode(body + crc32c(body).to_bytes(CRC_BYTES, "little"))
    return b"\0" + encoded + b"\0"


def encode(message: Message, *, seq: int = 0) -> bytes:
    """A message as a whole frame, both zeros included.

    Raises:
        EncodeError: a field holds a value that the wire cannot carry, or the payload is longer than 512 bytes.
    """
    return DEFINITIONS[message.TYPE].codec.encode_frame(message, seq)


class StreamDecoder:
    """Bytes in, frames out, in any chunking. It never raises, whatever the bytes, and keeps at most one frame of them.

    `rejects` holds the newest 256 rejects, oldest first; `reject_counts` counts all of them by cause.
    """

    def __init__(self) -> None:
        self.rejects: list[Reject] = []
        self.reject_counts: Counter[RejectCause] = Counter()
        self._run = b""  # behind the last zero
        self._run_offset = 0
        self._overlong = False
        self._scanned: list[Reject] | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        if len(data) > _SHORT_BYTES or self._overlong:
            return self._feed_long(data)
        closed = (self._run + data).split(b"\0")
        self._run = closed.pop()
        offset = self._run_offset
        frames: list[Frame] = []
        for run in closed:
            if run:
                try:  # the third byte of a run is the type: no zero stands before it for COBS to take out
                    frames.append(_READERS[run[2]](run, offset, _DecodedFrame))
                except NOT_PLAIN:
                    frames += self._read_singly(run, offset)
                offset += len(run)
            offset += 1
        self._run_offset = offset
        if len(self._run) > MAX_RUN_BYTES:
            self._begin_overlong()
        return frames

    def scan(self, data: bytes) -> list[Frame | Reject]:
        """The frames and rejects that `data` completes, in the order of the stream."""
        self._scanned = []
        found: list[Frame | Reject] = [*StreamDecoder.feed(self, data), *self._scanned]
        self._scanned = None
        return sorted(found, key=attrgetter("offset"))

    def _feed_long(self, data: bytes) -> list[Frame]:
        feed = StreamDecoder.feed
        frames: list[Frame] = []
        for start in range(0, len(data), _WINDOW_BYTES):
            stream = self._run + data[start : start + _WINDOW_BYTES]
            self._run = b""
            if self._overlong:
                stream = self._behind_overlong(stream)
            while len(stream) > _SHORT_BYTES:
                alike, used = read_alike(stream, self._run_offset, _DecodedFrame)
                frames += alike
                self._run_offset += used
                stream = stream[used:]
                if not alike or len(stream) <= _SHORT_BYTES:
                    break
                end = stream[:_SHORT_BYTES].find(b"\0", 1) + 1
                frames += feed(self, stream[:end])
                stream = stream[end:]
            for place in range(0, len(stream), _SHORT_BYTES):
                frames += feed(self, stream[place : place + _SHORT_BYTES])
        return frames

    def _read_singly(self, run: bytes, offset: int) -> list[Frame]:
        """The frame in a run, or none, and the reject is noted."""
        item = _read_run(run, offset)
        if isinstance(item, Reject):
            self._note(item)
            return []
        _READERS[item.type] = DEFINITIONS[item.type].codec.read_frame
        return [item]

    def _begin_overlong(self) -> None:
        self._note(_too_long(self._run_offset))
        self._overlong = True
        self._run, self._run_offset = b"", self._run_offset + len(self._run)

    def _behind_overlong(self, stream: bytes) -> bytes:
        """What is left behind the zero that ends a run that was too long."""
        end = stream.find(b"\0") + 1
        self._overlong = not end
        self._run_offset += end or len(stream)
        return stream[end:] if end else b""

    def _note(self, reject: Reject) -> None:
        self.reject_counts[reject.cause] += 1
        self.rejects.append(reject)
        del self.rejects[:-REJECTS_KEPT]
        if self._scanned is not None:
            self._scanned.append(reject)


def _too_long(offset: int) -> Reject:
    return Reject(RejectCause.TOO_LONG, offset, f"more than {MAX_RUN_BYTES} bytes without a zero")


def _read_run(run: bytes, offset: int) -> Frame | Reject:
    """Any run at all, step by step, with the cause if it is rejected."""
    if len(run) > MAX_RUN_BYTES:
        return _too_long(offset)
    try:
        raw = cobs_decode(run)
    except CobsError as error:
        return Reject(RejectCause.COBS, offset, str(error))
    if len(raw) < MIN_BYTES:
        return Reject(RejectCause.SHORT, offset, f"{len(raw)} bytes, the smallest frame has {MIN_BYTES}")
    computed = crc32c(raw[:-CRC_BYTES])
    received = int.from_bytes(raw[-CRC_BYTES:], "little")
    if computed != received:
        return Reject(RejectCause.CRC, offset, f"computed 0x{computed:08X}, received 0x{received:08X}")
    return _read_intact(raw, offset)


def _read_intact(raw: bytes, offset: int) -> Frame | Reject:
    version_flags, type_byte, seq, length = HEADER.unpack_from(raw)
    major, flags = version_flags >> 4, version_flags & 0x0F
    payload_end = len(raw) - CRC_BYTES
    trailer = None
    if flags & FLAG_TRAILER and payload_end - HEADER.size >= TRAILER_BYTES:
        payload_end -= TRAILER_BYTES
        trailer = raw[payload_end:-CRC_BYTES]
    frame = Frame(type_byte, seq, raw[HEADER.size : payload_end], offset, trailer, major)
    fault = _fault(frame, flags, length)
    if fault is not None:
        return Reject(fault[0], offset, fault[1], frame)
    return _DecodedFrame(type_byte, seq, raw, offset, trailer, major, frame.message)


def _fault(frame: Frame, flags: int, length: int) -> tuple[RejectCause, str] | None:
    if flags & ~_KNOWN_FLAGS:
        return RejectCause.VERSION, f"flags 0x{flags:X}, known are 0x{_KNOWN_FLAGS:X}"
    if frame.major != PROTOCOL_MAJOR and frame.type not in _ANY_MAJOR:
        return RejectCause.VERSION, f"major version {frame.major}, ours is {PROTOCOL_MAJOR}"
    if flags & FLAG_TRAILER and frame.trailer is None:
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
