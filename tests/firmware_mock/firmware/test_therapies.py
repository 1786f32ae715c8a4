"""The modes beyond continuous infusion and bolus: minimum rate, priming, bridge, trial; and the refill."""

import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import protocol
from protocol import (
    Alarm,
    CommandState,
    EventCode,
    Mode,
    NakReason,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeMinimumRate,
    ProposePrime,
    ProposeRefill,
    ProposeTrial,
    ResetCause,
    Telemetry,
    TherapyRequest,
)


def rises(pump, seconds):
    """The volume delivered in some seconds, by counted steps."""
    before = pump.head.counted_steps(pump.world.now_ns)
    pump.world.sleep(seconds)
    return (pump.head.counted_steps(pump.world.now_ns) - before) * 10e-3


def codes(pump):
    return [(event.code, event.argument) for event in pump.hear(0.1) if isinstance(event, protocol.Event)]


def test_the_minimum_rate_is_the_models_own(host):
    pump = host()
    canonical, result = pump.do(ProposeMinimumRate(1, 0.0, 0))
    assert canonical.rate_ul_per_h == pytest.approx(0.25, rel=1e-6)
    assert result.state == CommandState.RUNNING
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h) == (Mode.MINIMUM_RATE, canonical.rate_ul_per_h)
    assert rises(pump, 40 * 3600.0) == pytest.approx(10.0, abs=0.011)
    pump.do(ProposeContinuous(2, 100.0, 0))
    assert pump.status().mode == Mode.CONTINUOUS


@pytest.mark.parametrize("rate_ul_per_h", [0.25, -1.0, math.nan])
def test_a_host_cannot_choose_the_minimum_rate(host, rate_ul_per_h):
    nak = host().ask(ProposeMinimumRate(1, rate_ul_per_h, 0))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, "rate_ul_per_h must be 0: the pump has its own")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(1.0, 1000.0), st.floats(2.0, 1000.0), st.floats(2.0, 1000.0), st.floats(0.0, 1.2))
def test_a_bridge_gives_its_volume_and_goes_on_at_the_new_rate_whenever_it_is_reset(
    host, volume_ul, bridge_rate_ul_per_h, rate_ul_per_h, reset_after
):
    pump = host(filled_ul=1e6)
    canonical, _ = pump.do(ProposeBridge(1, volume_ul, bridge_rate_ul_per_h, rate_ul_per_h, 0))
    start_s, before = pump.world.monotonic(), pump.head.counted_steps(pump.world.now_ns)
    assert canonical.volume_ul == pytest.approx(volume_ul, abs=0.0101)
    bridge_s = 3600.0 * canonical.volume_ul / canonical.bridge_rate_ul_per_h
    pump.world.sleep(reset_after * bridge_s)
    pump.pump.reboot()
    longest_step_s = 36.0 / canonical.bridge_rate_ul_per_h
    pump.world.run_until(round((start_s + max(1.2 * bridge_s, bridge_s + longest_step_s)) * 1e9) + 1_000_000)
    given_ul = (pump.head.counted_steps(pump.world.now_ns) - before) * 10e-3
    most_s = pump.world.monotonic() - start_s - bridge_s
    latest_ul, earliest_ul = (canonical.rate_ul_per_h * s / 3600.0 for s in (most_s - longest_step_s, most_s))
    assert canonical.volume_ul + latest_ul - 0.0101 < given_ul < canonical.volume_ul + earliest_ul + 0.0101
    status = pump.status()
    assert (status.mode, status.rate_ul_per_h) == (Mode.CONTINUOUS, canonical.rate_ul_per_h)
    hours = 10.0 / canonical.rate_ul_per_h
    assert rises(pump, 3600.0 * hours) == pytest.approx(10.0, abs=0.011)
    assert pump.result(1).state == CommandState.RUNNING


def test_a_bridge_is_one_therapy_in_both_of_its_parts(host):
    """The worked example of domain.md: 0.375 mL of old drug at 0.2 mL/day take 45 h, then 0.05 mL/day."""
    pump = host()
    canonical, _ = pump.do(ProposeBridge(1, 375.0, 200.0 / 24.0, 50.0 / 24.0, 0))
    therapy = pump.ask(TherapyRequest())
    assert (therapy.command_id, therapy.propose_type) == (1, ProposeBridge.TYPE)
    assert protocol.decode_payload(therapy.propose_type, therapy.canonical) == canonical
    pump.world.sleep(44.9 * 3600.0)
    assert pump.status().mode == Mode.BRIDGE
    pump.world.sleep(0.2 * 3600.0)
    status = pump.status()
    assert (status.mode, status.active_command_id) == (Mode.CONTINUOUS, 1)
    assert pump.ask(TherapyRequest()) == therapy
    assert codes(pump) == [(EventCode.BOOT, ResetCause.POWER_ON), (EventCode.STARTED, 1), (EventCode.BRIDGE_DONE, 1)]
    pump.world.sleep(24 * 3600.0)
    pump.do(ProposeContinuous(2, 2.0, 0))
    result = pump.result(1)
    assert (result.state, result.delivered_high_ul) == (CommandState.STOPPED, pytest.approx(425.2, abs=0.1))


def test_while_the_old_drug_goes_out_no_bolus_pushes_it(host):
    pump = host()
    pump.do(ProposeBridge(1, 100.0, 100.0, 50.0, 0))
    for request in (ProposeBolus(2, 1.0, 0.0), ProposePrime(2, 1.0, 0.0)):
        nak = pump.ask(request)
        assert (nak.reason, nak.detail) == (NakReason.BUSY, "bridge 1 is under way")
    pump.world.sleep(3700.0)
    assert pump.do(ProposeBolus(2, 1.0, 0.0))[1].state == CommandState.RUNNING


def test_a_bridge_can_be_stopped_and_replaced(host):
    pump = host()
    pump.do(ProposeBridge(1, 100.0, 100.0, 50.0, 0))
    pump.world.sleep(1800.0)
    pump.stop()
    result = pump.result(1)
    assert (result.state, result.delivered_high_ul) == (CommandState.STOPPED, pytest.approx(50.0, abs=0.02))
    assert rises(pump, 7200.0) == 0.0
    pump.do(ProposeBridge(2, 100.0, 100.0, 50.0, 0))
    pump.do(ProposeContinuous(3, 1000.0, 0))
    assert rises(pump, 7200.0) == pytest.approx(2000.0, abs=0.02)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(2.0, 1000.0), st.integers(60, 200_000), st.booleans(), st.booleans())
def test_a_trial_gives_rate_times_duration_and_stands(host, rate_ul_per_h, duration_s, reset, bolus):
    pump = host(filled_ul=60_000.0)
    canonical, _ = pump.do(ProposeTrial(1, rate_ul_per_h, duration_s, 0))
    before = pump.head.counted_steps(pump.world.now_ns)
    assert (canonical.duration_s, pump.status().mode) == (duration_s, Mode.TRIAL)
    pump.world.sleep(0.4 * duration_s)
    if bolus:
        pump.do(ProposeBolus(2, 5.0, 1000.0))
    pump.world.sleep(0.3 * duration_s + 20.0)
    if reset:
        pump.pump.reboot()
    pump.world.sleep(0.4 * duration_s)
    assert pump.status().mode == Mode.STOPPED
    given_ul = (pump.head.counted_steps(pump.world.now_ns) - before) * 10e-3
    expected_ul = canonical.rate_ul_per_h * duration_s / 3600.0
    assert given_ul == pytest.approx(expected_ul + 5.0 * bolus, abs=0.011)
    result = pump.result(1)
    assert (result.state, result.delivered_high_ul) == (CommandState.DONE, pytest.approx(expected_ul, abs=0.011))
    assert pump.ask(TherapyRequest()) == protocol.Therapy(0, 0, b"")
    assert rises(pump, 3600.0) == 0.0


def test_a_trial_too_short_for_a_step_is_refused(host):
    nak = host().ask(ProposeTrial(1, 2.0, 17, 0))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, "duration_s below one step of 18 s")
    assert isinstance(host().ask(ProposeTrial(1, 2.0, 18, 0)), protocol.Proposal)


def test_the_end_of_a_trial_is_announced_as_such(host):
    pump = host()
    pump.do(ProposeTrial(7, 100.0, 60, 0))
    pump.world.sleep(100.0)
    assert codes(pump) == [(EventCode.BOOT, ResetCause.POWER_ON), (EventCode.STARTED, 7), (EventCode.TRIAL_DONE, 7)]


def test_a_refill_told_while_priming_runs_allows_no_second_priming(host):
    pump = host()
    pump.do(ProposePrime(1, 200.0, 0.0))
    pump.do(ProposeRefill(2, 15_000.0))
    pump.world.sleep(1000.0)
    assert pump.result(1).state == CommandState.DONE
    assert pump.ask(ProposePrime(3, 200.0, 0.0)).reason == NakReason.WRONG_STATE


@pytest.mark.parametrize(
    "request_",
    [
        ProposeContinuous(1, 10.0, 0),
        ProposeMinimumRate(1, 0.0, 0),
        ProposeBridge(1, 10.0, 10.0, 10.0, 0),
        ProposeTrial(1, 10.0, 3600, 0),
        ProposeBolus(1, 1.0, 0.0),
        ProposePrime(1, 1.0, 0.0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_nothing_is_dosed_from_an_empty_reservoir_until_it_is_refilled(host, request_):
    pump = host(filled_ul=0.0)
    nak = pump.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "the reservoir is empty")
    pump.do(ProposeRefill(1, 1000.0))
    assert pump.do(msgspec.structs.replace(request_, command_id=2))[1].state == CommandState.RUNNING


def test_priming_is_once_for_each_filling(host):
    pump = host()
    canonical, _ = pump.do(ProposePrime(1, 200.0, 0.0))
    assert canonical == ProposePrime(1, 200.0, 1000.0)
    assert pump.status().mode == Mode.PRIMING
    pump.world.sleep(1000.0)
    assert pump.result(1).state == CommandState.DONE
    pump.pump.reboot()
    pump.do(ProposeBolus(2, 1.0, 0.0))
    pump.stop()
    nak = pump.ask(ProposePrime(3, 200.0, 0.0))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "primed already; again only after a refill")
    pump.do(ProposeRefill(3, 15_000.0))
    pump.do(ProposePrime(4, 200.0, 0.0))
    pump.stop()
    assert pump.ask(ProposePrime(5, 200.0, 0.0)).reason == NakReason.WRONG_STATE


def test_a_refill_is_what_the_operator_measured_and_ends_the_reservoir_alarms(host):
    pump = host(filled_ul=100.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    pump.world.sleep(3600.0)
    assert pump.status().alarms == Alarm.LOW_RESERVOIR | Alarm.EMPTY_RESERVOIR
    pump.do(ProposeRefill(2, 2_500.0))
    status = pump.status()
    assert (status.alarms, status.mode, status.active_command_id) == (0, Mode.STOPPED, 0)
    assert pump.result(1).state == CommandState.STOPPED
    assert status.reservoir_ul == pytest.approx(2_500.0, abs=0.02)
    pump.do(ProposeContinuous(3, 1000.0, 0))
    pump.hear(0.1)
    assert [event.code for event in pump.hear(1790.0)] == []
    assert [event.code for event in pump.hear(20.0)] == [EventCode.LOW_RESERVOIR]
    entries = pump.alarms()
    assert (entries[Alarm.LOW_RESERVOIR].times, entries[Alarm.LOW_RESERVOIR].active) == (2, 1)
    assert (entries[Alarm.EMPTY_RESERVOIR].times, entries[Alarm.EMPTY_RESERVOIR].active) == (1, 0)


def test_a_bolus_hands_back_to_the_therapy_that_is_in_force(host):
    pump = host()
    assert pump.ask(TherapyRequest()) == protocol.Therapy(0, 0, b"")
    pump.do(ProposeBolus(1, 1.0, 0.0))
    assert pump.ask(TherapyRequest()) == protocol.Therapy(0, 0, b"")
    pump.world.sleep(60.0)
    canonical, _ = pump.do(ProposeMinimumRate(2, 0.0, 0))
    pump.do(ProposeBolus(3, 1.0, 0.0))
    therapy = pump.ask(TherapyRequest())
    assert (therapy.command_id, therapy.propose_type) == (2, ProposeMinimumRate.TYPE)
    assert protocol.decode_payload(therapy.propose_type, therapy.canonical) == canonical
    pump.world.sleep(60.0)
    assert pump.status().mode == Mode.MINIMUM_RATE


@pytest.mark.parametrize(
    ("request_", "detail"),
    [
        (ProposeContinuous(1, 10.0, 2), "on_lease_loss 2 is unknown"),
        (ProposePrime(1, 1000.1, 0.0), "volume_ul above the limit 1000 uL"),
        (ProposePrime(1, math.nan, 0.0), "volume_ul is no finite number"),
        (ProposePrime(1, 1.0, 1.0), "rate_ul_per_h below the limit 2 uL/h"),
        (ProposeBridge(1, 1000.1, 10.0, 10.0, 0), "volume_ul above the limit 1000 uL"),
        (ProposeBridge(1, 0.001, 10.0, 10.0, 0), "volume_ul below one step of 10 nL"),
        (ProposeBridge(1, 10.0, 1.0, 10.0, 0), "bridge_rate_ul_per_h below the limit 2 uL/h"),
        (ProposeBridge(1, 10.0, 10.0, 1001.0, 0), "rate_ul_per_h above the limit 1000 uL/h"),
        (ProposeBridge(1, 10.0, 10.0, math.inf, 0), "rate_ul_per_h is no finite number"),
        (ProposeTrial(1, 1001.0, 60, 0), "rate_ul_per_h above the limit 1000 uL/h"),
        (ProposeTrial(1, 10.0, 0, 0), "duration_s below one step of 4 s"),
        (ProposeRefill(1, -1.0), "volume_ul below the limit 0 uL"),
        (ProposeRefill(1, 20_001.0), "volume_ul above the limit 20000 uL"),
        (ProposeRefill(1, math.nan), "volume_ul is no finite number"),
    ],
)
def test_what_is_out_of_range_is_refused_by_its_limit_and_changes_nothing(host, request_, detail):
    pump = host()
    memory = pump.pump._nvram.memory
    nak = pump.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, detail)
    assert pump.pump._nvram.memory is memory


@pytest.mark.parametrize(
    "request_",
    [
        ProposeMinimumRate(2, 0.0, 0),
        ProposeBridge(2, 10.0, 10.0, 10.0, 0),
        ProposeTrial(2, 10.0, 3600, 0),
        ProposePrime(2, 1.0, 0.0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_nothing_starts_on_top_of_a_bolus(host, request_):
    pump = host()
    pump.do(ProposeBolus(1, 100.0, 0.0))
    nak = pump.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.BUSY, "bolus 1 is under way")


def test_telemetry_names_the_mode(host):
    pump = host()
    pump.do(ProposeTrial(1, 100.0, 10, 0))
    pump.ask(protocol.Subscribe(1, 1000))
    modes = [note.mode for note in pump.hear(15.0) if isinstance(note, Telemetry)]
    assert set(modes[:8]) == {Mode.TRIAL}
    assert set(modes[-3:]) == {Mode.STOPPED}
