"""The closed form under the line, against a numerical solution of its differential equation."""

import cmath
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from firmware_mock.physics.relaxation import Relaxation


@st.composite
def relaxations(draw):
    amounts = st.floats(-5.0, 5.0).map(lambda amount: round(amount, 12))
    outlet = draw(st.sampled_from([0.0, 0.05, 0.5]))
    held_back = draw(st.sampled_from([0.0, 1e-4, 0.05]))
    decays = draw(st.lists(st.tuples(amounts, st.sampled_from([-0.3, -0.05, -1e-3, -1e-7])), max_size=2))
    waves = draw(
        st.lists(
            st.tuples(amounts, st.floats(0.0, 6.28), st.floats(0.1, 3.0), st.sampled_from([0.0, -0.02])), max_size=2
        )
    )
    return {
        "start": draw(amounts),
        "constant": draw(amounts),
        "decays": decays,
        "waves": [
            (amplitude * cmath.exp(1j * phase), complex(decay, omega)) for amplitude, phase, omega, decay in waves
        ],
        "relaxation": outlet + held_back,
        "outlet": outlet,
    }


@settings(max_examples=60)
@given(relaxations(), st.floats(0.5, 40.0))
def test_store_and_outflow_solve_their_differential_equation(case, t_s):
    def drive(t):
        decays = math.fsum(amplitude * math.exp(rate * t) for amplitude, rate in case["decays"])
        waves = math.fsum((amplitude * cmath.exp(frequency * t)).real for amplitude, frequency in case["waves"])
        return case["constant"] + decays + waves

    def slope(t, state):
        stored, _ = state
        return [drive(t) - case["relaxation"] * stored, case["outlet"] * stored]

    solved = solve_ivp(slope, (0.0, t_s), [case["start"], 0.0], method="DOP853", rtol=1e-10, atol=1e-10)
    relaxation = Relaxation(
        case["start"],
        case["constant"],
        case["decays"],
        case["waves"],
        relaxation_per_s=case["relaxation"],
        outlet_per_s=case["outlet"],
    )
    assert relaxation.stored_mg(t_s) == pytest.approx(solved.y[0, -1], abs=1e-7)
    assert relaxation.out_mg(t_s) == pytest.approx(solved.y[1, -1], abs=1e-6)


@given(relaxations())
def test_nothing_has_happened_at_the_start(case):
    relaxation = Relaxation(
        case["start"],
        case["constant"],
        case["decays"],
        case["waves"],
        relaxation_per_s=case["relaxation"],
        outlet_per_s=case["outlet"],
    )
    assert relaxation.stored_mg(0.0) == case["start"]
    assert relaxation.out_mg(0.0) == relaxation.entered_mg(0.0) == 0.0


def test_a_year_of_a_fast_store_does_not_overflow():
    relaxation = Relaxation(1.0, 1.0, [(1.0, -1e-9)], [], relaxation_per_s=1e3, outlet_per_s=1e3)
    year_s = 3.2e7
    assert relaxation.stored_mg(year_s) == pytest.approx((1.0 + math.exp(-1e-9 * year_s)) / 1e3)


def test_a_decay_as_fast_as_the_store_itself_has_its_limit():
    both = Relaxation(0.0, 0.0, [(2.0, -0.05)], [], relaxation_per_s=0.05, outlet_per_s=0.05)
    assert both.stored_mg(20.0) == pytest.approx(2.0 * 20.0 * math.exp(-1.0), rel=1e-12)


@given(st.floats(1e-9, 1e-3), st.floats(1.0, 3600.0))
def test_nearly_equal_rates_do_not_cancel(gap, t_s):
    assume(gap * t_s < 0.1)
    near = Relaxation(0.0, 0.0, [(1.0, -0.05 + gap)], [], relaxation_per_s=0.05, outlet_per_s=0.05).stored_mg(t_s)
    series = t_s * math.exp(-0.05 * t_s) * (1 + gap * t_s / 2 + (gap * t_s) ** 2 / 6 + (gap * t_s) ** 3 / 24)
    assert near == pytest.approx(series, rel=1e-4)
