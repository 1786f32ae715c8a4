"""Real ptys and TCP connections; these tests wait on the wall clock, each wait with an end."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

import pytest
import serial
import serial.rfc2217

from driver import PortBusy, PortLost, PortNotFound, SerialSettings, TransportError, open_transport

pytestmark = pytest.mark.real_port
PATIENCE_S = 5.0


class Connection:
    """What pyserial's port manager writes to."""

    def __init__(self, connection):
        self.write = connection.sendall


def read_exactly(transport, size):
    data = b""
    while len(data) < size:
        chunk = transport.read(PATIENCE_S)
        assert chunk, f"only {len(data)} of {size} bytes came within {PATIENCE_S} s"
        data += chunk
    return data


def reader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader of")]


@pytest.fixture
def pty_pair():
    """The master's descriptor, as the device would hold it, and the path of the port."""
    pty = pytest.importorskip("pty", reason="ptys are a Unix thing")
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    yield master, path
    with contextlib.suppress(OSError):
        os.close(master)


@pytest.fixture
def server():
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(PATIENCE_S)
    yield listening
    listening.close()


def test_bytes_cross_a_pty_in_both_directions(pty_pair):
    master, path = pty_pair
    transport = open_transport(path)
    try:
        every_byte = bytes(range(256))
        transport.write(every_byte)
        assert os.read(master, 1024) == every_byte
        os.write(master, every_byte)
        assert read_exactly(transport, 256) == every_byte
        assert transport.in_waiting == 0
        assert transport.read(0.0) == b""
    finally:
        transport.close()
    assert not reader_threads()


def test_seven_bits_and_parity_are_not_asked_of_a_pty_so_it_opens_a_second_time(pty_pair):
    master, path = pty_pair
    for _ in range(3):
        transport = open_transport(path, SerialSettings(baud=4800, data_bits=7, parity="E"))
        os.write(master, b"P= 1013.2 hPa\r\n")
        assert read_exactly(transport, 15) == b"P= 1013.2 hPa\r\n"
        transport.close()


def test_a_port_held_by_another_is_busy(pty_pair):
    _, path = pty_pair
    transport = open_transport(path)
    try:
        with pytest.raises(PortBusy, match="another program holds the port"):
            open_transport(path)
    finally:
        transport.close()


@pytest.mark.skipif(sys.platform == "win32", reason="ptys are a Unix thing")
def test_a_pty_whose_device_goes_away_is_lost_by_name(pty_pair):
    master, path = pty_pair
    transport = open_transport(path)
    os.write(master, b"last words")
    assert read_exactly(transport, 10) == b"last words"
    os.close(master)
    with pytest.raises(PortLost, match=f"^{path}: the connection is gone"):
        transport.read(PATIENCE_S)
    with pytest.raises(PortLost):
        transport.write(b"x")
    transport.close()
    assert not reader_threads()


def test_bytes_cross_a_tcp_connection_and_closing_ends_the_reader(server):
    host, port = server.getsockname()
    transport = open_transport(f"socket://{host}:{port}")
    device, _ = server.accept()
    with device:
        transport.write(b"\x00hello\x00")
        assert device.recv(64) == b"\x00hello\x00"
        device.sendall(bytes(100_000))
        assert read_exactly(transport, 100_000) == bytes(100_000)
        transport.close()
        transport.close()
        assert device.recv(1) == b""
    assert not reader_threads()
    with pytest.raises(TransportError, match="was closed here"):
        transport.write(b"x")


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_bytes_cross_rfc_2217_in_both_directions(server):
    """A serial device server that echoes, made of pyserial's own far end."""

    def serve():
        connection, _ = server.accept()
        with connection:
            manager = serial.rfc2217.PortManager(serial.serial_for_url("loop://"), Connection(connection))
            while data := connection.recv(1024):
                connection.sendall(b"".join(manager.escape(b"".join(manager.filter(data)))))

    device = threading.Thread(target=serve)
    device.start()
    host, port = server.getsockname()
    transport = open_transport(f"rfc2217://{host}:{port}?ign_set_control")
    every_byte = bytes(range(256))
    transport.write(every_byte)
    assert read_exactly(transport, 256) == every_byte
    transport.close()
    device.join(PATIENCE_S)
    assert not reader_threads()


def test_a_server_that_ends_is_a_lost_port_by_name(server):
    host, port = server.getsockname()
    transport = open_transport(f"socket://{host}:{port}")
    device, _ = server.accept()
    device.sendall(b"last words")
    device.close()
    assert read_exactly(transport, 10) == b"last words"
    with pytest.raises(PortLost, match=f"^socket://{host}:{port}: the connection is gone"):
        transport.read(PATIENCE_S)
    transport.close()


def test_a_tcp_port_where_nothing_listens_is_not_found(server):
    host, port = server.getsockname()
    server.close()
    with pytest.raises(PortNotFound, match=f"nothing answers at {host} port {port} "):
        open_transport(f"socket://{host}:{port}")
