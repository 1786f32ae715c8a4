"""The self-test: every item can pass and can fail, none of them delivers, and a failure stays until it has passed."""

from dataclasses import replace

import msgspec
import pytest

import protocol
from protocol import Alarm, EventCode, NakReason, ProposeContinuous, SelfTestItem, SelfTestRequest

ALL = SelfTestItem(sum(SelfTestItem))


def spoil_memory(pump):
    nvram = pump.pump._nvram
    nvram.memory = replace(nvram.memory, reservoir_at_steps=10**9)


def spoil_step_volume(pump):
    nvram = pump.pump._nvram
    nvram.memory = replace(nvram.memory, step_volume_nl=13.0)


def mix_up_the_log(pump):
    events = pump.pump._nvram.events
    oldest = protocol.unseal_record(protocol.BulkObject.EVENT_LOG, events._sealed[0])
    events._sealed[0] = protocol.seal_record(protocol.BulkObject.EVENT_LOG, msgspec.structs.replace(oldest, index=7))


def damage_the_log(pump):
    sealed = pump.pump._nvram.events._sealed
    sealed[0] = bytes([sealed[0][0], sealed[0][1] ^ 0x10]) + sealed[0][2:]


def turn_the_clock_back(pump):
    pump.do(protocol.ProposeTherapyClock(1, 0, 0))
    pump.pump._clock._reset_ns += 5 * 10**9


def stall(pump):
    pump.do(ProposeContinuous(1, 100.0, 0))
    pump.world.sleep(3600.0)
    pump.head.stall()
    pump.world.sleep(300.0)
    pump.stop()


def drain(pump):
    pump.do(ProposeContinuous(1, 1000.0, 0))
    pump.world.sleep(3600.0)
    pump.stop()


def test_a_sound_pump_passes_all_at_rest_without_a_step(host):
    pump = host()
    pump.hear(0.1)
    report = pump.ask(SelfTestRequest(0))
    assert (report.passed, report.failed, report.not_run) == (ALL, 0, 0)
    assert [(event.code, event.argument) for event in pump.hear(0.1)] == [(EventCode.SELF_TEST, 0)]
    assert pump.head.counted_steps(pump.world.now_ns) == 0
    assert pump.status().alarms == 0


def test_a_running_pump_is_tested_without_its_motor(host):
    pump = host()
    pump.do(ProposeContinuous(1, 100.0, 0))
    report = pump.ask(SelfTestRequest(0))
    assert (report.passed, report.failed, report.not_run) == (ALL & ~SelfTestItem.MOTOR, 0, SelfTestItem.MOTOR)
    nak = pump.ask(SelfTestRequest(SelfTestItem.MOTOR | SelfTestItem.CLOCK))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "MOTOR is tested only while the pump is stopped")


def test_what_was_not_asked_for_is_not_run(host):
    pump = host()
    report = pump.ask(SelfTestRequest(SelfTestItem.CLOCK))
    assert (report.passed, report.failed, report.not_run) == (SelfTestItem.CLOCK, 0, ALL & ~SelfTestItem.CLOCK)
    nak = pump.ask(SelfTestRequest(0x40))
    assert (nak.reason, nak.detail) == (NakReason.OUT_OF_RANGE, "items 0x40 are unknown")


@pytest.mark.parametrize(
    ("item", "effects", "spoil"),
    [
        (SelfTestItem.MEMORY, {}, spoil_memory),
        pytest.param(SelfTestItem.MEMORY, {}, spoil_step_volume, marks=pytest.mark.breaks("SP-12")),
        (SelfTestItem.MEMORY, {}, mix_up_the_log),
        (SelfTestItem.MEMORY, {}, damage_the_log),
        pytest.param(SelfTestItem.CLOCK, {}, turn_the_clock_back, marks=pytest.mark.breaks("SP-36")),
        (SelfTestItem.BATTERY, {"battery_used_pct": 98.99999}, drain),
        (SelfTestItem.THERMOMETER, {"head_temperature_offset_k": -15.02}, lambda pump: None),
        (SelfTestItem.MOTOR, {}, stall),
    ],
)
def test_what_is_wrong_fails_its_own_item_alone(host, item, effects, spoil):
    pump = host(**effects)
    pump.world.sleep(10.0)
    spoil(pump)
    report = pump.ask(SelfTestRequest(0))
    assert (report.failed, report.passed) == (item, ALL & ~item)
    assert pump.status().alarms & Alarm.SELF_TEST_FAILED


def test_a_failure_is_an_alarm_through_resets_until_the_item_has_passed(host):
    pump = host()
    stall(pump)
    assert pump.ask(SelfTestRequest(0)).failed == SelfTestItem.MOTOR
    pump.pump.reboot()
    assert pump.alarms()[Alarm.SELF_TEST_FAILED].severity == protocol.Severity.CRITICAL
    pump.ask(SelfTestRequest(SelfTestItem.CLOCK))
    assert pump.status().alarms == Alarm.SELF_TEST_FAILED
    nak = pump.propose(ProposeContinuous(2, 100.0, 0))
    assert (nak.reason, nak.detail) == (NakReason.WRONG_STATE, "self-test failed: MOTOR")
    assert pump.ask(SelfTestRequest(SelfTestItem.MOTOR)).passed == SelfTestItem.MOTOR
    assert pump.status().alarms == 0
