"""Cables: from a pyserial URL, or anything that fits `Transport`, to bytes."""

from __future__ import annotations

import re

from driver.errors import BadPortUrl
from driver.transport.base import Guarded, Transport
from driver.transport.serial_port import SerialSettings, SerialTransport, existing_ports
from driver.transport.tcp import TcpTransport
from driver.transport.usb import UsbTransport, existing_usb_ports

__all__ = [
    "Guarded",
    "SerialSettings",
    "SerialTransport",
    "TcpTransport",
    "Transport",
    "UsbTransport",
    "existing_ports",
    "existing_usb_ports",
    "open_guarded",
    "open_transport",
]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?!$|\\)", re.IGNORECASE)


def open_transport(port: str | Transport, serial_settings: SerialSettings | None = None) -> Transport:
    """Open a device path (`/dev/ttyUSB0`, `COM3`), `socket://host:port`, `rfc2217://host:port` or
    `usb:VID:PID[:serial]` (hexadecimal; for this one pyusb and libusb must be installed, see the extra `usb`).

    What already fits `Transport` is handed back as it is. `serial_settings` are for serial lines, RFC 2217 too.

    Raises:
        BadPortUrl: the text is no port that can be opened.
        TransportError: the port is not there, busy, or denied, or what it needs is not installed.
    """
    if not isinstance(port, str):
        return port
    match = _SCHEME.match(port)
    scheme = match.group(1).lower() if match else ""
    if scheme == "socket":
        return TcpTransport(port)
    if scheme == "usb":
        return UsbTransport(port)
    if scheme not in ("", "rfc2217") or not port.strip():
        hint = "; sim: ports exist in rig files only, which open_rig resolves" if scheme == "sim" else ""
        raise BadPortUrl(
            port,
            "this is no port that can be opened; write a device path such as /dev/ttyUSB0 or COM3, "
            f"socket://host:port, rfc2217://host:port or usb:VID:PID:serial{hint}",
        )
    return SerialTransport(port, serial_settings)


def open_guarded(port: str | Transport, serial_settings: SerialSettings | None = None) -> Guarded:
    """`open_transport` with every loss named. A transport that was given stays the caller's: closing leaves it open.

    Raises:
        TransportError: see `open_transport`.
    """
    return Guarded(open_transport(port, serial_settings), owned=isinstance(port, str))
