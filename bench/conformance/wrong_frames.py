"""Frames that a sender must not send, built by hand: header, payload, CRC and COBS each as wrong as asked for."""

from __future__ import annotations

import struct

from cobs import cobs
from fastcrc import crc32

from protocol import PROTOCOL_MAJOR

LONGEST_RUN_BYTES = 537


def frame(
    type_byte: int,
    seq: int,
    payload: bytes = b"",
    *,
    version_flags: int = PROTOCOL_MAJOR << 4,
    length: int | None = None,
    crc_damage: int = 0,
) -> bytes:
    """A frame with any version, flags, length field, or bits of the CRC inverted; both zeros included."""
    stated = len(payload) if length is None else length
    body = struct.pack("<BBHH", version_flags, type_byte, seq, stated) + payload
    crc = crc32.iscsi(body) ^ crc_damage
    return b"\0" + bytes(cobs.encode(body + crc.to_bytes(4, "little"))) + b"\0"


def too_short() -> bytes:
    """Nine bytes with a right CRC, one less than the smallest frame has."""
    body = bytes([PROTOCOL_MAJOR << 4, 0x02, 0x01, 0x01, 0x01])
    return b"\0" + bytes(cobs.encode(body + crc32.iscsi(body).to_bytes(4, "little"))) + b"\0"


def not_cobs() -> bytes:
    """A length byte that points behind the end."""
    return b"\0\x20\x10\x02\x01\0"


def too_long() -> bytes:
    """More bytes without a zero than any frame has."""
    return b"\0" + b"\x55" * (LONGEST_RUN_BYTES + 100) + b"\0"
