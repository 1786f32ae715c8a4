"""The peristaltic head: its law term by term, and a rotor whose steps are counted exactly."""

import math
from fractions import Fraction
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.thermostat import Thermostat
from firmware_mock.physics.water import water_density_mg_per_ul
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import NS_PER_S, World, to_ns
from protocol.profile import load_model

HOUR_NS = 3600 * NS_PER_S
HEAD_DENSITY = water_density_mg_per_ul(37.0)
PERIOD_1000_PS = 36_000_000_000
STEPS_PER_REVOLUTION = 200
REVOLUTION_S = 7.2


def head_of(world, **effects):
    profile, effects = load_model("implantable-20ml"), PumpEffects(**effects)
    return Head(world, profile, effects, Thermostat(world, profile.head_temperature_c, effects))


commands = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(10**6, 10**14)),
        st.tuples(st.just("steps"), st.integers(10**6, 10**12), st.integers(1, 10_000)),
        st.tuples(st.just("halt")),
        st.tuples(st.just("stall"), st.booleans()),
        st.tuples(st.just("free")),
        st.tuples(st.just("wait"), st.integers(0, 10**12)),
    ),
    max_size=30,
)


@given(commands)
def test_counted_steps_are_the_floor_of_the_way_the_rotor_has_turned(sequence):
    world = World()
    head = head_of(world, revolutions_before=5)
    exact, period_ps, left = Fraction(1000), None, None
    stalls = is_held = False
    for command in sequence:
        match command:
            case ("run", period_ps):
                left, stalls = None, is_held
                head.run(period_ps)
            case ("steps", period_ps, steps):
                left, stalls = Fraction(steps), is_held
                due_ns = head.run_steps(period_ps, steps)
                assert due_ns == world.now_ns + math.ceil(Fraction(steps * period_ps, 1000))
            case ("halt",):
                period_ps, stalls = None, False
                head.halt()
            case ("stall", held):
                is_held, stalls = is_held or held, period_ps is not None
                head.stall(held=held)
            case ("free",):
                is_held = stalls = False
                head.free()
            case ("wait", wait_ns):
                world.run_until(world.now_ns + wait_ns)
                if period_ps is not None:
                    turned = Fraction(wait_ns * 1000, period_ps)
                    turned = turned if left is None else min(turned, left)
                    left = None if left is None else left - turned
                    exact += 0 if stalls else turned
    rounding = Fraction(len(sequence), 2**40)
    counted = head.counted_steps(world.now_ns)
    assert math.floor(exact - rounding) <= counted <= math.floor(exact)


def test_a_rotor_that_stalls_says_so_and_when_it_made_its_last_step():
    world = World()
    head = head_of(world)
    slips = []
    head.on_slip = lambda: slips.append((world.now_ns, head.stalled_since_ns))
    head.stall()
    head.run(10**12)
    world.run_until(10_500_000_000)
    head.stall()
    world.run_until(20_000_000_000)
    assert head.counts_ns(head.counted_steps(world.now_ns) + 1) is None
    head.free()
    assert slips == [(10_500_000_000, 10_000_000_000), (20_000_000_000, None)]
    head.stall(held=True)
    head.halt()
    head.run(10**12)
    assert head.stalled_since_ns == world.now_ns
    assert head.steps_per_s(world.now_ns) == 0.0


@given(st.integers(1, 100_000), st.integers(10**6, 10**13), st.integers(1, 10**12))
def test_a_run_of_steps_counts_exactly_those_wherever_it_begins(steps, period_ps, before_ns):
    world = World()
    head = head_of(world)
    head.run(7_777_777_777)
    world.run_until(before_ns)
    counted = head.counted_steps(world.now_ns)
    done_ns = head.run_steps(period_ps, steps)
    assert head.counted_steps(done_ns) == counted + steps
    assert head.counted_steps(done_ns + 10**15) == counted + steps
    if period_ps > 2000:
        assert head.counted_steps(done_ns - 1) <= counted + steps
        assert head.counted_steps(done_ns - 1 - period_ps // 1000) < counted + steps


@given(st.integers(1, 10**6), st.integers(10**6, 10**12))
def test_the_instant_a_count_is_reached_is_the_first_at_which_it_shows(steps, period_ps):
    world = World()
    head = head_of(world)
    head.run(period_ps)
    reached_ns = head.counts_ns(steps)
    assert head.counted_steps(reached_ns) >= steps
    assert head.counted_steps(reached_ns - 1) < steps


def test_a_count_that_the_motor_will_not_make_has_no_instant():
    world = World()
    head = head_of(world)
    assert head.counts_ns(1) is None
    head.run_steps(PERIOD_1000_PS, 10)
    assert head.counts_ns(10) is not None
    assert head.counts_ns(11) is None
    assert head.counts_ns(0) == 0


def test_a_period_of_nothing_is_refused():
    with pytest.raises(ValueError, match="not positive"):
        head_of(World()).run(0)


def test_an_ideal_head_moves_its_nominal_volume():
    head = head_of(World())
    head.run(PERIOD_1000_PS)
    law = head.law(0, 0.0)
    assert law.mean_ul_per_s * 3600 == pytest.approx(1000.0, rel=1e-12)
    assert (law.seat, law.creep, law.waves, law.leak_ul_per_s, law.evidence) == (1.0, 0.0, (), 0.0, ())
    assert law.end_ns == HOUR_NS


def test_the_law_is_the_product_of_its_terms():
    """Every factor written out by hand from domain.md section 1, at 1000 µL/h nominal."""
    head = head_of(
        World(),
        unit_error_pct=2.0,
        pressure_slope_per_hpa=1e-4,
        reservoir_pressure_hpa=50.0,
        leak_ul_per_h_per_hpa=0.01,
        wear_coefficient=1e-4,
        wear_exponent=0.5,
        revolutions_before=10_000,
        temperature_coefficient_per_k=1e-3,
        head_temperature_offset_k=-2.0,
    )
    head.run(PERIOD_1000_PS)
    law = head.law(0, 150.0)
    step = 1.02
    pressure = 1 - 1e-4 * (150.0 - 50.0)
    wear = 1 - 1e-4 * math.sqrt(10_000 + (law.end_ns / NS_PER_S / REVOLUTION_S) / 2)
    warming = 1 + 1e-3 * -2.0
    assert law.mean_ul_per_s * 3600 == pytest.approx(1000.0 * step * pressure * wear * warming, rel=1e-6)
    assert law.leak_ul_per_s * 3600 == pytest.approx(0.01 * (50.0 - 150.0))
    unloaded = 1000.0 * step * wear * warming
    assert law.loss_ul_per_s_per_hpa * 3600 == pytest.approx(1e-4 * unloaded + 0.01, rel=1e-6)
    assert law.head_temperature_c == 35.0


def test_the_unit_error_is_drawn_once_per_seed():
    def unit_error(seed):
        world = World(seed=seed)
        head_of(world, unit_error_pct=1.0, unit_error_standard_pct=2.0)
        world.close()
        return world.ledger.open().facts["pump.unit_error_pct"]

    errors = [unit_error(seed) for seed in range(300)]
    assert unit_error(7) == errors[7]
    assert fmean(errors) == pytest.approx(1.0, abs=0.4)
    assert stdev(errors) == pytest.approx(2.0, abs=0.3)


def test_each_start_and_change_of_rate_seats_the_tubing_anew():
    world = World()
    head = head_of(world, seat_scatter_pct=0.15)
    seats = []
    for number in range(400):
        head.run(PERIOD_1000_PS + number % 2)
        world.sleep(1.0)
        law = head.law(world.now_ns, 0.0)
        assert law.averaged().seat == 1.0
        seats.append(100.0 * (law.seat - 1.0))
    assert len(set(seats)) == 400
    assert fmean(seats) == pytest.approx(0.0, abs=0.03)
    assert stdev(seats) == pytest.approx(0.15, abs=0.02)


def test_pulsation_averages_out_over_a_revolution_and_swings_as_its_integral(flow):
    rig = flow(seed=4, pulsation_1_pct=10.0)
    rig.run(1000.0)
    per_revolution_mg = STEPS_PER_REVOLUTION * 10e-3 * HEAD_DENSITY
    excess = []
    for tenth in range(1, 301):
        rig.world.run_until(to_ns(tenth * REVOLUTION_S / 100.0))
        excess.append(rig.pumped_mg() - per_revolution_mg * tenth / 100.0)
    assert excess[99] == pytest.approx(0.0, abs=1e-9)
    assert excess[299] == pytest.approx(0.0, abs=1e-9)
    swing = 0.10 * per_revolution_mg / (math.pi * 3)
    assert max(excess) - min(excess) == pytest.approx(swing, rel=1e-3)


def test_the_rotor_keeps_its_phase_through_a_halt(flow):
    whole, halved = flow(seed=4, pulsation_1_pct=10.0), flow(seed=4, pulsation_1_pct=10.0)
    whole.run(1000.0)
    whole.world.sleep(2.0)
    halved.run(1000.0)
    halved.world.sleep(0.7)
    halved.head.halt()
    halved.world.sleep(1234.5)
    halved.run(1000.0)
    halved.world.sleep(1.3)
    assert halved.pumped_mg() == pytest.approx(whole.pumped_mg(), abs=1e-9)


def test_creep_decays_with_the_hours_run_alone(flow):
    rig = flow(creep_pct=2.0, creep_time_h=3.0, creep_hours_before=1.0)
    rig.world.sleep(50 * 3600)
    rig.run(100.0)
    rig.world.sleep(2 * 3600)
    rig.head.halt()
    rig.world.sleep(50 * 3600)
    rig.run(100.0)
    rig.world.sleep(3 * 3600)
    integral_h = 3.0 * (math.exp(-1.0 / 3.0) - math.exp(-6.0 / 3.0))
    assert rig.pumped_mg() / HEAD_DENSITY == pytest.approx(100.0 * (5.0 + 0.02 * integral_h), rel=1e-9)


def test_wear_takes_its_exact_integral_over_the_revolutions(flow):
    rig = flow(wear_coefficient=1e-3, wear_exponent=0.5)
    rig.run(1000.0)
    rig.world.sleep(10 * 3600)
    revolutions = 10 * 3600 / REVOLUTION_S
    lost = 1e-3 * revolutions**1.5 / 1.5
    expected_ul = (revolutions - lost) * STEPS_PER_REVOLUTION * 10e-3
    assert rig.pumped_mg() / HEAD_DENSITY == pytest.approx(expected_ul, rel=2e-6)


def test_the_leak_flows_at_standstill_and_backwards_against_pressure(flow):
    rig = flow(leak_ul_per_h_per_hpa=0.001, reservoir_pressure_hpa=50.0, line={"outlet_pressure_hpa": 150.0})
    rig.world.sleep(10 * 3600)
    assert rig.pumped_mg() / HEAD_DENSITY == pytest.approx(0.001 * (50.0 - 150.0) * 10, rel=1e-3)
    truth = rig.truth()
    assert truth.mean_volume_ul(0, 10 * HOUR_NS) == pytest.approx(-1.0, rel=1e-3)
    assert truth.evidence["pump.leak"] == 10


@settings(max_examples=30)
@given(st.floats(2.0, 1000.0), st.floats(0.01, 1.0), st.floats(0.0, 5.0))
def test_segments_end_before_wear_or_creep_change_much(rate_ul_per_h, wear, creep_pct):
    world = World()
    head = head_of(world, wear_coefficient=1e-2 * wear, creep_pct=creep_pct, creep_time_h=2.0)
    head.run(round(10e-3 / rate_ul_per_h * 3600e12))
    law = head.law(0, 0.0)
    assert 0 < law.end_ns <= HOUR_NS
    revolutions = rate_ul_per_h * law.end_ns / HOUR_NS / 2.0
    assert 1e-2 * wear * math.sqrt(revolutions) <= 1.01e-4
    assert creep_pct / 100.0 * (1 - math.exp(-law.end_ns / HOUR_NS / 2.0)) <= 4.01e-4


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        (
            {"pulsation_1_pct": 60.0, "pulsation_2_pct": -40.0},
            "pulsation_1_pct to pulsation_3_pct = 100.0 must be below",
        ),
        ({"seat_scatter_pct": -0.1}, r"\[pump\] seat_scatter_pct = -0.1 must be at least 0"),
        ({"wear_exponent": 0.0}, "wear_exponent = 0.0 must be above 0"),
        ({"creep_time_h": 0.0}, "creep_time_h = 0.0 must be above 0"),
        ({"battery_used_pct": 100.0}, "battery_used_pct = 100.0 must be 0 to below 100"),
        ({"clock_error_ppm": -1e6}, "clock_error_ppm = -1000000.0 must be -100000 to 100000"),
        ({"reservoir_overfill_pct": -101.0}, "reservoir_overfill_pct = -101.0 must be at least -100, which is empty"),
    ],
)
def test_effects_out_of_range_are_refused_by_key(effects, said):
    with pytest.raises(ScenarioError, match=said):
        PumpEffects(**effects)


@pytest.mark.parametrize("before_end_ns", range(8))
def test_worn_tubing_has_its_law_until_the_very_last_nanosecond_of_a_run(before_end_ns):
    """After five million revolutions a nanosecond of turning is below the resolution of their number."""
    world = World()
    head = head_of(world, wear_coefficient=2e-5, revolutions_before=5_000_000)
    world.run_until(head.run_steps(PERIOD_1000_PS, 100) - before_end_ns)
    law = head.law(world.now_ns, 0.0)
    worn = 1.0 - 2e-5 * 5e6**0.5
    turning = before_end_ns > 0
    assert law.mean_ul_per_s * 3600.0 == pytest.approx(1000.0 * worn if turning else 0.0, rel=2e-2)
