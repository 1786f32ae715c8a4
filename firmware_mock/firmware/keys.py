"""The pump's key: kept in memory, taken in pairing mode, and never made up where the memory is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_mock.firmware.nvram import Nvram
from firmware_mock.firmware.refusals import RefusedRequest
from firmware_mock.world import World
from protocol import (
    KEY_BYTES,
    DeviceGuard,
    DeviceRequest,
    EventCode,
    NakReason,
    Paired,
    PairRequest,
    key_check,
)


class Keys:
    """Answers PairRequest. `is_pairing`: the button inside the case was pressed, and one key is taken; a reset ends it.

    `guard` lets requests in; its random bytes go on through resets, so that no nonce comes twice.
    """

    def __init__(
        self, world: World, nvram: Nvram, serial_number: str, announce: Callable[[EventCode, int], None]
    ) -> None:
        self.is_pairing = False
        self._nvram = nvram
        self._serial_number = serial_number
        self._announce = announce
        self._random_bytes = world.stream("pump.nonces").randbytes
        self.guard = DeviceGuard(self._random_bytes, nvram.memory.key)

    def reset(self) -> None:
        """After a reset. With its memory lost, a pump that ever had a key lets nobody in, by one that nobody knows.

        One that never had any stays as open as it was. Nor does it wait for a key any more: it may have been given one
        just before.
        """
        self.is_pairing = False
        if not self._nvram.is_lost:
            self.guard.key = self._nvram.memory.key
        elif self._nvram.was_keyed:
            self.guard.key = self._random_bytes(KEY_BYTES)

    def check(self, request: DeviceRequest) -> None:
        """
        Raises:
            RefusedRequest: its sender may only read, since a PairRequest that came ahead of it in the same bytes.
        """
        if not self.guard.takes(request.message.TYPE, is_sealed=request.is_sealed):
            raise RefusedRequest(NakReason.UNAUTHENTICATED, "the pump was given another key just before")

    def is_in_the_open(self, request: DeviceRequest) -> bool:
        """Whether anybody may have sent it."""
        return self.guard.key is not None and not request.is_sealed

    def pair(self, request: PairRequest) -> Paired:
        """Answer a PairRequest: from now on only holders of the new key change anything.

        Raises:
            RefusedRequest: not in pairing mode, or the memory is lost and nothing can be kept.
        """
        if not self.is_pairing:
            raise RefusedRequest(NakReason.NOT_PAIRING, "press the pairing button inside the case first")
        if self._nvram.is_lost:
            raise RefusedRequest(NakReason.WRONG_STATE, "memory lost; the pump must be programmed anew")
        self._nvram.note_keyed()
        self._nvram.write(replace(self._nvram.memory, key=request.key))
        self.is_pairing = False
        self.guard.key = request.key
        self._announce(EventCode.PAIRED, 0)
        return Paired(key_check(request.key, self._serial_number))
