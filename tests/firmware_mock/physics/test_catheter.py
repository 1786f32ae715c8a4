"""The catheter between events: tip, leak and store against adaptive quadrature, and nothing lost at any event."""

import cmath
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from firmware_mock import World
from firmware_mock.physics.catheter import Catheter, Condition, column_hpa
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head, HeadLaw
from firmware_mock.physics.thermostat import Thermostat
from firmware_mock.world import NS_PER_S, to_ns

HEALTHY = Condition(compliance_ul_per_hpa=0.05, resistance_hpa_s_per_ul=400.0, tip_pressure_hpa=12.0)
TAU_S = 20.0
BASAL_UL_PER_S = 500.0 / 86_400.0


def basal(rate_ul_per_s=BASAL_UL_PER_S, **more):
    return HeadLaw(None, 37.0, mean_ul_per_s=rate_ul_per_s, **more)


def expected(stored_ul, rest_ul, law, condition, t_s):
    """What was pumped, left and is stored after t_s, by quadrature of the law as it is written."""
    outlet = 1.0 / (condition.resistance_hpa_s_per_ul * condition.compliance_ul_per_hpa)
    outlet = 0.0 if condition.is_occluded else outlet
    relaxation = outlet + law.loss_ul_per_s_per_hpa / condition.compliance_ul_per_hpa

    def drive(u):
        wave = 1.0 + math.fsum((amplitude * cmath.exp(frequency * u)).real for amplitude, frequency in law.waves)
        creep = 1.0 + law.creep * math.exp(-law.creep_decay_per_s * u)
        return law.mean_ul_per_s * law.seat * creep * wave + law.leak_ul_per_s

    def integral(weight):
        return quad(lambda u: drive(u) * weight(t_s - u), 0.0, t_s, epsabs=1e-13, epsrel=1e-12, limit=400)[0]

    above_ul = stored_ul - rest_ul
    still_ul = above_ul * math.exp(-relaxation * t_s) + integral(lambda age: math.exp(-relaxation * age))
    if relaxation:
        area = above_ul * -math.expm1(-relaxation * t_s) / relaxation
        area += integral(lambda age: -math.expm1(-relaxation * age) / relaxation)
    else:
        area = 0.0
    return integral(lambda age: 1.0) - (relaxation - outlet) * area, outlet * area, rest_ul + still_ul


@st.composite
def laws(draw):
    waves = draw(st.sampled_from([(), ((0.2 + 0.1j, 0.3j),)]))
    return basal(
        draw(st.sampled_from([0.0, BASAL_UL_PER_S, 0.3])),
        waves=waves,
        creep=draw(st.sampled_from([0.0, 0.05])),
        creep_decay_per_s=1.0 / 3600.0,
        seat=draw(st.sampled_from([1.0, 1.01])),
        leak_ul_per_s=draw(st.sampled_from([0.0, -1e-4, 1e-5])),
        loss_ul_per_s_per_hpa=draw(st.sampled_from([0.0, 1e-6, 1e-4])),
    )


@st.composite
def conditions(draw):
    return Condition(
        compliance_ul_per_hpa=draw(st.sampled_from([0.01, 0.05])),
        resistance_hpa_s_per_ul=draw(st.sampled_from([400.0, 5000.0, 1e6])),
        tip_pressure_hpa=draw(st.sampled_from([-5.0, 0.0, 12.0])),
        leak_share=draw(st.sampled_from([0.0, 0.3, 1.0])),
        is_occluded=draw(st.booleans()),
    )


@settings(deadline=None, max_examples=60)
@given(laws(), conditions(), conditions(), st.floats(1.0, 500.0))
def test_between_events_it_solves_its_law(law, before, condition, t_s):
    catheter = Catheter(before)
    catheter.feed(0, basal(0.1))
    start_ns = to_ns(100.0)
    stored_ul = catheter.stored_ul(start_ns)
    tip_ul, leaked_ul, pumped_ul = (
        account(start_ns) for account in (catheter.tip_ul, catheter.leaked_ul, catheter.pumped_ul)
    )
    catheter.change(start_ns, condition)
    catheter.feed(start_ns, law)
    rest_ul = condition.tip_pressure_hpa * condition.compliance_ul_per_hpa
    now_ns = start_ns + to_ns(t_s)
    pumped, out, stored = expected(stored_ul, rest_ul, law, condition, (now_ns - start_ns) / NS_PER_S)
    near = {"rel": 1e-9, "abs": 1e-9}
    assert catheter.pumped_ul(now_ns) - pumped_ul == pytest.approx(pumped, **near)
    assert catheter.tip_ul(now_ns) - tip_ul == pytest.approx((1.0 - condition.leak_share) * out, **near)
    assert catheter.leaked_ul(now_ns) - leaked_ul == pytest.approx(condition.leak_share * out, **near)
    assert catheter.stored_ul(now_ns) == pytest.approx(stored, **near)
    assert catheter.pressure_hpa(now_ns) == pytest.approx(stored / condition.compliance_ul_per_hpa, rel=1e-9, abs=1e-7)


EVENTS = st.lists(
    st.tuples(
        st.floats(0.0, 1e5),
        st.one_of(
            laws(),
            st.fixed_dictionaries({"resistance_hpa_s_per_ul": st.floats(100.0, 1e6)}),
            st.fixed_dictionaries({"leak_share": st.floats(0.0, 1.0)}),
            st.fixed_dictionaries({"tip_pressure_hpa": st.floats(-20.0, 40.0)}),
            st.fixed_dictionaries({"compliance_ul_per_hpa": st.floats(0.005, 0.5)}),
            st.fixed_dictionaries({"is_occluded": st.booleans()}),
            st.fixed_dictionaries({"is_connected": st.booleans()}),
        ),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(EVENTS)
def test_what_was_pumped_is_at_the_tip_or_leaked_or_stored_at_every_event(events):
    condition, now_ns = HEALTHY, 0
    catheter = Catheter(condition)
    at_first_ul = catheter.stored_ul(0)
    for wait_s, event in events:
        now_ns += to_ns(wait_s)
        before = (catheter.pumped_ul(now_ns), catheter.tip_ul(now_ns))
        if isinstance(event, HeadLaw):
            catheter.feed(now_ns, event)
        else:
            condition = replace(condition, **event)
            catheter.change(now_ns, condition)
        assert (catheter.pumped_ul(now_ns), catheter.tip_ul(now_ns)) == before
        pumped_ul = catheter.pumped_ul(now_ns)
        kept_ul = catheter.stored_ul(now_ns) - at_first_ul
        accounted_ul = math.fsum([catheter.tip_ul(now_ns), catheter.leaked_ul(now_ns), kept_ul])
        assert accounted_ul == pytest.approx(pumped_ul, rel=1e-9, abs=1e-9 * (1.0 + abs(catheter.tip_ul(now_ns))))


def test_a_steady_flow_arrives_whole_behind_a_pressure_of_flow_times_resistance():
    catheter = Catheter(HEALTHY)
    catheter.feed(0, basal())
    day_ns = to_ns(86_400.0)
    held_ul = BASAL_UL_PER_S * TAU_S
    assert catheter.tip_ul(day_ns) == pytest.approx(500.0 - held_ul, rel=1e-9)
    assert catheter.pressure_hpa(day_ns) == pytest.approx(12.0 + BASAL_UL_PER_S * 400.0, rel=1e-9)


def test_an_occlusion_keeps_all_of_it_back_and_gives_it_as_a_bolus_when_it_opens():
    """domain.md: bolus ≈ C·P; and no pump without a sensor can know."""
    catheter = Catheter(HEALTHY)
    catheter.feed(0, basal())
    shut_ns, open_ns = to_ns(86_400.0), to_ns(90_000.0)
    catheter.change(shut_ns, replace(HEALTHY, is_occluded=True))
    held_ul = 3600.0 * BASAL_UL_PER_S
    assert catheter.tip_ul(open_ns) == catheter.tip_ul(shut_ns)
    assert catheter.pressure_hpa(open_ns) - catheter.pressure_hpa(shut_ns) == pytest.approx(held_ul / 0.05, rel=1e-9)
    catheter.change(open_ns, HEALTHY)
    after_ns = open_ns + to_ns(10 * TAU_S)
    bolus_ul = catheter.tip_ul(after_ns) - catheter.tip_ul(open_ns) - 10 * TAU_S * BASAL_UL_PER_S
    assert bolus_ul == pytest.approx(held_ul * -math.expm1(-10.0), rel=1e-9)


def test_a_kink_is_no_change_of_dose_once_the_pressure_has_risen():
    catheter = Catheter(HEALTHY)
    catheter.feed(0, basal())
    catheter.change(to_ns(1e4), replace(HEALTHY, resistance_hpa_s_per_ul=40_000.0))
    later_ns = to_ns(2e5)
    day_ul = catheter.tip_ul(later_ns + to_ns(86_400.0)) - catheter.tip_ul(later_ns)
    assert day_ul == pytest.approx(500.0, rel=1e-9)
    assert catheter.pressure_hpa(later_ns) == pytest.approx(12.0 + BASAL_UL_PER_S * 40_000.0, rel=1e-9)


def test_a_catheter_that_came_off_loses_all_and_what_it_had_stored():
    catheter = Catheter(HEALTHY)
    catheter.feed(0, basal())
    off_ns = to_ns(1e4)
    stored_ul, tip_ul = catheter.stored_ul(off_ns), catheter.tip_ul(off_ns)
    catheter.change(off_ns, replace(HEALTHY, is_connected=False))
    assert catheter.outlet_hpa == catheter.pressure_hpa(off_ns) == 0.0
    assert (catheter.leak.at_ul, catheter.leak.share) == (0.0, 1.0)
    later_ns = to_ns(5e4)
    assert catheter.tip_ul(later_ns) == tip_ul
    assert catheter.leaked_ul(later_ns) == pytest.approx(stored_ul + 4e4 * BASAL_UL_PER_S, rel=1e-12)


def test_a_tip_that_rises_takes_back_what_its_column_needs_and_then_the_dose_is_as_before():
    catheter = Catheter(HEALTHY)
    catheter.feed(0, basal())
    up_ns = to_ns(1e4)
    raised_hpa = column_hpa(300.0, 1000.0)
    assert raised_hpa == pytest.approx(29.41995, rel=1e-12)
    catheter.change(up_ns, replace(HEALTHY, tip_pressure_hpa=12.0 + raised_hpa))
    later_ns = up_ns + to_ns(1e4)
    arrived_ul = catheter.tip_ul(later_ns) - catheter.tip_ul(up_ns)
    assert arrived_ul == pytest.approx(1e4 * BASAL_UL_PER_S - 0.05 * raised_hpa, rel=1e-9)


def test_a_stopped_pump_drains_into_the_tip_and_then_nothing_moves():
    catheter = Catheter(HEALTHY)
    catheter.feed(0, basal())
    catheter.feed(to_ns(1e4), basal(0.0))
    year_ns = to_ns(3.2e7)
    assert catheter.pressure_hpa(year_ns) == pytest.approx(12.0, rel=1e-12)
    assert catheter.tip_ul(year_ns) == pytest.approx(1e4 * BASAL_UL_PER_S, rel=1e-12)


def test_a_real_head_feels_the_tip_it_works_against(profile):
    world = World()
    effects = PumpEffects(pressure_slope_per_hpa=1e-4, reservoir_pressure_hpa=500.0, leak_ul_per_h_per_hpa=1e-3)
    head = Head(world, profile, effects, Thermostat(world, profile.head_temperature_c, effects))
    catheter = Catheter(HEALTHY)
    head.run(round(10e-3 / 20.0 * 3600e12))
    law = head.law(world.now_ns, catheter.outlet_hpa)
    catheter.feed(world.now_ns, law)
    end_ns = law.end_ns
    q, over_hpa = 20.0 / 3600.0, 500.0 - 12.0
    steady = q * (1.0 + 1e-4 * over_hpa) + 1e-3 / 3600.0 * over_hpa
    loss = 1e-4 * q + 1e-3 / 3600.0
    slope = (catheter.passed_ul(end_ns) - catheter.passed_ul(end_ns - NS_PER_S)) / 1.0
    assert slope == pytest.approx(steady / (1.0 + loss * 400.0), rel=1e-9)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"compliance_ul_per_hpa": 0.0}, "compliance_ul_per_hpa = 0.0 must be above 0"),
        ({"resistance_hpa_s_per_ul": float("nan")}, "resistance_hpa_s_per_ul = nan must be above 0"),
        ({"leak_share": 1.1}, "leak_share = 1.1 is no share; it must be 0 to 1"),
        ({"leak_at_ul": -1.0}, "leak_at_ul = -1.0 must be at least 0"),
    ],
)
def test_a_catheter_that_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(HEALTHY, **wrong)


def test_the_past_before_the_last_event_is_not_answered_wrongly():
    catheter = Catheter(HEALTHY)
    catheter.feed(to_ns(10.0), basal())
    with pytest.raises(ValueError, match="9000000000 ns lies before the last event, 10000000000 ns"):
        catheter.tip_ul(to_ns(9.0))
