"""A USB host controller in software, as a pyusb backend: `usb.core.find(backend=bus)` finds what is plugged in.

It answers as pyusb's libusb 1.0 backend on Linux does, down to error codes: one claim per interface, configuration
before claim, no interrupt or isochronous transfer on a bulk endpoint, and a device that was unplugged stays gone, for
plugged in again it has another address.
"""

from __future__ import annotations

import errno
import struct
import threading
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Concatenate, ParamSpec, TypeVar

import usb.backend
from usb.core import USBError, USBTimeoutError

from firmware_mock.usb_device import CONFIGURATION, ENDPOINT_IN, ENDPOINT_OUT, INTERFACE, UsbDevice

BUS = 1
FULL_SPEED = 2

_DEVICE_FIELDS = (
    "<BBHBBBBHHHBBBB",
    """bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0
    idVendor idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations""",
)
_CONFIGURATION_FIELDS = (
    "<BBHBBBBB",
    "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower",
)
_INTERFACE_FIELDS = (
    "<9B",
    """bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints
    bInterfaceClass bInterfaceSubClass bInterfaceProtocol iInterface""",
)
_ENDPOINT_FIELDS = ("<BBBBHB", "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval")

_TIMED_OUT = (-7, 110)
_ERRORS = {
    errno.EIO: (-1, "Input/Output Error"),
    errno.ENODEV: (-4, "No such device (it may have been disconnected)"),
    errno.ENOENT: (-5, "Entity not found"),
    errno.EBUSY: (-6, "Resource busy"),
    errno.EACCES: (-3, "Access denied (insufficient permissions)"),
    errno.EOVERFLOW: (-8, "Overflow"),
    errno.EPIPE: (-9, "Pipe error"),
}

BackendT = TypeVar("BackendT")
ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


@dataclass(eq=False, slots=True)
class _Plugging:
    """A device at an address, from plugging in to unplugging: what pyusb holds as the device."""

    device: UsbDevice
    address: int
    denied: bool = False
    kernel_driver: bool = False
    claims: dict[int, _Handle] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _Handle:
    """One opening of a device."""

    plugging: _Plugging
    is_open: bool = True


def _as_pyusb_does(
    method: Callable[Concatenate[BackendT, ParamsT], ResultT],
) -> Callable[Concatenate[BackendT, ParamsT], ResultT]:
    """Errors of the kernel's kind become pyusb's, with libusb's codes and texts."""

    def call(self: BackendT, /, *args: ParamsT.args, **options: ParamsT.kwargs) -> ResultT:
        try:
            return method(self, *args, **options)
        except USBError:
            raise
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                raise USBTimeoutError("Operation timed out", *_TIMED_OUT) from None
            code, text = _ERRORS[error.errno or errno.EIO]
            raise USBError(text, code, error.errno) from None

    return call


class UsbBackend(usb.backend.IBackend):  # type: ignore[misc]
    """The bus; devices come and go with `plug` and `unplug`. Transfers may wait in one thread while others go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pluggings: list[_Plugging] = []
        self._next_address = 2

    def plug(self, device: UsbDevice, *, denied: bool = False, kernel_driver: bool = False) -> int:
        """Give a device the next address, which is returned. `denied` keeps this user from opening it;
        `kernel_driver` has a driver of the kernel hold its interface.
        """
        with self._lock:
            device.connect()
            self._pluggings.append(_Plugging(device, self._next_address, denied, kernel_driver))
            self._next_address += 1
            return self._pluggings[-1].address

    def unplug(self, device: UsbDevice) -> None:
        """Pull a device's cable."""
        with self._lock:
            self._pluggings = [p for p in self._pluggings if p.device is not device]
        device.disconnect()

    def enumerate_devices(self) -> Iterator[_Plugging]:
        with self._lock:
            return iter(tuple(self._pluggings))

    def get_parent(self, dev: _Plugging) -> None:
        return None

    def get_device_descriptor(self, dev: _Plugging) -> SimpleNamespace:
        where = {"bus": BUS, "address": dev.address, "port_number": 1, "port_numbers": (1,), "speed": FULL_SPEED}
        return SimpleNamespace(**vars(_parsed(dev.device.device_descriptor, _DEVICE_FIELDS)), **where)

    def get_configuration_descriptor(self, dev: _Plugging, config: int) -> SimpleNamespace:
        if config > 0:
            raise USBError(_ERRORS[errno.ENOENT][1], _ERRORS[errno.ENOENT][0], errno.ENOENT)
        return _parsed(dev.device.configuration_descriptors[0], _CONFIGURATION_FIELDS)

    def get_interface_descriptor(self, dev: _Plugging, intf: int, alt: int, config: int) -> SimpleNamespace:
        if intf >= self.get_configuration_descriptor(dev, config).bNumInterfaces:
            raise IndexError(f"Invalid interface index {intf}")
        if alt > 0:
            raise IndexError(f"Invalid alternate setting index {alt}")
        return _parsed(dev.device.configuration_descriptors[1], _INTERFACE_FIELDS)

    def get_endpoint_descriptor(self, dev: _Plugging, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        if ep >= self.get_interface_descriptor(dev, intf, alt, config).bNumEndpoints:
            raise IndexError(f"Invalid endpoint index {ep}")
        endpoint = _parsed(dev.device.configuration_descriptors[2 + ep], _ENDPOINT_FIELDS)
        endpoint.bRefresh = endpoint.bSynchAddress = 0
        return endpoint

    @_as_pyusb_does
    def open_device(self, dev: _Plugging) -> _Handle:
        self._check_present(dev)
        if dev.denied:
            raise OSError(errno.EACCES, "")
        return _Handle(dev)

    def close_device(self, dev_handle: _Handle) -> None:
        dev_handle.is_open = False
        claims = dev_handle.plugging.claims
        for interface in [i for i, holder in claims.items() if holder is dev_handle]:
            del claims[interface]

    @_as_pyusb_does
    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        self._check(dev_handle)
        if config_value not in (0, CONFIGURATION):
            raise OSError(errno.ENOENT, "")
        if dev_handle.plugging.claims:
            raise OSError(errno.EBUSY, "")
        dev_handle.plugging.device.configuration = config_value

    @_as_pyusb_does
    def get_configuration(self, dev_handle: _Handle) -> int:
        self._check(dev_handle)
        return dev_handle.plugging.device.configuration

    @_as_pyusb_does
    def set_interface_altsetting(self, dev_handle: _Handle, intf: int, altsetting: int) -> None:
        self._check_claimed(dev_handle, intf)
        if altsetting:
            raise OSError(errno.ENOENT, "")

    @_as_pyusb_does
    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        self._check(dev_handle)
        plugging = dev_handle.plugging
        if intf != INTERFACE or plugging.device.configuration == 0:
            raise OSError(errno.ENOENT, "")
        with self._lock:
            if plugging.kernel_driver or plugging.claims.get(intf, dev_handle) is not dev_handle:
                raise OSError(errno.EBUSY, "")
            plugging.claims[intf] = dev_handle

    @_as_pyusb_does
    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        self._check_claimed(dev_handle, intf)
        del dev_handle.plugging.claims[intf]

    @_as_pyusb_does
    def bulk_write(self, dev_handle: _Handle, ep: int, intf: int, data: array[int], timeout: int) -> int:
        self._check_claimed(dev_handle, intf)
        if ep != ENDPOINT_OUT:
            raise OSError(errno.EIO, "")
        return dev_handle.plugging.device.take_in(data.tobytes(), _seconds(timeout))

    @_as_pyusb_does
    def bulk_read(self, dev_handle: _Handle, ep: int, intf: int, buff: array[int], timeout: int) -> int:
        self._check_claimed(dev_handle, intf)
        if ep != ENDPOINT_IN:
            raise OSError(errno.EIO, "")
        data = dev_handle.plugging.device.give_out(len(buff) * buff.itemsize, _seconds(timeout))
        memoryview(buff).cast("B")[: len(data)] = data
        return len(data)

    @_as_pyusb_does
    def intr_write(self, dev_handle: _Handle, ep: int, intf: int, data: array[int], timeout: int) -> int:
        """Interrupt and isochronous transfers on bulk endpoints: Linux rejects them when they are submitted."""
        self._check_claimed(dev_handle, intf)
        raise OSError(errno.EIO, "")

    intr_read = iso_write = iso_read = intr_write

    @_as_pyusb_does
    def ctrl_transfer(
        self,
        dev_handle: _Handle,
        bmRequestType: int,  # noqa: N803
        bRequest: int,  # noqa: N803
        wValue: int,  # noqa: N803
        wIndex: int,  # noqa: N803
        data: array[int],
        timeout: int,
    ) -> int:
        self._check(dev_handle)
        size = len(data) * data.itemsize
        answer = dev_handle.plugging.device.control(bmRequestType, bRequest, wValue, wIndex, size)
        memoryview(data).cast("B")[: len(answer)] = answer
        return len(answer)

    @_as_pyusb_does
    def clear_halt(self, dev_handle: _Handle, ep: int) -> None:
        self._check(dev_handle)
        if ep not in (ENDPOINT_OUT, ENDPOINT_IN):
            raise OSError(errno.ENOENT, "")
        dev_handle.plugging.device.control(2, 1, 0, ep, 0)

    @_as_pyusb_does
    def reset_device(self, dev_handle: _Handle) -> None:
        self._check(dev_handle)
        dev_handle.plugging.device.reset()

    @_as_pyusb_does
    def is_kernel_driver_active(self, dev_handle: _Handle, intf: int) -> bool:
        self._check(dev_handle)
        return dev_handle.plugging.kernel_driver

    @_as_pyusb_does
    def detach_kernel_driver(self, dev_handle: _Handle, intf: int) -> None:
        self._check(dev_handle)
        if not dev_handle.plugging.kernel_driver:
            raise OSError(errno.ENOENT, "")
        dev_handle.plugging.kernel_driver = False

    @_as_pyusb_does
    def attach_kernel_driver(self, dev_handle: _Handle, intf: int) -> None:
        self._check(dev_handle)
        if dev_handle.plugging.claims:
            raise OSError(errno.EBUSY, "")
        dev_handle.plugging.kernel_driver = True

    def _check_present(self, plugging: _Plugging) -> None:
        with self._lock:
            if plugging not in self._pluggings:
                raise OSError(errno.ENODEV, "")

    def _check(self, handle: _Handle) -> None:
        if not handle.is_open:
            raise OSError(errno.ENODEV, "")
        self._check_present(handle.plugging)

    def _check_claimed(self, handle: _Handle, interface: int) -> None:
        self._check(handle)
        if handle.plugging.claims.get(interface) is not handle:
            raise OSError(errno.ENOENT, "")


def _parsed(raw: bytes, layout: tuple[str, str]) -> SimpleNamespace:
    format_, names = layout
    values = struct.unpack(format_, raw)
    return SimpleNamespace(**dict(zip(names.split(), values, strict=True)), extra_descriptors=b"")


def _seconds(timeout_ms: int) -> float | None:
    return timeout_ms / 1000 if timeout_ms else None
