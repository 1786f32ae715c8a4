"""Service life: min(cap, E/(P0 + k·Q)), the replacement indicator, and the end of service behind it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.battery import Battery
from firmware_mock.physics.service_life import S_PER_DAY, S_PER_YEAR, ServiceTimes, life_s
from firmware_mock.world import NS_PER_S, to_ns
from protocol.profile import load_model

DAY_NS = 86_400 * NS_PER_S


def steps_per_s(profile, ml_per_day):
    return ml_per_day * 1e6 / profile.step_volume_nl / S_PER_DAY


def years(profile, ml_per_day):
    return (
        life_s(
            energy_j=profile.battery_energy_j,
            base_power_uw=profile.battery_base_power_uw,
            step_energy_uj=profile.battery_step_energy_uj,
            steps_per_s=steps_per_s(profile, ml_per_day),
            cap_s=profile.service_life.life_cap_years * S_PER_YEAR,
        )
        / S_PER_YEAR
    )


@given(st.floats(1.0, 1e4), st.floats(1.0, 100.0), st.floats(0.1, 100.0), st.floats(0.0, 100.0))
def test_it_is_energy_over_power_and_never_above_the_cap(energy_j, base_uw, step_uj, rate):
    exact = Fraction(energy_j) / (Fraction(base_uw) + Fraction(step_uj) * Fraction(rate)) * 10**6
    life = life_s(energy_j=energy_j, base_power_uw=base_uw, step_energy_uj=step_uj, steps_per_s=rate, cap_s=1e9)
    assert life == pytest.approx(min(1e9, float(exact)), rel=1e-9)


def test_the_design_model_lives_as_the_two_patient_texts_say_by_its_rate():
    """Five to seven years by flow, forced stop at seven; the second text's three to five at a higher rate."""
    profile = load_model("implantable-20ml")
    assert years(profile, 0.048) == 7.0
    assert 5.0 < years(profile, 0.5) < 7.0
    assert 3.0 < years(profile, 1.2) < 5.0
    assert years(profile, 24.0) < 1.0


def test_the_indicator_comes_by_the_battery_and_service_ends_90_days_later():
    times = ServiceTimes.of(load_model("implantable-20ml").service_life)
    low_ns = 1000 * DAY_NS
    assert times.indicator_ns(0, low_ns) == low_ns
    assert times.end_ns(0, low_ns, 2000 * DAY_NS) == low_ns + 90 * DAY_NS
    assert times.end_ns(0, low_ns, low_ns + 30 * DAY_NS) == low_ns + 30 * DAY_NS


def test_a_battery_that_would_last_is_stopped_at_the_cap_with_its_indicator_90_days_before():
    times = ServiceTimes.of(load_model("implantable-20ml").service_life)
    implanted_ns = 17 * DAY_NS
    cap_ns = implanted_ns + to_ns(7.0 * S_PER_YEAR)
    assert times.end_ns(implanted_ns, 20 * cap_ns, 30 * cap_ns) == cap_ns
    assert times.indicator_ns(implanted_ns, 20 * cap_ns) == cap_ns - 90 * DAY_NS


@given(st.integers(0, 10**16), st.integers(0, 10**18), st.integers(0, 10**17))
def test_the_indicator_is_never_after_the_end_of_a_pump_whose_battery_is_low_before_it_is_flat(implanted, low, margin):
    times = ServiceTimes.of(load_model("implantable-20ml").service_life)
    low_ns, flat_ns = implanted + low, implanted + low + margin
    end_ns = times.end_ns(implanted, low_ns, flat_ns)
    assert times.indicator_ns(implanted, low_ns) <= end_ns <= implanted + times.cap_ns
    assert end_ns <= flat_ns


def test_the_indicator_of_a_filmed_battery_is_early():
    profile = load_model("implantable-20ml")
    times = ServiceTimes.of(profile.service_life)
    battery = Battery(profile.battery_energy_j, 0.0, profile.battery_base_power_uw, profile.battery_step_energy_uj)
    battery.draw_from(0, steps_per_s(profile, 0.5))
    healthy_ns = times.indicator_ns(0, battery.reaches_ns(times.low_fraction))
    battery.grow_film(365 * DAY_NS, locked_pct=50.0, sag_mv=100.0)
    filmed_ns = times.indicator_ns(0, battery.reaches_ns(times.low_fraction))
    assert 2.0 < filmed_ns / NS_PER_S / S_PER_YEAR < 3.0 < healthy_ns / NS_PER_S / S_PER_YEAR
