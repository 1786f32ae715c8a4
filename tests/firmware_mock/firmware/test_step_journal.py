"""The step journal: the newest whole record counts, however often a page was full and a record torn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_mock.firmware.step_journal import RECORD_BYTES, Reservation, StepJournal


@given(st.lists(st.integers(0, RECORD_BYTES), max_size=600))
def test_the_newest_whole_record_is_found_after_any_number_of_torn_ones(lengths):
    journal, whole = StepJournal(), []
    for number, length in enumerate(lengths):
        reservation = Reservation(7, 100 * number, 100 * number + 100)
        journal.append(reservation, programmed_bytes=length)
        if length == RECORD_BYTES:
            whole.append(reservation)
    since_whole = lengths[::-1].index(RECORD_BYTES) if whole else 0
    if since_whole < 100:
        assert journal.newest(7) == (whole[-1] if whole else None)


def test_a_record_belongs_to_the_image_of_its_generation():
    journal = StepJournal()
    journal.append(Reservation(1, 500, 600))
    journal.append(Reservation(2, 100, 200))
    assert journal.newest(1) == Reservation(1, 500, 600)
    assert journal.newest(2) == journal.newest() == Reservation(2, 100, 200)
    assert journal.newest(3) is None


@given(st.integers(0, 5), st.integers(0, 5), st.data())
def test_whole_records_that_have_decayed_since_are_told_from_torn_ones_and_counted(good, decayed, data):
    journal = StepJournal()
    for number in range(good + decayed):
        journal.append(Reservation(7, 100 * number, 100 * number + 100))
    for number in range(good, good + decayed):
        journal.flip(8 * RECORD_BYTES * number + data.draw(st.integers(0, 8 * RECORD_BYTES - 9)))
    journal.append(Reservation(7, 10**6, 10**6), programmed_bytes=data.draw(st.integers(0, RECORD_BYTES - 1)))
    assert journal.damaged_at_the_end() == decayed
    newest = journal.newest(7)
    assert newest == (Reservation(7, 100 * good - 100, 100 * good) if good else None)
    journal.append(Reservation(8, 0, 1))
    assert journal.damaged_at_the_end() == 0


@pytest.mark.parametrize("full_pages", [1, 2, 5])
def test_a_full_page_gives_way_to_the_other(full_pages):
    journal = StepJournal()
    for number in range(170 * full_pages + 1):
        journal.append(Reservation(1, number, number + 1))
    assert journal.newest() == Reservation(1, 170 * full_pages, 170 * full_pages + 1)
