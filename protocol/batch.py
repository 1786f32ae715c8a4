"""Decodes a whole recording at once: bytes to numpy structured arrays by type, exactly what StreamDecoder accepts.

Runs of equal length stand side by side as the columns of a matrix, so that COBS and CRC-32C go through all of them
together, byte position by byte position. What is intact and not plain (a trailer, another major version, text beyond
ASCII), long or rare goes to StreamDecoder.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from cobs import cobs
from fastcrc import crc32

from protocol.framing import StreamDecoder
from protocol.layout import FieldLayout, RecordLayout
from protocol.registry import DEFINITIONS
from protocol.wire import CRC_BYTES, HEADER, MIN_BYTES, PLAIN_VERSION

Octets: TypeAlias = npt.NDArray[np.uint8]
Flags: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.void]

_SEQ_AT = 2
_LENGTH_AT = 4
_OFFSET_BYTES = 8
_LONGEST_RUN_BYTES = 254  # a longer one may hold the COBS code 255, which stands for no zero
_FEWEST_ROWS = 64  # below that, the passes over the positions cost more than StreamDecoder
_MOST_ROWS = 8192  # above that, a block no longer fits the cache


def decode_batch(data: bytes) -> dict[int, Rows]:
    """The messages in `data`, by type byte: a structured array for each type that occurs, in the order of the stream.

    Fields: `seq`, `offset` (as in `Frame`, bytes from the start of `data`), then those of the message by their names,
    `message_offset` where the message itself has an `offset`. Texts are `S`, zero padding dropped, and fixed bytes
    `V`. Of a tail or of records there is the length alone, as `<name>_bytes`. Enumerations are plain integers.
    A frame that `data` begins or ends within is left out; nothing is raised, whatever the bytes. Rejects are not
    listed; a `StreamDecoder` names them.
    """
    stream = bytes(data)
    zeros = (np.frombuffer(stream, np.uint8) == 0).nonzero()[0]
    gaps = zeros[1:] - zeros[:-1]
    closed = (gaps > 1).nonzero()[0]
    starts = zeros[closed] + 1
    sizes = np.minimum(gaps[closed] - 1, _LONGEST_RUN_BYTES + 1)
    counts = np.bincount(sizes, minlength=_LONGEST_RUN_BYTES + 2)
    alone = counts < _FEWEST_ROWS
    alone[: HEADER.size + CRC_BYTES + 1] = True
    alone[_LONGEST_RUN_BYTES + 1] = True

    found: dict[int, list[Rows]] = defaultdict(list)
    singly = [np.zeros(1 if len(zeros) and zeros[0] else 0, np.int64)]
    if (alone & (counts > 0)).any():
        singly.append(starts[alone[sizes]])
    for size in np.flatnonzero(~alone).tolist():
        alike = starts if counts[size] == len(starts) else starts[sizes == size]
        types = _types_of(size - 1 - MIN_BYTES)
        for first in range(0, len(alike), _MOST_ROWS):
            singly.append(_read_alike(stream, alike[first : first + _MOST_ROWS], size, types, found))
    _read_singly(stream, np.concatenate(singly), found)
    return {type_byte: _in_order(found[type_byte]) for type_byte in sorted(found)}


@cache
def row_dtype(type_byte: int) -> np.dtype[np.void]:
    """The row of a message type: the head of its frame as it was sent, then the offset.

    Raises:
        KeyError: the type is unknown.
    """
    codec = DEFINITIONS[type_byte].codec
    end = HEADER.size + codec.head.size
    columns = [("seq", "<u2", _SEQ_AT), ("offset", "<i8", end), *(_column(field) for field in codec.fields)]
    names, formats, offsets = zip(*columns, strict=True)
    return np.dtype(
        {"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": end + _OFFSET_BYTES}
    )


def column_name(field: FieldLayout) -> str:
    """The name of a message's field in its rows."""
    return f"message_{field.name}" if field.name in ("seq", "offset") else field.name


def _column(field: FieldLayout) -> tuple[str, str, int]:
    if field.is_tail:
        return f"{column_name(field)}_bytes", "<u2", _LENGTH_AT
    if field.kind.startswith("text"):
        code = f"S{field.size}"
    elif field.kind.startswith("bytes"):
        code = f"V{field.size}"
    else:
        code = f"<{field.kind[0]}{field.size}"
    return column_name(field), code, HEADER.size + field.offset


def _read_alike(stream: bytes, starts: Places, size: int, types: list[int], found: dict[int, list[Rows]]) -> Places:
    """Add the plain messages of `types` among the runs of one size to `found`; the starts of what else is intact."""
    zero_to_zero = np.ndarray((len(stream) - size - 1,), f"V{size + 2}", stream, strides=(1,))[starts - 1]
    frames = zero_to_zero.view(np.uint8).reshape(len(starts), size + 2)
    contents = _unstuff_all(frames)
    if contents is None:
        columns = np.ascontiguousarray(frames[:, 1:-1].T)
        intact = _unstuff_each(columns)
        contents = columns[1:].T
    else:
        intact = np.ones(len(starts), np.bool_)
    raw = np.ascontiguousarray(contents.T)
    intact &= _crc_holds(raw)
    payload_bytes = len(raw) - HEADER.size - CRC_BYTES
    plain = intact & (raw[0] == PLAIN_VERSION) & (raw[_LENGTH_AT] == payload_bytes) & (raw[_LENGTH_AT + 1] == 0)
    for type_byte in types:
        of_type = plain & (raw[1] == type_byte)
        if of_type.any():
            of_type &= _fits(raw, type_byte)
        if of_type.any():
            found[type_byte].append(_rows(contents, type_byte, starts, of_type))
            intact ^= of_type
    return starts[np.flatnonzero(intact)]


def _unstuff_all(frames: Octets) -> Octets | None:
    """COBS undone in all frames together; None if one of them is not COBS.

    A frame's zeros become the code 1, which stands for a zero and nothing before it, so each byte keeps its place.
    A code that points beyond its frame makes the 1 behind it a byte of content, and a zero is missing there.
    """
    frames[:, 0] = frames[:, -1] = 1
    try:
        octets = cobs.decode(frames) + b"\0"
    except cobs.DecodeError:
        return None
    if len(octets) != frames.size:
        return None
    rows = np.frombuffer(octets, np.uint8).reshape(frames.shape)
    return None if rows[:, -2].any() else rows[:, 1:-2]


def _unstuff_each(columns: Octets) -> Flags:
    """COBS undone in place, row j + 1 of `columns` becoming byte j; which of the runs were COBS.

    A code that points past the end of 254 bytes wraps round to a place already passed and is never followed.
    """
    next_code = columns[0].copy()
    at_code = np.empty(len(next_code), np.bool_)
    code = np.empty_like(next_code)
    places = np.arange(1, len(columns), dtype=np.uint8).reshape(-1, 1)
    for column, place in zip(columns[1:], places, strict=True):
        np.equal(next_code, place, out=at_code)
        if not np.count_nonzero(at_code):
            continue
        np.multiply(column, at_code.view(np.uint8), out=code)
        np.add(next_code, code, out=next_code)
        np.subtract(column, code, out=column)
    result: Flags = next_code == len(columns)
    return result


def _crc_holds(raw: Octets) -> Flags:
    """Whether the last four bytes are the CRC-32C of those before them.

    At one length a CRC is affine over GF(2): that of so many zeros, changed by a term for each byte. A byte that is
    the same in all rows changes all of them alike.
    """
    body = raw[:-CRC_BYTES]
    terms = _crc_terms()[len(body) - 1 :: -1]
    constant = body.min(axis=1) == body.max(axis=1)
    alike = np.bitwise_xor.reduce(terms[constant, body[constant, 0]], initial=crc32.iscsi(bytes(len(body))))
    computed = np.full(body.shape[1], alike, np.uint32)
    change, index = np.empty_like(computed), np.empty(len(computed), np.intp)
    for place in np.flatnonzero(~constant).tolist():
        np.copyto(index, body[place])
        terms[place].take(index, out=change, mode="wrap")
        np.bitwise_xor(computed, change, out=computed)
    received = np.ascontiguousarray(raw[-CRC_BYTES:].T).view("<u4").ravel()
    result: Flags = computed == received
    return result


@cache
def _crc_terms() -> npt.NDArray[np.uint32]:
    """[following bytes, byte]: what the byte adds to the CRC-32C of a frame."""
    zero = crc32.iscsi(b"\0")
    terms = np.empty((_LONGEST_RUN_BYTES, 256), np.uint32)
    terms[0] = [crc32.iscsi(bytes([byte])) ^ zero for byte in range(256)]
    for following in range(1, len(terms)):
        before = terms[following - 1]
        terms[following] = (before >> np.uint32(8)) ^ terms[0][before & np.uint32(0xFF)]
    return terms


def _types_of(payload_bytes: int) -> list[int]:
    return [
        type_byte
        for type_byte, entry in DEFINITIONS.items()
        if payload_bytes == entry.codec.head.size or (entry.codec.has_tail and payload_bytes > entry.codec.head.size)
    ]


def _fits(raw: Octets, type_byte: int) -> Flags:
    """Where texts are ASCII alone, and the number of records is that of the tail."""
    fits = np.ones(raw.shape[1], np.bool_)
    for field in DEFINITIONS[type_byte].codec.fields:
        start = HEADER.size + field.offset
        if field.record is not None:
            fits &= _records_fit(raw[start:-CRC_BYTES], field.record)
        elif field.kind.startswith("text"):
            fits &= raw[start : start + field.size].max(axis=0) < 0x80
    return fits


def _records_fit(tail: Octets, record: RecordLayout) -> Flags:
    count_bytes = struct.calcsize(record.count_code)
    number, excess = divmod(len(tail) - count_bytes, record.size)
    if number < 0 or excess:
        return np.zeros(tail.shape[1], np.bool_)
    fits: Flags = tail[0] == number & 0xFF
    if count_bytes == 2:
        fits &= tail[1] == number >> 8
    records = tail[count_bytes:].reshape(number, record.size, tail.shape[1])
    for field in record.fields:
        if number and field.kind.startswith("text"):
            fits &= records[:, field.offset : field.offset + field.size].max(axis=(0, 1)) < 0x80
    return fits


def _rows(contents: Octets, type_byte: int, starts: Places, of_type: Flags) -> Rows:
    dtype = row_dtype(type_byte)
    head = contents[:, : dtype.itemsize - _OFFSET_BYTES]
    if not of_type.all():
        head, starts = head[of_type], starts[of_type]
    octets = np.empty((len(starts), dtype.itemsize), np.uint8)
    octets[:, : head.shape[1]] = head
    rows = octets.view(dtype).reshape(len(starts))
    rows["offset"] = starts
    codec = DEFINITIONS[type_byte].codec
    if codec.has_tail:
        rows[f"{column_name(codec.fields[-1])}_bytes"] -= np.uint16(codec.head.size)
    return rows


def _read_singly(stream: bytes, starts: Places, found: dict[int, list[Rows]]) -> None:
    rows: dict[int, bytearray] = defaultdict(bytearray)
    decoder = StreamDecoder()
    for start in starts.tolist():
        for frame in decoder.feed(stream[start : stream.index(0, start) + 1]):
            head_bytes = DEFINITIONS[frame.type].codec.head.size
            head = HEADER.pack(PLAIN_VERSION, frame.type, frame.seq, len(frame.payload) - head_bytes)
            rows[frame.type] += head + frame.payload[:head_bytes] + start.to_bytes(_OFFSET_BYTES, "little")
    for type_byte, octets in rows.items():
        found[type_byte].append(np.frombuffer(octets, row_dtype(type_byte)))


def _in_order(parts: list[Rows]) -> Rows:
    dtype = parts[0].dtype
    octets = [part.view(np.uint8).reshape(len(part), dtype.itemsize) for part in parts]
    joined = octets[0] if len(octets) == 1 else np.concatenate(octets)
    rows: Rows = joined.view(dtype).reshape(len(joined))
    offsets = rows["offset"]
    if (offsets[1:] < offsets[:-1]).any():
        rows = joined[np.argsort(offsets)].view(dtype).reshape(len(joined))
    return rows
