"""What a fault makes of a frame: pieces of bytes, each with how much later than the frame it goes."""

from __future__ import annotations

import random
from collections.abc import Callable

from firmware_mock.faults.kinds import NO_TYPE, Fault, FaultKind
from firmware_mock.world import to_ns

Piece = tuple[bytes, int]

_TYPE_AT = 3
_SHORTEST = 8


def frames_of(data: bytes) -> list[bytes]:
    """The frames in what one side sends at once, each with its zeros; anything else in one piece."""
    frames = data.split(b"\0\0") if data.startswith(b"\0") and data.endswith(b"\0") else [data]
    if len(frames) == 1:
        return frames
    last = len(frames) - 1
    return [(b"\0" if i else b"") + frame + (b"\0" if i < last else b"") for i, frame in enumerate(frames)]


def type_of(frame: bytes) -> int:
    """The message type of a whole frame: COBS leaves version and type, which are never 0, where they are."""
    return frame[_TYPE_AT] if len(frame) >= _SHORTEST and frame[0] == 0 else NO_TYPE


def pieces(fault: Fault, frame: bytes, stream: random.Random) -> list[Piece]:
    """The frame as the fault leaves it."""
    return _ACTS[fault.kind](fault, frame, stream)


def _flipped(fault: Fault, frame: bytes, stream: random.Random) -> list[Piece]:
    bits = stream.sample(range(8 * len(frame)), min(fault.amount, 8 * len(frame)))
    return [(_with_bits_flipped(frame, bits), 0)]


def _rotten(fault: Fault, frame: bytes, stream: random.Random) -> list[Piece]:
    chance = fault.amount / 10_000.0
    bits = [bit for bit in range(8 * len(frame)) if stream.random() < chance]
    return [(_with_bits_flipped(frame, bits), 0)]


def _with_bits_flipped(frame: bytes, bits: list[int]) -> bytes:
    damaged = bytearray(frame)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def _lost(_: Fault, __: bytes, ___: random.Random) -> list[Piece]:
    return []


def _twice(fault: Fault, frame: bytes, _: random.Random) -> list[Piece]:
    return [(frame, 0), (frame, to_ns(fault.duration_s))]


def _late(fault: Fault, frame: bytes, _: random.Random) -> list[Piece]:
    return [(frame, to_ns(fault.duration_s))]


def _cut_short(fault: Fault, frame: bytes, _: random.Random) -> list[Piece]:
    return [(frame[: len(frame) * fault.amount // 100], 0)]


def _byte_by_byte(fault: Fault, frame: bytes, _: random.Random) -> list[Piece]:
    gap_ns = to_ns(fault.duration_s) // len(frame)
    return [(frame[i : i + 1], i * gap_ns) for i in range(len(frame))]


def _behind_noise(fault: Fault, frame: bytes, stream: random.Random) -> list[Piece]:
    return [(stream.randbytes(fault.amount) + frame, 0)]


def _at_another_baud(_: Fault, frame: bytes, stream: random.Random) -> list[Piece]:
    return [(stream.randbytes(stream.randint(1, 2 * len(frame))), 0)]


def _zeros(_: Fault, frame: bytes, __: random.Random) -> list[Piece]:
    return [(bytes(len(frame)), 0)]


_ACTS: dict[FaultKind, Callable[[Fault, bytes, random.Random], list[Piece]]] = {
    FaultKind.FLIP: _flipped,
    FaultKind.DROP_REQUEST: _lost,
    FaultKind.DROP_REPLY: _lost,
    FaultKind.DUPLICATE: _twice,
    FaultKind.LATE: _late,
    FaultKind.TRUNCATE: _cut_short,
    FaultKind.FRAGMENT: _byte_by_byte,
    FaultKind.NOISE: _behind_noise,
    FaultKind.WRONG_BAUD: _at_another_baud,
    FaultKind.STUCK_LINE: _zeros,
    FaultKind.HALF_OPEN: _lost,
    FaultKind.BIT_ROT: _rotten,
}
