"""The line: an exponential tail, a stopcock, trapped liquid and a bubble, each against its own law."""

import math

import pytest
from scipy.integrate import solve_ivp

from firmware_mock.physics.effects import LineEffects
from firmware_mock.physics.water import water_density_mg_per_ul
from firmware_mock.scenario import ScenarioError
from firmware_mock.world import NS_PER_S, to_ns

HEAD_DENSITY = water_density_mg_per_ul(37.0)
ROOM_DENSITY = water_density_mg_per_ul(20.0)
TAU_S = 20.0


def test_head_and_line_solve_the_law_as_it_is_written(flow):
    """The whole law with back-pressure from the line itself, by an ODE solver, without pulsation and bubble."""
    rig = flow(
        line={"compliance_tail": True, "compliance_ul_per_hpa": 0.05, "outlet_pressure_hpa": 20.0},
        unit_error_pct=3.0,
        pressure_slope_per_hpa=1e-4,
        reservoir_pressure_hpa=40.0,
        leak_ul_per_h_per_hpa=0.02,
        wear_coefficient=1e-4,
        revolutions_before=1000,
        creep_pct=2.0,
        creep_time_h=1.0,
        temperature_coefficient_per_k=1e-3,
        head_temperature_offset_k=-1.0,
    )
    steps_per_s = 1000.0 / 3600.0 / 10e-3
    leak = 0.02 / 3600.0
    density_36 = water_density_mg_per_ul(36.0)

    def slope(t, state):
        stored_ul, _ = state
        build_up_hpa = stored_ul * density_36 / ROOM_DENSITY / 0.05
        over_reservoir_hpa = 20.0 + build_up_hpa - 40.0
        wear = 1 - 1e-4 * math.sqrt(1000 + steps_per_s * t / 200)
        creep = 1 + 0.02 * math.exp(-t / 3600.0)
        stroke = steps_per_s * 10e-3 * 1.03 * wear * creep * (1 - 1e-3)
        pumped = stroke * (1 - 1e-4 * over_reservoir_hpa) - leak * over_reservoir_hpa
        left = stored_ul / TAU_S
        return [pumped - left, left]

    end_s = 2.5 * 3600
    solved = solve_ivp(slope, (0.0, end_s), [0.0, 0.0], method="DOP853", rtol=1e-11, atol=1e-11)
    rig.run(1000.0)
    rig.world.sleep(end_s)
    assert rig.out_mg() / density_36 == pytest.approx(solved.y[1, -1], rel=3e-6)
    assert rig.line.stored_mg(rig.world.now_ns) / density_36 == pytest.approx(solved.y[0, -1], rel=2e-4)


def test_the_flow_arrives_and_ends_with_an_exponential_tail(flow):
    rig = flow(line={"compliance_tail": True})
    flow_mg_per_s = HEAD_DENSITY * 1000.0 / 3600.0
    rig.run(1000.0)
    for t_s in (5.0, 20.0, 100.0):
        rig.world.run_until(to_ns(t_s))
        lag_s = TAU_S * (1 - math.exp(-t_s / TAU_S))
        assert rig.out_mg() == pytest.approx(flow_mg_per_s * (t_s - lag_s), rel=1e-9)
    stored_mg = rig.pumped_mg() - rig.out_mg()
    out_mg = rig.out_mg()
    rig.head.halt()
    rig.world.sleep(30.0)
    assert rig.out_mg() - out_mg == pytest.approx(stored_mg * (1 - math.exp(-30.0 / TAU_S)), rel=1e-9)
    assert rig.truth().evidence["line.compliance"] == 2


def test_without_the_tail_flow_arrives_at_once(flow):
    rig = flow()
    rig.run(1000.0)
    rig.world.sleep(60.0)
    assert rig.out_mg() == pytest.approx(HEAD_DENSITY * 1000.0 / 60.0, rel=1e-4)
    assert not rig.truth().evidence


def test_pulsation_reaches_the_outlet_damped_as_a_first_order_line_damps_it(flow):
    rig = flow(line={"compliance_tail": True}, pulsation_1_pct=20.0, seed=3)
    rig.run(1000.0)
    rig.world.sleep(600.0)
    turns = [(rig.world.now_ns / NS_PER_S, rig.out_mg())]
    for _ in range(240):
        rig.world.sleep(0.01)
        turns.append((rig.world.now_ns / NS_PER_S, rig.out_mg()))
    flow_mg_per_s = HEAD_DENSITY * 1000.0 / 3600.0
    omega = 2 * math.pi / 2.4
    ripple = [mass - turns[0][1] - flow_mg_per_s * (t_s - turns[0][0]) for t_s, mass in turns]
    expected = 2 * 0.2 * flow_mg_per_s / omega / math.hypot(1.0, omega * TAU_S)
    assert max(ripple) - min(ripple) == pytest.approx(expected, rel=1e-3)


def test_a_closed_stopcock_builds_pressure_and_releases_it_as_a_bolus(flow):
    """The occlusion model of domain.md: what comes after reopening is C·P."""
    rig = flow(line={"compliance_tail": True, "compliance_ul_per_hpa": 0.05})
    rig.line.set_stopcock(False)
    rig.run(1000.0)
    rig.world.sleep(60.0)
    rig.head.halt()
    volume_ul = 1000.0 / 60.0 * HEAD_DENSITY / ROOM_DENSITY
    assert rig.out_mg() == 0.0
    assert rig.pressure_hpa() == pytest.approx(volume_ul / 0.05, rel=1e-9)
    rig.world.sleep(3600.0)
    assert rig.out_mg() == 0.0
    rig.line.set_stopcock(True)
    assert rig.out_mg() == 0.0
    rig.world.sleep(TAU_S)
    assert rig.out_mg() == pytest.approx(volume_ul * ROOM_DENSITY * (1 - math.exp(-1.0)), rel=1e-9)
    rig.world.sleep(3600.0)
    assert rig.out_mg() == pytest.approx(rig.pumped_mg(), rel=1e-9)
    assert rig.pressure_hpa() == pytest.approx(0.0, abs=1e-9)


def test_turning_the_stopcock_to_where_it_stands_does_nothing(flow):
    rig = flow()
    rig.line.set_stopcock(True)
    assert rig.line.stopcock_open
    assert not rig.truth().evidence["line.stopcock"]


def test_pressure_takes_its_share_of_the_stroke(flow):
    rig = flow(line={"compliance_ul_per_hpa": 0.01}, pressure_slope_per_hpa=1e-3)
    rig.line.set_stopcock(False)
    rig.run(1000.0)
    rig.world.sleep(3600.0)
    assert rig.pressure_hpa() == pytest.approx(1000.0, rel=1e-6)


@pytest.mark.parametrize(("wall_expansion_per_k", "expected_ul"), [(0.0, 1.1), (1.4e-4, 0.4)])
def test_five_millilitres_trapped_swell_by_what_the_wall_leaves(flow, wall_expansion_per_k, expected_ul):
    """1.1 µL/K for 5 mL (domain.md section 3), at 21.5 °C and in a rigid tube."""
    rig = flow(
        line={"trapped_expansion": True},
        tubing={"trapped_volume_ul": 5000.0, "wall_expansion_per_k": wall_expansion_per_k},
    )
    rig.room.temperatures.append((to_ns(1.0), 22.0))
    rig.room.temperatures.append((to_ns(2.0), 23.0))
    rig.world.sleep(1.0)
    at_22_mg = rig.out_mg()
    rig.world.sleep(1.0)
    assert (rig.out_mg() - at_22_mg) / ROOM_DENSITY == pytest.approx(expected_ul, abs=0.08)


def test_a_closed_stopcock_keeps_the_expansion_until_it_is_opened(flow):
    rig = flow(line={"trapped_expansion": True, "compliance_tail": True}, tubing={"trapped_volume_ul": 5000.0})
    rig.line.set_stopcock(False)
    rig.room.temperatures.append((to_ns(1.0), 24.0))
    rig.world.sleep(1000.0)
    assert rig.out_mg() == 0.0
    pressurised_ul = rig.pressure_hpa() * 0.1
    assert pressurised_ul > 1.0
    rig.line.set_stopcock(True)
    rig.world.sleep(1000.0)
    assert rig.out_mg() / ROOM_DENSITY == pytest.approx(pressurised_ul, rel=1e-9)


def test_a_bubble_breathes_with_the_barometer_through_an_open_stopcock_only(flow):
    rig = flow(line={"bubble_ul": 50.0})
    rig.room.pressures += [(to_ns(1.0), 1003.25), (to_ns(3.0), 1013.25), (to_ns(5.0), 1003.25)]
    swelling_mg = ROOM_DENSITY * 50.0 * (1013.25 / 1003.25 - 1.0)
    rig.world.sleep(2.0)
    assert rig.out_mg() == pytest.approx(swelling_mg)
    rig.world.sleep(2.0)
    assert rig.out_mg() == pytest.approx(0.0, abs=1e-12)
    rig.line.set_stopcock(False)
    rig.world.sleep(2.0)
    assert rig.out_mg() == 0.0
    rig.line.set_stopcock(True)
    rig.world.sleep(2.0)
    assert rig.out_mg() == pytest.approx(swelling_mg)
    assert rig.truth().evidence["line.bubble"]


def test_a_bubble_is_compressed_by_the_law_of_boyle(flow):
    """Volume pumped into a closed line = C·P + V₀(1 - P₀/P_abs), absolute pressures."""
    rig = flow(line={"bubble_ul": 50.0})
    rig.line.set_stopcock(False)
    rig.run(1000.0)
    rig.world.sleep(300.0)
    pressure_hpa = rig.pressure_hpa()
    held_ul = 0.1 * pressure_hpa + 50.0 * (1.0 - 1013.25 / (1013.25 + pressure_hpa))
    assert held_ul == pytest.approx(1000.0 / 12.0 * HEAD_DENSITY / ROOM_DENSITY, rel=1e-9)


def test_a_compressed_bubble_relaxes_as_its_differential_equation_says(flow):
    rig = flow(line={"bubble_ul": 50.0, "compliance_tail": True})
    rig.line.set_stopcock(False)
    rig.run(1000.0)
    rig.world.sleep(300.0)
    rig.head.halt()
    rig.line.set_stopcock(True)
    held_ul, start_hpa = rig.pumped_mg() / ROOM_DENSITY, rig.pressure_hpa()

    def slope(_, pressure_hpa):
        compliance = 0.1 + 50.0 * 1013.25 / (1013.25 + pressure_hpa[0]) ** 2
        return [-pressure_hpa[0] / (TAU_S / 0.1) / compliance]

    start_ns = rig.world.now_ns
    for t_s in (5.0, 20.0, 60.0, 200.0):
        solved = solve_ivp(slope, (0.0, t_s), [start_hpa], rtol=1e-9, atol=1e-9)
        pressure_hpa = solved.y[0, -1]
        left_ul = held_ul - 0.1 * pressure_hpa - 50.0 * (1.0 - 1013.25 / (1013.25 + pressure_hpa))
        rig.world.run_until(start_ns + to_ns(t_s))
        assert rig.out_mg() / ROOM_DENSITY == pytest.approx(left_ul, abs=0.005 * held_ul)


def test_an_empty_reservoir_gives_nothing_and_the_motor_does_not_know(flow):
    rig = flow(contents_ul=100.0, pulsation_1_pct=20.0)
    rig.run(1000.0)
    rig.world.sleep(355.0)
    assert not rig.reservoir.empty
    rig.world.sleep(10.0)
    assert rig.reservoir.empty
    assert rig.pumped_mg() == pytest.approx(100.0 * HEAD_DENSITY, rel=1e-9)
    rig.world.sleep(3600.0)
    assert rig.pumped_mg() == pytest.approx(100.0 * HEAD_DENSITY, rel=1e-9)
    assert rig.head.counted_steps(rig.world.now_ns) == 110_138
    truth = rig.truth()
    assert truth.evidence["pump.reservoir_empty"]
    assert truth.realised_volume_ul(0, rig.world.now_ns) == pytest.approx(100.0, rel=1e-9)


@pytest.mark.parametrize(
    ("effects", "evidence"),
    [
        ({"unit_error_pct": 1.0}, "pump.unit_error"),
        ({"seat_scatter_pct": 0.1}, "pump.seat"),
        ({"pulsation_2_pct": 1.0}, "pump.pulsation"),
        ({"pressure_slope_per_hpa": 1e-5}, "pump.back_pressure"),
        ({"leak_ul_per_h_per_hpa": 1e-5, "reservoir_pressure_hpa": 10.0}, "pump.leak"),
        ({"wear_coefficient": 1e-5}, "pump.wear"),
        ({"creep_pct": 1.0}, "pump.creep"),
        ({"temperature_coefficient_per_k": 1e-3, "head_temperature_ripple_k": 0.1}, "pump.temperature"),
    ],
)
def test_each_effect_leaves_evidence_and_an_ideal_pump_none(flow, effects, evidence):
    rig = flow(**effects)
    rig.run(100.0)
    rig.world.sleep(3600.0)
    assert rig.truth().evidence[evidence] > 0
    ideal = flow()
    ideal.run(100.0)
    ideal.world.sleep(3600.0)
    assert not ideal.truth().evidence


def test_a_line_that_cannot_swell_is_refused():
    with pytest.raises(ScenarioError, match=r"\[line\] compliance_ul_per_hpa = 0.0 must be above 0"):
        LineEffects(compliance_ul_per_hpa=0.0)


def test_an_idle_year_is_one_segment(flow):
    rig = flow(line={"compliance_tail": True, "bubble_ul": 20.0, "trapped_expansion": True})
    rig.world.sleep(365 * 86_400)
    assert len(rig.truth().segments) < 40
