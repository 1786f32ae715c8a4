"""From reservoir to tip: nothing is lost or made up at any event, and drug comes when what lay before it has left."""

from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_mock import World
from firmware_mock.physics.catheter import Catheter, Condition
from firmware_mock.physics.effects import PumpEffects
from firmware_mock.physics.head import Head
from firmware_mock.physics.infusion import Infusion
from firmware_mock.physics.propellant import Bellows, PressureCurve, Propellant
from firmware_mock.physics.reservoir import Reservoir
from firmware_mock.physics.thermostat import Thermostat
from firmware_mock.world import NS_PER_S
from protocol.profile import load_model

PROFILE = load_model("implantable-20ml")
HEALTHY = Condition(compliance_ul_per_hpa=0.02, resistance_hpa_s_per_ul=3.0, tip_pressure_hpa=12.0)
HOUR_NS = 3600 * NS_PER_S
WAY_UL = 375.0
CURVE = PressureCurve(
    Propellant(1360.0, 37.0, 3400.0), Bellows(400.0, 20_000.0, 2e-3, 0.4), temperature_c=37.0, atmosphere_hpa=1013.25
)


class Bench:
    """An infusion with its world; `worst` is the largest error of its accounts at any of its cuts."""

    def __init__(self, *, contents_ul=20_000.0, ug_per_ml=500.0, curve=None, condition=HEALTHY, **effects):
        self.world = World()
        truth = PumpEffects(**effects)
        self.head = Head(self.world, PROFILE, truth, Thermostat(self.world, PROFILE.head_temperature_c, truth))
        self.infusion = Infusion(
            self.world,
            self.head,
            Reservoir(contents_ul, concentration_ug_per_ml=ug_per_ml),
            curve,
            Catheter(condition),
            tubing_ul=199.0,
            catheter_ul=176.0,
            leak_ul_per_h_per_hpa=truth.leak_ul_per_h_per_hpa,
        )
        self.condition = condition
        self.worst = 0.0
        self.arrivals = []
        self.infusion.on_cut = self._cut
        self.infusion.on_tip = lambda time_ns: self.arrivals.append((time_ns, self.infusion.at_tip_ug_per_ml))

    def run(self, rate_ul_per_h):
        self.head.run(round(PROFILE.step_volume_nl * 1e-3 / rate_ul_per_h * 3600 * 1e12))

    def change(self, **what):
        self.condition = replace(self.condition, **what)
        self.infusion.change_catheter(self.condition)

    def wait(self, hours):
        self.world.run_until(self.world.now_ns + round(hours * HOUR_NS))

    def _cut(self):
        self.worst = max(self.worst, self.infusion.balance().error)


acts = st.one_of(
    st.tuples(st.just("run"), st.floats(0.25, 1000.0)),
    st.tuples(st.just("steps"), st.integers(1, 20_000)),
    st.tuples(st.just("halt"), st.none()),
    st.tuples(st.just("stall"), st.none()),
    st.tuples(st.just("stroke"), st.floats(0.5, 1.5)),
    st.tuples(st.just("kink"), st.floats(1.0, 1e6)),
    st.tuples(st.just("leak"), st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 176.0))),
    st.tuples(st.just("shut"), st.booleans()),
    st.tuples(st.just("connected"), st.booleans()),
    st.tuples(st.just("tip"), st.floats(-30.0, 60.0)),
    st.tuples(st.just("refill"), st.tuples(st.floats(0.0, 25_000.0), st.floats(0.0, 4000.0), st.floats(0.0, 1.0))),
    st.tuples(st.just("withdraw"), st.floats(0.0, 20_000.0)),
    st.tuples(st.just("wait"), st.floats(1e-4, 300.0)),
)


def do(bench, act, how):
    match act:
        case "run":
            bench.run(how)
        case "steps":
            bench.head.run_steps(36_000_000_000, how)
        case "halt":
            bench.head.halt()
        case "stall":
            bench.head.stall()
        case "stroke":
            bench.head.change_stroke(how)
        case "kink":
            bench.change(resistance_hpa_s_per_ul=3.0 * how)
        case "leak":
            bench.change(leak_share=how[0], leak_at_ul=how[1])
        case "shut":
            bench.change(is_occluded=how)
        case "connected":
            bench.change(is_connected=how)
        case "tip":
            bench.change(tip_pressure_hpa=how)
        case "refill":
            bench.infusion.inject(how[0], how[1], pocketed_share=how[2])
        case "withdraw":
            bench.infusion.withdraw(how)
        case "wait":
            bench.wait(how)


@settings(max_examples=150)
@given(
    st.lists(acts, min_size=3, max_size=25),
    st.sampled_from([None, CURVE]),
    st.sampled_from(
        [{}, {"leak_ul_per_h_per_hpa": 0.01, "pressure_slope_per_hpa": 1e-4, "reservoir_pressure_hpa": 300.0}]
    ),
)
def test_nothing_is_lost_or_made_up_at_any_event(sequence, curve, effects):
    bench = Bench(curve=curve, **effects)
    bench.run(20.0)
    for act, how in sequence:
        do(bench, act, how)
    bench.wait(30.0)
    assert bench.worst <= 1e-9
    assert bench.infusion.balance().error <= 1e-9


def test_an_account_that_loses_a_little_shows():
    bench = Bench()
    bench.run(20.0)
    bench.wait(100.0)
    bench.infusion.reservoir.contents_ul -= 1e-3
    assert bench.infusion.balance().error == pytest.approx(1e-3 / 20_000.0)
    bench.infusion.tip_ug += 1e-3
    assert abs(bench.infusion.balance().drug_error_ug) == pytest.approx(1e-3)


def test_a_steady_rate_arrives_as_volume_and_drug():
    bench = Bench()
    bench.run(20.0)
    bench.wait(240.0)
    now_ns = bench.world.now_ns
    bench.infusion.settle()
    assert bench.infusion.tip_ul(now_ns) == pytest.approx(4800.0, abs=0.01)
    assert bench.infusion.tip_ug == pytest.approx(2400.0, abs=0.01)
    assert bench.infusion.contents_ul(now_ns) == pytest.approx(15_200.0, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_new_drug_is_at_the_tip_when_what_lay_before_it_has_left(share):
    bench = Bench()
    bench.change(leak_share=share, leak_at_ul=66.0)
    bench.infusion.withdraw(0.0)
    bench.infusion.inject(20_000.0, 2000.0, pocketed_share=0.0)
    bench.run(10.0)
    bench.wait(100.0)
    before_leak_ul, behind_ul = 199.0 + 66.0, 110.0
    hours = (before_leak_ul + behind_ul / (1.0 - share)) / 10.0
    [(arrival_ns, ug_per_ml)] = bench.arrivals
    assert ug_per_ml == 2000.0
    assert arrival_ns / HOUR_NS == pytest.approx(hours, abs=1e-3)


def test_a_mixture_of_rest_and_refill_arrives_at_its_concentration():
    bench = Bench()
    bench.infusion.withdraw(5000.0)
    bench.infusion.inject(15_000.0, 2000.0, pocketed_share=0.0)
    bench.run(50.0)
    bench.wait(10.0)
    [(_, ug_per_ml)] = bench.arrivals
    assert ug_per_ml == pytest.approx((5.0 * 500.0 + 15.0 * 2000.0) / 20.0)


def test_the_reservoir_runs_dry_at_its_instant_and_gives_again_after_a_refill():
    bench = Bench(contents_ul=1000.0)
    bench.run(100.0)
    bench.wait(9.999)
    assert bench.infusion.pumped_ul(bench.world.now_ns) == pytest.approx(999.9, abs=1e-6)
    assert not bench.infusion.reservoir.empty
    bench.wait(0.001 + 1e-9)
    assert bench.infusion.reservoir.empty
    bench.wait(20.0)
    assert bench.infusion.pumped_ul(bench.world.now_ns) == pytest.approx(1000.0, abs=1e-9)
    bench.infusion.inject(500.0, 500.0, pocketed_share=0.2)
    bench.wait(20.0)
    assert bench.infusion.pumped_ul(bench.world.now_ns) == pytest.approx(1400.0, abs=1e-9)
    assert bench.infusion.balance().error <= 1e-9


def test_what_a_catheter_stored_arrives_when_it_opens():
    bench = Bench(condition=replace(HEALTHY, compliance_ul_per_hpa=0.05), pressure_slope_per_hpa=1e-4)
    bench.run(8.0)
    bench.wait(1.0)
    bench.change(is_occluded=True)
    before_ul = bench.infusion.tip_ul(bench.world.now_ns)
    bench.wait(24.0)
    assert bench.infusion.tip_ul(bench.world.now_ns) == before_ul
    bench.change(is_occluded=False)
    bench.wait(0.01)
    arrived_ul = bench.infusion.tip_ul(bench.world.now_ns) - before_ul
    slope, compliance = 1e-4, 0.05
    tau_h = compliance / (slope * 8.0)
    stored_ul = compliance / slope * (1.0 - 2.718281828459045 ** (-24.0 / tau_h))
    assert arrived_ul == pytest.approx(stored_ul, rel=0.01)


def test_an_overfilled_reservoir_drives_liquid_past_the_rollers_as_a_fine_march_does():
    """Against Euler's rule in steps of a second, with the pump standing: dV/dt = -G (P(V) - P_out)."""
    bench = Bench(contents_ul=22_000.0, curve=CURVE, leak_ul_per_h_per_hpa=0.05)
    bench.wait(24.0)
    contents_ul = 22_000.0
    for _ in range(24 * 3600):
        contents_ul -= 0.05 / 3600.0 * (CURVE.pressure_hpa(contents_ul) - 12.0)
    assert bench.infusion.contents_ul(bench.world.now_ns) == pytest.approx(contents_ul, abs=0.05)


def test_drug_that_came_off_at_the_connector_never_reaches_the_tip():
    bench = Bench()
    bench.run(20.0)
    bench.wait(24.0)
    bench.change(is_connected=False)
    tip_ug = bench.infusion.tip_ug
    bench.wait(240.0)
    bench.infusion.settle()
    assert bench.infusion.tip_ug == tip_ug
    assert bench.infusion.leaked_ug == pytest.approx(0.5 * (20.0 * 240.0 + 12.0 * 0.02), abs=1e-3)


def test_segments_of_a_day_give_what_segments_of_an_hour_give():
    short, long = Bench(pulsation_1_pct=8.0), Bench(pulsation_1_pct=8.0)
    long.head.longest_ns = 24 * HOUR_NS
    for bench in (short, long):
        bench.run(20.0)
        bench.wait(99.7)
    volumes_ul = [bench.infusion.tip_ul(bench.world.now_ns) for bench in (short, long)]
    assert volumes_ul[0] == pytest.approx(volumes_ul[1], rel=1e-9)


def test_leaving_a_world_books_the_last_segment():
    bench = Bench()
    bench.run(20.0)
    bench.wait(0.5)
    bench.world.close()
    assert bench.infusion.reservoir.drawn_ul == pytest.approx(10.0, abs=1e-3)
    assert fsum((bench.infusion.reservoir.contents_ul, bench.infusion.reservoir.drawn_ul)) == pytest.approx(20_000.0)
