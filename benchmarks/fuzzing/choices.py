"""The fuzzer's bytes, read as decisions."""

from __future__ import annotations


class Choices:
    """Takes decisions from the front of `data`; behind its end all of them are 0."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        """How many bytes have not been used."""
        return max(0, len(self._data) - self._place)

    def number(self, size: int = 1) -> int:
        """Any number of `size` bytes, little-endian."""
        return int.from_bytes(self.octets(size), "little")

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; 0 if `limit` is 0."""
        return self.number(1 if limit <= 256 else 2 if limit <= 65536 else 4) % max(limit, 1)

    def octets(self, count: int) -> bytes:
        """`count` bytes."""
        taken = self._data[self._place : self._place + count]
        self._place += count
        return taken.ljust(count, b"\0")
