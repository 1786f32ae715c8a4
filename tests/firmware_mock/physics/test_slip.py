"""A rotor that makes a share of the steps it is driven to, fewer or more, from any instant on and in any command."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.thermostat import Thermostat
from firmware_mock.world import World
from protocol.profile import load_model

ALL = 1_000_000


def head_of(world):
    profile, effects = load_model("implantable-20ml"), PumpEffects()
    return Head(world, profile, effects, Thermostat(world, profile.head_temperature_c, effects))


changes = st.lists(st.tuples(st.integers(0, 10**12), st.integers(10_000, 5 * ALL)), max_size=8)


@given(changes, st.integers(10**9, 10**12), st.one_of(st.none(), st.integers(1, 5_000)))
def test_steps_made_are_the_share_of_those_due(sequence, period_ps, planned):
    world = World()
    head = head_of(world)
    due_ns = None
    if planned is None:
        head.run(period_ps)
    else:
        due_ns = head.run_steps(period_ps, planned)
        assert due_ns == -(-planned * period_ps // 1000)
    due, made, share = Fraction(0), Fraction(0), Fraction(1)
    for wait_ns, made_ppm in [*sequence, (10**10, ALL)]:
        world.run_until(world.now_ns + wait_ns)
        steps = Fraction(wait_ns * 1000, period_ps)
        if planned is not None:
            steps = min(steps, planned - due)
        due, made = due + steps, made + share * steps
        assert abs(head.counted_steps(world.now_ns) - made) <= Fraction(101, 100)
        share = Fraction(made_ppm, ALL)
        head.slip(made_ppm)
        assert head.follows == (made_ppm == ALL)


@given(st.integers(1, 5_000), st.integers(10_000, 5 * ALL))
def test_a_command_for_steps_ends_when_it_is_due_with_its_share_of_them(planned, made_ppm):
    world = World()
    head = head_of(world)
    head.slip(made_ppm)
    due_ns = head.run_steps(36_000_000_007, planned)
    world.run_until(due_ns)
    assert head.counted_steps(world.now_ns) == planned * made_ppm // ALL
    assert head.steps_per_s(world.now_ns) == 0.0


def test_what_flows_is_what_it_turns():
    world = World()
    head = head_of(world)
    head.run(36_000_000_000)
    whole = head.law(world.now_ns, 0.0).mean_ul_per_s
    head.slip(800_000)
    assert head.law(world.now_ns, 0.0).mean_ul_per_s == pytest.approx(0.8 * whole)


def test_it_slips_on_after_a_stall():
    world = World()
    head = head_of(world)
    head.run(36_000_000_000)
    head.stall(held=True)
    head.slip(500_000)
    head.free()
    world.sleep(36.0)
    assert head.counted_steps(world.now_ns) == 500


@given(st.integers(1, 2_000), st.integers(0, 10**11), st.integers(0, 10**11), st.integers(10_000, 3 * ALL))
def test_a_slip_that_begins_in_a_stall_takes_its_share_of_what_is_due_after_it(planned, slips_ns, more_ns, made_ppm):
    """The rotor stands from the beginning on, slips from some instant on, and is free later."""
    world = World()
    head = head_of(world)
    head.stall(held=True)
    due_ns = head.run_steps(36_000_000_000, planned)
    world.run_until(slips_ns)
    head.slip(made_ppm)
    world.run_until(slips_ns + more_ns)
    head.free()
    left = max(0, due_ns - world.now_ns)
    world.run_until(due_ns + 10**10)
    made = Fraction(left, 36_000_000) * Fraction(made_ppm, ALL)
    assert abs(head.counted_steps(world.now_ns) - made) <= Fraction(101, 100)


def test_none_at_all_is_a_stall_and_no_slip():
    with pytest.raises(ValueError, match="made_ppm = 0 must be above 0"):
        head_of(World()).slip(0)
