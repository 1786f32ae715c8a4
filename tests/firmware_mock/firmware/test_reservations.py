"""What is known of a dose after a loss of power: it lies between what was confirmed and what was reserved."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from firmware_mock.firmware.flash import PROGRAM_NS
from firmware_mock.firmware.step_journal import RECORD_BYTES
from firmware_mock.world import NS_PER_S
from protocol import CommandState, Mode, ProposeBolus, ProposeBridge, ProposeContinuous, ProposeTrial, ResetCause

BLOCK = 100
PER_EXAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def bounds_steps(result):
    return round(result.delivered_low_ul * 100), round(result.delivered_high_ul * 100)


@PER_EXAMPLE
@given(st.integers(1, 2_000), st.floats(0.0, 90.0))
def test_the_truth_about_an_interrupted_bolus_lies_in_its_block(host, truth, steps, cut_after_s):
    pump = host()
    made = truth(pump)
    pump.do(ProposeBolus(1, steps * 0.01, 1000.0))
    pump.world.sleep(cut_after_s)
    if pump.result(1).state == CommandState.DONE:
        return
    pump.pump.cut_power(10.0)
    was = made.steps()[1]
    pump.world.sleep(3600.0)
    pump.forget()
    assert made.steps()[1] == was
    result = pump.result(1)
    assert result.state == CommandState.INTERRUPTED
    assert bounds_steps(result) == (was // BLOCK * BLOCK, min(was // BLOCK * BLOCK + BLOCK, steps))
    status = pump.status()
    assert (status.mode, status.steps) == (Mode.STOPPED, bounds_steps(result)[1])
    assert status.reservoir_ul == pytest.approx(20_000.0 - result.delivered_high_ul)


@PER_EXAMPLE
@given(
    st.integers(1, 600),
    st.lists(st.tuples(st.floats(0.0, 20.0), st.sampled_from([250_000, 990_000, 1_100_000, 3_000_000])), max_size=3),
    st.floats(0.0, 5.0),
)
def test_a_rotor_that_makes_more_or_fewer_steps_than_are_due_stays_within_the_bounds(
    host, truth, steps, slips, cut_after_s
):
    pump = host()
    made = truth(pump)
    pump.do(ProposeBolus(1, steps * 0.01, 1000.0))
    for wait_s, made_ppm in slips:
        pump.world.sleep(wait_s)
        pump.head.slip(made_ppm)
    pump.world.sleep(cut_after_s)
    if pump.result(1).state != CommandState.RUNNING:
        return
    pump.pump.cut_power(10.0)
    was = made.steps()[1]
    pump.world.sleep(11.0)
    pump.forget()
    low, high = bounds_steps(pump.result(1))
    assert low <= was <= high <= low + BLOCK
    assert was > steps or high <= steps


def test_steps_made_beyond_the_last_that_is_due_were_reserved(host, truth):
    """A bolus of one step by a rotor that makes three of each: two are made when the power goes."""
    pump = host()
    made = truth(pump)
    pump.head.slip(3_000_000)
    pump.do(ProposeBolus(1, 0.01, 1000.0))
    pump.pump.cut_power_at(pump.head.counts_ns(2) + 1_000_000, 1.0)
    pump.world.sleep(2.0)
    pump.forget()
    assert made.steps()[1] == 2
    assert (pump.result(1).state, bounds_steps(pump.result(1))) == (CommandState.INTERRUPTED, (1, 1 + BLOCK))


@pytest.mark.parametrize("programmed_bytes", range(RECORD_BYTES + 2))
def test_a_torn_reservation_leaves_the_one_before(host, truth, programmed_bytes):
    pump = host()
    made = truth(pump)
    pump.do(ProposeBolus(1, 10.0, 1000.0))
    block_is_made_ns = pump.head.counts_ns(3 * BLOCK)
    pump.pump.cut_power_at(block_is_made_ns + programmed_bytes * PROGRAM_NS, 10.0)
    pump.world.sleep(60.0)
    pump.forget()
    assert made.steps()[1] == 3 * BLOCK
    bounds = bounds_steps(pump.result(1))
    assert bounds == ((2 * BLOCK, 3 * BLOCK) if programmed_bytes < RECORD_BYTES else (3 * BLOCK, 4 * BLOCK))


def test_basal_that_resumes_counts_on_between_its_bounds(host, truth):
    pump = host()
    made = truth(pump)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    for _ in range(5):
        pump.world.sleep(100.0)
        pump.pump.cut_power(7.0)
    pump.world.sleep(100.0)
    pump.forget()
    result = pump.result(1)
    low, high = bounds_steps(result)
    assert (result.state, high - low) == (CommandState.RUNNING, 5 * BLOCK)
    pump.stop()
    low, high = bounds_steps(pump.result(1))
    assert low <= made.steps()[1] <= high
    assert (pump.result(1).state, high - low) == (CommandState.STOPPED, 5 * BLOCK)


@pytest.mark.parametrize(
    ("request_", "last_mode"),
    [(ProposeTrial(1, 1000.0, 60, 0), Mode.STOPPED), (ProposeBridge(1, 16.66, 1000.0, 10.0, 0), Mode.CONTINUOUS)],
)
def test_a_limit_on_steps_is_kept_by_the_upper_end(host, truth, request_, last_mode):
    pump = host()
    made = truth(pump)
    pump.do(request_)
    for _ in range(3):
        pump.world.sleep(10.5)
        pump.pump.cut_power(5.0)
    pump.world.sleep(10.0)
    before = made.steps()[1]
    while pump.pump._nvram.memory.therapy is not None and pump.pump._nvram.memory.therapy.steps is not None:
        pump.world.sleep(0.036)
        before = made.steps()[1]
    pump.forget()
    assert 1666 - 3 * BLOCK <= before <= 1666 + 1
    assert pump.status().mode == last_mode


def test_what_was_confirmed_is_known_exactly_after_a_reset_with_power(host):
    pump = host()
    pump.do(ProposeBolus(1, 50.0, 500.0))
    pump.world.sleep(100.0)
    steps = pump.status().steps
    pump.pump.reboot()
    low, high = bounds_steps(pump.result(1))
    assert low == high == pytest.approx(steps, abs=1)


def test_a_cut_long_after_a_stop_leaves_nothing_in_doubt(host):
    pump = host()
    pump.do(ProposeContinuous(1, 500.0, 0))
    pump.world.sleep(1000.0)
    steps = pump.stop().steps
    before = pump.result(1)
    pump.world.sleep(1000.0)
    pump.pump.cut_power(100.0)
    pump.world.sleep(200.0)
    pump.forget()
    assert pump.result(1) == before
    assert pump.status().steps == steps


@pytest.mark.parametrize(("off_s", "cause"), [(0.2, ResetCause.BROWN_OUT), (2.0, ResetCause.POWER_ON)])
def test_the_pump_says_why_it_started(host, off_s, cause):
    pump = host()
    pump.pump.cut_power(off_s)
    pump.world.sleep(off_s + 1.0)
    pump.forget()
    assert pump.ask(protocol.FirmwareInformationRequest()).reset_cause == cause
    pump.pump.reboot()
    assert pump.ask(protocol.FirmwareInformationRequest()).reset_cause == ResetCause.SOFTWARE


def test_a_week_of_infusion_needs_no_event_for_its_reservations(host):
    pump = host()
    pump.do(ProposeContinuous(1, 50.0, 0))
    pump.hear(1.0)
    assert pump.world.next_event_ns() > 7 * 86_400 * NS_PER_S
