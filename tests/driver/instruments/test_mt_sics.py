"""MT-SICS as (sent, received) pairs. Formats: reference manuals 11780711 and 11781363, pages of the commands."""

from __future__ import annotations

from itertools import islice

import pytest

from driver import (
    BalanceError,
    BalanceFault,
    BalanceLogicError,
    BalanceNotReady,
    BalanceOverload,
    BalanceProtocolError,
    BalanceRestarted,
    BalanceSyntaxError,
    BalanceTransmissionError,
    BalanceUnderload,
    InstrumentTimeout,
    PortLost,
    ScaledClock,
    UnknownDialect,
)
from driver.instruments import BalanceIdentity, BalanceSettings, open_balance


@pytest.fixture
def balance(dialogue, clock):
    return lambda *pairs: open_balance(dialogue(*pairs), clock=clock)


def test_a_reading_has_mass_stability_and_the_middle_of_the_round_trip(balance, clock):
    clock.sleep(10.0)
    reading = balance((b"SI\r\n", b"S D     14.25613 g\r\n")).read()
    assert (reading.mass_mg, reading.stable, reading.raw) == (14256.13, False, "S D     14.25613 g")
    assert reading.time_s == pytest.approx(10.002)
    assert reading.half_width_s == pytest.approx(0.002)


def test_a_stable_reading_is_waited_for_as_long_as_the_balance_needs(balance):
    reading = balance((b"S\r\n", [(25.0, b"S S    100.00000 g\r\n")])).stable()
    assert (reading.mass_mg, reading.stable) == (100_000.0, True)


def test_zero_and_tare(balance):
    instrument = balance((b"Z\r\n", b"Z A\r\n"), (b"T\r\n", [(3.0, b"T S     22.10000 g\r\n")]))
    instrument.zero()
    assert instrument.tare() == 22_100.0


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"S +\r\n", BalanceOverload),
        (b"S -\r\n", BalanceUnderload),
        (b"S I\r\n", BalanceNotReady),
        (b"S L\r\n", BalanceLogicError),
        (b"ES\r\n", BalanceSyntaxError),
        (b"ET\r\n", BalanceTransmissionError),
        (b"EL\r\n", BalanceLogicError),
        (b"S S Error 10b\r\n", BalanceFault),
    ],
)
def test_every_error_reply_is_an_error_of_its_own_with_the_raw_reply_and_leaves_the_balance_usable(
    balance, reply, error
):
    instrument = balance((b"SI\r\n", reply), (b"SI\r\n", b"S S      1.00000 g\r\n"))
    with pytest.raises(error, match=r"^hand:wire: the balance answered") as caught:
        instrument.read()
    assert (caught.value.raw, caught.value.command) == (reply.decode().strip(), "SI")
    assert instrument.read().mass_mg == 1000.0


@pytest.mark.parametrize("reply", [b"Z I\r\n", b"Z +\r\n", b"Z -\r\n"])
def test_zero_outside_its_range_is_an_error(balance, reply):
    with pytest.raises(BalanceError):
        balance((b"Z\r\n", reply)).zero()


@pytest.mark.parametrize(
    "reply", [b"hello\r\n", b"S D 1.0\r\n", b"S D 1,0 g\r\n", b"S D 1.0 lb\r\n", b"T S 1.0 g\r\n", b"S X 1.0 g\r\n"]
)
def test_what_is_no_reply_to_the_command_is_refused_and_the_next_command_starts_afresh(balance, reply):
    instrument = balance(
        (b"SI\r\n", reply),
        (b"I4\r\n", b'I4 A "B000000001"\r\n'),
        (b"SI\r\n", b"S S      1.00000 g\r\n"),
    )
    with pytest.raises(BalanceProtocolError) as caught:
        instrument.read()
    assert caught.value.raw == reply.decode().strip()
    assert instrument.read().mass_mg == 1000.0


def test_a_late_reply_is_never_the_answer_to_a_later_command(balance, clock):
    instrument = balance(
        (b"SI\r\n", [(2.5, b"S S      1.00000 g\r\n")]),
        (b"I4\r\n", [(0.7, b'I4 A "B000000001"\r\n')]),
        (b"SI\r\n", b"S S      2.00000 g\r\n"),
    )
    with pytest.raises(InstrumentTimeout, match="did not answer SI within 2 s"):
        instrument.read()
    assert instrument.read().mass_mg == 2000.0


def test_a_late_reply_to_an_inquiry_does_not_pass_for_the_inquiry_that_brings_us_back_in_step(balance):
    instrument = balance(
        (b"I2\r\n", b'I2 A "XPR205 Excellence 220.0090 g"\r\n'),
        (b"I3\r\n", b'I3 A "1.10 18.6.4.1361.772"\r\n'),
        (b"I4\r\n", [(2.4, b'I4 A "B000000001"\r\n')]),
        (b"I3\r\n", [(0.5, b'I3 A "1.10 18.6.4.1361.772"\r\n')]),
        (b"SI\r\n", b"S S      2.00000 g\r\n"),
    )
    with pytest.raises(InstrumentTimeout):
        instrument.identity()
    assert instrument.read().mass_mg == 2000.0


def test_a_line_that_came_unasked_is_not_taken_for_an_answer(balance, clock):
    instrument = balance((None, b"S S      9.00000 g\r\n"), (b"SI\r\n", b"S S      1.00000 g\r\n"))
    clock.sleep(1.0)
    assert instrument.read().mass_mg == 1000.0


def test_half_a_line_before_a_time_out_does_not_join_the_next_reply(balance):
    instrument = balance(
        (b"SI\r\n", b"S S      9.0"),
        (b"I4\r\n", b'0000 g\r\nI4 A "B000000001"\r\n'),
        (b"SI\r\n", b"S S      1.00000 g\r\n"),
    )
    with pytest.raises(InstrumentTimeout):
        instrument.read()
    assert instrument.read().mass_mg == 1000.0


@pytest.mark.parametrize("moment", ["before", "instead"])
def test_a_balance_that_announces_itself_has_restarted(balance, clock, moment):
    announcement = b'I4 A "B000000001"\r\n'
    pairs = {
        "before": [(b"Z\r\n", b"Z A\r\n"), (None, [(1.0, announcement)]), (b"I4\r\n", announcement)],
        "instead": [(b"Z\r\n", b"Z A\r\n"), (b"SI\r\n", announcement), (b"I4\r\n", announcement)],
    }[moment]
    instrument = balance(*pairs, (b"SI\r\n", b"S S      1.00000 g\r\n"))
    instrument.zero()
    clock.sleep(2.0)
    with pytest.raises(BalanceRestarted, match="zero and tare are lost"):
        instrument.read()
    assert instrument.read().mass_mg == 1000.0


def test_a_balance_that_was_just_switched_on_may_be_opened(balance, clock, dialogue):
    transport = dialogue((None, b'I4 A "B000000001"\r\n'), (b"SI\r\n", b"S S      1.00000 g\r\n"))
    clock.sleep(1.0)
    assert open_balance(transport, clock=clock).read().mass_mg == 1000.0


@pytest.mark.parametrize(
    "data", [b'I2 A "XPR205 Excellence 220.0090 g"\r\n', b'I2 A "XPR205" "Excellence" "220.0090 g"\r\n']
)
def test_identity_is_read_whether_the_data_come_in_one_text_or_in_several(balance, data):
    instrument = balance(
        (b"I2\r\n", data), (b"I3\r\n", b'I3 A "1.10 18.6.4.1361.772"\r\n'), (b"I4\r\n", b'I4 A "B021002593"\r\n')
    )
    assert instrument.identity() == BalanceIdentity("XPR205 Excellence", 220.009, "B021002593", "1.10 18.6.4.1361.772")


def test_levels_and_commands(balance):
    instrument = balance(
        (b"I1\r\n", b'I1 A "0123" "2.30" "2.22" "2.33" "2.20"\r\n'),
        (b"I0\r\n", b'I0 B 0 "I0"\r\nI0 B 0 "SI"\r\nI0 A 3 "SM4"\r\n'),
    )
    assert instrument.levels() == "0123"
    assert instrument.commands() == ("I0", "SI", "SM4")


def test_settings_are_read_back(balance):
    instrument = balance((b"M02\r\n", b"M02 A 1\r\n"), (b"M03\r\n", b"M03 A 0\r\n"), (b"C0\r\n", b'C0 A 1 0 ""\r\n'))
    assert instrument.settings() == BalanceSettings(auto_zero=False, auto_adjustment=True, filter="stable")


def test_a_setting_the_balance_cannot_tell_is_none_and_not_a_guess(balance):
    instrument = balance((b"M02\r\n", b"ES\r\n"), (b"M03\r\n", b"M03 L\r\n"), (b"C0\r\n", b"EL\r\n"))
    assert instrument.settings() == BalanceSettings(auto_zero=None, auto_adjustment=None, filter=None)


def test_a_setting_with_an_unknown_value_is_refused(balance):
    instrument = balance((b"M02\r\n", b"M02 A 2\r\n"), (b"M03\r\n", b"M03 A 7\r\n"))
    with pytest.raises(BalanceProtocolError, match="it should hold a number from 0 to 1"):
        instrument.settings()


def test_a_stream_gives_readings_within_the_intervals_between_its_lines(balance):
    lines = [(0.1 * n, f"S D {n}.00000 g\r\n".encode()) for n in (1, 2, 3)]
    instrument = balance(
        (b"SIR\r\n", lines),
        (b"SI\r\n", b"S D 4.00000 g\r\nS D 4.00000 g\r\n"),
        (b"I4\r\n", b'I4 A "B021002593"\r\n'),
        (b"SI\r\n", b"S D 5.00000 g\r\n"),
    )
    with instrument.stream() as readings:
        got = list(islice(readings, 3))
        with pytest.raises(BalanceError, match="a stream of readings is running"):
            instrument.read()
    assert [reading.mass_mg for reading in got] == [1000.0, 2000.0, 3000.0]
    assert [reading.time_s for reading in got] == pytest.approx([0.05, 0.15, 0.25])
    assert [reading.half_width_s for reading in got] == pytest.approx([0.05] * 3)
    assert instrument.read().mass_mg == 5000.0


def test_an_error_within_a_stream_ends_it(balance):
    instrument = balance(
        (b"SIR\r\n", b"S D 1.00000 g\r\nS +\r\n"),
        (b"SI\r\n", b"S +\r\n"),
        (b"I4\r\n", b'I4 A "B021002593"\r\n'),
        (b"SI\r\n", b"S D 5.00000 g\r\n"),
    )

    def watch():
        with instrument.stream() as readings:
            list(readings)

    with pytest.raises(BalanceOverload):
        watch()
    assert instrument.read().mass_mg == 5000.0


def test_reset_gives_the_serial_number_and_brings_a_lost_balance_back_in_step(balance):
    instrument = balance(
        (b"SI\r\n", b""),
        (b"@\r\n", b'S S 1.0 g\r\nI4 A "B021002593"\r\n'),
        (b"SI\r\n", b"S D 5.00000 g\r\n"),
    )
    with pytest.raises(InstrumentTimeout):
        instrument.read()
    assert instrument.reset() == "B021002593"
    assert instrument.read().mass_mg == 5000.0


def test_an_unplugged_balance_is_a_lost_port_by_name(dialogue, clock):
    transport = dialogue((b"SI\r\n", b""))
    instrument = open_balance(transport, clock=clock)
    clock.after(1.0, lambda: setattr(transport, "unplugged", True))
    with pytest.raises(PortLost, match=r"^hand:wire: the connection is gone \(unplugged\)"):
        instrument.read()


def test_readings_are_stamped_on_the_process_clock_and_time_out_on_the_other(dialogue, clock):
    fast = ScaledClock(600.0, clock)
    instrument = open_balance(dialogue((b"SI\r\n", b"S D 5.00000 g\r\n"), (b"SI\r\n", b"")), clock=fast, io_clock=clock)
    assert instrument.read().half_width_s == pytest.approx(600.0 * 0.002)
    before_s = clock.monotonic()
    with pytest.raises(InstrumentTimeout):
        instrument.read()
    assert clock.monotonic() - before_s == pytest.approx(2.0, abs=0.01)


def test_an_unknown_dialect_is_named_with_those_known(dialogue):
    with pytest.raises(UnknownDialect, match="no balance driver speaks 'sbi'; known: mt-sics"):
        open_balance(dialogue(), "sbi")
