"""USB ports against the mock's bus: real threads and real waits, each with an end, and no hardware."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import BadPortUrl, PortBusy, PortDenied, PortLost, PortNotFound, TransportError
from driver.transport import UsbTransport, existing_usb_ports, open_transport, usb

pyusb = pytest.importorskip("usb.core", reason="pyusb is not installed")

from firmware_mock.usb import UsbBackend  # noqa: E402
from firmware_mock.usb_device import ENDPOINT_IN, ENDPOINT_OUT, INTERFACE, PACKET_BYTES, UsbDevice  # noqa: E402

pytestmark = pytest.mark.real_port
PATIENCE_S = 5.0
URL = "usb:1209:0001:PUMP-1"


@pytest.fixture
def bus():
    return UsbBackend()


@pytest.fixture
def device(bus):
    device = UsbDevice("PUMP-1")
    bus.plug(device)
    return device


@pytest.fixture
def transport(bus, device):
    transport = UsbTransport(URL, backend=bus)
    yield transport
    bus.unplug(device)
    transport.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader of")]


@contextmanager
def opened_elsewhere(bus):
    """Another program that has claimed the interface."""
    other = pyusb.find(backend=bus)
    pyusb.util.claim_interface(other, INTERFACE)
    yield other
    pyusb.util.dispose_resources(other)


def read_exactly(read, size):
    data = b""
    while len(data) < size:
        chunk = read(PATIENCE_S)
        assert chunk, f"only {len(data)} of {size} bytes came within {PATIENCE_S} s"
        data += chunk
    return data


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=700), max_size=8))
def test_bytes_cross_unchanged_in_both_directions_however_they_are_cut(transport, device, chunks):
    for chunk in chunks:
        transport.write(chunk)
        assert read_exactly(device.receive, len(chunk)) == chunk
        device.send(chunk)
        assert read_exactly(transport.read, len(chunk)) == chunk
    assert (transport.in_waiting, transport.dropped_bytes) == (0, 0)


@pytest.mark.parametrize("packets", [1, 2, 5])
def test_whole_packets_arrive_without_waiting_for_a_short_one(bus, device, monkeypatch, packets):
    monkeypatch.setattr(usb, "POLL_S", 3600.0)
    transport = UsbTransport(URL, backend=bus)
    device.send(bytes(packets * PACKET_BYTES))
    assert read_exactly(transport.read, packets * PACKET_BYTES) == bytes(packets * PACKET_BYTES)
    bus.unplug(device)
    transport.close()


def test_more_than_the_device_can_hold_is_sent_as_it_takes_it(transport, device):
    data = os.urandom(50_000)
    writer = threading.Thread(target=transport.write, args=(data,))
    writer.start()
    assert read_exactly(device.receive, len(data)) == data
    writer.join(PATIENCE_S)
    assert not writer.is_alive()


def test_a_closed_port_says_so_and_can_be_opened_again(bus, device, transport):
    transport.close()
    transport.close()
    with pytest.raises(TransportError, match="was closed here"):
        transport.write(b"x")
    again = UsbTransport("usb:1209:1", backend=bus)
    again.write(b"x")
    assert device.receive(PATIENCE_S) == b"x"
    again.close()


def test_an_unplugged_device_is_lost_by_name_after_its_last_words(bus, device, transport):
    device.send(b"last words")
    assert read_exactly(transport.read, 10) == b"last words"
    bus.unplug(device)
    for use in (lambda: transport.read(PATIENCE_S), lambda: transport.write(b"x"), lambda: transport.in_waiting):
        with pytest.raises(PortLost, match=rf"^{URL}: the connection is gone \(No such device .*\); check cable"):
            use()


def test_unplugging_in_the_middle_of_a_write_is_a_lost_port(bus, device, transport):
    threading.Timer(0.1, bus.unplug, [device]).start()
    with pytest.raises(PortLost, match="No such device"):
        transport.write(bytes(100_000))


def test_a_device_that_takes_nothing_is_lost_after_the_time_out(device, transport, monkeypatch):
    monkeypatch.setattr(usb, "WRITE_TIMEOUT_S", 0.2)
    with pytest.raises(PortLost, match=r"the device took nothing for 0\.2 s"):
        transport.write(bytes(100_000))


def test_a_device_plugged_in_again_is_found_at_its_new_address(bus, device, transport):
    bus.unplug(device)
    with pytest.raises(PortLost):
        transport.read(PATIENCE_S)
    with pytest.raises(PortNotFound):
        UsbTransport(URL, backend=bus)
    address = bus.plug(device)
    assert address > 2
    again = UsbTransport(URL, backend=bus)
    again.write(b"here again")
    assert read_exactly(device.receive, 10) == b"here again"
    with pytest.raises(PortLost):
        transport.write(b"x")
    again.close()


def test_a_stall_on_reading_is_cleared_and_what_follows_arrives(device, transport):
    for words in (b"before", b"after", b"and once more"):
        device.send(words)
        assert read_exactly(transport.read, len(words)) == words
        device.stall(ENDPOINT_IN)


def test_a_stall_on_writing_costs_that_write_alone(device, transport):
    transport.write(b"before")
    for words in (b"after", b"and once more"):
        device.stall(ENDPOINT_OUT)
        transport.write(b"lost")
        transport.write(words)
    assert read_exactly(device.receive, 24) == b"beforeafterand once more"


def test_a_device_that_keeps_stalling_is_lost(device, transport):
    for _ in range(2):
        device.stall(ENDPOINT_OUT)
        error = None
        try:
            transport.write(b"x")
        except PortLost as lost:
            error = lost
    assert "(Pipe error)" in str(error)


def test_a_device_that_stalls_again_as_soon_as_it_may_is_lost(device, transport, monkeypatch):
    control = device.control

    def clear_and_stall(*request):
        answer = control(*request)
        device.stall(ENDPOINT_IN)
        return answer

    monkeypatch.setattr(device, "control", clear_and_stall)
    device.stall(ENDPOINT_IN)
    with pytest.raises(PortLost, match=r"\(Pipe error\)"):
        transport.read(PATIENCE_S)


def test_a_stall_that_cannot_be_cleared_is_a_lost_port(device, transport, monkeypatch):
    def refuse(*_):
        raise OSError(5, "")

    monkeypatch.setattr(device, "control", refuse)
    device.stall(ENDPOINT_IN)
    with pytest.raises(PortLost, match=r"\(Pipe error\)"):
        transport.read(PATIENCE_S)


@pytest.mark.parametrize(
    "url", ["usb:", "usb:1209", "usb:1209:", "usb:1209:xyz", "usb:12090:1", "usb:1209:0001:", "usb:1209-0001"]
)
def test_a_text_that_names_no_usb_device_is_refused_with_an_example(bus, url):
    with pytest.raises(BadPortUrl, match=r"written usb:VID:PID or usb:VID:PID:serial.* such as usb:1209:0001:"):
        UsbTransport(url, backend=bus)


def test_the_url_scheme_opens_a_usb_port(monkeypatch, bus, device):
    monkeypatch.setattr(pyusb, "find", lambda find=pyusb.find, **options: find(**{**options, "backend": bus}))
    transport = open_transport(URL)
    assert isinstance(transport, UsbTransport)
    transport.close()


def test_a_missing_device_is_named_with_those_that_could_be_meant(bus, device):
    for url in ("usb:0483:5740", "usb:1209:0001:PUMP-2"):
        with pytest.raises(PortNotFound, match=rf"^{url}: there is no such device; .* vendor interface are {URL}$"):
            UsbTransport(url, backend=bus)
    bus.unplug(device)
    with pytest.raises(PortNotFound, match="no USB device here has a vendor interface"):
        UsbTransport(URL, backend=bus)


def test_one_of_several_pumps_must_be_named_by_its_serial_number(bus, device):
    other = UsbDevice("pump:2")
    bus.plug(other)
    assert existing_usb_ports(bus) == [URL, "usb:1209:0001:pump:2"]
    with pytest.raises(BadPortUrl, match=f"2 devices answer to that; name one of them: {URL}, usb:1209:0001:pump:2$"):
        UsbTransport("usb:1209:0001", backend=bus)
    transport = UsbTransport("usb:1209:0001:pump:2", backend=bus)
    transport.write(b"x")
    assert other.receive(PATIENCE_S) == b"x"
    transport.close()


@pytest.mark.parametrize("url", [URL, "usb:1209:0001"])
def test_a_device_this_user_may_not_open_is_denied_with_the_rule_that_helps(bus, url):
    bus.plug(UsbDevice("PUMP-1"), denied=True)
    with pytest.raises(PortDenied, match=r'udev rule gives access: SUBSYSTEM=="usb", ATTR\{idVendor\}=="1209"'):
        UsbTransport(url, backend=bus)
    assert existing_usb_ports(bus)[0].startswith("usb:1209:0001 (serial number not readable: Access denied")


def test_a_device_without_a_system_driver_is_denied_with_what_helps(bus, device, monkeypatch):
    def refuse(_):
        raise NotImplementedError("Operation not supported or unimplemented on this platform")

    monkeypatch.setattr(bus, "open_device", refuse)
    with pytest.raises(PortDenied, match="on Windows give it WinUSB"):
        UsbTransport(URL, backend=bus)


def test_an_interface_another_program_holds_is_busy_until_it_lets_go(bus, device):
    with opened_elsewhere(bus), pytest.raises(PortBusy, match="another program holds the device"):
        UsbTransport(URL, backend=bus)
    UsbTransport(URL, backend=bus).close()


def test_a_kernel_driver_gives_way_and_is_put_back(bus):
    bus.plug(UsbDevice("PUMP-1"), kernel_driver=True)
    watcher = pyusb.find(backend=bus)
    transport = UsbTransport(URL, backend=bus)
    assert not watcher.is_kernel_driver_active(INTERFACE)
    transport.close()
    assert watcher.is_kernel_driver_active(INTERFACE)


def test_only_an_unconfigured_device_is_configured(bus, device, monkeypatch):
    asked = []
    configure = bus.set_configuration
    monkeypatch.setattr(bus, "set_configuration", lambda handle, value: asked.append(value) or configure(handle, value))
    UsbTransport(URL, backend=bus).close()
    assert asked == []
    pyusb.find(backend=bus).set_configuration(0)
    UsbTransport(URL, backend=bus).close()
    assert asked == [0, 1]


@pytest.mark.parametrize(("position", "value"), [(5, 0x03), (4, 1)], ids=["another class", "an endpoint short"])
def test_a_device_without_a_pumps_interface_is_not_taken_for_one(bus, device, monkeypatch, position, value):
    configuration, interface, *endpoints = device.configuration_descriptors
    other = bytearray(interface)
    other[position] = value
    monkeypatch.setattr(
        type(device), "configuration_descriptors", property(lambda _: (configuration, bytes(other), *endpoints))
    )
    with pytest.raises(PortNotFound, match="no vendor interface with a bulk endpoint in each direction"):
        UsbTransport(URL, backend=bus)
    with opened_elsewhere(bus):
        pass


def test_a_device_unplugged_while_it_is_opened_is_not_found(bus, device, monkeypatch):
    claim = bus.claim_interface

    def unplugged_just_then(handle, interface):
        bus.unplug(device)
        claim(handle, interface)

    monkeypatch.setattr(bus, "claim_interface", unplugged_just_then)
    with pytest.raises(PortNotFound, match="unplugged while it was being opened"):
        UsbTransport(URL, backend=bus)


def test_a_device_unplugged_while_it_is_searched_for_is_not_found(bus, device, monkeypatch):
    open_device = bus.open_device

    def unplugged_just_then(plugging):
        bus.unplug(device)
        return open_device(plugging)

    monkeypatch.setattr(bus, "open_device", unplugged_just_then)
    with pytest.raises(PortNotFound, match="no USB device here has a vendor interface"):
        UsbTransport(URL, backend=bus)


def test_an_opening_that_fails_leaves_nothing_open(bus, device, monkeypatch):
    handles = []
    open_device = bus.open_device
    with opened_elsewhere(bus):
        monkeypatch.setattr(bus, "open_device", lambda plugging: handles.append(open_device(plugging)) or handles[-1])
        with pytest.raises(PortBusy) as busy:
            UsbTransport(URL, backend=bus)
        assert busy.value.__cause__ is not None, "the traceback keeps what was opened from being collected"
        assert {handle.is_open for handle in handles} == {False}


def test_a_machine_without_libusb_is_told_what_to_install(monkeypatch):
    for name in ("libusb1", "libusb0", "openusb"):
        module = pytest.importorskip(f"usb.backend.{name}")
        monkeypatch.setattr(module, "get_backend", lambda: None)
    with pytest.raises(TransportError, match=r"need the library libusb 1\.0.*install it \(Debian: libusb-1\.0-0"):
        open_transport(URL)


def test_without_pyusb_the_driver_imports_and_a_usb_port_says_what_to_install():
    program = (
        "import sys; sys.modules['usb'] = None\n"
        "import driver\n"
        "try: driver.open_transport('usb:1209:0001')\n"
        "except driver.TransportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert "USB ports need the package pyusb, which the extra “usb” brings: pip install thecabench[usb]" in done.stdout
