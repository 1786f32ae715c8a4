"""A PTU300 as (sent, received) pairs. Replies: user's guide M210796EN, pages of SEND, FORM, UNIT and `?`."""

from __future__ import annotations

import pytest

from driver import EnvironmentProtocolError, InstrumentTimeout, UnknownDialect
from driver.instruments import ThermohygrometerIdentity, open_thermohygrometer

SETTINGS = (
    b"PTU300 / 4.05\r\n"
    b"Serial number  : E1234567\r\n"
    b"Batch number   : E1230011\r\n"
    b'Output format  : 6.1 "P=" P " " U6 3.1 "T=" T " " U3 3.1 "RH=" RH " " U4 \\r \\n\r\n'
    b"Adjust. date   : 2026-01-30\r\n"
    b"Start mode     : STOP\r\n"
    b"Baud P D S     : 4800 E 7 1\r\n"
    b"Echo           : OFF\r\n"
    b"Module 1       : BARO-1\r\n"
    b"Module 2       : EMPTY\r\n"
)


@pytest.fixture
def instrument(dialogue, clock):
    return lambda *pairs: open_thermohygrometer(dialogue(*pairs), clock=clock)


def test_the_default_reply_is_read_with_the_middle_of_the_round_trip(instrument, clock):
    clock.sleep(10.0)
    reading = instrument((b"SEND\r", b"P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH\r\n")).read()
    assert (reading.pressure_hpa, reading.temperature_c, reading.humidity_pct) == (1013.2, 31.1, 38.3)
    assert (reading.time_s, reading.half_width_s) == (pytest.approx(10.002), pytest.approx(0.002))


@pytest.mark.parametrize(
    "reply",
    [
        b"RH= 38.3 %RH T= -1.5 'C P= 1013.2 hPa\r\n",
        b"P1= 1013.0 hPa P2= 1013.4 hPa P= 1013.2 hPa Ta= 20.0 'C T= -1.5 'C Td= 9.0 'C RH= 38.3 %RH\r\n",
        b"RH= 38.3%RH\tT= -1.5'C\tP=1013.2hPa\r\n",
        b">P= 101.32 kPa T= 29.3 'F RH= 38.3 %RH\r\n",
        b"SEND\r\n>P= 759.96243 mmHg T= -1.5 'C RH= 38.3 %RH\r\n>",
        b"P= 1.0132 bara T= -1.5 \xb0C RH= 38.3 %RH\r\n",
    ],
)
def test_a_reply_is_read_by_label_and_unit_in_any_order_unit_and_dress(instrument, reply):
    reading = instrument((b"SEND\r", reply)).read()
    assert reading.pressure_hpa == pytest.approx(1013.2, abs=0.001)
    assert reading.temperature_c == pytest.approx(-1.5)
    assert reading.humidity_pct == 38.3


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (b"P= 1013.2 hPa T= 31.1 'C\r\n", "RH is missing; put it back with FORM /"),
        (b"P= 1013.2 hPa Td= 31.1 'C RH= 38.3 %RH\r\n", "T is missing"),
        (b"P= ****** hPa T= 31.1 'C RH= 38.3 %RH\r\n", "P is not being measured now"),
        (b"P= 0.3 barg T= 31.1 'C RH= 38.3 %RH\r\n", "P should be in one of hPa, mbar"),
        (b"P= 1013.2 T= 31.1 'C RH= 38.3 %RH\r\n", "P should be in one of"),
        (b"Unknown command: SEND\r\n", "T is missing"),
    ],
)
def test_a_reply_that_lacks_something_is_refused_with_what_would_help(instrument, reply, sentence):
    with pytest.raises(EnvironmentProtocolError, match=sentence) as caught:
        instrument((b"SEND\r", reply)).read()
    assert caught.value.raw == reply.decode().strip()


def test_identity_comes_out_of_the_list_of_settings(instrument):
    assert instrument((b"?\r", SETTINGS)).identity() == ThermohygrometerIdentity("PTU300", "E1234567", "4.05")


def test_identity_is_read_with_echo_and_prompts(instrument):
    echoed = b"?\r\n" + SETTINGS + b">"
    identity = instrument(
        (b"?\r", [(0.1 * n, piece + b"\n") for n, piece in enumerate(echoed.split(b"\n"))])
    ).identity()
    assert identity.serial_number == "E1234567"


def test_a_list_of_settings_without_serial_number_is_refused(instrument):
    with pytest.raises(EnvironmentProtocolError, match="name the type and the serial number"):
        instrument((b"?\r", b"PTU300 / 4.05\r\n")).identity()


def test_a_late_reply_is_never_the_answer_to_a_later_command(instrument):
    late = b"P= 900.0 hPa T= 1.0 'C RH= 1.0 %RH\r\n"
    device = instrument(
        (b"SEND\r", [(2.2, late)]),
        (b"?\r", [(0.3, SETTINGS)]),
        (b"SEND\r", b"P= 1013.2 hPa T= 31.1 'C RH= 38.3 %RH\r\n"),
    )
    with pytest.raises(InstrumentTimeout, match="in STOP mode"):
        device.read()
    assert device.read().pressure_hpa == 1013.2


def test_an_unknown_dialect_is_named_with_those_known(dialogue):
    with pytest.raises(UnknownDialect, match="no thermohygrometer driver speaks 'x'; known: vaisala-ptu300"):
        open_thermohygrometer(dialogue(), "x")
