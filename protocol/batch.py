"""Decodes a whole recording at once: bytes to numpy structured arrays by type, exactly what StreamDecoder accepts.

Runs of equal length stand side by side as the columns of a matrix, so that COBS and CRC-32C go through all of them
together, byte position by byte position. What is intact and not plain (a trailer, another major version, text beyond
ASCII), long or rare goes to StreamDecoder.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from fastcrc import crc32

from protocol.derive import FieldLayout
from protocol.framing import _CRC_BYTES, _HEADER, PROTOCOL_MAJOR, StreamDecoder
from protocol.registry import DEFINITIONS

Octets: TypeAlias = npt.NDArray[np.uint8]
Flags: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.void]

_SEQ_AT = 2
_LENGTH_AT = 4
_OFFSET_BYTES = 8
_PLAIN_VERSION = PROTOCOL_MAJOR << 4
_LONGEST_RUN_BYTES = 254  # a longer one may hold the COBS code 255, which stands for no zero
_FEWEST_ROWS = 64  # below that, the passes over the positions cost more than StreamDecoder
_MOST_ROWS = 8192  # above that, a block no longer fits the cache


def decode_batch(data: bytes) -> dict[int, Rows]:
    """The messages in `data`, by type byte: a structured array for each type that occurs, in the order of the stream.

    Fields: `seq`, `offset` (as in `Frame`, bytes from the start of `data`), then those of the message by their names.
    Texts are `S`, zero padding dropped, and fixed bytes `V`. Of a tail there is the length alone, as `<name>_bytes`.
    Enumerations are plain integers. A frame that `data` begins or ends within is left out; nothing is raised,
    whatever the bytes. Rejects are not listed; a `StreamDecoder` names them.
    """
    stream = bytes(data)
    zeros = (np.frombuffer(stream, np.uint8) == 0).nonzero()[0]
    gaps = zeros[1:] - zeros[:-1]
    closed = (gaps > 1).nonzero()[0]
    starts = zeros[closed] + 1
    sizes = np.minimum(gaps[closed] - 1, _LONGEST_RUN_BYTES + 1)
    counts = np.bincount(sizes, minlength=_LONGEST_RUN_BYTES + 2)
    alone = counts < _FEWEST_ROWS
    alone[: _HEADER.size + _CRC_BYTES + 1] = True
    alone[_LONGEST_RUN_BYTES + 1] = True

    found: dict[int, list[Rows]] = defaultdict(list)
    singly = [np.zeros(1 if len(zeros) and zeros[0] else 0, np.int64)]
    if (alone & (counts > 0)).any():
        singly.append(starts[alone[sizes]])
    for size in np.flatnonzero(~alone).tolist():
        alike = starts if counts[size] == len(starts) else starts[sizes == size]
        for first in range(0, len(alike), _MOST_ROWS):
            singly.append(_read_alike(stream, alike[first : first + _MOST_ROWS], size, found))
    _read_singly(stream, np.concatenate(singly), found)
    return {type_byte: _in_order(found[type_byte]) for type_byte in sorted(found)}


@cache
def row_dtype(type_byte: int) -> np.dtype[np.void]:
    """The row of a message type: the head of its frame as it was sent, then the offset.

    Raises:
        KeyError: the type is unknown.
    """
    codec = DEFINITIONS[type_byte].codec
    end = _HEADER.size + codec.head.size
    columns = [("seq", "<u2", _SEQ_AT), ("offset", "<i8", end), *(_column(field) for field in codec.fields)]
    names, formats, offsets = zip(*columns, strict=True)
    return np.dtype(
        {"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": end + _OFFSET_BYTES}
    )


def _column(field: FieldLayout) -> tuple[str, str, int]:
    if field.kind == "tail":
        return f"{field.name}_bytes", "<u2", _LENGTH_AT
    if field.kind.startswith("text"):
        code = f"S{field.size}"
    elif field.kind.startswith("bytes"):
        code = f"V{field.size}"
    else:
        code = f"<{field.kind[0]}{field.size}"
    return field.name, code, _HEADER.size + field.offset


def _read_alike(stream: bytes, starts: Places, size: int, found: dict[int, list[Rows]]) -> Places:
    """Add the plain messages among the runs of one size to `found`; the starts of intact runs that are not plain."""
    runs = np.ndarray((len(stream) - size + 1,), f"V{size}", stream, strides=(1,))[starts]
    columns = np.ascontiguousarray(runs.view(np.uint8).reshape(len(starts), size).T)
    intact = _unstuff(columns)
    raw = columns[1:]
    intact &= _crc_holds(raw)
    payload_bytes = len(raw) - _HEADER.size - _CRC_BYTES
    plain = intact & (raw[0] == _PLAIN_VERSION) & (raw[_LENGTH_AT] == payload_bytes) & (raw[_LENGTH_AT + 1] == 0)
    for type_byte in _types_of(payload_bytes):
        of_type = plain & (raw[1] == type_byte) & _is_ascii(raw, type_byte)
        if of_type.any():
            found[type_byte].append(_rows(raw, type_byte, starts, of_type))
            intact ^= of_type
    return starts[np.flatnonzero(intact)]


def _unstuff(columns: Octets) -> Flags:
    """COBS undone in place, row j + 1 of `columns` becoming byte j; which of the runs were COBS.

    A code that points past the end of 254 bytes wraps round to a place already passed and is never followed.
    """
    next_code = columns[0].copy()
    at_code = np.empty(len(next_code), np.bool_)
    code = np.empty_like(next_code)
    places = np.arange(1, len(columns), dtype=np.uint8).reshape(-1, 1)
    for column, place in zip(columns[1:], places, strict=True):
        np.equal(next_code, place, out=at_code)
        np.multiply(column, at_code.view(np.uint8), out=code)
        np.add(next_code, code, out=next_code)
        np.subtract(column, code, out=column)
    result: Flags = next_code == len(columns)
    return result


def _crc_holds(raw: Octets) -> Flags:
    """Whether the last four bytes are the CRC-32C of those before them.

    At one length a CRC is affine over GF(2): that of so many zeros, changed by a term for each byte that is none.
    """
    body = raw[:-_CRC_BYTES]
    computed = np.full(body.shape[1], crc32.iscsi(bytes(len(body))), np.uint32)
    change, index = np.empty_like(computed), np.empty(len(computed), np.intp)
    for column, terms in zip(body, _crc_terms()[len(body) - 1 :: -1], strict=True):
        if np.count_nonzero(column):
            np.copyto(index, column)
            terms.take(index, out=change, mode="wrap")
            np.bitwise_xor(computed, change, out=computed)
    received = np.ascontiguousarray(raw[-_CRC_BYTES:].T).view("<u4").ravel()
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


def _is_ascii(raw: Octets, type_byte: int) -> Flags:
    ascii_only = np.ones(raw.shape[1], np.bool_)
    for field in DEFINITIONS[type_byte].codec.fields:
        if field.kind.startswith("text"):
            start = _HEADER.size + field.offset
            ascii_only &= raw[start : start + field.size].max(axis=0) < 0x80
    return ascii_only


def _rows(raw: Octets, type_byte: int, starts: Places, of_type: Flags) -> Rows:
    dtype = row_dtype(type_byte)
    head = raw[: dtype.itemsize - _OFFSET_BYTES]
    if not of_type.all():
        head, starts = head[:, of_type], starts[of_type]
    octets = np.empty((len(starts), dtype.itemsize), np.uint8)
    octets[:, : len(head)] = head.T
    rows = octets.view(dtype).reshape(len(starts))
    rows["offset"] = starts
    codec = DEFINITIONS[type_byte].codec
    if codec.has_tail:
        rows[f"{codec.fields[-1].name}_bytes"] -= np.uint16(codec.head.size)
    return rows


def _read_singly(stream: bytes, starts: Places, found: dict[int, list[Rows]]) -> None:
    rows: dict[int, bytearray] = defaultdict(bytearray)
    decoder = StreamDecoder()
    for start in starts.tolist():
        for frame in decoder.feed(stream[start : stream.index(0, start) + 1]):
            head_bytes = DEFINITIONS[frame.type].codec.head.size
            head = _HEADER.pack(_PLAIN_VERSION, frame.type, frame.seq, len(frame.payload) - head_bytes)
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
