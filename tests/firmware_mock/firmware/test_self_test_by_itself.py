"""The self-test at each start and every interval: what fails stands until it has passed; sound parts cost nothing."""

import random

import pytest

from firmware_mock.world import to_ns
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    Mode,
    NakReason,
    ProposeBolus,
    ProposeContinuous,
    SelfTestItem,
    SelfTestRequest,
    Severity,
)
from protocol.profile import load_model

INTERVAL_S = 3600.0 * load_model("implantable-20ml").self_test_interval_h
BASAL = ProposeContinuous(1, 100.0, 0)
WHILE_RUNNING = [item for item in SelfTestItem if item is not SelfTestItem.MOTOR]


def codes(pump):
    return [record.code for record in pump.pull(BulkReader(BulkObject.EVENT_LOG))]


@pytest.mark.parametrize("item", WHILE_RUNNING)
def test_a_part_that_breaks_while_running_ends_infusion_at_the_next_test(host, item):
    pump = host()
    pump.do(BASAL)
    pump.world.sleep(0.4 * INTERVAL_S)
    pump.pump.upkeep.break_part(item)
    pump.world.sleep(0.59 * INTERVAL_S)
    assert (pump.status().mode, pump.status().alarms) == (Mode.CONTINUOUS, 0)
    pump.world.sleep(0.02 * INTERVAL_S)
    status = pump.status()
    assert (status.mode, status.alarms & Alarm.SELF_TEST_FAILED) == (Mode.STOPPED, Alarm.SELF_TEST_FAILED)
    assert pump.alarms()[Alarm.SELF_TEST_FAILED].severity == Severity.CRITICAL
    assert pump.result(1).state == CommandState.STOPPED
    nak = pump.propose(ProposeContinuous(2, 100.0, 0))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, f"self-test failed: {item.name}")
    assert codes(pump)[2:] == [EventCode.SELF_TEST_FAILED, EventCode.STOPPED, EventCode.SELF_TEST]


@pytest.mark.parametrize("item", SelfTestItem)
def test_at_a_start_it_is_tested_before_anything_is_infused(host, item):
    pump = host()
    pump.do(BASAL)
    pump.pump.upkeep.break_part(item)
    steps = pump.status().steps
    pump.pump.reboot()
    pump.world.sleep(60.0)
    pump.forget()
    assert (pump.status().mode, pump.status().steps - steps) in [(Mode.STOPPED, 0), (Mode.STOPPED, 1)]
    assert pump.status().alarms & Alarm.SELF_TEST_FAILED


@pytest.mark.parametrize("way", ["asked for", "by itself", "at a start"])
def test_therapy_is_taken_again_once_it_has_passed(host, way):
    pump = host()
    pump.pump.upkeep.break_part(SelfTestItem.THERMOMETER)
    pump.world.sleep(INTERVAL_S + 1.0)
    assert pump.propose(BASAL).reason == NakReason.WRONG_STATE
    pump.pump.upkeep.mend_part(SelfTestItem.THERMOMETER)
    assert pump.propose(BASAL).reason == NakReason.WRONG_STATE
    if way == "asked for":
        assert pump.ask(SelfTestRequest(SelfTestItem.THERMOMETER)).passed == SelfTestItem.THERMOMETER
    elif way == "by itself":
        pump.world.sleep(INTERVAL_S)
    else:
        pump.pump.cut_power(5.0)
        pump.world.sleep(6.0)
        pump.forget()
    assert not pump.status().alarms & Alarm.SELF_TEST_FAILED
    pump.do(BASAL)
    assert pump.status().mode == Mode.CONTINUOUS


def test_a_proposal_that_waits_dies_with_the_failure(host):
    pump = host()
    pump.world.sleep(INTERVAL_S - 10.0)
    proposal = pump.propose(ProposeBolus(1, 10.0, 0.0))
    pump.pump.upkeep.break_part(SelfTestItem.CLOCK)
    pump.world.sleep(15.0)
    assert pump.commit(proposal).reason == NakReason.BAD_TOKEN


def test_a_change_of_rate_at_the_very_instant_of_a_test_does_not_put_it_off(host):
    pump = host()
    pump.world.at(to_ns(INTERVAL_S), lambda: pump.pump.inside.therapy.resume())
    pump.do(BASAL)
    pump.pump.upkeep.break_part(SelfTestItem.CLOCK)
    pump.world.run_until(to_ns(INTERVAL_S))
    assert pump.status().mode == Mode.STOPPED


def test_a_decayed_record_of_the_logs_is_told_and_stops_nothing(host):
    pump = host()
    pump.do(BASAL)
    events = pump.pump.inside.nvram.events
    events.flip(20)
    report = pump.ask(SelfTestRequest(0))
    assert (report.failed, pump.status().alarms) == (SelfTestItem.MEMORY, Alarm.SELF_TEST_FAILED)
    assert pump.status().mode == Mode.CONTINUOUS
    pump.do(ProposeContinuous(2, 50.0, 0))


def test_rot_that_left_no_whole_image_is_lost_memory_and_no_more(host):
    pump = host()
    pump.do(BASAL)
    pump.pump.rot(random.Random(1), slots=2)
    pump.pump.reboot()
    pump.world.sleep(1.0)
    pump.forget()
    assert pump.status().alarms & Alarm.MEMORY_ERROR
    assert pump.propose(ProposeContinuous(2, 50.0, 0)).reason == NakReason.WRONG_STATE


def test_tests_that_find_nothing_leave_no_trace_and_cost_no_event(host):
    pump = host()
    pump.do(BASAL)
    pump.hear(1.0)
    assert pump.world.next_event_ns() > to_ns(3 * INTERVAL_S)
    pump.world.sleep(3 * INTERVAL_S)
    assert codes(pump) == [EventCode.BOOT, EventCode.STARTED]
