"""Serial ports through pyserial: device paths and `rfc2217://host:port`, read by a thread that only moves bytes."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import serial
from serial.tools import list_ports

from driver.errors import PortBusy, PortDenied, PortLost, PortNotFound, TransportError
from driver.transport.descriptor import DescriptorReader
from driver.transport.inbox import Inbox

POLL_S = 0.1
WRITE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """The line's parameters; parity is "N", "E" or "O"."""

    baud: int = 115_200
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1


class SerialTransport:
    """A serial port, opened for exclusive use where the system can promise it.

    A pseudo-terminal has no line: 7 bits and parity are not asked of it, because Linux refuses them on the second open.
    ser2net's `rfc2217://` needs `?ign_set_control` in the URL.

    Raises:
        PortNotFound: there is no such port; the message lists those that exist.
        PortBusy: another program holds it.
        PortDenied: this user may not open it.
    """

    def __init__(self, url: str, settings: SerialSettings | None = None) -> None:
        self.name = url
        line = settings if settings is not None else SerialSettings()
        if _is_pseudo_terminal(url):
            line = SerialSettings(baud=line.baud)
        try:
            self._serial = serial.serial_for_url(
                url,
                baudrate=line.baud,
                bytesize=line.data_bits,
                parity=line.parity,
                stopbits=line.stop_bits,
                timeout=POLL_S,
                write_timeout=None if "://" in url else WRITE_TIMEOUT_S,
                exclusive=None if "://" in url else True,
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise _opening_error(url, error) from error
        descriptor = _descriptor_of(self._serial)
        self._reader = _PyserialReader(self._serial, url) if descriptor is None else DescriptorReader(descriptor, url)
        self._closed = False

    @property
    def in_waiting(self) -> int:
        return self._reader.in_waiting

    @property
    def dropped_bytes(self) -> int:
        """Bytes lost because nobody read them in time."""
        return self._reader.dropped_bytes

    def write(self, data: bytes) -> None:
        """Send all bytes.

        Raises:
            PortLost: the port is gone, or took nothing for 5 s.
        """
        self._reader.raise_if_lost()
        try:
            self._serial.write(data)
        except (serial.SerialException, OSError) as error:
            self._reader.fail(str(error))
            self._reader.raise_if_lost()

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them; empty on time-out.

        Raises:
            PortLost: the port is gone and nothing that arrived before is left.
        """
        return self._reader.read(timeout_s)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._reader.close()
        with contextlib.suppress(serial.SerialException, OSError):
            self._serial.close()


class _PyserialReader:
    """As `DescriptorReader`, for what is no file of this system; its thread moves all bytes."""

    def __init__(self, port: serial.Serial, name: str) -> None:
        self._serial = port
        self._inbox = Inbox(name)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._move_bytes, name=f"reader of {name}", daemon=True)
        self._thread.start()
        self.read = self._inbox.take
        self.fail = self._inbox.fail
        self.raise_if_lost = self._inbox.raise_if_lost

    @property
    def in_waiting(self) -> int:
        return self._inbox.in_waiting

    @property
    def dropped_bytes(self) -> int:
        return self._inbox.dropped_bytes

    def close(self) -> None:
        self._stopping.set()
        self._inbox.close()
        cancel = getattr(self._serial, "cancel_read", None)
        if cancel is not None:
            with contextlib.suppress(serial.SerialException, OSError):
                cancel()
        self._thread.join()

    def _move_bytes(self) -> None:
        try:
            while not self._stopping.is_set():
                data: bytes = self._serial.read(1)
                if data:
                    self._inbox.put(data + self._serial.read(self._serial.in_waiting))
        except (serial.SerialException, OSError, TypeError) as error:
            self._inbox.fail(str(error))


def existing_ports() -> list[str]:
    """The serial ports of this machine, each with what it calls itself."""
    return [f"{port.device} ({port.description})" for port in sorted(list_ports.comports(), key=lambda p: p.device)]


def _descriptor_of(port: serial.Serial) -> int | None:
    """None for what is no file of this system: RFC 2217, and every port on Windows."""
    try:
        return port.fileno()
    except (AttributeError, OSError):
        return None


def _is_pseudo_terminal(url: str) -> bool:
    return "://" not in url and str(Path(os.path.realpath(url)).parent) == "/dev/pts"


def _opening_error(url: str, error: Exception) -> TransportError:
    code = getattr(error, "errno", None)
    text = str(error)
    if "://" in url:
        return PortNotFound(url, f"it cannot be opened ({text}); is the server running and the address right?")
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "FileNotFoundError" in text:
        ports = existing_ports()
        known = "the ports of this machine are " + ", ".join(ports) if ports else "this machine has no serial port now"
        return PortNotFound(url, f"there is no such port; {known}")
    if code in (errno.EWOULDBLOCK, errno.EBUSY) or "exclusively lock" in text:
        return PortBusy(url, "another program holds the port; close it there first")
    if code in (errno.EACCES, errno.EPERM):
        return PortDenied(url, "this user may not open the port; on Linux membership of the group dialout helps")
    if "PermissionError" in text:
        return PortBusy(url, "the system denies access, on Windows because another program holds the port")
    return PortLost(url, f"it cannot be opened ({text})")
