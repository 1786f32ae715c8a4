"""A battery under changing loads, with a film, with a short beside it, and none at all: exact rational arithmetic."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.battery import LOW_FRACTION, NEVER_NS, Battery, battery_of
from firmware_mock.world import NS_PER_S
from protocol import ProfileError
from protocol.profile import load_model

DAY_NS = 86_400 * NS_PER_S
MICRO = Fraction(1, 10**6)


def design_battery():
    return Battery(9000.0, 0.0, 35.0, 20.0)


@given(st.lists(st.tuples(st.integers(1, 10**15), st.floats(0.0, 30.0), st.floats(0.0, 500.0)), max_size=30))
def test_energy_and_crossings_are_those_of_exact_arithmetic(loads):
    """Piecewise-constant step rates and extra loads; 1e-9 relative."""
    battery, left, t_ns, power = design_battery(), Fraction(9000), 0, 35 * MICRO
    for length_ns, steps_per_s, extra_uw in loads:
        battery.draw_from(t_ns, steps_per_s)
        battery.load(t_ns, extra_uw)
        power = MICRO * (35 + 20 * Fraction(steps_per_s) + Fraction(extra_uw))
        if left > 0:
            low_ns = t_ns + (left - Fraction(LOW_FRACTION) * 9000) / power * NS_PER_S
            flat_ns = t_ns + left / power * NS_PER_S
            assert battery.reaches_ns(LOW_FRACTION) == pytest.approx(float(low_ns), rel=1e-9, abs=1e6)
            assert battery.reaches_ns(0.0) == pytest.approx(float(flat_ns), rel=1e-9, abs=1e6)
        t_ns += length_ns
        left = max(Fraction(0), left - power * Fraction(length_ns, NS_PER_S))
        assert battery.energy_j(t_ns) == pytest.approx(float(left), rel=1e-9, abs=1e-9 * 9000)
        assert battery.used_j(t_ns) == pytest.approx(9000 - float(left), rel=1e-9, abs=1e-9 * 9000)


def test_seven_years_of_nine_changes_a_day_lose_nothing_to_rounding():
    battery, used = design_battery(), Fraction(0)
    for change in range(7 * 365 * 9):
        steps_per_s = (change % 7) / 20
        battery.draw_from(change * DAY_NS // 9, steps_per_s)
        length_ns = (change + 1) * DAY_NS // 9 - change * DAY_NS // 9
        used += MICRO * (35 + 20 * Fraction(steps_per_s)) * Fraction(length_ns, NS_PER_S)
    assert battery.used_j(7 * 365 * DAY_NS) == pytest.approx(float(used), rel=1e-9)


def test_a_film_locks_energy_away_and_brings_the_replacement_indicator_early():
    healthy, filmed = design_battery(), design_battery()
    for battery in (healthy, filmed):
        battery.draw_from(0, 0.6)
    filmed.grow_film(365 * DAY_NS, locked_pct=40.0, sag_mv=0.0)
    power_w = 35e-6 + 0.6 * 20e-6
    assert healthy.reaches_ns(LOW_FRACTION) - filmed.reaches_ns(LOW_FRACTION) == pytest.approx(
        0.4 * 9000.0 / power_w * NS_PER_S, rel=1e-9
    )
    later_ns = 2 * 365 * DAY_NS
    assert filmed.used_j(later_ns) == pytest.approx(healthy.used_j(later_ns), rel=1e-12)
    assert filmed.energy_j(later_ns) == pytest.approx(healthy.energy_j(later_ns) - 3600.0, rel=1e-12)


def test_a_film_that_locks_all_that_is_left_ends_it_at_once_and_draws_nothing():
    battery = design_battery()
    battery.draw_from(0, 5.0)
    year_ns = 365 * DAY_NS
    used_j = battery.used_j(year_ns)
    battery.grow_film(year_ns, locked_pct=100.0, sag_mv=0.0)
    assert battery.energy_j(year_ns) == 0.0
    assert battery.reaches_ns(0.0) == year_ns
    assert battery.used_j(5 * year_ns) == pytest.approx(used_j, rel=1e-12)


def test_a_film_that_breaks_down_gives_back_what_it_locked():
    battery = design_battery()
    battery.draw_from(0, 5.0)
    year_ns = 365 * DAY_NS
    battery.grow_film(year_ns, locked_pct=30.0, sag_mv=0.0)
    battery.grow_film(10 * year_ns, locked_pct=0.0, sag_mv=0.0)
    assert battery.energy_j(10 * year_ns) == pytest.approx(2700.0, rel=1e-12)
    assert battery.used_j(10 * year_ns) == pytest.approx(6300.0, rel=1e-12)


@given(st.floats(0.0, 200.0))
def test_a_sagging_voltage_is_low_where_a_healthy_one_would_be_so_much_higher(sag_mv):
    battery = design_battery()
    battery.grow_film(0, locked_pct=0.0, sag_mv=sag_mv)
    low_ns = battery.reaches_ns(LOW_FRACTION)
    assert battery.is_low(low_ns)
    assert not battery.is_low(low_ns - 1)
    assert abs(battery.millivolts(low_ns) - 2500) <= 1
    assert low_ns <= design_battery().reaches_ns(LOW_FRACTION)


def test_a_load_beside_the_pump_shortens_its_life_until_it_is_gone():
    battery = design_battery()
    battery.load(10 * DAY_NS, 965.0)
    assert battery.reaches_ns(0.0) < 120 * DAY_NS
    battery.load(20 * DAY_NS, 0.0)
    used_j = 86_400 * (20 * 35e-6 + 10 * 965e-6)
    assert battery.used_j(20 * DAY_NS) == pytest.approx(used_j, rel=1e-9)
    assert battery.reaches_ns(0.0) == pytest.approx(20 * DAY_NS + (9000 - used_j) / 35e-6 * NS_PER_S, rel=1e-9)


def test_a_supply_is_never_low_and_draws_on_no_cell():
    battery = battery_of(load_model("bench-stepper"), 0.0)
    battery.draw_from(DAY_NS, 1000.0)
    century_ns = 36_525 * DAY_NS
    assert (battery.millivolts(century_ns), battery.used_j(century_ns)) == (5000, 0.0)
    assert not battery.is_low(century_ns)
    assert battery.reaches_ns(0.0) == NEVER_NS > century_ns


def test_a_model_gets_the_battery_of_its_profile_or_a_clear_refusal():
    battery = battery_of(load_model("implantable-40ml"), 10.0)
    assert battery.energy_j(0) == pytest.approx(8100.0)
    with pytest.raises(ProfileError, match="constant-flow-20ml has no battery_energy_j: its metering is constant-flow"):
        battery_of(load_model("constant-flow-20ml"), 0.0)
