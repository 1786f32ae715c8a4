"""A mark on the chip that the writing of a therapy has begun, set before it:

    command_id u64 | token u64 | CRC-32C u32 | 0 u8

The image with that command ends what the mark says; without it the writing was interrupted. Its two pages take turns,
and the one ahead is erased while the chip has nothing else to do. A mark that was cut short, or has decayed, is none.
"""

from __future__ import annotations

from struct import Struct

from fastcrc import crc32

from firmware_mock.firmware.flash import ERASED, Flash

_BODY = Struct("<QQ")
_CRC = Struct("<I")
_END = b"\0"
MARK_BYTES = _BODY.size + _CRC.size + len(_END)


class ProgrammingMark:
    """The newest mark."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._place = bytearray(ERASED * MARK_BYTES)

    def set(self, command_id: int, token: int) -> None:
        """The writing of a therapy begins.

        Raises:
            PowerLost: power failed meanwhile.
        """
        body = _BODY.pack(command_id, token)
        self._place[:] = ERASED * MARK_BYTES
        self._flash.program(self._place, 0, body + _CRC.pack(crc32.iscsi(body)) + _END)

    def read(self) -> tuple[int, int] | None:
        """Command id and token; None where there is no mark."""
        body = bytes(self._place[: _BODY.size])
        if self._place[-1:] != _END or _CRC.unpack_from(self._place, _BODY.size)[0] != crc32.iscsi(body):
            return None
        command_id, token = _BODY.unpack(body)
        return command_id, token

    @property
    def stored_bytes(self) -> int:
        """How many bytes are on the chip."""
        return 0 if self._place == ERASED * MARK_BYTES else MARK_BYTES

    def flip(self, bit: int) -> None:
        """Turn over one of their bits."""
        self._place[bit // 8] ^= 1 << bit % 8
