"""What is stored decays while the pump has no power: none of that is believed, and what is told of doses stays true."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_mock.firmware.image import generation_of
from firmware_mock.firmware.nvram import JOURNALLED_AT_LEAST
from firmware_mock.firmware.rot import Page, rot_bits
from protocol import (
    Alarm,
    BulkObject,
    BulkReader,
    CommandState,
    EventCode,
    Mode,
    ProposeBolus,
    ProposeContinuous,
    SelfTestItem,
    SelfTestRequest,
)

PER_EXAMPLE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cut_and_rot(pump, seed, **what):
    pump.pump.cut_power(5.0)
    pump.pump.rot(random.Random(seed), **what)
    pump.world.sleep(6.0)
    pump.forget()


@given(st.lists(st.integers(0, 30), max_size=4), st.integers(0, 60), st.integers(0, 1000))
def test_so_many_bits_are_others_afterwards(sizes, bits, seed):
    pages = [bytearray(40) for _ in sizes]
    rot_bits([Page(page, size) for page, size in zip(pages, sizes, strict=True)], bits, random.Random(seed))
    assert sum(octet.bit_count() for page in pages for octet in page) == min(bits, 8 * sum(sizes))
    assert not any(octet for page, size in zip(pages, sizes, strict=True) for octet in page[size:])


@PER_EXAMPLE
@given(st.integers(1, JOURNALLED_AT_LEAST - 2), st.integers(0, 10**9), st.floats(0.0, 30.0), st.booleans())
def test_whatever_bits_decay_the_truth_is_held_or_nothing_is_claimed(host, truth, bits, seed, after_s, basal):
    pump = host()
    made = truth(pump)
    if basal:
        pump.do(ProposeContinuous(1, 500.0, 0))
    pump.do(ProposeBolus(2, 8.0, 1000.0))
    pump.world.sleep(after_s)
    cut_and_rot(pump, seed, bits=bits)
    status, result = pump.status(), pump.result(2)
    if status.alarms & Alarm.MEMORY_ERROR:
        assert (result.state, status.mode) == (CommandState.FORGOTTEN, Mode.STOPPED)
        return
    assert result.state in (CommandState.INTERRUPTED, CommandState.DONE)
    assert result.delivered_low_ul - 1e-9 <= 0.01 * made.steps()[2] <= result.delivered_high_ul + 1e-9
    assert result.delivered_high_ul <= 8.0 + 1e-9
    assert status.mode == (Mode.CONTINUOUS if basal else Mode.STOPPED)
    assert all(generation_of(slot) for slot in pump.pump._nvram.slots)


def test_reservations_that_have_decayed_leave_a_block_more_in_doubt_each(host, truth):
    pump = host()
    made = truth(pump)
    pump.do(ProposeBolus(1, 20.0, 1000.0))
    pump.world.sleep(20.0)
    steps = made.steps()[1]
    confirmed = steps // 100 * 100
    pump.pump.cut_power(5.0)
    journal = pump.pump._nvram.stored()[2]
    record_bits = 8 * journal.stored_bytes // JOURNALLED_AT_LEAST
    for number in (1, 2):
        journal.flip(8 * journal.stored_bytes - number * record_bits)
    pump.world.sleep(6.0)
    pump.forget()
    result = pump.result(1)
    bounds = round(100 * result.delivered_low_ul), round(100 * result.delivered_high_ul)
    assert bounds == (confirmed - 200, confirmed + 100)
    assert bounds[0] <= steps <= bounds[1]


@pytest.mark.parametrize("slots", [1, 2])
def test_a_lost_slot_costs_nothing_and_both_cost_everything(host, slots):
    pump = host()
    pump.do(ProposeContinuous(1, 500.0, 0))
    pump.world.sleep(100.0)
    cut_and_rot(pump, 7, slots=slots)
    assert pump.pump.memory_is_lost == (slots == 2)
    status = pump.status()
    assert status.mode == (Mode.STOPPED if slots == 2 else Mode.CONTINUOUS)
    assert status.alarms == (Alarm.MEMORY_ERROR if slots == 2 else 0)
    assert pump.result(1).state == (CommandState.FORGOTTEN if slots == 2 else CommandState.RUNNING)


def test_records_that_have_decayed_are_passed_over_reported_and_fail_the_self_test(host):
    pump = host()
    for command_id in range(1, 6):
        pump.do(ProposeBolus(command_id, 0.1, 0.0))
        pump.world.sleep(10.0)
    doses = pump.pump._nvram.doses
    doses.flip(8 * doses.stored_bytes - 1)
    for _ in range(3):
        pump.pump.reboot()
        pump.forget()
    reader = BulkReader(BulkObject.DOSE_HISTORY)
    told = [dose.command_id for dose in pump.pull(reader)]
    assert told == [1, 2, 3, 4, 5]
    assert len(reader.damaged) == 1
    assert pump.ask(SelfTestRequest(SelfTestItem.MEMORY)).failed == SelfTestItem.MEMORY


def test_with_memory_and_newest_events_lost_no_boot_id_comes_twice(host):
    pump = host()
    for _ in range(3):
        pump.pump.reboot()
    events = pump.pump._nvram.events
    for place in (1, 2):
        events.flip(8 * (events.stored_bytes - place * events.stored_bytes // 4))
    cut_and_rot(pump, 7, slots=2)
    reader = BulkReader(BulkObject.EVENT_LOG)
    boots = [record.boot_id for record in pump.pull(reader) if record.code == EventCode.BOOT]
    assert pump.status().boot_id == boots[-1] == 5
    assert len(set(boots)) == len(boots)
