"""A pump's USB side in software: descriptors, two bulk endpoints with finite buffers, and the standard requests.

The firmware calls `receive` and `send`; a host controller (`firmware_mock.usb`) calls the rest from its own threads.
What fails on the bus is an OSError with the errno that a kernel would give.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

VENDOR_ID = 0x1209
PRODUCT_ID = 0x0001
PACKET_BYTES = 64
BUFFER_BYTES = 4096
INTERFACE = 0
CONFIGURATION = 1
ENDPOINT_OUT = 0x01
ENDPOINT_IN = 0x81

_DEVICE, _CONFIGURATION, _STRING, _INTERFACE, _ENDPOINT = 1, 2, 3, 4, 5
_VENDOR_CLASS = 0xFF
_BULK = 2
_ENGLISH = 0x0409
_TO_HOST = 0x80
_STANDARD_DEVICE, _STANDARD_INTERFACE, _STANDARD_ENDPOINT = 0, 1, 2
_GET_STATUS, _CLEAR_FEATURE, _SET_FEATURE, _GET_DESCRIPTOR, _GET_CONFIGURATION, _GET_INTERFACE = 0, 1, 3, 6, 8, 10
_ENDPOINT_HALT = 0
_SELF_POWERED = 1


class UsbDevice:
    """A device of VID:PID 1209:0001, which pid.codes keeps for tests, with one vendor interface.

    `on_host_activity`, if set, is called in the host's thread whenever there is something to `receive`.
    """

    def __init__(
        self, serial_number: str, *, manufacturer: str = "Thecabench", product: str = "SIMULATED infusion pump"
    ) -> None:
        self.serial_number = serial_number
        self.on_host_activity: Callable[[], None] | None = None
        self.dropped_bytes = 0
        self.configuration = 0
        self._strings = ("", manufacturer, product, serial_number)
        self._changed = threading.Condition()
        self._plugged = False
        self._from_host = bytearray()
        self._to_host: deque[bytes] = deque()
        self._halted: set[int] = set()

    @property
    def device_descriptor(self) -> bytes:
        """18 bytes: USB 2.0, class given by the interface, strings 1 to 3, one configuration."""
        fields = (18, _DEVICE, 0x0200, 0, 0, 0, PACKET_BYTES, VENDOR_ID, PRODUCT_ID, 0x0100, 1, 2, 3, 1)
        return struct.pack("<BBHBBBBHHHBBBB", *fields)

    @property
    def configuration_descriptors(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Configuration, interface, bulk OUT and bulk IN, in the order in which the device sends them."""
        interface = struct.pack("<9B", 9, _INTERFACE, INTERFACE, 0, 2, _VENDOR_CLASS, 0, 0, 0)
        out, in_ = (
            struct.pack("<BBBBHB", 7, _ENDPOINT, e, _BULK, PACKET_BYTES, 0) for e in (ENDPOINT_OUT, ENDPOINT_IN)
        )
        total = 9 + len(interface) + len(out) + len(in_)
        self_powered, milliamps_2 = 0xC0, 50
        configuration = struct.pack(
            "<BBHBBBBB", 9, _CONFIGURATION, total, 1, CONFIGURATION, 0, self_powered, milliamps_2
        )
        return configuration, interface, out, in_

    def receive(self, timeout_s: float = 0.0) -> bytes:
        """All that the host has written, waiting for the first of it in real time; empty on time-out."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._from_host), timeout_s)
            data = bytes(self._from_host)
            self._from_host.clear()
            self._changed.notify_all()
            return data

    def send(self, data: bytes) -> None:
        """Queue bytes for the host, in packets. What nobody fetches is dropped beyond 4096 bytes, and counted."""
        with self._changed:
            if not self._plugged:
                return
            room = BUFFER_BYTES - sum(map(len, self._to_host))
            self.dropped_bytes += max(0, len(data) - room)
            kept = data[: max(0, room)]
            self._to_host.extend(kept[i : i + PACKET_BYTES] for i in range(0, len(kept), PACKET_BYTES))
            self._changed.notify_all()

    def stall(self, endpoint: int) -> None:
        """Refuse transfers on an endpoint until the host clears its halt."""
        with self._changed:
            self._halted.add(endpoint)
            self._changed.notify_all()

    def connect(self) -> None:
        """The cable is in: buffers are empty, and the host's system has chosen the only configuration."""
        with self._changed:
            self._restart()
            self.configuration = CONFIGURATION
            self._plugged = True

    def disconnect(self) -> None:
        """The cable is out: transfers under way fail, and what the host has not fetched it will never get."""
        with self._changed:
            self._plugged = False
            self._changed.notify_all()

    def reset(self) -> None:
        """The host's port reset: halts and buffers are cleared, the configuration stays."""
        with self._changed:
            self._restart()

    def take_in(self, data: bytes, timeout_s: float | None) -> int:
        """A transfer on the OUT endpoint; None waits for ever. Gives the number of bytes taken before time was up.

        Raises:
            OSError: EPIPE halted, ENODEV unplugged, ETIMEDOUT nothing was taken.
        """
        taken = 0
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while taken < len(data):
            with self._changed:
                ready = self._wait(ENDPOINT_OUT, lambda: len(self._from_host) < BUFFER_BYTES, deadline_s)
                if not ready:
                    break
                part = data[taken : taken + BUFFER_BYTES - len(self._from_host)]
                self._from_host += part
                taken += len(part)
                self._changed.notify_all()
            if self.on_host_activity is not None:
                self.on_host_activity()
        if data and not taken:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return taken

    def give_out(self, size: int, timeout_s: float | None) -> bytes:
        """A transfer on the IN endpoint: packets until `size` bytes or a short one; None waits for ever.

        Raises:
            OSError: EPIPE halted, ENODEV unplugged, ETIMEDOUT no packet came, EOVERFLOW a packet does not fit.
        """
        data = b""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while len(data) < size:
                if not self._wait(ENDPOINT_IN, lambda: bool(self._to_host), deadline_s):
                    break
                packet = self._to_host.popleft()
                if len(data) + len(packet) > size:
                    raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))
                data += packet
                if len(packet) < PACKET_BYTES:
                    return data
        if size and not data:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return data

    def control(self, request_type: int, request: int, value: int, index: int, length: int) -> bytes:
        """A standard request on endpoint 0; gives the data stage of one to the host.

        Raises:
            OSError: EPIPE the request is not supported, ENODEV unplugged.
        """
        with self._changed:
            self._check_plugged()
            if request_type & _TO_HOST:
                return self._answer(request_type & ~_TO_HOST, request, value, index)[:length]
            if (request_type, value) != (_STANDARD_ENDPOINT, _ENDPOINT_HALT) or request not in (
                _CLEAR_FEATURE,
                _SET_FEATURE,
            ):
                raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
            if request == _CLEAR_FEATURE:
                self._halted.discard(index)
            else:
                self._halted.add(index)
            return b""

    def _answer(self, recipient: int, request: int, value: int, index: int) -> bytes:
        kind, number = divmod(value, 0x100)
        if (recipient, request) == (_STANDARD_DEVICE, _GET_DESCRIPTOR):
            if kind == _DEVICE:
                return self.device_descriptor
            if (kind, number) == (_CONFIGURATION, 0):
                return b"".join(self.configuration_descriptors)
            if kind == _STRING and number < len(self._strings):
                text = self._strings[number].encode("utf-16-le") if number else struct.pack("<H", _ENGLISH)
                return bytes((2 + len(text), _STRING)) + text
        answers: dict[tuple[int, int], Sequence[int]] = {
            (_STANDARD_DEVICE, _GET_STATUS): (_SELF_POWERED, 0),
            (_STANDARD_INTERFACE, _GET_STATUS): (0, 0),
            (_STANDARD_ENDPOINT, _GET_STATUS): (int(index in self._halted), 0),
            (_STANDARD_DEVICE, _GET_CONFIGURATION): (self.configuration,),
            (_STANDARD_INTERFACE, _GET_INTERFACE): (0,),
        }
        if (recipient, request) not in answers:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        return bytes(answers[recipient, request])

    def _wait(self, endpoint: int, ready: Callable[[], bool], deadline_s: float | None) -> bool:
        def is_over() -> bool:
            return not self._plugged or endpoint in self._halted or ready()

        timeout_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
        done = self._changed.wait_for(is_over, timeout_s)
        self._check_plugged()
        if endpoint in self._halted:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        return done

    def _check_plugged(self) -> None:
        if not self._plugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def _restart(self) -> None:
        self._from_host.clear()
        self._to_host.clear()
        self._halted.clear()
