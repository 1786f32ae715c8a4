"""Rows of records: one that power kept from being finished is passed over, wherever it broke off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock import World
from firmware_mock.firmware.flash import PROGRAM_NS, Flash, PowerLost
from firmware_mock.firmware.rows import Row
from protocol import BulkObject, EventCode, EventRecord

RECORD_BYTES = 30


def event(index):
    return EventRecord(index, 1, 1_000 * index, EventCode.BOOT, 0)


@pytest.mark.parametrize("programmed_bytes", range(RECORD_BYTES))
def test_a_torn_record_is_passed_over_and_its_index_used_again(programmed_bytes):
    world = World()
    flash = Flash(world)
    row = Row(BulkObject.EVENT_LOG, flash)
    for index in range(3):
        row.append(event(index))
    world.sleep(1.0)
    flash.fails_ns = world.now_ns + programmed_bytes * PROGRAM_NS
    with pytest.raises(PowerLost):
        row.append(event(3))
    flash.fails_ns = None
    assert not row.is_consistent()
    row.skip_torn()
    assert row.is_consistent()
    assert row.next_index == 3
    row.append(event(3))
    assert row.newest() == event(3)


def test_a_record_that_has_rotted_keeps_its_place():
    row = Row(BulkObject.EVENT_LOG, Flash(World()))
    for index in range(3):
        row.append(event(index))
    rotten = bytearray(row._sealed[2])
    rotten[5] ^= 1
    row._sealed[2] = bytes(rotten)
    row.skip_torn()
    assert row.next_index == 3
    assert row.newest_few(2) == [event(1), event(0)]
    assert row.damaged_at_the_end() == 1


@given(st.lists(st.booleans(), max_size=8), st.data())
def test_records_that_have_rotted_are_counted_up_to_the_newest_good_one(rotten, data):
    row = Row(BulkObject.EVENT_LOG, Flash(World()))
    for index in range(len(rotten)):
        row.append(event(index))
    for index, is_rotten in enumerate(rotten):
        if is_rotten:
            row.flip(8 * RECORD_BYTES * index + data.draw(st.integers(0, 8 * RECORD_BYTES - 1)))
    good = [index for index, is_rotten in enumerate(rotten) if not is_rotten]
    assert row.stored_bytes == RECORD_BYTES * len(rotten)
    assert row.newest_few(8) == [event(index) for index in reversed(good)]
    assert row.damaged_at_the_end() == len(rotten) - 1 - max(good, default=-1)
