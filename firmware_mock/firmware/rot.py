"""What lies on the memory chip decays: bits turn over at rest, or a page is lost as a whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol


class Cells(Protocol):
    """Something that is stored."""

    @property
    def stored_bytes(self) -> int: ...

    def flip(self, bit: int) -> None: ...


class Page:
    """The bytes at the beginning of a page that something takes."""

    def __init__(self, page: bytearray, stored_bytes: int) -> None:
        self.stored_bytes = stored_bytes
        self._page = page

    def flip(self, bit: int) -> None:
        self._page[bit // 8] ^= 1 << bit % 8


def rot_bits(stored: Sequence[Cells], bits: int, stream: random.Random) -> None:
    """Turn over so many bits, each of them another one, anywhere in what is stored."""
    total = sum(8 * cells.stored_bytes for cells in stored)
    for bit in stream.sample(range(total), min(bits, total)):
        for cells in stored:
            if bit < 8 * cells.stored_bytes:
                cells.flip(bit)
                break
            bit -= 8 * cells.stored_bytes


def rot_page(page: bytearray, stream: random.Random) -> None:
    """Let every bit of a page be as it may."""
    page[:] = stream.randbytes(len(page))


def with_bit_flipped(octets: bytes, bit: int) -> bytes:
    """The bytes with one bit turned over."""
    damaged = bytearray(octets)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
