"""The control lease: one session doses, everybody may stop, and what must not outlive the lease is stopped with it."""

import pytest

import protocol
from protocol import (
    Ack,
    AcknowledgeAlarms,
    Alarm,
    CommandState,
    EventCode,
    Lease,
    LeaseRelease,
    LeaseRequest,
    LeaseStatusRequest,
    Mode,
    NakReason,
    OnLeaseLoss,
    ProposeBolus,
    ProposeContinuous,
    ProposeTrial,
    ResetCause,
    SelfTestRequest,
)

CONTINUE, STOP = OnLeaseLoss.CONTINUE, OnLeaseLoss.STOP


def take(pump, seconds=60.0, holder="bench A"):
    lease = pump.ask(LeaseRequest(0, round(1000 * seconds), holder))
    assert isinstance(lease, Lease), lease
    return lease


def events(pump):
    return [(event.code, event.argument) for event in pump.hear(0.1)]


def test_the_lease_is_granted_told_and_renewed_from_now_on(host):
    pump = host()
    assert pump.ask(LeaseStatusRequest()) == Lease(0, 0, "")
    lease = take(pump, 60.0)
    assert lease.lease_id != 0
    assert (lease.remaining_ms, lease.holder) == (60_000, "bench A")
    pump.world.sleep(50.0)
    status = pump.ask(LeaseStatusRequest())
    assert (status.lease_id, status.holder) == (lease.lease_id, "bench A")
    assert status.remaining_ms == pytest.approx(10_000, abs=50)
    assert pump.ask(LeaseRequest(lease.lease_id, 30_000, "bench B")) == Lease(lease.lease_id, 30_000, "bench B")
    pump.world.sleep(29.0)
    assert pump.ask(LeaseStatusRequest()).holder == "bench B"
    pump.world.sleep(1.1)
    assert pump.ask(LeaseStatusRequest()) == Lease(0, 0, "")


@pytest.mark.parametrize(
    ("duration_ms", "detail"),
    [
        (0, "duration_ms below the limit 1000 ms"),
        (999, "duration_ms below the limit 1000 ms"),
        (86_400_001, "duration_ms above the limit 86400000 ms"),
    ],
)
def test_a_lease_lasts_1_s_to_24_h(host, duration_ms, detail):
    pump = host()
    nak = pump.ask(LeaseRequest(0, duration_ms, "A"))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, detail)
    assert take(pump, 1.0).remaining_ms == 1000
    pump.world.sleep(1.0)
    assert take(pump, 86_400.0).remaining_ms == 86_400_000


def test_others_are_told_who_holds_it_and_for_how_long_but_not_its_id(host):
    pump = host()
    lease = take(pump, 100.0, "a name of 24 bytes, long")
    pump.hello(2)
    nak = pump.ask(LeaseRequest(0, 1000, "other"))
    assert (nak.reason, nak.detail) == (NakReason.LEASE_HELD, "held by a name of 24 bytes, long for 100 s")
    assert pump.ask(LeaseRequest(lease.lease_id ^ 1, 1000, "other")).reason == NakReason.LEASE_HELD
    assert pump.ask(LeaseStatusRequest()).lease_id == 0


@pytest.mark.parametrize("request_", [LeaseRequest(77, 1000, "A"), LeaseRelease(77)], ids=["renew", "release"])
def test_a_lease_that_nobody_holds_is_neither_renewed_nor_released(host, request_):
    nak = host().ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.NO_LEASE, "nobody holds the lease; ask with lease_id 0")


GUARDED = [
    ProposeContinuous(1, 100.0, 0),
    ProposeBolus(1, 1.0, 0.0),
    protocol.ProposePrime(1, 1.0, 0.0),
    protocol.ProposeMinimumRate(1, 0.0, 0),
    protocol.ProposeBridge(1, 1.0, 10.0, 10.0, 0),
    ProposeTrial(1, 10.0, 60, 0),
    protocol.ProposeCalibration(1, 10.0),
    protocol.ProposeRefill(1, 100.0),
    protocol.ProposeTherapyClock(1, 0, 0),
    protocol.Commit(1, 0, bytes(8)),
    AcknowledgeAlarms(Alarm.LOW_BATTERY, 0),
    SelfTestRequest(0),
]


@pytest.mark.parametrize("request_", GUARDED, ids=lambda request: type(request).__name__)
def test_after_a_new_hello_the_holder_renews_before_it_acts(host, request_):
    pump = host()
    lease = take(pump)
    pump.hello(2)
    assert pump.ask(request_).reason == NakReason.LEASE_HELD
    pump.ask(LeaseRequest(lease.lease_id, 60_000, "bench A"))
    assert getattr(pump.ask(request_), "reason", None) in (None, NakReason.BAD_TOKEN)


def test_everybody_may_stop_and_read(host):
    pump = host()
    take(pump)
    pump.do(ProposeContinuous(1, 100.0, STOP))
    pump.hello(2)
    assert pump.status().mode == Mode.CONTINUOUS
    assert pump.result(1).state == CommandState.RUNNING
    assert len(pump.pull(protocol.BulkReader(protocol.BulkObject.EVENT_LOG))) == 3
    pump.stop()
    assert pump.status().mode == Mode.STOPPED


@pytest.mark.parametrize(
    "request_",
    [
        ProposeContinuous(1, 100.0, STOP),
        protocol.ProposeMinimumRate(1, 0.0, STOP),
        protocol.ProposeBridge(1, 1.0, 10.0, 10.0, STOP),
        ProposeTrial(1, 10.0, 60, STOP),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_therapy_that_is_to_end_with_a_lease_needs_one(host, request_):
    pump = host()
    nak = pump.ask(request_)
    assert (nak.reason, nak.detail) == (NakReason.NO_LEASE, "on_lease_loss STOP needs a lease; take one first")
    take(pump)
    assert pump.do(request_)[1].state == CommandState.RUNNING


def test_when_the_lease_runs_out_a_therapy_that_ends_with_it_ends_as_by_stop(host):
    pump = host()
    take(pump, 3600.0)
    pump.do(ProposeContinuous(1, 100.0, STOP))
    pump.do(ProposeBolus(2, 900.0, 300.0))
    events(pump)
    pump.world.sleep(3600.0)
    assert events(pump) == [(EventCode.LEASE_EXPIRED, 0), (EventCode.STOPPED, 2)]
    status = pump.status()
    assert (status.mode, status.alarms) == (Mode.STOPPED, Alarm.LEASE_LOST)
    assert (pump.result(1).state, pump.result(2).state) == (CommandState.STOPPED, CommandState.STOPPED)
    assert pump.result(2).delivered_high_ul == pytest.approx(300.0, abs=0.1)
    entry = pump.alarms()[Alarm.LEASE_LOST]
    assert (entry.active, entry.times, entry.severity) == (1, 1, protocol.Severity.CRITICAL)
    pump.do(ProposeContinuous(3, 100.0, CONTINUE))
    assert pump.status().alarms == 0
    assert pump.alarms()[Alarm.LEASE_LOST].active == 0


def test_when_the_lease_runs_out_other_therapies_and_boluses_go_on(host):
    pump = host()
    take(pump, 60.0)
    pump.do(ProposeContinuous(1, 100.0, CONTINUE))
    pump.do(ProposeBolus(2, 50.0, 500.0))
    pump.world.sleep(100.0)
    status = pump.status()
    assert (status.mode, status.alarms) == (Mode.BOLUS, 0)
    pump.world.sleep(300.0)
    assert pump.status().mode == Mode.CONTINUOUS
    assert events(pump)[-2:] == [(EventCode.LEASE_EXPIRED, 0), (EventCode.BOLUS_DONE, 2)]


def test_a_waiting_token_dies_with_the_lease(host):
    pump = host()
    lease = take(pump, 1.0)
    proposal = pump.propose(ProposeContinuous(1, 100.0, STOP))
    pump.world.sleep(1.0)
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    lease = take(pump, 60.0)
    proposal = pump.propose(ProposeContinuous(1, 100.0, STOP))
    pump.ask(LeaseRelease(lease.lease_id))
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN
    assert pump.status().mode == Mode.STOPPED


def test_what_runs_when_the_lease_is_released_goes_on_and_no_longer_depends_on_one(host):
    pump = host()
    lease = take(pump, 60.0)
    pump.do(ProposeContinuous(1, 100.0, STOP))
    assert pump.ask(LeaseRelease(lease.lease_id)) == Ack()
    assert pump.ask(LeaseRelease(lease.lease_id)).reason == NakReason.NO_LEASE
    pump.hello(2)
    take(pump, 5.0, "bench B")
    pump.world.sleep(100.0)
    pump.pump.reboot()
    status = pump.status()
    assert (status.mode, status.alarms, status.active_command_id) == (Mode.CONTINUOUS, 0, 1)
    assert EventCode.LEASE_RELEASED in [code for code, _ in events(pump)]


def test_a_reset_ends_the_lease_as_if_it_had_run_out(host):
    pump = host()
    take(pump)
    pump.do(ProposeContinuous(1, 100.0, STOP))
    pump.do(ProposeBolus(2, 50.0, 500.0))
    events(pump)
    pump.pump.reboot()
    assert events(pump) == [(EventCode.BOOT, ResetCause.SOFTWARE), (EventCode.LEASE_EXPIRED, 0), (EventCode.STOPPED, 1)]
    assert (pump.result(1).state, pump.result(2).state) == (CommandState.STOPPED, CommandState.INTERRUPTED)
    assert (pump.status().mode, pump.status().alarms) == (Mode.STOPPED, Alarm.LEASE_LOST)
    assert pump.ask(LeaseStatusRequest()) == Lease(0, 0, "")
    pump.pump.reboot()
    assert events(pump) == [(EventCode.BOOT, ResetCause.SOFTWARE)]
    assert pump.status().alarms == Alarm.LEASE_LOST
    steps = pump.status().steps
    pump.world.sleep(3600.0)
    assert pump.status().steps == steps


def test_its_time_is_real_time_where_the_world_is_served_faster(host):
    pump = host(speed=60.0)
    assert take(pump, 10.0).remaining_ms == 10_000
    pump.world.sleep(60.0 * 9.0)
    assert pump.ask(LeaseStatusRequest()).remaining_ms == pytest.approx(1000, abs=5)
    pump.world.sleep(61.0)
    assert pump.ask(LeaseStatusRequest()).remaining_ms == 0


@pytest.mark.breaks("SP-28")
def test_a_flat_battery_ends_the_lease_in_silence(host):
    pump = host()
    take(pump, 86_400.0)
    pump.do(ProposeContinuous(1, 1000.0, STOP))
    pump.hear(43_000.0)
    pump.pump.inside.battery.grow_film(pump.world.now_ns, locked_pct=100.0, sag_mv=0.0)
    pump.hear(43_000.0)
    assert pump.hear(10_000.0) == []
