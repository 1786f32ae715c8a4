"""The journal of step reservations on the chip: before each block of steps, how far the counter may get.

    generation u32 | confirmed u64 | reserved u64 | CRC-32C u32 | 0 u8

A record belongs to the image of its generation. Its last byte is 0, so one that was cut short, which ends as the page
was erased, is known from one that was whole and has decayed. Nothing asks for those that have been superseded, so only
the newest few are written, and only when power is lost: what is read on the chip then is the same as if each had been
written in its turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from fastcrc import crc32

from firmware_mock.firmware.flash import ERASED, PAGE_BYTES, clear_bits

_BODY = Struct("<IQQ")
_CRC = Struct("<I")
_END = b"\0"
RECORD_BYTES = _BODY.size + _CRC.size + len(_END)
_PLACES = range(0, PAGE_BYTES - RECORD_BYTES + 1, RECORD_BYTES)
_FREE = ERASED * RECORD_BYTES


@dataclass(frozen=True, slots=True)
class Reservation:
    """Under the image of a generation, `confirmed` steps were made and no more than `reserved` may be."""

    generation: int
    confirmed: int
    reserved: int


class StepJournal:
    """Two pages; where one is full the other is erased and taken."""

    def __init__(self) -> None:
        self._pages = [bytearray(ERASED * PAGE_BYTES), bytearray(ERASED * PAGE_BYTES)]
        self._current = 0

    def append(self, reservation: Reservation, *, programmed_bytes: int = RECORD_BYTES) -> None:
        """Write a record, or only its first bytes."""
        body = _BODY.pack(reservation.generation, reservation.confirmed, reservation.reserved)
        octets = body + _CRC.pack(crc32.iscsi(body)) + _END
        place = self._free_place()
        clear_bits(self._pages[self._current], place, octets[:programmed_bytes])

    def newest(self, generation: int | None = None) -> Reservation | None:
        """The whole record that is farthest, of a generation or of any; None without one."""
        records = (_unpack(page[place : place + RECORD_BYTES]) for page in self._pages for place in _PLACES)
        known = [record for record in records if record is not None and generation in (None, record.generation)]
        return max(known, key=lambda record: (record.generation, record.confirmed), default=None)

    def damaged_at_the_end(self) -> int:
        """How many records newer than the newest whole one were whole once; each may have reserved more steps."""
        count = 0
        for record in self._in_order():
            if _unpack(record) is not None:
                count = 0
            elif not record.endswith(ERASED):
                count += 1
        return count

    @property
    def stored_bytes(self) -> int:
        """How many bytes are on the chip."""
        return RECORD_BYTES * len(self._in_order())

    def flip(self, bit: int) -> None:
        """Turn over one of their bits."""
        record, bit = divmod(bit, 8 * RECORD_BYTES)
        page, place = [
            (page, place) for page in self._pages for place in _PLACES if page[place : place + RECORD_BYTES] != _FREE
        ][record]
        page[place + bit // 8] ^= 1 << bit % 8

    def _in_order(self) -> list[bytearray]:
        """What was written, oldest first."""
        pages = (self._pages[self._current ^ 1], self._pages[self._current])
        records = [page[place : place + RECORD_BYTES] for page in pages for place in _PLACES]
        return [record for record in records if record != _FREE]

    def _free_place(self) -> int:
        page = self._pages[self._current]
        for place in _PLACES:
            if page[place : place + RECORD_BYTES] == _FREE:
                return place
        self._current ^= 1
        self._pages[self._current][:] = ERASED * PAGE_BYTES
        return 0


def _unpack(octets: bytes | bytearray) -> Reservation | None:
    body = bytes(octets[: _BODY.size])
    if octets.endswith(ERASED) or crc32.iscsi(body) != _CRC.unpack_from(octets, _BODY.size)[0]:
        return None
    return Reservation(*_BODY.unpack(body))
