"""Alarms: computed from the programmed volume, announced once and on time."""

import pytest

from protocol import Alarm, BulkObject, BulkReader, Event, EventCode, ProposeContinuous


def announced(pump, seconds):
    return [note for note in pump.hear(seconds) if isinstance(note, Event) and note.code >= EventCode.LOW_RESERVOIR]


def test_low_and_empty_reservoir_come_at_their_step(host):
    pump = host(filled_ul=2_100.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    start_us = pump.status().device_time_us
    assert announced(pump, 350.0) == []
    (low,) = announced(pump, 20.0)
    assert low.code == EventCode.LOW_RESERVOIR
    assert (low.device_time_us - start_us) / 1e6 == pytest.approx(360.0, abs=0.1)
    assert pump.status().alarms == Alarm.LOW_RESERVOIR
    (empty,) = announced(pump, 7300.0)
    assert empty.code == EventCode.EMPTY_RESERVOIR
    status = pump.status()
    assert status.alarms == Alarm.LOW_RESERVOIR | Alarm.EMPTY_RESERVOIR
    assert status.reservoir_ul == 0.0


def test_a_pump_that_gives_too_much_stays_silent_until_its_programme_says_so(host):
    """Over-infusion does not bring the low-reservoir alarm forward: the firmware counts steps (domain.md section 1)."""
    pump = host(filled_ul=2_100.0, unit_error_pct=50.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    assert announced(pump, 350.0) == []


def test_stopping_puts_the_alarm_off(host):
    pump = host(filled_ul=2_100.0)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    pump.hear(300.0)
    pump.stop()
    assert announced(pump, 3600.0) == []
    pump.do(ProposeContinuous(2, 1000.0, 0))
    assert len(announced(pump, 70.0)) == 1


def test_an_alarm_is_announced_once_and_again_after_a_reset(host):
    pump = host(filled_ul=1_000.0)
    assert [event.code for event in announced(pump, 1.0)] == [EventCode.LOW_RESERVOIR]
    pump.do(ProposeContinuous(1, 100.0, 0))
    assert announced(pump, 100.0) == []
    pump.pump.reboot()
    assert [event.code for event in announced(pump, 1.0)] == [EventCode.LOW_RESERVOIR]


def test_an_alarm_due_at_the_very_instant_of_a_reset_is_announced_once_behind_the_boot(host):
    due = host(filled_ul=2_100.0)
    due.do(ProposeContinuous(1, 1000.0, 0))
    low_ns = due.pump._alarms._due[Alarm.LOW_RESERVOIR].time_ns
    pump = host(filled_ul=2_100.0)
    pump.world.at(low_ns, pump.pump.reboot)
    pump.do(ProposeContinuous(1, 1000.0, 0))
    pump.world.sleep(400.0)
    records = pump.pull(BulkReader(BulkObject.EVENT_LOG))
    assert [(record.code, record.boot_id, record.device_time_us) for record in records[2:]] == [
        (EventCode.BOOT, 2, 0),
        (EventCode.LOW_RESERVOIR, 2, 0),
    ]


def test_a_low_battery_is_announced_and_a_flat_one_is_silence(host):
    pump = host(battery_used_pct=94.999, filled_ul=1e6)
    assert announced(pump, 1.0) == []
    pump.do(ProposeContinuous(1, 1000.0, 0))
    low = [EventCode.LOW_BATTERY, EventCode.ELECTIVE_REPLACEMENT]
    assert [event.code for event in announced(pump, 3600.0)] == low
    assert pump.status().alarms & Alarm.LOW_BATTERY
    pump.pump.inside.battery.load(pump.world.now_ns, 1e4)
    pump.world.sleep(30 * 86_400.0)
    steps = pump.head.counted_steps(pump.world.now_ns)
    pump.port.take_arrived()
    pump.pump.reboot()
    pump.port.host.write(b"\x00")
    pump.world.sleep(30 * 86_400.0)
    assert pump.head.counted_steps(pump.world.now_ns) == steps
    assert pump.port.waiting_bytes == 0
    pump.world.close()
    assert pump.world.ledger.open().evidence["pump.battery_exhausted"] == 1
