"""The event log holds its thousand entries through a loss of power, wherever in a write that comes, and goes round."""

import pytest

from firmware_mock.firmware.flash import PAGE_BYTES
from firmware_mock.firmware.rows import RECORDS_KEPT
from protocol import AcknowledgeAlarms, Alarm, BulkObject, BulkReader, EventCode, SelfTestItem, SelfTestRequest

AT_LEAST = 1_000
WRITTEN = 1_500
ENDURANCE = 10_000
LIFE_DAYS = 7 * 365


def filled(pump):
    """Events that a host makes: each self-test is one."""
    for _ in range(WRITTEN):
        pump.ask(SelfTestRequest(SelfTestItem.CLOCK))
        pump.notes.clear()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99, 1.0])
def test_a_thousand_events_survive_a_loss_of_power_in_the_middle_of_the_next(host, share):
    pump = host()
    filled(pump)
    works = []
    pump.pump.observe(lambda begin_ns, end_ns: works.append((begin_ns, end_ns)), lambda memory: None)
    pump.send(SelfTestRequest(SelfTestItem.CLOCK))
    pump.world.sleep(1.0)
    begin_ns, end_ns = works[-1]

    pump = host()
    filled(pump)
    pump.pump.cut_power_at(begin_ns + round(share * (end_ns - begin_ns)), 60.0)
    pump.send(SelfTestRequest(SelfTestItem.CLOCK))
    pump.world.sleep(120.0)
    pump.forget()
    reader = BulkReader(BulkObject.EVENT_LOG)
    records = pump.pull(reader)
    assert len(records) >= AT_LEAST
    assert not reader.damaged
    indices = [record.index for record in records]
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    assert indices[-1] == WRITTEN + (2 if share == 1.0 else 1)
    boots = [record for record in records if record.code == EventCode.BOOT]
    assert [record.boot_id for record in boots] == [2]
    assert {record.code for record in records} == {EventCode.SELF_TEST, EventCode.BOOT}


def test_the_log_wears_no_page_out_in_a_life_of_a_hundred_events_a_day(host):
    pump = host()
    event_bytes = pump.pump.inside.nvram.events.stored_bytes
    pages = -(-RECORDS_KEPT * event_bytes // PAGE_BYTES) + 1
    erasures = LIFE_DAYS * 100 * event_bytes / PAGE_BYTES / pages
    assert erasures < ENDURANCE / 10


def test_an_acknowledgement_never_comes_before_its_alarm(host):
    pump = host(filled_ul=0.0)
    for _ in range(5):
        pump.ask(AcknowledgeAlarms(Alarm.EMPTY_RESERVOIR | Alarm.LOW_RESERVOIR, 1))
        pump.pump.reboot()
    raised, both = Alarm(0), Alarm.EMPTY_RESERVOIR | Alarm.LOW_RESERVOIR
    for record in pump.pull(BulkReader(BulkObject.EVENT_LOG)):
        match record.code:
            case EventCode.BOOT:
                raised = Alarm(0)
            case EventCode.EMPTY_RESERVOIR | EventCode.LOW_RESERVOIR:
                raised |= Alarm(record.argument)
            case EventCode.ALARM_ACKNOWLEDGED:
                assert raised == both == record.argument
