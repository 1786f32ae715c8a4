"""Simulated cables: transmission takes time, buffers are finite, plugs can be pulled."""

import pytest

from firmware_mock import World
from firmware_mock.ports import BUFFER_BYTES, Port, PortUnplugged


@pytest.fixture
def port(world):
    """A cable of 1 ms a byte."""
    return Port(world, "wire", baud=10_000)


@pytest.fixture
def world():
    return World()


def test_bytes_from_the_host_arrive_one_transmission_time_later(world, port):
    arrived = []
    port.on_receive = lambda data: arrived.append((world.monotonic(), data))
    port.host.write(b"abc")
    port.host.write(b"de")
    world.sleep(1.0)
    assert arrived == [(0.003, b"abc"), (0.005, b"de")]


def test_a_read_waits_for_the_first_bytes_only(world, port):
    port.send(b"abc")
    assert port.host.read(1.0) == b"abc"
    assert world.monotonic() == pytest.approx(0.003)


def test_a_read_without_bytes_takes_its_time_out(world, port):
    assert port.host.read(0.25) == b""
    assert world.monotonic() == 0.25


def test_a_poll_without_time_out_still_costs_a_hundred_microseconds(world, port):
    assert port.host.read(0.0) == b""
    assert world.now_ns == 100_000


def test_what_is_not_yet_through_the_wire_can_be_asked(world, port):
    port.send(b"0123456789")
    assert port.unsent_bytes == 10
    world.sleep(0.004)
    assert port.unsent_bytes == 6
    world.sleep(1.0)
    assert port.unsent_bytes == 0


def test_a_full_buffer_drops_what_comes_last_and_counts_it(world, port):
    port.send(b"a" * (BUFFER_BYTES - 1))
    port.send(b"bcd")
    world.sleep(100.0)
    assert port.waiting_bytes == port.host.in_waiting == BUFFER_BYTES
    assert port.dropped_bytes == 2
    assert port.take_arrived().endswith(b"ab")
    assert port.waiting_bytes == 0


def test_an_unplugged_port_gives_what_had_arrived_and_then_says_so(world, port):
    port.send(b"abc")
    world.sleep(1.0)
    port.unplug()
    assert port.host.read(0.0) == b"abc"
    with pytest.raises(PortUnplugged, match="sim:wire is gone"):
        port.host.read(0.0)
    with pytest.raises(PortUnplugged, match="sim:wire is gone"):
        port.host.write(b"x")


def test_a_waiting_read_ends_when_the_plug_is_pulled(world, port):
    world.after(0.5, port.unplug)
    assert port.host.read(10.0) == b""
    assert world.monotonic() == 0.5


def test_bytes_under_way_are_lost_even_when_the_cable_is_back_before_they_were_due(world, port):
    port.on_receive = lambda data: pytest.fail(f"{data!r} arrived")
    port.host.write(b"abc")
    port.send(b"abc")
    port.unplug()
    port.send(b"into the open")
    port.plug()
    world.sleep(1.0)
    assert port.waiting_bytes == 0


def test_a_cable_that_was_put_back_carries_again(world, port):
    port.unplug()
    port.plug()
    port.plug()
    port.send(b"abc")
    assert port.host.read(1.0) == b"abc"


def test_pulling_a_plug_leaves_evidence(world, port):
    port.unplug()
    world.close()
    assert world.ledger.open().evidence["port.wire.unplugged"] == 1


def test_a_closed_host_end_is_gone(port):
    port.host.close()
    with pytest.raises(PortUnplugged):
        port.host.write(b"x")
