"""A descriptor read by whoever waits, and by a thread while nobody does; nothing is lost or turned round on the way."""

from __future__ import annotations

import os
import random
import socket
import threading
import time

import pytest

from driver import PortLost, TransportError
from driver.transport.descriptor import IDLE_S, DescriptorReader

pytestmark = pytest.mark.real_port
PATIENCE_S = 5.0


@pytest.fixture
def ends():
    """The device's end of a connection, and a reader of the host's."""
    device, host = socket.socketpair()
    reader = DescriptorReader(host.fileno(), "port")
    yield device, reader
    reader.close()
    device.close()
    host.close()


def until(condition) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "did not come true in time"
        time.sleep(0.001)


def test_a_reader_that_waits_gets_the_bytes_himself(ends):
    device, reader = ends
    threading.Timer(0.05, device.sendall, [b"answer"]).start()
    assert reader.read(PATIENCE_S) == b"answer"
    assert reader.read(0.0) == b""


def test_more_than_the_system_holds_is_taken_while_nobody_reads(ends):
    device, reader = ends
    data = random.Random(1).randbytes(900_000)
    device.settimeout(PATIENCE_S)
    device.sendall(data)
    until(lambda: reader._inbox.in_waiting == len(data))
    assert reader.read(0.0) == data
    assert reader.dropped_bytes == 0


def test_a_read_takes_over_from_the_thread_at_once(ends):
    device, reader = ends
    for _ in range(5):
        until(reader._turn.locked)  # the thread has it after a while without a reader
        threading.Timer(0.01, device.sendall, [b"x"]).start()
        assert reader.read(PATIENCE_S) == b"x"


def test_a_time_out_ends_a_read_that_took_over(ends):
    _, reader = ends
    until(reader._turn.locked)
    before_s = time.monotonic()
    assert reader.read(0.05) == b""
    assert time.monotonic() - before_s < PATIENCE_S


def test_bytes_stay_in_order_whoever_moves_them(ends):
    device, reader = ends
    data = random.Random(2).randbytes(200_000)
    rng = random.Random(3)

    def send() -> None:
        position = 0
        while position < len(data):
            size = rng.randint(1, 4000)
            device.sendall(data[position : position + size])
            position += size
            if rng.random() < 0.2:
                time.sleep(rng.choice([0.0, 1.5 * IDLE_S]))

    sender = threading.Thread(target=send)
    sender.start()
    pauses = random.Random(4)
    got = b""
    while len(got) < len(data):
        piece = reader.read(PATIENCE_S)
        assert piece, f"only {len(got)} of {len(data)} bytes came"
        got += piece
        if pauses.random() < 0.05:
            time.sleep(2.0 * IDLE_S)
    sender.join()
    assert got == data


def test_what_came_before_the_end_is_still_read(ends):
    device, reader = ends
    device.sendall(b"last words")
    until(lambda: reader.in_waiting == 10)
    device.close()
    assert reader.read(PATIENCE_S) == b"last words"
    with pytest.raises(PortLost):
        reader.read(PATIENCE_S)


@pytest.mark.parametrize("pause_s", [0.0, IDLE_S, 3.0 * IDLE_S])
def test_closing_ends_the_thread_at_any_moment(pause_s):
    for _ in range(20):
        reader_end, writer_end = os.pipe()
        reader = DescriptorReader(reader_end, "port")
        time.sleep(pause_s * random.random())
        closing = threading.Thread(target=reader.close, daemon=True)
        closing.start()
        closing.join(PATIENCE_S)
        assert not closing.is_alive()
        with pytest.raises(TransportError, match="was closed here"):
            reader.read(0.0)
        os.close(reader_end)
        os.close(writer_end)
