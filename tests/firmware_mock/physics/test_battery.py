"""The battery: energy by time and steps, and the instants at which it is low and flat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.battery import LOW_FRACTION, Battery
from firmware_mock.world import NS_PER_S


def design_battery(used_pct=0.0):
    return Battery(9000.0, used_pct, 35.0, 20.0)


def test_base_power_and_steps_draw_what_they_should():
    battery = design_battery()
    battery.draw_from(0, 28.0)
    day_ns = 86_400 * NS_PER_S
    assert battery.energy_j(day_ns) == pytest.approx(9000.0 - 86_400 * (35e-6 + 28.0 * 20e-6))
    battery.draw_from(day_ns, 0.0)
    assert battery.energy_j(2 * day_ns) == pytest.approx(9000.0 - 86_400 * (70e-6 + 28.0 * 20e-6))


def test_the_design_model_lives_five_to_seven_years_at_a_usual_rate():
    """At 0.5 mL/day with 10 nL steps, domain.md section 1."""
    battery = design_battery()
    battery.draw_from(0, 500.0 / 10e-3 / 86_400)
    years = battery.reaches_ns(0.0) / NS_PER_S / 86_400 / 365.25
    assert 5.0 <= years <= 7.0


@given(st.floats(0.0, 90.0), st.floats(0.0, 30.0), st.integers(0, 10**16))
def test_it_is_low_from_the_foretold_instant_on(used_pct, steps_per_s, load_from_ns):
    battery = design_battery(used_pct)
    battery.draw_from(load_from_ns, steps_per_s)
    low_ns = battery.reaches_ns(LOW_FRACTION)
    assert battery.is_low(low_ns)
    assert not battery.is_low(low_ns - 1)
    if low_ns > load_from_ns:
        assert battery.energy_j(low_ns) == pytest.approx(LOW_FRACTION * 9000.0, rel=1e-9)


def test_voltage_falls_and_stays_between_new_and_flat():
    battery = design_battery()
    year_ns = 365 * 86_400 * NS_PER_S
    volts = [battery.millivolts(tenth * year_ns) for tenth in range(12)]
    assert volts == sorted(volts, reverse=True)
    assert (volts[0], volts[-1]) == (2850, 1800)
    assert battery.energy_j(20 * year_ns) == 0.0
