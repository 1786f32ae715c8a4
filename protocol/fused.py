"""Generates, for a message, functions that take a frame's header, payload and CRC in one go.

The readers serve plain frames alone: our version, no trailer, a payload that fits, enumerations in numbers met before.
For anything else they raise one of NOT_PLAIN, and the caller finds out what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from cobs import cobs
from fastcrc import crc32

from protocol.checks import Field, refuser
from protocol.codec import Names, compiled, construction, head_of, misfit, packing, tail_of, unpacked_names
from protocol.errors import EncodeError
from protocol.wire import CRC_BYTES, HEADER, INTACT_CRC, MAX_PAYLOAD_BYTES, PLAIN_VERSION, PROTOCOL_MAJOR

FrameEncoder = Callable[[Any, int], bytes]
FrameReader = Callable[[bytes, int, Any], Any]
RowsReader = Callable[[bytes, Iterable[bytes], Iterable[int], Any], Any]

NOT_PLAIN = (cobs.DecodeError, struct.error, LookupError, UnicodeDecodeError)


def frame_encoder(message: Any, fields: tuple[Field, ...]) -> FrameEncoder:
    """A function from a message and its seq to the whole frame, both zeros included; it raises EncodeError."""
    owner, head = message.__name__, head_of(fields)
    refuse_field = refuser(owner, fields)

    def refuse(refused: Any, seq: Any) -> EncodeError:
        if not isinstance(seq, int) or not 0 <= seq <= 0xFFFF:
            return EncodeError(f"type {message.TYPE} must fit 8 bits and seq {seq} must fit 16")
        return refuse_field(refused)

    def refuse_length(length: int) -> EncodeError:
        return EncodeError(f"a payload has at most {MAX_PAYLOAD_BYTES} bytes, not {length}")

    names: Names = {"refuse": refuse, "refuse_length": refuse_length, "error": struct.error,
                    "pack": struct.Struct(HEADER.format + head.format[1:]).pack,
                    "cobs_encode": cobs.encode, "crc32c": crc32.iscsi}  # fmt: skip
    packed, tail = packing(owner, fields, names)
    length = "length" if tail else str(head.size)
    arguments = ", ".join([f"{PLAIN_VERSION}, {message.TYPE}, seq, {length}", *packed])
    measured = f"""
    tail = {tail}
    length = {head.size} + len(tail)
    if length > {MAX_PAYLOAD_BYTES}:
        raise refuse_length(length)"""
    source = f"""
def encode_frame(message, seq):{measured if tail else ""}
    try:
        body = pack({arguments}){" + tail" if tail else ""}
    except (error, OverflowError):
        raise refuse(message, seq) from None
    return b"\\0" + cobs_encode(body + crc32c(body).to_bytes({CRC_BYTES}, "little")) + b"\\0"
"""
    encode: FrameEncoder = compiled("encode_frame", source, names, owner)
    return encode


def frame_reader(message: Any, fields: tuple[Field, ...]) -> FrameReader:
    """A function (run, offset, frame_class) -> frame; it raises one of NOT_PLAIN.

    `run` is what stands between two zeros. `frame_class` takes type, seq, content (header to CRC), offset, trailer,
    major and message: a payload cut out of the content would cost a tenth of the frame, and few ask for it.
    """
    head, tail = head_of(fields), tail_of(fields)
    content = struct.Struct(f"<HHH{head.format[1:]}" + ("" if tail else f"{CRC_BYTES}x"))
    names: Names = {"message_class": message, "unpack": content.unpack_from if tail else content.unpack,
                    "cobs_decode": cobs.decode, "crc32c": crc32.iscsi}  # fmt: skip
    values = ", ".join(filter(None, ["kind, seq, length", unpacked_names(fields)]))
    cut, length, misfits = "", str(head.size), ""
    if tail:
        cut = f"payload = content[{HEADER.size}:-{CRC_BYTES}]"
        length, misfits = "len(payload)", f" or length > {MAX_PAYLOAD_BYTES} or {misfit(fields, names)}"
    kind = PLAIN_VERSION | message.TYPE << 8
    built = construction(fields, names, known_alone=True)
    source = f"""
def read_frame(run, offset, frame_class):
    content = cobs_decode(run)
    {values} = unpack(content)
    {cut}
    if kind != {kind} or length != {length} or crc32c(content) != {INTACT_CRC}{misfits}:
        raise LookupError
    return frame_class({message.TYPE}, seq, content, offset, None, {PROTOCOL_MAJOR}, {built})
"""
    read: FrameReader = compiled("read_frame", source, names, message.__name__)
    return read


def rows_reader(message: Any, fields: tuple[Field, ...]) -> RowsReader | None:
    """A function (rows, contents, offsets, frame_class) -> frames, or None; there is none for a message with a tail.

    A row is a byte, a plain frame of this message from header to CRC, and two bytes. It raises one of NOT_PLAIN.
    """
    if tail_of(fields) is not None:
        return None
    head = head_of(fields)
    row = struct.Struct(f"<3xH2x{head.format[1:]}{CRC_BYTES + 2}x")
    names: Names = {"message_class": message, "iter_unpack": row.iter_unpack}
    built = construction(fields, names, known_alone=True)
    values = ", ".join(filter(None, ["seq", unpacked_names(fields)]))
    source = f"""
def read_rows(rows, contents, offsets, frame_class):
    return [
        frame_class({message.TYPE}, seq, content, offset, None, {PROTOCOL_MAJOR}, {built})
        for ({values},), content, offset in zip(iter_unpack(rows), contents, offsets)
    ]
"""
    read: RowsReader = compiled("read_rows", source, names, message.__name__)
    return read
