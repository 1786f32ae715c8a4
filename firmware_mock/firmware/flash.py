"""The memory chip: pages that erase to ones and program to zeros, byte by byte in time, until power fails.

Work is done when it is asked for, so nobody waits for it; where power is due to fail before the chip would have been
through with it, only what fits into the time is done, and whoever asked gets no further.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import or_

from firmware_mock.world import World

PAGE_BYTES = 4096
ERASE_NS = 20_000_000
PROGRAM_NS = 10_000
ERASED = b"\xff"


def clear_bits(page: bytearray, offset: int, octets: bytes) -> None:
    """What programming bytes does to a page, however long ago."""
    end = offset + len(octets)
    before, wanted = int.from_bytes(page[offset:end], "little"), int.from_bytes(octets, "little")
    page[offset:end] = (before & wanted).to_bytes(len(octets), "little")


class PowerLost(Exception):
    """Power failed while the chip was at work; what it had done by then stays."""


class Flash:
    """Works on pages one after the other. `fails_ns` is when power will fail next, None for never.

    `before_work` is told when a piece of work begins and would end, in ns of the world.
    """

    def __init__(self, world: World) -> None:
        self.fails_ns: int | None = None
        self.before_work: Callable[[int, int], None] = lambda begin_ns, end_ns: None
        self._world = world
        self._noise = world.stream("pump.flash")
        self._free_ns = 0

    def erase(self, page: bytearray) -> None:
        """Set all bits of a page; cut short, it leaves each bit set or as it was.

        Raises:
            PowerLost: power failed before the end.
        """
        if self._fitting(1, ERASE_NS):
            page[:] = ERASED * len(page)
            return
        if self._left_ns() > 0:
            page[:] = bytes(map(or_, page, self._noise.randbytes(len(page))))
        raise PowerLost

    def program(self, page: bytearray, offset: int, octets: bytes) -> None:
        """Clear bits from an offset on, byte by byte; a bit that is clear already stays so.

        Raises:
            PowerLost: power failed before the last byte.
        """
        fitting = self._fitting(len(octets), PROGRAM_NS)
        clear_bits(page, offset, octets[:fitting])
        if fitting < len(octets):
            raise PowerLost

    def _fitting(self, times: int, each_ns: int) -> int:
        """How often work fits in before power fails; the chip is busy with that."""
        self._free_ns = max(self._free_ns, self._world.now_ns)
        self.before_work(self._free_ns, self._free_ns + times * each_ns)
        if self.fails_ns is not None:
            times = min(times, self._left_ns() // each_ns)
        self._free_ns += times * each_ns
        return times

    def _left_ns(self) -> int:
        return 0 if self.fails_ns is None else max(0, self.fails_ns - self._free_ns)
