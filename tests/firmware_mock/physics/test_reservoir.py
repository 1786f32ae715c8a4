"""The reservoir's accounts: what was injected is in it or in the pocket, and nothing is lost by any sequence."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.reservoir import Reservoir

VOLUMES = st.floats(0.0, 40_000.0)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("inject"), VOLUMES, st.floats(0.0, 4000.0), st.floats(0.0, 1.0)),
        st.tuples(st.just("withdraw"), VOLUMES),
        st.tuples(st.just("draw"), st.floats(0.0, 1.0)),
        st.tuples(st.just("run_dry")),
    ),
    max_size=30,
)


@given(VOLUMES, st.floats(0.0, 4000.0), EVENTS)
def test_volume_and_drug_are_conserved(contents_ul, concentration, events):
    reservoir = Reservoir(contents_ul, concentration_ug_per_ml=concentration)
    held, drug = Fraction(contents_ul), Fraction(contents_ul) * Fraction(concentration)
    injected = Fraction(0)
    for what, *values in events:
        match what:
            case "inject":
                volume_ul, new_concentration, share = values
                filling = reservoir.inject(volume_ul, new_concentration, pocketed_share=share)
                injected += Fraction(volume_ul)
                into = Fraction(volume_ul) * (1 - Fraction(share))
                held, drug = held + into, drug + into * Fraction(new_concentration)
                assert filling.into_reservoir_ul + filling.pocketed_ul == pytest.approx(volume_ul, rel=1e-12)
            case "withdraw":
                leaving = min(held, Fraction(values[0]))
                assert reservoir.withdraw(values[0]) == pytest.approx(float(held - leaving), rel=1e-9, abs=1e-6)
                held, drug = leaving, drug * leaving / held if held else drug
            case "draw":
                drawn = Fraction(reservoir.contents_ul) * Fraction(values[0])
                reservoir.draw(float(drawn))
                held, drug = held - drawn, drug * (held - drawn) / held if held else drug
            case "run_dry":
                reservoir.run_dry()
                held = drug = Fraction(0)
        assert reservoir.contents_ul == pytest.approx(float(held), rel=1e-9, abs=1e-6)
        if held > 1e-3:
            assert reservoir.concentration_ug_per_ml == pytest.approx(float(drug / held), rel=1e-6, abs=1e-6)
        assert reservoir.filled_ul + reservoir.pocketed_ul == pytest.approx(float(injected), rel=1e-9)
        balance_ul = contents_ul + reservoir.filled_ul - reservoir.withdrawn_ul - reservoir.drawn_ul
        assert reservoir.contents_ul == pytest.approx(balance_ul, rel=1e-9, abs=1e-6)


def test_a_pocket_fill_leaves_all_or_part_of_it_beside_the_port():
    reservoir = Reservoir(0.0)
    assert reservoir.empty
    filling = reservoir.inject(20_000.0, 500.0, pocketed_share=1.0)
    assert (filling.into_reservoir_ul, filling.pocketed_ul) == (0.0, 20_000.0)
    assert reservoir.empty
    filling = reservoir.inject(20_000.0, 500.0, pocketed_share=0.25)
    assert (filling.into_reservoir_ul, filling.pocketed_ul) == (15_000.0, 5000.0)
    assert (reservoir.contents_ul, reservoir.pocketed_ul, reservoir.empty) == (15_000.0, 25_000.0, False)


def test_a_refill_of_what_is_not_empty_mixes_with_what_is_there():
    reservoir = Reservoir(20_000.0, concentration_ug_per_ml=500.0)
    assert reservoir.withdraw(1000.0) == 19_000.0
    reservoir.inject(19_000.0, 2000.0)
    assert reservoir.concentration_ug_per_ml == pytest.approx((500.0 + 19 * 2000.0) / 20, rel=1e-12)


def test_a_reservoir_that_ran_dry_gives_again_after_a_refill():
    reservoir = Reservoir(10.0)
    reservoir.draw(10.0 - 1e-9)
    reservoir.run_dry()
    assert reservoir.empty
    assert reservoir.drawn_ul == pytest.approx(10.0, rel=1e-15)
    reservoir.inject(5.0, 0.0)
    assert not reservoir.empty


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((-1.0, 500.0, 0.0), "-1.0 uL of 500.0 ug/mL cannot be injected; at least 0 each"),
        ((float("nan"), 500.0, 0.0), "nan uL"),
        ((1.0, -5.0, 0.0), "1.0 uL of -5.0 ug/mL"),
        ((1.0, 500.0, 1.5), "pocketed_share = 1.5 is no share; it must be 0 to 1"),
    ],
)
def test_an_injection_that_cannot_be_is_refused(values, sentence):
    reservoir = Reservoir(7.0)
    with pytest.raises(ValueError, match=sentence):
        reservoir.inject(values[0], values[1], pocketed_share=values[2])
    assert (reservoir.contents_ul, reservoir.filled_ul) == (7.0, 0.0)
