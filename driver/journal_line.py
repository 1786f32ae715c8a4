"""A line of a journal: a record as JSON with a CRC-32C behind it, and what of a line a crash can have left.

The CRC is the last key, eight hex digits over all bytes of the line before its comma. A crash or a full disk leaves a
record's beginning, or what lies behind a gap. A record that was whole once was acted on, and damage to it is never
taken for that. Where no more is missing at one end than a burst can have blanked out, both look alike: then the rest
tells the record whole, and it counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from fastcrc.crc32 import iscsi as crc32c

_START = b'{"record":"'
_KEY = b',"crc32c":"'
_END = _KEY + b'????????"}'
_BEHIND_KEY_BYTES = len(_END) - len(_KEY)
_BURST_BYTES = 5  # that 32 bits can lie in
_FIXED_IN_END = 8  # of 13 bytes, that are left by two flips or a burst
_OF_NUMBERS = b"-+.0123456789eE"

_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def line_of(record: Mapping[str, Any]) -> bytes:
    """A record, which is not empty, as it stands in the file."""
    body = _encoded(record)[:-1].encode()
    return body + _KEY + _check(body) + b"\n"


def parsed(line: bytes) -> dict[str, Any] | None:
    """The record that a whole line tells, else None."""
    body, _, check = line.rpartition(_KEY)
    return without_crc(line) or None if check == _check(body) else None


def mended(line: bytes, gap_bytes: int) -> dict[str, Any] | None:
    """The record that a line tells which lacks a few bytes, at its start for a gap before it, or at its end."""
    if 0 < gap_bytes <= _BURST_BYTES:
        return parsed(_START[:gap_bytes] + line)
    line = line.rstrip(b"\0")
    body, found, check = line.rpartition(_KEY)
    whole = _check(body)
    is_nearly_whole = bool(found) and len(check) >= _BEHIND_KEY_BYTES - _BURST_BYTES and whole.startswith(check)
    return parsed(body + _KEY + whole) if is_nearly_whole else None


def is_cut_short(line: bytes, gap_bytes: int) -> bool:
    """Whether a line that tells no record is what a crash leaves of one.

    That is its beginning, zeros behind it at most, or whatever lies behind a gap longer than a burst.
    """
    if gap_bytes:
        return gap_bytes > _BURST_BYTES
    line = line.rstrip(b"\0")
    if not (line.startswith(_START) or _START.startswith(line)):
        return False
    body, found, check = line.rpartition(_KEY)
    if found:
        return _check(body).startswith(check)
    return not _has_end_of_record(line) and _is_truncated(line)


def without_crc(line: bytes) -> dict[str, Any]:
    """The record that a line tells, whatever its CRC; empty where it tells none."""
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _check(body: bytes) -> bytes:
    return b'%08x"}' % crc32c(body)


def _has_end_of_record(line: bytes) -> bool:
    return sum(byte == fixed for byte, fixed in zip(line[-len(_END) :], _END, strict=False)) >= _FIXED_IN_END


def _is_truncated(line: bytes) -> bool:
    try:
        msgspec.json.decode(line.rstrip(_OF_NUMBERS))
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except (ValueError, RecursionError):
        return False
    return False
