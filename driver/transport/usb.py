"""`usb:VID:PID[:serial]`: the vendor interface of a USB device through pyusb, read by a thread that only moves bytes.

What crosses is a byte stream with delimiters of its own, so the borders of transfers mean nothing. Nothing is sent to
mark an end (no zero-length packets), and each read asks for one packet: none of them waits for a next that is not due.
"""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from dataclasses import dataclass
from typing import Any

from driver.errors import BadPortUrl, PortBusy, PortDenied, PortLost, PortNotFound, TransportError
from driver.transport.inbox import Inbox

POLL_S = 0.1
WRITE_TIMEOUT_S = 5.0
CHUNK_BYTES = 16_384
VENDOR_CLASS = 0xFF

_URL = re.compile(r"usb:([0-9a-f]{1,4}):([0-9a-f]{1,4})(?::(.+))?", re.IGNORECASE)


class UsbTransport:
    """A USB device's vendor interface, claimed for this program alone. `backend` is a pyusb backend; libusb without.

    Raises:
        BadPortUrl: the text names no USB device, or several.
        PortNotFound: there is no such device; the message lists those that could be meant.
        PortBusy: another program holds the interface.
        PortDenied: this user may not open the device.
        TransportError: pyusb or libusb is not installed.
    """

    def __init__(self, url: str, *, backend: Any = None) -> None:
        self.name = url
        usb_core = _pyusb(url).core
        self._timed_out: type[OSError] = usb_core.USBTimeoutError
        self._device = _find(url, backend)
        try:
            self._pipes = _claim(url, self._device)
        except BaseException as error:
            _dispose(self._device)
            if isinstance(error, OSError | NotImplementedError):
                raise _opening_error(url, self._device, error) from error
            raise
        self._inbox = Inbox(url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._move_bytes, name=f"reader of {url}", daemon=True)
        self._thread.start()

    @property
    def in_waiting(self) -> int:
        return self._inbox.in_waiting

    @property
    def dropped_bytes(self) -> int:
        """Bytes lost because nobody read them in time."""
        return self._inbox.dropped_bytes

    def write(self, data: bytes) -> None:
        """Send all bytes. What a device refuses with a STALL is lost on the line, for nobody knows how much it took.

        Raises:
            PortLost: the device is gone, took nothing for 5 s, or keeps refusing.
        """
        self._inbox.raise_if_lost()
        sent = 0
        try:
            while sent < len(data):
                chunk = data[sent : sent + CHUNK_BYTES]
                sent += self._device.write(self._pipes.out, chunk, timeout=round(WRITE_TIMEOUT_S * 1000))
            self._pipes.out_stalled = False
        except self._timed_out:
            self._inbox.fail(f"the device took nothing for {WRITE_TIMEOUT_S:g} s")
            self._inbox.raise_if_lost()
        except OSError as error:
            if not self._pipes.out_stalled and self._restarted(self._pipes.out, error):
                self._pipes.out_stalled = True
                return
            self._inbox.fail(_cause(error))
            self._inbox.raise_if_lost()

    def read(self, timeout_s: float) -> bytes:
        """All bytes that arrived, waiting for the first of them; empty on time-out.

        Raises:
            PortLost: the device is gone and nothing that arrived before is left.
        """
        return self._inbox.take(timeout_s)

    def close(self) -> None:
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._inbox.close()
        self._thread.join()
        if self._pipes.kernel_driver_detached:
            with contextlib.suppress(OSError, NotImplementedError):
                _pyusb(self.name).util.release_interface(self._device, self._pipes.interface)
                self._device.attach_kernel_driver(self._pipes.interface)
        _dispose(self._device)

    def _move_bytes(self) -> None:
        stalled = False
        while not self._stopping.is_set():
            try:
                data = self._device.read(self._pipes.in_, self._pipes.packet_bytes, timeout=round(POLL_S * 1000))
            except self._timed_out:
                stalled = False
            except OSError as error:
                if stalled or not self._restarted(self._pipes.in_, error):
                    self._inbox.fail(_cause(error))
                    return
                stalled = True
            else:
                stalled = False
                self._inbox.put(bytes(data))

    def _restarted(self, endpoint: int, error: OSError) -> bool:
        """Whether the error was a STALL and the endpoint goes on."""
        if error.errno != errno.EPIPE:
            return False
        try:
            self._device.clear_halt(endpoint)
        except OSError:
            return False
        return True


def existing_usb_ports(backend: Any = None) -> list[str]:
    """The URLs of this machine's USB devices with a vendor interface, serial numbers where they may be read.

    Raises:
        TransportError: pyusb or libusb is not installed.
    """
    return sorted(_url(device) for device in _devices("usb:", backend) if _vendor_interfaces(device))


@dataclass(slots=True)
class _Pipes:
    """Which interface was claimed, and its endpoints' addresses."""

    interface: int
    out: int
    in_: int
    packet_bytes: int
    kernel_driver_detached: bool = False
    out_stalled: bool = False


def _pyusb(url: str) -> Any:
    try:
        import usb.core
        import usb.util
    except ImportError as error:
        raise TransportError(
            url, "USB ports need the package pyusb, which the extra “usb” brings: pip install thecabench[usb]"
        ) from error
    return usb


def _devices(url: str, backend: Any, **fields: int) -> list[Any]:
    usb_core = _pyusb(url).core
    try:
        return list(usb_core.find(find_all=True, backend=backend, **fields))
    except usb_core.NoBackendError as error:
        raise TransportError(
            url,
            "USB ports need the library libusb 1.0, and this machine has none that can be loaded; install it "
            "(Debian: libusb-1.0-0, macOS: brew install libusb, Windows: libusb-1.0.dll on the PATH)",
        ) from error


def _find(url: str, backend: Any) -> Any:
    match = _URL.fullmatch(url)
    if match is None:
        raise BadPortUrl(
            url,
            "a USB port is written usb:VID:PID or usb:VID:PID:serial, with vendor and product as up to four "
            "hexadecimal digits, such as usb:1209:0001:SIM-P-0001",
        )
    ids, serial_number = (int(match[1], 16), int(match[2], 16)), match[3]
    candidates = _devices(url, backend, idVendor=ids[0], idProduct=ids[1])
    unreadable: OSError | NotImplementedError | None = None
    found = []
    for device in candidates if serial_number is not None else ():
        try:
            if _serial_number(device) == serial_number:
                found.append(device)
        except (OSError, NotImplementedError) as error:
            unreadable = unreadable if _has_gone(error) else error
    if serial_number is None:
        found = candidates
    if len(found) > 1:
        others = ", ".join(sorted(_url(device) for device in found))
        raise BadPortUrl(url, f"{len(found)} devices answer to that; name one of them: {others}")
    if found:
        return found[0]
    if unreadable is not None:
        raise _opening_error(url, candidates[0], unreadable) from unreadable
    ports = existing_usb_ports(backend)
    known = "the USB devices with a vendor interface are " + ", ".join(ports)
    raise PortNotFound(
        url, f"there is no such device; {known if ports else 'no USB device here has a vendor interface'}"
    )


def _serial_number(device: Any) -> str | None:
    """The device's serial number, None where it has none; OSError where it cannot be read."""
    util = _pyusb("usb:").util
    try:
        languages = util.get_langids(device) if device.iSerialNumber else ()
        return str(util.get_string(device, device.iSerialNumber, languages[0])) if languages else None
    finally:
        _dispose(device)


def _url(device: Any) -> str:
    ids = f"usb:{device.idVendor:04x}:{device.idProduct:04x}"
    try:
        serial_number = _serial_number(device)
    except (OSError, NotImplementedError) as error:
        return f"{ids} (serial number not readable: {_cause(error)})"
    return ids if serial_number is None else f"{ids}:{serial_number}"


def _vendor_interfaces(device: Any) -> list[Any]:
    try:
        interfaces = [interface for configuration in device for interface in configuration]
    except OSError:
        return []
    return [i for i in interfaces if i.bInterfaceClass == VENDOR_CLASS and i.bAlternateSetting == 0]


def _claim(url: str, device: Any) -> _Pipes:
    util = _pyusb(url).util
    try:
        configuration = device.get_active_configuration()
    except OSError as error:
        if error.errno is not None:
            raise
        device.set_configuration()
        configuration = device.get_active_configuration()
    for interface in configuration:
        if interface.bInterfaceClass != VENDOR_CLASS or interface.bAlternateSetting != 0:
            continue
        bulk = [e for e in interface if util.endpoint_type(e.bmAttributes) == util.ENDPOINT_TYPE_BULK]
        ins = [e for e in bulk if util.endpoint_direction(e.bEndpointAddress) == util.ENDPOINT_IN]
        outs = [e for e in bulk if e not in ins]
        if ins and outs:
            pipes = _Pipes(
                interface.bInterfaceNumber, outs[0].bEndpointAddress, ins[0].bEndpointAddress, ins[0].wMaxPacketSize
            )
            with contextlib.suppress(NotImplementedError):
                if device.is_kernel_driver_active(pipes.interface):
                    device.detach_kernel_driver(pipes.interface)
                    pipes.kernel_driver_detached = True
            util.claim_interface(device, pipes.interface)
            return pipes
    raise PortNotFound(
        url, "the device has no vendor interface with a bulk endpoint in each direction, so no pump is behind it"
    )


def _dispose(device: Any) -> None:
    with contextlib.suppress(OSError):
        _pyusb("usb:").util.dispose_resources(device)


def _has_gone(error: OSError | NotImplementedError) -> bool:
    """Whether a device was unplugged after the system listed it."""
    return isinstance(error, OSError) and error.errno == errno.ENODEV


def _cause(error: OSError | NotImplementedError) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")


def _opening_error(url: str, device: Any, error: OSError | NotImplementedError) -> TransportError:
    if isinstance(error, NotImplementedError):
        return PortDenied(url, "the system has no driver that lets programs use the device; on Windows give it WinUSB")
    if _has_gone(error):
        return PortNotFound(url, "the device was unplugged while it was being opened; plug it in, then open it again")
    if error.errno in (errno.EACCES, errno.EPERM):
        rule = f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{device.idVendor:04x}", TAG+="uaccess"'
        return PortDenied(url, f"this user may not open the device; on Linux a udev rule gives access: {rule}")
    if error.errno == errno.EBUSY:
        return PortBusy(url, "another program holds the device; close it there first")
    return PortLost(url, f"it cannot be opened ({_cause(error)}); check the cable, then open it again")
