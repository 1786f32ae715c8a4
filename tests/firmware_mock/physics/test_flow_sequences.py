"""Head and line through any sequence of commands: nothing is lost, asking changes nothing, the ledger has it all."""

import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_mock.physics.water import water_density_mg_per_ul
from firmware_mock.world import to_ns

HEAD_DENSITY = water_density_mg_per_ul(37.0)
EVERYTHING = {
    "seat_scatter_pct": 1.0,
    "pulsation_1_pct": 20.0,
    "pulsation_2_pct": 5.0,
    "pressure_slope_per_hpa": 1e-4,
    "reservoir_pressure_hpa": 30.0,
    "leak_ul_per_h_per_hpa": 1e-3,
    "wear_coefficient": 1e-4,
    "creep_pct": 3.0,
    "creep_time_h": 1.0,
    "temperature_coefficient_per_k": 1e-3,
    "head_temperature_ripple_k": 0.5,
}
WHOLE_LINE = {"compliance_tail": True, "outlet_pressure_hpa": 5.0, "bubble_ul": 20.0, "trapped_expansion": True}

operations = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.floats(2.0, 1000.0)),
        st.tuples(st.just("halt")),
        st.tuples(st.just("stopcock"), st.booleans()),
        st.tuples(st.just("warm"), st.floats(15.0, 25.0)),
        st.tuples(st.just("barometer"), st.floats(980.0, 1040.0)),
        st.tuples(st.just("wait"), st.floats(0.0, 10_000.0)),
    ),
    min_size=1,
    max_size=15,
)
many_stations = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def carry_out(rig, operation):
    next_ns = rig.world.now_ns + 1
    match operation:
        case ("run", rate_ul_per_h):
            rig.run(rate_ul_per_h)
        case ("halt",):
            rig.head.halt()
        case ("stopcock", is_open):
            rig.line.set_stopcock(is_open)
        case ("warm", temperature_c):
            rig.room.temperatures.append((next_ns, temperature_c))
        case ("barometer", pressure_hpa):
            rig.room.pressures.append((next_ns, pressure_hpa))
        case ("wait", seconds):
            rig.world.sleep(seconds)


@many_stations
@given(operations)
def test_what_left_the_head_has_left_the_outlet_or_is_in_the_line(flow, sequence):
    rig = flow(line=WHOLE_LINE, **EVERYTHING)
    for operation in sequence:
        carry_out(rig, operation)
        t_ns = rig.world.now_ns
        kept_mg = rig.out_mg() + rig.line.stored_mg(t_ns)
        assert kept_mg == pytest.approx(rig.pumped_mg(), abs=1e-9)


@many_stations
@given(operations, st.lists(st.floats(0.0, 1.0), max_size=5))
def test_asking_more_often_changes_nothing(flow, sequence, moments):
    asked, left_alone = flow(line=WHOLE_LINE, **EVERYTHING), flow(line=WHOLE_LINE, **EVERYTHING)
    for operation in sequence:
        if operation[0] == "wait":
            start_ns = asked.world.now_ns
            for moment in sorted(moments):
                asked.world.run_until(start_ns + to_ns(operation[1] * moment))
                asked.out_mg(), asked.pumped_mg(), asked.pressure_hpa()
            asked.world.run_until(start_ns + to_ns(operation[1]))
        else:
            carry_out(asked, operation)
        carry_out(left_alone, operation)
        assert asked.out_mg() == left_alone.out_mg()
        assert asked.pressure_hpa() == left_alone.pressure_hpa()
    assert asked.truth().segments == left_alone.truth().segments
    assert asked.world.trace_hash() == left_alone.world.trace_hash()


@many_stations
@given(operations)
def test_the_past_can_be_asked_again(flow, sequence):
    rig = flow(line=WHOLE_LINE, **EVERYTHING)
    seen = []
    for operation in sequence:
        carry_out(rig, operation)
        if operation[0] == "wait" and operation[1]:
            seen.append((rig.world.now_ns, rig.out_mg()))
    for t_ns, out_mg in seen:
        assert rig.line.mass_out_mg(t_ns) == pytest.approx(out_mg, abs=1e-9)


@many_stations
@given(operations)
def test_the_ledger_covers_all_time_and_all_that_was_pumped(flow, sequence):
    steady = {**EVERYTHING, "head_temperature_ripple_k": 0.0}
    rig = flow(line=WHOLE_LINE, contents_ul=3_000.0, **steady)
    for operation in sequence:
        carry_out(rig, operation)
    end_ns, pumped_mg, steps = rig.world.now_ns, rig.pumped_mg(), rig.head.counted_steps(rig.world.now_ns)
    segments = rig.truth().segments
    if end_ns:
        assert (segments[0].start_ns, segments[-1].end_ns) == (0, end_ns)
    assert all(one.end_ns == other.start_ns for one, other in itertools.pairwise(segments))
    assert sum(segment.steps for segment in segments) == steps
    assert math.fsum(s.realised_volume_ul for s in segments) == pytest.approx(pumped_mg / HEAD_DENSITY, abs=1e-8)
    assert rig.reservoir.contents_ul == pytest.approx(3_000.0 - pumped_mg / HEAD_DENSITY, abs=1e-7)


def test_the_mean_law_leaves_out_pulsation_and_seat_and_keeps_the_rest(flow):
    shared = {key: EVERYTHING[key] for key in EVERYTHING if not key.startswith(("seat", "pulsation"))}
    line = {**WHOLE_LINE, "bubble_ul": 0.0}
    noisy, plain = flow(line=line, seed=5, **EVERYTHING), flow(line=line, seed=5, **shared)
    for rig in (noisy, plain):
        for rate_ul_per_h in (1000.0, 3.0, 200.0):
            rig.run(rate_ul_per_h)
            rig.world.sleep(4000.0)
        rig.head.halt()
        rig.world.sleep(4000.0)
    end_ns = noisy.world.now_ns
    noisy_truth, plain_truth = noisy.truth(), plain.truth()
    assert noisy_truth.mean_volume_ul(0, end_ns) == pytest.approx(plain_truth.realised_volume_ul(0, end_ns), rel=1e-12)
    assert noisy_truth.mean_volume_ul(0, end_ns) != pytest.approx(noisy_truth.realised_volume_ul(0, end_ns), rel=1e-5)
