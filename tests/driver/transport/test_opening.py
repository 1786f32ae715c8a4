"""Which texts are ports, and what is said about those that are not there."""

from __future__ import annotations

import errno

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from driver import PortBusy, PortDenied, PortNotFound, SerialSettings, open_transport
from driver.errors import BadPortUrl
from driver.transport import serial_port


@pytest.fixture
def machine_ports(monkeypatch):
    """The serial ports this machine seems to have."""
    ports: list[ListPortInfo] = []
    monkeypatch.setattr(serial_port.list_ports, "comports", lambda: ports)
    return ports


@pytest.mark.parametrize("url", ["sim:pump", "http://host", "hwgrep://x", "loop://", ""])
def test_a_text_that_is_no_port_is_refused_with_what_would_be_one(url):
    with pytest.raises(BadPortUrl, match=r"write a device path such as /dev/ttyUSB0 or COM3, socket://host:port"):
        open_transport(url)


def test_a_simulated_port_is_said_to_belong_into_a_rig_file():
    with pytest.raises(BadPortUrl, match="sim: ports exist in rig files only"):
        open_transport("sim:pump")


@pytest.mark.parametrize("url", ["socket://host", "socket://:5000", "socket://host:many", "socket://host:70000"])
def test_a_tcp_port_without_host_or_number_is_refused(url):
    with pytest.raises(BadPortUrl, match="written socket://host:port"):
        open_transport(url)


def test_a_missing_port_is_named_with_those_that_exist(machine_ports):
    for name in ("/dev/ttyUSB1", "/dev/ttyUSB0"):
        machine_ports.append(ListPortInfo(name))
        machine_ports[-1].description = "FT232R"
    sentence = r"^/dev/nowhere: there is no such port; .* are /dev/ttyUSB0 \(FT232R\), /dev/ttyUSB1 \(FT232R\)$"
    with pytest.raises(PortNotFound, match=sentence):
        open_transport("/dev/nowhere")


def test_a_machine_without_ports_says_so(machine_ports):
    with pytest.raises(PortNotFound, match="this machine has no serial port now"):
        open_transport("/dev/nowhere")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (serial.SerialException(errno.EWOULDBLOCK, "Could not exclusively lock port"), PortBusy),
        (serial.SerialException(errno.EACCES, "could not open port"), PortDenied),
        (serial.SerialException("could not open port 'COM3': PermissionError(13, 'Access is denied.')"), PortBusy),
        (serial.SerialException("could not open port 'COM9': FileNotFoundError(2, '...')"), PortNotFound),
    ],
)
def test_each_way_a_port_can_refuse_has_its_own_error(monkeypatch, machine_ports, error, kind):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(serial_port.serial, "serial_for_url", refuse)
    with pytest.raises(kind, match=r"^COM3: "):
        open_transport("COM3")


def test_what_fits_already_is_handed_back(clock):
    class Cable:
        name = "cable"
        in_waiting = 0

        def write(self, data): ...

        def read(self, timeout_s):
            return b""

        def close(self): ...

    cable = Cable()
    assert open_transport(cable, SerialSettings(baud=9600)) is cable
