"""Which damaged bytes on a wire may hold the key of a pairing, and are therefore not shown around."""

from __future__ import annotations

from bench.wire.session import Heard
from driver.transport.tapped import Direction
from protocol import KEY_BYTES, PairRequest
from protocol.framing import PROTOCOL_MAJOR
from protocol.registry import DEFINITIONS, Role
from protocol.wire import CRC_BYTES, FLAG_TRAILER, MIN_BYTES, TRAILER_BYTES

_VERSIONS = frozenset({PROTOCOL_MAJOR << 4, PROTOCOL_MAJOR << 4 | FLAG_TRAILER})
_VERSION, _TYPE, _LENGTH = 0, 1, 4  # where they stand in a header; COBS takes only zeros out
_LEAST = CRC_BYTES  # the end of a frame with less than that has nothing of its payload


def may_hold_key(heard: Heard) -> bool:
    """Whether a reject is a PairRequest, or what damage may have left of one.

    That is a run with a header in it like PairRequest's, one byte of it damaged at most, and any run to a device that
    begins with no header: it may be the end of a frame that damage has cut in two.
    """
    if heard.frame is not None:
        return heard.frame.type == PairRequest.TYPE
    run = heard.raw.strip(b"\0")
    is_cut_off = heard.direction is Direction.TO_DEVICE and len(run) >= _LEAST and not _begins_with_header(run)
    return is_cut_off or any(_is_like_pairing(run[start:]) for start in range(len(run)))


def _begins_with_header(run: bytes) -> bool:
    """Whether a version and a type that a host sends come first, behind the byte of COBS, and not too much follows."""
    version, entry = run[1 + _VERSION], DEFINITIONS.get(run[1 + _TYPE])
    if version not in _VERSIONS or entry is None or entry.role is not Role.REQUEST:
        return False
    trailer_bytes = TRAILER_BYTES if version & FLAG_TRAILER else 0
    return entry.codec.has_tail or len(run) <= 1 + MIN_BYTES + entry.codec.head.size + trailer_bytes


def _is_like_pairing(octets: bytes) -> bool:
    """Whether two of the three bytes that mark the header are those of PairRequest; the third may be lost."""
    marks = (
        octets[_VERSION] in _VERSIONS,
        octets[_TYPE : _TYPE + 1] == bytes([PairRequest.TYPE]),
        KEY_BYTES in octets[_LENGTH - 1 : _LENGTH + 1],
    )
    return sum(marks) > 1
