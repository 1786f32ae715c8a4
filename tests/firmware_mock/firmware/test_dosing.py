"""Dosing commands: exactly once, by an id that only rises, under a token that works once."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from protocol import CommandState, Commit, EventCode, Mode, NakReason, Proposal, ProposeBolus, ProposeContinuous


def delivered(result):
    return (result.state, result.delivered_low_ul, result.delivered_high_ul)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.005, 1000.0), st.floats(8.0, 12.0), st.floats(2.0, 1000.0))
def test_a_bolus_is_the_whole_number_of_steps_that_was_announced(host, volume_ul, step_volume_nl, rate_ul_per_h):
    pump = host()
    pump.do(protocol.ProposeCalibration(1, step_volume_nl))
    before = pump.head.counted_steps(pump.world.now_ns)
    proposal = pump.propose(ProposeBolus(2, volume_ul, rate_ul_per_h))
    if not isinstance(proposal, Proposal):
        assert volume_ul < 0.5 * step_volume_nl * 1e-3
        return
    canonical = protocol.decode_payload(ProposeBolus.TYPE, proposal.canonical)
    rounding = 0.51 if volume_ul < 999.9 else 1.01
    assert canonical.volume_ul == pytest.approx(volume_ul, abs=rounding * 1e-3 * step_volume_nl)
    assert canonical.volume_ul <= 1000.0
    pump.commit(proposal)
    pump.world.sleep(3600.0 * canonical.volume_ul / canonical.rate_ul_per_h + 60.0)
    steps = pump.head.counted_steps(pump.world.now_ns) - before
    assert steps * (step_volume_nl * 1e-3) == canonical.volume_ul
    assert delivered(pump.result(2)) == (CommandState.DONE, canonical.volume_ul, canonical.volume_ul)
    assert pump.status().mode == Mode.STOPPED


def test_a_bolus_hands_back_to_the_infusion_it_suspended(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(3600.0)
    _, result = pump.do(ProposeBolus(2, 50.0, 500.0))
    assert result.state == CommandState.RUNNING
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.active_command_id) == (Mode.BOLUS, 500.0, 2)
    pump.world.sleep(180.0)
    assert pump.result(2).delivered_low_ul == pytest.approx(25.0, abs=0.02)
    assert pump.result(1).delivered_low_ul == pytest.approx(100.0, abs=0.02)
    pump.world.sleep(180.0 + 3600.0)
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.active_command_id) == (Mode.CONTINUOUS, 100.0, 1)
    assert delivered(pump.result(2)) == (CommandState.DONE, 50.0, 50.0)
    assert pump.result(1).delivered_low_ul == pytest.approx(200.0, abs=0.02)
    assert status.delivered_ul == pytest.approx(250.0, abs=0.03)


def test_a_bolus_rate_of_zero_asks_for_the_models(host):
    canonical, _ = host().do(ProposeBolus(1, 10.0, 0.0))
    assert canonical.rate_ul_per_h == 1000.0


def test_a_commit_repeated_under_a_new_seq_starts_nothing_twice(host):
    pump = host()
    proposal = pump.propose(ProposeBolus(1, 10.0, 0.0))
    pump.commit(proposal)
    pump.world.sleep(3600.0)
    assert delivered(pump.commit(proposal)) == (CommandState.DONE, 10.0, 10.0)
    pump.world.sleep(3600.0)
    assert pump.status().steps == 1000


def test_ids_rise_strictly_and_skipped_ones_are_gone(host):
    pump = host()
    pump.do(ProposeContinuous(10, 100.0, 0))
    for stale in (0, 9, 10):
        nak = pump.ask(ProposeContinuous(stale, 100.0, 0))
        assert (nak.reason, nak.detail) == (NakReason.STALE_COMMAND_ID, "command_id must be above 10")
    assert pump.ask(protocol.HelloRequest(1, 0, 1)).last_command_id == 10
    assert pump.result(9).state == CommandState.UNKNOWN
    assert pump.result(11).state == CommandState.UNKNOWN
    assert pump.result(0).state == CommandState.UNKNOWN


def test_old_results_are_forgotten_and_said_to_be(host):
    pump = host()
    for command_id in range(1, 41):
        pump.do(ProposeBolus(command_id, 0.1, 0.0))
        pump.world.sleep(10.0)
    assert pump.result(1).state == CommandState.FORGOTTEN
    assert pump.result(40).state == CommandState.DONE


def test_the_id_is_in_memory_before_the_first_step(host):
    pump = host()
    proposal = pump.propose(ProposeContinuous(7, 100.0, 0))
    remembered = []
    pump.head.on_change = lambda: remembered.append(pump.pump._nvram.memory.last_command_id)
    pump.commit(proposal)
    assert remembered == [7]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: Commit(p.command_id, p.token ^ 1, p.digest),
        lambda p: Commit(p.command_id + 1, p.token, p.digest),
        lambda p: Commit(p.command_id, p.token, bytes(8)),
    ],
)
def test_a_wrong_token_id_or_digest_starts_nothing_and_spoils_nothing(host, spoil):
    pump = host()
    proposal = pump.propose(ProposeContinuous(1, 100.0, 0))
    assert pump.ask(spoil(proposal)).reason == NakReason.BAD_TOKEN
    assert pump.status().mode == Mode.STOPPED
    assert pump.commit(proposal).state == CommandState.RUNNING


def test_a_newer_proposal_replaces_the_one_that_waits(host):
    pump = host()
    older = pump.propose(ProposeContinuous(1, 100.0, 0))
    newer = pump.propose(ProposeContinuous(1, 200.0, 0))
    assert pump.commit(older).reason == NakReason.BAD_TOKEN
    pump.commit(newer)
    assert pump.status().rate_ul_per_h == 200.0


def test_asking_for_the_result_of_a_proposal_that_waits_kills_its_token_and_no_other(host):
    pump = host()
    proposal = pump.propose(ProposeContinuous(7, 100.0, 0))
    assert pump.result(6).state == pump.result(8).state == CommandState.UNKNOWN
    assert pump.commit(proposal).state == CommandState.RUNNING
    proposal = pump.propose(ProposeContinuous(8, 200.0, 0))
    assert pump.result(8).state == CommandState.UNKNOWN
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    assert pump.status().rate_ul_per_h == 100.0
    assert pump.propose(ProposeContinuous(8, 200.0, 0)).command_id == 8


def test_a_token_expires_and_says_how_long_it_was_good(host):
    pump = host()
    proposal = pump.propose(ProposeContinuous(1, 100.0, 0))
    assert proposal.expires_in_ms == 30_000
    pump.world.sleep(29.0)
    proposal = pump.propose(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(31.0)
    nak = pump.commit(proposal)
    assert (nak.reason, nak.detail) == (NakReason.EXPIRED, "the token was good for 30 s")
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    assert pump.status().mode == Mode.STOPPED


def test_a_token_lives_in_real_time_where_the_world_is_served_faster(host):
    pump = host()
    pump.world.served_speed = 60.0
    proposal = pump.propose(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(29.0 * 60.0)
    assert pump.commit(proposal).state == CommandState.RUNNING


def test_stop_ends_what_runs_and_says_what_was_delivered(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.do(ProposeBolus(2, 50.0, 500.0))
    pump.world.sleep(180.0)
    stopped = pump.stop()
    assert stopped.steps == pump.status().steps
    assert pump.result(2).state == pump.result(1).state == CommandState.STOPPED
    assert pump.result(2).delivered_high_ul == pytest.approx(25.0, abs=0.02)
    pump.world.sleep(3600.0)
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.active_command_id) == (Mode.STOPPED, 0.0, 0)
    assert (status.steps, status.delivered_ul) == (stopped.steps, stopped.delivered_ul)


def test_a_stopped_pump_can_be_stopped(host):
    pump = host()
    assert pump.stop().steps == pump.stop().steps == 0


def test_every_stop_is_on_record(host):
    pump = host()
    pump.do(ProposeContinuous(4, 100.0, 0))
    pump.stop()
    pump.stop()
    codes = [(event.code, event.argument) for event in pump.hear(1.0)]
    assert codes[2:] == [(EventCode.STOPPED, 4), (EventCode.STOPPED, 0)]


def test_no_late_commit_restarts_a_stopped_pump(host):
    pump = host()
    proposal = pump.propose(ProposeContinuous(5, 100.0, 0))
    pump.stop()
    assert delivered(pump.commit(proposal)) == (CommandState.STOPPED, 0.0, 0.0)
    assert pump.ask(ProposeContinuous(5, 100.0, 0)).reason == NakReason.STALE_COMMAND_ID
    pump.world.sleep(3600.0)
    assert (pump.status().mode, pump.status().steps) == (Mode.STOPPED, 0)
    assert pump.do(ProposeContinuous(6, 100.0, 0))[1].state == CommandState.RUNNING


def test_a_second_infusion_replaces_the_first(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(3600.0)
    pump.do(ProposeContinuous(2, 200.0, 0))
    pump.world.sleep(3600.0)
    assert pump.result(1).state == CommandState.STOPPED
    assert pump.result(1).delivered_high_ul == pytest.approx(100.0, abs=0.02)
    assert pump.result(2).delivered_high_ul == pytest.approx(200.0, abs=0.02)


def test_after_a_reset_the_infusion_resumes_and_a_bolus_does_not(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.do(ProposeBolus(2, 50.0, 500.0))
    pump.world.sleep(180.0)
    proposal = pump.propose(protocol.ProposeContinuous(3, 100.0, 0))
    assert proposal.reason == NakReason.BUSY
    pump.pump.reboot()
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h, status.boot_id, status.last_command_id) == (Mode.CONTINUOUS, 100.0, 2, 2)
    assert status.delivered_ul == pytest.approx(0.0, abs=0.02)
    assert status.reservoir_ul == pytest.approx(20_000.0 - 25.0, abs=0.05)
    assert pump.result(2).state == CommandState.INTERRUPTED
    assert pump.result(2).delivered_high_ul == pytest.approx(25.0, abs=0.02)
    assert pump.result(1).state == CommandState.RUNNING


def test_a_reset_forgets_token_and_stream(host):
    pump = host()
    pump.ask(protocol.Subscribe(1, 1000))
    proposal = pump.propose(ProposeContinuous(1, 100.0, 0))
    pump.pump.reboot()
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    pump.hear(0.1)
    assert pump.hear(10.0) == []


def test_starts_and_ends_are_announced_in_sequence(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.do(ProposeBolus(2, 1.0, 0.0))
    pump.world.sleep(60.0)
    pump.stop()
    pump.do(protocol.ProposeCalibration(3, 10.5))
    pump.pump.reboot()
    events = pump.hear(1.0)
    assert [(event.code, event.argument) for event in events] == [
        (EventCode.BOOT, protocol.ResetCause.POWER_ON),
        (EventCode.STARTED, 1),
        (EventCode.STARTED, 2),
        (EventCode.BOLUS_DONE, 2),
        (EventCode.STOPPED, 1),
        (EventCode.CALIBRATION_WRITTEN, 3),
        (EventCode.BOOT, protocol.ResetCause.SOFTWARE),
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6, 1]
    assert math.isclose(events[3].device_time_us - events[2].device_time_us, 3_600_000, abs_tol=1)
