"""Numbers and units of weight replies, over all the ways they can be written."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import BalanceError, BalanceProtocolError
from driver.instruments.mt_sics_reply import read_fields, read_mass

MICROGRAMS = {"kg": 10**9, "g": 10**6, "mg": 1000, "µg": 1, "ug": 1}


@given(
    digits=st.integers(0, 10**9),
    places=st.integers(0, 6),
    sign=st.sampled_from(["", "-", "+"]),
    unit=st.sampled_from(sorted(MICROGRAMS)),
    status=st.sampled_from("SD"),
    blanks=st.integers(1, 12),
)
def test_a_mass_is_exactly_what_was_written_in_mg(digits, places, sign, unit, status, blanks):
    text = f"{digits:0{places + 1}d}"
    number = sign + (text if places == 0 else f"{text[:-places]}.{text[-places:]}")
    exact_mg = Fraction(digits, 10**places) * MICROGRAMS[unit] / 1000 * (-1 if sign == "-" else 1)
    mass_mg, stable = read_mass("port", "SI", "S", f"S {status}{' ' * blanks}{number} {unit}")
    assert mass_mg == float(exact_mg)
    assert stable == (status == "S")


@given(st.text(max_size=40))
def test_text_that_begins_otherwise_is_never_a_mass_and_is_carried_by_the_error(text):
    with pytest.raises(BalanceError) as caught:
        read_mass("port", "SI", "S", "x" + text)
    assert caught.value.raw == "x" + text


@pytest.mark.parametrize("number", ["1.2.3", "--1", "1e3", "nan", "inf", "0x10", "", "1_000", "١"])
def test_what_python_would_take_for_a_number_and_a_balance_never_sends_is_refused(number):
    with pytest.raises(BalanceProtocolError):
        read_mass("port", "SI", "S", f"S S {number} g")


def test_quoted_texts_keep_their_blanks():
    assert read_fields("port", "I4", "I4", "A", 'I4 A "B 02" x') == ["I4", "A", "B 02", "x"]
