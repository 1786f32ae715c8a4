"""Every kind of order: what goes to the pump, what is journalled, and what faults of the wire make of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driver import (
    BolusLimits,
    Bridge,
    Continuous,
    DoseNotStarted,
    DoseState,
    DoseUncertain,
    DriverError,
    Flex,
    FlexStep,
    MinimumRate,
    NakError,
    ObserverOnly,
    ProposalMismatch,
    StopUnconfirmed,
    Trial,
)
from protocol import (
    CommandResult,
    Commit,
    Day,
    Mode,
    Proposal,
    ProposeBolus,
    ProposeBridge,
    ProposeContinuous,
    ProposeFlex,
    ProposeMinimumRate,
    ProposePatientBolus,
    ProposePatientBolusLimits,
    ProposePrime,
    ProposeRefill,
    ProposeTherapyClock,
    ProposeTrial,
)
from protocol import FlexStep as WireFlexStep

JOURNAL = Path("/journals/HAND-1.jsonl")
DAYS = Flex((FlexStep(0, 10.0), FlexStep(480, 20.0, Day.MONDAY | Day.TUESDAY), FlexStep(1200, 0.0)))
LIMITS = BolusLimits(
    volume_ul=5.0, rate_ul_per_h=300.0, lockout_s=7200, most_per_day=4, window_s=86_400, window_limit_ul=500.0
)
NOON = datetime(2026, 3, 1, 12, 0, 0, 400_000, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
ORDERS = {
    ProposeContinuous: lambda pump: pump.start(Continuous(20.0)),
    ProposeMinimumRate: lambda pump: pump.start(MinimumRate()),
    ProposeFlex: lambda pump: pump.start(DAYS),
    ProposeBridge: lambda pump: pump.start(Bridge(375.0, 8.33, 2.08)),
    ProposeTrial: lambda pump: pump.start(Trial(20.0, 3600)),
    ProposeBolus: lambda pump: pump.bolus(1.0),
    ProposePatientBolus: lambda pump: pump.patient_bolus(),
    ProposePrime: lambda pump: pump.prime(300.0),
    ProposeRefill: lambda pump: pump.refill(18_000.0),
    ProposePatientBolusLimits: lambda pump: pump.write_patient_bolus_limits(LIMITS),
    ProposeTherapyClock: lambda pump: pump.set_therapy_clock(NOON),
}
SENT = {
    ProposeMinimumRate: ProposeMinimumRate(1, 0.0, 0),
    ProposeFlex: ProposeFlex(
        1, 0, (WireFlexStep(Day(127), 0, 10.0), WireFlexStep(Day(3), 480, 20.0), WireFlexStep(Day(127), 1200, 0.0))
    ),
    ProposeBridge: ProposeBridge(1, 375.0, 8.33, 2.08, 0),
    ProposeTrial: ProposeTrial(1, 20.0, 3600, 0),
    ProposePatientBolus: ProposePatientBolus(1, 0.0, 0.0),
    ProposePrime: ProposePrime(1, 300.0, 0.0),
    ProposeRefill: ProposeRefill(1, 18_000.0),
    ProposePatientBolusLimits: ProposePatientBolusLimits(1, 1, 5.0, 300.0, 7200, 4, 86_400, 500.0),
    ProposeTherapyClock: ProposeTherapyClock(1, 1_772_379_000, -12_600),
}
each_order = pytest.mark.parametrize("kind", ORDERS, ids=lambda kind: kind.__name__)


def records(disk, kind):
    lines = disk.files[JOURNAL].decode().rstrip().splitlines()
    return [record for line in lines if (record := json.loads(line))["record"] == kind]


@pytest.fixture
def device(device):
    device.limits = ProposePatientBolusLimits(0, 1, 5.0, 300.0, 0, 10, 86_400, 5000.0)
    return device


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: kind.__name__)
def test_an_order_is_proposed_as_it_was_given_and_committed_once(open_pump, device, kind):
    with open_pump() as pump:
        dose = ORDERS[kind](pump)
        assert [request for request in device.requests if type(request) is kind] == [SENT[kind]]
        assert (dose.id, device.commits) == (1, [1])
        is_therapy = kind in (ProposeMinimumRate, ProposeFlex, ProposeBridge, ProposeTrial)
        assert dose.state is (DoseState.PENDING if is_therapy else DoseState.DELIVERED)


@each_order
def test_the_journal_tells_in_readable_words_what_was_asked_and_what_was_agreed(open_pump, device, disk, kind):
    with open_pump() as pump:
        dose = ORDERS[kind](pump)
    (intent,), (commit,) = records(disk, "intent"), records(disk, "commit")
    assert intent["kind"] == commit["kind"] != ""
    assert commit["values"] == dose.canonical
    assert intent["asked"].keys() == commit["values"].keys()
    if kind is ProposeFlex:
        assert commit["values"]["steps"][1] == {"days": 3, "start_min": 480, "rate_ul_per_h": 20.0}


@each_order
def test_a_lost_proposal_orders_nothing_and_a_lost_reply_to_commit_is_settled_by_id(open_pump, wire, device, kind):
    with open_pump() as pump:
        wire.fault("lose", Proposal, times=3)
        with pytest.raises(DriverError):
            ORDERS[kind](pump)
        assert device.commits == []
        wire.fault("lose", CommandResult, times=3)
        assert ORDERS[kind](pump).id == 2
        wire.fault("duplicate", CommandResult)
        wire.fault("delay", Proposal, delay_s=0.7)
        assert ORDERS[kind](pump).id == 3
    assert device.commits == [2, 3]


@each_order
def test_a_commit_that_never_arrived_changed_nothing(open_pump, wire, device, kind):
    with open_pump() as pump:
        wire.fault("lose", Commit, times=3)
        with pytest.raises(DoseNotStarted):
            ORDERS[kind](pump)
    assert device.commits == []


@each_order
def test_without_any_answer_an_order_is_uncertain_until_it_is_resolved(open_pump, wire, disk, kind):
    with open_pump() as pump:
        wire.fault("lose", CommandResult, times=12)
        with pytest.raises(DoseUncertain, match=r"command 1 \(.+\) may have been carried out"):
            ORDERS[kind](pump)
        pump.resolve(1, by="R. Vogel", because="weighed")
        outcome = records(disk, "outcome")[-1]
        runs_on = (ProposeContinuous, ProposeMinimumRate, ProposeFlex, ProposeBridge, ProposeTrial)
        given_once = {ProposeBolus: 1.0, ProposePatientBolus: 5.0, ProposePrime: 300.0}
        assert outcome.get("delivered_high_ul") == (None if kind in runs_on else given_once.get(kind, 0.0))


@each_order
def test_an_observer_orders_nothing(open_pump, wire, kind):
    with open_pump(observe=True) as pump, pytest.raises(ObserverOnly):
        ORDERS[kind](pump)
    assert not [entry for entry in wire.log if "Propose" in entry]


def test_leaving_stops_every_therapy(open_pump, device):
    for kind in (ProposeContinuous, ProposeMinimumRate, ProposeFlex, ProposeBridge, ProposeTrial):
        with open_pump() as pump:
            ORDERS[kind](pump)
            assert device.mode != Mode.STOPPED
        assert device.mode == Mode.STOPPED


def test_boluses_of_all_kinds_are_waited_for(open_pump, device, clock):
    with open_pump() as pump:
        assert pump.patient_bolus().delivered_high_ul == 5.0
        assert clock.monotonic() == pytest.approx(60.0, abs=3.0)
        assert pump.prime(300.0, rate_ul_per_h=600.0).delivered_high_ul == 300.0
        assert clock.monotonic() == pytest.approx(1860.0, abs=60.0)
        assert pump.patient_bolus(wait=False).state is DoseState.PENDING
        assert pump.prime(1.0, wait=False).state is DoseState.PENDING


def test_a_patient_bolus_beyond_the_limits_is_refused_in_the_pumps_own_words(open_pump, device):
    device.limits = ProposePatientBolusLimits(0, 0, 5.0, 300.0, 0, 10, 86_400, 5000.0)
    with open_pump() as pump, pytest.raises(NakError, match="WRONG_STATE, saying “patient boluses are off”"):
        pump.patient_bolus()


def test_the_therapy_clock_takes_local_time_with_its_offset_alone(open_pump, device):
    with open_pump() as pump:
        with pytest.raises(ValueError, match="has no time zone"):
            pump.set_therapy_clock(NOON.replace(tzinfo=None))
        pump.set_therapy_clock(NOON)
        read = pump.therapy_clock()
    assert datetime.fromtimestamp(read.utc_s, UTC) == NOON.replace(microsecond=0)
    assert (read.utc_offset_s, read.generation) == (-12_600, 1)


def test_a_flex_therapy_with_other_steps_than_asked_is_not_committed(open_pump, device):
    device.canonical = lambda m: ProposeFlex(m.command_id, m.on_lease_loss, m.steps[:-1])
    with open_pump() as pump, pytest.raises(ProposalMismatch, match="3 steps were asked for and the pump would use 2"):
        pump.start(DAYS)
    assert device.commits == []


@pytest.mark.parametrize("carrier", ["bytes"], indirect=True)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=st.lists(st.booleans(), max_size=40), kinds=st.lists(st.sampled_from(list(ORDERS)), max_size=4))
def test_whatever_frames_are_lost_no_order_is_carried_out_twice(open_pump, wire, device, disk, fates, kinds):
    disk.files.clear()
    device.commands.clear()
    device.commits.clear()
    device.last_id = 0
    wire.lottery = None
    done = []
    try:
        with open_pump() as pump:
            wire.lottery = chain(fates, repeat(False))
            for kind in kinds:
                before = list(device.commits)
                try:
                    done.append(ORDERS[kind](pump).id)
                except DoseUncertain:
                    continue
                except DriverError:
                    assert device.commits == before
    except StopUnconfirmed:
        pass
    assert len(device.commits) == len(set(device.commits)) <= len(kinds)
    assert set(done) <= set(device.commits)
