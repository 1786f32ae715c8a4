"""Rows of records on the chip: what happened, was calibrated and was dosed, each record sealed on its own.

A row has room for more records than it keeps: the pages ahead are erased while the chip has nothing else to do.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

from firmware_mock.firmware.flash import ERASED, Flash
from firmware_mock.firmware.rot import with_bit_flipped
from protocol import BulkObject, Record, seal_record, unseal_record
from protocol.errors import DecodeError

RECORDS_KEPT = 1024


class Row:
    """The newest records of one object, kept as they are sent: encoded, each with the CRC-32C it was stored with.

    The index of the next one counts for ever.
    """

    def __init__(self, bulk_object: BulkObject, flash: Flash) -> None:
        self.bulk_object = bulk_object
        self.next_index = 0
        self._flash = flash
        self._sealed: deque[bytes] = deque(maxlen=RECORDS_KEPT)
        self._found_good: dict[int, bytes] = {}

    def append(self, record: Record) -> None:
        """Store the record with `next_index`; the oldest is given up where there is no room.

        Raises:
            PowerLost: power failed meanwhile.
        """
        sealed = seal_record(self.bulk_object, record)
        place = bytearray(ERASED * len(sealed))
        try:
            self._flash.program(place, 0, sealed)
        finally:
            self._sealed.append(bytes(place))
            self.next_index += 1

    def skip_torn(self) -> None:
        """After power was lost: a newest record that was never finished is passed over, and its index used again."""
        while self._sealed and self._sealed[-1].endswith(ERASED) and self.newest() is None:
            self._sealed.pop()
            self.next_index -= 1

    def since(self, index: int) -> tuple[int, list[bytes]]:
        """The records with at least this index as they are stored, oldest first, and the index of the first.

        That is `next_index` where there are none.
        """
        oldest = self.next_index - len(self._sealed)
        first = min(max(index, oldest), self.next_index)
        return first, list(islice(self._sealed, first - oldest, None))

    @property
    def stored_bytes(self) -> int:
        """How many bytes are on the chip."""
        return sum(map(len, self._sealed))

    def flip(self, bit: int) -> None:
        """Turn over one of their bits: what the years do."""
        for place, sealed in enumerate(self._sealed):
            if bit < 8 * len(sealed):
                self._sealed[place] = with_bit_flipped(sealed, bit)
                return
            bit -= 8 * len(sealed)

    def damaged(self) -> int:
        """How many records are damaged: they keep their places, and nothing is taken from them."""
        return sum(self._unsealed(sealed) is None for sealed in self._sealed)

    def damaged_at_the_end(self) -> int:
        """How many of them are newer than the newest that is not."""
        return next(
            (count for count, sealed in enumerate(reversed(self._sealed)) if self._unsealed(sealed) is not None),
            len(self._sealed),
        )

    def is_consistent(self) -> bool:
        """Whether all records are undamaged and their indices follow each other up to the next one.

        What is as it was found good before is not decoded again.
        """
        stored = dict(enumerate(self._sealed, start=self.next_index - len(self._sealed)))
        good = self._found_good
        self._found_good = {
            index: sealed
            for index, sealed in stored.items()
            if good.get(index) is sealed or self._is_record(index, sealed)
        }
        return len(self._found_good) == len(stored)

    def newest(self) -> Any:
        """The newest record; None where there is none, or it is damaged."""
        return self._unsealed(self._sealed[-1]) if self._sealed else None

    def newest_few(self, count: int) -> list[Any]:
        """Up to so many of the newest records that are undamaged, newest first."""
        records = (self._unsealed(sealed) for sealed in reversed(self._sealed))
        return list(islice((record for record in records if record is not None), count))

    def _unsealed(self, sealed: bytes) -> Any:
        try:
            return unseal_record(self.bulk_object, sealed)
        except DecodeError:
            return None

    def _is_record(self, index: int, sealed: bytes) -> bool:
        record = self._unsealed(sealed)
        return record is not None and record.index == index
