"""The bus in software, as pyusb sees it: descriptors, claims, transfers, errors, and the firmware behind it."""

from __future__ import annotations

import array
import errno
import threading

import pytest

pyusb = pytest.importorskip("usb.core", reason="pyusb is not installed")
import usb.control  # noqa: E402
import usb.util  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from driver import Continuous, Journal, Pump  # noqa: E402
from driver.transport import UsbTransport  # noqa: E402
from firmware_mock import World, serve  # noqa: E402
from firmware_mock.station import Station  # noqa: E402
from firmware_mock.usb import UsbBackend  # noqa: E402
from firmware_mock.usb_device import BUFFER_BYTES, ENDPOINT_IN, ENDPOINT_OUT, INTERFACE, UsbDevice  # noqa: E402

pytestmark = pytest.mark.real_port
SOON_MS = 20
PATIENCE_MS = 5000
DEVICE_DESCRIPTOR = "12 01 0002 00 00 00 40 0912 0100 0001 01 02 03 01"
CONFIGURATION_DESCRIPTOR = (
    "09 02 2000 01 01 00 c0 32  09 04 00 00 02 ff 00 00 00  07 05 01 02 4000 00  07 05 81 02 4000 00"
)


@pytest.fixture
def device():
    return UsbDevice("PUMP-1")


@pytest.fixture
def bus(device):
    bus = UsbBackend()
    bus.plug(device)
    return bus


@pytest.fixture
def host(bus):
    """The device as a program that uses pyusb has it."""
    host = pyusb.find(backend=bus)
    yield host
    usb.util.dispose_resources(host)


@pytest.fixture
def handle(bus):
    """An opening of the device, to call the backend as pyusb does."""
    (plugging,) = bus.enumerate_devices()
    return bus.open_device(plugging)


def errno_of(action, *args):
    with pytest.raises(pyusb.USBError) as caught:
        action(*args)
    return caught.value.errno


def test_the_descriptors_are_what_the_usb_specification_lays_out(host):
    asked = [usb.control.get_descriptor(host, 255, kind, 0).tobytes() for kind in (1, 2)]
    assert asked == [bytes.fromhex(DEVICE_DESCRIPTOR), bytes.fromhex(CONFIGURATION_DESCRIPTOR)]


def test_pyusb_reads_the_same_from_the_parsed_descriptors(host):
    (configuration,) = host
    (interface,) = configuration
    assert (host.idVendor, host.idProduct, host.bcdUSB, host.bus, host.speed) == (0x1209, 0x0001, 0x0200, 1, 2)
    assert (configuration.wTotalLength, configuration.bConfigurationValue, interface.bInterfaceClass) == (32, 1, 0xFF)
    assert [(e.bEndpointAddress, e.bmAttributes, e.wMaxPacketSize) for e in interface] == [(1, 2, 64), (0x81, 2, 64)]
    assert (host.manufacturer, host.product, host.serial_number) == ("Thecabench", "SIMULATED infusion pump", "PUMP-1")
    assert host.parent is None
    assert "Vendor Specific" in str(host)


def test_past_the_end_of_the_descriptors_there_is_an_index_error(bus):
    (plugging,) = bus.enumerate_devices()
    for position in ((0, 1, 0), (0, 0, 1)):
        _, interface, alternate = position
        with pytest.raises(IndexError):
            bus.get_interface_descriptor(plugging, interface, alternate, 0)
    with pytest.raises(IndexError):
        bus.get_endpoint_descriptor(plugging, 2, 0, 0, 0)
    assert errno_of(bus.get_configuration_descriptor, plugging, 1) == errno.ENOENT


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.binary(min_size=1, max_size=500), packets=st.integers(1, 4))
def test_a_read_ends_at_a_short_packet_a_full_buffer_or_the_time_out(host, device, sent, packets):
    device.send(sent)
    got = b""
    while len(got) < len(sent):
        data = host.read(ENDPOINT_IN, packets * 64, SOON_MS).tobytes()
        left = len(sent) - len(got)
        assert len(data) == min(left, packets * 64)
        got += data
    assert got == sent


def test_time_is_up_with_pyusbs_own_error_and_libusbs_code(host, device):
    with pytest.raises(pyusb.USBTimeoutError) as caught:
        host.read(ENDPOINT_IN, 64, SOON_MS)
    assert (caught.value.errno, caught.value.backend_error_code) == (110, -7)
    assert host.write(ENDPOINT_OUT, bytes(BUFFER_BYTES + 10), SOON_MS) == BUFFER_BYTES
    with pytest.raises(pyusb.USBTimeoutError):
        host.write(ENDPOINT_OUT, b"x", SOON_MS)
    assert device.receive() == bytes(BUFFER_BYTES)


def test_a_packet_larger_than_the_buffer_is_an_overflow(host, device):
    device.send(bytes(64))
    assert errno_of(host.read, ENDPOINT_IN, 10, SOON_MS) == errno.EOVERFLOW


def test_what_nobody_fetches_is_dropped_and_counted(device, bus):
    device.send(bytes(BUFFER_BYTES - 1))
    device.send(b"abc")
    assert device.dropped_bytes == 2


def test_a_read_waits_while_a_write_goes_on(host, device):
    got = []
    reader = threading.Thread(target=lambda: got.append(host.read(ENDPOINT_IN, 64, PATIENCE_MS).tobytes()))
    reader.start()
    assert host.write(ENDPOINT_OUT, b"question") == 8
    assert device.receive(5.0) == b"question"
    device.send(b"answer")
    reader.join(5.0)
    assert got == [b"answer"]


@pytest.mark.parametrize("name", ["intr_write", "intr_read", "iso_write", "iso_read"])
def test_other_kinds_of_transfer_on_a_bulk_endpoint_are_refused(bus, handle, name):
    data = array.array("B", bytes(8))
    assert errno_of(getattr(bus, name), handle, ENDPOINT_OUT, INTERFACE, data, SOON_MS) == errno.ENOENT
    bus.claim_interface(handle, INTERFACE)
    assert errno_of(getattr(bus, name), handle, ENDPOINT_OUT, INTERFACE, data, SOON_MS) == errno.EIO


def test_transfers_need_a_claim_and_the_right_direction(bus, handle):
    data = array.array("B", bytes(8))
    for transfer in (bus.bulk_write, bus.bulk_read):
        assert errno_of(transfer, handle, ENDPOINT_OUT, INTERFACE, data, SOON_MS) == errno.ENOENT
    bus.claim_interface(handle, INTERFACE)
    assert errno_of(bus.bulk_write, handle, ENDPOINT_IN, INTERFACE, data, SOON_MS) == errno.EIO
    assert errno_of(bus.bulk_read, handle, ENDPOINT_OUT, INTERFACE, data, SOON_MS) == errno.EIO


def test_an_interface_has_one_holder_until_it_is_released_or_its_holder_closes(bus, handle):
    (plugging,) = bus.enumerate_devices()
    other = bus.open_device(plugging)
    for let_go in (lambda: bus.release_interface(handle, INTERFACE), lambda: bus.close_device(handle)):
        bus.claim_interface(handle, INTERFACE)
        bus.claim_interface(handle, INTERFACE)
        assert errno_of(bus.claim_interface, other, INTERFACE) == errno.EBUSY
        assert errno_of(bus.set_configuration, other, 1) == errno.EBUSY
        assert errno_of(bus.release_interface, other, INTERFACE) == errno.ENOENT
        let_go()
        bus.claim_interface(other, INTERFACE)
        bus.release_interface(other, INTERFACE)
    assert errno_of(bus.claim_interface, handle, INTERFACE) == errno.ENODEV


def test_there_is_nothing_to_claim_before_a_configuration_is_chosen(bus, handle):
    bus.set_configuration(handle, 0)
    assert bus.get_configuration(handle) == 0
    assert errno_of(bus.claim_interface, handle, INTERFACE) == errno.ENOENT
    assert errno_of(bus.set_configuration, handle, 2) == errno.ENOENT
    bus.set_configuration(handle, 1)
    bus.claim_interface(handle, INTERFACE)
    bus.set_interface_altsetting(handle, INTERFACE, 0)
    assert errno_of(bus.set_interface_altsetting, handle, INTERFACE, 1) == errno.ENOENT


def test_a_kernel_driver_keeps_programs_out_until_it_is_detached(device):
    bus = UsbBackend()
    bus.plug(device, kernel_driver=True)
    (plugging,) = bus.enumerate_devices()
    handle = bus.open_device(plugging)
    assert bus.is_kernel_driver_active(handle, INTERFACE)
    assert errno_of(bus.claim_interface, handle, INTERFACE) == errno.EBUSY
    bus.detach_kernel_driver(handle, INTERFACE)
    assert errno_of(bus.detach_kernel_driver, handle, INTERFACE) == errno.ENOENT
    bus.claim_interface(handle, INTERFACE)
    assert errno_of(bus.attach_kernel_driver, handle, INTERFACE) == errno.EBUSY


def test_a_halted_endpoint_refuses_until_the_halt_is_cleared(host, device):
    (configuration,) = host
    (interface,) = configuration
    out, in_ = interface
    device.stall(ENDPOINT_IN)
    usb.control.set_feature(host, 0, out)
    for endpoint, transfer in ((in_, lambda: in_.read(64, SOON_MS)), (out, lambda: out.write(b"x", SOON_MS))):
        assert errno_of(transfer) == errno.EPIPE
        assert usb.control.get_status(host, endpoint) == 1
        endpoint.clear_halt()
        assert usb.control.get_status(host, endpoint) == 0
    assert out.write(b"x") == 1
    assert errno_of(host.clear_halt, 0x02) == errno.ENOENT


def test_the_standard_requests_are_answered_and_others_stall(host):
    assert usb.control.get_status(host) == 1
    assert usb.control.get_configuration(host) == 1
    assert usb.control.get_interface(host, INTERFACE) == 0
    assert usb.util.get_string(host, 2) == "SIMULATED infusion pump"
    assert errno_of(usb.util.get_string, host, 9) == errno.EPIPE
    assert errno_of(host.ctrl_transfer, 0xC0, 1, 0, 0, 8) == errno.EPIPE
    assert errno_of(host.ctrl_transfer, 0x40, 1, 0, 0, b"x") == errno.EPIPE


def test_a_reset_empties_buffers_and_lifts_halts(host, device):
    host.write(ENDPOINT_OUT, b"old")
    device.send(b"old")
    device.stall(ENDPOINT_IN)
    host.reset()
    assert device.receive() == b""
    with pytest.raises(pyusb.USBTimeoutError):
        host.read(ENDPOINT_IN, 64, SOON_MS)


def test_an_unplugged_device_stays_gone_and_comes_back_at_another_address(bus, device, host):
    errors = []
    reader = threading.Thread(target=lambda: errors.append(errno_of(host.read, ENDPOINT_IN, 64, PATIENCE_MS)))
    reader.start()
    host.write(ENDPOINT_OUT, b"x")
    bus.unplug(device)
    reader.join(5.0)
    assert errors == [errno.ENODEV]
    assert pyusb.find(backend=bus) is None
    device.send(b"into the air")
    bus.plug(device)
    assert errno_of(host.read, ENDPOINT_IN, 64, SOON_MS) == errno.ENODEV
    again = pyusb.find(backend=bus)
    assert again.address != host.address
    assert again.serial_number == "PUMP-1"
    with pytest.raises(pyusb.USBTimeoutError):
        again.read(ENDPOINT_IN, 64, SOON_MS)
    usb.util.dispose_resources(again)


def test_the_served_firmware_is_found_on_usb_and_carries_out_a_therapy(tmp_path):
    station = Station.from_rig_file("sim", World())
    device = UsbDevice("SIM-P-0001")
    bus = UsbBackend()
    bus.plug(device)
    server = serve.Server(
        station, speed=1.0, links=tmp_path, tcp_base=0, on_lag=lambda lag_s: None, usb={"pump": device}
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    transport = UsbTransport("usb:1209:0001", backend=bus)
    try:
        with Pump.open(transport, journal=Journal.in_directory(tmp_path / "journal")) as pump:
            assert pump.identity.serial_number == device.serial_number
            pump.start(Continuous(20.0))
            assert pump.status().mode.name == "CONTINUOUS"
        assert pump.unconfirmed_stop is None
    finally:
        transport.close()
        server.stop()
        thread.join(5.0)
        server.close()
    assert not thread.is_alive()
