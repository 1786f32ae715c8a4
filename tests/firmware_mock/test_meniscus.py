"""Stick-slip of the contact line: bounded, without drift, a function of the level's path."""

from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.physics.meniscus import StickSlip


def line(seed=0):
    return StickSlip(Random(seed), jump_mg=0.04, pitch_mm=0.02)


@given(st.lists(st.floats(-0.3, 0.3), max_size=40), st.integers(0, 99))
def test_the_force_is_bounded_on_every_path(moves, seed):
    contact = line(seed)
    for move in moves:
        contact.move(move)
        assert -0.03 - 1e-12 <= contact.force_mg <= 0.03 + 1e-12


@given(st.floats(0.0, 1.0), st.integers(1, 50))
def test_a_rise_in_many_steps_ends_as_a_rise_in_one(rise_mm, steps):
    at_once, in_steps = line(), line()
    at_once.move(rise_mm)
    for _ in range(steps):
        in_steps.move(rise_mm / steps)
    if at_once.slips == in_steps.slips:
        assert in_steps.force_mg == pytest.approx(at_once.force_mg, abs=1e-9)
    else:
        assert abs(at_once.slips - in_steps.slips) == 1


def test_a_jump_of_the_stated_force_comes_at_every_pitch_on_average():
    contact = line()
    contact.move(20.0)
    assert contact.slips == pytest.approx(1000, rel=0.03)


def test_rising_levels_show_no_drift_of_the_force():
    contact = line()
    forces = []
    for _ in range(40_000):
        contact.move(0.0005)
        forces.append(contact.force_mg)
    first, second = fmean(forces[:20_000]), fmean(forces[20_000:])
    assert first == pytest.approx(second, abs=0.001)


def test_the_phase_at_the_start_is_random():
    starts = [line(seed).force_mg for seed in range(300)]
    assert max(starts) - min(starts) > 0.035
    assert len(set(starts)) == 300


def test_a_level_that_turns_back_first_moves_the_force_without_a_slip():
    contact = line()
    contact.move(1.0)
    slips, before_mg = contact.slips, contact.force_mg
    contact.move(-0.002)
    assert contact.slips == slips
    assert contact.force_mg == pytest.approx(before_mg - 0.004)
