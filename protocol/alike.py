"""Reads many frames of one message and one size at once, as telemetry comes: what each of them costs is less.

Where anything is not as expected, nothing is read and the caller takes the frames one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cobs import cobs
from fastcrc.crc32 import iscsi as crc32c

from protocol.fused import NOT_PLAIN
from protocol.registry import DEFINITIONS
from protocol.wire import CRC_BYTES, HEADER, MIN_BYTES, PLAIN_VERSION

_FEWEST = 8  # below that, one by one is no slower
_AROUND_PAYLOAD = MIN_BYTES + 3  # with the first COBS code and the zeros on both sides


def read_alike(behind_zero: bytes, offset: int, frame_class: Any) -> tuple[list[Any], int]:
    """The frames that `behind_zero` begins with, made by `frame_class`, and how many bytes they take.

    Both are empty unless these are plain frames of one message, and a good number of them. What `behind_zero` begins
    with stands behind a zero in the stream, or at its start; `offset` is that of its first byte.
    """
    stream = b"\0" + behind_zero.lstrip(b"\0")
    skipped = len(behind_zero) + 1 - len(stream)
    size = stream.find(b"\0", 1) + 1
    if size == 0 or (count := _frames_of(stream, size)) < _FEWEST:
        return [], 0
    rows = _unstuffed(bytearray(stream[: count * size]), size, count)
    if rows is None:
        return [], 0
    entry = DEFINITIONS.get(rows[2])
    payload_bytes = size - _AROUND_PAYLOAD
    if entry is None or (read_rows := entry.codec.read_rows) is None or payload_bytes != entry.codec.head.size:
        return [], 0
    if (
        rows[1::size].count(PLAIN_VERSION) != count
        or rows[2::size].count(rows[2]) != count
        or rows[5::size].count(payload_bytes & 0xFF) != count
        or rows[6::size].count(payload_bytes >> 8) != count
    ):
        return [], 0
    if crc32c(rows) != _intact_rows_crc(payload_bytes, count):
        return [], 0
    contents = _contents(payload_bytes, count)(rows)
    first = offset + skipped
    try:
        frames = read_rows(rows, contents, range(first, first + len(rows), size), frame_class)
    except NOT_PLAIN:
        return [], 0
    return frames, skipped + len(rows) - 1


def _frames_of(stream: bytes, size: int) -> int:
    """How many runs of bytes with a zero on both sides, `size` in all, `stream` may begin with."""
    count = len(stream) // size
    opening, closing = stream[: count * size : size], stream[size - 1 :: size]
    if opening.count(b"\0") == count == closing.count(b"\0"):
        return count
    return count - max(len(opening.lstrip(b"\0")), len(closing.lstrip(b"\0")))


def _unstuffed(frames: bytearray, size: int, count: int) -> bytes | None:
    """COBS undone in all frames at once: for each a zero, its content, and two zeros; None if one is not as expected.

    A frame's zeros become the code 1, which stands for a zero and nothing before it, so each byte keeps its place.
    A code that points beyond its frame makes the 1 behind it a byte of content, and a zero is missing there. The code
    255 stands for no zero, and the rows are too short.
    """
    frames[::size] = frames[size - 1 :: size] = b"\1" * count
    try:
        rows: bytes = cobs.decode(frames) + b"\0"
    except cobs.DecodeError:
        return None
    return rows if len(rows) == len(frames) and rows[size - 2 :: size].count(b"\0") == count else None


@lru_cache(maxsize=32)
def _intact_rows_crc(payload_bytes: int, count: int) -> int:
    """The CRC-32C of so many rows whose contents are intact, whatever they hold.

    An intact content takes the register from one known state to another, so rows of one size give one figure. What is
    wrong in one row goes through the rest unlessened, so it is seen exactly if its own CRC would show it; wrongs in
    several rows cancel out with a chance of 2⁻³², as wrongs in one row do behind COBS.
    """
    body = bytes(HEADER.size + payload_bytes)
    row = b"\0" + body + crc32c(body).to_bytes(CRC_BYTES, "little") + b"\0\0"
    return crc32c(row * count)


@lru_cache(maxsize=32)
def _contents(payload_bytes: int, count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """What cuts all contents, header to CRC, out of the rows."""
    return struct.Struct(f"x{payload_bytes + MIN_BYTES}s2x" * count).unpack
