"""HELLO: who answers, whether this program may talk to it, and what stands in the way."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import LinkTimeout, VersionMismatch, WrongDevice
from protocol import Hello, HelloRequest


def test_a_pump_says_who_it_is(open_pump):
    with open_pump(expect_serial="HAND-1") as pump:
        assert (pump.identity.model, pump.identity.serial_number) == ("hand-made", "HAND-1")
        assert (pump.identity.protocol_version, pump.identity.boot_id) == ("1.0", 1)
        assert pump.port == "hand:pump"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=200))
def test_what_the_pump_prints_while_booting_is_let_pass(open_pump, wire, garbage):
    wire.send_raw(garbage)
    with open_pump() as pump:
        assert pump.identity.serial_number == "HAND-1"


def test_a_pump_that_boots_for_three_seconds_is_waited_for(open_pump, wire, clock):
    wire.fault("lose", HelloRequest, times=6)
    with open_pump():
        assert 3.0 <= clock.monotonic() < 5.0


def test_a_silent_port_is_named_after_five_seconds(open_pump, wire, clock):
    wire.fault("lose", Hello, times=100)
    with pytest.raises(LinkTimeout, match=r"^hand:pump: no pump answered within 5 s; check that it is on"):
        open_pump()
    assert 5.0 <= clock.monotonic() < 6.0


def test_another_major_version_is_refused(open_pump, device):
    device.hello = {"protocol_major": 2, "protocol_minor": 3}
    with pytest.raises(VersionMismatch, match=r"HAND-1 speaks protocol 2\.3 and this program 1\.0"):
        open_pump()


def test_messages_laid_out_differently_are_refused(open_pump, device):
    device.hello = {"schema_hash": bytes(range(8))}
    with pytest.raises(VersionMismatch, match=r"schema 0001020304050607.*firmware 0\.1"):
        open_pump()


def test_another_pump_than_the_expected_is_refused(open_pump):
    with pytest.raises(WrongDevice, match="HAND-1 answers here, HAND-2 is expected"):
        open_pump(expect_serial="HAND-2")


def test_a_transport_that_was_given_stays_open_for_the_next_opening(open_pump, wire):
    with open_pump():
        pass
    assert not wire.closed
    with open_pump() as pump:
        assert pump.status().boot_id == 1
